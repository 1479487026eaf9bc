"""Real nodes whose set of validators changes by transactions: seats, restarts, late and removed members (O1, O2)."""

import shutil
from functools import partial
from pathlib import Path

from consensus.messages import Certified, encode_message
from contracts.bodies import SeatTaken
from contracts.validators import closes_epoch
from ledger.certificates import decode_certificate
from ledger.crypto.keys import generate_key
from node.audit.replay import StoredBlock, replay_ledger
from node.identity import Identity
from node.ordering.epochs import closing_certificate
from tests.support.cluster import Cluster, run_story

OLD = ("hospital-0", "insurer-1", "commission-2", "tpa-3")


run = partial(run_story, spares=1)


def voting(cluster: Cluster) -> set[str]:
    return {name for name, node in cluster.nodes.items() if node.driver.is_voting}


def check_ledger(cluster: Cluster, name: str) -> None:
    """The node's blocks prove themselves from genesis: the audit follows the chain of sets."""
    chain = cluster.nodes[name].chain
    blocks = [chain.block_at(height) for height in range(1, chain.height + 1)]
    replay = replay_ledger(
        cluster.network.genesis, [StoredBlock(block.height, block.encoded, block.certificate) for block in blocks]
    )
    assert replay.state_root == chain.final.state_map.root.hex()


def test_a_seat_changes_hands_and_everybody_restarts(tmp_path: Path) -> None:
    """O1, O2: replace a validator; the removed one follows; all restart in the new epoch and go on."""

    async def story(cluster: Cluster) -> None:
        await cluster.start()
        await cluster.commit_one("hospital-0")
        await cluster.change_set(SeatTaken("tpa-3"), cluster.seat("spare-0"), voters=OLD[:3])
        height = await cluster.commit_one("hospital-0")
        await cluster.until(lambda: min(cluster.heights().values()) >= height)
        assert voting(cluster) == {*OLD[:3], "spare-0"}
        node = cluster.nodes["tpa-3"]
        boundary = next(h for h in range(1, height) if closes_epoch(node.chain.block_at(h).header))
        first = node.chain.block_at(boundary + 1)
        assert first.header.parent == node.chain.block_at(boundary).header_hash.hex()
        assert first.header.epoch == 2
        assert closing_certificate(node.chain, 1) == node.chain.block_at(boundary).certificate
        for name in list(cluster.nodes):
            await cluster.kill(name)
        await cluster.start()
        assert not [node.driver.halted for node in cluster.nodes.values() if node.driver.halted]
        await cluster.commit_one("spare-0")
        await cluster.kill("hospital-0")
        await cluster.commit_one("spare-0")
        check_ledger(cluster, "spare-0")

    run(tmp_path, story)


def test_late_nodes_follow_the_chain_of_sets(tmp_path: Path) -> None:
    """O1: an observer with an empty folder and a validator that slept through two epochs come to the same state."""

    async def story(cluster: Cluster) -> None:
        await cluster.start(*OLD, "spare-0", "spare-1")
        await cluster.commit_one("hospital-0")
        await cluster.kill("tpa-3")
        await cluster.change_set(cluster.seat("spare-0"), voters=OLD[:3])
        await cluster.commit_one("hospital-0")
        await cluster.change_set(cluster.seat("spare-1"), voters=(*OLD[:3], "spare-0"))
        height = await cluster.commit_one("spare-1")
        await cluster.start("tpa-3", "observer-0")
        await cluster.until(lambda: min(cluster.heights().values()) >= height, 20)
        assert cluster.nodes["observer-0"].validators.epoch == 3
        await cluster.kill("hospital-0")
        await cluster.commit_one("tpa-3")
        assert "tpa-3" in voting(cluster)
        check_ledger(cluster, "observer-0")

    run(tmp_path, story, spares=2, observers=1)


def test_a_message_of_a_closed_epoch_is_answered_with_its_end(tmp_path: Path) -> None:
    """B14: the closing finalization comes back, whoever asks; the certificate itself changes nothing."""

    async def story(cluster: Cluster) -> None:
        await cluster.start()
        height = await cluster.commit_one("hospital-0")
        early = cluster.nodes["hospital-0"].chain.block_at(height).certificate
        assert early is not None
        await cluster.change_set(cluster.seat("spare-0"), voters=OLD[:3])
        await cluster.commit_one("hospital-0")
        node = cluster.nodes["hospital-0"]
        closing = closing_certificate(node.chain, 1)
        assert closing is not None
        answers: list[bytes] = []
        cluster.links.on_send = lambda sender, to, lane, data: answers.append(data) or True  # type: ignore[func-returns-value]
        before = node.chain.height
        node.driver.on_message("spare-0", encode_message(Certified(decode_certificate(early))))
        wanted = encode_message(Certified(decode_certificate(closing)))
        await cluster.until(lambda: wanted in answers)
        assert node.chain.height == before

    run(tmp_path, story)


def test_a_seat_with_other_keys_is_not_used(tmp_path: Path) -> None:
    """A node whose folder does not hold the keys of its seat follows and never votes."""

    async def story(cluster: Cluster) -> None:
        await cluster.start()
        await cluster.commit_one("hospital-0")
        identity = cluster.network.identities["spare-0"]
        await cluster.kill("spare-0")
        cluster.network.identities["spare-0"] = Identity(
            participant=identity.participant,
            signing=identity.signing,
            finality=generate_key("bls12-381"),
            envelope=identity.envelope,
            note=identity.note,
            transport=identity.transport,
            transport_files=identity.transport_files,
        )
        seat = cluster.seat("spare-0")
        cluster.network.identities["spare-0"] = identity
        await cluster.start("spare-0")
        await cluster.change_set(seat, voters=OLD[:3])
        height = await cluster.commit_one("hospital-0")
        await cluster.until(lambda: cluster.nodes["spare-0"].chain.height >= height)
        assert voting(cluster) == set(OLD)

    run(tmp_path, story)


def test_an_emptied_validator_asks_before_it_votes(tmp_path: Path) -> None:
    """A9, P12, P13 across epochs: without its folders it syncs through the old epoch and stays silent in the new one,
    where others hold its votes."""

    async def story(cluster: Cluster) -> None:
        await cluster.start()
        await cluster.commit_one("hospital-0")
        await cluster.change_set(cluster.seat("spare-0"), voters=OLD[:3])
        for _ in range(5):
            await cluster.commit_one("hospital-0")
        await cluster.kill("spare-0")
        shutil.rmtree(tmp_path / "spare-0")
        (tmp_path / "spare-0").mkdir()
        height = await cluster.commit_one("hospital-0")
        await cluster.start("spare-0")
        await cluster.until(lambda: cluster.nodes["spare-0"].chain.height >= height, 20)
        await cluster.until(lambda: cluster.nodes["spare-0"].status()["not_voting"] == "unknown_vote")

    run(tmp_path, story)
