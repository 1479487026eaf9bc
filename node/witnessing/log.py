"""The log as strangers may read it: a signed head, tiles, bundles of entries, and the way from one size to another.

Knows the last final head, hashes and this node's note key. Must not know witnesses or HTTP. Must always hold: nothing
beyond the last final head is shown; a tile is compared with what stands above it, and a bundle with its tile, before
either leaves; a head is signed only if the registry knows this node's note key.
"""

from collections.abc import Callable
from typing import Final, Protocol

from ledger.bundles import encode_entries
from ledger.checkpoints import Checkpoint, sign_checkpoint
from ledger.errors import StoreError
from ledger.logtiles import MAX_LEVEL, TILE_HEIGHT, TILE_WIDTH, node_reader, tile_root
from ledger.merkle import HASH_BYTES, consistency_proof, leaf_hash, root_at
from ledger.notes import Note
from node.errors import Unavailable

UNKNOWN: Final = "unknown_tile"


class LogSource(Protocol):
    """Final entries and their tiles."""

    def head(self) -> tuple[int, bytes]:
        """Size and root of the log after the last final block; (0, EMPTY_ROOT) before the first."""
        ...

    def tile(self, level: int, index: int) -> bytes:
        """The hashes of a tile, as many as there are. Raises StoreError."""
        ...

    def entries(self, first: int, count: int) -> tuple[bytes, ...]:
        """Entries from index `first` on. Raises StoreError."""
        ...


class PublishedLog:
    """One node's log. Used from one event loop."""

    def __init__(self, source: LogSource, origin: str, secret_seed: Callable[[], bytes | None]) -> None:
        """`secret_seed` gives the note key, None while the registry does not know it."""
        self._source = source
        self.origin = origin
        self._secret = secret_seed
        self._signed: tuple[tuple[int, bytes], Note] | None = None
        self._checked: tuple[int, bytes] | None = None

    def checkpoint(self) -> tuple[Checkpoint, Note]:
        """The last final head and its note by this node. Raises Unavailable `note_key`, `nothing_final`."""
        size, root = self._source.head()
        if not size:
            raise Unavailable("nothing_final", "no block is final yet; try again in a moment")
        checkpoint = Checkpoint(self.origin, size, root)
        if self._signed is None or self._signed[0] != (size, root):
            secret = self._secret()
            if secret is None:
                raise Unavailable("note_key", "keys/note.json of this node is not the note key that the genesis names")
            self._signed = (size, root), sign_checkpoint(checkpoint, secret)
        return checkpoint, self._signed[1]

    def tile(self, level: int, index: int, width: int = TILE_WIDTH) -> bytes:
        """The first `width` hashes of a tile, checked. Raises StoreError `unknown_tile`, `damaged`."""
        size, root = self._source.head()
        there = (size >> TILE_HEIGHT * level) - index * TILE_WIDTH if 0 <= level <= MAX_LEVEL else 0
        if width > there:
            raise StoreError(UNKNOWN, f"the log of {size} entries has no tile {level}/{index} of width {width}")
        tile = self._source.tile(level, index)
        if there >= TILE_WIDTH:
            self._check_full(level, index, tile)
        elif self._checked != (size, root):
            self.check_head(size, root)
            self._checked = size, root
        return tile[: width * HASH_BYTES]

    def bundle(self, index: int, width: int = TILE_WIDTH) -> bytes:
        """The entries below the first `width` hashes of level-0 tile `index`.

        Raises StoreError `unknown_tile`, `damaged`, InvalidProof `entry_size`.
        """
        tile = self.tile(0, index, width)
        entries = self._source.entries(index * TILE_WIDTH, width)
        if b"".join(map(leaf_hash, entries)) != tile:
            raise StoreError("damaged", f"entries of bundle {index} are not those of its tile")
        return encode_entries(entries)

    def consistency(self, old_size: int, size: int) -> tuple[bytes, ...]:
        """The way from one size to another, none from zero. Raises InvalidProof `range`, StoreError."""
        return tuple(consistency_proof(old_size, size, node_reader(self._source.tile))) if old_size else ()

    def check_head(self, size: int, root: bytes) -> None:
        """Raise StoreError `damaged` unless the tiles give this root for this size: they are the same history."""
        if root_at(size, node_reader(self._source.tile)) != root:
            raise StoreError("damaged", f"the log's tiles give another root for its first {size} entries")

    def _check_full(self, level: int, index: int, tile: bytes) -> None:
        if level == MAX_LEVEL:
            return
        above, at = self._source.tile(level + 1, index // TILE_WIDTH), index % TILE_WIDTH * HASH_BYTES
        if len(tile) != TILE_WIDTH * HASH_BYTES or tile_root(tile) != above[at : at + HASH_BYTES]:
            raise StoreError("damaged", f"tile {level}/{index} is not what the tile above it names")
