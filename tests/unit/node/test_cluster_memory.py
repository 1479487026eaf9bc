"""Nodes of one network in one process, over memory links: agreement, loss of nodes, restarts, catching up."""

import asyncio
import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from consensus.messages import Certified, encode_message
from ledger.certificates import decode_certificate
from node.ordering import blocksync
from node.ordering.journalfile import JOURNAL, JournalFailed
from node.peers.frames import Lane
from tests.support.cluster import Cluster, run_story, sign_policy


def record_from(name: str, said: list[bytes]) -> Callable[[str, str, Lane, bytes], bool]:
    """Keep every consensus message that `name` sends."""

    def look(sender: str, _to: str, lane: Lane, data: bytes) -> bool:
        if sender == name and lane is Lane.CONSENSUS:
            said.append(data)
        return True

    return look


def test_a_transaction_becomes_final_everywhere(tmp_path: Path) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.start()
        height = await cluster.commit_one("hospital-0")
        await cluster.until(lambda: min(cluster.heights().values()) >= height)
        roots = {node.chain.final.state_map.root for node in cluster.nodes.values()}
        assert len(roots) == 1
        assert all(node.signatures.checked == 1 for node in cluster.nodes.values()), "each signature once"

    run_story(tmp_path, story)


def test_the_same_bytes_submitted_twice_have_one_receipt(tmp_path: Path) -> None:
    """X5: at two nodes, and again when it is final."""

    async def story(cluster: Cluster) -> None:
        await cluster.start()
        node = cluster.nodes["hospital-0"]
        one = sign_policy(cluster.network.identities["insurer-1"], "tpa-3", expires_ms=node.clock.now_ms() + 3_600_000)
        first = await node.submit_bytes(one.encoded)
        assert await cluster.nodes["tpa-3"].submit_bytes(one.encoded) == first
        outcome = await node.outcome(first, 10)
        assert await node.submit_bytes(one.encoded) == first
        assert await node.outcome(first, 10) == outcome
        assert not node.is_pending(first)

    run_story(tmp_path, story)


def test_three_of_four_go_on_and_the_fourth_catches_up(tmp_path: Path) -> None:
    """P2: one of four is killed."""

    async def story(cluster: Cluster) -> None:
        await cluster.start()
        await cluster.commit_one("hospital-0")
        await cluster.kill("tpa-3")
        for _ in range(6):
            height = await cluster.commit_one("hospital-0")
        await cluster.start("tpa-3")
        await cluster.until(lambda: cluster.nodes["tpa-3"].chain.height >= height)
        await cluster.commit_one("tpa-3")

    run_story(tmp_path, story)


def test_all_killed_at_once_go_on_after_a_restart(tmp_path: Path) -> None:
    """P2 O3: all at the same moment."""

    async def story(cluster: Cluster) -> None:
        await cluster.start()
        height = await cluster.commit_one("hospital-0")
        for name in list(cluster.nodes):
            await cluster.kill(name)
        await cluster.start()
        assert await cluster.commit_one("insurer-1") > height

    run_story(tmp_path, story)


def test_a_node_that_was_cut_off_catches_up(tmp_path: Path) -> None:
    """N6: its links are cut, the others go on."""

    async def story(cluster: Cluster) -> None:
        await cluster.start()
        await cluster.commit_one("hospital-0")
        cluster.links.isolate("commission-2", cluster.network.names)
        for _ in range(4):
            height = await cluster.commit_one("hospital-0")
        assert cluster.nodes["commission-2"].chain.height < height
        assert "peers" in cluster.nodes["commission-2"].status()["reasons"]
        cluster.links.heal()
        await cluster.until(lambda: cluster.nodes["commission-2"].chain.height >= height)

    run_story(tmp_path, story)


def test_an_observer_follows_from_an_empty_folder(tmp_path: Path) -> None:
    """P13: it syncs, and signs nothing."""

    async def story(cluster: Cluster) -> None:
        await cluster.start(*(name for name in cluster.network.names if not name.startswith("observer")))
        for _ in range(5):
            height = await cluster.commit_one("hospital-0")
        await cluster.start("observer-0")
        await cluster.until(lambda: cluster.nodes["observer-0"].chain.height >= height)
        assert not cluster.nodes["observer-0"].status()["validator"]
        assert not list((tmp_path / "observer-0" / "data").glob(f"{JOURNAL}*"))
        await cluster.commit_one("observer-0")  # its transactions reach the validators through gossip

    run_story(tmp_path, story, observers=1)


def test_a_long_gap_is_closed_by_ranges_of_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """B18: far behind, in several ranges, from a peer that lies first: nothing of the lie is executed."""
    monkeypatch.setattr(blocksync, "RANGE_BLOCKS", 3)

    async def story(cluster: Cluster) -> None:
        await cluster.start("hospital-0", "insurer-1", "commission-2")
        for _ in range(8):
            height = await cluster.commit_one("hospital-0")
        true_answer = cluster.links.links["commission-2"].handlers[blocksync.METHOD]

        async def lie(peer: str, payload: bytes) -> bytes:
            answer = bytearray(await true_answer(peer, payload))
            answer[-1] ^= 1
            return bytes(answer)

        cluster.links.links["commission-2"].handlers[blocksync.METHOD] = lie
        await cluster.start("tpa-3")
        late = cluster.nodes["tpa-3"]
        certificate = cluster.nodes["hospital-0"].chain.block_at(height).certificate
        assert certificate is not None
        late.driver.catch_up.start(decode_certificate(certificate))
        await cluster.until(lambda: late.chain.height >= height)
        assert late.driver.reports.blamed
        assert {peer for peer, _ in late.driver.reports.blamed} == {"commission-2"}

    run_story(tmp_path, story)


def test_a_lost_journal_is_not_voted_without(tmp_path: Path) -> None:
    """P12: the key may have signed what the journal knew: the node follows, reports not ready, and never votes."""

    async def story(cluster: Cluster) -> None:
        await cluster.start()
        await cluster.commit_one("hospital-0")
        await cluster.kill("tpa-3")
        cluster.journal("tpa-3").unlink()
        await cluster.start("tpa-3")
        status = cluster.nodes["tpa-3"].status()
        assert status["halted"] == "journal_missing"
        assert not status["ready"]
        votes: list[bytes] = []
        cluster.links.on_send = record_from("tpa-3", votes)
        height = await cluster.commit_one("hospital-0")
        await cluster.until(lambda: cluster.nodes["tpa-3"].chain.height >= height)
        assert not [data for data in votes if b'"type":"vote"' in data]

    run_story(tmp_path, story)


def test_an_older_copy_of_the_folder_is_not_voted_with(tmp_path: Path) -> None:
    """P12: a restored backup: the guard, which stands apart from the journal, gives it away."""

    async def story(cluster: Cluster) -> None:
        await cluster.start()
        await cluster.commit_one("hospital-0")
        await cluster.kill("tpa-3")
        journal = cluster.journal("tpa-3")
        old = journal.read_bytes()
        await cluster.start("tpa-3")
        height = 0
        for _ in range(3):
            height = await cluster.commit_one("hospital-0")
        await cluster.until(lambda: cluster.nodes["tpa-3"].chain.height >= height)
        await cluster.kill("tpa-3")
        ledger = tmp_path / "tpa-3" / "data" / "ledger.db"
        for path in ledger.parent.glob("ledger.db*"):
            path.unlink()
        journal.write_bytes(old)
        await cluster.start("tpa-3")
        assert cluster.nodes["tpa-3"].status()["halted"] == "journal_behind_guard"
        await cluster.until(lambda: cluster.nodes["tpa-3"].chain.height >= height)

    run_story(tmp_path, story)


def test_a_full_disk_stops_the_votes_and_space_resumes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """P7: nothing is said that was not written."""
    monkeypatch.setattr("node.ordering.votedisk.SPACE_RETRY_S", 0.02)
    full = False
    real_write = os.write

    def write(fd: int, data: bytes) -> int:
        if full and "tpa-3" in os.readlink(f"/proc/self/fd/{fd}"):
            raise OSError(errno.ENOSPC, "no space left on device")
        return real_write(fd, data)

    monkeypatch.setattr(os, "write", write)

    async def story(cluster: Cluster) -> None:
        nonlocal full
        await cluster.start()
        await cluster.commit_one("hospital-0")
        full = True
        height = await cluster.commit_one("hospital-0")
        await cluster.until(lambda: cluster.nodes["tpa-3"].driver.waiting == "no_space")
        assert "disk_full" in cluster.nodes["tpa-3"].status()["reasons"]
        full = False
        await cluster.until(lambda: cluster.nodes["tpa-3"].chain.height >= height)
        assert cluster.nodes["tpa-3"].driver.waiting is None

    run_story(tmp_path, story)


def test_a_failed_sync_ends_the_node_before_it_says_another_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P8: the same file is never synced again."""
    broken = False
    real_sync = os.fdatasync

    def sync(fd: int) -> None:
        if broken and "tpa-3" in os.readlink(f"/proc/self/fd/{fd}"):
            raise OSError(errno.EIO, "input/output error")
        real_sync(fd)

    monkeypatch.setattr(os, "fdatasync", sync)

    async def story(cluster: Cluster) -> None:
        nonlocal broken
        await cluster.start()
        await cluster.commit_one("hospital-0")
        broken = True
        said: list[bytes] = []
        cluster.links.on_send = record_from("tpa-3", said)
        ended = asyncio.ensure_future(cluster.nodes["tpa-3"].wait_failed())
        await cluster.commit_one("hospital-0")
        with pytest.raises(JournalFailed, match="fsync"):
            await asyncio.wait_for(ended, 5)
        assert not [data for data in said if b'"type":"vote"' in data]

    run_story(tmp_path, story)


def test_nothing_is_sent_before_it_is_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """P1: every vote that leaves a node is in its journal file at that moment."""

    async def story(cluster: Cluster) -> None:
        checked = 0

        def look(sender: str, _to: str, lane: Lane, data: bytes) -> bool:
            nonlocal checked
            if lane is Lane.CONSENSUS and b'"type":"vote"' in data:
                signature = data.split(b'"signature":"')[1][:128]
                journal = cluster.journal(sender).read_bytes()
                assert signature in journal
                checked += 1
            return True

        cluster.links.on_send = look
        await cluster.start()
        await cluster.commit_one("hospital-0")
        assert checked > 6

    run_story(tmp_path, story)


def test_a_forged_finalization_is_not_followed(tmp_path: Path) -> None:
    """B18 B9: a height that nobody reached."""

    async def story(cluster: Cluster) -> None:
        await cluster.start()
        height = await cluster.commit_one("hospital-0")
        node = cluster.nodes["hospital-0"]
        raw = node.chain.block_at(height).certificate
        assert raw is not None
        certificate = decode_certificate(raw)
        forged = type(certificate)(
            certificate.kind,
            certificate.epoch,
            certificate.view + 500,
            certificate.parent_view,
            "ab" * 32,
            certificate.signers,
            certificate.signatures,
        )
        node.driver.on_message("tpa-3", encode_message(Certified(forged)))
        await cluster.commit_one("hospital-0")
        assert not node.driver.is_syncing
        assert any(peer == "tpa-3" for peer, _ in node.driver.reports.blamed)

    run_story(tmp_path, story)
