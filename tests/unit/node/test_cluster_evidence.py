"""A validator signs twice: the proof gets onto every ledger, names it alone, and everybody can see it."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from contracts.offences import read_offence, read_offender
from ledger.blocks import decode_block
from ledger.offences import derive_offence_id
from ledger.transactions import decode_transaction
from node.api.app import Api
from node.api.tokens import TOKEN_NAME, Tokens
from node.ordering.accuser import KIND
from tests.support.api_node import MemoryRoles, make_token, settle_tasks
from tests.support.cluster import NETWORK, Cluster, run_story
from tests.support.twisted_host import BothWays, TwistedHost, TwoFinals, TwoProposals

CULPRIT = "tpa-3"
HONEST = ("commission-2", "hospital-0", "insurer-1")
PATIENCE_S = 60.0
"""On a busy machine; a second or two otherwise."""


async def work_until(cluster: Cluster, condition: Callable[[], Any]) -> None:
    """Transactions, one after the other, until `condition` holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await cluster.commit_one("hospital-0", timeout_s=PATIENCE_S)


def totals(cluster: Cluster, name: str) -> dict[str, int]:
    """What a node's ledger holds against whom."""
    read = cluster.nodes[name].chain.final.read
    found = {member: read_offender(read, member) for member in cluster.network.names}
    return {member: offender.total for member, offender in found.items() if offender is not None}


def submitted(cluster: Cluster, name: str = "hospital-0") -> list[tuple[str, str]]:
    """(author, receipt code) of every report in the blocks of a node."""
    chain = cluster.nodes[name].chain
    found = []
    for height in range(1, chain.height + 1):
        block = chain.block_at(height)
        for data, receipt in zip(decode_block(block.encoded).transactions, block.receipts, strict=True):
            content = decode_transaction(data).content
            if content.kind == KIND:
                found.append((content.author, receipt.code))
    return found


async def shown(cluster: Cluster, name: str, folder: Path) -> dict[str, Any]:
    """What the node's status route answers."""
    node = cluster.nodes[name]
    api = Api(node, MemoryRoles(), Tokens(folder / TOKEN_NAME))
    headers = {"Authorization": f"Bearer {make_token(folder, name=name)}"}
    transport = httpx2.ASGITransport(app=api.app)
    async with (
        api.running(),
        httpx2.AsyncClient(transport=transport, base_url="http://node", headers=headers) as client,
    ):
        await cluster.until(lambda: api.directory.height >= node.chain.height)
        await settle_tasks()
        answer: dict[str, Any] = (await client.get("/v1/status")).json()
        answer["metrics"] = (await client.get("/metrics")).text
        return answer


@pytest.mark.parametrize(
    ("lie", "kind"),
    [(TwoProposals, "double_notarize"), (BothWays, "nullify_finalize"), (TwoFinals, "double_finalize")],
)
def test_the_ledger_names_the_culprit_alone(tmp_path: Path, lie: type[TwistedHost], kind: str) -> None:
    """B1 B2 B3 B20: complete (every honest ledger has it) and sound (nobody else is named); status shows it."""

    async def story(cluster: Cluster) -> None:
        await cluster.start()
        host = lie(cluster, CULPRIT)
        cluster.links.on_send = host
        await work_until(cluster, lambda: host.lies)
        await cluster.until(lambda: all(totals(cluster, name) == {CULPRIT: 1} for name in HONEST), PATIENCE_S)
        proofs = [cluster.nodes[name].driver.reports.evidence.proofs for name in HONEST]
        assert {proof.signer for kept in proofs for proof in kept} == {CULPRIT}
        proof = next(kept for kept in proofs if kept)[0]
        offence_id = derive_offence_id(NETWORK, proof)
        answer = await shown(cluster, "insurer-1", tmp_path)
        assert answer["offences"] == 1
        recorded = read_offence(cluster.nodes["insurer-1"].chain.final.read, offence_id)
        assert recorded is not None
        item = answer["evidence"][0]
        assert item == {
            "offence_id": offence_id,
            "offender": CULPRIT,
            "kind": kind,
            "epoch": 1,
            "view": proof.view,
            "reporter": recorded.reporter,
            "height": recorded.height,
            "tx_id": item["tx_id"],
        }
        outcome = cluster.nodes["commission-2"].chain.transaction(item["tx_id"])
        assert outcome is not None
        assert (outcome.height, outcome.receipt.results[0].subject) == (recorded.height, offence_id)
        assert "claimnode_offences_total 1.0" in answer["metrics"]
        await cluster.until(lambda: not any(len(cluster.nodes[name].accuser) for name in HONEST), PATIENCE_S)
        assert [code for _, code in submitted(cluster)] == ["ok"], "one report, though all of them saw it"

    run_story(tmp_path, story)


def test_what_was_kept_is_reported_after_a_restart(tmp_path: Path) -> None:
    """Every honest node goes down before the ledger has it: the file remembers."""

    async def story(cluster: Cluster) -> None:
        await cluster.start()
        for name in HONEST:
            cluster.nodes[name].driver.reports.evidence.on_kept.clear()
        host = TwoProposals(cluster, CULPRIT)
        cluster.links.on_send = host
        await work_until(cluster, lambda: host.lies)
        await cluster.until(
            lambda: any(len(cluster.nodes[name].driver.reports.evidence) for name in HONEST), PATIENCE_S
        )
        assert totals(cluster, "hospital-0") == {}
        for name in HONEST:
            await cluster.kill(name)
        await cluster.start(*HONEST)
        await cluster.until(lambda: all(totals(cluster, name) == {CULPRIT: 1} for name in HONEST), PATIENCE_S)

    run_story(tmp_path, story)


def test_an_honest_network_accuses_nobody(tmp_path: Path) -> None:
    """Also when a node is cut off, killed and comes back."""

    async def story(cluster: Cluster) -> None:
        await cluster.start()
        for _ in range(3):
            await cluster.commit_one("hospital-0", timeout_s=PATIENCE_S)
        await cluster.kill(CULPRIT)
        height = await cluster.commit_one("hospital-0", timeout_s=PATIENCE_S)
        await cluster.start(CULPRIT)
        await cluster.until(lambda: cluster.nodes[CULPRIT].chain.height >= height, PATIENCE_S)
        await cluster.commit_one(CULPRIT, timeout_s=PATIENCE_S)
        for node in cluster.nodes.values():
            assert not node.driver.reports.evidence.proofs
        assert totals(cluster, "hospital-0") == {}
        assert submitted(cluster) == []

    run_story(tmp_path, story)
