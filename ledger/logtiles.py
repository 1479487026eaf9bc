"""The log in tiles: 256 hashes each, so that a log of any size is proved from a few rows and served as static files.

Tile (level, index) holds the roots of the perfect subtrees 8*level levels above the leaves, from number 256*index on
(C2SP tlog-tiles). Only full tiles are ever stored: they never change. The last, partial one of each level is part
of a `Tail`, a value. Knows hashes; must not know entries or where tiles are kept. Must always hold: a tail and the
full tiles below it give the same roots and proofs as the whole list of leaves (RFC 6962 section 2.1).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

from ledger.errors import InvalidProof
from ledger.merkle import HASH_BYTES, MAX_SIZE, node_hash, root_of

TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT
TILE_BYTES: Final = TILE_WIDTH * HASH_BYTES
MAX_LEVEL: Final = 6
"""Tiles of level 6 stand on 2^48 leaves; MAX_SIZE entries need no higher one."""
MAX_FOLDS: Final = 4_096
"""Subtrees whose roots are remembered, by their hashes: the right edge and the upper tiles of the log, which every
proof under one head needs. Half of a tile is 4 kB, most are far smaller: 6 MB."""

Tile: TypeAlias = tuple[int, int, bytes]
"""(level, index, 256 hashes)"""
TileReader: TypeAlias = Callable[[int, int], bytes]
"""(level, index) -> the hashes of that tile, as many as there are."""


@dataclass(frozen=True, slots=True)
class Tail:
    """A log's size and its partial tiles, one for each level, lowest first."""

    size: int = 0
    partial: tuple[bytes, ...] = ()

    def extend(self, leaves: Iterable[bytes]) -> tuple["Tail", list[Tile]]:
        """The tail after more leaf hashes, and the tiles that became full."""
        added = b"".join(leaves)
        size = self.size + len(added) // HASH_BYTES
        partial, full = list(self.partial), list[Tile]()
        level, count = 0, self.size
        while added:
            if level == len(partial):
                partial.append(b"")
            hashes = partial[level] + added
            first = count >> TILE_HEIGHT
            whole = len(hashes) // TILE_BYTES
            tiles = [hashes[at * TILE_BYTES : (at + 1) * TILE_BYTES] for at in range(whole)]
            full += [(level, first + at, tile) for at, tile in enumerate(tiles)]
            partial[level] = hashes[whole * TILE_BYTES :]
            added = b"".join(tile_root(tile) for tile in tiles)
            level, count = level + 1, count >> TILE_HEIGHT
        return Tail(size, tuple(partial)), full

    def peaks(self) -> tuple[bytes, ...]:
        """The roots of the log's perfect subtrees, largest first (`merkle.Frontier.peaks`).

        Raises InvalidProof `frontier` unless each partial tile has the length that the size gives it.
        """
        found: list[bytes] = []
        for level, hashes in enumerate(self.partial):
            count = self.size >> TILE_HEIGHT * level & TILE_WIDTH - 1
            if len(hashes) != count * HASH_BYTES:
                raise InvalidProof("frontier", f"the partial tile of level {level} has not the size's length")
            end = len(hashes)
            for bit in range(TILE_HEIGHT):
                if count >> bit & 1:
                    end -= HASH_BYTES << bit
                    found.append(_fold(hashes[end : end + (HASH_BYTES << bit)], 1 << bit))
        if self.size >> TILE_HEIGHT * len(self.partial):
            raise InvalidProof("frontier", "a level of partial tiles is missing")
        return tuple(reversed(found))

    def tile(self, level: int, index: int) -> bytes | None:
        """The partial tile if it is the one asked for."""
        if level < len(self.partial) and index == self.size >> TILE_HEIGHT * (level + 1):
            return self.partial[level]
        return None


def tile_root(tile: bytes) -> bytes:
    """The root over the hashes of a full tile: one hash of the level above."""
    return root_of([tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES)])


def read_tail(
    size: int, leaves: Sequence[bytes], tile: TileReader, known: Callable[[int, int], bytes | None] = lambda _, __: None
) -> Tail:
    """The tail of a log of `size` from its last size % 256 leaf hashes and the full tiles below.

    Reads at most 255 tiles a level, and none whose root is `known`. Raises InvalidProof `frontier` if there are not
    that many leaves.
    """
    if len(leaves) != size % TILE_WIDTH or not 0 <= size <= MAX_SIZE:
        raise InvalidProof("frontier", f"{len(leaves)} leaves do not fit the last tile of {size} entries")
    if not size:
        return Tail()
    partial = [b"".join(leaves)]
    level, count = 0, size >> TILE_HEIGHT
    while count:
        first = count & ~(TILE_WIDTH - 1)
        partial.append(b"".join(known(level, index) or tile_root(tile(level, index)) for index in range(first, count)))
        level, count = level + 1, count >> TILE_HEIGHT
    return Tail(size, tuple(partial))


def node_reader(tile: TileReader) -> Callable[[int, int], bytes]:
    """Hashes of perfect subtrees (merkle.NodeReader) from tiles: at most 255 hashes each."""

    def node(level: int, index: int) -> bytes:
        tile_level, inside = divmod(level, TILE_HEIGHT)
        first = index << inside
        hashes = tile(tile_level, first >> TILE_HEIGHT)
        at = (first & TILE_WIDTH - 1) * HASH_BYTES
        return _fold(hashes[at : at + (HASH_BYTES << inside)], 1 << inside)

    return node


@lru_cache(maxsize=MAX_FOLDS)
def _fold(hashes: bytes, count: int) -> bytes:
    if len(hashes) != count * HASH_BYTES:
        raise InvalidProof("range", "the log has not reached that hash")
    level = [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]
    while len(level) > 1:
        level = [node_hash(level[at], level[at + 1]) for at in range(0, len(level), 2)]
    return level[0]


def tile_path(level: int, index: int, width: int = TILE_WIDTH) -> str:
    """Where C2SP tlog-tiles serves a tile: `tile/0/x001/x234/067`, with `.p/W` if it is partial."""
    return f"tile/{level}/{spell_index(index)}" + ("" if width == TILE_WIDTH else f".p/{width}")


def spell_index(index: int) -> str:
    """A tile's number in groups of three digits, all but the last marked with x."""
    digits = str(index)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    return "/".join([*("x" + group for group in groups[:-1]), groups[-1]])


def parse_tile_number(path: str) -> tuple[int, int]:
    """(index, width) of what follows the level in a tile's path. Raises InvalidProof `form` for another spelling."""
    number, mark, width_text = path.partition(".p/")
    digits = "".join(group.removeprefix("x") for group in number.split("/"))
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 15):
        raise InvalidProof("form", "a tile's number is groups of three digits")
    index, width = int(digits), TILE_WIDTH
    if mark:
        if not (width_text.isascii() and width_text.isdigit() and 1 <= len(width_text) <= 3):
            raise InvalidProof("form", "a partial tile's width is a number from 1 to 255")
        width = int(width_text)
    if spell_index(index) != number or (mark and not (0 < width < TILE_WIDTH and width_text == str(width))):
        raise InvalidProof("form", "a tile's number and width have one spelling")
    return index, width
