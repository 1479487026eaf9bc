"""Every checker of the simulator can fail: each is fed the violation that it is there for.

A history of a few blocks is made by honest nodes; then the checks are told of one thing more, which must not be.
"""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from consensus.effects import Blame, Block, Evidence, Halt
from consensus.inputs import Message
from consensus.journal import OwnVote, StoredCertificate, StoredPayload
from consensus.messages import VoteCast, encode_message
from consensus.state import RETENTION
from consensus.types import Ref
from ledger.certificates import Certificate, Kind, Subject, Vote, bitmap_bytes, vote_message
from tests.support import simulator
from tests.support.simulator import CHAIN, Cluster
from tests.support.simulator_app import (
    HEADER_BYTES,
    Executed,
    build_block,
    build_transaction,
    digest_of,
    execute,
    strip_endorsement,
)
from tests.support.simulator_checks import MEMORY_EVERY, Checks
from tests.support.simulator_node import Node
from tests.support.simulator_seeds import _check_end, run_seed

NOWHERE = "ab" * 32


def grown(blocks: int = 3, seed: int = 200) -> Cluster:
    cluster = Cluster(4, seed).start()
    for _ in range(blocks):
        cluster.finish()
    cluster.run(200)
    return cluster


def vote_of(
    cluster: Cluster, index: int, kind: Kind, view: int, parent: int, digest: str | None, epoch: int = 1
) -> Vote:
    """A vote that this validator's key really signed."""
    signer = cluster.membership.signer(cluster.first, f"v{index:02}")
    assert signer is not None
    subject = Subject(kind, epoch, view, parent, digest)
    signature = signer.sign_vote(kind, vote_message(CHAIN, subject)).hex()
    return Vote(kind, epoch, view, parent, digest, index, signature)


def certificate_of(kind: Kind, view: int, parent: int, digest: str | None, signers: int, epoch: int = 1) -> Certificate:
    """Bits only: the checks look at who stands in it, cryptography is the core's business."""
    bitmap = ((1 << signers) - 1).to_bytes(bitmap_bytes(4), "little").hex()
    return Certificate(kind, epoch, view, parent, digest, bitmap, ("00" * 96,))


def cast(cluster: Cluster, index: int, *votes: Vote) -> None:
    cluster.checks.persisted(cluster.nodes[index], tuple(OwnVote(vote) for vote in votes))


def last(cluster: Cluster) -> Block:
    return cluster.nodes[0].disk.blocks[-1]


def block_on(cluster: Cluster, parent: Block, *transactions: bytes, wall: int = 0) -> Block:
    before = cluster.nodes[0].application.executed[parent.ref.digest]
    payload = build_block(parent.ref.digest, before, 99, wall, list(transactions))
    return Block(Ref(parent.ref.view + 1, digest_of(payload)), payload)


def deliver(cluster: Cluster, block: Block, after: Executed | None = None) -> None:
    """One node is given a block that all four voted for."""
    node, checks = cluster.nodes[0], cluster.checks
    ref, digest = block.ref, block.ref.digest.hex()
    parent = node.disk.blocks[-1].ref.view
    for other in cluster.nodes:
        other.disk.durable.add(block.ref.digest)
        checks.persisted(other, (StoredPayload(ref.view, ref.digest, block.payload),))
    for kind in ("notarize", "finalize"):
        for index in range(4):
            cast(cluster, index, vote_of(cluster, index, kind, ref.view, parent, digest))  # type: ignore[arg-type]
    before = node.application.executed[block.payload[:32]]
    proof = certificate_of("finalize", ref.view, parent, digest, 4)
    checks.delivered(node, block, proof, after or execute(before, block.payload))


def refuses(reason: str) -> "pytest.RaisesContext[AssertionError]":
    return pytest.raises(AssertionError, match=reason)


# --- votes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["notarize", "finalize"])
def test_a_second_vote_is_seen_even_after_a_restart(kind: Kind) -> None:
    cluster = grown()
    view = last(cluster).ref.view
    first = next(v for (name, _, at, k), v in cluster.checks.votes.items() if (name, at, k) == ("v01", view, kind))
    cluster.nodes[1].crash()
    cluster.nodes[1].start()
    cast(cluster, 1, first)
    with refuses("twice"):
        cast(cluster, 1, vote_of(cluster, 1, kind, view, first.parent_view, NOWHERE))


def test_nullify_beside_finalize_is_seen() -> None:
    cluster = grown()
    with refuses("nullified and finalized"):
        cast(cluster, 1, vote_of(cluster, 1, "nullify", last(cluster).ref.view, 0, None))


def test_a_vote_out_of_place_is_seen() -> None:
    cluster = grown()
    with refuses("which nothing opened"):
        cast(cluster, 1, vote_of(cluster, 1, "nullify", 1, 0, None, epoch=2))
    cluster = Cluster(4, 201, spares=1)
    vote = vote_of(cluster, 1, "nullify", 1, 0, None)
    with refuses("no seat"):
        cluster.checks.persisted(cluster.nodes[4], (OwnVote(vote),))


def test_a_vote_without_bytes_or_ancestry_is_seen() -> None:
    cluster = grown()
    top, checks, node = last(cluster), cluster.checks, cluster.nodes[1]
    with refuses("without durable bytes"):
        cast(cluster, 1, vote_of(cluster, 1, "notarize", top.ref.view + 1, top.ref.view, NOWHERE))
    cases = [(top.ref.view + 9, 0, "names another parent"), (top.ref.view + 8, top.ref.view + 1, "is not notarized"),
             (top.ref.view + 7, top.ref.view, "skips view")]  # fmt: skip
    block = block_on(cluster, top)
    checks.persisted(node, (StoredPayload(1, block.ref.digest, block.payload),))
    for view, parent, reason in cases:
        with refuses(reason):
            cast(cluster, 1, vote_of(cluster, 1, "notarize", view, parent, block.ref.digest.hex()))
    with refuses("out of nothing"):
        cast(cluster, 1, vote_of(cluster, 1, "finalize", top.ref.view + 6, top.ref.view, block.ref.digest.hex()))


def test_an_ordinary_block_above_the_end_of_an_epoch_is_seen() -> None:
    cluster = grown()
    tx = build_transaction(1_000)
    cluster.membership.changes[tx] = dict(cluster.seats)
    boundary = block_on(cluster, last(cluster), tx)
    above = Block(Ref(boundary.ref.view + 1, b""), boundary.ref.digest + boundary.payload[32:])
    digest = digest_of(above.payload)
    for node in cluster.nodes:
        cluster.checks.persisted(node, (StoredPayload(1, boundary.ref.digest, boundary.payload),))
        cluster.checks.persisted(node, (StoredPayload(1, digest, above.payload),))
    for index in range(4):
        vote = vote_of(cluster, index, "notarize", boundary.ref.view, last(cluster).ref.view, boundary.ref.digest.hex())
        cast(cluster, index, vote)
    with refuses("mistakes the end"):
        cast(cluster, 1, vote_of(cluster, 1, "notarize", above.ref.view, boundary.ref.view, digest.hex()))


def test_two_blocks_in_one_view_are_seen() -> None:
    """With two traitors one honest vote each is enough for two notarizations."""
    cluster = grown()
    top = last(cluster)
    cluster.traitors |= {"v00", "v01"}
    for index, tx in ((2, build_transaction(2_000)), (3, build_transaction(2_001))):
        block = block_on(cluster, top, tx)
        cluster.checks.persisted(cluster.nodes[index], (StoredPayload(1, block.ref.digest, block.payload),))
        vote = vote_of(cluster, index, "notarize", top.ref.view + 1, top.ref.view, block.ref.digest.hex())
        if index == 2:
            cast(cluster, index, vote)
        else:
            with refuses("two blocks"):
                cast(cluster, index, vote)


def test_a_nullification_of_a_view_that_can_be_final_is_seen() -> None:
    cluster = grown()
    top = last(cluster)
    votes = [v for v in cluster.checks.votes.values() if (v.kind, v.view) == ("finalize", top.ref.view)]
    assert len(votes) >= 3
    cluster.traitors |= {"v00", "v01"}
    del cluster.checks.votes[("v02", 1, top.ref.view, "finalize")]
    with refuses("can be nullified and finalized"):
        cast(cluster, 2, vote_of(cluster, 2, "nullify", top.ref.view, 0, None))


def test_a_vote_that_was_said_before_it_was_durable_is_seen() -> None:
    cluster = grown()
    vote = vote_of(cluster, 1, "nullify", 50, 0, None)
    with refuses("not on its disk"):
        cluster.checks.said(cluster.nodes[1], encode_message(VoteCast(vote)))


# --- certificates -------------------------------------------------------------------------------------------------


def test_a_certificate_out_of_nothing_is_seen() -> None:
    cluster = grown()
    checks, node = cluster.checks, cluster.nodes[1]
    cases = [
        (certificate_of("nullify", 70, 0, None, 2), "no quorum"),
        (certificate_of("nullify", 70, 0, None, 3), "never cast"),
        (certificate_of("nullify", 70, 0, None, 3, epoch=5), "nothing opened"),
    ]
    for certificate, reason in cases:
        with refuses(reason):
            checks.persisted(node, (StoredCertificate(certificate),))


def test_bytes_of_a_notarized_block_on_too_few_disks_are_seen() -> None:
    cluster = grown()
    top, checks = last(cluster), cluster.checks
    block = block_on(cluster, top)
    digest = block.ref.digest.hex()
    checks.persisted(cluster.nodes[0], (StoredPayload(1, block.ref.digest, block.payload),))
    for index in range(3):
        cast(cluster, index, vote_of(cluster, index, "notarize", block.ref.view, top.ref.view, digest))
    cluster.nodes[0].disk.durable.add(block.ref.digest)
    certificate = certificate_of("notarize", block.ref.view, top.ref.view, digest, 3)
    with refuses("on 1 honest disks"):
        checks.persisted(cluster.nodes[0], (StoredCertificate(certificate),))
    with refuses("on 1 honest disks"):
        checks.rewritten(cluster.nodes[0])
    cluster.nodes[1].disk.durable.add(block.ref.digest)
    checks.rewritten(cluster.nodes[0])


def test_a_final_block_beside_the_chain_is_seen() -> None:
    cluster = grown()
    side, history = block_on(cluster, cluster.nodes[0].disk.blocks[0], build_transaction(3_000)), cluster.checks.history
    history.payloads[side.ref.digest.hex()] = side.payload
    with refuses("does not descend"):
        history.extend(certificate_of("finalize", 80, 1, side.ref.digest.hex(), 4))
    with refuses("never durable"):
        history.extend(certificate_of("finalize", 80, 1, NOWHERE, 4))
    above = block_on(cluster, last(cluster))
    history.payloads[above.ref.digest.hex()] = above.payload
    with refuses("goes on after its end"):
        history.extend(certificate_of("finalize", 80, 1, above.ref.digest.hex(), 4, epoch=2))


# --- blocks -------------------------------------------------------------------------------------------------------


def test_a_good_block_is_accepted() -> None:
    """What the tests below change is right as it stands here."""
    cluster = grown()
    deliver(cluster, block_on(cluster, last(cluster), build_transaction(4_000)))


def test_a_block_on_another_parent_is_seen() -> None:
    """Prefix: no gap and no repetition either, since the parent is the last stored block."""
    cluster = grown()
    for wrong in (last(cluster), block_on(cluster, cluster.nodes[0].disk.blocks[0])):
        with refuses("on another parent"):
            cluster.checks.delivered(
                cluster.nodes[0], wrong, certificate_of("finalize", 90, 1, None, 4), Executed(0, 0, b"")
            )


def test_a_block_that_nobody_made_final_is_seen() -> None:
    """Agreement: a node that delivers another block at a height than the others is the same case."""
    cluster = grown()
    node, checks = cluster.nodes[0], cluster.checks
    block, final = block_on(cluster, last(cluster)), node.disk.certificates[-1]
    after = execute(node.application.executed[last(cluster).ref.digest], block.payload)
    for certificate, reason in [
        (replace(final, view=final.view), "before it was final"),
        (replace(final, view=final.view + 9, kind="notarize", digest=NOWHERE), "never cast"),
    ]:
        with refuses(reason):
            checks.delivered(node, block, certificate, after)
    same_view = Block(Ref(final.view, block.ref.digest), block.payload)
    with refuses(f"got view {final.view} at"):
        checks.delivered(node, same_view, final, after)


def test_two_chains_are_seen() -> None:
    """Agreement: the same height, another block, as if both had been final."""
    cluster = grown()
    node, history = cluster.nodes[0], cluster.checks.history
    block = node.disk.blocks.pop()
    history.chain[-1] = bytes(32)
    with refuses("disagrees at height"):
        cluster.checks.delivered(node, block, node.disk.certificates[-1], history.roots[block.ref.digest])


def test_a_block_stored_in_another_epoch_is_seen() -> None:
    cluster = grown()
    node, history = cluster.nodes[0], cluster.checks.history
    block = node.disk.blocks.pop()
    history.epoch_at[-1] = 2
    with refuses("in another epoch"):
        cluster.checks.delivered(node, block, node.disk.certificates[-1], history.roots[block.ref.digest])


def test_another_state_root_is_seen() -> None:
    cluster = grown()
    node, history = cluster.nodes[0], cluster.checks.history
    block = node.disk.blocks.pop()
    other = Executed(history.roots[block.ref.digest].height, 0, bytes(32))
    with refuses("another state"):
        cluster.checks.delivered(node, block, node.disk.certificates[-1], other)


def _again(cluster: Cluster) -> Block:
    return block_on(cluster, last(cluster), min(cluster.nodes[0].final_transactions()))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda cluster: block_on(cluster, last(cluster), wall=10**9), "from the future"),
        (lambda cluster: block_on(cluster, last(cluster), strip_endorsement(build_transaction(5))), "never signed"),
        (_again, "final twice"),
    ],
    ids=["time", "stripped", "twice"],
)
def test_what_no_block_may_carry_is_seen(make: Callable[[Cluster], Block], reason: str) -> None:
    """B24, the stripped endorsement, and delivery exactly once."""
    cluster = grown()
    block = make(cluster)
    assert len(block.payload) >= HEADER_BYTES
    with refuses(reason):
        deliver(cluster, block)


# --- people, evidence, memory, progress ---------------------------------------------------------------------------


def test_an_honest_node_that_stops_or_is_blamed_is_seen() -> None:
    cluster = grown()
    node, checks = cluster.nodes[1], cluster.checks
    with refuses("halted"):
        checks.halted(node, Halt("disagreement", "for no reason"))
    with refuses("blamed the honest v02"):
        checks.blamed(node, Blame("v02", "malformed"))
    cluster.damaged.add("v01")
    checks.halted(node, Halt("disagreement", "its disk was tampered with"))


def test_unsound_evidence_is_seen() -> None:
    cluster = grown()
    node, checks = cluster.nodes[1], cluster.checks
    one, two = (vote_of(cluster, 2, "notarize", 60, 59, digest) for digest in (NOWHERE, "cd" * 32))
    with refuses("against the honest v02"):
        checks.accused(node, Evidence("v02", one, two))
    cluster.traitors.add("v02")
    checks.accused(node, Evidence("v02", one, two))
    elsewhere = vote_of(cluster, 2, "notarize", 61, 59, NOWHERE)
    for first, second in [
        (one, one),
        (one, elsewhere),
        (one, replace(two, signature="00" * 64)),
        (one, replace(two, signer=3)),
    ]:
        with pytest.raises(AssertionError):
            checks.accused(node, Evidence("v02", first, second))


def test_missed_evidence_is_seen() -> None:
    cluster = grown()
    node, checks = cluster.nodes[1], cluster.checks
    assert node.core is not None
    view = node.core._state.view
    cluster.traitors.add("v02")
    words = [
        Message(node.now, "v02", encode_message(VoteCast(vote_of(cluster, 2, "notarize", view, view - 1, digest))))
        for digest in (NOWHERE, "cd" * 32)
    ]
    assert checks.before_step(node, words[0]) is None
    missed = checks.before_step(node, words[1])
    assert missed is not None
    with refuses("kept no evidence"):
        checks.after_step(node, (), missed)


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("views", "views for a span"),
        ("far", "no quorum vouches"),
        ("bytes", "holds 4 blocks"),
        ("wants", "9 questions"),
    ],
)
def test_growing_memory_is_seen(what: str, reason: str) -> None:
    cluster = grown()
    node = cluster.nodes[1]
    assert node.core is not None
    state = node.core._state
    if what == "views":
        for view in range(1, 2 * RETENTION + 40):
            state.at(-view)
    elif what == "far":
        state.at(10**6)
    elif what == "bytes":
        view = state.at(state.view)
        for i in range(4):
            view.candidate(0, bytes([i]) * 32)
    else:
        for i in range(9):
            state.wants[i] = next(iter(state.wants.values()), None)  # type: ignore[index, assignment]
    cluster.checks.steps = MEMORY_EVERY - 1
    with refuses(reason):
        cluster.checks.after_step(node, (), None)


def test_a_network_that_does_not_heal_is_seen() -> None:
    """Liveness: without a quorum nothing becomes final, and the time given for it runs out."""
    cluster = Cluster(4, 202).start(["v00", "v01"])
    with refuses("not reached within"):
        cluster.finish(5_000)


def test_a_network_that_is_busy_without_end_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulator, "MAX_EVENTS", 100)
    cluster = Cluster(4, 203)

    def spin() -> None:
        cluster.after(0, spin)

    spin()
    with refuses("time stands still"):
        cluster.run(10)


def test_a_node_left_behind_is_seen_at_the_end() -> None:
    cluster = grown(6)
    del cluster.nodes[2].disk.blocks[2:]
    with refuses("left behind"):
        _check_end(cluster)
    cluster.nodes[2].disk.blocks[1] = last(cluster)
    with refuses("another history"):
        _check_end(cluster)


@pytest.mark.parametrize(
    ("place", "reason"),
    [("_cast", "said a vote that is not on its disk|twice|never cast"), ("persist", "not on its disk")],
)
def test_a_story_of_a_broken_host_fails_by_its_number(place: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that forgets to write what it says, or writes nothing at all."""
    if place == "persist":
        monkeypatch.setattr("tests.support.simulator_disk.Disk.persist", lambda self, records, guard: None)
    else:
        honest: Callable[[Checks, Node, Vote], None] = Checks._cast

        def forgets(self: Checks, node: Node, vote: Vote) -> None:
            if vote.view % 3:
                honest(self, node, vote)

        monkeypatch.setattr(Checks, "_cast", forgets)
    with pytest.raises(AssertionError, match=r"seed 5.*"):
        run_seed(5)
