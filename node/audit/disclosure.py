"""Checks 9 to 12: what the file discloses is what was committed to, and the program gives the same result again.

The checks are those that a co-adjudicator makes before it signs, on state as the verdict found it. What is not
disclosed stays a commitment and is said to be so; a disclosed part that does not fit is a failure.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from msgspec import Struct

from contracts.case import Case, encode_case
from contracts.cases.accounts import advance_account
from contracts.cases.checking import LedgerFacts, Package, PolicyPackage, check_inputs, check_outputs
from contracts.cases.documents import Record
from contracts.cases.openings import balance_owner_of, end_to_end_id
from contracts.cases.outcomes import Adjudication, read_adjudication
from contracts.cases.rerun import case_of
from contracts.commitments import OpeningKind, commit, commit_document, commit_leaves, field_leaf
from contracts.errors import ContractError
from contracts.execution import ChainState
from contracts.holdstates import read_holds
from contracts.identifiers import derive_payout_id, derive_pool_id
from contracts.states import (
    ClaimState,
    PayoutState,
    RecordState,
    State,
    read_account,
    read_case,
    read_claim,
    read_consent,
    read_payout,
    read_policy,
    read_pool,
    read_record,
)
from ledger.encoding import decode
from ledger.errors import LedgerError
from ledger.state import Reader, Versioned
from node.audit.dossier import DisclosedRecord, Dossier, PaymentOpening
from node.audit.history import History
from node.audit.programs import check_programs
from node.audit.replay_claim import Replayed
from node.audit.report import TITLES, AuditFailure, Check

ProgramRunner: TypeAlias = Callable[[str, str], tuple[str, str]]
"""(contract hash, case text) -> (result text, explanation text). Raises MachineError or KeyError."""


class Amount(Struct, frozen=True):
    """Of one policy: what the result leaves to be paid, and what was paid if the file shows it, in minor units."""

    policy_id: str
    currency: str
    balance_owner: str
    expected_fen: int
    actual_fen: int | None


class Disclosure(Struct, frozen=True):
    """Lines of checks 9-12 and, if the program could be run again, its explanation, results and amounts."""

    checks: tuple[Check, ...]
    trace: tuple[dict[str, Any], ...]
    results: tuple[dict[str, Any], ...]
    amounts: tuple[Amount, ...] = ()


def check_disclosure(history: History, replayed: Replayed, start: ChainState, run: ProgramRunner) -> Disclosure:
    """Raises AuditFailure at the first part that does not hold."""
    dossier = history.dossier
    check_programs(dossier.programs or (), replayed.verdict, start)
    now = _reader(replayed.current, start)
    checks = [_check_records(dossier, now)]
    opened = [item.policy_id for item in dossier.policies]
    if opened != sorted(set(opened)):
        raise AuditFailure(10, "order", "policies ascend by id without repeats")
    package, facts = _package(history, replayed, start, now)
    if package is None or facts is None:
        _refuse_loose_openings(dossier)
        withheld = _count_withheld(dossier)
        why = f"not re-run: {withheld} fields not disclosed" if withheld else ""
        checks += [_line(10, why or "openings of the outcome"), _line(11, why or "evidence and openings")]
        checks.append(_line(12, "payments"))
        return Disclosure(checks=tuple(checks), trace=(), results=())
    _guard(10, lambda: check_inputs(facts, package))
    case = _guard(10, lambda: case_of(package))
    checks.append(_proved(10, f"{len(package.policies)} policies"))
    adjudication = _guard(11, lambda: _run_again(package, case, run))
    uses = [_use_after(item, case, position, adjudication) for position, item in enumerate(package.policies)]
    _guard(11, lambda: check_outputs(facts, package, case, adjudication, uses))
    checks.append(_proved(11, f"program {package.policies[0].statement.contract_hash[:16]}"))
    checks.append(_check_payments(dossier, now))
    amounts = tuple(_guard(10, partial(_amount, dossier, item)) for item in package.policies)
    return Disclosure(tuple(checks), adjudication.trace, adjudication.results, amounts)


def _reader(values: dict[str, Versioned], start: ChainState) -> Reader:
    return lambda key: values.get(key) or start.read(key)


def _guard(number: int, step: Callable[[], Any]) -> Any:
    try:
        return step()
    except (LedgerError, ContractError) as error:
        raise AuditFailure(number, error.code, error.detail) from None


def _proved(number: int, detail: str) -> Check:
    return Check(number=number, title=TITLES[number], outcome="proved", detail=detail)


def _line(number: int, what: str) -> Check:
    return Check(number=number, title=TITLES[number], outcome="not disclosed", detail=what)


def _require(found: State | None, what: str) -> Any:
    if found is None:
        raise AuditFailure(9, "not_in_history", f"{what} is not part of the file's history")
    return found


def _check_records(dossier: Dossier, read: Reader) -> Check:
    ids = [item.record_id for item in dossier.records]
    if ids != sorted(set(ids)):
        raise AuditFailure(9, "order", "records ascend by id without repeats")
    claim: ClaimState = _require(read_claim(read, dossier.claim_id), "the claim")
    case = _require(read_case(read, claim.case_id), "the case")
    for item in dossier.records:
        known: RecordState = _require(read_record(read, item.record_id), f"record {item.record_id}")
        if _guard(9, partial(_commitment, item)) != known.commitment:
            raise AuditFailure(9, "DOCUMENT_MISMATCH", f"record {item.record_id} is not the one that was published")
    hidden = len(set(case.records) - set(ids))
    if not ids:
        return _line(9, f"{hidden} records of the evidence")
    parts = [item for item in dossier.records if item.secret is None]
    if parts:
        shown, withheld = sum(len(item.document) for item in parts), _count_withheld(dossier)
        text = f"{len(ids) - len(parts)} whole, of {len(parts)} in part {shown} fields shown and {withheld} not"
        return _proved(9, f"{text}; {hidden} of the evidence not at all")
    return _proved(9, f"{len(ids)} disclosed, {hidden} of the evidence not")


def _commitment(item: DisclosedRecord) -> str:
    """What the disclosed document, or the disclosed part of one, was committed to as."""
    if item.secret is not None:
        if item.salts is not None or item.leaves is not None:
            raise AuditFailure(9, "form", "a whole document needs neither salts nor leaves")
        return commit_document(item.document, item.secret)
    salts, leaves = item.salts or {}, item.leaves or ()
    shown = iter([field_leaf(name, salts.get(name, ""), item.document[name]) for name in sorted(item.document)])
    places = sum(leaf is None for leaf in leaves)
    if salts.keys() != item.document.keys() or places != len(salts) or not 0 < places < len(leaves):
        raise AuditFailure(9, "form", "salts and leaves of a part do not go with its fields")
    return commit_leaves([next(shown) if leaf is None else bytes.fromhex(leaf) for leaf in leaves])


def _count_withheld(dossier: Dossier) -> int:
    return sum(leaf is not None for item in dossier.records for leaf in item.leaves or ())


def _package(
    history: History, replayed: Replayed, start: ChainState, now: Reader
) -> tuple[Package | None, LedgerFacts | None]:
    """What the verdict was made of, as far as the file discloses all of it."""
    dossier, verdict = history.dossier, replayed.verdict
    claim = read_claim(now, dossier.claim_id)
    if verdict is None or replayed.before_verdict is None or claim is None:
        return None, None
    case = _require(read_case(now, claim.case_id), "the case")
    disclosed = {item.record_id for item in dossier.records if item.secret is not None}
    opened = {item.policy_id: item for item in dossier.policies}
    statements = {item.statement.policy_id: item.statement for item in verdict.statements}
    if dossier.payee is None or not set(case.records) <= disclosed or set(opened) != set(statements):
        return None, None
    read = _reader(replayed.before_verdict, start)
    facts = _facts(history, replayed, read, start.genesis.network)
    types = {record_id: known.record_type for record_id, known in facts.records.items()}
    records = tuple(
        Record(item.record_id, types[item.record_id], item.document, item.secret)
        for item in dossier.records
        if item.record_id in types and item.secret is not None
    )
    policies = tuple(
        PolicyPackage(
            policy_id=item.policy_id,
            terms=opened[item.policy_id].terms,
            tables=opened[item.policy_id].tables,
            account_in=opened[item.policy_id].account_in,
            account_out=opened[item.policy_id].account_out,
            pool_in=opened[item.policy_id].pool_in,
            pool_out=opened[item.policy_id].pool_out,
            event_date=opened[item.policy_id].event_date,
            result=opened[item.policy_id].result,
            statement=statements[item.policy_id],
            holds=opened[item.policy_id].holds,
            earlier=opened[item.policy_id].earlier,
        )
        for item in facts.claim.policies
    )
    attempt = verdict.statements[0].statement.attempt
    return Package(dossier.claim_id, attempt, records, dossier.payee, policies, released=True), facts


def _facts(history: History, replayed: Replayed, read: Reader, network: str) -> LedgerFacts:
    claim_id = history.dossier.claim_id
    claim = _require(read_claim(read, claim_id), "the claim")
    case = _require(read_case(read, claim.case_id), "the case")
    listed = [item.policy_id for item in claim.policies]
    policies = {item: _require(read_policy(read, item), f"policy {item}") for item in listed}
    accounts = {
        item.account_id: _require(read_account(read, item.account_id), "an account") for item in policies.values()
    }
    return LedgerFacts(
        network=network,
        time_ms=replayed.verdict_time_ms,
        claim_id=claim_id,
        claim=claim,
        consent=_require(read_consent(read, claim.consent_id), "the consent"),
        case=case,
        pool=_require(read_pool(read, derive_pool_id(claim.case_id)), "the loss pool"),
        policies=policies,
        accounts=accounts,
        records={item: _require(read_record(read, item), f"record {item}") for item in case.records},
        is_settled=_is_settled_elsewhere,
        holds=read_holds(read, claim_id),
        payouts={name: state for name in claim.payouts if (state := read_payout(read, name)) is not None},
    )


def _is_settled_elsewhere(_: str) -> bool:
    """Captures of other claims' reservations are the co-adjudicator's word: their payouts are no part of this file, and
    whether one is open or captured changes neither `use` nor any result."""
    return True


def _refuse_loose_openings(dossier: Dossier) -> None:
    """Openings that cannot be checked have no place in a file whose every byte is bound."""
    if dossier.policies or dossier.payments or dossier.payee is not None:
        raise AuditFailure(10, "incomplete", "openings are there without the documents or openings they go with")


def _run_again(package: Package, case: Case, run: ProgramRunner) -> Adjudication:
    hashes = {item.statement.contract_hash for item in package.policies}
    if len(hashes) != 1:
        raise AuditFailure(11, "PROGRAMS_DIFFER", "one claim was decided by several programs")
    result, trace = run(hashes.pop(), encode_case(case))
    return read_adjudication(case, decode(result.encode()), decode(trace.encode()))


def _use_after(item: PolicyPackage, case: Case, position: int, adjudication: Adjudication) -> dict[str, Any]:
    result = adjudication.results[position]
    use: dict[str, Any] = _guard(
        11, lambda: advance_account(item.input.balance.use, case, position, result, adjudication.trace)
    )
    return use


def _check_payments(dossier: Dossier, read: Reader) -> Check:
    claim = _require(read_claim(read, dossier.claim_id), "the claim")
    opened = {item.payout_id: item for item in dossier.payments}
    if [item.payout_id for item in dossier.payments] != sorted(opened) or not set(opened) <= set(claim.payouts):
        raise AuditFailure(12, "order", "payments ascend by payout and belong to the claim")
    results = {item.policy_id: item.result for item in dossier.policies}
    shown = 0
    for payout_id in claim.payouts:
        payout: PayoutState = _require(read_payout(read, payout_id), f"payout {payout_id}")
        payment = opened.get(payout_id)
        if payment is not None:
            _check_payment(payment, payout, results[payout.policy_id])
            shown += payment.order is not None or payment.settlement is not None
    if not shown:
        return _line(12, f"{len(claim.payouts)} payments")
    return _proved(12, f"{shown} of {len(claim.payouts)} payments disclosed")


def _amount(dossier: Dossier, item: PolicyPackage) -> Amount:
    """Both figures of a policy, when everything is checked."""
    payout_id = derive_payout_id(dossier.claim_id, item.policy_id, item.statement.attempt)
    settlements = [one.settlement for one in dossier.payments if one.payout_id == payout_id and one.settlement]
    return Amount(
        policy_id=item.policy_id,
        currency=str(item.result["currency"]),
        balance_owner=balance_owner_of(item.terms),
        expected_fen=int(item.result["result"]["net_fen"]),
        actual_fen=int(settlements[0]["amount_fen"]) if settlements else None,
    )


def _check_payment(payment: PaymentOpening, payout: PayoutState, result: dict[str, Any]) -> None:
    parts: tuple[tuple[OpeningKind, dict[str, Any] | None, str | None], ...] = (
        ("order", payment.order, payout.order_commit),
        ("settlement", payment.settlement, payout.settlement_commit),
    )
    for kind, opening, expected in parts:
        if opening is None:
            continue
        if _guard(12, partial(commit, kind, opening)) != expected:
            raise AuditFailure(12, "PAYMENT_MISMATCH", f"the {kind} of {payment.payout_id} is not what was recorded")
        facts = (opening.get("payout_id"), opening.get("amount_fen"), opening.get("currency"))
        if facts != (payment.payout_id, result["result"]["net_fen"], result["currency"]):
            raise AuditFailure(12, "PAYMENT_DIFFERS", f"the {kind} of {payment.payout_id} pays another sum")
        if opening.get("expected_fen", facts[1]) != result["result"]["net_fen"]:
            raise AuditFailure(12, "PAYMENT_DIFFERS", f"the {kind} of {payment.payout_id} names another expected sum")
    order = payment.order
    if order is not None and order.get("end_to_end_id") != end_to_end_id(payment.payout_id):
        raise AuditFailure(12, "PAYMENT_NAME", f"the order of {payment.payout_id} has another EndToEndId")
