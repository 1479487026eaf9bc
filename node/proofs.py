"""The chain as a source of proofs: leaves, paths, headers and historic values at the last final head.

Knows the chain and its store; must not know claims. Must always hold: everything is answered for one head, the last
final block, which always has a certificate of its own.
"""

from contracts.genesis import encode_genesis
from ledger.blocks import Header, decode_block
from ledger.certificates import Certificate, decode_certificate
from ledger.encoding import decode_as
from ledger.errors import StoreError
from ledger.logtiles import node_reader
from ledger.mapproofs import MapProof
from ledger.merkle import inclusion_proof
from ledger.state import Entry, Versioned, map_key, value_digest
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
        assert self._final.header is not None
        height, known = self._final.height, self._chain.certified
        if known is None or known[0] != height:
            known = self._chain.certified = height, self.certificate(height)
        return self._final.header, known[1]

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
        assert encoded is not None, "the last final block and the last of an epoch have one"
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


def check_value(chain: Chain, key: str, found: Versioned) -> None:
    """Compare a value with what the log entry that wrote it says, before it is given out with a proof.

    The state map binds key, version and entry; the entry binds the value. Raises StoreError `damaged`.
    """
    if found == chain.genesis_state.read(key):
        return
    try:
        encoded = chain.store.entry(chain.store.leaf_position(found.entry))
    except StoreError as error:
        if error.code not in ("pruned", "unknown_entry"):
            raise
        encoded = chain.store.remains.entry(found.entry)
    digest = None if found.value is None else value_digest(found.value).hex()
    named = [write for write in decode_as(encoded, Entry).writes if write.key == key]
    if not named or (named[0].version, named[0].digest) != (found.version, digest):
        raise StoreError("damaged", f"state {key.split('/')[0]} on disk is not what its log entry wrote")
