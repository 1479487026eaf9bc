"""Payment files for an insurer's staff: the next batch for the bank, its answers, another attempt, what is open.

Knows bytes of messages and the desk behind. Must not know claims. Always true: orders hold names and accounts, so every
route here takes the scope `pay` and nothing of a file enters a log line or an error.
"""

import asyncio
from typing import Annotated, Any, Protocol

from fastapi import FastAPI, Query
from msgspec import Meta, Struct, to_builtins
from starlette.requests import Request
from starlette.responses import Response

from contracts.bodies import MAX_TOKEN_CHARS
from node.agents.filebank import Written
from node.api.answers import Id, answer, read_body
from node.api.problems import ApiError
from node.interop.iso20022.answers import Answers, read_answers

Again = Annotated[str | None, Query(max_length=35, description="the name of a batch that was made before")]


class DeskPort(Protocol):
    """node.agents.bankdesk.BankDesk."""

    def export(self, *, release: bool = False) -> Written | None: ...
    def batch(self, message_id: str) -> Written: ...
    def take(self, answers: Answers) -> dict[str, Any]: ...
    def take_files(self) -> list[dict[str, Any]]: ...
    def open_orders(self) -> list[dict[str, Any]]: ...
    def retry(
        self, payout_id: str, asked_by: str, token: str | None = None, payee: dict[str, Any] | None = None
    ) -> dict[str, Any]: ...


class RetryRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing for the same account; the payee's token with the opening of another one."""

    token: Annotated[str, Meta(min_length=1, max_length=MAX_TOKEN_CHARS)] | None = None
    payee: Annotated[dict[str, str], Meta(max_length=16)] | None = None


def add_routes(app: FastAPI, desk: DeskPort) -> None:
    """Add this module's routes to the application."""

    @app.post("/v1/payments/batches")
    async def export(again: Again = None, release: bool = False) -> Response:
        """The next pain.001 file, also written to the bank's folder; or one that was made before, byte for byte."""
        written = desk.batch(again) if again else desk.export(release=release)
        if written is None:
            raise ApiError(404, "no_orders", "no order waits for a file")
        shown = {name: value for name, value in to_builtins(written, builtin_types=(bytes,)).items() if name != "data"}
        return answer(shown | {"file": written.data.decode("utf-8")})

    @app.post("/v1/payments/answers")
    async def take(request: Request) -> Response:
        """One file of the bank (pain.002, camt.053, camt.054) as the body; without a body what lies in the folder."""
        data = await request.body()
        if not data:
            return answer({"files": desk.take_files()})
        answers = await asyncio.to_thread(read_answers, data)
        return answer({"files": [desk.take(answers)]})

    @app.get("/v1/payments/open")
    async def show_open() -> Response:
        """Attempts that no answer has ended: waiting for a file, unknown, or with a code for a person."""
        return answer({"items": desk.open_orders()})

    @app.post("/v1/payouts/{payout_id}/retry")
    async def retry(payout_id: Id, request: Request) -> Response:
        """Another attempt of a payout that FAILED; the token's name is that of whoever asks."""
        body = await read_body(request, RetryRequest)
        return answer(desk.retry(payout_id, request.state.token.name, body.token, body.payee))
