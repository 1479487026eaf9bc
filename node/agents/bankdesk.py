"""What an insurer's staff does about payments: take the file for the bank, bring its answers, ask for another attempt.

Knows the folder, the file bank and the ledger's word on a payout. Must always hold: another attempt is asked for only
where the ledger says FAILED, by somebody who is named, and for another account only with the payee's own signature.
"""

from typing import Any

from contracts.commitments import commit
from contracts.errors import ContractError
from contracts.states import PayoutState, read_consent, read_payout
from contracts.tokens import decode_payee_change
from ledger.errors import LedgerError
from node.agents.bankfolder import BankFolder
from node.agents.filebank import FileBank, Written
from node.agents.insurer import InsurerAgent
from node.agents.ports import Ports
from node.errors import NodeError, Unavailable
from node.interop.iso20022.answers import Answers


class RetryRefused(NodeError):
    """No further attempt: `not_failed`, `no_payout`, `payee_token`, `PAYEE_UNUSABLE`."""


class BankDesk:
    """One insurer's. Without a folder this node's bank is not spoken to in files: `no_bank`."""

    def __init__(self, ports: Ports, insurer: InsurerAgent | None, folder: BankFolder | None) -> None:
        self._ports = ports
        self._insurer = insurer
        self._folder = folder

    def export(self, *, release: bool = False) -> Written | None:
        """The next batch, also written to `out`; None if nothing waits. `release`: after a restore a person said so.

        Raises Unavailable `no_bank`, NodeError `bank_held`.
        """
        return self._need().export(release=release)

    def batch(self, message_id: str) -> Written:
        """A batch made before, byte for byte. Raises Unavailable `no_bank`, NodeError `no_batch`."""
        return self._bank().batch(message_id)

    def take(self, answers: Answers) -> dict[str, Any]:
        """One file of the bank, and every payout that it speaks of goes on. See FileBank.take."""
        taken = self._bank().take(answers)
        self._wake(taken["payouts"])
        return {"kind": answers.kind, "message_id": answers.message_id, "skipped": answers.skipped, **taken}

    def take_files(self) -> list[dict[str, Any]]:
        """The files that lie in `in`."""
        taken = self._need().take_files()
        for item in taken:
            self._wake(item.get("payouts", ()))
        return taken

    def open_orders(self) -> list[dict[str, Any]]:
        """Every attempt that no answer has ended: what waits for a batch, what the bank is silent about."""
        return self._bank().open_orders()

    def retry(
        self, payout_id: str, asked_by: str, token: str | None = None, payee: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Ask for the next attempt of a FAILED payout. `token` and `payee`: another account and the payee's word on it.

        Raises RetryRefused.
        """
        payout = read_payout(self._ports.ledger.final.read, payout_id)
        if payout is None or payout.insurer != self._ports.me or self._insurer is None:
            raise RetryRefused("no_payout", "this participant has no such payout")
        if payout.status != "FAILED":
            raise RetryRefused("not_failed", f"the payout is {payout.status}; only a FAILED one is ordered again")
        if (token is None) != (payee is None):
            raise RetryRefused("payee_token", "another account takes its opening and the payee's token together")
        attempt = payout.attempt + 1
        if token is not None and payee is not None:
            self._check_payee(payout_id, payout, attempt, token, payee)
        asked = {"asked_by": asked_by, "payee": payee, "payee_token": token}
        self._ports.vault.put_secret(f"retry/{payout_id}/{attempt}", asked)
        self._insurer.vault.work.wake(self._insurer.name, payout.claim_id)
        return {"payout_id": payout_id, "attempt": attempt, "asked_by": asked_by, "other_account": token is not None}

    def _check_payee(
        self, payout_id: str, payout: PayoutState, attempt: int, token: str, payee: dict[str, Any]
    ) -> None:
        consent = read_consent(self._ports.ledger.final.read, payout.consent_id)
        try:
            change = decode_payee_change(token, consent.key if consent else "")
            committed = commit("payee", payee)
        except (ContractError, LedgerError) as error:
            raise RetryRefused("payee_token", f"the payee's token or opening is wrong: {error.code}") from None
        named = (change.consent_id, change.payout_id, change.attempt, change.payee_commit)
        if named != (payout.consent_id, payout_id, attempt, committed):
            raise RetryRefused("payee_token", f"the payee signed for another account, payout or attempt than {attempt}")
        unusable = self._ports.bank.check_payee(payee)
        if unusable is not None:
            raise RetryRefused(unusable, "no line of a payment file can be made of this account")

    def _wake(self, payouts: Any) -> None:
        for item in payouts:
            payout = read_payout(self._ports.ledger.final.read, item["payout_id"])
            if payout is not None and self._insurer is not None:
                self._insurer.vault.work.wake(self._insurer.name, payout.claim_id)

    def _bank(self) -> FileBank:
        return self._need().bank

    def _need(self) -> BankFolder:
        if self._folder is None:
            raise Unavailable("no_bank", 'this node has no bank of files: set [bank] kind = "file" in node.toml')
        return self._folder
