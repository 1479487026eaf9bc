"""For operators: is it alive, is it ready, how does it do.

Knows the node's own status. Must not know claims. Always true: health says nothing but yes or no to a stranger;
figures and names of metrics hold no id of a person, claim or token.
"""

from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from contracts.offences import read_offence
from node.api.answers import answer
from node.api.directory import Directory
from node.api.port import NodePort
from node.api.problems import ApiError

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
GAUGES = ("height", "time_ms", "mempool", "mempool_bytes", "peers", "view", "evidence_kept")
"""Figures of the node's status that are exported as they are."""


class Metrics:
    """Counters of this interface, and the node's figures at the moment they are asked for."""

    def __init__(self, node: NodePort, directory: Directory) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "claimnode_http_requests_total", "Requests", ("method", "route", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "claimnode_http_request_seconds", "Time to answer", ("method", "route"), registry=self.registry
        )
        self.registry.register(_NodeFigures(node, directory))

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """One answered request. `route` is the template, so that no id becomes a label."""
        self._requests.labels(method if route else "", route, str(status)).inc()
        if route:
            self._seconds.labels(method, route).observe(seconds)

    def render(self) -> bytes:
        """The exposition text."""
        return generate_latest(self.registry)


class _NodeFigures(Collector):
    def __init__(self, node: NodePort, directory: Directory) -> None:
        self._node = node
        self._directory = directory

    def collect(self) -> Iterable[Metric]:
        status = self._node.status()
        for name in GAUGES:
            value = _figure(status.get(name))
            if value is not None:
                yield GaugeMetricFamily(f"claimnode_{name}", f"{name} of this node", value=value)
        offences = CounterMetricFamily("claimnode_offences", "Offences of validators on the ledger")
        offences.add_metric((), self._directory.offences_total)
        yield offences
        yield GaugeMetricFamily("claimnode_ready", "1 when ready", value=int(bool(status.get("ready"))))


def add_routes(app: FastAPI, node: NodePort, directory: Directory, metrics: Metrics) -> None:
    """Add this module's routes to the application."""

    @app.get("/healthz")
    async def health() -> Response:
        """The process answers."""
        return answer({"status": "alive"})

    @app.get("/readyz")
    async def ready() -> Response:
        """The node follows the network and has read its own ledger."""
        behind = directory.height < node.chain.final.height
        if node.status().get("ready") and not behind:
            return answer({"status": "ready"})
        raise ApiError(503, "not_ready", "this node is not ready to serve", {"Retry-After": "1"})

    @app.get("/metrics")
    async def show_metrics() -> Response:
        """Prometheus metrics."""
        return Response(metrics.render(), media_type=METRICS_TYPE)

    @app.get("/openapi.json")
    async def openapi(request: Request) -> Response:
        """The description of this interface."""
        return answer(app.openapi())

    @app.get("/v1/status")
    async def status() -> Response:
        """How this node stands: height, roots, peers, pending transactions; offences of validators on record."""
        final = node.chain.final
        return answer(
            {
                **node.status(),
                "participant": node.identity.participant,
                "network": node.network,
                "height": final.height,
                "block_time_ms": final.time_ms,
                "now_ms": node.clock.now_ms(),
                "header_hash": final.header_hash.hex(),
                "state_root": final.state_map.root.hex(),
                "log_size": final.frontier.size,
                "log_root": final.frontier.root.hex(),
                "offences": directory.offences_total,
                "evidence": evidence_view(node, directory),
            }
        )


def evidence_view(node: NodePort, directory: Directory) -> list[dict[str, Any]]:
    """The latest offences on record, oldest first: who did what, who showed it, and where it stands."""
    read = node.chain.final.read
    found = [(item, read_offence(read, item.offence_id)) for item in directory.offences]
    return [
        {
            "offence_id": item.offence_id,
            "offender": offence.culprit,
            "kind": offence.kind,
            "epoch": offence.epoch,
            "view": offence.view,
            "reporter": offence.reporter,
            "height": offence.height,
            "tx_id": item.tx_id,
        }
        for item, offence in found
        if offence is not None
    ]


def _figure(value: Any) -> int | None:
    if isinstance(value, (list, tuple, set, frozenset, dict)):
        return len(value)
    return int(value) if isinstance(value, int) else None
