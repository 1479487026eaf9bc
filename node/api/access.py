"""Who may call what: one table, route by route.

Knows methods, path templates and scopes. Must not know what a route does. Always true: a route that has no row
here cannot be built into the application, so none is ever open by accident.
"""

from typing import Final

from starlette.requests import Request

from node.api.problems import ApiError
from node.api.tokens import Scope, TokenRecord, Tokens

PUBLIC: Final = "public"
"""Answers anybody: what a load balancer asks, and hashes of the log with a signature over them."""

ACCESS: Final[dict[tuple[str, str], Scope | str]] = {
    ("GET", "/healthz"): PUBLIC,
    ("GET", "/readyz"): PUBLIC,
    ("GET", "/metrics"): "metrics",
    ("GET", "/openapi.json"): "read",
    ("GET", "/v1/status"): "read",
    ("POST", "/v1/transactions"): "submit",
    ("GET", "/v1/transactions/{tx_id}"): "read",
    ("GET", "/v1/claims"): "read",
    ("GET", "/v1/claims/{claim_id}"): "read",
    ("GET", "/v1/claims/{claim_id}/dossier"): "dossier",
    ("GET", "/v1/claims/{claim_id}/decision"): "dossier",
    ("POST", "/v1/claims/{claim_id}/review"): "review",
    ("POST", "/v1/claims/{claim_id}/words"): "consent",
    ("GET", "/v1/reports"): "read",
    ("GET", "/v1/statistics/kpi"): "report",
    ("GET", "/v1/statistics/closings"): "report",
    ("GET", "/v1/statistics/employer"): "report",
    ("POST", "/v1/claims/{claim_id}/feedback"): "consent",
    ("GET", "/v1/feedback"): "report",
    ("POST", "/v1/feedback/{claim_id}/answer"): "review",
    ("GET", "/v1/clocks"): "report",
    ("GET", "/v1/tasks"): "review",
    ("POST", "/v1/tasks/take"): "review",
    ("POST", "/v1/tasks/{claim_id}/return"): "review",
    ("GET", "/v1/payouts"): "read",
    ("POST", "/v1/consents"): "consent",
    ("GET", "/v1/consents/{consent_id}"): "read",
    ("POST", "/v1/consents/{consent_id}/revocation"): "consent",
    ("GET", "/v1/consents/{consent_id}/mail"): "consent",
    ("POST", "/v1/consents/{consent_id}/delegation"): "govern",
    ("POST", "/v1/consents/{consent_id}/ratification"): "consent",
    ("POST", "/v1/consents/{consent_id}/key"): "consent",
    ("POST", "/v1/payees"): "consent",
    ("POST", "/v1/acknowledgements"): "consent",
    ("POST", "/v1/contests"): "consent",
    ("POST", "/v1/payments/batches"): "pay",
    ("POST", "/v1/payments/answers"): "pay",
    ("GET", "/v1/payments/open"): "pay",
    ("POST", "/v1/payouts/{payout_id}/retry"): "pay",
    ("GET", "/v1/recoveries/{recovery_id}"): "read",
    ("POST", "/v1/recoveries/{recovery_id}/settlement"): "pay",
    ("POST", "/v1/batches"): "pay",
    ("POST", "/v1/batches/{batch_id}/review"): "review",
    ("POST", "/v1/batches/{batch_id}/settlement"): "pay",
    ("POST", "/v1/batches/{batch_id}/acknowledgement"): "pay",
    ("GET", "/v1/batches"): "report",
    ("GET", "/v1/batches/{batch_id}"): "dossier",
    ("GET", "/v1/receivables"): "report",
    ("POST", "/v1/guarantees/{guarantee_id}/opening"): "pay",
    ("POST", "/v1/records"): "publish",
    ("GET", "/v1/records/{record_id}"): "read",
    ("GET", "/v1/invoices/errors"): "read",
    ("GET", "/v1/risk/hospitals"): "report",
    ("GET", "/v1/risk/statistics"): "report",
    ("GET", "/v1/risk/signals"): "review",
    ("POST", "/v1/risk/signals"): "review",
    ("POST", "/v1/risk/signals/{signal_id}/withdrawal"): "review",
    ("POST", "/v1/policies"): "policy",
    ("GET", "/v1/contracts"): "read",
    ("GET", "/v1/contracts/{product_hash}"): "read",
    ("GET", "/v1/proposals"): "read",
    ("GET", "/v1/proposals/{proposal_id}"): "read",
    ("POST", "/v1/proposals"): "govern",
    ("POST", "/v1/proposals/{proposal_id}/vote"): "govern",
    ("POST", "/v1/proposals/{proposal_id}/withdrawal"): "govern",
    ("POST", "/v1/contracts/backtest"): "backtest",
    ("GET", "/v1/contracts/backtest/{backtest_id}"): "backtest",
    ("POST", "/v1/contracts/backtest/{backtest_id}/cancellation"): "backtest",
    ("GET", "/v1/shadow"): "backtest",
    ("POST", "/v1/shadow"): "backtest",
    ("GET", "/v1/blocks/{height}"): "ledger",
    ("GET", "/v1/blocks/{height}/bytes"): "ledger",
    ("GET", "/v1/blocks/{height}/effects"): "ledger",
    ("GET", "/v1/proofs/transactions/{tx_id}"): "ledger",
    ("GET", "/v1/proofs/state/{key:path}"): "ledger",
    ("GET", "/v1/proofs/records/{record_id}"): "ledger",
    ("POST", "/v1/proofs/invoices"): "dossier",
    ("GET", "/v1/snapshots"): "ledger",
    ("GET", "/v1/snapshots/{height}/manifest"): "ledger",
    ("GET", "/v1/snapshots/{height}/chunks/{number}"): "ledger",
    ("GET", "/v1/events"): "read",
    ("GET", "/checkpoint"): PUBLIC,
    ("GET", "/tile/{level}/{number:path}"): PUBLIC,
    ("GET", "/tile/entries/{number:path}"): "ledger",
    ("GET", "/v1/keys"): "read",
}
"""(method, path template) -> the scope a token needs."""


def required_scope(method: str, template: str) -> Scope | str:
    """The scope of a route. Raises ApiError `no_access_rule`: such a route must not answer."""
    scope = ACCESS.get(("GET" if method == "HEAD" else method, template))
    if scope is None:
        raise ApiError(403, "no_access_rule", "this route has no access rule; it answers nobody")
    return scope


def authorise(tokens: Tokens, request: Request, template: str) -> TokenRecord | None:
    """The token behind a request, None for a public route.

    Raises ApiError 401 `unauthenticated`, 403 `forbidden`, `no_access_rule`.
    """
    scope = required_scope(request.method, template)
    if scope == PUBLIC:
        return None
    kind, _, text = request.headers.get("authorization", "").partition(" ")
    record = tokens.find(text.strip()) if kind.lower() == "bearer" and text else None
    if record is None:
        raise ApiError(
            401,
            "unauthenticated",
            "send Authorization: Bearer with an access token of this node (claimnode node token new)",
            {"WWW-Authenticate": 'Bearer realm="claimnode"'},
        )
    if scope not in record.scopes:
        raise ApiError(403, "forbidden", f"token {record.name} lacks the scope {scope}")
    return record
