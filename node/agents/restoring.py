"""Taking a paid outcome back from its coverage account and the loss pool, once every invoice of the case was reversed.

Both sides: the insurer proposes the next version and asks; the co-adjudicator computes it from what it signed for, and
endorses. Must always hold: the openings that the insurer keeps are those that were endorsed, nothing is endorsed
without a reversal on the ledger, and a movement waits while another claim holds the account. Who counts with the pool
next gets its opening as after a verdict.
"""

from typing import Any, Final

import msgspec

from contracts.bodies import AccountAmend
from contracts.cases.checking import Package, PolicyPackage
from contracts.cases.errors import CaseError
from contracts.cases.movements import read_balance, reservation_of, take_back
from contracts.cases.openings import Opening, open_account
from contracts.cases.pools import open_pool, read_losses, without
from contracts.commitments import commit
from contracts.identifiers import derive_payout_id, derive_pool_id
from contracts.states import (
    ClaimState,
    read_account,
    read_case,
    read_nullifier,
    read_payout,
    read_policy,
    read_pool,
    read_record,
)
from ledger.transactions import Endorsement, SignedTransaction, compute_core_hash
from node.agents.agent import AGAIN, Step, done, wait
from node.agents.facts import leased_to_another
from node.agents.mail import post, read_parcels, seal_parcel
from node.agents.messages import ClosureMessage, RestoringMessage
from node.agents.policies import PolicyBook
from node.agents.pooling import find_pool, post_pool
from node.agents.ports import Ports
from node.agents.submitting import Submitter
from node.errors import NodeError

TAKEN_BACK: Final = frozenset({"PAID", "PAID_UNCONTESTED"})
"""Payouts whose outcome can be taken back."""
MARGIN_MS: Final = 300_000
"""An endorsed amendment with less time left than this is asked for anew."""


class Restorer:
    """Restores what one insurer's paid claims took, where their invoices were reversed."""

    def __init__(self, ports: Ports, submitter: Submitter, book: PolicyBook) -> None:
        self._ports = ports
        self._submitter = submitter
        self._book = book

    async def restore(self, claim_id: str, claim: ClaimState, package: Package) -> Step:
        """One move for a closed claim; done when no account holds anything of it, or nothing was reversed."""
        if not is_reversed(self._ports, claim):
            return done("closed")
        for item in package.policies:
            payout = read_payout(self._ports.ledger.final.read, payout_of(claim_id, claim, item))
            if payout is not None and payout.status in TAKEN_BACK:
                return await self._restore_one(claim_id, claim, item)
            self._take_over(claim_id, claim, item)
        return done("restored")

    async def _restore_one(self, claim_id: str, claim: ClaimState, item: PolicyPackage) -> Step:
        account_id, name = item.statement.account_id, f"restoring/{claim_id}/{item.policy_id}"
        asked = self._ports.vault.get_secret(name)
        key = f"restore/{claim_id}/{item.policy_id}"
        signed = None
        if self._ports.vault.work.submission(key) is None:
            if leased_to_another(self._ports, claim_id, account_id):
                return wait("ACCOUNT_LEASED")
            if asked is None or not self._is_current(claim, asked):
                pool = find_pool(self._ports, claim.case_id)
                if pool is None:
                    return wait("MISSING_POOL")
                self._ask(name, claim_id, claim, item, pool)
                return wait("MISSING_ENDORSEMENT")
            signed = self._endorsed(claim_id, item, asked)
            if signed is None:
                return wait("MISSING_ENDORSEMENT")
        progress = await self._submitter.submit_signed(key, claim_id, lambda: _require(signed))
        if progress.receipt is None:
            return wait(progress.code)
        if progress.receipt.code == "ok":
            return AGAIN
        self._submitter.settle(key)
        self._ports.vault.delete_secret(name)
        return wait(progress.receipt.code)

    def _take_over(self, claim_id: str, claim: ClaimState, item: PolicyPackage) -> None:
        """The ledger says that the outcome is taken back: whoever counts with the pool next gets its opening. Once."""
        name = f"restoring/{claim_id}/{item.policy_id}"
        asked = self._ports.vault.get_secret(name)
        if asked is None:
            return
        with self._ports.vault.transaction():
            post_pool(self._ports, claim, asked["pool_out"])
            self._submitter.settle(f"restore/{claim_id}/{item.policy_id}")
            self._ports.vault.delete_secret(name)

    def _is_current(self, claim: ClaimState, asked: dict[str, Any]) -> bool:
        final = self._ports.ledger.final
        account = read_account(final.read, asked["account_out"]["account_id"])
        pool = read_pool(final.read, derive_pool_id(claim.case_id))
        if account is None or pool is None or asked["expires_ms"] < final.time_ms + MARGIN_MS:
            return False
        wanted = (asked["account_out"]["version"], asked["pool_out"]["version"])
        return (account.version + 1, pool.version + 1) == wanted

    def _ask(self, name: str, claim_id: str, claim: ClaimState, item: PolicyPackage, pool: Opening) -> None:
        """Account and pool as they are and as they would be, to the policy's co-adjudicators."""
        state = read_account(self._ports.ledger.final.read, item.statement.account_id)
        policy = read_policy(self._ports.ledger.final.read, item.policy_id)
        assert state is not None, "a decided claim's account is on the ledger"
        assert policy is not None, "and so is its policy"
        before = self._book.account(item.statement.account_id, state.version)
        payout_id = payout_of(claim_id, claim, item)
        after = restored_opening(before, item, payout_id, self._ports.salt())
        asked = {
            "nonce": self._ports.chance(16).hex(),
            "expires_ms": self._submitter.expiry_ms(),
            "account_out": after,
            "pool_out": restored_pool(claim.case_id, pool, payout_id, self._ports.salt()),
        }
        content = {"policy_id": item.policy_id, "account_in": before, "pool_in": pool, **asked}
        envelope = seal_parcel(self._ports, "restoring", claim_id, content, policy.co_adjudicators)
        with self._ports.vault.transaction():
            self._book.keep_account(after)
            self._ports.vault.put_secret(name, asked)
            post(self._ports, "restoring", claim_id, claim.case_id, envelope, policy.co_adjudicators)

    def _endorsed(self, claim_id: str, item: PolicyPackage, asked: dict[str, Any]) -> SignedTransaction | None:
        """The amendment with as many endorsements as the policy takes; None while there are fewer."""
        policy = read_policy(self._ports.ledger.final.read, item.policy_id)
        payout_id = derive_payout_id(claim_id, item.policy_id, item.statement.attempt)
        body = amendment_of(asked["account_out"], asked["pool_out"], payout_id)
        core = restoring_core_hash(self._ports.network, self._ports.me, body, asked["nonce"], asked["expires_ms"])
        given: dict[str, Endorsement] = {}
        for parcel, answer in read_parcels(self._ports, "restored", claim_id, ClosureMessage):
            if answer.core_hash == core and answer.code == "ok":
                given.setdefault(parcel.sender, Endorsement(parcel.sender, answer.key_id, answer.signature))
        if policy is None or len(given) < policy.threshold:
            return None
        endorsements = [given[name] for name in sorted(given)]
        return self._submitter.sign(
            "account.amend", body, endorsements, nonce=asked["nonce"], expires_ms=asked["expires_ms"]
        )


def is_reversed(ports: Ports, claim: ClaimState) -> bool:
    """Whether every invoice that the claim was decided on was reversed by a red one, not all within the case."""
    read = ports.ledger.final.read
    case = read_case(read, claim.case_id)
    records = {name: read_record(read, name) for name in (case.records if case else ())}
    names = {state.nullifier for state in records.values() if state is not None and state.nullifier is not None}
    locks = [read_nullifier(read, name) for name in sorted(names)]
    blue = [lock for lock in locks if lock is not None and lock.reverses is None]
    later = [lock for lock in blue if lock.reversed_by is not None and lock.reversed_by not in names]
    return bool(later) and all(lock.reversed_by is not None for lock in blue)


def restoring_fault(ports: Ports, claim_id: str, claim: ClaimState, package: Package, asked: RestoringMessage) -> str:
    """Why a co-adjudicator does not endorse; `ok` if the next version is the one without this outcome."""
    item = next((one for one in package.policies if one.policy_id == asked.policy_id), None)
    if item is None or not is_reversed(ports, claim):
        return "NOTHING_REVERSED"
    payout_id = payout_of(claim_id, claim, item)
    try:
        return _account_fault(ports, item, payout_id, asked) or _pool_fault(ports, claim, payout_id, asked) or "ok"
    except CaseError as error:
        return error.code
    except (LookupError, TypeError):
        return "ACCOUNT_FORM"


def _account_fault(ports: Ports, item: PolicyPackage, payout_id: str, asked: RestoringMessage) -> str | None:
    state = read_account(ports.ledger.final.read, item.statement.account_id)
    if state is None or asked.account_in.get("version") != state.version:
        return "ACCOUNT_VERSION"
    if commit("account-version", asked.account_in) != state.commit:
        return "ACCOUNT_MISMATCH"
    expected = restored_opening(asked.account_in, item, payout_id, str(asked.account_out.get("salt")))
    return None if expected == asked.account_out else "ACCOUNT_OUT"


def _pool_fault(ports: Ports, claim: ClaimState, payout_id: str, asked: RestoringMessage) -> str | None:
    state = read_pool(ports.ledger.final.read, derive_pool_id(claim.case_id))
    if state is None or asked.pool_in.get("version") != state.version:
        return "POOL_VERSION"
    if commit("pool-version", asked.pool_in) != state.commit:
        return "POOL_MISMATCH"
    expected = restored_pool(claim.case_id, asked.pool_in, payout_id, str(asked.pool_out.get("salt")))
    return None if expected == asked.pool_out else "POOL_OUT"


def restored_opening(before: Opening, item: PolicyPackage, payout_id: str, salt: str) -> Opening:
    """The next version of the account, without what this outcome took. Raises CaseError."""
    held = reservation_of(read_balance(item.account_out), payout_id)
    if held is None:
        raise CaseError("RESERVATION_UNKNOWN", "the outcome reserved nothing")
    balance = take_back(read_balance(before), payout_id, held.effect)
    return open_account(before["account_id"], before["version"] + 1, balance, salt)


def restored_pool(case_id: str, before: Opening, payout_id: str, salt: str) -> Opening:
    """The next version of the loss pool, without what this outcome paid. Raises CaseError `DOCUMENT_FORM`."""
    return open_pool(case_id, before["version"] + 1, without(read_losses(before), {payout_id}), salt)


def amendment_of(account_out: Opening, pool_out: Opening, payout_id: str) -> AccountAmend:
    """The body that brings these openings onto the ledger."""
    return AccountAmend(
        account_id=account_out["account_id"],
        account_version=account_out["version"] - 1,
        account_commit=commit("account-version", account_out),
        restores=payout_id,
        token=None,
        pool_version=pool_out["version"] - 1,
        pool_commit=commit("pool-version", pool_out),
    )


def restoring_core_hash(network: str, insurer: str, body: AccountAmend, nonce: str, expires_ms: int) -> str:
    """The core that a co-adjudicator endorses."""
    core = compute_core_hash(
        network=network,
        kind="account.amend",
        body=msgspec.to_builtins(body),
        author=insurer,
        nonce=nonce,
        expires_time=expires_ms,
    )
    return core.hex()


def payout_of(claim_id: str, claim: ClaimState, item: PolicyPackage) -> str:
    """The payout of a policy's outcome."""
    return derive_payout_id(claim_id, item.policy_id, claim.attempt)


def _require(signed: SignedTransaction | None) -> SignedTransaction:
    if signed is None:
        raise NodeError("expired", "the endorsed amendment was not included in time; it is asked for again")
    return signed
