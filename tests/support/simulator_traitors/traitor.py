"""What every traitor shares: it holds its own key and nobody else's, and decides what is said instead.

A traitor runs the honest core and twists what that says, which keeps it in step with the network, through every change
of the set; the checks leave its words out and count it among the f of each set it sits in.
"""

from typing import ClassVar, TypeAlias

from consensus.messages import Wire, decode_message
from ledger.certificates import Subject, Vote, vote_message
from tests.support.simulator_app import MAX_PAYLOAD, root_after, time_of
from tests.support.simulator_node import Node
from tests.support.simulator_sync import Range

Words: TypeAlias = list[tuple[str | None, bytes]]


class Traitor:
    """One lie. `speak` gets each message of the honest core and store, `forge` each block it built, `offer` each
    answer to a peer that asks for final blocks."""

    fault: ClassVar[str] = ""
    """Its row in the catalogue of faults."""
    is_provable: ClassVar[bool] = False
    """Whether it leaves two contradicting signatures with every honest validator that hears it."""

    def speak(self, node: Node, to: str | None, data: bytes) -> Words:
        return [(to, data)]

    def forge(self, node: Node, payload: bytes) -> bytes:
        return payload

    def offer(self, node: Node, honest: Range | None) -> Range | None:
        return honest


def make_traitor(node: Node, traitor: Traitor) -> Node:
    node.treason, node.forge_block, node.forge_range = traitor.speak, traitor.forge, traitor.offer
    node.cluster.traitors.add(node.name)
    return node


def open_words(data: bytes) -> tuple[Wire, bytes]:
    return decode_message(data, MAX_PAYLOAD)


def sign(node: Node, subject: Subject, chain: bytes | None = None) -> Vote:
    """A vote of the traitor's own for anything; without a seat in this epoch, one that claims the first seat."""
    me, signer = (
        node.config.me or 0,
        node.config.signer or node.cluster.membership.signer(node.cluster.first, node.name),
    )
    assert signer is not None, "a traitor had a seat in the first epoch"
    signature = signer.sign_vote(subject.kind, vote_message(chain or node.config.chain, subject))
    return Vote(
        kind=subject.kind,
        epoch=subject.epoch,
        view=subject.view,
        parent_view=subject.parent_view,
        digest=subject.digest,
        signer=me,
        signature=signature.hex(),
    )


def halves(node: Node) -> tuple[list[str], list[str]]:
    """The others, in two groups that stay the same."""
    others = [one.name for one in node.cluster.nodes if one is not node]
    return others[: len(others) // 2], others[len(others) // 2 :]


def another_block(payload: bytes) -> bytes:
    """A second valid block on the same parent: one millisecond later. A tail block has no second one."""
    if len(payload) < 80:
        return payload + b"\x00"
    return payload[:32] + (time_of(payload) + 1).to_bytes(8, "big") + payload[40:]


def with_transactions(node: Node, payload: bytes, transactions: bytes) -> bytes:
    """The same block with these transactions and the root that they give."""
    before = node.application.executed[payload[:32]]
    return payload[:48] + root_after(before.root, transactions) + transactions
