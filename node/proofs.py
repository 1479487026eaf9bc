"""The chain as a source of proofs: leaves, paths, headers and historic values at the last final head.

Knows the chain and its store; must not know claims. Must always hold: everything is answered for one head, the last
final block, which always has a certificate of its own.
"""

from contracts.genesis import encode_genesis
from ledger.blocks import Header, decode_block
from ledger.certificates import Certificate, decode_certificate
from ledger.logtiles import node_reader
from ledger.mapproofs import MapProof
from ledger.merkle import inclusion_proof
from ledger.state import Versioned, map_key
from node.chain import Chain
from node.errors import Unavailable


class ChainSource:
    """One head's answers, for building a dossier. Made and used without an await in between."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._node = node_reader(chain.store.tile)
        self._final = chain.final
        if self._final.header is None:
            raise Unavailable("nothing_final", "no block is final yet; try again in a moment")

    @property
    def genesis_bytes(self) -> bytes:
        return encode_genesis(self._final.genesis)

    @property
    def head(self) -> tuple[Header, Certificate]:
        encoded = self._chain.store.certificate_at(self._final.height)
        assert encoded is not None, "the last final block has its own certificate"
        assert self._final.header is not None
        return self._final.header, decode_certificate(encoded)

    def read(self, key: str) -> Versioned | None:
        return self._final.read(key)

    def prove_key(self, key: str) -> MapProof:
        return self._final.state_map.prove(map_key(key))

    def leaf_index(self, leaf: bytes) -> int:
        return self._chain.store.leaf_position(leaf)

    def leaf(self, index: int) -> bytes:
        return self._chain.store.entry(index)

    def certificate(self, height: int) -> Certificate:
        encoded = self._chain.store.certificate_at(height)
        assert encoded is not None, "the last block of an epoch has a certificate"
        return decode_certificate(encoded)

    def leaf_path(self, index: int) -> list[bytes]:
        return inclusion_proof(index, self._final.frontier.size, self._node)

    def header(self, height: int) -> Header:
        return self._chain.header_at(height)

    def header_leaf_index(self, height: int) -> int:
        """The hash of header `height` is the first leaf of the block after it."""
        return self._chain.store.spine(height + 1).first_leaf

    def transaction(self, height: int, index: int) -> bytes:
        return decode_block(self._chain.store.block(height)).transactions[index]

    def value_written(self, height: int, key: str) -> bytes | None:
        written = self._chain.store.changes(height).get(key)
        return None if written is None else written.value
