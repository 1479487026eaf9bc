"""Where two ledgers part: the first height, the first transaction, receipt, log entry and state key, both sides shown.

Knows two sides. Must not know where their answers come from. Must always hold: heights are found by halving, which is
sound because each header names the one below; of a value that one side has stored otherwise the log entry decides whose
is right. Values of state are shown: they are commitments and amounts that every node has, never a document.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from typing import Any, Final

import msgspec
from msgspec import Struct

from contracts.execution import compare_changes
from ledger.blocks import Header, header_hash
from ledger.encoding import decode_as
from ledger.errors import DecodeError, LedgerError, StoreError
from ledger.merkle import leaf_hash
from ledger.state import Entry, Versioned, Write
from node.folderaudit.blockrows import MAX_ENTRY_BYTES, digest_of
from node.folderaudit.sides import Side

ALL_KEYS: Final = 2**62
Shown = dict[str, Any]


class Difference(Struct, frozen=True):
    """The first difference found. `kind`: `history` (other headers from `height` on) or `stored` (the same headers, and
    a value on one side that is not what its log says). `steps` lead from the header down to the key."""

    kind: str
    height: int
    detail: str
    key: str | None
    steps: tuple[dict[str, Any], ...]


def compare_ledgers(
    left: Side, right: Side, keys: int = ALL_KEYS, progress: Callable[[int], None] = lambda height: None
) -> Difference | None:
    """The first difference, None if there is none up to the lower height.

    At most `keys` values of each side are compared with its log. Raises LedgerError for what cannot be read at all.
    """
    height = first_difference(left, right)
    if height is not None:
        return _explain(left, right, height)
    for side, other in ((left, right), (right, left)):
        found = find_stored_difference(side, other, keys, progress)
        if found is not None:
            return found
        fault = side.map_fault()
        if fault is not None:
            return Difference("stored", side.last, f"{side.name}: {fault}", None, ())
    return None


def first_difference(left: Side, right: Side) -> int | None:
    """The lowest height with two headers, by halving. Raises StoreError `no_common` if no height is on both sides."""
    low, high = max(left.first, right.first), min(left.last, right.last)
    if not 0 < low <= high:
        raise StoreError("no_common", f"{left.name} and {right.name} have no block of the same height")
    if _same(left, right, high):
        return None
    while low < high:
        middle = (low + high) // 2
        if _same(left, right, middle):
            low = middle + 1
        else:
            high = middle
    return low


def _same(left: Side, right: Side, height: int) -> bool:
    return header_hash(left.header(height)) == header_hash(right.header(height))


def _explain(left: Side, right: Side, height: int) -> Difference:
    headers = left.header(height), right.header(height)
    fields = [name for name in Header.__struct_fields__ if getattr(headers[0], name) != getattr(headers[1], name)]
    steps = [_step("header", fields, *({name: getattr(item, name) for name in fields} for item in headers))]
    pairs: tuple[tuple[str, Callable[[Side], Sequence[Any]], Callable[[Any], Any]], ...] = (
        ("transaction", lambda side: side.transactions(height), _shown_bytes),
        ("receipt", lambda side: side.receipts(height), msgspec.to_builtins),
        ("entry", lambda side: side.entries(height), _shown_bytes),
    )
    for name, read, show in pairs:
        step = _first_of(name, read(left), read(right), show)
        steps += [step] if step else []
    changes = left.changes(height), right.changes(height)
    key = compare_changes(*changes)
    if key is not None:
        steps.append(_step("state", key, *(show_value(item.get(key)) for item in changes)))
    what = "the transactions" if any(step["what"] == "transaction" for step in steps) else ", ".join(fields)
    return Difference("history", height, f"the headers differ from height {height} on: {what}", key, tuple(steps))


def _first_of(name: str, left: Sequence[Any], right: Sequence[Any], show: Callable[[Any], Any]) -> Shown | None:
    for index, (ours, theirs) in enumerate(zip_longest(left, right)):
        if ours != theirs:
            return _step(name, index, *(None if item is None else show(item) for item in (ours, theirs)))
    return None


def _step(what: str, at: object, left: object, right: object) -> Shown:
    return {"what": what, "at": at, "a": left, "b": right}


def show_value(item: Versioned | None) -> Shown | None:
    """A state value for reading: canonical JSON, or the bytes if it is damaged."""
    if item is None:
        return None
    value = None if item.value is None else _shown_bytes(item.value)
    return {"version": item.version, "entry": item.entry.hex(), "value": value, "digest": digest_of(item)}


def _shown_bytes(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {"hex": data.hex()}


def find_stored_difference(
    side: Side, other: Side, keys: int = ALL_KEYS, progress: Callable[[int], None] = lambda height: None
) -> Difference | None:
    """The newest value of `side`, current or in the changes of a block, that is not what its own log says."""
    seen: set[str] = set()
    for height in range(side.last, side.first - 1, -1):
        progress(height)
        if len(seen) >= keys:
            break
        changes = side.changes(height)
        for write, leaf in _last_writes(side, height):
            found = _check(changes.get(write.key), write, leaf)
            if found is not None:
                return _stored(side, other, height, write, found, lambda of, key: of.changes(height).get(key))  # noqa: B023
            if write.key in seen:
                continue
            seen.add(write.key)
            try:
                found = _check(side.current(write.key), write, leaf)
            except LedgerError as error:
                found = error.detail
            if found is not None:
                return _stored(side, other, height, write, found, _current)
    return None


def _last_writes(side: Side, height: int) -> Iterator[tuple[Write, bytes]]:
    """The last write of each key in a block, with the hash of its log entry."""
    found: dict[str, tuple[Write, bytes]] = {}
    for data in side.entries(height)[1:]:
        try:
            entry = decode_as(data, Entry, limit=MAX_ENTRY_BYTES)
        except DecodeError as error:
            raise StoreError("damaged", f"{side.name}: a log entry of height {height}: {error.detail}") from None
        found |= {write.key: (write, leaf_hash(data)) for write in entry.writes}
    return iter(found.values())


def _check(item: Versioned | None, write: Write, leaf: bytes) -> str | None:
    """What is wrong with a stored value, None if it is the one that the log entry names."""
    if item is None:
        return "the value is not there"
    names = [
        name
        for name, stored, named in (
            ("version", item.version, write.version),
            ("entry", item.entry, leaf),
            ("value", digest_of(item), write.digest),
        )
        if stored != named
    ]
    return f"{', '.join(names)}: not what the log entry names" if names else None


def _current(side: Side, key: str) -> Versioned | None:
    return side.current(key)


def _stored(
    side: Side, other: Side, height: int, write: Write, found: str, read: Callable[[Side, str], Versioned | None]
) -> Difference:
    where = "current state" if read is _current else f"the changes of block {height}"
    step = _step(where, write.key, _shown(side, write.key, read), _shown(other, write.key, read))
    step |= {"a_is": side.name, "b_is": other.name, "log": {"version": write.version, "digest": write.digest}}
    detail = f"{side.name}: {where}, key {write.key}, written at height {height}: {found}"
    return Difference("stored", height, detail, write.key, (step,))


def _shown(side: Side, key: str, read: Callable[[Side, str], Versioned | None]) -> Any:
    try:
        return show_value(read(side, key))
    except LedgerError as error:
        return {"unreadable": error.detail}
