"""What a consent remembers beside its plain form: basis, who attested it, delegations, ratification, another key.

A consent that a customer gave personally for one case, and that nothing happened to, has none of it, and its bytes
are those of a plain consent. Times are milliseconds of block time. Must always hold: nothing here names a person; a
form, an order and a birthday are hashes and commitments.
"""

from msgspec import Struct

from contracts.calendar import day_number, is_date

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
ATTESTED_MS = 30 * DAY_MS
"""The longest consent that others signed for the customer (protocol rule 7)."""
RATIFY_MS = 30 * DAY_MS
"""An emergency consent that nobody ratified by then is over, and what hangs on it is erased (protocol rule 7)."""
REKEY_MS = 72 * HOUR_MS
"""Between the wish for another key and the key: the old key's time for a veto (protocol rule 7)."""
MAX_DELEGATIONS = 16
"""Delegations of one consent: an insurer has one administrator for a case, rarely a second below it."""
MAX_DEPTH = 3
"""Steps from a grantee down to the last delegate (protocol rule 7)."""


class _Part(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class GranteeState(Struct, frozen=True, forbid_unknown_fields=True):
    """What the consent allows one participant."""

    participant: str
    purposes: tuple[str, ...]
    data_classes: tuple[str, ...]
    rank: int | None


class DelegationState(_Part, frozen=True):
    """What a grantee, or a delegate above, passed on: never more than it had itself, until `until_ms` (exclusive)."""

    by: str
    to: str
    purposes: tuple[str, ...]
    data_classes: tuple[str, ...]
    until_ms: int
    depth: int


class AskedKey(_Part, frozen=True):
    """Another key that was asked for, and from when on it can be put in place."""

    key: str
    mailbox_key: str
    from_ms: int


class ConsentLife(_Part, frozen=True):
    """`attested_by` signed for the customer. `ratify_by_ms` is set for an emergency until it is ratified. `rekeyed_ms`
    is when the present key took the place of another."""

    basis: str = "self"
    is_standing: bool = False
    delegable: bool = False
    form_hash: str | None = None
    ward_commit: str | None = None
    attested_by: tuple[str, ...] = ()
    ratify_by_ms: int | None = None
    ratified_ms: int | None = None
    delegations: tuple[DelegationState, ...] = ()
    asked: AskedKey | None = None
    rekeyed_ms: int | None = None
    vetoed_ms: int | None = None


def of_age_ms(birthday: str, utc_offset_minutes: int = 480) -> int:
    """Block time at which an 18th birthday begins in the network's zone; `birthday` is a real date, YYYY-MM-DD.

    Born on a leap day: the last day of February (Civil Code of the PRC, article 202). Raises ValueError `birthday`.
    """
    if not is_date(birthday):
        raise ValueError("birthday: write a date as YYYY-MM-DD")
    day = f"{int(birthday[:4]) + 18:04d}{birthday[4:]}"
    days = day_number(day if is_date(day) else day[:8] + "28") - day_number("1970-01-01")
    return days * DAY_MS - utc_offset_minutes * 60_000


PLAIN_CONSENT = ConsentLife()
