"""Consents that are on the ledger: passed on by this participant, ratified and given another key by their holders.

Knows bodies and tokens. Must not know who anybody is. A delegation is this participant's own act and takes the scope
of such acts; the other two carry the customer's token and what others attested, and this node only relays them.
"""

from typing import Annotated, Literal

from fastapi import FastAPI
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from contracts.consentbodies import Attestations, ConsentDelegate, ConsentRatify, ConsentRekey, Token
from contracts.states import read_consent
from ledger.types import Millis, OrgId
from node.api.answers import Id, Wait, read_body
from node.api.port import NodePort
from node.api.problems import not_found
from node.api.transactions import respond


class DelegationRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """To whom, for what, until when; see ConsentDelegate."""

    to: OrgId
    purposes: Annotated[tuple[Literal["report", "pay", "audit"], ...], Meta(min_length=1, max_length=3)]
    data_classes: Annotated[tuple[Literal["identity", "clinical", "charges"], ...], Meta(max_length=3)]
    until_ms: Millis


class RatificationRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The token with which somebody takes an emergency consent over, and who attests it."""

    token: Token
    attestations: Attestations = ()


class KeyRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """One step on the way to another key; `apply` takes no token."""

    step: Literal["ask", "veto", "apply"]
    token: Token | None = None
    attestations: Attestations = ()


def add_routes(app: FastAPI, node: NodePort) -> None:
    """Add this module's routes to the application."""

    def require(consent_id: str) -> None:
        if read_consent(node.chain.final.read, consent_id) is None:
            raise not_found("consent")

    @app.post("/v1/consents/{consent_id}/delegation", status_code=202)
    async def delegate(consent_id: Id, request: Request, wait: Wait = 0) -> Response:
        """Pass part of what this participant may do on to a TPA."""
        body = await read_body(request, DelegationRequest)
        require(consent_id)
        passed = ConsentDelegate(consent_id, body.to, body.purposes, body.data_classes, body.until_ms)
        return await respond(node, await node.submit("consent.delegate", passed), wait)

    @app.post("/v1/consents/{consent_id}/ratification", status_code=202)
    async def ratify(consent_id: Id, request: Request, wait: Wait = 0) -> Response:
        """Relay the ratification of an emergency consent."""
        body = await read_body(request, RatificationRequest)
        require(consent_id)
        ratified = ConsentRatify(consent_id, body.token, body.attestations)
        return await respond(node, await node.submit("consent.ratify", ratified), wait)

    @app.post("/v1/consents/{consent_id}/key", status_code=202)
    async def rekey(consent_id: Id, request: Request, wait: Wait = 0) -> Response:
        """Relay a wish for another key, the old key's no, or put the key in place."""
        body = await read_body(request, KeyRequest)
        require(consent_id)
        step = ConsentRekey(consent_id, body.step, body.token, body.attestations)
        return await respond(node, await node.submit("consent.rekey", step), wait)
