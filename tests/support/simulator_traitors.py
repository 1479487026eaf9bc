"""Validators that lie: each takes what the honest core would send and returns what is sent instead.

They hold their own key and nobody else's. `make_traitor` turns a node; the checks then leave its words out.
"""

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from consensus.messages import Payload, Proposal, VoteCast, Wire, decode_message, encode_message
from ledger.certificates import Subject, Vote, vote_message
from tests.support.simulator_node import MAX_PAYLOAD, Node, digest_of

Words: TypeAlias = list[tuple[str | None, bytes]]
Treason: TypeAlias = Callable[[Node, str | None, bytes], Words]

__all__ = [
    "conflicter",
    "equivocator",
    "garbler",
    "impersonator",
    "liar_about_carry",
    "make_traitor",
    "nuller",
    "silent",
    "spoiler",
    "withholder",
]


def make_traitor(node: Node, treason: Treason) -> Node:
    node.treason = treason
    node.cluster.traitors.add(node.name)
    return node


def _open(data: bytes) -> tuple[Wire, bytes]:
    return decode_message(data, MAX_PAYLOAD)


def _signed(node: Node, subject: Subject) -> Vote:
    assert node.config.signer is not None
    assert node.config.me is not None
    signature = node.config.signer.sign_vote(subject.kind, vote_message(node.config.chain, subject))
    return Vote(*msgspec.structs.astuple(subject), node.config.me, signature.hex())


def _halves(node: Node) -> tuple[list[str], list[str]]:
    others = [one.name for one in node.cluster.nodes if one is not node]
    return others[: len(others) // 2], others[len(others) // 2 :]


def equivocator(node: Node, to: str | None, data: bytes) -> Words:
    """B1: another block to the other half, and votes for both."""
    message, payload = _open(data)
    if not isinstance(message, Proposal):
        return [(to, data)]
    other = payload + b"12345678"
    twin = _signed(node, msgspec.structs.replace(message.vote.subject, digest=digest_of(other).hex()))
    second = encode_message(Proposal(twin, message.parent, message.nullifications), other)
    first, rest = _halves(node)
    return [(name, data) for name in first] + [(name, second) for name in rest]


def conflicter(node: Node, to: str | None, data: bytes) -> Words:
    """B2: beside each vote a vote of the same kind for something else."""
    message, _ = _open(data)
    if not isinstance(message, VoteCast) or message.vote.kind == "nullify":
        return [(to, data)]
    other = _signed(node, msgspec.structs.replace(message.vote.subject, digest="ab" * 32))
    return [(to, data), (to, encode_message(VoteCast(other)))]


def nuller(node: Node, to: str | None, data: bytes) -> Words:
    """B3: nullify beside finalize."""
    message, _ = _open(data)
    if not isinstance(message, VoteCast) or message.vote.kind != "finalize":
        return [(to, data)]
    vote = message.vote
    both = _signed(node, Subject("nullify", vote.epoch, vote.view, 0, None))
    return [(to, data), (to, encode_message(VoteCast(both)))]


def silent(node: Node, to: str | None, data: bytes) -> Words:
    """B4: says nothing at all."""
    return []


def withholder(node: Node, to: str | None, data: bytes) -> Words:
    """B5: names a block and gives other bytes."""
    message, _ = _open(data)
    if isinstance(message, (Proposal, Payload)):
        return [(to, encode_message(message, b"these bytes have another name" * 3))]
    return [(to, data)]


def spoiler(node: Node, to: str | None, data: bytes) -> Words:
    """B12: finality shares that do not verify."""
    message, _ = _open(data)
    if isinstance(message, VoteCast) and message.vote.kind == "finalize":
        return [(to, encode_message(VoteCast(msgspec.structs.replace(message.vote, signature="5a" * 96))))]
    return [(to, data)]


def impersonator(node: Node, to: str | None, data: bytes) -> Words:
    """B17: own signatures under another's name."""
    message, _ = _open(data)
    if isinstance(message, VoteCast):
        victim = (message.vote.signer + 1) % len(node.cluster.nodes)
        return [(to, encode_message(VoteCast(msgspec.structs.replace(message.vote, signer=victim))))]
    return [(to, data)]


def liar_about_carry(node: Node, to: str | None, data: bytes) -> Words:
    """B8: proposals without the proofs of their ancestry."""
    message, payload = _open(data)
    if isinstance(message, Proposal):
        return [(to, encode_message(Proposal(message.vote, None, ()), payload))]
    return [(to, data)]


def garbler(node: Node, to: str | None, data: bytes) -> Words:
    """B9, X1: every message cut, flipped or prolonged by the seeded chance."""
    chance = node.cluster.chance
    at = chance.randrange(len(data))
    what = chance.randrange(3)
    if what == 0:
        return [(to, data[:at])]
    if what == 1:
        return [(to, data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :])]
    return [(to, data + b"\x00" * at)]
