"""Consents: what a customer allowed, to whom, from when to when, and whether it still stands.

A consent is a token signed with a key of its own; nothing in it names a person, and two consents of one person
share nothing. Judged at the block that executes (protocol rule 1), never at a time that a signer names. Must
always hold: whatever reads or decides about a case asks `require_in_force` first; what was authorised before a
revocation stands.
"""

from msgspec.structs import replace

from contracts.bodies import ConsentRevoke
from contracts.consentbases import GrantedToken, build_consent, check_attested, check_basis, find_attesters
from contracts.consentforce import find_bar, find_lapse, is_allowed
from contracts.errors import Refusal, TokenError
from contracts.identifiers import derive_case_id
from contracts.lifecycle import next_status
from contracts.operations import Operation
from contracts.states import CaseState, ConsentState, PolicyState
from contracts.tokens import Consent, Grantee, Revocation, decode_consent, decode_revocation
from ledger.crypto.hashing import tagged_hex

PURPOSE_ROLES = {
    "report": frozenset({"insurer", "tpa", "commission"}),
    "endorse": frozenset({"commission"}),
    "adjudicate": frozenset({"insurer"}),
    "co-adjudicate": frozenset({"insurer", "tpa", "commission", "auditor"}),
    "pay": frozenset({"insurer", "tpa"}),
    "audit": frozenset({"commission", "auditor"}),
}
"""The roles that can use each purpose; a grant that nobody could use is refused when it is made."""
LAPSES = {
    "CONSENT_REVOKED": "the customer revoked this consent",
    "CONSENT_EXPIRED": "this consent has ended",
    "CONSENT_NOT_YET": "this consent has not begun",
    "CONSENT_UNRATIFIED": "an emergency reports; reading and deciding wait until it is ratified",
    "CONSENT_LAPSED": "nobody ratified this emergency consent in time",
}
INSURER_PURPOSES = frozenset({"report", "adjudicate"})


def apply_grant(operation: Operation, item: GrantedToken) -> str:
    """`consent.grant`, one token (protocol rule 7). Relayed by anyone: the signature inside is the customer's."""
    try:
        decoded = decode_consent(item.token)
    except TokenError as error:
        raise token_refusal(error) from None
    consent, consent_id = decoded.consent, decoded.consent_id
    if operation.has(ConsentState, consent_id):
        raise Refusal("CONSENT_EXISTS", "this consent is on the ledger", consent_id)
    _check_network(operation, consent)
    check_basis(consent)
    _check_period(operation, consent)
    _check_members(operation, consent)
    _check_policies(operation, consent)
    attested_by = find_attesters(operation, item.token, item.attestations)
    check_attested(operation, consent.basis, consent.hospitals, attested_by)
    case_id = derive_case_id(consent_id) if consent.scope == "case" else ""
    operation.put(consent_id, build_consent(consent, case_id, attested_by, operation.time_ms))
    if case_id:
        open_case(operation, consent_id, case_id)
    operation.emit("consent.granted", consent_id)
    return consent_id


def apply_revoke(operation: Operation, body: ConsentRevoke) -> str:
    """`consent.revoke`: by a token of the consent's key, or by the slip, from any node and without a key."""
    consent = operation.require(ConsentState, body.consent_id, "CONSENT_MISSING")
    if (body.token is None) == (body.slip is None):
        raise Refusal("REVOCATION_PROOF", "give either the token or the slip", body.consent_id)
    if body.slip is not None:
        if tagged_hex("revocation-slip", bytes.fromhex(body.slip)) != consent.revoke_hash:
            raise Refusal("REVOCATION_PROOF", "this is not the consent's slip", body.consent_id)
    elif body.token is not None:
        _check_revocation(operation, body.consent_id, _read_revocation(body.token, consent.key))
    if consent.revoked_ms is not None:
        raise Refusal("CONSENT_REVOKED", "this consent was revoked before", body.consent_id)
    operation.put(body.consent_id, replace(consent, revoked_ms=operation.time_ms))
    operation.emit("consent.revoked", body.consent_id)
    return body.consent_id


def require_in_force(operation: Operation, consent_id: str) -> ConsentState:
    """The consent, in force at this block for reading and deciding.

    Raises Refusal `CONSENT_MISSING`, `_REVOKED`, `_EXPIRED`, `_NOT_YET`, `_UNRATIFIED`, `_LAPSED`.
    """
    consent = operation.require(ConsentState, consent_id, "CONSENT_MISSING")
    _refuse(find_bar(consent, operation.time_ms), consent_id)
    return consent


def require_reportable(operation: Operation, consent_id: str) -> ConsentState:
    """As `require_in_force`, but an emergency reports before anybody ratified it (protocol rule 7)."""
    consent = operation.require(ConsentState, consent_id, "CONSENT_MISSING")
    _refuse(find_lapse(consent, operation.time_ms), consent_id)
    return consent


def require_granted(operation: Operation, consent_id: str, purpose: str) -> ConsentState:
    """`require_in_force`, for an author that it names for `purpose`. Adds Refusal `NOT_GRANTED`."""
    consent = require_in_force(operation, consent_id)
    if not is_allowed(consent, operation.author, purpose, operation.time_ms):
        raise Refusal("NOT_GRANTED", f"the consent does not name {operation.author} for {purpose}", consent_id)
    return consent


def token_refusal(error: TokenError) -> Refusal:
    """A token's fault as a receipt code: `token_signature` becomes `TOKEN_SIGNATURE`."""
    return Refusal(error.code.upper(), error.detail)


def _refuse(code: str | None, consent_id: str) -> None:
    if code is not None:
        raise Refusal(code, LAPSES[code], consent_id)


def _check_network(operation: Operation, consent: Consent) -> None:
    if consent.network != operation.block.network:
        raise Refusal("NETWORK_MISMATCH", f"the consent is for {consent.network}")


def _check_period(operation: Operation, consent: Consent) -> None:
    longest = operation.block.parameters.consent_max_ms
    if not consent.nbf_ms < consent.exp_ms <= consent.nbf_ms + longest:
        raise Refusal("CONSENT_PERIOD", f"a consent ends after it begins, at most {longest} ms later")
    if consent.nbf_ms > operation.time_ms + longest:
        raise Refusal("CONSENT_PERIOD", "the consent begins too far ahead")
    if consent.exp_ms <= operation.time_ms:
        raise Refusal("CONSENT_EXPIRED", "the consent ended before this block")


def _check_members(operation: Operation, consent: Consent) -> None:
    named = [item.participant for item in consent.grantees]
    for listed in (consent.hospitals, named, consent.policy_ids):
        if len(set(listed)) != len(listed):
            raise Refusal("CONSENT_REPEATED", "a hospital, grantee or policy is listed twice")
    for name in consent.hospitals:
        if "hospital" not in operation.participant(name).roles:
            raise Refusal("GRANTEE_ROLE", f"{name} is no hospital", name)
    for item in consent.grantees:
        roles = operation.participant(item.participant).roles
        for purpose in item.purposes:
            if PURPOSE_ROLES[purpose].isdisjoint(roles):
                raise Refusal("GRANTEE_ROLE", f"{item.participant} has no role for {purpose}", item.participant)


def _check_policies(operation: Operation, consent: Consent) -> None:
    """Every policy's insurer is a grantee with a rank of its own, and every adjudicating insurer has a policy."""
    insurers = {_policy_insurer(operation, policy_id) for policy_id in consent.policy_ids}
    grantees = {item.participant: item for item in consent.grantees}
    for name in sorted(insurers):
        if name not in grantees or INSURER_PURPOSES.isdisjoint(grantees[name].purposes):
            raise Refusal("POLICY_NOT_GRANTED", f"{name} has a policy here but may not be told", name)
    for item in consent.grantees:
        if "adjudicate" in item.purposes and item.participant not in insurers:
            raise Refusal("POLICY_NOT_GRANTED", f"no policy of {item.participant} is listed", item.participant)
    _check_ranks(consent.grantees, insurers)


def _check_ranks(grantees: tuple[Grantee, ...], insurers: set[str]) -> None:
    ranks = [item.rank for item in grantees if item.participant in insurers]
    if None in ranks or len(set(ranks)) != len(ranks):
        raise Refusal("CONSENT_RANK", "each insurer has a rank of its own")
    if any(item.rank is not None for item in grantees if item.participant not in insurers):
        raise Refusal("CONSENT_RANK", "only insurers with a policy have a rank")


def _policy_insurer(operation: Operation, policy_id: str) -> str:
    return operation.require(PolicyState, policy_id, "POLICY_UNKNOWN").insurer


def _read_revocation(token: str, key: str) -> Revocation:
    try:
        return decode_revocation(token, key)
    except TokenError as error:
        raise token_refusal(error) from None


def _check_revocation(operation: Operation, consent_id: str, revocation: Revocation) -> None:
    if revocation.network != operation.block.network:
        raise Refusal("NETWORK_MISMATCH", f"the revocation is for {revocation.network}", consent_id)
    if revocation.consent_id != consent_id:
        raise Refusal("REVOCATION_PROOF", "the token revokes another consent", consent_id)


def open_case(operation: Operation, consent_id: str, case_id: str) -> None:
    """A case of this consent, fresh: nothing stands in it yet."""
    case = CaseState(
        consent_id=consent_id,
        status=next_status("case", None, "consent.grant", case_id),
        claims=(),
        reported_ms=None,
        complete_ms=None,
        records=(),
        evidence_root=None,
    )
    operation.put(case_id, case)
