"""Where the log's full tiles are kept, and which leaf stands where.

Knows two tables; must not know entries. Must always hold: tiles and positions of a block are written in its
database transaction; a tile is checked against its checksum before it is used, a position is confirmed by its leaf.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy import Connection, Engine, bindparam, select

from ledger.database import Bulk, PointRead
from ledger.errors import StoreError
from ledger.logtiles import TILE_BYTES, Tile
from ledger.storetables import log_positions, log_tiles, seal, unseal

CACHED_TILES: Final = 512
"""Tiles in memory, twice that in all: 8 MB. A proof among 10^7 entries needs three, two of which all proofs share."""
PREFIX_BYTES: Final = 8
"""Of a leaf hash, in the index: more than one entry with the same is possible and no error."""


class LogStore:
    """The two tables of the log in the store's database."""

    def __init__(self, engine: Engine) -> None:
        self._insert_tiles = Bulk(engine, log_tiles.insert(), tuple(log_tiles.c.keys()))
        self._insert_positions = Bulk(engine, log_positions.insert(), tuple(log_positions.c.keys()))
        one = select(log_tiles.c.hashes).where(
            log_tiles.c.level == bindparam("level"), log_tiles.c.number == bindparam("at")
        )
        self._read_tile = PointRead(engine, one, ("level", "at"))
        places = select(log_positions.c.position).where(log_positions.c.leaf == bindparam("of"))
        self._read_positions = PointRead(engine, places.order_by(log_positions.c.position), ("of",))
        self._young: dict[tuple[int, int], bytes] = {}
        self._old: dict[tuple[int, int], bytes] = {}

    def write(self, connection: Connection, tiles: Sequence[Tile], first: int, leaves: Iterable[bytes]) -> None:
        """Add full tiles, and the positions from `first` on, inside the caller's transaction."""
        self._insert_tiles(
            connection, [(level, index, seal(_place(level, index), tile)) for level, index, tile in tiles]
        )
        self._insert_positions(
            connection, [(leaf[:PREFIX_BYTES], position) for position, leaf in enumerate(leaves, start=first)]
        )

    def tile(self, level: int, index: int) -> bytes:
        """A full tile. Raises StoreError `unknown_tile`, `damaged`."""
        key = (level, index)
        found = self._young.get(key)
        if found is None:
            found = self._old.get(key) or self._load(level, index)
            if len(self._young) >= CACHED_TILES:
                self._young, self._old = {}, self._young
            self._young[key] = found
        return found

    def positions(self, leaf: bytes) -> list[int]:
        """Where leaves that begin like this one stand, ascending."""
        return [position for (position,) in self._read_positions(leaf[:PREFIX_BYTES])]

    def close(self) -> None:
        """Give connections back."""
        self._read_tile.close()
        self._read_positions.close()

    def _load(self, level: int, index: int) -> bytes:
        rows = self._read_tile(level, index)
        if not rows:
            raise StoreError("unknown_tile", f"no full tile {_place(level, index)}")
        tile = unseal(_place(level, index), bytes(rows[0][0]))
        if len(tile) != TILE_BYTES:
            raise StoreError("damaged", f"{_place(level, index)} is no full tile")
        return tile


def _place(level: int, index: int) -> str:
    return f"tile/{level}/{index}"
