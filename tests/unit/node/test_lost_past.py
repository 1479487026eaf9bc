"""P12: journals that are lost, old or copied. With real files and a running network: no key signs what it may have
signed otherwise before, its node follows and says why, and a new key brings the vote back."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from consensus.effects import Effect, Evidence, Send
from consensus.inputs import TimerFired
from contracts.bodies import KeyRotated, SeatGiven, SeatTaken
from contracts.genesis import FinalityKey
from ledger.certificates import Vote
from ledger.crypto import bls
from ledger.crypto.keys import generate_key, load_key, save_key
from node.keyring import NEXT
from node.peers.frames import Lane
from tests.support.cluster import Cluster, MemoryLinks, build_network

Story = Callable[[Cluster], Awaitable[None]]
VICTIM = "tpa-3"
OTHERS = ("hospital-0", "insurer-1", "commission-2")


def run(tmp_path: Path, story: Story, *, spares: int = 0) -> None:
    async def scene() -> None:
        cluster = Cluster(build_network(tmp_path, spares=spares))
        try:
            await cluster.start()
            await cluster.commit_one("hospital-0")
            await story(cluster)
            cluster.check_agreement()
        finally:
            await cluster.stop()

    asyncio.run(scene())


async def voted(cluster: Cluster, blocks: int = 3) -> int:
    """Some more blocks, which the victim votes for."""
    height = 0
    for _ in range(blocks):
        height = await cluster.commit_one("hospital-0")
    await cluster.until(lambda: cluster.nodes[VICTIM].chain.height >= height)
    return height


def listen(cluster: Cluster) -> list[bytes]:
    """What the victim votes from here on."""
    votes: list[bytes] = []

    def look(sender: str, _to: str, lane: Lane, data: bytes) -> bool:
        if sender == VICTIM and lane is Lane.CONSENSUS and b'"type":"vote"' in data:
            votes.append(data)
        return True

    cluster.links.on_send = look
    return votes


async def check_refused(cluster: Cluster, *codes: str) -> None:
    """The victim starts, does not vote, says why, and follows; again after one more restart."""
    for _ in range(2):
        await check_follows(cluster, codes)
        await cluster.kill(VICTIM)
    await cluster.start(VICTIM)


async def check_follows(cluster: Cluster, codes: tuple[str, ...]) -> None:
    votes = listen(cluster)
    await cluster.start(VICTIM)
    node = cluster.nodes[VICTIM]
    await cluster.until(lambda: node.status()["not_voting"] in codes)
    status = node.status()
    assert not status["ready"]
    assert not status["voting"]
    assert status["halted"] in codes
    assert "new keys" in status["advice"]
    lines = [fields for _, event, fields in node.log.lines if event == "halted"]
    assert lines[0]["code"] in codes
    assert "What to do" in lines[0]["detail"]
    height = await cluster.commit_one("hospital-0")
    await cluster.until(lambda: node.chain.height >= height)
    assert not votes


def folders(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / VICTIM / "data", tmp_path / VICTIM / "keys"


def test_the_journal_was_deleted(tmp_path: Path) -> None:
    """P12: the guard beside the key knows that it has signed."""

    async def story(cluster: Cluster) -> None:
        await cluster.kill(VICTIM)
        cluster.journal(VICTIM).unlink()
        await check_refused(cluster, "journal_missing")

    run(tmp_path, story)


def test_an_empty_data_folder_with_the_same_key(tmp_path: Path) -> None:
    """P12, P13: everything below data/ is gone: the guard is in keys/. The node syncs from nothing and follows."""

    async def story(cluster: Cluster) -> None:
        await cluster.kill(VICTIM)
        shutil.rmtree(folders(tmp_path)[0])
        await check_refused(cluster, "journal_missing")

    run(tmp_path, story)


@pytest.mark.parametrize("caught_up_first", [False, True])
def test_data_of_last_week_was_restored(tmp_path: Path, caught_up_first: bool) -> None:
    """P12: an old journal and an old ledger beside today's key and guard. The guard is ahead of the journal, also when
    the ledger is newer than both."""

    async def story(cluster: Cluster) -> None:
        data, _ = folders(tmp_path)
        await cluster.kill(VICTIM)
        shutil.copytree(data, tmp_path / "backup")
        await cluster.start(VICTIM)
        await voted(cluster)
        await cluster.kill(VICTIM)
        if caught_up_first:
            shutil.copy(tmp_path / "backup" / cluster.journal(VICTIM).name, data)
        else:
            shutil.rmtree(data)
            shutil.copytree(tmp_path / "backup", data)
        await check_refused(cluster, "journal_behind_guard")

    run(tmp_path, story)


@pytest.mark.parametrize("idle", [False, True])
def test_a_snapshot_of_the_whole_machine_was_restored(tmp_path: Path, idle: bool) -> None:
    """P12: journal, guard, ledger and key are all of the same old moment. Nothing on this disk is wrong: the peers,
    asked before the first vote, hold votes that the journal does not. Also when the network is idle meanwhile."""

    async def story(cluster: Cluster) -> None:
        await cluster.kill(VICTIM)
        shutil.copytree(tmp_path / VICTIM, tmp_path / "snapshot")
        await cluster.start(VICTIM)
        height = await voted(cluster)
        await cluster.kill(VICTIM)
        shutil.rmtree(tmp_path / VICTIM)
        shutil.copytree(tmp_path / "snapshot", tmp_path / VICTIM)
        if idle:
            await cluster.start(VICTIM)
            node = cluster.nodes[VICTIM]
            await cluster.until(lambda: node.status()["not_voting"] == "unknown_vote" and node.chain.height >= height)
            await cluster.kill(VICTIM)
        await check_refused(cluster, "unknown_vote")

    run(tmp_path, story)


def test_the_key_alone_on_a_new_host(tmp_path: Path) -> None:
    """P12: key files without guard, journal or ledger, as from a backup of keys: the peers remember."""

    async def story(cluster: Cluster) -> None:
        await cluster.kill(VICTIM)
        shutil.rmtree(tmp_path / VICTIM)
        (tmp_path / VICTIM).mkdir()
        await check_refused(cluster, "unknown_vote")

    run(tmp_path, story)


def test_data_without_the_guard(tmp_path: Path) -> None:
    """P12: the data folder without the folder of the keys: a journal never comes without a guard."""

    async def story(cluster: Cluster) -> None:
        await cluster.kill(VICTIM)
        shutil.rmtree(folders(tmp_path)[1])
        await check_refused(cluster, "journal_no_guard")

    run(tmp_path, story)


def test_no_vote_before_enough_peers_answered(tmp_path: Path) -> None:
    """A9: with one peer of three answering nothing is signed; with n-1-f = 2 it is."""

    async def story(cluster: Cluster) -> None:
        await cluster.kill(VICTIM)
        votes = listen(cluster)
        cluster.links.isolate(VICTIM, [name for name in cluster.network.names if name != "hospital-0"])
        await cluster.start(VICTIM)
        node = cluster.nodes[VICTIM]
        height = await cluster.commit_one("insurer-1")
        await cluster.until(lambda: node.chain.height >= height)
        assert node.status()["not_voting"] == "asking_peers"
        assert not votes
        cluster.links.heal()
        await cluster.until(lambda: node.status()["voting"])
        await cluster.kill("insurer-1")
        await cluster.commit_one("hospital-0")
        assert votes

    run(tmp_path, story)


class SharedLinks(MemoryLinks):
    """The second host of a participant: what others send to it reaches both."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        first = cluster.links.links[name]
        super().__init__(cluster.links, name)
        cluster.links.links[name] = first
        self._first = first

    def send(self, to: str, lane: Lane, payload: bytes) -> bool:
        return self._first.send(to, lane, payload)

    def broadcast(self, lane: Lane, payload: bytes) -> None:
        self._first.broadcast(lane, payload)

    def on_message(self, lane: Lane, receiver: Callable[[str, bytes], None]) -> None:
        other = self._first.receivers.get(lane)

        def both(sender: str, data: bytes) -> None:
            if other is not None:
                other(sender, data)
            receiver(sender, data)

        self._first.receivers[lane] = both


def test_the_same_key_on_two_hosts_at_once(tmp_path: Path) -> None:
    """P12: a whole folder copied while its node was down, both started at the same moment. The others hold two
    contradicting statements, which name the key; a host that hears of them stops voting. Nothing forks."""

    async def story(cluster: Cluster) -> None:
        await cluster.kill(VICTIM)
        await cluster.commit_one("hospital-0")
        shutil.copytree(tmp_path / VICTIM, tmp_path / "second" / VICTIM)
        await cluster.start(VICTIM)
        second = Cluster(replace(cluster.network, root=tmp_path / "second"))
        second.links = cluster.links
        await second.start_as(VICTIM, SharedLinks(cluster, VICTIM))
        try:
            for _ in range(6):
                height = await cluster.commit_one("hospital-0")
            await cluster.until(lambda: cluster.nodes[VICTIM].chain.height >= height, 20)
            twin = second.nodes[VICTIM]
            await cluster.until(lambda: twin.chain.height >= height, 20)
            assert twin.chain.block_at(height).header_hash == cluster.nodes[VICTIM].chain.block_at(height).header_hash
            hosts = (cluster.nodes[VICTIM], twin)
            await cluster.until(lambda: any(host.status()["not_voting"] == "unknown_vote" for host in hosts))
            for name in OTHERS:
                kept = (tmp_path / name / "data").glob("evidence*")
                assert any(VICTIM.encode() in file.read_bytes() for file in kept), f"{name} can name the key"
        finally:
            await second.nodes[VICTIM].stop()

    run(tmp_path, story)


def new_keys(cluster: Cluster, tmp_path: Path) -> tuple[KeyRotated, SeatGiven]:
    """Fresh key files beside the old ones, and the changes that give them the seat."""
    keys = folders(tmp_path)[1]
    signing, finality = generate_key("ed25519"), generate_key("bls12-381")
    save_key(keys / NEXT["signing.json"], signing)
    save_key(keys / NEXT["finality.json"], finality)
    rotated = KeyRotated(VICTIM, signing.public.hex(), cluster.network.identities[VICTIM].key_id, 100)
    proof = bls.prove_possession(finality.secret).hex()
    return rotated, SeatGiven(VICTIM, signing.public.hex(), FinalityKey(finality.public.hex(), proof))


def remember(cluster: Cluster, tmp_path: Path) -> None:
    """What a restart reads from the key files."""
    keys = folders(tmp_path)[1]
    cluster.network.identities[VICTIM] = replace(
        cluster.network.identities[VICTIM],
        signing=load_key(keys / "signing.json", "ed25519"),
        finality=load_key(keys / "finality.json", "bls12-381"),
    )


@pytest.mark.parametrize("lost", [True, False])
def test_a_new_key_votes_from_the_next_epoch_on(tmp_path: Path, lost: bool) -> None:
    """P12: a refused validator (and a healthy one that rotates) votes again with keys that waited in its folder, in the
    epoch that seats them, without a restart; the old files stay under other names; a restart goes on with the new."""

    async def story(cluster: Cluster) -> None:
        _, keys = folders(tmp_path)
        await cluster.kill(VICTIM)
        old_guard = cluster.guard(VICTIM)
        if lost:
            cluster.journal(VICTIM).unlink()
        await cluster.start(VICTIM)
        node = cluster.nodes[VICTIM]
        if lost:
            assert node.status()["not_voting"] == "journal_missing"
        old_public = cluster.network.identities[VICTIM].signing.public
        save_key(keys / "signing.json", cluster.network.identities[VICTIM].signing)
        await cluster.change_set(*new_keys(cluster, tmp_path), voters=OTHERS)
        await cluster.until(lambda: node.status()["voting"])
        assert node.status()["halted"] is None
        assert node.identity.signing.public != old_public
        assert load_key(keys / "signing.json", "ed25519") == node.identity.signing
        assert load_key(keys / f"signing-retired-{old_public.hex()[:16]}.json", "ed25519").public == old_public
        assert not list(keys.glob("*.next.json"))
        assert old_guard.exists()
        await cluster.kill("insurer-1")
        await cluster.commit_one("hospital-0")
        await cluster.start("insurer-1")
        remember(cluster, tmp_path)
        await cluster.kill(VICTIM)
        await cluster.start(VICTIM)
        await cluster.until(lambda: cluster.nodes[VICTIM].status()["voting"])
        await cluster.kill("hospital-0")
        await cluster.commit_one("commission-2")

    run(tmp_path, story)


def test_waiting_keys_are_not_used_before_state_names_them(tmp_path: Path) -> None:
    """A key file that waits changes nothing until the epoch that seats its key; a spoilt one never does."""

    async def story(cluster: Cluster) -> None:
        _, keys = folders(tmp_path)
        changes = new_keys(cluster, tmp_path)
        await cluster.kill(VICTIM)
        await cluster.start(VICTIM)
        node = cluster.nodes[VICTIM]
        await cluster.until(lambda: node.status()["voting"])
        assert node.identity.signing == cluster.network.identities[VICTIM].signing
        (keys / NEXT["finality.json"]).write_bytes(b"{}")
        await cluster.change_set(*changes, voters=OTHERS)
        await cluster.until(lambda: node.status()["not_voting"] == "keys_not_in_set")
        assert "keys" in node.status()["reasons"]
        assert [fields["file"] for _, event, fields in node.log.lines if event == "key_not_adopted"]
        await cluster.commit_one("hospital-0")

    run(tmp_path, story)


def test_a_seat_regained_without_its_journal(tmp_path: Path) -> None:
    """P12 at the edge of an epoch: a key whose guard has signed and whose journal is gone is refused when the seat
    comes, and the node follows into that epoch."""

    async def story(cluster: Cluster) -> None:
        seat = cluster.seat(VICTIM)
        await cluster.change_set(SeatTaken(VICTIM), voters=OTHERS)
        cluster.journal(VICTIM).unlink()
        await cluster.change_set(seat, voters=OTHERS)
        node = cluster.nodes[VICTIM]
        await cluster.until(lambda: node.status()["not_voting"] == "journal_missing")
        height = await cluster.commit_one("hospital-0")
        await cluster.until(lambda: node.chain.height >= height)

    run(tmp_path, story)


def test_a_refused_key_stays_refused_in_later_epochs(tmp_path: Path) -> None:
    """P12: nobody holds votes of the key in the new epoch, its journal there would be honest: only the mark knows."""

    async def story(cluster: Cluster) -> None:
        await cluster.kill(VICTIM)
        shutil.rmtree(tmp_path / VICTIM)
        (tmp_path / VICTIM).mkdir()
        await cluster.start(VICTIM)
        await cluster.until(lambda: cluster.nodes[VICTIM].status()["not_voting"] == "unknown_vote")
        await cluster.change_set(cluster.seat("spare-0"), voters=OTHERS)
        await cluster.commit_one("hospital-0")
        await cluster.kill(VICTIM)
        await cluster.start(VICTIM)
        height = await cluster.commit_one("hospital-0")
        node = cluster.nodes[VICTIM]
        await cluster.until(lambda: node.chain.height >= height)
        assert node.validators.epoch == 2
        assert node.status()["not_voting"] == "unknown_vote"

    run(tmp_path, story, spares=1)


class Core:
    """Finds its own key contradicted and wants to speak in the same step."""

    def __init__(self, effects: tuple[Effect, ...]) -> None:
        self.effects = effects

    def step(self, _event: object) -> tuple[Effect, ...]:
        return self.effects


def test_a_core_that_was_stopped_says_nothing_more(tmp_path: Path) -> None:
    """P12: what stands behind the evidence in the same step is neither written nor sent."""

    async def story(cluster: Cluster) -> None:
        driver = cluster.nodes[VICTIM].driver
        votes = [Vote("notarize", 1, 900, 0, digest * 32, 3, "00" * 64) for digest in ("aa", "bb")]
        said: list[bytes] = []
        cluster.links.on_send = lambda sender, to, lane, data: said.append(data) or True  # type: ignore[func-returns-value]
        driver._core = Core((Evidence(VICTIM, *votes), Send(None, b"a vote")))  # type: ignore[assignment]
        await driver._step(TimerFired(0))
        assert b"a vote" not in said
        assert driver.not_voting == "unknown_vote"

    run(tmp_path, story)


def test_marks_are_plain(tmp_path: Path) -> None:
    """What an operator finds beside the key: a code and a sentence."""

    async def story(cluster: Cluster) -> None:
        await cluster.kill(VICTIM)
        cluster.journal(VICTIM).unlink()
        await cluster.start(VICTIM)
        guard = cluster.guard(VICTIM)
        mark = msgspec.json.decode(guard.with_name(guard.name + ".refused").read_bytes())
        assert mark["code"] == "journal_missing"
        assert "has signed before" in mark["detail"]

    run(tmp_path, story)
