"""What the ledger remembers of claim contracts: releases, their lines, their texts, and proposals that are open.

A release is a program with its tables (`product_hash`); releases that supersede one another are a line, named by the
first of them. At most one release of a line is in force at a time. Texts stand under keys of their own, so that what
executes reads and writes small values. Must always hold: what was once in a line stays in it, with its text, so that
an old decision can be made again.
"""

from msgspec import Struct

from contracts.calendar import date_after_epoch
from contracts.states import State, read_state
from contracts.versions import PinnedVersion
from ledger.state import Reader

DAY_MS = 86_400_000
OPEN = "open"
ALL = "all"


class ProductState(State, frozen=True):
    """`product/<product_hash>`: a release that passed. When it is in force stands with its line."""

    FAMILY = "product"
    owner: str
    product_code: str
    title: str
    contract_hash: str
    tables_hash: str
    line: str
    supersedes: str | None
    proposal_id: str
    passed_height: int


class LineVersion(Struct, frozen=True, forbid_unknown_fields=True):
    """One release of a line, in force in [active_from_ms, active_until_ms) (None: no end)."""

    product_hash: str
    contract_hash: str
    tables_hash: str
    active_from_ms: int
    active_until_ms: int | None
    withdrawn_ms: int | None
    reason: str | None

    def is_active(self, time_ms: int) -> bool:
        """Whether this release is in force at this time."""
        return self.active_from_ms <= time_ms and (self.active_until_ms is None or time_ms < self.active_until_ms)


class LineState(State, frozen=True):
    """`line/<product_hash of the first>`: the releases that superseded one another, in their order."""

    FAMILY = "line"
    owner: str
    versions: tuple[LineVersion, ...]


class LinesState(State, frozen=True):
    """`line/all`: every line there is, in the order in which they began."""

    FAMILY = "line"
    lines: tuple[str, ...]


class ReleaseTextState(State, frozen=True):
    """`release/<product_hash>`: program, tables and examples of a release, as canonical JSON texts."""

    FAMILY = "release"
    program: str
    tables: str
    examples: str


class DraftState(State, frozen=True):
    """`draft/<proposal_id>`: the same of a proposal that is open."""

    FAMILY = "draft"
    program: str
    tables: str
    examples: str


class OpenProposal(Struct, frozen=True, forbid_unknown_fields=True):
    """A proposal about a claim contract that can still pass."""

    proposal_id: str
    author: str
    epoch: int
    expires_ms: int


class OpenProposalsState(State, frozen=True):
    """`proposal/open`: proposals about claim contracts, in the order in which they were made."""

    FAMILY = "proposal"
    proposals: tuple[OpenProposal, ...]


def read_product(read: Reader, product_hash: str) -> ProductState | None:
    """A release that passed."""
    return read_state(read, ProductState, product_hash)


def read_line(read: Reader, line: str) -> LineState | None:
    return read_state(read, LineState, line)


def read_lines(read: Reader) -> tuple[str, ...]:
    """Every line there is."""
    found = read_state(read, LinesState, ALL)
    return found.lines if found else ()


def read_release_text(read: Reader, product_hash: str) -> ReleaseTextState | None:
    return read_state(read, ReleaseTextState, product_hash)


def read_draft(read: Reader, proposal_id: str) -> DraftState | None:
    return read_state(read, DraftState, proposal_id)


def read_open_proposals(read: Reader) -> tuple[OpenProposal, ...]:
    """Proposals about claim contracts that may still pass; some of them may be over by now."""
    found = read_state(read, OpenProposalsState, OPEN)
    return found.proposals if found else ()


def pin_versions(
    line: LineState, own: str, earliest_ms: int, report_ms: int, utc_offset_minutes: int
) -> tuple[PinnedVersion, ...]:
    """The releases of a line that may decide a claim, ascending: those in force at some time in [earliest, report].

    While none is in force at the report (a withdrawal left a gap, or the first has not begun), the latest that began
    and was not withdrawn stands in, else `own`, the release that the policy commits to: every claim can be decided.
    """
    begun = [item for item in line.versions if item.active_from_ms <= report_ms]
    wanted = {item.product_hash for item in begun if item.active_until_ms is None or item.active_until_ms > earliest_ms}
    if not any(item.is_active(report_ms) for item in begun):
        sound = [item.product_hash for item in begun if item.withdrawn_ms is None]
        wanted.add(sound[-1] if sound else own)
    return tuple(_pin(item, utc_offset_minutes) for item in line.versions if item.product_hash in wanted)


def day_start(time_ms: int, utc_offset_minutes: int) -> int:
    """The first millisecond of the calendar day that `time_ms` falls on."""
    offset = utc_offset_minutes * 60_000
    return (time_ms + offset) // DAY_MS * DAY_MS - offset


def _pin(item: LineVersion, utc_offset_minutes: int) -> PinnedVersion:
    until = item.active_until_ms
    return PinnedVersion(
        product_hash=item.product_hash,
        contract_hash=item.contract_hash,
        tables_hash=item.tables_hash,
        from_date=_date(item.active_from_ms, utc_offset_minutes),
        until_date=None if until is None else _date(until, utc_offset_minutes),
        withdrawn=item.withdrawn_ms is not None,
    )


def _date(time_ms: int, utc_offset_minutes: int) -> str:
    return date_after_epoch((time_ms + utc_offset_minutes * 60_000) // DAY_MS)
