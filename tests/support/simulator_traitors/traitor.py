"""What every traitor shares: it holds its own key and nobody else's, and decides what is said instead.

A traitor runs the honest core and twists what that says, which keeps it in step with the network; the checks leave its
words out and count it among the f.
"""

from typing import ClassVar, TypeAlias

import msgspec

from consensus.messages import Wire, decode_message
from ledger.certificates import Subject, Vote, vote_message
from tests.support.simulator_app import MAX_PAYLOAD, time_of
from tests.support.simulator_node import Node

Words: TypeAlias = list[tuple[str | None, bytes]]


class Traitor:
    """One lie. `speak` gets each message of the honest core, `forge` each block it built."""

    fault: ClassVar[str] = ""
    """Its row in tests/faults.md."""
    is_provable: ClassVar[bool] = False
    """Whether it leaves two contradicting signatures with every honest validator that hears it."""

    def speak(self, node: Node, to: str | None, data: bytes) -> Words:
        return [(to, data)]

    def forge(self, node: Node, payload: bytes) -> bytes:
        return payload


def make_traitor(node: Node, traitor: Traitor) -> Node:
    node.treason, node.forge_block = traitor.speak, traitor.forge
    node.cluster.traitors.add(node.name)
    return node


def open_words(data: bytes) -> tuple[Wire, bytes]:
    return decode_message(data, MAX_PAYLOAD)


def sign(node: Node, subject: Subject, chain: bytes | None = None) -> Vote:
    """A vote of the traitor's own for anything."""
    assert node.config.signer is not None
    assert node.config.me is not None
    signature = node.config.signer.sign_vote(subject.kind, vote_message(chain or node.config.chain, subject))
    return Vote(*msgspec.structs.astuple(subject), node.config.me, signature.hex())


def halves(node: Node) -> tuple[list[str], list[str]]:
    """The others, in two groups that stay the same."""
    others = [one.name for one in node.cluster.nodes if one is not node]
    return others[: len(others) // 2], others[len(others) // 2 :]


def another_block(payload: bytes) -> bytes:
    """A second valid block on the same parent: one millisecond later."""
    return payload[:32] + (time_of(payload) + 1).to_bytes(8, "big") + payload[40:]
