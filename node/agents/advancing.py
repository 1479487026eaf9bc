"""The insurer's side of money before the decision: what the terms allow is asked for, taken to the ledger, and paid.

Each interim record that the commission accepted is used once. Must always hold: an opening that is kept
is the one that was endorsed, an advance is paid like every payout, and what an interim record does not allow is left
for the next one or the decision.
"""

from typing import Any, Final

import msgspec

from contracts.cases.building import PolicyInput
from contracts.cases.checking import Package, PolicyPackage
from contracts.cases.documents import Record, read_record
from contracts.cases.errors import CaseError
from contracts.cases.holds import Interim
from contracts.cases.lanes import read_lanes
from contracts.cases.openings import Opening
from contracts.holdstates import HoldItem, read_holds, read_recovery
from contracts.identifiers import derive_recovery_id
from contracts.machine.errors import MachineError
from contracts.states import ClaimPolicy, ClaimState, read_account, read_consent, read_payout, read_policy
from contracts.states import read_record as read_record_state
from ledger.encoding import convert
from ledger.transactions import Endorsement, SignedTransaction
from node.agents.agent import AGAIN, Step, wait
from node.agents.facts import leased_to_another
from node.agents.holdbook import holds_of, opens
from node.agents.holding import (
    KIND_OF,
    compute_hold,
    holding_body,
    holding_core_hash,
    next_hold_id,
    recovery_opening,
    withdrawn_recovery,
)
from node.agents.mail import open_latest, post, read_parcels, seal_parcel
from node.agents.messages import ClosureMessage, HeldPolicyPart, HoldingMessage
from node.agents.paying import FINISHED, Payer
from node.agents.policies import PolicyBook
from node.agents.ports import Ports
from node.agents.rulebook import apply_pins
from node.agents.submitting import Submitter
from node.errors import NodeError

MARGIN_MS: Final = 300_000
"""An endorsed transaction with less time left than this is asked for anew."""
PAID: Final = FINISHED | {"PAID_UNCONTESTED"}


class Holder:
    """Advances and recoveries of one insurer's claims. Guarantees are issued and drawn by people's transactions."""

    def __init__(self, ports: Ports, submitter: Submitter, book: PolicyBook, payer: Payer) -> None:
        self._ports = ports
        self._submitter = submitter
        self._book = book
        self._payer = payer

    async def hold(self, claim_id: str, claim: ClaimState) -> Step | None:
        """One move of an open stay; None if there is nothing to do now."""
        asked = self._asked(claim_id)
        if asked is not None:
            return await self._follow(claim_id, claim, asked)
        for item in claim.policies:
            record = self._next_record(claim_id, claim, item.policy_id)
            if record is not None and await self._ask_advance(claim_id, claim, item.policy_id, record):
                return wait("MISSING_ENDORSEMENT")
        return await self.pay(claim_id, claim)

    async def pay(self, claim_id: str, claim: ClaimState) -> Step | None:
        """One move of an advance that is not paid yet; None if all are."""
        for item in read_holds(self._ports.ledger.final.read, claim_id):
            payout = read_payout(self._ports.ledger.final.read, item.hold_id) if item.kind == "advance" else None
            if payout is None or payout.status in PAID:
                continue
            package = self._as_package(claim, item)
            if package is None:
                return wait("MISSING_PAYEE")
            return await self._payer.pay(item.hold_id, payout, package, package.policies[0])
        return None

    async def recover(self, claim_id: str, claim: ClaimState, package: Package) -> Step | None:
        """One move towards a recovery of what was advanced beyond the decision; None if there is none to open."""
        asked = self._asked(claim_id)
        if asked is not None and asked.what == "recovery":
            return await self._follow(claim_id, claim, asked)
        for item in package.policies:
            recovery_id = derive_recovery_id(claim_id, item.policy_id, claim.attempt)
            due = int(item.result["result"]["recoverable_fen"]) > 0
            if due and read_recovery(self._ports.ledger.final.read, recovery_id) is None:
                opening = recovery_opening(claim_id, item.policy_id, claim.attempt, item.result, self._ports.salt())
                self._ports.vault.put_secret(f"recovery/{recovery_id}", opening)
                self._post(claim_id, claim, self._message("recovery", item.policy_id, opening))
                return wait("MISSING_ENDORSEMENT")
        return None

    async def give_back(self, claim_id: str, claim: ClaimState) -> Step | None:
        """One move of a claim that was withdrawn undecided: what was advanced becomes a recovery. None if all is."""
        asked = self._asked(claim_id)
        if asked is not None:
            return await self._follow(claim_id, claim, asked)
        known = read_holds(self._ports.ledger.final.read, claim_id)
        for item in claim.policies if claim.decided_ms is None else ():
            advanced = any(one.kind == "advance" and one.policy_id == item.policy_id for one in known)
            recovery_id = derive_recovery_id(claim_id, item.policy_id, claim.attempt)
            if not advanced or read_recovery(self._ports.ledger.final.read, recovery_id) is not None:
                continue
            if leased_to_another(self._ports, claim_id, item.account_id):
                return wait("ACCOUNT_LEASED")
            self._ask_back(claim_id, claim, item, recovery_id)
            return wait("MISSING_ENDORSEMENT")
        return None

    def _ask_back(self, claim_id: str, claim: ClaimState, item: ClaimPolicy, recovery_id: str) -> None:
        state = read_account(self._ports.ledger.final.read, item.account_id)
        policy = self._book.held(item.policy_id, state.version if state else 0).policy
        holds = self.openings(claim_id, item.policy_id)
        part = HeldPolicyPart(item.policy_id, {}, {}, "00" * 32, policy.account, holds)
        salts = (self._ports.salt(), self._ports.salt())
        opening, account = withdrawn_recovery(self._ports, claim_id, claim, part, salts)
        with self._ports.vault.transaction():
            self._ports.vault.put_secret(f"recovery/{recovery_id}", opening)
            self._book.keep_account(account)
            message = self._message("recovery", item.policy_id, opening, account_out=account, policies=(part,))
            self._post(claim_id, claim, message)

    def openings(self, claim_id: str, policy_id: str) -> tuple[Opening, ...]:
        """What the ledger holds for a claim and policy, opened. Raises VaultError `missing`."""
        known = read_holds(self._ports.ledger.final.read, claim_id)
        return holds_of(self._ports, known, policy_id)

    # --- asking

    def _next_record(self, claim_id: str, claim: ClaimState, policy_id: str) -> Record | None:
        """The latest accepted interim record, if no advance used it or was refused on it."""
        lanes = read_lanes(self._ports.vault.need_secret(f"policy/{policy_id}")["terms"])
        found = self._interim_records(claim.case_id) if lanes.advance is not None else []
        if not found:
            return None
        _, record_id, hospital = found[-1]
        if not lanes.designates(hospital):
            return None
        known = read_holds(self._ports.ledger.final.read, claim_id)
        used = {item.record_id for item in known if (item.kind, item.policy_id) == ("advance", policy_id)}
        if record_id in used | {self._ports.vault.get_secret(f"hold-left/{claim_id}/{policy_id}")}:
            return None
        content = open_latest(self._ports, "record", record_id, sender=hospital)
        return None if content is None else read_record(record_id, content)

    def _interim_records(self, case_id: str) -> list[tuple[int, str, str]]:
        """(time, record, hospital) of the accepted ones that are here, the latest last."""
        read = self._ports.ledger.final.read
        names = {parcel.subject for parcel in self._ports.vault.parcels_of_case("record", case_id)}
        states = {name: read_record_state(read, name) for name in names}
        return sorted(
            (state.published_ms, name, state.hospital)
            for name, state in states.items()
            if state is not None and state.record_type == "interim" and state.status == "ACCEPTED"
        )

    async def _ask_advance(self, claim_id: str, claim: ClaimState, policy_id: str, record: Record) -> bool:
        """Compute and ask; False where the rule allows nothing on this record."""
        hold_id = next_hold_id(self._ports, "advance", claim_id, policy_id)
        interim = Interim("advance", hold_id, claim_id, policy_id, record)
        salts = (self._ports.salt(), self._ports.salt())
        forecast = self._ports.vault.get_secret(f"forecast/{record.record_id}")
        try:
            date = str(record.document["stay"]["admission_date"])
            parts = tuple(self._part(claim_id, item, date) for item in claim.policies)
            opening, account = await compute_hold(self._ports, interim, parts, salts, forecast)
        except (CaseError, MachineError):
            self._leave(claim_id, policy_id, record.record_id)
            return False
        message = self._message(
            "advance",
            policy_id,
            opening,
            account_out=account,
            document=record.document,
            secret=record.secret,
            policies=parts,
        )
        with self._ports.vault.transaction():
            self._ports.vault.put_secret(f"hold/{interim.hold_id}", opening)
            self._book.keep_account(account)
            self._post(claim_id, claim, message)
        return True

    def _part(self, claim_id: str, pinned: ClaimPolicy, event_date: str) -> HeldPolicyPart:
        state = read_account(self._ports.ledger.final.read, pinned.account_id)
        held = self._book.held(pinned.policy_id, state.version if state else 0)
        held = apply_pins(self._ports.ledger.final, pinned, held, event_date)
        policy: PolicyInput = held.policy
        holds = self.openings(claim_id, pinned.policy_id)
        return HeldPolicyPart(pinned.policy_id, policy.terms, policy.tables, held.contract_hash, policy.account, holds)

    def _message(self, what: Any, policy_id: str, opening: Opening, **more: Any) -> HoldingMessage:
        nonce, expires = self._ports.chance(16).hex(), self._submitter.expiry_ms()
        return HoldingMessage(what=what, policy_id=policy_id, opening=opening, nonce=nonce, expires_ms=expires, **more)

    def _post(self, claim_id: str, claim: ClaimState, message: HoldingMessage) -> None:
        policy = read_policy(self._ports.ledger.final.read, message.policy_id)
        judges = policy.co_adjudicators if policy else ()
        content = msgspec.to_builtins(message)
        envelope = seal_parcel(self._ports, "holding", claim_id, content, judges)
        with self._ports.vault.transaction():
            self._ports.vault.put_secret(f"holding/{claim_id}", content)
            post(self._ports, "holding", claim_id, claim.case_id, envelope, judges)

    # --- what was asked

    def _asked(self, claim_id: str) -> HoldingMessage | None:
        kept = self._ports.vault.get_secret(f"holding/{claim_id}")
        return None if kept is None else convert(kept, HoldingMessage)

    async def _follow(self, claim_id: str, claim: ClaimState, asked: HoldingMessage) -> Step:
        """The endorsements are collected and the transaction goes out; what was refused or is late is dropped."""
        name, signed = f"hold/{claim_id}", None
        if self._ports.vault.work.submission(name) is None:
            signed, refused = self._endorsed(claim_id, asked)
            if refused and asked.what == "recovery" and self._is_current(asked):
                return wait("RECOVERY_REFUSED")
            if refused or not self._is_current(asked):
                self._drop(claim_id, asked, left=refused)
                return AGAIN
            if signed is None:
                return wait("MISSING_ENDORSEMENT")
        progress = await self._submitter.submit_signed(name, claim_id, lambda: _require(signed))
        if progress.receipt is None:
            return wait(progress.code)
        self._submitter.settle(name)
        self._drop(claim_id, asked, left=progress.receipt.code not in ("ok", "ACCOUNT_VERSION", "ACCOUNT_LEASED"))
        return AGAIN

    def _endorsed(self, claim_id: str, asked: HoldingMessage) -> tuple[SignedTransaction | None, bool]:
        """(the transaction once enough endorsed it, whether one refused)."""
        policy = read_policy(self._ports.ledger.final.read, asked.policy_id)
        core = holding_core_hash(self._ports.network, self._ports.me, asked)
        given: dict[str, Endorsement] = {}
        for parcel, answer in read_parcels(self._ports, "held", claim_id, ClosureMessage):
            if answer.core_hash != core:
                continue
            if answer.code != "ok":
                return None, True
            given.setdefault(parcel.sender, Endorsement(parcel.sender, answer.key_id, answer.signature))
        if policy is None or len(given) < policy.threshold:
            return None, False
        endorsements = [given[name] for name in sorted(given)]
        body = holding_body(asked)
        kind = KIND_OF[asked.what]
        return self._submitter.sign(kind, body, endorsements, nonce=asked.nonce, expires_ms=asked.expires_ms), False

    def _is_current(self, asked: HoldingMessage) -> bool:
        if asked.expires_ms < self._ports.ledger.final.time_ms + MARGIN_MS:
            return False
        if asked.account_out is None:
            return True
        state = read_account(self._ports.ledger.final.read, asked.account_out["account_id"])
        return state is not None and state.version + 1 == asked.account_out["version"]

    def _drop(self, claim_id: str, asked: HoldingMessage, *, left: bool) -> None:
        with self._ports.vault.transaction():
            self._ports.vault.delete_secret(f"holding/{claim_id}")
            if left and asked.what != "recovery":
                self._leave(claim_id, asked.policy_id, asked.opening["record_id"])

    def _leave(self, claim_id: str, policy_id: str, record_id: str) -> None:
        self._ports.vault.put_secret(f"hold-left/{claim_id}/{policy_id}", record_id)

    # --- paying

    def _as_package(self, claim: ClaimState, item: HoldItem) -> Package | None:
        """An advance in the form that the payer takes; None while the payee's account is not known here."""
        consent = read_consent(self._ports.ledger.final.read, claim.consent_id)
        payees = read_parcels(self._ports, "payee", claim.consent_id, dict[str, Any])
        wanted = consent.payee_commit if consent else ""
        payee = next((opening for _, opening in payees if opens(opening, wanted)), None)
        if payee is None:
            return None
        hold = self._ports.vault.need_secret(f"hold/{item.hold_id}")
        result = {"currency": hold["currency"], "result": {"net_fen": hold["amount_fen"]}}
        reserved = {"payout_id": item.hold_id, "expected_fen": hold["amount_fen"], "effect": hold["effect"]}
        account = {"use": hold["effect"], "reserved": [reserved]}
        terms = self._ports.vault.need_secret(f"policy/{item.policy_id}")["terms"]
        part: Any = PolicyPackage(item.policy_id, terms, {}, {}, account, {}, {}, {}, result, _NO_STATEMENT)
        return Package("", claim.attempt, (), payee, (part,), released=False)


_NO_STATEMENT: Final[Any] = None
"""An advance is paid on its endorsed opening; no statement was made about it."""


def _require(signed: SignedTransaction | None) -> SignedTransaction:
    if signed is None:
        raise NodeError("expired", "the endorsed transaction was not included in time; it is asked for again")
    return signed
