"""The state map: one root for a set of (key, value hash), with proofs that a key is there or is not.

A sparse Merkle tree over 256-bit keys, most significant bit first, in which a subtree with one leaf *is*
that leaf. leaf = SHA-256(0x00 | key | value hash), inner = SHA-256(0x01 | left | right), empty = 32 zero
bytes. The whole key is inside the leaf hash, so a leaf cannot be claimed for another place. The root
depends on the set alone, never on the order of changes: any node can rebuild it from a snapshot.

Maps are immutable values that share their nodes; an old one costs what has changed since. A map need not be
in memory whole: a subtree that starts at a page (every four levels) may be a *stub*, its hash and its place, which a
`PageReader` turns into nodes when a path leads through it. Proofs and their verification are in mapproofs,
the bytes of pages in mappages.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from ledger.mapproofs import EMPTY, KEY_BITS, KEY_BYTES, MapProof, OtherLeaf, build_map_proof

Node: TypeAlias = Any
"""None (empty), a leaf (hash, key as integer, value hash), an inner node (hash, left, right) or a stub (hash, page
path as bytes), which stands for an inner node.

Plain tuples, told apart by their second field: building them is the largest part of a validator's work
after signatures, and the garbage collector stops looking at tuples that hold nothing it tracks.
"""
PageReader: TypeAlias = Callable[[bytes, bytes], Node]
"""(page path, hash) -> the inner node with that hash, its page's subtrees below as stubs. Raises StoreError."""

PAGE_BITS: Final = 4
"""Levels of one page: up to sixteen subtrees, about 0.5 kB, half a dozen pages on a path among 10^7 keys."""
_sha256 = hashlib.sha256
_TOP: Final = KEY_BITS - 1


def _unpaged(path: bytes, digest: bytes) -> Node:
    raise LookupError(f"page {path.hex()} of a map that was to be in memory whole")


class StateMap:
    """An immutable map from 32-byte keys to 32-byte value hashes."""

    __slots__ = ("_load", "_node")

    def __init__(self, _node: Node = None, _load: PageReader = _unpaged) -> None:
        self._node = _node
        self._load = _load

    @property
    def root(self) -> bytes:
        """32 bytes that stand for the whole map; zeros if it is empty."""
        root: bytes = self._node[0] if self._node else EMPTY
        return root

    @property
    def node(self) -> Node:
        """The top node, for mappages."""
        return self._node

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
        keys, values = [key for key, _ in ordered], [value for _, value in ordered]
        return StateMap(_update_range(self._node, _TOP, keys, values, 0, len(keys), self._load), self._load)

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All (key, value hash), ascending: the leaves of a snapshot."""
        stack = [self._node]
        while stack:
            node = stack.pop()
            if node is None:
                continue
            second = type(node[1])
            if second is int:
                yield node[1].to_bytes(KEY_BYTES, "big"), node[2]
            elif second is bytes:
                stack.append(self._load(node[1], node[0]))
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

    def _descend(self, number: int) -> tuple[Node, list[bytes]]:
        """The leaf (of any key) or None where the path of `number` ends, and the siblings from the root."""
        node, shift = self._node, _TOP
        siblings: list[bytes] = []
        while node is not None and type(node[1]) is not int:
            if type(node[1]) is bytes:
                node = self._load(node[1], node[0])
            _, left, right = node
            node, beside = (right, left) if number >> shift & 1 else (left, right)
            siblings.append(beside[0] if beside else EMPTY)
            shift -= 1
        return node, siblings


def join_nodes(left: Node, right: Node) -> Node:
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


def leaf_node(key: int, value: bytes) -> Node:
    """A leaf of this key and value hash."""
    return (_sha256(b"\x00" + key.to_bytes(KEY_BYTES, "big") + value).digest(), key, value)


def build_subtree(keys: list[int], nodes: list[Node], shift: int, low: int, high: int) -> Node:
    """The subtree, whose halves are told apart by bit `shift`, over leaves nodes[low:high]; keys ascend."""
    if high - low < 2:
        return nodes[low] if high > low else None
    middle = bisect_left(keys, (keys[low] >> shift | 1) << shift, low, high)
    left = build_subtree(keys, nodes, shift - 1, low, middle)
    return join_nodes(left, build_subtree(keys, nodes, shift - 1, middle, high))


def _number(key: bytes) -> int:
    if len(key) != KEY_BYTES:
        raise ValueError(f"a map key has 32 bytes, not {len(key)}")
    return int.from_bytes(key, "big")


def _update_range(
    node: Node, shift: int, keys: list[int], values: list[bytes | None], low: int, high: int, load: PageReader
) -> Node:
    """`node`, whose halves are told apart by bit `shift`, after the changes [low, high) of the sorted lists."""
    if high - low == 1:
        return _update_one(node, shift, keys[low], values[low], load)
    if node is None or type(node[1]) is int:
        return _build_over(node, shift, keys, values, low, high)
    _, left, right = load(node[1], node[0]) if type(node[1]) is bytes else node
    middle = bisect_left(keys, (keys[low] >> shift | 1) << shift, low, high)
    new_left = left if middle == low else _update_range(left, shift - 1, keys, values, low, middle, load)
    new_right = right if middle == high else _update_range(right, shift - 1, keys, values, middle, high, load)
    return node if new_left is left and new_right is right else join_nodes(new_left, new_right)


def _build_over(leaf: Node, shift: int, keys: list[int], values: list[bytes | None], low: int, high: int) -> Node:
    """The subtree of several changes where there was nothing or one leaf."""
    leaves = {key: leaf_node(key, value) for key, value in zip(keys[low:high], values[low:high], strict=True) if value}
    if leaf is not None and leaf[1] not in keys[low:high]:
        leaves[leaf[1]] = leaf
    ordered = sorted(leaves)
    return build_subtree(ordered, [leaves[key] for key in ordered], shift, 0, len(ordered))


def _update_one(node: Node, shift: int, key: int, value: bytes | None, load: PageReader) -> Node:
    """`_update_range` for one change: a loop down and a loop up, where nearly all the work is."""
    path: list[Node] = []
    current = node
    while current is not None and (second := type(current[1])) is not int:
        if second is bytes:
            current = load(current[1], current[0])
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
            changed = join_nodes(left, right)
        else:  # as in join_nodes, without the call
            changed = (_sha256(b"\x01" + left[0] + right[0]).digest(), left, right)
    return changed


def _changed_end(end: Node, shift: int, key: int, value: bytes | None) -> Node:
    """What stands at the end of the path of `key` after its change; `end` itself if nothing changes."""
    if end is not None and end[1] != key:
        return end if value is None else _fork(end, shift, leaf_node(key, value))
    if value is None:
        return None
    return end if end is not None and end[2] == value else leaf_node(key, value)


def _fork(one: Node, shift: int, two: Node) -> Node:
    """The subtree of two leaves: an inner node where they part, empty siblings above it up to `shift`."""
    parting = (one[1] ^ two[1]).bit_length() - 1
    node: Node = join_nodes(two, one) if one[1] >> parting & 1 else join_nodes(one, two)
    for above in range(parting + 1, shift + 1):
        node = join_nodes(None, node) if one[1] >> above & 1 else join_nodes(node, None)
    return node
