"""From final state and a participant's own knowledge to the story of one claim, as reports count it.

Knows state and `Inside`. Must not know who may see what. Must always hold: times are block times of final state; what
neither state nor the inside view says stays absent.
"""

from msgspec import UNSET

from contracts.reports.stories import ClaimStory, Lane, Moment, PayoutStory
from contracts.states import ClaimState, PayoutState, RecordState, read_case, read_consent, read_payout, read_record
from ledger.state import Reader
from node.reports.knowledge import Inside

SETTLEMENTS = frozenset({"SETTLED_CLAIMED", "CONTESTED", "PAID", "PAID_UNCONTESTED", "RESTORED"})
DUE = frozenset({"AUTHORISED", "ORDERED", "FAILED"})


def build_story(read: Reader, claim_id: str, claim: ClaimState, inside: Inside | None) -> ClaimStory:
    """The story of a claim that is on the ledger."""
    records = _records(read, claim)
    payouts = tuple(_payout(read, payout_id, inside) for payout_id in claim.payouts)
    known = tuple(payout for payout in payouts if payout is not None)
    consent = read_consent(read, claim.consent_id)
    hospitals = {record.hospital for record in records} or set(consent.hospitals if consent else ())
    life = claim.lived
    return ClaimStory(
        claim_id=claim_id,
        case_id=claim.case_id,
        insurer=claim.insurer,
        hospitals=tuple(sorted(hospitals)),
        status=claim.status,
        attempt=claim.attempt,
        moments=_moments(claim, records, known),
        lane=_lane(inside),
        paused_ms=life.paused_ms,
        paused_since_ms=life.paused_since,
        published_ms=min((record.published_ms for record in records), default=None),
        endorsed_by=next((record.endorsed_by for record in records if record.endorsed_by), None),
        payouts=known,
        proposed_ms=inside.proposed_ms if inside else None,
        notified_ms=inside.notified_ms if inside else None,
        human_steps=inside.human_steps if inside else None,
        decision=inside.decision if inside and claim.decided_ms is not None else None,
        claimed_fen=inside.claimed_fen if inside else None,
        payable_fen=inside.payable_fen if inside else None,
        currency=inside.currency if inside else "",
        reasons=inside.reasons if inside else (),
        review_reasons=inside.review_reasons if inside else (),
        returned=sum(record.replaces is not None for record in records),
        is_complex=life.is_complex,
        disputed=claim.status == "DISPUTED" or life.complaint_commit is not None,
        escalated=bool(life.escalations),
    )


def _records(read: Reader, claim: ClaimState) -> tuple[RecordState, ...]:
    """Documents of a complete case; before, state does not list them."""
    case = read_case(read, claim.case_id)
    found = (read_record(read, name) for name in (case.records if case else ()))
    return tuple(record for record in found if record is not None)


def _payout(read: Reader, payout_id: str, inside: Inside | None) -> PayoutStory | None:
    payout = read_payout(read, payout_id)
    if payout is None:
        return None
    paid_ms = inside.paid_ms.get(payout_id) if inside else None
    return PayoutStory(payout.status, payout.authorised_ms, _settled_ms(payout), paid_ms)


def _settled_ms(payout: PayoutState) -> int | None:
    if payout.settled_ms is UNSET or payout.status not in SETTLEMENTS:
        return None
    return int(payout.settled_ms)


def _moments(
    claim: ClaimState, records: tuple[RecordState, ...], payouts: tuple[PayoutStory, ...]
) -> tuple[Moment, ...]:
    """REPORTED, then what else happened in the order of its time. Money is settled when all that is due is."""
    due = [payout for payout in payouts if payout.status not in ("NOT_DUE", "RESTORED")]
    times = {
        "PUBLISHED": max((record.published_ms for record in records), default=None),
        "FILED": claim.accepted_ms,
        "EVIDENCE_COMPLETE": claim.ready_ms,
        "DECIDED": claim.decided_ms,
        "SETTLED": _last([payout.settled_ms for payout in due]),
        "PAID": _last([payout.paid_ms for payout in due]),
        claim.status if claim.status == "WITHDRAWN" else "CLOSED": claim.closed_ms,
    }
    later = [Moment(stage, time_ms) for stage, time_ms in times.items() if time_ms is not None]
    return (Moment("REPORTED", claim.reported_ms), *sorted(later, key=lambda moment: moment.time_ms))


def _last(times: list[int | None]) -> int | None:
    known = [time_ms for time_ms in times if time_ms is not None]
    return max(known) if known and len(known) == len(times) else None


def _lane(inside: Inside | None) -> Lane:
    if inside is None or inside.is_reviewed is None:
        return "unknown"
    return "review" if inside.is_reviewed else "flash"
