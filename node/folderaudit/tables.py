"""The tables of a store that do not belong to one block: folded state, pages of the state map, and what is too much.

Knows rows, pages and the values that a replay ended with. Must always hold: every page that a kept root leads to is
hashed, and every row of state and of the indexes is either expected or a fault.
"""

from collections.abc import Callable, Mapping

from ledger.errors import LedgerError, StoreError
from ledger.mappages import TOP_PATH, decode_page, paged_map
from ledger.rowreader import StoreRows
from ledger.state import Versioned, map_key, map_value
from ledger.statemap import Node, StateMap
from node.folderaudit.faults import Faults

StateRoot = Callable[[int], str | None]
"""height -> the state root in its header, None if that is not known"""


def check_state(rows: StoreRows, values: Mapping[str, Versioned], faults: Faults) -> int:
    """The state table is exactly what was written since genesis. Returns how many rows it has."""
    seen = 0
    for key, item, wrong in rows.state_rows():
        seen += 1
        known = values.get(key)
        if item is None:
            faults.add("state", key, "damaged", wrong)
        elif known is None:
            faults.add("state", key, "surplus", "no block wrote this key")
        elif item != known:
            names = [name for name in ("version", "entry", "value") if getattr(item, name) != getattr(known, name)]
            faults.add("state", key, "differs", f"{', '.join(names)}: not what the blocks wrote")
    if seen < len(values):
        stored = {key for key, _, _ in rows.state_rows()}
        for key in sorted(values.keys() - stored):
            faults.add("state", key, "missing", "a block wrote this key and it is not there")
    return seen


def check_state_root(rows: StoreRows, start: StateMap, root: str, faults: Faults) -> int:
    """Without the values of a replay: the folded rows have the root that the last header names."""
    leaves: dict[bytes, bytes | None] = {}
    for key, item, wrong in rows.state_rows():
        if item is None:
            faults.add("state", key, "damaged", wrong)
        else:
            leaves[map_key(key)] = None if item.value is None else map_value(item)
    folded = start.update(leaves).root.hex()
    if folded != root:
        faults.add("state", "*", "differs", f"all rows together have the root {folded}, the last header says {root}")
    return len(leaves)


def check_map(rows: StoreRows, state_root: StateRoot, faults: Faults) -> int:
    """Every page that the kept roots lead to. Returns how many were hashed."""
    seen: set[tuple[bytes, bytes]] = set()
    for height, root, page in rows.map_roots():
        place = f"height {height}"
        named = state_root(height)
        if not isinstance(root, bytes) or not isinstance(page, bytes | None):
            faults.add("map_roots", place, "damaged", "a column of another type")
            continue
        if named is not None and root.hex() != named:
            faults.add("map_roots", place, "differs", f"the root is {root.hex()}, the header says {named}")
            continue
        try:
            top = paged_map(root, _no_page, page)
        except (LedgerError, ValueError) as error:
            faults.add("map_roots", place, "damaged", getattr(error, "detail", "the top page is no page"))
            continue
        if top.node is not None and type(top.node[1]) is not int:  # beside the root's own copy of it
            _walk(rows, (root, TOP_PATH), height, seen, faults)
    return len(seen)


def _no_page(path: bytes, digest: bytes) -> Node:
    raise StoreError("missing", f"page {path.hex()} with hash {digest.hex()} is not at the top")


def _walk(rows: StoreRows, top: Node, height: int, seen: set[tuple[bytes, bytes]], faults: Faults) -> None:
    stack: list[Node] = [top]
    while stack:
        node = stack.pop()
        if node is None or type(node[1]) is int:
            continue
        if type(node[1]) is not bytes:
            stack += (node[1], node[2])
            continue
        digest, path = node
        if (path, digest) not in seen:
            seen.add((path, digest))
            stack.append(_open_page(rows, path, digest, height, faults))


def _open_page(rows: StoreRows, path: bytes, digest: bytes, height: int, faults: Faults) -> Node:
    """The page with this hash; None after a fault, so nothing below it is looked at from here."""
    versions = rows.map_page(path)
    for _, page in versions:
        try:
            return decode_page(path, digest, page)
        except (LedgerError, ValueError, TypeError):
            continue
    kept = ", ".join(str(at) for at, _ in versions if at <= height)
    detail = f"the map of height {height} needs it with hash {digest.hex()}; kept versions: {kept or 'none'}"
    faults.add("map_pages", path.hex(), "damaged" if kept else "missing", detail)
    return None


def check_surplus(rows: StoreRows, transactions: int, leaves: int, tiles: int, faults: Faults) -> None:
    """The indexes and tiles hold as many rows as the blocks have; the rows too much are found by their places."""
    if rows.count("transactions") > transactions:
        last = rows.last()
        for tx_id, height, position in rows.index_rows():
            if not _is_in_block(rows, tx_id, height, position, last):
                faults.add("transactions", tx_id.hex(), "surplus", f"leads to {height}/{position}, where it is not")
    if rows.count("log_positions") > leaves:
        for leaf, position in rows.position_rows():
            if not _is_leaf(rows, leaf, position, leaves):
                faults.add("log_positions", f"{leaf.hex()}/{position}", "surplus", "no such leaf stands there")
    if rows.count("log_tiles") > tiles:
        for level, index in rows.tile_places():
            if index >= leaves >> 8 * (level + 1):
                faults.add("log_tiles", f"{level}/{index}", "surplus", f"a log of {leaves} entries has no such tile")


def _is_in_block(rows: StoreRows, tx_id: bytes, height: int, position: int, last: int) -> bool:
    if not 1 <= height <= last:
        return False
    try:
        listed = rows.spine(height).transactions
    except StoreError:
        return True  # a fault of its own
    return 0 <= position < len(listed) and listed[position] == tx_id


def _is_leaf(rows: StoreRows, leaf: bytes, position: int, leaves: int) -> bool:
    if not 0 <= position < leaves:
        return False
    height = rows.height_of_leaf(position)
    try:
        first, hashes = rows.spine(height).first_leaf, rows.body(height, "leaves")
    except StoreError:
        return True  # a fault of its own
    at = (position - first) * 32
    return hashes[at : at + len(leaf)] == leaf
