"""Customers' tokens on their way to the ledger: consents, revocations, acknowledgements of payment.

Any participant's node relays them; the customer's own signature is inside, so this node can neither change nor
invent one. Knows tokens. Must not know who the customer is: no token has a field for a name.
"""

from typing import Annotated

from fastapi import FastAPI
from msgspec import UNSET, Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from contracts.bodies import MAX_TOKEN_CHARS, ConsentGrant, ConsentRevoke, PayoutAck, PayoutContest
from contracts.consentbodies import Attestations
from contracts.states import read_consent
from contracts.tokens import (
    decode_acknowledgement,
    decode_consent,
    decode_contest,
    decode_revocation,
    peek_acknowledgement,
    peek_contest,
)
from ledger.types import Hex32
from node.api.answers import Id, Wait, answer, consent_view, read_body
from node.api.parties import Viewer
from node.api.port import NodePort, RolesPort
from node.api.problems import ApiError, not_found
from node.api.transactions import respond

MAX_TOKENS = 200
"""Consents of one request: one transaction's operations."""
Token = Annotated[str, Meta(min_length=1, max_length=MAX_TOKEN_CHARS)]


class Consents(Struct, frozen=True, forbid_unknown_fields=True):
    """Consent tokens to put on the ledger."""

    tokens: Annotated[tuple[Token, ...], Meta(min_length=1, max_length=MAX_TOKENS)]
    attestations: Attestations = ()
    """Of tokens that others signed for the customer."""


class RevocationRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Exactly one of: a token signed with the consent's key, or the slip from paper."""

    token: Token | None = None
    slip: Hex32 | None = None


class AcknowledgementRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The payee's token over a settlement: that the money came, or that it did not."""

    token: Token


class PayeeRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The account to be paid, sealed by the customer to the insurers that the token names."""

    token: Token
    envelope: Annotated[str, Meta(pattern=r"\A(?:[0-9a-f]{2}){1,262144}\Z")]


def add_routes(app: FastAPI, node: NodePort, roles: RolesPort) -> None:
    """Add this module's routes to the application."""

    @app.post("/v1/consents", status_code=202)
    async def grant(request: Request, wait: Wait = 0) -> Response:
        """Relay consent tokens; their signatures are checked before anything is sent."""
        body = await read_body(request, Consents)
        consent_ids = [decode_consent(token).consent_id for token in body.tokens]
        tx_id = await node.submit("consent.grant", ConsentGrant(body.tokens, body.attestations or UNSET))
        return await respond(node, tx_id, wait, consent_ids=consent_ids)

    @app.get("/v1/consents/{consent_id}")
    async def show(consent_id: Id) -> Response:
        """A consent that names this participant, its case and the claims that hang on it."""
        read = node.chain.final.read
        consent = read_consent(read, consent_id)
        if consent is None or not Viewer(read, node.identity.participant).sees_consent(consent):
            raise not_found("consent")
        return answer(consent_view(read, consent_id, consent))

    @app.post("/v1/consents/{consent_id}/revocation", status_code=202)
    async def revoke(consent_id: Id, request: Request, wait: Wait = 0) -> Response:
        """Relay a revocation, from any node, by token or by slip."""
        body = await read_body(request, RevocationRequest)
        if (body.token is None) == (body.slip is None):
            raise ApiError(400, "schema", "send either a token or a slip")
        consent = read_consent(node.chain.final.read, consent_id)
        if consent is None:
            raise not_found("consent")
        if body.token is not None and decode_revocation(body.token, consent.key).consent_id != consent_id:
            raise ApiError(422, "token_subject", "the token revokes another consent")
        tx_id = await node.submit(
            "consent.revoke", ConsentRevoke(consent_id=consent_id, token=body.token, slip=body.slip)
        )
        return await respond(node, tx_id, wait)

    @app.post("/v1/payees", status_code=202)
    async def relay_payee(request: Request) -> Response:
        """Pass on the sealed account of a consent's payee; this node cannot open it."""
        body = await read_body(request, PayeeRequest)
        roles.relay_payee(body.token, bytes.fromhex(body.envelope))
        return answer({"relayed": True}, 202)

    @app.get("/v1/consents/{consent_id}/mail")
    async def show_mail(consent_id: Id) -> Response:
        """The customer's mail that this node keeps, as ciphertext: only the mailbox key opens it."""
        return answer({"items": roles.mail_of(consent_id)})

    _add_payee_routes(app, node)


def _add_payee_routes(app: FastAPI, node: NodePort) -> None:
    @app.post("/v1/contests", status_code=202)
    async def contest(request: Request, wait: Wait = 0) -> Response:
        """Relay a payee's contest: the money of a settlement did not arrive."""
        body = await read_body(request, AcknowledgementRequest)
        consent = read_consent(node.chain.final.read, peek_contest(body.token).consent_id)
        if consent is None:
            raise not_found("consent")
        decode_contest(body.token, consent.key)
        tx_id = await node.submit("payout.contest", PayoutContest(token=body.token))
        return await respond(node, tx_id, wait)

    @app.post("/v1/acknowledgements", status_code=202)
    async def acknowledge(request: Request, wait: Wait = 0) -> Response:
        """Relay a payee's acknowledgement that the money of a settlement arrived."""
        body = await read_body(request, AcknowledgementRequest)
        consent = read_consent(node.chain.final.read, peek_acknowledgement(body.token).consent_id)
        if consent is None:
            raise not_found("consent")
        decode_acknowledgement(body.token, consent.key)
        tx_id = await node.submit("payout.ack", PayoutAck(token=body.token))
        return await respond(node, tx_id, wait)
