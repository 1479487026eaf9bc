"""A node for the HTTP interface without network, store or clock: an in-memory network executes what is submitted."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import structlog
from msgspec import Struct

from contracts.genesis import Parameters
from contracts.reports.clocks import ClockLimits, limits_of
from contracts.reports.feedback import Satisfaction, build_satisfaction
from contracts.reports.stories import ClaimStory
from ledger.checkpoints import origin_of
from ledger.errors import LedgerError
from ledger.transactions import decode_transaction
from node.agents.backtesting import Order
from node.api.problems import ApiError
from node.api.tokens import ALL_SCOPES, create_token
from node.errors import NodeError, Rejected, Unavailable
from node.outcomes import Feed, FinalBlock, TransactionOutcome, outcome_in
from node.snapshots.shelf import Shelf
from node.witnessing.collector import Collector
from node.witnessing.log import PublishedLog
from node.witnessing.settings import WitnessConfig
from tests.support.memory_log import MemoryLog
from tests.support.network_builder import Network, make_bytes


class MemoryChain:
    """Final blocks of a Network behind the node's own feed."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.feed = Feed(self._load)
        self.places: dict[str, tuple[int, int]] = {}

    @property
    def final(self) -> Any:
        return self.network.state

    def block_at(self, height: int) -> FinalBlock:
        if not 1 <= height <= len(self.network.blocks):
            raise LedgerError("unknown_height", f"no block at height {height}")
        return self._load(height)

    def transaction(self, tx_id: str) -> TransactionOutcome | None:
        self.catch_up()
        place = self.places.get(tx_id)
        return outcome_in(self._load(place[0]), place[1]) if place else None

    def listed_before_blocks(self) -> tuple[int, list[str], list[str]]:
        return 0, [], []

    def subscribe(self, after: int | None = None) -> AsyncIterator[FinalBlock]:
        self.catch_up()
        return self.feed.follow(len(self.network.blocks) if after is None else after)

    def catch_up(self) -> None:
        """Announce blocks that the network made since."""
        for height in range(self.feed._height + 1, len(self.network.blocks) + 1):
            block = self._load(height)
            for index, receipt in enumerate(block.receipts):
                self.places[receipt.tx_id] = (height, index)
            self.feed.publish(block)

    def _load(self, height: int) -> FinalBlock:
        executed = self.network.blocks[height - 1]
        return FinalBlock(
            height=height,
            header_hash=executed.header_hash,
            header=executed.block.header,
            encoded=executed.encoded,
            receipts=executed.receipts,
            certificate=None,
        )


class NetworkLog(MemoryLog):
    """The log of an in-memory network, as far as it has come."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self._network, self._blocks = network, 0

    def head(self) -> tuple[int, bytes]:
        for block in self._network.blocks[self._blocks :]:
            self.add(block.entries)
        self._blocks = len(self._network.blocks)
        return super().head()


class MemoryNode:
    """The node's port: every submission becomes a block at once."""

    def __init__(self, network: Network, participant: str = "insurer") -> None:
        self.net = network
        self.identity = SimpleNamespace(participant=participant)
        self.genesis = network.genesis
        self.network = network.genesis.network
        self.chain = MemoryChain(network)
        self.clock = SimpleNamespace(now_ms=lambda: network.now_ms, monotonic_ms=lambda: 0)
        self.pending: set[str] = set()
        self.ready = True
        self.log = NetworkLog(network)
        self.published = PublishedLog(
            self.log,
            origin_of(self.network, network.state.chain),
            lambda: make_bytes(f"note {participant}"),
        )
        self.witnesses = self.witnessed_by(WitnessConfig())
        self.shelf = Shelf(Path("no-folder"))

    def witnessed_by(self, config: WitnessConfig, post: Any = None, folder: Path = Path("no-folder")) -> Collector:
        """Another set of witnesses from now on."""
        self.witnesses = Collector(self.published, config, folder, self.clock, post, structlog.get_logger())
        return self.witnesses

    async def submit(self, kind: str, body: Struct) -> str:
        return self._run(self.net.sign(kind, body, self.identity.participant))

    async def submit_bytes(self, data: bytes) -> str:
        try:
            signed = decode_transaction(data)
            self.net.verify(signed)
        except LedgerError as error:
            raise Rejected(error.code, error.detail) from None
        return self._run(signed)

    async def outcome(self, tx_id: str, timeout_s: float) -> TransactionOutcome:
        found = self.chain.transaction(tx_id)
        if found is None:
            raise Unavailable("pending", f"{tx_id} is not final")
        return found

    def is_pending(self, tx_id: str) -> bool:
        return tx_id in self.pending

    def status(self) -> Mapping[str, Any]:
        return {"ready": self.ready, "height": len(self.net.blocks), "peers": [], "mempool": 0}

    def _run(self, signed: Any) -> str:
        self.net.run(signed)
        self.chain.catch_up()
        return str(signed.tx_id)


class MemoryOffice:
    """An office without people: stories given beforehand, and a participant that is no insurer."""

    def __init__(self) -> None:
        self.stories: dict[str, ClaimStory] = {}

    def story(self, claim_id: str) -> ClaimStory | None:
        return self.stories.get(claim_id)

    def limits(self) -> ClockLimits:
        return limits_of(Parameters())

    def tasks(self, *_: Any) -> Any:
        raise Unavailable("no_role", "this node does not act as insurer")

    take_task = return_task = prepare_review = release_review = closings = tasks
    receive_feedback = answer_feedback = feedback = group_totals = tasks

    def satisfaction(self, claims: int) -> Satisfaction:
        return build_satisfaction([], claims, 0)


class MemoryDesk:
    """A bank of files without any."""

    def export(self, *, release: bool = False) -> None:
        return None

    def batch(self, message_id: str) -> Any:
        raise NodeError("no_batch", "this node made no such batch")

    def take(self, answers: Any) -> dict[str, Any]:
        return {"kind": answers.kind, "payouts": []}

    def take_files(self) -> list[dict[str, Any]]:
        return []

    def open_orders(self) -> list[dict[str, Any]]:
        return []

    def retry(self, payout_id: str, asked_by: str, token: str | None = None, payee: Any = None) -> dict[str, Any]:
        raise NodeError("not_failed", "the payout is PAID")


class MemoryRoles:
    """The roles' port: what was asked of it, and answers given beforehand."""

    def __init__(self) -> None:
        self.published: list[tuple[str, Sequence[tuple[str, dict[str, Any]]]]] = []
        self.decisions: dict[str, Mapping[str, Any]] = {}
        self.dossiers: dict[str, bytes] = {}
        self.invoices: dict[tuple[str, str, str], tuple[str | None, bytes]] = {}
        self.inclusions: dict[str, bytes] = {}
        self.policies: list[Mapping[str, Any]] = []
        self.payees: list[tuple[str, bytes]] = []
        self.office: Any = MemoryOffice()
        self.desk: Any = MemoryDesk()
        self.billing: Any = None
        self.mail: dict[str, list[dict[str, Any]]] = {}
        self.errors: list[dict[str, Any]] = []
        self.hospitals: list[dict[str, Any]] = []
        self.tolerated: dict[str, list[str]] = {}
        self.reports: dict[str, dict[str, Any]] = {}
        self.reasons: dict[str, str] = {}
        self.orders: list[Order] = []
        self.shadowed: list[str | None] = []

    async def publish(
        self,
        consent_id: str,
        documents: Sequence[tuple[str, dict[str, Any]]],
        case_id: str | None = None,
        replaces: str | None = None,
    ) -> tuple[str, list[str]]:
        self.published.append((consent_id, documents))
        return "ab" * 32, ["cd" * 32 for _ in documents]

    async def commit_policies(self, policies: Sequence[Mapping[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
        self.policies.extend(policies)
        return "ab" * 32, [{"policy_id": "11" * 16} for _ in policies]

    async def decision(self, claim_id: str) -> Mapping[str, Any] | None:
        return self.decisions.get(claim_id)

    def relay_payee(self, token: str, envelope: bytes) -> None:
        self.payees.append((token, envelope))

    def mail_of(self, consent_id: str) -> list[dict[str, Any]]:
        return self.mail.get(consent_id, [])

    def risk_hospitals(self, after: int, limit: int) -> dict[str, Any]:
        page = self.hospitals[after : after + limit]
        return {"items": page, "next": after + len(page), "more": after + len(page) < len(self.hospitals)}

    def risk_statistics(self) -> list[dict[str, Any]]:
        raise Unavailable("no_role", "this node does not act as insurer")

    def contract_report(self, proposal_id: str) -> dict[str, Any] | None:
        return self.reports.get(proposal_id)

    def keep_vote_reason(self, proposal_id: str, reason: str) -> None:
        self.reasons[proposal_id] = reason

    def start_backtest(self, order: Order) -> str:
        if self.orders:
            raise Unavailable("backtest_running", "one backtest runs at a time; wait for it or cancel it")
        self.orders.append(order)
        return "ba" * 32

    def backtest(self, backtest_id: str) -> dict[str, Any] | None:
        return {"backtest_id": backtest_id, "status": "running"} if backtest_id == "ba" * 32 else None

    def cancel_backtest(self, backtest_id: str) -> None:
        self.orders.clear()

    async def switch_shadow(self, release: str | None) -> None:
        self.shadowed.append(release)

    async def shadow_view(self, after: int, limit: int, worst: int) -> dict[str, Any]:
        return {"setting": None, "summary": {}, "items": [], "next": after, "more": False}

    def prove_header(self, height: int) -> dict[str, Any]:
        return {"anchor": None, "leaf_index": height, "path": []}

    def rejection(self, record_id: str) -> list[str]:
        return []

    def warnings(self, record_id: str) -> list[str]:
        return self.tolerated.get(record_id, [])

    def invoice_errors(self, after: int, limit: int) -> dict[str, Any]:
        page = self.errors[after : after + limit]
        return {"items": page, "next": after + len(page), "more": after + len(page) < len(self.errors)}

    async def prove_invoice(self, identity: tuple[str, str, str]) -> tuple[str | None, bytes]:
        return self.invoices.get(identity, (None, b"CNP"))

    def prove_record(self, record_id: str) -> bytes | None:
        return self.inclusions.get(record_id)

    async def dossier(self, claim_id: str) -> bytes:
        if claim_id not in self.dossiers:
            raise ApiError(404, "not_found", "no dossier")
        return self.dossiers[claim_id]


def make_token(folder: Path, *scopes: str, name: str = "all") -> str:
    """A token of a node in `folder`, as its holder sends it."""
    path = folder / f"{name}.token"
    create_token(folder, name=name, scopes=scopes or ALL_SCOPES, out=path)
    return path.read_text().strip()


async def settle_tasks() -> None:
    """Let tasks that are ready run."""
    for _ in range(20):
        await asyncio.sleep(0)
