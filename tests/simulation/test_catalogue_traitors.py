"""Rows of the fault catalogue about liars with the numbers they name, and two networks side by side."""

from collections.abc import Callable
from typing import ClassVar

import pytest
from msgspec.structs import replace as changed

from consensus.effects import Effect, Send
from consensus.inputs import Message
from consensus.messages import Payload, Proposal, VoteCast, decode_message, encode_message
from ledger.crypto.hashing import tagged_hash
from tests.support.simulator import Cluster
from tests.support.simulator_app import MAX_PAYLOAD
from tests.support.simulator_node import Node
from tests.support.simulator_traitors import Traitor, make_traitor
from tests.support.simulator_traitors.traitor import Words, another_block, open_words

HEAL_MS = 30_000


def _with_traitors(n: int, seed: int, traitors: list[Traitor]) -> Cluster:
    cluster = Cluster(n, seed)
    for node, traitor in zip(cluster.nodes, traitors, strict=False):
        make_traitor(node, traitor)
    return cluster.start()


class DigestOnly(Traitor):
    """Names its blocks and keeps their bytes: as leader, and when asked."""

    fault = "B5"

    def __init__(self, instead: Callable[[bytes], bytes]) -> None:
        self.instead = instead
        self.named: set[str] = set()

    def speak(self, node: Node, to: str | None, data: bytes) -> Words:
        message, payload = open_words(data)
        if isinstance(message, Proposal):
            self.named.add(message.vote.digest or "")
            return [(to, encode_message(message, self.instead(payload)))]
        return [] if isinstance(message, Payload) else [(to, data)]


@pytest.mark.parametrize(
    "instead",
    [lambda payload: b"", lambda payload: payload[:-1], another_block],
    ids=["no_bytes", "one_byte_less", "another_valid_block"],
)
@pytest.mark.parametrize("n", [4, 7])
def test_a_digest_without_its_bytes_gets_no_vote(n: int, instead: Callable[[bytes], bytes]) -> None:
    """B5: only the digest is sent, or it is sent with other bytes: no honest one votes for it, the view is
    nullified, nothing of it is kept."""
    traitors = [DigestOnly(instead) for _ in range((n - 1) // 3)]
    cluster = _with_traitors(n, 340, list(traitors))
    for _ in range(3 * n):
        cluster.finish(HEAL_MS, nodes=cluster.honest())
    named = set().union(*(traitor.named for traitor in traitors))
    voted = {vote.digest for node in cluster.honest() for vote in node.disk.votes}
    assert named, "they led"
    assert not named & voted
    for node in cluster.honest():
        assert node.core is not None
        assert all(len(view.candidates) <= 2 for view in node.core._state.views.values())


@pytest.mark.parametrize("n", [4, 7, 10])
def test_a_leader_that_reaches_a_quorum_and_is_never_seen_again(n: int) -> None:
    """B6: the bytes reach q-1 others, then the leader and its disk are gone: the block becomes final, everybody gets
    it from those who voted, and q-f honest disks hold it."""
    cluster = Cluster(n, seed=341).start()
    cluster.finish()
    core = cluster.nodes[0].core
    assert core is not None
    leader = cluster.by_name[core.status.leader]
    others = [node for node in cluster.nodes if node is not leader]
    reached = {node.name for node in others[: core._state.config.validators.quorum - 1]}
    proposed: list[str] = []

    def only_some(sender: str, to: str, data: bytes) -> bool:
        message, _ = decode_message(data, MAX_PAYLOAD)
        if sender == leader.name and isinstance(message, Proposal):
            proposed.append(message.vote.digest or "")
            return to not in reached
        return False

    def dies(effect: Effect) -> bool:
        return bool(proposed) and not (isinstance(effect, Send) and isinstance(open_words(effect.data)[0], Proposal))

    cluster.network.drop = only_some
    leader.crash_hook = dies
    tx = cluster.submit()
    cluster.run_until(lambda: cluster.is_final(tx, others), 10_000)
    assert not leader.alive
    (digest,) = set(proposed)
    assert all(digest in {block.ref.digest.hex() for block in node.disk.blocks} for node in others)


class Canceller(Traitor):
    """B13: colluding pairs add the same error to their finality shares; each is wrong, their sum is right."""

    fault = "B13"
    ERROR: ClassVar[int] = int.from_bytes(b"\x5a" * 96, "big")

    def speak(self, node: Node, to: str | None, data: bytes) -> Words:
        message, _ = open_words(data)
        if not isinstance(message, VoteCast) or message.vote.kind != "finalize":
            return [(to, data)]
        wrong = int(message.vote.signature, 16) ^ self.ERROR
        return [(to, encode_message(VoteCast(changed(message.vote, signature=f"{wrong:0192x}"))))]


@pytest.mark.parametrize("pairs", [1, 2])
def test_shares_whose_errors_cancel(pairs: int) -> None:
    """B13: with or without the other half of the pair in the aggregate, what becomes final was voted for by honest
    ones too (the checks count them), nobody honest is blamed, and an unverifiable share convicts nobody."""
    n = 7 if pairs == 1 else 13
    cluster = _with_traitors(n, 342, [Canceller() for _ in range(2 * pairs)])
    honest = cluster.honest()
    for _ in range(2 * n):
        cluster.finish(HEAL_MS, nodes=honest)
    assert not any(node.evidence for node in honest)


@pytest.mark.parametrize("speaker", [0, 3])
def test_two_networks_of_the_same_members(speaker: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """O10: the same names and keys under a genesis that differs in one field: every word of one network, said in the
    other by its signer, moves nothing, counts for nothing and convicts nobody."""
    elsewhere = Cluster(4, seed=343, chain=tagged_hash("genesis", b"a copy with another name"))
    heard: list[tuple[str, bytes]] = []

    def listens(sender: str, to: str, data: bytes) -> bool:
        heard.append((sender, data))
        return False

    elsewhere.network.drop = listens
    elsewhere.start()
    for _ in range(5):
        elsewhere.finish()
    here = Cluster(4, seed=344)
    node = here.nodes[speaker]
    here.start()
    here.finish()
    monkeypatch.setattr(here.checks, "blamed", lambda node, blame: None)  # rightly: the peers do say foreign words
    assert node.core is not None
    state = node.core._state
    before = (state.view, state.final_view, len(node.disk.blocks))
    tallies = {number: [view.tally.count("notarize"), len(view.certificates)] for number, view in state.views.items()}
    for sender, data in heard:
        if sender != node.name:
            node.give(Message(node.now, sender, data))
    assert (state.view, state.final_view, len(node.disk.blocks)) == before
    for number, view in state.views.items():
        assert tallies.get(number, [0, 0]) == [view.tally.count("notarize"), len(view.certificates)]
    assert not node.evidence
    assert node.halted is None
    assert {blame.code for blame in node.blamed} >= {"certificate_signature"}
    here.finish()
