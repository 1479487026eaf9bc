"""Customers' words about a claim on their way to the ledger: withdrawal, dispute, reopening, escalation.

Any participant's node relays them, as it does acknowledgements: the customer's signature is inside, so this node can
neither change nor invent one. Knows tokens. Must not know what is complained of: only commitments pass here.
"""

from typing import Annotated, Literal

from fastapi import FastAPI
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from contracts.claimbodies import ClaimDispute, ClaimEscalate, ClaimReopen, ClaimWithdraw
from contracts.claimtokens import (
    DISPUTE_TYPE,
    ESCALATION_TYPE,
    REOPENING_TYPE,
    WITHDRAWAL_TYPE,
    ClaimWord,
    Complaint,
    EscalationRequest,
    ReopeningRequest,
    Withdrawal,
)
from contracts.states import read_claim, read_consent
from contracts.tokens import MAX_TOKEN_BYTES, decode_token
from node.api.answers import Id, Wait, read_body
from node.api.port import NodePort
from node.api.problems import ApiError, not_found
from node.api.transactions import respond

FORMS: dict[str, tuple[str, type[ClaimWord]]] = {
    "withdraw": (WITHDRAWAL_TYPE, Withdrawal),
    "dispute": (DISPUTE_TYPE, Complaint),
    "reopen": (REOPENING_TYPE, ReopeningRequest),
    "escalate": (ESCALATION_TYPE, EscalationRequest),
}


class WordRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """What the customer says, and the token that says it."""

    kind: Literal["withdraw", "dispute", "reopen", "escalate"]
    token: Annotated[str, Meta(min_length=1, max_length=MAX_TOKEN_BYTES)]


def add_routes(app: FastAPI, node: NodePort) -> None:
    """Add this module's routes to the application."""

    @app.post("/v1/claims/{claim_id}/words", status_code=202)
    async def say(claim_id: Id, request: Request, wait: Wait = 0) -> Response:
        """Relay a customer's word about a claim; its signature is checked before anything is sent."""
        body = await read_body(request, WordRequest)
        read = node.chain.final.read
        claim = read_claim(read, claim_id)
        consent = read_consent(read, claim.consent_id) if claim is not None else None
        if consent is None:
            raise not_found("claim")
        token_type, form = FORMS[body.kind]
        word = decode_token(body.token, token_type, form, consent.key)
        if word.claim_id != claim_id:
            raise ApiError(422, "token_subject", "the token is about another claim")
        tx_id = await node.submit(f"claim.{body.kind}", _build_body(body.kind, body.token, word))
        return await respond(node, tx_id, wait)


def _build_body(kind: str, token: str, word: ClaimWord) -> Struct:
    if isinstance(word, ReopeningRequest):
        return ClaimReopen(word.claim_id, word.reason_commit, token)
    if isinstance(word, EscalationRequest):
        return ClaimEscalate(word.claim_id, word.deadline, token)
    if kind == "dispute":
        return ClaimDispute(token)
    return ClaimWithdraw(word.claim_id, token, None, None)
