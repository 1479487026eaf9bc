"""A hospital's documents and an insurer's policies on their way in; a record's state and counts of faults on out.

The documents are handed to this participant's own role, which encrypts them before anything leaves the node. Must
not keep, log or repeat any of their content.
"""

from typing import Annotated, Any

from fastapi import FastAPI
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from contracts.bodies import RecordType
from contracts.states import read_record
from ledger.types import Hex32
from node.api.answers import DEFAULT_PAGE, Cursor, Id, Limit, Wait, answer, read_body, record_view
from node.api.directory import Directory
from node.api.gate import MAX_BODY
from node.api.parties import Viewer
from node.api.port import NodePort, RolesPort
from node.api.problems import ApiError, not_found
from node.api.transactions import respond

MAX_DOCUMENTS = 100
"""Documents of one request: one stay has a handful."""
MAX_POLICIES = 200
"""Policies of one request: one transaction's operations."""


class Document(Struct, frozen=True, forbid_unknown_fields=True):
    """One document; its fields are open, its type is not."""

    record_type: RecordType
    document: dict[str, Any]


class Records(Struct, frozen=True, forbid_unknown_fields=True):
    """Documents of one case, to be published together."""

    consent_id: Hex32
    documents: Annotated[tuple[Document, ...], Meta(min_length=1, max_length=MAX_DOCUMENTS)]
    case_id: Hex32 | None = None
    """Under a standing consent; any other has its one case."""
    replaces: Hex32 | None = None
    """The record that the only document of this request corrects."""


class Policies(Struct, frozen=True, forbid_unknown_fields=True):
    """Policies to commit to. The insurer's role knows their fields."""

    policies: Annotated[tuple[dict[str, Any], ...], Meta(min_length=1, max_length=MAX_POLICIES)]


def add_routes(app: FastAPI, node: NodePort, roles: RolesPort, directory: Directory) -> None:
    """Add this module's routes to the application."""

    @app.post("/v1/records", status_code=202)
    async def publish(request: Request, wait: Wait = 0) -> Response:
        """Encrypt documents for whom the consent names, deliver them, and publish their commitments."""
        body = await read_body(request, Records, limit=MAX_BODY)
        documents = [(item.record_type, item.document) for item in body.documents]
        if body.replaces is not None and len(documents) != 1:
            raise ApiError(400, "schema", "a correction is one document, of the same type as the record it replaces")
        tx_id, record_ids = await roles.publish(body.consent_id, documents, body.case_id, body.replaces)
        return await respond(node, tx_id, wait, record_ids=record_ids)

    @app.get("/v1/records/{record_id}")
    async def show(record_id: Id) -> Response:
        """A record's public state, operations about it that were refused, and what its hospital was told of it."""
        read = node.chain.final.read
        record = read_record(read, record_id)
        if record is None or not Viewer(read, node.identity.participant).sees_record(record):
            raise not_found("record")
        refusals = directory.refusals(record_id)
        return answer(record_view(record_id, record, refusals, roles.rejection(record_id), roles.warnings(record_id)))

    @app.get("/v1/invoices/errors")
    async def list_invoice_errors(after: Cursor = 0, limit: Limit = DEFAULT_PAGE) -> Response:
        """At a commission: how many e-invoices of each hospital and month broke which rule. Counts of documents."""
        return answer(roles.invoice_errors(after, limit))

    @app.post("/v1/policies", status_code=202)
    async def commit_policies(request: Request, wait: Wait = 0) -> Response:
        """Commit to policies; the answer holds one policy certificate each, for the insured."""
        body = await read_body(request, Policies, limit=MAX_BODY)
        tx_id, certificates = await roles.commit_policies(body.policies)
        return await respond(node, tx_id, wait, policies=certificates)
