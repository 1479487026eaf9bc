"""P15, A7: the application of one node raises or computes otherwise: it halts and shows where, the others go on."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from contracts.execution import ExecutedBlock, reexecute_block
from ledger.state import Versioned
from node.ordering import workshop
from node.ordering.disagreement import METHOD, REPORT
from tests.support.cluster import Cluster, run_story

VICTIM = "tpa-3"


def otherwise(parent: Any, block: Any, *rest: Any) -> ExecutedBlock:
    """A node whose arithmetic is off by one byte in one key."""
    executed = reexecute_block(parent, block, *rest)
    if not executed.changes:
        return executed
    key = sorted(executed.changes)[0]
    item = executed.changes[key]
    changes = {**executed.changes, key: Versioned(item.version, item.entry, (item.value or b"") + b" ")}
    state_map = parent.state_map.update({b"\7" * 32: b"\3" * 32})
    header = msgspec.structs.replace(executed.block.header, state_root=state_map.root.hex())
    return replace(executed, block=msgspec.structs.replace(executed.block, header=header), header_hash=b"\1" * 32,
                   changes=changes)  # fmt: skip


def raising(*_: Any) -> ExecutedBlock:
    raise ZeroDivisionError("secret 42")


def spoil(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, how: Callable[..., ExecutedBlock]) -> None:
    """Only the victim's workshop executes like that."""
    node = cluster.nodes[VICTIM]
    true = node._workshop.execute

    def execute(state: Any, block: Any) -> ExecutedBlock:
        with monkeypatch.context() as patched:
            patched.setattr(workshop, "reexecute_block", how)
            return true(state, block)

    monkeypatch.setattr(node._workshop, "execute", execute)


def test_a_node_that_computes_otherwise_halts_with_both_roots_and_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P15, A7: in status, log and report: the roots of header and node, and the first key, as a peer has it. A peer
    that lies about its changes is not believed."""

    async def story(cluster: Cluster) -> None:
        await cluster.start()
        first = await cluster.commit_one("hospital-0")
        node = cluster.nodes[VICTIM]
        await cluster.until(lambda: node.chain.height >= first)

        async def lie(_peer: str, _payload: bytes) -> bytes:
            return b""

        cluster.links.links["commission-2"].handlers[METHOD] = lie  # the first to be asked
        spoil(cluster, monkeypatch, otherwise)
        for _ in range(3):  # a block that the victim leads is right: only what others build is executed again
            height = await cluster.commit_one("hospital-0")
        await cluster.until(lambda: (node.status()["disagreement"] or {}).get("first_differing_key"))
        status = node.status()
        assert status["halted"] == status["not_voting"] == "disagreement"
        assert not status["ready"]
        report = status["disagreement"]
        roots = report["roots"]["state_root"]
        header = cluster.nodes["hospital-0"].chain.block_at(report["height"]).header
        assert roots["header"] == header.state_root != roots["here"]
        changes = cluster.nodes["hospital-0"].chain.store.changes(report["height"])
        assert report["first_differing_key"] == sorted(changes)[0]
        assert report["compared_with"] != "commission-2"
        kept = msgspec.json.decode((tmp_path / VICTIM / "data" / REPORT).read_bytes())
        assert kept == report
        for _ in range(3):
            assert await cluster.commit_one("insurer-1") > height

    run_story(tmp_path, story)


def test_a_node_whose_application_raises_halts_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P15: a defect in one node's execution costs that node alone; the process lives, answers, and leaks no text."""

    async def story(cluster: Cluster) -> None:
        await cluster.start()
        before = await cluster.commit_one("hospital-0")
        node = cluster.nodes[VICTIM]
        await cluster.until(lambda: node.chain.height >= before)
        spoil(cluster, monkeypatch, raising)
        for _ in range(3):
            await cluster.commit_one("hospital-0")
        await cluster.until(lambda: node.status()["halted"] == "disagreement")
        assert "ZeroDivisionError" in node.status()["halted_detail"]
        assert "secret" not in str(node.status()) + str(node.log.lines)
        assert node.chain.block_at(before).header is not None

    run_story(tmp_path, story)
