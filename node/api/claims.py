"""Claims, automatic reports and payouts as this participant sees them; decisions and dossiers from its own vault.

Knows the directory's lists and state. Must not know documents: a dossier passes through as bytes.
"""

from typing import Annotated, Any

from fastapi import FastAPI, Query
from starlette.responses import Response

from contracts.states import ClaimState, read_claim, read_payout
from node.api.answers import DEFAULT_PAGE, Cursor, Id, Limit, answer, claim_view, page_of, payout_view
from node.api.directory import Directory
from node.api.parties import Viewer
from node.api.port import NodePort, RolesPort
from node.api.problems import not_found

Fields = Annotated[tuple[str, ...], Query(max_length=256, description="all, none, or /TYPE and /TYPE/FIELD, repeated")]


class _Views:
    """What this participant is shown of a claim or payout; None for what it is no party of."""

    def __init__(self, node: NodePort) -> None:
        self._node = node
        self._me = node.identity.participant
        own = next((member for member in node.genesis.participants if member.id == self._me), None)
        self._is_auditor = own is not None and "auditor" in own.roles

    def visible(self, claim_id: str) -> ClaimState | None:
        read = self._node.chain.final.read
        claim = read_claim(read, claim_id)
        return claim if claim is not None and Viewer(read, self._me).sees_claim(claim) else None

    def claim(self, claim_id: str) -> dict[str, Any] | None:
        claim = self.visible(claim_id)
        return None if claim is None else claim_view(self._node.chain.final.read, claim_id, claim)

    def report(self, claim_id: str) -> dict[str, Any] | None:
        claim = self.visible(claim_id)
        if claim is None or (claim.insurer != self._me and not self._is_auditor):
            return None
        return {
            "claim_id": claim_id,
            "case_id": claim.case_id,
            "consent_id": claim.consent_id,
            "reported_ms": claim.reported_ms,
            "status": claim.status,
        }

    def payout(self, payout_id: str) -> dict[str, Any] | None:
        read = self._node.chain.final.read
        payout = read_payout(read, payout_id)
        if payout is None or not Viewer(read, self._me).sees_payout(payout):
            return None
        return payout_view(payout_id, payout)


def add_routes(app: FastAPI, node: NodePort, roles: RolesPort, directory: Directory) -> None:
    """Add this module's routes to the application."""
    views = _Views(node)

    @app.get("/v1/claims")
    async def list_claims(after: Cursor = 0, limit: Limit = DEFAULT_PAGE) -> Response:
        """Claims that this participant is a party of, in the order of their report."""
        return answer(page_of(directory.claims, after, limit, views.claim))

    @app.get("/v1/claims/{claim_id}")
    async def get_claim(claim_id: Id) -> Response:
        """One claim with its payouts."""
        view = views.claim(claim_id)
        if view is None:
            raise not_found("claim")
        return answer(view | {"refusals": refusals_of(directory, claim_id, view)})

    @app.get("/v1/claims/{claim_id}/decision")
    async def get_decision(claim_id: Id) -> Response:
        """What was decided, from the vault of the insurer or a co-adjudicator: amounts, reasons, review."""
        decision = await roles.decision(claim_id) if views.visible(claim_id) else None
        if decision is None:
            raise not_found("decision")
        return answer(decision)

    @app.get("/v1/claims/{claim_id}/dossier")
    async def get_dossier(claim_id: Id, disclose: Fields = ()) -> Response:
        """The whole life of a claim as one file, with what this participant may disclose: all, none, or /TYPE/FIELD."""
        if views.visible(claim_id) is None:
            raise not_found("claim")
        data = await (roles.dossier(claim_id, disclose) if disclose else roles.dossier(claim_id))
        return Response(data, media_type="application/json")

    @app.get("/v1/reports")
    async def list_reports(after: Cursor = 0, limit: Limit = DEFAULT_PAGE) -> Response:
        """Claims that the ledger reported to this insurer, in order: the automatic report since a cursor."""
        return answer(page_of(directory.claims, after, limit, views.report))

    @app.get("/v1/payouts")
    async def list_payouts(after: Cursor = 0, limit: Limit = DEFAULT_PAGE) -> Response:
        """Payouts of claims that this participant is a party of, in the order of their authorisation."""
        return answer(page_of(directory.payouts, after, limit, views.payout))


def refusals_of(directory: Directory, claim_id: str, view: dict[str, Any]) -> list[dict[str, Any]]:
    """Refused operations about a claim or its case."""
    found = [*directory.refusals(claim_id), *directory.refusals(view["case_id"])]
    return [{"code": item.code, "kind": item.kind, "tx_id": item.tx_id, "height": item.height} for item in found]
