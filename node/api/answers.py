"""JSON answers and their pieces: responses, cursors, ids in paths, how state looks from outside.

Knows shapes. Must not know routes. Always true: what is shown of an object is its public state, identifiers and
commitments; amounts and documents never pass through here.
"""

from collections.abc import Callable
from typing import Annotated, Any, Final, TypeAlias, TypeVar

import msgspec
from fastapi import Path, Query
from starlette.requests import Request
from starlette.responses import Response

from contracts.states import (
    ClaimState,
    ConsentState,
    PayoutState,
    RecordState,
    read_case,
    read_payout,
)
from ledger.encoding import schema_fault
from ledger.state import Reader
from node.api.problems import ApiError
from node.outcomes import TransactionOutcome

DEFAULT_PAGE: Final = 100
MAX_PAGE: Final = 1_000
MAX_WAIT_S: Final = 30
"""Longest that a request waits for a transaction to become final."""
MAX_SMALL_BODY: Final = 1024 * 1024
"""Bytes of a body that holds tokens or a few policies."""

Id: TypeAlias = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="64 hexadecimal digits")]
Wait: TypeAlias = Annotated[int, Query(ge=0, le=MAX_WAIT_S, description="seconds to wait until it is final")]
Cursor: TypeAlias = Annotated[int, Query(ge=0, description="the `next` of the page before")]
Limit: TypeAlias = Annotated[int, Query(ge=1, le=MAX_PAGE)]
T = TypeVar("T")

_encoder = msgspec.json.Encoder(order="sorted")


def answer(value: Any, status: int = 200) -> Response:
    """A JSON response."""
    return Response(_encoder.encode(value), status, media_type="application/json")


async def read_body(request: Request, kind: type[T], *, limit: int = MAX_SMALL_BODY) -> T:
    """The body as a closed schema. Raises ApiError 413 `too_large`, 400 `json`, `schema`."""
    data = await request.body()
    if len(data) > limit:
        raise ApiError(413, "too_large", f"{len(data)} bytes, at most {limit} here")
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise ApiError(400, "schema", schema_fault(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ApiError(400, "json", "the body is no JSON document") from None


def page_of(items: list[str], after: int, limit: int, show: Callable[[str], dict[str, Any] | None]) -> dict[str, Any]:
    """Up to `limit` visible items behind position `after`, and the position to go on from."""
    shown: list[dict[str, Any]] = []
    position = after
    while position < len(items) and len(shown) < limit:
        view = show(items[position])
        position += 1
        if view is not None:
            shown.append(view)
    return {"items": shown, "next": position, "more": position < len(items)}


def outcome_view(outcome: TransactionOutcome) -> dict[str, Any]:
    """Where a transaction stands and what came of it."""
    return {
        "tx_id": outcome.tx_id,
        "status": "final",
        "height": outcome.height,
        "index": outcome.index,
        "time_ms": outcome.time_ms,
        "receipt": msgspec.to_builtins(outcome.receipt),
    }


def claim_view(read: Reader, claim_id: str, claim: ClaimState) -> dict[str, Any]:
    """A claim with its case's state and its payouts."""
    case = read_case(read, claim.case_id)
    payouts = ((payout_id, read_payout(read, payout_id)) for payout_id in claim.payouts)
    return {
        "claim_id": claim_id,
        **msgspec.to_builtins(claim),
        "case_status": case.status if case else None,
        "complete_ms": case.complete_ms if case else None,
        "records": list(case.records) if case else [],
        "payouts": [payout_view(payout_id, payout) for payout_id, payout in payouts if payout],
    }


def payout_view(payout_id: str, payout: PayoutState) -> dict[str, Any]:
    """A payout's public state."""
    return {"payout_id": payout_id, **msgspec.to_builtins(payout)}


def consent_view(read: Reader, consent_id: str, consent: ConsentState) -> dict[str, Any]:
    """A consent, its case and the claims that hang on it."""
    case = read_case(read, consent.case_id)
    shown = msgspec.to_builtins(consent)
    return {
        "consent_id": consent_id,
        **shown,
        "case": {"case_id": consent.case_id, **msgspec.to_builtins(case)} if case else None,
    }


def record_view(
    record_id: str, record: RecordState, refusals: list[Any], rejection: list[str], warnings: list[str]
) -> dict[str, Any]:
    """A record's public state, operations about it that were refused, and what a commission told its hospital."""
    return {
        "record_id": record_id,
        **msgspec.to_builtins(record),
        "refusals": msgspec.to_builtins(refusals),
        "rejection": rejection,
        "warnings": warnings,
    }
