"""Delegation: an insurer passes part of what a customer allowed it on to its administrator (protocol rule 7).

From an insurer to a TPA, and from a TPA to another, at most three steps below the grantee. Must always hold: nobody
passes on more than it has, nor as much; nobody whom the customer named is delegated to; endorsing, deciding and
co-adjudicating are not passed on at all (the schema has no such purpose), since the customer names its judges.
"""

from dataclasses import dataclass

from msgspec.structs import replace

from contracts.consentbodies import ConsentDelegate
from contracts.consentforce import is_party, live_delegations
from contracts.consentlife import MAX_DELEGATIONS, MAX_DEPTH, DelegationState
from contracts.consents import PURPOSE_ROLES, require_in_force
from contracts.errors import Refusal
from contracts.operations import Operation
from contracts.states import ConsentState

FROM_ROLES = frozenset({"insurer", "tpa"})


@dataclass(frozen=True, slots=True)
class _Holding:
    """What the author may do under the consent, until when, and how many steps below the customer's own word."""

    purposes: frozenset[str]
    data_classes: frozenset[str]
    until_ms: int
    depth: int


def apply_delegate(operation: Operation, body: ConsentDelegate) -> str:
    """`consent.delegate`, by a grantee or a delegate."""
    consent = require_in_force(operation, body.consent_id)
    held = _read_holding(operation, consent, body.consent_id)
    if not consent.lived.delegable:
        raise Refusal("DELEGATION_BARRED", "the customer did not allow others to be let in", body.consent_id)
    _check_parties(operation, consent, body)
    _check_narrower(operation, body, held)
    if held.depth >= MAX_DEPTH:
        raise Refusal("DELEGATION_DEPTH", f"at most {MAX_DEPTH} steps below the customer's word", body.consent_id)
    live = live_delegations(consent, operation.time_ms)
    if len(live) >= MAX_DELEGATIONS:
        raise Refusal("DELEGATIONS_FULL", f"a consent has at most {MAX_DELEGATIONS} delegations", body.consent_id)
    passed = DelegationState(
        by=operation.author,
        to=body.to,
        purposes=tuple(sorted(set(body.purposes))),
        data_classes=tuple(sorted(set(body.data_classes))),
        until_ms=body.until_ms,
        depth=held.depth + 1,
    )
    life = replace(consent.lived, delegations=(*live, passed))
    operation.put(body.consent_id, replace(consent, life=life))
    operation.emit("consent.delegated", body.consent_id)
    return body.consent_id


def _read_holding(operation: Operation, consent: ConsentState, consent_id: str) -> _Holding:
    for item in consent.grantees:
        if item.participant == operation.author:
            return _Holding(frozenset(item.purposes), frozenset(item.data_classes), consent.exp_ms, 0)
    for passed in live_delegations(consent, operation.time_ms):
        if passed.to == operation.author:
            return _Holding(frozenset(passed.purposes), frozenset(passed.data_classes), passed.until_ms, passed.depth)
    raise Refusal("NOT_GRANTED", f"the consent does not name {operation.author}", consent_id)


def _check_parties(operation: Operation, consent: ConsentState, body: ConsentDelegate) -> None:
    """From an insurer or TPA to a TPA that nobody named yet."""
    if FROM_ROLES.isdisjoint(operation.participant(operation.author).roles):
        raise Refusal("DELEGATION_PARTY", f"{operation.author} is neither insurer nor TPA", operation.author)
    roles = operation.participant(body.to).roles
    if "tpa" not in roles:
        raise Refusal("DELEGATION_PARTY", f"{body.to} is no TPA", body.to)
    if any(PURPOSE_ROLES[purpose].isdisjoint(roles) for purpose in body.purposes):
        raise Refusal("GRANTEE_ROLE", f"{body.to} has no role for what it is named for", body.to)
    if is_party(consent, body.to, operation.time_ms):
        raise Refusal("DELEGATION_REPEATED", f"the consent names {body.to} already", body.to)


def _check_narrower(operation: Operation, body: ConsentDelegate, held: _Holding) -> None:
    """Within what the author has, and less of it in purposes, data or time."""
    purposes, classes = frozenset(body.purposes), frozenset(body.data_classes)
    if not (purposes <= held.purposes and classes <= held.data_classes and body.until_ms <= held.until_ms):
        raise Refusal("DELEGATION_WIDER", f"{operation.author} passes on more than it has", body.consent_id)
    if (purposes, classes, body.until_ms) == (held.purposes, held.data_classes, held.until_ms):
        raise Refusal("DELEGATION_WIDER", "a delegation is narrower than what it comes from", body.consent_id)
    if body.until_ms <= operation.time_ms:
        raise Refusal("CONSENT_PERIOD", "the delegation ends before this block", body.consent_id)
