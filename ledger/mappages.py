"""The state map in pages: bytes of one page, which pages a map adds, a map from its pages or from its leaves alone.

A page holds four levels: the subtrees that begin at one place, up to the sixteen that begin four bits further down,
each of which is empty, a leaf, or the hash of the next page. A place with fewer than two leaves has no page: a leaf
stands in the page above. Knows nodes and bytes; must not know where pages are kept. Must always hold: what a page
decodes to has the hash it was asked for, so a damaged or misplaced page is found before it is used.

Bytes: u16be bitmap of the sixteen slots that are not empty, u16be bitmap of those that are leaves, then for each in
order a leaf (key, value hash: 64 bytes) or a hash (32 bytes). A page's path is one byte, the number of pages above it,
and that many four-bit steps from the top, packed.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Final, TypeAlias

from ledger.errors import StoreError
from ledger.mapproofs import KEY_BITS, KEY_BYTES
from ledger.statemap import PAGE_BITS, Node, PageReader, StateMap, build_subtree, join_nodes, leaf_node

SLOTS: Final = 1 << PAGE_BITS
TOP_PATH: Final = b"\0"
MAX_PATHS: Final = KEY_BITS // PAGE_BITS
GROUP_PAGES: Final = 3
"""Pages above the groups in which a map is built from its leaves: 4,096 groups, 2,500 leaves each of 10^7."""

Slots: TypeAlias = list[tuple[int, Node]]
Emit: TypeAlias = Callable[[bytes, Node, bytes], None]
"""(path, the page's inner node with stubs below, page bytes)"""
IsKept: TypeAlias = Callable[[bytes, bytes], bool]
"""(path, hash) -> whether this is what is written at that place now; then so are all pages below it. Not whether it was
once: a key that comes and goes gives a page its earlier hash back."""


def page_path(steps: int, place: int) -> bytes:
    """The path of the page that `steps` four-bit steps, as the number `place`, lead to."""
    width = (steps + 1) // 2
    return bytes([steps]) + (place << PAGE_BITS * (steps & 1)).to_bytes(width, "big")


def parse_page_path(path: bytes) -> tuple[int, int]:
    """(steps, place) of a path made here."""
    return path[0], int.from_bytes(path[1:], "big") >> PAGE_BITS * (path[0] & 1)


def write_pages(state_map: StateMap, is_kept: IsKept, emit: Emit) -> None:
    """Give every page of the map that is in memory and not kept to `emit`, lower ones first."""
    stub_out(state_map.node, 0, 0, is_kept, emit)


def stub_out(node: Node, steps: int, place: int, is_kept: IsKept, emit: Emit) -> Node:
    """The stub of the subtree at this place (itself if it is none or a leaf) after its new pages were emitted."""
    if node is None or type(node[1]) in (int, bytes):
        return node
    digest, path = node[0], page_path(steps, place)
    if is_kept(path, digest):
        return (digest, path)
    slots, top = _slots(node, steps), node
    if any(type(child[1]) not in (int, bytes) for _, child in slots):
        below = place << PAGE_BITS
        slots = [(slot, stub_out(child, steps + 1, below | slot, is_kept, emit)) for slot, child in slots]
        top = _over(node, PAGE_BITS, iter(slots))
    emit(path, top, encode_page(slots))
    return (digest, path)


def _over(node: Node, levels: int, below: Iterator[tuple[int, Node]]) -> Node:
    """The same top of a page over `below`; no hash changes."""
    if node is None or type(node[1]) is int:
        return None if node is None else next(below)[1]
    if not levels:
        return next(below)[1]
    return (node[0], _over(node[1], levels - 1, below), _over(node[2], levels - 1, below))


def trim(state_map: StateMap, is_kept: IsKept, load: PageReader) -> StateMap:
    """The same map that no longer holds what is kept: stubs stand there, read by `load`."""
    return StateMap(_trimmed(state_map.node, 0, 0, is_kept), load)


def _trimmed(node: Node, steps: int, place: int, is_kept: IsKept) -> Node:
    if node is None or type(node[1]) in (int, bytes):
        return node
    path = page_path(steps, place)
    if is_kept(path, node[0]):
        return (node[0], path)
    slots = _slots(node, steps)
    below = [(slot, _trimmed(child, steps + 1, place << PAGE_BITS | slot, is_kept)) for slot, child in slots]
    if all(new is old for (_, new), (_, old) in zip(below, slots, strict=True)):
        return node
    return _assemble(below, PAGE_BITS - 1)


def paged_map(root: bytes, load: PageReader, top_page: bytes | None) -> StateMap:
    """The map with this root whose pages `load` reads. `top_page` is the page at the top; None for an empty map.

    Raises StoreError `damaged` if that page does not have the root.
    """
    if top_page is None:
        if root != bytes(KEY_BYTES):
            raise StoreError("damaged", "the state map has a root and no page")
        return StateMap(None, load)
    node = _assemble(_decode_slots(top_page, 0, 0), PAGE_BITS - 1)
    if node is None or node[0] != root:
        raise StoreError("damaged", f"the top page of the state map does not have the root {root.hex()}")
    return StateMap(node, load)


def top_page(state_map: StateMap) -> bytes | None:
    """The page at the top, also of a map of one leaf (which has no page elsewhere). None for an empty map."""
    node = state_map.node
    return None if node is None else encode_page(_slots(node, 0))


def encode_page(slots: Slots) -> bytes:
    """The bytes of a page; children are leaves, stubs, or inner nodes (of which the hash is kept)."""
    taken = leaves = 0
    parts: list[bytes] = []
    for slot, node in slots:
        taken |= 1 << slot
        if type(node[1]) is int:
            leaves |= 1 << slot
            parts += (node[1].to_bytes(KEY_BYTES, "big"), node[2])
        else:
            parts.append(node[0])
    return taken.to_bytes(2, "big") + leaves.to_bytes(2, "big") + b"".join(parts)


def decode_page(path: bytes, digest: bytes, page: bytes) -> Node:
    """The inner node of a page, with stubs below. Raises StoreError `damaged` unless it has the hash `digest`."""
    steps, place = parse_page_path(path)
    node = _assemble(_decode_slots(page, steps, place), PAGE_BITS - 1)
    if node is None or node[0] != digest:
        raise StoreError("damaged", f"page {path.hex()} of the state map does not have the hash its parent names")
    return node


def build_map(leaves: Iterable[tuple[bytes, bytes]], emit: Emit, load: PageReader) -> StateMap:
    """The map of these (key, value hash), ascending and distinct, with all its pages emitted; memory stays bounded.

    Raises ValueError for leaves that do not ascend.
    """
    nodes: dict[int, Node] = {}
    for place, group in groupby(_ascending(leaves), lambda leaf: leaf[0] >> KEY_BITS - GROUP_PAGES * PAGE_BITS):
        chunk = list(group)
        shift = KEY_BITS - GROUP_PAGES * PAGE_BITS - 1
        built = build_subtree([k for k, _ in chunk], [leaf_node(*leaf) for leaf in chunk], shift, 0, len(chunk))
        nodes[place] = stub_out(built, GROUP_PAGES, place, _nothing_kept, emit)
    for steps in range(GROUP_PAGES - 1, -1, -1):
        above: dict[int, Slots] = {}
        for place, node in nodes.items():
            above.setdefault(place >> PAGE_BITS, []).append((place & SLOTS - 1, node))
        nodes = {place: _paged(slots, steps, place, emit) for place, slots in above.items()}
    return StateMap(nodes.get(0), load)


def _paged(slots: Slots, steps: int, place: int, emit: Emit) -> Node:
    node = _assemble(slots, PAGE_BITS - 1)
    if type(node[1]) is int:
        return node
    path = page_path(steps, place)
    emit(path, node, encode_page(slots))
    return (node[0], path)


def _nothing_kept(_path: bytes, _digest: bytes) -> bool:
    return False


def _ascending(leaves: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[int, bytes]]:
    last = -1
    for key, value in leaves:
        number = int.from_bytes(key, "big")
        if number <= last or len(key) != KEY_BYTES or len(value) != KEY_BYTES:
            raise ValueError("leaves of a map ascend, with 32 bytes of key and of value hash")
        last = number
        yield number, value


def _slots(node: Node, steps: int) -> Slots:
    """What stands in the slots of a page with this top node, ascending."""
    found: Slots = []
    bottom = KEY_BITS - PAGE_BITS * (steps + 1)
    stack = [(node, 0, PAGE_BITS)]
    while stack:
        current, place, left = stack.pop()
        if current is None:
            continue
        if type(current[1]) is int:
            found.append((current[1] >> bottom & SLOTS - 1, current))
        elif not left:
            found.append((place, current))
        else:
            stack += ((current[2], place << 1 | 1, left - 1), (current[1], place << 1, left - 1))
    return found


def _assemble(slots: Slots, bit: int) -> Node:
    """The node over these slots, told apart from `bit` on."""
    if len(slots) < 2 and (not slots or bit < 0 or type(slots[0][1][1]) is int):
        return slots[0][1] if slots else None
    right = [item for item in slots if item[0] >> bit & 1]
    left = slots[: len(slots) - len(right)]
    return join_nodes(_assemble(left, bit - 1), _assemble(right, bit - 1))


def _decode_slots(page: bytes, steps: int, place: int) -> Slots:
    taken, leaves = int.from_bytes(page[:2], "big"), int.from_bytes(page[2:4], "big")
    size = 4 + KEY_BYTES * (taken.bit_count() + leaves.bit_count())
    if len(page) != size or leaves & ~taken:
        raise StoreError("damaged", f"page {page_path(steps, place).hex()} of the state map is no page")
    slots: Slots = []
    at = 4
    for slot in range(SLOTS):
        if not taken >> slot & 1:
            continue
        first = page[at : at + KEY_BYTES]
        at += KEY_BYTES
        if leaves >> slot & 1:
            slots.append((slot, leaf_node(int.from_bytes(first, "big"), page[at : at + KEY_BYTES])))
            at += KEY_BYTES
        else:
            slots.append((slot, (first, page_path(steps + 1, place << PAGE_BITS | slot))))
    return slots
