"""What insured persons say of their claims, in; lists and answers for this participant's own people.

Knows routes. Must not know a rule: those are `contracts.reports.feedback`. Always true: a word is the consent key's
own, whoever relays it, and what is shown of it are codes.
"""

from typing import Annotated, Final

from fastapi import FastAPI, Query
from msgspec import Meta, Struct, to_builtins
from starlette.requests import Request
from starlette.responses import Response

from contracts.bodies import MAX_TOKEN_CHARS
from contracts.errors import Refusal
from contracts.reasons import ANSWERS, FEEDBACK_REASONS
from ledger.types import Hex32
from node.api.answers import DEFAULT_PAGE, Cursor, Id, Limit, answer, read_body
from node.api.port import RolesPort
from node.api.problems import ApiError

STATUS_OF: Final = {"FEEDBACK_FULL": 409, "ALREADY_ANSWERED": 409, "FEEDBACK_UNKNOWN": 404}
"""Refusals that are no fault of the form (422)."""


class FeedbackRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """A token signed with the key of the claim's consent."""

    token: Annotated[str, Meta(min_length=1, max_length=MAX_TOKEN_CHARS, pattern=r"\A[A-Za-z0-9_.-]+\Z")]


class AnswerRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Which word of the claim, and how it was answered."""

    feedback_id: Hex32
    answer: Annotated[str, Meta(pattern=r"\A[A-Z][A-Z_]{2,39}\Z")]


def add_routes(app: FastAPI, roles: RolesPort) -> None:
    """Add this module's routes to the application."""

    @app.post("/v1/claims/{claim_id}/feedback", status_code=202)
    async def receive(claim_id: Id, request: Request) -> Response:
        """Keep a customer's signed word about a claim: score, codes, complaint or not."""
        body = await read_body(request, FeedbackRequest)
        try:
            word = roles.office.receive_feedback(claim_id, body.token)
        except Refusal as error:
            raise _problem(error) from None
        return answer({"feedback_id": word.feedback_id, "kind": word.kind, "due_ms": word.due_ms()}, 202)

    @app.get("/v1/feedback")
    async def list_feedback(
        after: Cursor = 0,
        limit: Limit = DEFAULT_PAGE,
        only_open: Annotated[bool, Query(alias="open", description="only claims with an open complaint")] = False,
    ) -> Response:
        """Claims with what was said of them, in the order of the first word; the codes in both languages."""
        page = roles.office.feedback(after, limit, only_open)
        return answer({**page, "reasons": FEEDBACK_REASONS, "answers": ANSWERS})

    @app.post("/v1/feedback/{claim_id}/answer")
    async def answer_word(claim_id: Id, request: Request) -> Response:
        """Note how a word was answered; the token's name is the answerer's."""
        body, person = await read_body(request, AnswerRequest), str(request.state.token.name)
        try:
            word = roles.office.answer_feedback(claim_id, body.feedback_id, body.answer, person)
        except Refusal as error:
            raise _problem(error) from None
        return answer(to_builtins(word))


def _problem(error: Refusal) -> ApiError:
    return ApiError(STATUS_OF.get(error.code, 422), error.code, error.detail)
