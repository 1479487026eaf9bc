"""On what a consent rests, who signs beside its key, how long it can last, and what state remembers of it.

`self`: the key alone. `paper`, `guardian`, `court`: the hash of the signed form or order, and two participants of
different control groups that attest it, one of them a hospital of the consent or a commission; one case, at most 30
days. `emergency`: a hospital of the consent attests; it reports, and nothing is read or decided until somebody ratifies
it within 30 days (protocol rule 7). Must always hold: a participant's word counts by a key that is active in the block
that executes, and a false signature spoils the whole.
"""

from dataclasses import dataclass
from typing import Final

from msgspec import UNSET, UnsetType

from contracts.consentforce import signs_alone
from contracts.consentlife import ATTESTED_MS, PLAIN_CONSENT, RATIFY_MS, ConsentLife, GranteeState
from contracts.consenttokens import Attestation, Ratification, attestation_message, derive_token_id
from contracts.errors import Refusal
from contracts.operations import Operation, read_active_key
from contracts.states import ConsentState, KeyState
from contracts.tokens import Consent
from ledger.crypto import ed25519
from ledger.errors import SignatureError

FORM_BASES: Final = frozenset({"paper", "guardian", "court"})
"""Somebody signed on paper: the form's hash stands in the token."""
NEEDED_GROUPS: Final = 2
"""Control groups behind a consent that the customer's own key did not give."""


@dataclass(frozen=True, slots=True)
class GrantedToken:
    """One token of a body, with every attestation of that body: it finds its own by their `token_id`."""

    token: str
    attestations: tuple[Attestation, ...]


def check_basis(consent: Consent) -> None:
    """Scope, form, ward and period fit the basis. Raises Refusal `SCOPE_BASIS`, `CONSENT_FORM`, `CONSENT_PERIOD`."""
    if consent.scope == "standing" and consent.basis != "self":
        raise Refusal("SCOPE_BASIS", f"a consent on the basis {consent.basis} is for one case")
    if consent.delegable and consent.basis not in ("self", "court"):
        raise Refusal("SCOPE_BASIS", f"a consent on the basis {consent.basis} cannot be passed on")
    check_form(consent)
    if consent.basis != "self" and consent.exp_ms > consent.nbf_ms + ATTESTED_MS:
        raise Refusal("CONSENT_PERIOD", f"on the basis {consent.basis} a consent lasts at most {ATTESTED_MS} ms")


def check_form(given: Consent | Ratification) -> None:
    """The hash of a form where there is one, the ward's birthday where there is a ward. Raises `CONSENT_FORM`."""
    if isinstance(given.form_hash, UnsetType) == (given.basis in FORM_BASES):
        raise Refusal("CONSENT_FORM", f"the basis {given.basis} and the form's hash do not go together")
    if isinstance(given.ward_commit, UnsetType) == (given.basis == "guardian"):
        raise Refusal("CONSENT_FORM", f"the basis {given.basis} and a ward's birthday do not go together")


def find_attesters(operation: Operation, token: str, attestations: tuple[Attestation, ...]) -> tuple[str, ...]:
    """Participants, ascending, that attested this very token by keys active now. Raises Refusal `CONSENT_ATTESTATION`.

    A key that ended or was frozen is void, not false (rule 2 of this package).
    """
    found = set()
    token_id = derive_token_id(token)
    for item in attestations:
        if item.token_id != token_id:
            continue
        key = operation.get(KeyState, item.key_id)
        if key is None or key.participant != item.participant:
            raise Refusal("CONSENT_ATTESTATION", f"{item.participant} has no such key", token_id)
        message = attestation_message(token_id, item.participant, item.key_id)
        try:
            ed25519.verify(bytes.fromhex(key.public_key), message, bytes.fromhex(item.signature))
        except SignatureError:
            detail = f"the attestation of {item.participant} does not verify"
            raise Refusal("CONSENT_ATTESTATION", detail, token_id) from None
        if read_active_key(operation.block, item.participant, item.key_id) is not None:
            found.add(item.participant)
    return tuple(sorted(found))


def check_attested(
    operation: Operation,
    basis: str,
    hospitals: tuple[str, ...],
    attested_by: tuple[str, ...],
    *,
    ratifies: bool = False,
) -> None:
    """Enough of the right participants signed for this basis. Raises Refusal `ATTESTATION_MISSING`.

    A ratification on the basis `self` needs a hospital too: the new key is nobody's until somebody saw who holds it.
    """
    if basis == "emergency" or (basis == "self" and ratifies):
        if not any(name in hospitals for name in attested_by):
            raise Refusal("ATTESTATION_MISSING", "a hospital of the consent attests it")
    elif basis != "self":
        require_two_groups(operation, hospitals, attested_by)


def require_two_groups(operation: Operation, hospitals: tuple[str, ...], attested_by: tuple[str, ...]) -> None:
    """Two control groups, one of them a hospital of the consent or a commission. Raises `ATTESTATION_MISSING`."""
    members = {name: operation.participant(name) for name in attested_by}
    if len({member.control_group for member in members.values()}) < NEEDED_GROUPS:
        raise Refusal("ATTESTATION_MISSING", "two participants of different control groups attest it")
    if not any(name in hospitals or "commission" in member.roles for name, member in members.items()):
        raise Refusal("ATTESTATION_MISSING", "one of those who attest is a hospital of the consent or a commission")


def build_consent(consent: Consent, case_id: str, attested_by: tuple[str, ...], time_ms: int) -> ConsentState:
    """The consent as state keeps it, from the block at `time_ms` on."""
    life = ConsentLife(
        basis=consent.basis,
        is_standing=consent.scope == "standing",
        delegable=consent.delegable,
        form_hash=_or_none(consent.form_hash),
        ward_commit=_or_none(consent.ward_commit),
        attested_by=attested_by if consent.basis != "self" else (),
        ratify_by_ms=min(time_ms + RATIFY_MS, consent.exp_ms) if consent.basis == "emergency" else None,
    )
    return ConsentState(
        case_id=case_id,
        key=consent.key,
        hospitals=consent.hospitals,
        grantees=tuple(
            GranteeState(item.participant, item.purposes, item.data_classes, item.rank) for item in consent.grantees
        ),
        policy_ids=consent.policy_ids,
        payee_commit=consent.payee_commit,
        mailbox_key=consent.mailbox_key,
        revoke_hash=consent.revoke_hash,
        notify=consent.notify,
        nbf_ms=consent.nbf_ms,
        exp_ms=consent.exp_ms,
        revoked_ms=None,
        life=UNSET if life == PLAIN_CONSENT else life,
    )


def _or_none(value: str | UnsetType) -> str | None:
    return None if isinstance(value, UnsetType) else value


def check_speaks(operation: Operation, consent: ConsentState, reported_ms: int, subject: str) -> None:
    """The consent's key speaks for a claim reported at `reported_ms`. Raises Refusal `CONSENT_REKEYED`.

    A key that took another's place later does so only beside two control groups that sign the transaction, as they
    signed for the key itself (protocol rule 7).
    """
    if signs_alone(consent, reported_ms):
        return
    speakers = tuple(sorted({operation.author, *operation.speaker.endorsers}))
    try:
        require_two_groups(operation, consent.hospitals, speakers)
    except Refusal:
        detail = "the key took another's place after this claim was reported; two control groups sign beside it"
        raise Refusal("CONSENT_REKEYED", detail, subject) from None
