"""Small proofs for outsiders: that an invoice was or was not used, that a record was published.

Knows the two forms of a proof and who may see what. Must not know how a proof is made, and must not keep, log or repeat
what a question says of an invoice. Always true: whether an invoice was used is told to who names it; where it was used,
to parties of the record alone.
"""

import base64
from typing import Annotated, Final, Literal

from fastapi import FastAPI, Query
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from contracts.states import read_record
from node.api.answers import Id, answer, read_body
from node.api.parties import Viewer
from node.api.port import NodePort, RolesPort
from node.api.problems import not_found
from node.audit.proofs import decode_proof, encode_readable

BINARY_TYPE: Final = "application/vnd.claimnode.proof"
MAX_QUESTION: Final = 8_192
"""Bytes of an invoice's identity: foreign bills have the longest, of 3,280 letters."""
Form = Annotated[Literal["binary", "json"], Query(description="how the proof is written")]


class InvoiceIdentity(Struct, frozen=True, forbid_unknown_fields=True):
    """What makes an invoice the same one: family (medical, vat or foreign), code and number."""

    type: str
    code: str
    number: str


def add_routes(app: FastAPI, node: NodePort, roles: RolesPort) -> None:
    """Add this module's routes to the application."""

    @app.post("/v1/proofs/invoices")
    async def prove_invoice(request: Request) -> Response:
        """Whether an invoice was used, up to the last final height, with the proof (binary form in base64).

        `proof` is null for a used invoice whose record this participant is no party of.
        """
        body = await read_body(request, InvoiceIdentity, limit=MAX_QUESTION)
        record_id, proof = await roles.prove_invoice((body.type, body.code, body.number))
        read = node.chain.final.read
        record = read_record(read, record_id) if record_id else None
        hidden = record_id is not None and not (record and Viewer(read, node.identity.participant).sees_record(record))
        return answer({"used": record_id is not None, "proof": None if hidden else base64.b64encode(proof).decode()})

    @app.get("/v1/proofs/records/{record_id}")
    async def prove_record(record_id: Id, form: Form = "json") -> Response:
        """That a record was published, under the last final header; with the chain of validators."""
        proof = roles.prove_record(record_id)
        if proof is None:
            raise not_found("record")
        if form == "binary":
            return Response(proof, media_type=BINARY_TYPE)
        return Response(encode_readable(decode_proof(proof)), media_type="application/json")
