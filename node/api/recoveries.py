"""Money that comes back to an insurer: where a recovery stands, and its settlement in the customer's word.

Knows the transaction that the insurer signs. Must not know amounts: the settlement is a commitment here, its opening is
with insurer and customer. Always true: nothing is sent that the customer did not sign for this very recovery.
"""

from typing import Annotated, Final

from fastapi import FastAPI
from msgspec import Meta, Struct, to_builtins
from starlette.requests import Request
from starlette.responses import Response

from contracts.holdbodies import MAX_TOKEN_CHARS, RecoverySettle
from contracts.holdstates import RecoveryState, read_recovery
from contracts.states import read_consent
from contracts.tokens import decode_recovery_word
from node.api.answers import Id, Wait, answer, read_body
from node.api.parties import Viewer
from node.api.port import NodePort
from node.api.problems import ApiError, not_found
from node.api.transactions import respond

NOTHING: Final = "recovery"


class SettlementRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The customer's token over a settlement; what it says is inside."""

    token: Annotated[str, Meta(min_length=1, max_length=MAX_TOKEN_CHARS)]


def add_routes(app: FastAPI, node: NodePort) -> None:
    """Add this module's routes to the application."""

    @app.get("/v1/recoveries/{recovery_id}")
    async def show(recovery_id: Id) -> Response:
        """A recovery's public state, for the parties of its claim."""
        return answer({"recovery_id": recovery_id, **to_builtins(_find(node, recovery_id))})

    @app.post("/v1/recoveries/{recovery_id}/settlement", status_code=202)
    async def settle(recovery_id: Id, request: Request, wait: Wait = 0) -> Response:
        """At the insurer: the money came back, or is taken from another payout, in the customer's word."""
        body, recovery = await read_body(request, SettlementRequest), _find(node, recovery_id)
        consent = read_consent(node.chain.final.read, recovery.consent_id)
        if consent is None:
            raise not_found(NOTHING)
        word = decode_recovery_word(body.token, consent.key)
        if word.recovery_id != recovery_id:
            raise ApiError(422, "token_subject", "the token is about another recovery")
        settlement = RecoverySettle(recovery_id, word.way, word.settlement_commit, word.set_off_payout, body.token)
        return await respond(node, await node.submit("recovery.settle", settlement), wait)


def _find(node: NodePort, recovery_id: str) -> RecoveryState:
    read = node.chain.final.read
    recovery = read_recovery(read, recovery_id)
    consent = read_consent(read, recovery.consent_id) if recovery is not None else None
    if recovery is None or not Viewer(read, node.identity.participant).sees_consent(consent):
        raise not_found(NOTHING)
    return recovery
