"""Errors on the wire: problem+json (RFC 9457) with the stable `code` of the project's error.

Knows which HTTP status belongs to whose fault. Must not know routes. Always true: the body never repeats a value
of the request's document, and an error without a code becomes `internal` without any text of its own.
"""

import http
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from contracts.errors import ContractError
from ledger.errors import DecodeError, LedgerError, StoreError
from node.errors import Halted, NodeError, Overloaded, Rejected, Unavailable

PROBLEM_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = 1
STATUS_OF_CODE: Final = {
    "too_large": 413,
    "not_found": 404,
    "missing": 404,
    "unknown_height": 404,
    "pruned": 410,
    "unknown_entry": 404,
    "unknown_tile": 404,
    "time_limit": 504,
    "no_connection": 503,
}
"""Codes that say more than the class of the error does."""
STATUS_OF_CLASS: Final[tuple[tuple[type[Exception], int], ...]] = (
    (Overloaded, 503),
    (Halted, 503),
    (Unavailable, 503),
    (StoreError, 500),
    (Rejected, 422),
    (DecodeError, 400),
    (ContractError, 422),
    (LedgerError, 422),
    (NodeError, 422),
)


class ApiError(Exception):
    """A refusal of the interface itself."""

    def __init__(self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})


def not_found(what: str) -> ApiError:
    """404 for a thing that is not there, or that is not this participant's to see: the two look the same."""
    return ApiError(404, "not_found", f"no such {what} among those this participant is a party of")


def problem(status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """The response itself."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": http.HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
    }
    return Response(msgspec.json.encode(body), status, headers, PROBLEM_TYPE)


def problem_of(error: Exception) -> Response:
    """The response for an error that a route raised."""
    if isinstance(error, ApiError):
        return problem(error.status, error.code, error.detail, error.headers)
    code, detail = getattr(error, "code", None), getattr(error, "detail", None)
    if not isinstance(code, str) or not isinstance(detail, str):
        return problem(500, "internal", "this node made a mistake; its log says more")
    headers = {"Retry-After": str(_retry_after(error))} if _status(error, code) == 503 else None
    return problem(_status(error, code), code, detail, headers)


def has_code(error: Exception) -> bool:
    """Whether an error is one of the project's own, made to be shown."""
    return isinstance(getattr(error, "code", None), str) and isinstance(getattr(error, "detail", None), str)


async def handle_error(request: Request, error: Exception) -> Response:
    """The exception handler of the application."""
    return problem_of(error)


def _status(error: Exception, code: str) -> int:
    if code in STATUS_OF_CODE:
        return STATUS_OF_CODE[code]
    return next((status for kind, status in STATUS_OF_CLASS if isinstance(error, kind)), 422)


def _retry_after(error: Exception) -> int:
    milliseconds = getattr(error, "retry_after_ms", 1000 * RETRY_AFTER_S)
    return max(1, -(-int(milliseconds) // 1000))
