"""From a decision to the close: order, bank, settlement, the customer's mail, and the word that nothing was due.

The insurer's side of protocol rule 8. Must always hold: an order is on the ledger before the bank is asked, every
attempt of a payout has the same EndToEndId, a further one takes the bank's refusal and then a person's word (or the
payee's other account), and a payout without money is closed only with a co-adjudicator's endorsement.
"""

from typing import Any, Final

from msgspec.structs import replace

from contracts.bodies import ClaimClose, PayoutFail, PayoutLapse, PayoutOrder, PayoutSettle
from contracts.cases.checking import Package, PolicyPackage
from contracts.cases.openings import Opening, end_to_end_id
from contracts.commitments import commit
from contracts.holdstates import read_holds
from contracts.identifiers import derive_payout_id
from contracts.states import (
    ClaimState,
    ConsentState,
    PayoutState,
    read_claim,
    read_consent,
    read_parameters,
    read_payout,
    read_policy,
)
from ledger.state import Reader
from ledger.transactions import Endorsement, SignedTransaction, compute_core_hash
from node.agents.agent import AGAIN, Step, wait
from node.agents.amounts import actual_of, expected_of
from node.agents.facts import require_claim
from node.agents.ledgerbook import ClaimBook
from node.agents.mail import keepers_of, post, read_parcels, seal_parcel
from node.agents.messages import ClosureMessage
from node.agents.notices import send_notice
from node.agents.policies import PolicyBook
from node.agents.pooling import post_pool
from node.agents.ports import Booking, PaymentOrder, Ports, Rejection
from node.agents.submitting import Submitter
from node.errors import NodeError
from node.vault import VaultError

CLOSING_MARGIN_MS: Final = 300_000
"""An endorsed close with less time left than this is asked for anew."""
FINISHED: Final = frozenset({"PAID", "PAID_UNCONTESTED", "NOT_DUE"})


class Payer:
    """Pays and closes one insurer's decided claims."""

    def __init__(self, ports: Ports, submitter: Submitter, book: PolicyBook, claims: ClaimBook) -> None:
        self._ports = ports
        self._submitter = submitter
        self._book = book
        self._claims = claims

    async def settle(self, claim_id: str, package: Package) -> Step:
        """One move of a decided claim towards its close."""
        claim = require_claim(self._ports, claim_id)
        self.tell(claim_id, claim, package)
        waiting = "claim.close"
        for item in package.policies:
            payout_id = derive_payout_id(claim_id, item.policy_id, claim.attempt)
            payout = read_payout(self._ports.ledger.final.read, payout_id)
            if payout is None or payout.status in FINISHED or expected_of(item) == 0:
                continue
            if payout.status == "AUTHORISED" and self._is_guaranteed(claim_id, item.policy_id):
                waiting = "GUARANTEE_OPEN"
                continue
            step = await self.pay(payout_id, payout, package, item)
            if step.kind == "again":
                return step
            waiting = step.code
        if waiting != "claim.close":
            self._claims.set_status(claim_id, "paying")
            return wait(waiting)
        return await self._close(claim_id, claim, package)

    # --- after the decision

    def tell(self, claim_id: str, claim: ClaimState, package: Package) -> None:
        """Everybody whom the decision concerns. Once, or again: the same."""
        self._take_over(claim_id, claim, package)
        send_notice(self._ports, claim_id, claim, package)

    def _take_over(self, claim_id: str, claim: ClaimState, package: Package) -> None:
        """Keep the new account versions, and send the customer's and the next rank's mail. Once, or again: the same."""
        consent = self._consent(claim.consent_id)
        told = f"decided/{claim_id}" if claim.attempt == 1 else f"decided/{claim_id}/{claim.attempt}"
        if self._ports.vault.get_secret(told) is not None:
            return
        with self._ports.vault.transaction():
            for item in package.policies:
                self._book.keep_account(item.account_out)
                digest = item.statement.delivered[0].ciphertext_digest
                keepers = [name for name in keepers_of(consent) if name != self._ports.me]
                self._ports.vault.outbox.add(keepers, "decision", claim_id, claim.case_id, digest)
            post_pool(self._ports, claim, package.policies[-1].pool_out)
            self._claims.keep_computed(
                claim_id, _currency(package), [item.result["result"] for item in package.policies]
            )
            self._ports.vault.put_secret(told, 1)
            self._claims.set_status(claim_id, "decided")

    # --- money

    def _is_guaranteed(self, claim_id: str, policy_id: str) -> bool:
        """Whether a guarantee that was not released covers a part: what it leaves to be paid is for people to say."""
        held = read_holds(self._ports.ledger.final.read, claim_id)
        return any(one.kind == "guarantee" and one.policy_id == policy_id and one.live for one in held)

    def owes(self, claim_id: str, claim: ClaimState, package: Package) -> bool:
        """Whether a payout of the decision is not finished."""
        for item in package.policies:
            payout = read_payout(
                self._ports.ledger.final.read, derive_payout_id(claim_id, item.policy_id, claim.attempt)
            )
            if payout is not None and payout.status not in FINISHED and expected_of(item) > 0:
                return True
        return False

    async def pay(self, payout_id: str, payout: PayoutState, package: Package, item: PolicyPackage) -> Step:
        match payout.status:
            case "AUTHORISED":
                return await self._order(payout_id, payout, package.payee, item)
            case "FAILED":
                return await self._order_again(payout_id, payout, package.payee, item)
            case "ORDERED" | "CONTESTED":
                return await self._book_payment(payout_id, payout, package.payee, item)
            case "SETTLED_CLAIMED":
                return await self._await_payee(payout_id, payout)
        return wait(payout.status)

    async def _order_again(self, payout_id: str, payout: PayoutState, payee: Opening, item: PolicyPackage) -> Step:
        """Another attempt, once a person asked for it; with another account if the payee signed for one."""
        asked = self._ports.vault.get_secret(f"retry/{payout_id}/{payout.attempt + 1}")
        if asked is None:
            return wait("PAYOUT_FAILED")
        return await self._order(payout_id, payout, asked["payee"] or payee, item, asked["payee_token"])

    async def _order(
        self, payout_id: str, payout: PayoutState, payee: Opening, item: PolicyPackage, token: str | None = None
    ) -> Step:
        attempt = payout.attempt + 1
        unusable = self._ports.bank.check_payee(payee)
        if unusable is not None:
            return wait(unusable)

        def build() -> PayoutOrder:
            opening = {
                "salt": self._ports.salt(),
                "payout_id": payout_id,
                "attempt": attempt,
                "amount_fen": actual_of(item, payout_id),
                "currency": item.result["currency"],
                "end_to_end_id": end_to_end_id(payout_id),
            }
            self._ports.vault.put_secret(f"order/{payout_id}/{attempt}", opening)
            order = PayoutOrder(payout_id=payout_id, attempt=attempt, order_commit=commit("order", opening))
            return order if token is None else replace(order, payee_token=token)

        return await self._submit(f"order/{payout_id}/{attempt}", payout.claim_id, "payout.order", build)

    async def _book_payment(self, payout_id: str, payout: PayoutState, payee: Opening, item: PolicyPackage) -> Step:
        """Settles with the bank's booking, fails with its refusal or return, waits for anything else.

        A contested settlement is not settled with the same booking again: that takes a person or the bank's return.
        """
        name = f"settlement/{payout_id}/{payout.attempt}"
        opening = self._ports.vault.get_secret(name)
        if opening is None or commit("settlement", opening) == payout.settlement_commit:
            answer = await self._ask_bank(payout_id, payout, payee)
            if isinstance(answer, Rejection):
                return await self._fail(payout_id, payout, answer)
            if answer is None or (opening is not None and answer.bank_reference == opening["bank_reference"]):
                return wait("CONTESTED" if payout.status == "CONTESTED" else "BANK_UNKNOWN")
            opening = self._open_settlement(payout_id, payout, answer, expected_of(item))
            self._ports.vault.put_secret(name, opening)
        settlement = commit("settlement", opening)
        body = PayoutSettle(payout_id=payout_id, attempt=payout.attempt, settlement_commit=settlement)
        key = f"settle/{payout_id}/{payout.attempt}"
        return await self._submit(key, payout.claim_id, "payout.settle", lambda: body)

    async def _ask_bank(self, payout_id: str, payout: PayoutState, payee: Opening) -> Booking | Rejection | None:
        ordered = self._ports.vault.need_secret(f"order/{payout_id}/{payout.attempt}")
        asked = self._ports.vault.get_secret(f"retry/{payout_id}/{payout.attempt}")
        order = PaymentOrder(
            payout_id=payout_id,
            attempt=payout.attempt,
            end_to_end_id=ordered["end_to_end_id"],
            amount_fen=ordered["amount_fen"],
            currency=ordered["currency"],
            payee=(asked["payee"] if asked else None) or payee,
        )
        return await self._ports.bank.pay(order)

    async def _fail(self, payout_id: str, payout: PayoutState, answer: Rejection) -> Step:
        """The bank's own word goes on the ledger as a commitment; what was reserved stays reserved."""
        key = f"fail/{payout_id}/{payout.attempt}"

        def build() -> PayoutFail:
            opening = {
                "salt": self._ports.salt(),
                "payout_id": payout_id,
                "attempt": payout.attempt,
                "message_id": answer.message_id,
                "status": answer.status,
                "reasons": list(answer.reasons),
                "booking_date": answer.booking_date,
                "bank_reference": answer.bank_reference,
            }
            self._ports.vault.put_secret(f"bank-answer/{payout_id}/{payout.attempt}", opening)
            return PayoutFail(payout_id=payout_id, attempt=payout.attempt, bank_commit=commit("bank", opening))

        return await self._submit(key, payout.claim_id, "payout.fail", build)

    def _open_settlement(self, payout_id: str, payout: PayoutState, booking: Booking, expected_fen: int) -> Opening:
        ordered = self._ports.vault.need_secret(f"order/{payout_id}/{payout.attempt}")
        return {
            "salt": self._ports.salt(),
            "payout_id": payout_id,
            "attempt": payout.attempt,
            "expected_fen": expected_fen,
            "amount_fen": ordered["amount_fen"],
            "currency": ordered["currency"],
            "account": booking.account,
            "booking_date": booking.booking_date,
            "bank_reference": booking.bank_reference,
        }

    async def _await_payee(self, payout_id: str, payout: PayoutState) -> Step:
        """The settlement's opening to the customer's mailbox; then the payee's token, or the end of the time for it."""
        told = f"told/{payout_id}"
        if self._ports.vault.get_secret(told) != payout.settlement_commit:
            consent = self._consent(payout.consent_id)
            opening = self._ports.vault.need_secret(f"settlement/{payout_id}/{payout.attempt}")
            keepers = keepers_of(consent)
            envelope = seal_parcel(self._ports, "settlement", payout_id, opening, [], consent.mailbox_key)
            with self._ports.vault.transaction():
                claim = read_claim(self._ports.ledger.final.read, payout.claim_id)
                post(self._ports, "settlement", payout_id, claim.case_id if claim else None, envelope, keepers)
                self._ports.vault.put_secret(told, payout.settlement_commit)
        final = self._ports.ledger.final
        if not isinstance(payout.settled_ms, int) or final.time_ms <= payout.settled_ms + _contest_ms(final.read):
            return wait("MISSING_ACK")
        key = f"lapse/{payout_id}/{payout.attempt}"
        body = PayoutLapse(payout_id=payout_id)
        return await self._submit(key, payout.claim_id, "payout.lapse", lambda: body)

    async def _submit(self, key: str, claim_id: str, kind: str, build: Any) -> Step:
        progress = await self._submitter.submit_once(key, claim_id, kind, build)
        if progress.receipt is None:
            return wait(progress.code)
        self._submitter.settle(key)
        return AGAIN if progress.receipt.code == "ok" else wait(progress.receipt.code)

    # --- closing

    async def _close(self, claim_id: str, claim: ClaimState, package: Package) -> Step:
        key = f"close/{claim_id}"
        if not self._unpaid(claim):
            return await self._submit(key, claim_id, "claim.close", lambda: ClaimClose(claim_id=claim_id))
        if self._ports.vault.work.submission(key) is None:
            signed = self._endorsed_close(claim_id, claim)
            if signed is None:
                return wait("MISSING_ENDORSEMENT")
        else:
            signed = None
        progress = await self._submitter.submit_signed(key, claim_id, lambda: _require(signed))
        if progress.receipt is None:
            return wait(progress.code)
        self._submitter.settle(key)
        self._ports.vault.delete_secret(f"closing/{claim_id}")
        return AGAIN if progress.receipt.code == "ok" else wait(progress.receipt.code)

    def _unpaid(self, claim: ClaimState) -> list[str]:
        states = {name: read_payout(self._ports.ledger.final.read, name) for name in claim.payouts}
        return [name for name, state in states.items() if state is not None and state.status not in FINISHED]

    def _endorsed_close(self, claim_id: str, claim: ClaimState) -> SignedTransaction | None:
        """The close with its endorsement, once a co-adjudicator gave it; asks for it before."""
        asked = self._ports.vault.get_secret(f"closing/{claim_id}")
        if asked is None or asked["expires_ms"] < self._ports.ledger.final.time_ms + CLOSING_MARGIN_MS:
            self._ask_closing(claim_id, claim)
            return None
        for parcel, answer in read_parcels(self._ports, "closure", claim_id, ClosureMessage):
            if answer.core_hash != self._core_hash(claim_id, asked) or answer.code != "ok":
                continue
            endorsement = Endorsement(parcel.sender, answer.key_id, answer.signature)
            return self._submitter.sign(
                "claim.close",
                ClaimClose(claim_id=claim_id),
                [endorsement],
                nonce=asked["nonce"],
                expires_ms=asked["expires_ms"],
            )
        return None

    def _ask_closing(self, claim_id: str, claim: ClaimState) -> None:
        asked = {"nonce": self._ports.chance(16).hex(), "expires_ms": self._submitter.expiry_ms()}
        judges = self._judges(claim)
        content = {"claim_id": claim_id, **asked}
        envelope = seal_parcel(self._ports, "closing", claim_id, content, judges)
        with self._ports.vault.transaction():
            self._ports.vault.put_secret(f"closing/{claim_id}", asked)
            post(self._ports, "closing", claim_id, claim.case_id, envelope, judges)

    def _core_hash(self, claim_id: str, asked: dict[str, Any]) -> str:
        return close_core_hash(self._ports.network, self._ports.me, claim_id, asked["nonce"], asked["expires_ms"])

    def _judges(self, claim: ClaimState) -> list[str]:
        read = self._ports.ledger.final.read
        policies = [read_policy(read, item.policy_id) for item in claim.policies]
        return sorted({name for policy in policies if policy is not None for name in policy.co_adjudicators})

    def _consent(self, consent_id: str) -> ConsentState:
        consent = read_consent(self._ports.ledger.final.read, consent_id)
        if consent is None:
            raise VaultError("missing", "the claim's consent is not on the ledger")
        return consent


def close_core_hash(network: str, insurer: str, claim_id: str, nonce: str, expires_ms: int) -> str:
    """The core that a co-adjudicator endorses to say that nothing was due."""
    core = compute_core_hash(
        network=network,
        kind="claim.close",
        body={"claim_id": claim_id},
        author=insurer,
        nonce=nonce,
        expires_time=expires_ms,
    )
    return core.hex()


def _contest_ms(read: Reader) -> int:
    return read_parameters(read).parameters.contest_ms


def _currency(package: Package) -> str:
    return str(package.policies[0].result["currency"])


def _require(signed: SignedTransaction | None) -> SignedTransaction:
    if signed is None:
        raise NodeError("expired", "the endorsed close was not included in time; it is asked for again")
    return signed
