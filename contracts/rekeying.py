"""Another key for a consent: an emergency that is ratified, and a key that was lost (protocol rule 7).

A ratification makes an emergency consent the customer's, by a key that a hospital saw them sign with. A lost key is
replaced in two steps: two control groups ask, and after 72 hours anybody applies it, unless the old key said no. Must
always hold: no key takes another's place without these signatures, a veto is for good, and the slip on paper stays
what it was.
"""

from typing import TypeVar

from msgspec.structs import replace

from contracts.consentbases import check_attested, check_form, find_attesters, require_two_groups
from contracts.consentbodies import ConsentRatify, ConsentRekey
from contracts.consentforce import find_lapse, is_over
from contracts.consentlife import ATTESTED_MS, REKEY_MS, AskedKey
from contracts.consents import LAPSES, token_refusal
from contracts.consenttokens import (
    RATIFICATION_TYPE,
    REKEYING_TYPE,
    VETO_TYPE,
    Ratification,
    Rekeying,
    RekeyVeto,
)
from contracts.errors import Refusal, TokenError
from contracts.operations import Operation
from contracts.states import ConsentState
from contracts.tokens import decode_token, peek_token

N = TypeVar("N", Ratification, Rekeying)


def apply_ratify(operation: Operation, body: ConsentRatify) -> str:
    """`consent.ratify`: within 30 days of the emergency; records wait for it, claims go on from there."""
    consent = _require_standing(operation, body.consent_id)
    if consent.lived.ratify_by_ms is None:
        raise Refusal("WRONG_STATE", "this consent waits for no ratification", body.consent_id)
    token = _read_own(operation, body.token, RATIFICATION_TYPE, Ratification, body.consent_id)
    check_form(token)
    longest = operation.block.parameters.consent_max_ms if token.basis == "self" else ATTESTED_MS
    if not operation.time_ms < token.exp_ms <= operation.time_ms + longest:
        raise Refusal("CONSENT_PERIOD", f"a ratified consent ends at most {longest} ms later", body.consent_id)
    attested_by = find_attesters(operation, body.token, body.attestations)
    check_attested(operation, token.basis, consent.hospitals, attested_by, ratifies=True)
    life = replace(
        consent.lived,
        basis=token.basis,
        form_hash=token.form_hash or None,
        ward_commit=token.ward_commit or None,
        attested_by=attested_by,
        ratify_by_ms=None,
        ratified_ms=operation.time_ms,
    )
    ratified = replace(
        consent,
        key=token.key,
        payee_commit=token.payee_commit,
        mailbox_key=token.mailbox_key,
        revoke_hash=token.revoke_hash,
        notify=token.notify,
        exp_ms=token.exp_ms,
        life=life,
    )
    operation.put(body.consent_id, ratified)
    operation.emit("consent.ratified", body.consent_id)
    return body.consent_id


def apply_rekey(operation: Operation, body: ConsentRekey) -> str:
    """`consent.rekey`: ask, veto or apply."""
    if (body.token is None) != (body.step == "apply"):
        raise Refusal("REKEY_PROOF", "a token asks or vetoes; applying takes none", body.consent_id)
    consent = operation.require(ConsentState, body.consent_id, "CONSENT_MISSING")
    if body.step == "ask":
        changed = _ask(operation, body, consent)
    elif body.step == "veto":
        changed = _veto(operation, body, consent)
    else:
        changed = _put_in_place(operation, body.consent_id, consent)
    operation.put(body.consent_id, changed)
    return body.consent_id


def _ask(operation: Operation, body: ConsentRekey, consent: ConsentState) -> ConsentState:
    _require_standing(operation, body.consent_id)
    if consent.lived.vetoed_ms is not None:
        raise Refusal("REKEY_VETOED", "the holder of the key said no; revoke and grant anew", body.consent_id)
    if consent.lived.asked is not None:
        raise Refusal("REKEY_OPEN", "another key was asked for before", body.consent_id)
    assert body.token is not None
    token = _read_own(operation, body.token, REKEYING_TYPE, Rekeying, body.consent_id)
    if token.key == consent.key:
        raise Refusal("REKEY_PROOF", "this is the key that stands", body.consent_id)
    require_two_groups(operation, consent.hospitals, find_attesters(operation, body.token, body.attestations))
    operation.emit("consent.rekey_asked", body.consent_id)
    asked = AskedKey(key=token.key, mailbox_key=token.mailbox_key, from_ms=operation.time_ms + REKEY_MS)
    return replace(consent, life=replace(consent.lived, asked=asked))


def _veto(operation: Operation, body: ConsentRekey, consent: ConsentState) -> ConsentState:
    asked = _require_asked(consent, body.consent_id)
    assert body.token is not None
    try:
        token = decode_token(body.token, VETO_TYPE, RekeyVeto, consent.key)
    except TokenError as error:
        raise token_refusal(error) from None
    _check_subject(operation, token, body.consent_id)
    if token.key != asked.key:
        raise Refusal("REKEY_PROOF", "the veto is about another key", body.consent_id)
    operation.emit("consent.rekey_vetoed", body.consent_id)
    return replace(consent, life=replace(consent.lived, asked=None, vetoed_ms=operation.time_ms))


def _put_in_place(operation: Operation, consent_id: str, consent: ConsentState) -> ConsentState:
    """Also of a consent that is over: its holder still answers for payouts."""
    asked = _require_asked(consent, consent_id)
    if operation.time_ms < asked.from_ms:
        raise Refusal("REKEY_EARLY", "the old key can still say no", consent_id)
    operation.emit("consent.rekeyed", consent_id)
    life = replace(consent.lived, asked=None, rekeyed_ms=operation.time_ms)
    return replace(consent, key=asked.key, mailbox_key=asked.mailbox_key, life=life)


def _require_asked(consent: ConsentState, consent_id: str) -> AskedKey:
    if consent.lived.asked is None:
        raise Refusal("REKEY_NONE", "nobody asked for another key", consent_id)
    return consent.lived.asked


def _require_standing(operation: Operation, consent_id: str) -> ConsentState:
    """A consent that is not over, though it may not have begun."""
    consent = operation.require(ConsentState, consent_id, "CONSENT_MISSING")
    if is_over(consent, operation.time_ms):
        code = find_lapse(consent, operation.time_ms) or "CONSENT_EXPIRED"
        raise Refusal(code, LAPSES[code], consent_id)
    return consent


def _read_own(operation: Operation, text: str, token_type: str, kind: type[N], consent_id: str) -> N:
    """A token signed with the key that it names itself, about this consent."""
    try:
        token = decode_token(text, token_type, kind, peek_token(text, token_type, kind).key)
    except TokenError as error:
        raise token_refusal(error) from None
    _check_subject(operation, token, consent_id)
    return token


def _check_subject(operation: Operation, token: Ratification | Rekeying | RekeyVeto, consent_id: str) -> None:
    if token.network != operation.block.network:
        raise Refusal("NETWORK_MISMATCH", f"the token is for {token.network}", consent_id)
    if token.consent_id != consent_id:
        raise Refusal("CONSENT_MISMATCH", "the token is about another consent", consent_id)
