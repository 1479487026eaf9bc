"""Networks whose set of validators changes while they run (rule R12): O1, O2 and B14 of the fault catalogue."""

from collections.abc import Iterable
from typing import TypeVar

import msgspec
import pytest

from consensus.effects import Deliver, Effect, EpochClosed, Persist, Rewrite
from consensus.inputs import Message
from consensus.journal import OwnVote
from consensus.messages import Certified, VoteCast, decode_message, encode_message
from ledger.certificates import Certificate, Vote, verify_finality
from tests.support.simulator import CHAIN, Cluster
from tests.support.simulator_app import MAX_PAYLOAD, parent_of, transactions_of
from tests.support.simulator_crypto import FakeScheme, Seats, fake_validators, seated_validators
from tests.support.simulator_faults import storm
from tests.support.simulator_node import Node


def seats(*numbers: int) -> Seats:
    return {f"v{number:02}": number for number in numbers}


def change(cluster: Cluster, after: Seats, nodes: Iterable[Node] | None = None) -> None:
    """Change the set, and wait until every living node has seen it."""
    tx = cluster.submit_change(after, nodes)
    cluster.run_until(lambda: cluster.is_final(tx), 30_000)


def epochs(cluster: Cluster) -> set[int]:
    return {node.config.epoch for node in cluster.nodes if node.alive}


def check_sets(cluster: Cluster) -> None:
    """Every node's store proves itself from the first set alone: each epoch's last block under that epoch's quorum."""
    for node in cluster.honest():
        validators, current, epoch = fake_validators(len(cluster.seats)), dict(cluster.seats), 1
        blocks = list(zip(node.disk.blocks, node.disk.certificates, strict=True))
        for at, (block, certificate) in enumerate(blocks):
            assert certificate.epoch == epoch, f"{node.name}: block {at + 1} is stored in epoch {certificate.epoch}"
            closes = cluster.membership.closes(block.payload)
            if closes or at + 1 == len(blocks):
                verify_finality(certificate, block.ref.digest, validators, CHAIN, FakeScheme())
            if closes:
                for tx, after in cluster.membership.changes.items():
                    if tx in transactions_of(block.payload):
                        current = after
                epoch += 1
                validators = seated_validators(current, epoch)


@pytest.mark.parametrize(
    ("start", "after"),
    [
        (4, seats(0, 1, 2, 3, 4)),
        (5, seats(0, 1, 2, 3)),
        (4, seats(0, 1, 2, 4)),
        (4, seats(0, 1, 2, 3, 4, 5, 6)),
        (7, seats(0, 1, 2, 3, 4, 7, 8)),
        (4, seats(0)),
        (4, seats(4, 5, 6, 7)),
    ],
    ids=["add", "remove", "replace", "four to seven", "f at once", "one is left", "all at once"],
)
def test_the_set_changes_and_the_network_goes_on(start: int, after: Seats) -> None:
    """O1: the old quorum makes the boundary final, the new one goes on; observers verify the chain of sets."""
    cluster = Cluster(start, spares=9 - start).start()
    cluster.finish()
    change(cluster, after)
    cluster.finish()
    assert epochs(cluster) == {2}
    check_sets(cluster)
    voted = {name for name, epoch, _, _ in cluster.checks.votes if epoch == 2}
    assert voted <= set(after)
    assert len(voted) >= seated_validators(after, 2).quorum


def test_four_to_seven_to_four() -> None:
    """O1: the set grows and shrinks again, to other members than before; views start at 1 each time."""
    cluster = Cluster(4, spares=3).start()
    for after in (seats(0, 1, 2, 3, 4, 5, 6), seats(3, 4, 5, 6), seats(0, 1, 2, 3)):
        cluster.finish()
        change(cluster, after)
    cluster.finish()
    assert epochs(cluster) == {4}
    check_sets(cluster)
    node = cluster.nodes[0]
    numbers = [certificate.epoch for certificate in node.disk.certificates]
    firsts = [node.disk.blocks[numbers.index(epoch)] for epoch in (1, 2, 3, 4)]
    assert all(block.ref.view <= 3 for block in firsts), "views restart"
    roots = [node.disk.blocks[numbers.index(epoch) - 1].ref.digest for epoch in (2, 3, 4)]
    assert [parent_of(block.payload) for block in firsts[1:]] == roots, "the first block stands on the boundary exactly"


def test_a_validator_gets_new_keys() -> None:
    """O1: the same member under other keys."""
    cluster = Cluster(4).start()
    cluster.finish()
    change(cluster, {"v00": 0, "v01": 1, "v02": 2, "v03": 33})
    cluster.nodes[0].crash()
    cluster.finish()
    assert any(name == "v03" and epoch == 2 for name, epoch, _, _ in cluster.checks.votes)


def test_the_leader_removes_itself() -> None:
    """O1: only the node that leads knows the transaction that takes its own seat."""
    cluster = Cluster(5).start()
    cluster.finish()
    leader = next(n for n in cluster.nodes if n.core is not None and n.core.status.leader == n.name)
    rest = {name: number for name, number in cluster.seats.items() if name != leader.name}
    change(cluster, rest, [leader])
    cluster.finish()
    assert epochs(cluster) == {2}
    assert not any(name == leader.name and epoch == 2 for name, epoch, _, _ in cluster.checks.votes)
    check_sets(cluster)


def test_leaders_of_the_next_epoch_do_not_follow_from_the_boundary() -> None:
    """A2: whoever makes the boundary block cannot choose the leaders after it."""
    cluster = Cluster(4).start()
    cluster.finish()
    change(cluster, seats(0, 1, 2, 3))
    first = cluster.nodes[0].config
    assert (first.epoch, first.leader_seed) == (2, CHAIN)
    change(cluster, seats(0, 1, 2, 3))
    second = cluster.nodes[0].config
    assert second.leader_seed == first.root != second.root


def boundary_needs_tails(cluster: Cluster) -> None:
    """Lose every finalize vote for the block that changes the set, until two members nullified its view."""

    def drop(sender: str, to: str, data: bytes) -> bool:
        message, _ = decode_message(data, MAX_PAYLOAD)
        return isinstance(message, VoteCast) and message.vote.kind == "finalize"

    cluster.network.drop = drop


def test_a_boundary_that_is_not_finalized_itself_becomes_final_under_a_tail() -> None:
    """O1: tail blocks have no height, no transactions, no execution; one that is final makes the boundary final."""
    cluster = Cluster(4).start()
    cluster.finish()
    before = len(cluster.checks.chain)
    boundary_needs_tails(cluster)
    tx = cluster.submit_change(seats(0, 1, 2, 3))
    cluster.run(2_000)
    for _ in range(5):
        cluster.submit()
        cluster.run(800)
    assert len(cluster.checks.chain) == before, "nothing becomes final without finalize votes"
    cluster.network.drop = lambda sender, to, data: finalize_of_boundary(cluster, data)
    cluster.run_until(lambda: cluster.is_final(tx), 60_000)
    node = cluster.nodes[0]
    at = next(i for i, block in enumerate(node.disk.blocks) if cluster.membership.closes(block.payload))
    closing = node.disk.certificates[at]
    assert closing.digest != node.disk.blocks[at].ref.digest.hex(), "a tail was finalized"
    verify_finality(closing, node.disk.blocks[at].ref.digest, cluster.validators, CHAIN, FakeScheme())
    assert closing.view > node.disk.blocks[at].ref.view
    cluster.network.drop = lambda sender, to, data: False
    cluster.finish()
    check_sets(cluster)


def finalize_of_boundary(cluster: Cluster, data: bytes) -> bool:
    message, _ = decode_message(data, MAX_PAYLOAD)
    if not isinstance(message, VoteCast) or message.vote.kind != "finalize" or message.vote.epoch != 1:
        return False
    digest = bytes.fromhex(message.vote.digest or "")
    found = cluster.nodes[0].application.payloads.get(digest)
    return found is not None


@pytest.mark.parametrize("effect", [Deliver, EpochClosed, Rewrite, Persist])
def test_a_quorum_crashes_at_the_boundary(effect: type[Effect]) -> None:
    """O2: q old nodes die right before they deliver the boundary, switch, begin the new journal, or first vote in it;
    after their restart the network goes on."""
    cluster = Cluster(4, spares=1).start()
    cluster.finish()
    tx = cluster.submit_change(seats(0, 1, 2, 4))
    fallen: set[str] = set()

    def knows_end(node: Node) -> bool:
        return any(map(cluster.membership.closes, node.application.payloads.values()))

    def hook(node: Node) -> None:
        def dies(one: Effect) -> bool:
            armed = node.config.epoch == 2 if effect is Persist else knows_end(node)
            if isinstance(one, effect) and armed and node.name not in fallen and len(fallen) < 3:
                fallen.add(node.name)
                return True
            return False

        node.crash_hook = dies

    for node in cluster.nodes[:4]:
        hook(node)
    cluster.run_until(lambda: len(fallen) == 3 or cluster.is_final(tx), 20_000)
    cluster.submit()
    cluster.run(3_000)
    assert len(fallen) == 3
    for node in cluster.nodes:
        node.start()
    cluster.finish()
    assert epochs(cluster) == {2}
    check_sets(cluster)


def test_everybody_restarts_between_two_epochs() -> None:
    """O2: the whole network stops when the boundary is final here and there, and starts again with its journals."""
    cluster = Cluster(4, spares=1).start()
    cluster.finish()
    tx = cluster.submit_change(seats(1, 2, 3, 4))
    cluster.run_until(lambda: any(tx in node.final_transactions() for node in cluster.nodes), 20_000)
    for node in cluster.nodes:
        node.crash()
    for node in cluster.nodes:
        node.start()
    cluster.finish()
    assert epochs(cluster) == {2}
    assert not [node.halted for node in cluster.nodes if node.halted]
    for node in cluster.nodes:
        node.crash()
        node.start()
    cluster.finish()
    check_sets(cluster)


def test_a_member_sleeps_through_two_epochs() -> None:
    """O1, B14: its votes of a closed epoch are not counted, but it is told how that epoch ended, twice."""
    cluster = Cluster(4, spares=2).start()
    cluster.finish()
    sleeper = cluster.nodes[3]
    sleeper.crash()
    change(cluster, seats(0, 1, 2, 3, 4))
    cluster.finish()
    change(cluster, seats(0, 1, 2, 3, 4, 5))
    for _ in range(3):
        cluster.finish()
    sleeper.start()
    assert sleeper.config.epoch == 1
    cluster.run_until(lambda: sleeper.config.epoch == 3, 30_000)
    cluster.nodes[0].crash()
    cluster.finish()
    assert any(name == sleeper.name and epoch == 3 for name, epoch, _, _ in cluster.checks.votes)
    check_sets(cluster)


def test_a_removed_member_that_missed_its_removal_learns_of_it() -> None:
    """O1: it was cut off while it lost its seat; nobody needs its vote and it cannot vote in the new epoch."""
    cluster = Cluster(5).start()
    cluster.finish()
    names = [node.name for node in cluster.nodes]
    cluster.network.partition(names[:4], names[4:])
    tx = cluster.submit_change(seats(0, 1, 2, 3))
    cluster.run_until(lambda: cluster.is_final(tx, cluster.nodes[:4]), 30_000)
    cluster.network.heal()
    cluster.run_until(lambda: cluster.nodes[4].config.epoch == 2, 30_000)
    assert cluster.nodes[4].config.me is None
    cluster.finish()


def test_the_only_voter_of_the_next_epoch_missed_its_election() -> None:
    """O1: it was down when the old set chose it; nobody else votes any more, so nobody speaks: its host has to ask."""
    cluster = Cluster(4, spares=1).start(["v00", "v01", "v02", "v03"])
    cluster.finish(nodes=cluster.nodes[:4])
    tx = cluster.submit_change(seats(4))
    cluster.run_until(lambda: cluster.is_final(tx, cluster.nodes[:4]), 30_000)
    cluster.run(60_000)
    cluster.nodes[4].start()
    cluster.finish()
    assert epochs(cluster) == {2}
    check_sets(cluster)


def test_words_of_other_epochs_change_nothing() -> None:
    """B14: every vote and certificate of epoch 1, said again in epoch 2; those that one liar said, moved to epoch 2."""
    cluster = Cluster(4).start()
    kept: list[tuple[str, bytes]] = []

    def listen(sender: str, to: str, data: bytes) -> bool:
        if to == "v00":
            kept.append((sender, data))
        return False

    cluster.network.drop = listen
    cluster.finish()
    change(cluster, seats(0, 1, 2, 3))
    cluster.network.drop = lambda sender, to, data: False
    node = cluster.nodes[0]
    for _ in range(2):
        before = (node.config.epoch, len(node.disk.blocks))
        for sender, data in kept:
            node.give(Message(node.now, sender, data))
        assert (node.config.epoch, len(node.disk.blocks)) == before
        cluster.finish()
    cluster.traitors.add("v01")
    for sender, data in [one for one in kept if one[0] == "v01"]:
        message, _ = decode_message(data, MAX_PAYLOAD)
        if isinstance(message, VoteCast):
            node.give(Message(node.now, sender, encode_message(VoteCast(moved(message.vote, 2)))))
        elif isinstance(message, Certified):
            node.give(Message(node.now, sender, encode_message(Certified(moved(message.certificate, 2)))))
    assert node.halted is None
    assert not node.evidence, "signatures of another epoch prove nothing"
    cluster.finish()


S = TypeVar("S", Vote, Certificate)


def moved(statement: S, epoch: int) -> S:
    """The same statement, said to be of another epoch."""
    return msgspec.structs.replace(statement, epoch=epoch)


def test_the_new_journal_holds_no_word_of_the_old_epoch() -> None:
    """R12: the journal starts anew at the boundary, the guard carries the epoch and never goes back."""
    cluster = Cluster(4).start()
    cluster.finish()
    guards = [node.disk.load_guard() for node in cluster.nodes]
    change(cluster, seats(0, 1, 2, 3))
    cluster.finish()
    for node, guard in zip(cluster.nodes, guards, strict=True):
        records = node.disk.load().records
        assert {record.vote.epoch for record in records if isinstance(record, OwnVote)} <= {2}
        now = node.disk.load_guard()
        assert guard is not None
        assert now is not None
        assert (guard.epoch, now.epoch) == (1, 2)
        assert now > guard


@pytest.mark.parametrize("seed", range(6))
def test_storms_across_epochs(seed: int) -> None:
    """O1, O2: loss, delay, cuts and crashes between any two effects while the set changes again and again."""
    cluster = Cluster(4, seed=seed, spares=3).start()
    cluster.finish()
    for after in (seats(0, 1, 2, 3, 4, 5, 6), seats(1, 2, 3, 4), seats(0, 1, 5, 6)):
        tx = cluster.submit_change(after)
        storm(cluster, 4_000)
        for node in cluster.nodes:
            node.receive_transaction(tx)
        cluster.run_until(lambda tx=tx: cluster.is_final(tx), 90_000)  # type: ignore[misc]
    cluster.finish(60_000)
    assert epochs(cluster) == {4}
    check_sets(cluster)
