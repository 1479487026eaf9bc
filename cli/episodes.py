"""An episode: one stay of one patient, from policy and consent to what the network should make of it.

Knows the shape that every source of episodes delivers (the seeded ones, a folder of health records) and what the
runner needs. Must not know how an episode is run, nor where it comes from. Always true: documents are those that
a hospital would write, money is integer minor units of `currency`, and what is expected is stated beforehand.
"""

from collections.abc import Iterator
from typing import Any, Literal, Protocol, TypeAlias

from msgspec import Struct

Status: TypeAlias = Literal["paid", "zero", "declined", "in_review", "refused"]
STATUSES: tuple[Status, ...] = ("paid", "zero", "declined", "in_review", "refused")
ConsentPlan: TypeAlias = Literal["granted", "missing", "revoked_before_discharge"]


class EpisodePolicy(Struct, frozen=True):
    """A policy that its insurer commits to before the consent is given.

    `terms` and `product` are the fields of a policy and a product of the adjudication specification; `account`
    is what earlier claims used (`prior_use`, `lifetime_paid_fen`, ...), empty for a fresh one.
    """

    insurer: str
    terms: dict[str, Any]
    product: dict[str, Any]
    account: dict[str, Any] = {}


class Expected(Struct, frozen=True):
    """What the network should answer. None: the source does not say."""

    status: Status
    decision: str | None = None
    amount_fen: int | None = None
    refusal_code: str | None = None


class Episode(Struct, frozen=True):
    """One stay. The hospital publishes `admission` at once and the others together at discharge."""

    id: str
    label: str
    patient: dict[str, str]
    policies: tuple[EpisodePolicy, ...]
    admission: dict[str, Any]
    discharge: dict[str, Any]
    invoices: tuple[dict[str, Any], ...]
    charges: tuple[dict[str, Any], ...]
    expected: Expected | None
    consent: ConsentPlan = "granted"
    hospital: str = "hospital"
    after: str | None = None
    """Id of an episode that must have ended before this one starts: what it meets is left behind by that one."""
    currency: str = "CNY"
    not_reported: str | None = None
    """Why the source itself says that no claim can be made (`NOT_INSURED`, ...): nothing is published."""


class Skipped(Struct, frozen=True):
    """Something in a source that is no episode, and why."""

    id: str
    reason: str


class EpisodeSource(Protocol):
    """Where episodes come from. The same source gives the same episodes in the same order."""

    def episodes(self) -> Iterator[Episode]:
        """Every episode; the runner stops when it has enough."""
        ...

    def skipped(self) -> tuple[Skipped, ...]:
        """What was passed over so far."""
        ...


def discharge_documents(episode: Episode) -> list[tuple[str, dict[str, Any]]]:
    """(record type, document) of everything that is published at discharge."""
    return [
        ("discharge", episode.discharge),
        *(("invoice", invoice) for invoice in episode.invoices),
        *(("charges", charges) for charges in episode.charges),
    ]
