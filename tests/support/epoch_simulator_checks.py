"""What must hold after every step of a simulated network; a violation raises AssertionError at once.

Sees everything that honest nodes send and store, over all time and restarts; shares no code with the rules.
"""

from typing import TYPE_CHECKING

from consensus.effects import Block
from ledger.certificates import Certificate, Vote

if TYPE_CHECKING:
    from tests.support.epoch_simulator_node import Node


class Checks:
    """The global ledger of votes, certificates and final blocks."""

    def __init__(self, quorum: int, faulty: int, root: bytes) -> None:
        self.quorum, self.faulty, self.root = quorum, faulty, root
        self.epoch = 1
        """The highest epoch that somebody entered."""
        self.votes: dict[tuple[str, int, int, str], Vote] = {}
        self.certificates: dict[tuple[int, int, str], Certificate] = {}
        self.chain: list[bytes] = []
        self.parents: dict[bytes, bytes] = {}

    def sent_vote(self, node: str, vote: Vote) -> None:
        """Uniqueness of what an honest key signed, ever."""
        key = (node, vote.epoch, vote.view, vote.kind)
        assert self.votes.setdefault(key, vote) == vote, f"{node} voted {vote.kind} twice in view {vote.view}"
        other = {"nullify": "finalize", "finalize": "nullify"}.get(vote.kind)
        assert (node, vote.epoch, vote.view, other) not in self.votes, (
            f"{node} nullified and finalized view {vote.view}"
        )

    def saw_certificate(self, certificate: Certificate, honest: "list[Node]") -> None:
        """One block a view, no nullification of a finalized view, and bytes of notarized blocks on enough disks."""
        key = (certificate.epoch, certificate.view, certificate.kind)
        known = self.certificates.get(key)
        if known is not None:
            assert known.subject == certificate.subject, f"two {certificate.kind} certificates in view {key[1]}"
            return
        self.certificates[key] = certificate
        other = {"nullify": "finalize", "finalize": "nullify"}.get(certificate.kind)
        assert (*key[:2], other) not in self.certificates, f"view {key[1]} nullified and finalized"
        if certificate.kind == "notarize" and certificate.epoch == self.epoch:
            digest = bytes.fromhex(certificate.digest or "")
            holders = sum(node.disk.holds(digest) for node in honest)
            assert holders >= self.quorum - self.faulty, f"bytes of view {key[1]} on {holders} honest disks"

    def entered(self, epoch: int, quorum: int, faulty: int) -> None:
        """Somebody begins an epoch; older journals may be gone from now on."""
        if epoch > self.epoch:
            self.epoch, self.quorum, self.faulty = epoch, quorum, faulty

    def delivered(self, node: "Node", block: Block, parent: bytes) -> None:
        """Agreement, prefix, no gap, no repetition."""
        height = len(node.disk.blocks)  # of the new block, counted from 0
        expected = node.disk.blocks[-1].ref.digest if node.disk.blocks else self.root
        assert parent == expected, f"{node.name} got a block of view {block.ref.view} on another parent"
        if height == len(self.chain):
            self.chain.append(block.ref.digest)
        assert self.chain[height] == block.ref.digest, f"{node.name} disagrees at height {height + 1}"
