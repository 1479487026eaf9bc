"""A ledger in memory as the source of dossiers, with real finality certificates by the test network's validators."""

from contracts.membership import validator_set
from ledger.blocks import Header
from ledger.certificates import Certificate, Subject, ValidatorSet, Vote, build_certificate, vote_message
from ledger.crypto import bls
from ledger.mapproofs import MapProof
from ledger.merkle import Log, leaf_hash
from ledger.state import Versioned, map_key
from tests.support.network_builder import Network


class MemorySource:
    """Implements node.audit.build.LedgerSource over a test network."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._leaves = [entry for block in network.blocks for entry in block.entries]
        self._hashes = [leaf_hash(entry) for entry in self._leaves]
        self._log = Log(self._hashes)

    @property
    def genesis_bytes(self) -> bytes:
        return self._network.genesis_bytes

    @property
    def head(self) -> tuple[Header, Certificate]:
        header = self._network.state.header
        assert header is not None
        return header, self.certificate(header.height)

    def certificate(self, height: int) -> Certificate:
        before = self._network.blocks[height - 2].after.validators if height > 1 else None
        return certify(self._network, self._network.blocks[height - 1].header_hash, validators=before)

    def read(self, key: str) -> Versioned | None:
        return self._network.state.read(key)

    def prove_key(self, key: str) -> MapProof:
        return self._network.state.state_map.prove(map_key(key))

    def leaf_index(self, leaf: bytes) -> int:
        return self._hashes.index(leaf)

    def leaf(self, index: int) -> bytes:
        return self._leaves[index]

    def leaf_path(self, index: int) -> list[bytes]:
        return self._log.inclusion_proof(index)

    def header(self, height: int) -> Header:
        return self._network.blocks[height - 1].block.header

    def header_leaf_index(self, height: int) -> int:
        return sum(len(block.entries) for block in self._network.blocks[:height])

    def transaction(self, height: int, index: int) -> bytes:
        return self._network.blocks[height - 1].block.transactions[index]

    def value_written(self, height: int, key: str) -> bytes | None:
        return self._network.blocks[height - 1].changes[key].value


def certify(
    network: Network, digest: bytes, *, kind: str = "finalize", view: int = 7, validators: ValidatorSet | None = None
) -> Certificate:
    """A certificate of `kind` over `digest` by a quorum of the network's validators, by default those of epoch 1."""
    validators = validators or validator_set(network.genesis)
    votes = []
    for index, validator in enumerate(validators.validators):
        member = network.members[validator.id]
        subject = Subject(kind, validators.epoch, view, view - 1, digest.hex())  # type: ignore[arg-type]
        message = vote_message(network.state.chain, subject)
        signature = bls.sign(member.finality_secret, message).hex() if kind == "finalize" else member.sign(message)
        votes.append(
            Vote(
                kind=subject.kind,
                epoch=subject.epoch,
                view=view,
                parent_view=view - 1,
                digest=subject.digest,
                signer=index,
                signature=signature,
            )
        )
    return build_certificate(votes, validators)
