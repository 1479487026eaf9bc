"""The append-only log of RFC 6962 section 2.1: roots, proofs that an entry is in it, that nothing left it.

Leaves are hashed with the prefix 0x00, inner nodes with 0x01, so neither can pass for the other. Proofs are
made from the hashes of perfect subtrees, addressed as (level, index) and read through a function: an
in-memory `Log` here, rows of a store elsewhere. Verification knows only what it is given, refuses every
hash that is not 32 bytes, every empty tree and every proof that is one hash too long or too short.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from ledger.errors import InvalidProof

HASH_BYTES = 32
MAX_SIZE = 2**53 - 1
"""Entries of one log; a larger size in a proof is a lie."""
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()

NodeReader: TypeAlias = Callable[[int, int], bytes]
"""(level, index) -> hash of the perfect subtree over leaves [index * 2^level, (index + 1) * 2^level)."""


def leaf_hash(entry: bytes) -> bytes:
    """SHA-256(0x00 | entry)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 | left | right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Root over a list of leaf hashes; EMPTY_ROOT for none."""
    if not leaves:
        return EMPTY_ROOT
    level = list(leaves)
    while len(level) > 1:
        # An odd one out moves up unhashed, which gives the shape of RFC 6962 (largest power of two left).
        above = [node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = above + level[len(above) * 2 :]
    return level[0]


@dataclass(frozen=True, slots=True)
class Frontier:
    """All that is needed to append and to know the root: the perfect subtrees, largest first."""

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def append(self, leaf: bytes) -> "Frontier":
        """The frontier after one more leaf hash."""
        return self.extend((leaf,))

    def extend(self, leaves: Iterable[bytes]) -> "Frontier":
        """The frontier after more leaf hashes, in order; two hash operations for each."""
        size, peaks = self.size, list(self.peaks)
        for leaf in leaves:
            carry, rest = leaf, size
            while rest & 1:
                carry = node_hash(peaks.pop(), carry)
                rest >>= 1
            peaks.append(carry)
            size += 1
        return Frontier(size, tuple(peaks))

    @property
    def root(self) -> bytes:
        """Root of the log so far."""
        return _fold(self.peaks) if self.peaks else EMPTY_ROOT

    def check(self) -> None:
        """Raise InvalidProof `frontier` unless there is one 32-byte peak for each bit of the size."""
        right_count = 0 <= self.size <= MAX_SIZE and len(self.peaks) == self.size.bit_count()
        if not right_count or any(len(peak) != HASH_BYTES for peak in self.peaks):
            raise InvalidProof("frontier", f"{len(self.peaks)} peaks do not fit {self.size} entries")


class Log:
    """A whole log in memory, 64 bytes an entry; gives roots and proofs for every size it ever had."""

    __slots__ = ("_levels", "_size")

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self._levels: list[bytearray] = [bytearray()]
        self._size = 0
        self.extend(leaves)

    def __len__(self) -> int:
        return self._size

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash (32 bytes)."""
        carry, level, index = leaf, 0, self._size
        self._levels[0] += carry
        while index & 1:
            carry = node_hash(self.node(level, index - 1), carry)
            level, index = level + 1, index >> 1
            if level == len(self._levels):
                self._levels.append(bytearray())
            self._levels[level] += carry
        self._size += 1

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Add leaf hashes in order."""
        for leaf in leaves:
            self.append(leaf)

    def node(self, level: int, index: int) -> bytes:
        """Hash of a perfect subtree that the log has reached."""
        return bytes(self._levels[level][index * HASH_BYTES : (index + 1) * HASH_BYTES])

    def root(self, size: int | None = None) -> bytes:
        """Root of the first `size` entries (all by default)."""
        return root_at(self._known(size), self.node)

    def frontier(self, size: int | None = None) -> Frontier:
        """Frontier of the first `size` entries (all by default)."""
        known = self._known(size)
        return Frontier(known, tuple(self.node(*position) for position in _peak_positions(0, known)))

    def inclusion_proof(self, index: int, size: int | None = None) -> list[bytes]:
        """Proof that entry `index` is among the first `size` (all by default)."""
        return inclusion_proof(index, self._known(size), self.node)

    def consistency_proof(self, size1: int, size2: int | None = None) -> list[bytes]:
        """Proof that the first `size1` entries are unchanged among the first `size2` (all by default)."""
        return consistency_proof(size1, self._known(size2), self.node)

    def _known(self, size: int | None) -> int:
        if size is None:
            return self._size
        if not 0 <= size <= self._size:
            raise InvalidProof("range", f"size {size} of a log with {self._size} entries")
        return size


def root_at(size: int, node: NodeReader) -> bytes:
    """Root of the first `size` entries."""
    return _range_hash(0, size, node) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, node: NodeReader) -> list[bytes]:
    """Audit path of entry `index` in a tree of `size` (RFC 6962 section 2.1.1), from the leaf up.

    Raises InvalidProof `range` if there is no such entry.
    """
    if not 0 <= index < size:
        raise InvalidProof("range", f"no entry {index} among {size}")
    path: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        split = low + _largest_power_below(high - low)
        if index < split:
            path.append(_range_hash(split, high, node))
            high = split
        else:
            path.append(_range_hash(low, split, node))
            low = split
    return path[::-1]


def consistency_proof(size1: int, size2: int, node: NodeReader) -> list[bytes]:
    """Proof that a tree of `size1` is the start of one of `size2` (RFC 6962 section 2.1.2).

    Raises InvalidProof `range` unless 0 < size1 <= size2: nothing can be said about the empty tree.
    """
    if not 0 < size1 <= size2:
        raise InvalidProof("range", f"no proof from size {size1} to {size2}")
    path: list[bytes] = []
    low, high = 0, size2
    while size1 != high:
        split = low + _largest_power_below(high - low)
        if size1 <= split:
            path.append(_range_hash(split, high, node))
            high = split
        else:
            path.append(_range_hash(low, split, node))
            low = split
    if low:  # else the old tree is one perfect subtree, and its root is known to the verifier
        path.append(_range_hash(low, high, node))
    return path[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Raise InvalidProof unless the leaf hash is entry `index` of the tree of `size` under `root`.

    Codes: `range`, `hash` (a hash is not 32 bytes), `length` (of the proof), `root`. Follows RFC 9162
    section 2.1.3.2.
    """
    _check_hashes(leaf, root, *proof)
    if not 0 <= index < size <= MAX_SIZE:
        raise InvalidProof("range", f"no entry {index} among {size}")
    inner = (index ^ (size - 1)).bit_length()  # levels at which the path is not on the right border
    border = (index >> inner).bit_count()
    if len(proof) != inner + border:
        raise InvalidProof("length", f"{len(proof)} hashes, entry {index} of {size} takes {inner + border}")
    known = leaf
    for level, sibling in enumerate(proof):
        on_right = level >= inner or index >> level & 1
        known = node_hash(sibling, known) if on_right else node_hash(known, sibling)
    if known != root:
        raise InvalidProof("root", f"entry {index} of {size} leads to another root")


def verify_consistency(size1: int, size2: int, root1: bytes, root2: bytes, proof: Sequence[bytes]) -> None:
    """Raise InvalidProof unless the tree (size1, root1) is the start of (size2, root2).

    Codes as `verify_inclusion`. A size of zero is refused: any tree would be consistent with it, and a
    caller who accepts that has accepted a log of which he knows nothing. RFC 9162 section 2.1.4.2.
    """
    _check_hashes(root1, root2, *proof)
    if not 0 < size1 <= size2 <= MAX_SIZE:
        raise InvalidProof("range", f"no consistency from size {size1} to {size2}")
    if size1 == size2:
        if proof:
            raise InvalidProof("length", "equal sizes are proved by no hash at all")
        if root1 != root2:
            raise InvalidProof("root", f"two roots for size {size1}")
        return
    hashes = list(proof)
    if size1 & (size1 - 1) == 0:  # a perfect tree: its root is the first hash
        hashes.insert(0, root1)
    _verify_growth(size1 - 1, size2 - 1, root1, root2, hashes)


def _verify_growth(last1: int, last2: int, root1: bytes, root2: bytes, hashes: list[bytes]) -> None:
    while last1 & 1:
        last1, last2 = last1 >> 1, last2 >> 1
    if not hashes:
        raise InvalidProof("length", "the proof is empty")
    old = new = hashes[0]
    for sibling in hashes[1:]:
        if last2 == 0:
            raise InvalidProof("length", "the proof has too many hashes")
        if last1 & 1 or last1 == last2:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while last1 and not last1 & 1:
                last1, last2 = last1 >> 1, last2 >> 1
        else:
            new = node_hash(new, sibling)
        last1, last2 = last1 >> 1, last2 >> 1
    if last2:
        raise InvalidProof("length", "the proof has too few hashes")
    if old != root1 or new != root2:
        raise InvalidProof("root", "the proof leads to another old or new root")


def _check_hashes(*values: bytes) -> None:
    if any(len(value) != HASH_BYTES for value in values):
        raise InvalidProof("hash", "every hash of a proof has 32 bytes")


def _largest_power_below(count: int) -> int:
    """The largest power of two smaller than `count` (at least 2)."""
    return 1 << (count - 1).bit_length() - 1


def _peak_positions(low: int, high: int) -> list[tuple[int, int]]:
    """(level, index) of the perfect subtrees over [low, high), largest first; low is aligned to them."""
    positions = []
    while low < high:
        level = (high - low).bit_length() - 1
        positions.append((level, low >> level))
        low += 1 << level
    return positions


def _range_hash(low: int, high: int, node: NodeReader) -> bytes:
    return _fold([node(*position) for position in _peak_positions(low, high)])


def _fold(peaks: Sequence[bytes]) -> bytes:
    """Root over perfect subtrees, largest first."""
    known = peaks[-1]
    for peak in peaks[-2::-1]:
        known = node_hash(peak, known)
    return known
