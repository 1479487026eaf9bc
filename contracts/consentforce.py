"""Whether a consent stands at a time, and who may do what under it: the one rule for ledger, vault and agents. Pure.

Knows a consent as state holds it and a block time; never a clock. Must always hold: what this does not allow is
neither executed, nor delivered, nor read.
"""

from contracts.consentlife import DelegationState
from contracts.states import ConsentState


def find_lapse(consent: ConsentState, time_ms: int) -> str | None:
    """Why the consent is not in force for a report at `time_ms`, as a receipt code; None if it is.

    An emergency reports before it is ratified, and no longer than until its time for that is over.
    """
    if consent.revoked_ms is not None:
        return "CONSENT_REVOKED"
    if (by_ms := consent.lived.ratify_by_ms) is not None and time_ms >= by_ms:
        return "CONSENT_LAPSED"
    if time_ms >= consent.exp_ms:
        return "CONSENT_EXPIRED"
    return "CONSENT_NOT_YET" if time_ms < consent.nbf_ms else None


def find_bar(consent: ConsentState, time_ms: int) -> str | None:
    """Why nothing may be read, endorsed or decided at `time_ms`, as a receipt code; None if it may."""
    lapse = find_lapse(consent, time_ms)
    return "CONSENT_UNRATIFIED" if lapse is None and consent.lived.ratify_by_ms is not None else lapse


def is_over(consent: ConsentState, time_ms: int) -> bool:
    """Whether the consent ended for good: revoked, expired or never ratified. One that has not begun is not over."""
    return find_lapse(consent, time_ms) not in (None, "CONSENT_NOT_YET")


def must_be_erased(consent: ConsentState, time_ms: int) -> bool:
    """Whether whoever holds anything by this consent destroys it: an emergency that nobody ratified (rule 7)."""
    return find_lapse(consent, time_ms) == "CONSENT_LAPSED"


def live_delegations(consent: ConsentState, time_ms: int) -> tuple[DelegationState, ...]:
    """The delegations that count at `time_ms`."""
    return tuple(item for item in consent.lived.delegations if time_ms < item.until_ms)


def is_allowed(consent: ConsentState, participant: str, purpose: str, time_ms: int) -> bool:
    """Whether `participant` is named for `purpose`, by the customer or by a delegation."""
    return consent.grants(participant, purpose) or any(
        item.to == participant and purpose in item.purposes for item in live_delegations(consent, time_ms)
    )


def list_readers(consent: ConsentState, data_class: str, time_ms: int) -> list[str]:
    """Who may read records of a data class: grantees, then delegates."""
    named = [item.participant for item in consent.grantees if data_class in item.data_classes]
    passed = [item.to for item in live_delegations(consent, time_ms) if data_class in item.data_classes]
    return list(dict.fromkeys([*named, *passed]))


def is_party(consent: ConsentState, participant: str, time_ms: int) -> bool:
    """Whether the consent names a participant: as hospital, as grantee, or as a delegate of one."""
    named = {*consent.hospitals, *(item.participant for item in consent.grantees)}
    return participant in named or any(item.to == participant for item in live_delegations(consent, time_ms))


def signs_alone(consent: ConsentState, reported_ms: int) -> bool:
    """Whether the consent's key alone speaks for a claim that was reported at `reported_ms`.

    A key that took another's place signs no negotiation, withdrawal or other payee for older claims (protocol rule 7).
    """
    rekeyed = consent.lived.rekeyed_ms
    return rekeyed is None or reported_ms >= rekeyed
