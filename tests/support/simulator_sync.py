"""How simulated hosts catch up: neighbours tell how far they are, and one of them gives a range of final blocks,
believed only when it proves itself.

Must always hold: nothing of a range is executed before a finalization of its last block verifies under the set of the
epoch and every block links to the next; the first bad item ends it and another peer is asked. A range never reaches
over the end of an epoch.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from consensus.effects import Block
from consensus.inputs import CaughtUp
from ledger.certificates import Certificate, tail_digest, verify_finality
from ledger.errors import InvalidCertificate
from tests.support.simulator_app import digest_of, parent_of

if TYPE_CHECKING:
    from tests.support.simulator_node import Node

MAX_RANGE_BLOCKS = 500
"""More than any simulated history is long: an endless answer is cut here."""
ASK_MS = 50
"""A question and its answer take this long."""
PAUSE_MS = 500
"""Between two rounds in which nobody had anything to give."""

LOOK_MS = 5_000
"""An observer's host asks its neighbours so often how far they are: nobody owes an observer a repetition."""


@dataclass(frozen=True, slots=True)
class Range:
    """A peer's answer: blocks above the asked height, and what is said to make the last one final."""

    blocks: Iterable[Block]
    certificate: Certificate


def read_range(peer: "Node", height: int, epoch: int) -> Range | None:
    """What an honest store answers: blocks of that epoch above a height, up to the last that a certificate names."""
    stored = zip(peer.disk.blocks, peer.disk.certificates, strict=True)
    found = [(block, proof) for block, proof in islice(stored, height, None) if proof.epoch == epoch]
    while found and not _names(found[-1][1], found[-1][0].ref.digest):
        found.pop()
    return Range([block for block, _ in found], found[-1][1]) if found else None


def is_proven(node: "Node", offered: Range) -> list[Block]:
    """The blocks of a range if they follow the own store and are final; nothing otherwise."""
    blocks = list(islice(offered.blocks, MAX_RANGE_BLOCKS + 1))
    parent = node.disk.blocks[-1].ref.digest if node.disk.blocks else node.application.root
    if not 0 < len(blocks) <= MAX_RANGE_BLOCKS:
        return []
    config = node.config
    try:
        verify_finality(offered.certificate, blocks[-1].ref.digest, config.validators, config.chain, config.scheme)
    except InvalidCertificate:
        return []
    for block in blocks:
        if parent_of(block.payload) != parent or digest_of(block.payload) != block.ref.digest:
            return []
        parent = block.ref.digest
    return blocks


def sync(node: "Node", target: Certificate) -> None:
    """Ask one peer after the other until the store holds what `target` makes final, then tell the core."""
    cluster, life, generation = node.cluster, node.life, node.generation
    peers: list[Node] = []

    def attempt() -> None:
        if not node.alive or node.life != life or node.generation != generation:
            return
        if node.committing or node.disk.is_full or node.stalled:
            cluster.after(100, attempt)
            return
        if not peers:
            peers.extend(cluster.chance.sample(cluster.nodes, len(cluster.nodes)))
            cluster.after(PAUSE_MS, attempt)
            return
        peer = peers.pop()
        if peer is not node and peer.alive and (peer.name, node.name) not in cluster.network.cuts:
            offered = peer.offer(len(node.disk.blocks), target.epoch)
            if offered is not None and _apply(node, offered, target):
                return
        cluster.after(ASK_MS, attempt)

    peers.extend(cluster.chance.sample(cluster.nodes, len(cluster.nodes)))
    cluster.after(ASK_MS, attempt)


def look_around(node: "Node") -> None:
    """Ask the neighbours every LOOK_MS, in this life, while the node has no vote that others would answer."""
    life = node.life

    def ask() -> None:
        if node.life != life or not node.alive:
            return
        if node.is_observer:
            node.cluster.ask_neighbours(node)
        node.cluster.after(LOOK_MS, ask)

    node.cluster.after(LOOK_MS, ask)


def _apply(node: "Node", offered: Range, target: Certificate) -> bool:
    """Whether the store now holds what was asked for."""
    blocks = is_proven(node, offered)
    for block in blocks:
        node.commit(block, offered.certificate)
    if not blocks:
        return False
    last = blocks[-1]
    proof = target if _names(target, last.ref.digest) else offered.certificate
    if proof.view < target.view:
        return False
    closes = node.cluster.membership.closes(last.payload)
    node.give(CaughtUp(node.now, proof, last.ref.digest if closes else None))
    return True


def _names(certificate: Certificate, digest: bytes) -> bool:
    return certificate.digest in (digest.hex(), tail_digest(digest).hex())
