"""Claim contracts for people who propose, check and vote: releases, proposals, and this node's report on each.

Knows state and the examiner's reports. Must not know programs. Always true: a vote for a claim contract that this
node's own check found unfit, or has not finished, takes a reason, which is kept.
"""

from typing import Annotated, Any, Final

import structlog
from fastapi import FastAPI
from msgspec import Meta, Struct, to_builtins
from starlette.requests import Request
from starlette.responses import Response

from contracts.bodies import (
    MAX_CHANGES,
    MAX_RELEASE_BYTES,
    Change,
    GovernancePropose,
    GovernanceVote,
    GovernanceWithdraw,
)
from contracts.catalogue import (
    LineVersion,
    ProductState,
    day_start,
    read_draft,
    read_line,
    read_lines,
    read_open_proposals,
    read_product,
    read_release_text,
)
from contracts.execution import ChainState
from contracts.releases import is_about_contracts
from contracts.states import ProposalState, read_parameters, read_state
from ledger.encoding import decode
from ledger.types import Millis
from node.api.answers import DEFAULT_PAGE, Cursor, Id, Limit, Wait, answer, page_of, read_body
from node.api.port import NodePort, RolesPort
from node.api.problems import ApiError, not_found
from node.api.transactions import respond

MAX_PROPOSAL_BODY: Final = 4 * MAX_RELEASE_BYTES
"""A release, every letter of it escaped, and some."""
_log = structlog.get_logger()


class Proposal(Struct, frozen=True, forbid_unknown_fields=True):
    """What to propose; the node signs it."""

    changes: Annotated[tuple[Change, ...], Meta(min_length=1, max_length=MAX_CHANGES)]
    expires_ms: Millis


class Ballot(Struct, frozen=True, forbid_unknown_fields=True):
    """A vote. `despite_faults`: why, where the check of this node speaks against it."""

    despite_faults: Annotated[str, Meta(min_length=1, max_length=500)] | None = None


def add_routes(app: FastAPI, node: NodePort, roles: RolesPort) -> None:
    """Add this module's routes to the application."""

    @app.get("/v1/contracts")
    async def list_contracts(after: Cursor = 0, limit: Limit = DEFAULT_PAGE) -> Response:
        """Releases line by line, and what a new one has to keep."""
        final = node.chain.final
        found = _versions(final)
        page = page_of(list(found), after, limit, lambda name: _release_view(final, name, found[name]))
        return answer({**page, **_rules(final)})

    @app.get("/v1/contracts/{product_hash}")
    async def show_contract(product_hash: Id) -> Response:
        """One release with its program, tables and examples."""
        final = node.chain.final
        version, text = _versions(final).get(product_hash), read_release_text(final.read, product_hash)
        if version is None or text is None:
            raise not_found("contract")
        return answer({**_release_view(final, product_hash, version), **_texts(text)})

    @app.get("/v1/proposals")
    async def list_proposals() -> Response:
        """Proposals about claim contracts that can still pass."""
        return answer({"items": _open_proposals(node.chain.final, roles)})

    @app.get("/v1/proposals/{proposal_id}")
    async def show_proposal(proposal_id: Id) -> Response:
        """Any proposal, its votes, the texts while it is open, and the report of this node."""
        view = _proposal_view(node.chain.final, proposal_id, roles)
        if view is None:
            raise not_found("proposal")
        draft = read_draft(node.chain.final.read, proposal_id)
        return answer({**view, **(_texts(draft) if draft else {})})

    @app.post("/v1/proposals", status_code=202)
    async def propose(request: Request, wait: Wait = 0) -> Response:
        """Propose in the name of this participant."""
        body = await read_body(request, Proposal, limit=MAX_PROPOSAL_BODY)
        tx_id = await node.submit("governance.propose", GovernancePropose(body.changes, body.expires_ms))
        return await respond(node, tx_id, wait)

    @app.post("/v1/proposals/{proposal_id}/vote", status_code=202)
    async def vote(proposal_id: Id, request: Request, wait: Wait = 0) -> Response:
        """Vote for a proposal in the name of this participant."""
        body = await read_body(request, Ballot)
        view = _proposal_view(node.chain.final, proposal_id, roles)
        if view is None:
            raise not_found("proposal")
        _check_vote(view, body.despite_faults)
        if body.despite_faults is not None:
            roles.keep_vote_reason(proposal_id, body.despite_faults)
        tx_id = await node.submit("governance.vote", GovernanceVote(proposal_id))
        return await respond(node, tx_id, wait)

    @app.post("/v1/proposals/{proposal_id}/withdrawal", status_code=202)
    async def withdraw(proposal_id: Id, wait: Wait = 0) -> Response:
        """Take back a proposal of this participant."""
        tx_id = await node.submit("governance.withdraw", GovernanceWithdraw(proposal_id))
        return await respond(node, tx_id, wait)


def _open_proposals(final: ChainState, roles: RolesPort) -> list[dict[str, Any]]:
    shown = [_proposal_view(final, item.proposal_id, roles) for item in read_open_proposals(final.read)]
    return [view for view in shown if view is not None and view["status"] == "open"]


def _check_vote(view: dict[str, Any], reason: str | None) -> None:
    """Raises ApiError 409 `check_pending`, `check_failed`."""
    report = view["report"]
    if not view["is_release"] or (report is not None and report["ok"]):
        return
    if reason is None and report is None:
        raise ApiError(409, "check_pending", "this node has not checked the proposal yet; ask again in a minute")
    if reason is None:
        detail = f"this node's check: {report['code']}, {report['detail']}"
        raise ApiError(409, "check_failed", f"{detail}; give despite_faults with a reason to vote for it all the same")
    code = report["code"] if report is not None else "pending"
    _log.warning("contract.vote_despite_faults", proposal=view["proposal_id"], code=code)


def _versions(final: ChainState) -> dict[str, LineVersion]:
    """Every release that passed, line by line."""
    lines = [read_line(final.read, name) for name in read_lines(final.read)]
    return {version.product_hash: version for line in lines if line is not None for version in line.versions}


def _release_view(final: ChainState, product_hash: str, version: LineVersion) -> dict[str, Any]:
    product: ProductState | None = read_product(final.read, product_hash)
    assert product is not None, "a release of a line has an entry of its own"
    in_force = version.is_active(final.time_ms)
    return {**to_builtins(product), **to_builtins(version), "in_force": in_force}


def _proposal_view(final: ChainState, proposal_id: str, roles: RolesPort) -> dict[str, Any] | None:
    proposal = read_state(final.read, ProposalState, proposal_id)
    if proposal is None:
        return None
    over = final.time_ms > proposal.expires_ms or proposal.epoch != final.validators.epoch
    status = "passed" if proposal.passed_height is not None else "over" if over else "open"
    about = is_about_contracts(proposal.changes)
    return {
        **to_builtins(proposal),
        "proposal_id": proposal_id,
        "status": status,
        "is_release": about and proposal.changes[0]["change"] == "contract.release",
        "report": roles.contract_report(proposal_id) if about else None,
    }


def _rules(final: ChainState) -> dict[str, Any]:
    """What a release that is proposed now has to keep."""
    parameters = read_parameters(final.read).parameters
    return {
        "time_ms": final.time_ms,
        "day_ms": day_start(final.time_ms, parameters.utc_offset_minutes),
        "utc_offset_minutes": parameters.utc_offset_minutes,
        "notice_days": parameters.notice_days,
    }


def _texts(text: Any) -> dict[str, Any]:
    return {name: decode(getattr(text, name).encode()) for name in ("program", "tables", "examples")}
