"""A validator in a cluster whose host signs twice: its core stays honest, its links say two different things.

It holds its own keys and nobody else's; both blocks are valid, so only the two signatures show the lie.
"""

from msgspec.structs import replace

from consensus.messages import Proposal, VoteCast, decode_message, encode_message
from ledger.blocks import MAX_BLOCK_BYTES, decode_block, encode_block, header_hash
from ledger.certificates import Subject, Vote, vote_message
from ledger.crypto import bls, ed25519
from node.peers.frames import Lane
from tests.support.cluster import Cluster


class TwistedHost:
    """Install as `cluster.links.on_send`. `lies` counts the statements that it signed a second time."""

    def __init__(self, cluster: Cluster, culprit: str, *, most: int = 1) -> None:
        self._cluster = cluster
        self._identity = cluster.network.identities[culprit]
        self._most = most
        self._told: dict[int, bytes] = {}
        self.culprit = culprit
        self.lies = 0
        others = sorted(name for name in cluster.network.names if name != culprit)
        self.victims = others[:1]
        """Who is told the second story."""

    def sign(self, subject: Subject, signer: int) -> Vote:
        """A second statement with the culprit's own keys."""
        message = vote_message(self._cluster.nodes[self.culprit].chain.final.chain, subject)
        if subject.kind == "finalize":
            assert self._identity.finality is not None
            signature = bls.sign(self._identity.finality.secret, message)
        else:
            signature = ed25519.sign(self._identity.signing.secret, message)
        return Vote(
            subject.kind, subject.epoch, subject.view, subject.parent_view, subject.digest, signer, signature.hex()
        )

    def __call__(self, sender: str, to: str, lane: Lane, data: bytes) -> bool:
        """Whether the message goes out as it is."""
        raise NotImplementedError

    def deliver(self, to: str, data: bytes) -> None:
        self._cluster.links.links[to].receivers[Lane.CONSENSUS](self.culprit, data)


class TwoProposals(TwistedHost):
    """B1: as leader, one block to most and another to the victim."""

    def __call__(self, sender: str, to: str, lane: Lane, data: bytes) -> bool:
        if sender != self.culprit or to not in self.victims or lane is not Lane.CONSENSUS:
            return True
        message, payload = decode_message(data, MAX_BLOCK_BYTES)
        if not isinstance(message, Proposal):
            return True
        if message.vote.view not in self._told:
            if self.lies >= self._most:
                return True
            self.lies += 1
            self._told[message.vote.view] = self._twin(message, payload)
        self.deliver(to, self._told[message.vote.view])
        return False

    def _twin(self, message: Proposal, payload: bytes) -> bytes:
        block = decode_block(payload)
        header = replace(block.header, time_ms=block.header.time_ms + 1)
        twin = encode_block(replace(block, header=header))
        subject = replace(message.vote.subject, digest=header_hash(header).hex())
        vote = self.sign(subject, message.vote.signer)
        return encode_message(Proposal(vote, message.parent, message.nullifications), twin)


class SecondVote(TwistedHost):
    """Beside its own finalize another statement of the same view, to everybody."""

    def __call__(self, sender: str, to: str, lane: Lane, data: bytes) -> bool:
        if sender == self.culprit and lane is Lane.CONSENSUS and self.lies < self._most:
            message, _ = decode_message(data, MAX_BLOCK_BYTES)
            if isinstance(message, VoteCast) and message.vote.kind == "finalize":
                self.lies += 1
                second = encode_message(VoteCast(self.sign(self.twist(message.vote), message.vote.signer)))
                for name in self._cluster.network.names:
                    if name != self.culprit:
                        self.deliver(name, second)
                        self.deliver(name, data)
        return True

    def twist(self, vote: Vote) -> Subject:
        """What it signs beside `vote`."""
        raise NotImplementedError


class BothWays(SecondVote):
    """B3: nullify beside finalize."""

    def twist(self, vote: Vote) -> Subject:
        return Subject("nullify", vote.epoch, vote.view, 0, None)


class TwoFinals(SecondVote):
    """B2: finalize for another block as well."""

    def twist(self, vote: Vote) -> Subject:
        return replace(vote.subject, digest="ab" * 32)
