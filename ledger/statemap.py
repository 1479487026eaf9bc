"""The state map: one root for a set of (key, value hash), with proofs that a key is there or is not.

A sparse Merkle tree over 256-bit keys, most significant bit first, in which a subtree with one leaf *is*
that leaf. leaf = SHA-256(0x00 | key | value hash), inner = SHA-256(0x01 | left | right), empty = 32 zero
bytes. The whole key is inside the leaf hash, so a leaf cannot be claimed for another place. The root
depends on the set alone, never on the order of changes: any node can rebuild it from a snapshot.

Maps are immutable values that share their nodes; an old one costs what has changed since. Proofs and their
verification are in mapproofs.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from ledger.mapproofs import EMPTY, KEY_BITS, KEY_BYTES, MapProof, OtherLeaf, build_map_proof

_Node: TypeAlias = Any
"""None (empty), a leaf (hash, key as integer, value hash) or an inner node (hash, left, right).

Plain tuples, told apart by their second field: building them is the largest part of a validator's work
after signatures, and the garbage collector stops looking at tuples that hold nothing it tracks.
"""

_sha256 = hashlib.sha256
_TOP: Final = KEY_BITS - 1


class StateMap:
    """An immutable map from 32-byte keys to 32-byte value hashes."""

    __slots__ = ("_node",)

    def __init__(self, _node: _Node = None) -> None:
        self._node = _node

    @property
    def root(self) -> bytes:
        """32 bytes that stand for the whole map; zeros if it is empty."""
        root: bytes = self._node[0] if self._node else EMPTY
        return root

    def get(self, key: bytes) -> bytes | None:
        """The value hash of `key`, None if it is absent."""
        number = _number(key)
        node = self._descend(number)[0]
        found: bytes | None = node[2] if node is not None and node[1] == number else None
        return found

    def update(self, changes: Mapping[bytes, bytes | None]) -> "StateMap":
        """The map with `changes` made: a value hash to set, None to remove (also if absent).

        Raises ValueError for a key or value hash that is not 32 bytes: both are made by this program.
        """
        if not changes:
            return self
        for value in changes.values():
            if value is not None and len(value) != KEY_BYTES:
                raise ValueError(f"a value hash has 32 bytes, not {len(value)}")
        ordered = sorted([(_number(key), value) for key, value in changes.items()])
        keys = [key for key, _ in ordered]
        return StateMap(_update_range(self._node, _TOP, keys, [value for _, value in ordered], 0, len(keys)))

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All (key, value hash), ascending: the leaves of a snapshot."""
        stack = [self._node]
        while stack:
            node = stack.pop()
            if node is None:
                continue
            if type(node[1]) is int:
                yield node[1].to_bytes(KEY_BYTES, "big"), node[2]
            else:
                stack += (node[2], node[1])

    def prove(self, key: bytes) -> MapProof:
        """Proof of the value hash of `key`, or of its absence; see verify_map_proof."""
        number = _number(key)
        leaf, siblings = self._descend(number)
        other = None
        if leaf is not None and leaf[1] != number:
            other = OtherLeaf(key=leaf[1].to_bytes(KEY_BYTES, "big").hex(), value_hash=leaf[2].hex())
        return build_map_proof(siblings, other)

    def _descend(self, number: int) -> tuple[_Node, list[bytes]]:
        """The leaf (of any key) or None where the path of `number` ends, and the siblings from the root."""
        node, shift = self._node, _TOP
        siblings: list[bytes] = []
        while node is not None and type(node[1]) is not int:
            _, left, right = node
            node, beside = (right, left) if number >> shift & 1 else (left, right)
            siblings.append(beside[0] if beside else EMPTY)
            shift -= 1
        return node, siblings


def _number(key: bytes) -> int:
    if len(key) != KEY_BYTES:
        raise ValueError(f"a map key has 32 bytes, not {len(key)}")
    return int.from_bytes(key, "big")


def _leaf(key: int, value: bytes) -> _Node:
    return (_sha256(b"\x00" + key.to_bytes(KEY_BYTES, "big") + value).digest(), key, value)


def _join(left: _Node, right: _Node) -> _Node:
    """The subtree over two halves; a single leaf moves up, nothing stays nothing."""
    if left is None:
        if right is None or type(right[1]) is int:
            return right
        return (_sha256(b"\x01" + EMPTY + right[0]).digest(), None, right)
    if right is None:
        if type(left[1]) is int:
            return left
        return (_sha256(b"\x01" + left[0] + EMPTY).digest(), left, None)
    return (_sha256(b"\x01" + left[0] + right[0]).digest(), left, right)


def _update_range(node: _Node, shift: int, keys: list[int], values: list[bytes | None], low: int, high: int) -> _Node:
    """`node`, whose halves are told apart by bit `shift`, after the changes [low, high) of the sorted lists."""
    if high - low == 1:
        return _update_one(node, shift, keys[low], values[low])
    if node is None or type(node[1]) is int:
        return _build_over(node, shift, keys, values, low, high)
    _, left, right = node
    middle = bisect_left(keys, (keys[low] >> shift | 1) << shift, low, high)
    new_left = left if middle == low else _update_range(left, shift - 1, keys, values, low, middle)
    new_right = right if middle == high else _update_range(right, shift - 1, keys, values, middle, high)
    return node if new_left is left and new_right is right else _join(new_left, new_right)


def _build_over(leaf: _Node, shift: int, keys: list[int], values: list[bytes | None], low: int, high: int) -> _Node:
    """The subtree of several changes where there was nothing or one leaf."""
    leaves = {key: _leaf(key, value) for key, value in zip(keys[low:high], values[low:high], strict=True) if value}
    if leaf is not None and leaf[1] not in keys[low:high]:
        leaves[leaf[1]] = leaf
    ordered = sorted(leaves)
    return _build(ordered, [leaves[key] for key in ordered], shift, 0, len(ordered))


def _build(keys: list[int], leaves: list[_Node], shift: int, low: int, high: int) -> _Node:
    if high - low < 2:
        return leaves[low] if high > low else None
    middle = bisect_left(keys, (keys[low] >> shift | 1) << shift, low, high)
    return _join(_build(keys, leaves, shift - 1, low, middle), _build(keys, leaves, shift - 1, middle, high))


def _update_one(node: _Node, shift: int, key: int, value: bytes | None) -> _Node:
    """`_update_range` for one change: a loop down and a loop up, where nearly all the work is."""
    path: list[_Node] = []
    current = node
    while current is not None and type(current[1]) is not int:
        path.append(current)
        current = current[2 if key >> shift & 1 else 1]
        shift -= 1
    changed = _changed_end(current, shift, key, value)
    if changed is current:
        return node
    for inner in reversed(path):
        shift += 1
        left, right = (inner[1], changed) if key >> shift & 1 else (changed, inner[2])
        if left is None or right is None:
            changed = _join(left, right)
        else:  # as in _join, without the call
            changed = (_sha256(b"\x01" + left[0] + right[0]).digest(), left, right)
    return changed


def _changed_end(end: _Node, shift: int, key: int, value: bytes | None) -> _Node:
    """What stands at the end of the path of `key` after its change; `end` itself if nothing changes."""
    if end is not None and end[1] != key:
        return end if value is None else _fork(end, shift, _leaf(key, value))
    if value is None:
        return None
    return end if end is not None and end[2] == value else _leaf(key, value)


def _fork(one: _Node, shift: int, two: _Node) -> _Node:
    """The subtree of two leaves: an inner node where they part, empty siblings above it up to `shift`."""
    parting = (one[1] ^ two[1]).bit_length() - 1
    node: _Node = _join(two, one) if one[1] >> parting & 1 else _join(one, two)
    for above in range(parting + 1, shift + 1):
        node = _join(None, node) if one[1] >> above & 1 else _join(node, None)
    return node
