"""What insurer and co-adjudicator compute alike before a hold or a recovery is signed: opening, account, body.

The insurer's package goes as a `holding` parcel; the answer is the endorsement of the transaction's core. Must always
hold: nothing of the package is taken on trust, and the co-adjudicator endorses its own result or names a code.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from contracts.case import Case
from contracts.cases.building import PolicyInput
from contracts.cases.checking import Mismatch, Package, check_holds
from contracts.cases.documents import Record
from contracts.cases.errors import CaseError
from contracts.cases.holds import Interim, build_interim_case, open_hold, reserve_hold
from contracts.cases.lanes import read_lanes
from contracts.cases.movements import read_balance, take_back
from contracts.cases.openings import Opening, open_account
from contracts.cases.outcomes import read_adjudication
from contracts.commitments import commit
from contracts.errors import ContractError
from contracts.holdbodies import AdvancePay, GuaranteeIssue, RecoveryOpen
from contracts.holdstates import read_holds
from contracts.identifiers import (
    derive_hold_id,
    derive_payout_id,
    derive_product_hash,
    derive_recovery_id,
    derive_tables_hash,
)
from contracts.machine.errors import MachineError
from contracts.states import ClaimPolicy, ClaimState, read_account, read_consent, read_payout, read_policy, read_record
from contracts.versions import choose_version
from ledger.transactions import compute_core_hash
from node.agents.messages import HeldPolicyPart, HoldingMessage
from node.agents.ports import Ports
from node.agents.rulebook import find_source

OPEN_STATUSES: Final = frozenset({"REPORTED", "FILED"})
KIND_OF: Final[Mapping[str, str]] = {
    "advance": "advance.pay",
    "guarantee": "guarantee.issue",
    "recovery": "recovery.open",
}
Explain: TypeAlias = Callable[[str, Case], Awaitable[tuple[Any, list[Any]]]]
Body: TypeAlias = AdvancePay | GuaranteeIssue | RecoveryOpen


async def compute_hold(
    ports: Ports, interim: Interim, parts: Sequence[HeldPolicyPart], salts: tuple[str, str], forecast: Any
) -> tuple[Opening, Opening]:
    """(opening of the hold, opening of the account's next version). Raises CaseError, MachineError."""
    names = [part.policy_id for part in parts]
    position = names.index(interim.policy_id)
    inputs = [PolicyInput(part.policy_id, part.terms, part.tables, part.account_in, part.holds) for part in parts]
    case = build_interim_case(interim.claim_id, interim.record, inputs)
    programs = {part.contract_hash for part in parts}
    if len(programs) != 1:
        raise CaseError("PROGRAMS_DIFFER", "the policies of this claim are decided by different programs")
    source = find_source(ports.ledger.final, programs.pop(), derive_tables_hash(parts[0].tables))
    output, trace = await ports.machine.explain(source, case)
    result = read_adjudication(case, output, trace).results[position]
    part = parts[position]
    hold = open_hold(interim, read_lanes(part.terms), case, position, result, part.holds, salts[0], forecast=forecast)
    balance = reserve_hold(read_balance(part.account_in), hold)
    account = open_account(part.account_in["account_id"], part.account_in["version"] + 1, balance, salts[1])
    return hold, account


def next_hold_id(ports: Ports, kind: str, claim_id: str, policy_id: str) -> str:
    """The id that the ledger will give to one more hold."""
    known = read_holds(ports.ledger.final.read, claim_id)
    number = sum(item.kind == kind and item.policy_id == policy_id for item in known) + 1
    return derive_hold_id(kind, claim_id, policy_id, number)


def holding_body(asked: HoldingMessage) -> Body:
    """The body of what was asked for. Raises LookupError, TypeError, ContractError for what is none."""
    opening, claim_id = asked.opening, asked.opening["claim_id"]
    if asked.what == "recovery":
        moved = asked.account_out
        version, account = (None, None) if moved is None else (moved["version"] - 1, commit("account-version", moved))
        return RecoveryOpen(claim_id, asked.policy_id, commit("recovery", opening), version, account)
    if asked.account_out is None:
        raise LookupError("account_out")
    fields = {
        "claim_id": claim_id,
        "policy_id": asked.policy_id,
        "record_id": opening["record_id"],
        "account_version": asked.account_out["version"] - 1,
        "account_commit": commit("account-version", asked.account_out),
        "hold_commit": commit("hold", opening),
    }
    if asked.what == "advance":
        return AdvancePay(**fields)
    return GuaranteeIssue(**fields, valid_to_ms=asked.valid_to_ms)


def holding_core_hash(network: str, insurer: str, asked: HoldingMessage) -> str:
    """The core that a co-adjudicator endorses. Raises as `holding_body`."""
    core = compute_core_hash(
        network=network,
        kind=KIND_OF[asked.what],
        body=msgspec.to_builtins(holding_body(asked)),
        author=insurer,
        nonce=asked.nonce,
        expires_time=asked.expires_ms,
    )
    return core.hex()


async def holding_fault(
    ports: Ports, claim_id: str, claim: ClaimState, package: Package | None, asked: HoldingMessage
) -> str:
    """Why a co-adjudicator does not endorse; `ok` if all is as it computes it itself."""
    try:
        if asked.opening["claim_id"] != claim_id:
            return "CLAIM_MISMATCH"
        if asked.what == "recovery" and claim.status == "WITHDRAWN":
            return _withdrawn_fault(ports, claim_id, claim, asked)
        if asked.what == "recovery":
            return _recovery_fault(ports, claim_id, claim, package, asked)
        return await _hold_fault(ports, claim_id, claim, asked)
    except (ContractError, MachineError) as error:
        return error.code
    except (LookupError, TypeError, ValueError):
        return "HOLD_FORM"


def recovery_opening(claim_id: str, policy_id: str, attempt: int, result: Opening, salt: str) -> Opening:
    """What is to come back under one policy, as the opened result says."""
    return {
        "salt": salt,
        "recovery_id": derive_recovery_id(claim_id, policy_id, attempt),
        "claim_id": claim_id,
        "policy_id": policy_id,
        "amount_fen": int(result["result"]["recoverable_fen"]),
        "currency": result["currency"],
    }


def withdrawn_recovery(
    ports: Ports, claim_id: str, claim: ClaimState, part: HeldPolicyPart, salts: tuple[str, str]
) -> tuple[Opening, Opening]:
    """(opening of the recovery, opening of the account) of a claim that was withdrawn undecided: all that was advanced
    and not released comes back, and the account gives every advance's reservation back. Raises CaseError."""
    advances = [item for item in part.holds if item["kind"] == "advance"]
    payouts = {item["hold_id"]: read_payout(ports.ledger.final.read, item["hold_id"]) for item in advances}
    gone = {name for name, payout in payouts.items() if payout is not None and payout.status == "RELEASED"}
    balance = read_balance(part.account_in)
    for item in advances:
        balance = take_back(balance, item["hold_id"], item["effect"])
    opening = {
        "salt": salts[0],
        "recovery_id": derive_recovery_id(claim_id, part.policy_id, claim.attempt),
        "claim_id": claim_id,
        "policy_id": part.policy_id,
        "amount_fen": sum(int(item["amount_fen"]) for item in advances if item["hold_id"] not in gone),
        "currency": advances[0]["currency"],
    }
    account_id, version = part.account_in["account_id"], part.account_in["version"]
    return opening, open_account(account_id, version + 1, balance, salts[1])


def _withdrawn_fault(ports: Ports, claim_id: str, claim: ClaimState, asked: HoldingMessage) -> str:
    (part,) = asked.policies
    pinned = next((item for item in claim.policies if item.policy_id == part.policy_id), None)
    if asked.account_out is None or pinned is None or part.policy_id != asked.policy_id:
        return "HOLD_FORM"
    check_account(ports, claim_id, part, pinned)
    salts = (str(asked.opening["salt"]), str(asked.account_out["salt"]))
    computed = withdrawn_recovery(ports, claim_id, claim, part, salts)
    return "ok" if computed == (asked.opening, asked.account_out) else "RECOVERY_DIFFERS"


def _recovery_fault(
    ports: Ports, claim_id: str, claim: ClaimState, package: Package | None, asked: HoldingMessage
) -> str:
    """The result that this node signed for, and that the ledger took, leaves just this sum."""
    if package is None:
        return "NOT_SIGNED_HERE"
    item = next((one for one in package.policies if one.policy_id == asked.policy_id), None)
    payout = read_payout(ports.ledger.final.read, derive_payout_id(claim_id, asked.policy_id, claim.attempt))
    if item is None or payout is None or commit("result", item.result) != payout.result_commit:
        return "RESULT_COMMIT"
    salt = str(asked.opening.get("salt"))
    expected = recovery_opening(claim_id, asked.policy_id, claim.attempt, item.result, salt)
    return "ok" if expected == asked.opening and expected["amount_fen"] > 0 else "RECOVERY_DIFFERS"


async def _hold_fault(ports: Ports, claim_id: str, claim: ClaimState, asked: HoldingMessage) -> str:
    read = ports.ledger.final.read
    consent = read_consent(read, claim.consent_id)
    if consent is None or not consent.grants(ports.me, "co-adjudicate"):
        return "NOT_GRANTED"
    if claim.status not in OPEN_STATUSES:
        return "WRONG_STATE"
    record = Record(asked.opening["record_id"], "interim", asked.document, asked.secret)
    state = read_record(read, record.record_id)
    known = state is not None and state.case_id == claim.case_id and state.status == "ACCEPTED"
    if state is None or not known or state.record_type != "interim" or state.commitment != record.commitment:
        return "DOCUMENT_MISMATCH"
    if [part.policy_id for part in asked.policies] != [item.policy_id for item in claim.policies]:
        return "POLICY_SET"
    event_date = str(record.document["stay"]["admission_date"])
    for part, pinned in zip(asked.policies, claim.policies, strict=True):
        _check_part(ports, claim_id, part, pinned, event_date)
    named = [one for one in asked.policies if one.policy_id == asked.policy_id]
    if not named or not read_lanes(named[0].terms).designates(state.hospital):
        return "HOSPITAL_NOT_DESIGNATED"
    hold_id = next_hold_id(ports, asked.what, claim_id, asked.policy_id)
    interim = Interim(_kind(asked.what), hold_id, claim_id, asked.policy_id, record)
    if asked.account_out is None:
        return "HOLD_FORM"
    salts = (str(asked.opening["salt"]), str(asked.account_out["salt"]))
    computed = await compute_hold(ports, interim, asked.policies, salts, asked.opening.get("forecast"))
    return "ok" if computed == (asked.opening, asked.account_out) else "HOLD_DIFFERS"


def _check_part(ports: Ports, claim_id: str, part: HeldPolicyPart, pinned: ClaimPolicy, event_date: str) -> None:
    """Terms, program, tables, account and earlier holds are the ledger's. Raises Mismatch."""
    read = ports.ledger.final.read
    policy = read_policy(read, part.policy_id)
    if policy is None or commit("terms", part.terms) != policy.terms_commit:
        raise Mismatch("TERMS_MISMATCH", f"policy {part.policy_id}: other terms")
    product_hash = derive_product_hash(part.contract_hash, derive_tables_hash(part.tables))
    wanted = policy.product_hash
    if isinstance(pinned.versions, tuple):
        wanted = choose_version(pinned.versions, event_date).product_hash
    if part.contract_hash not in pinned.pinned or product_hash != wanted:
        raise Mismatch("PRODUCT_MISMATCH", f"policy {part.policy_id}: other program or tables")
    check_account(ports, claim_id, part, pinned)


def check_account(ports: Ports, claim_id: str, part: HeldPolicyPart, pinned: ClaimPolicy) -> None:
    """The account and the earlier holds are the ledger's. Raises Mismatch."""
    read = ports.ledger.final.read
    account = read_account(read, pinned.account_id)
    if account is None or part.account_in.get("version") != account.version:
        raise Mismatch("ACCOUNT_VERSION", f"policy {part.policy_id}: the account moved on")
    if commit("account-version", part.account_in) != account.commit:
        raise Mismatch("ACCOUNT_MISMATCH", f"policy {part.policy_id}: not the account's opening")
    check_holds(read_holds(read, claim_id), part.policy_id, part.holds)


def _kind(what: str) -> Any:
    return what
