"""Inputs for decoders: true samples, broken in a few places that Hypothesis draws; and plain random bytes.

A sample is bytes, and where it holds a document also the decoded tree and a function that builds the whole sample
around other document bytes (length prefix, checksum, signature), so that a fault deep in the document still gets past
the outer checks. Three families of faults, in this order: of the tree, of the document's text, of the bytes. Knows
nothing of any decoder.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from hypothesis import strategies as st

SCALE: Final = 2**16
"""Places are drawn as fractions of this, so that one draw fits samples of every size."""
MAX_FAULTS: Final = 3
"""Faults of one case: one finds most, two and three find what hides behind another."""
LIES: Final = (0, 1, 3, 2**7, 2**15, 2**16, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
DEEP: Final = (2, 31, 32, 33, 64, 65, 1_000, 20_000)
REPEATS: Final = (2, 17, 129, 600)
LONG: Final = "x" * 5_000
VALUES: Final[tuple[Any, ...]] = (
    None, True, False, 0, -1, 1, 2**31, 2**53 - 1, 2**53, -(2**53), 2**63, 2**64, 10**40, -(10**400), 0.5, 1e300,
    float("inf"), float("nan"), "", "0", " ", "\n", "\x00", "\ud800", "é", "\u202e", "00" * 32, "FF" * 32,
    "ff" * 48, "00" * 64, "9999-12-31", "0000-00-00", "2022-02-30", "9" * 26, LONG, [], {}, [[]], [None],
    [{}], {"": 0}, {"v": 1}, {LONG: 1}, {"\n": 1}, {"\ud800": 1}, {"é": 1}, [0] * 700, ["a"] * 20,
    {str(i): i for i in range(600)},
)  # fmt: skip
"""What may stand anywhere instead of what belongs there."""
PIECES: Final = (b" ", b"\n", b"\xff", b"\x00", b"\xef\xbb\xbf", b'"', b"\\", b"\\u0061", b"\\ud800", b"1", b"0", b"-",
                 b".0", b"e5", b"1e999", b"NaN", b"[", b"]", b"{", b"}", b",", b":", b'"v":1,', b"null,", b"/*",
                 b"<")  # fmt: skip

Writer = Callable[[Any], bytes]


def write_json(tree: Any) -> bytes:
    """JSON as canonical as the tree allows: also what the project's own encoder refuses to write."""
    text = json.dumps(tree, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return text.encode("utf-8", "surrogatepass")


def write_toml(tree: Any) -> bytes:
    """TOML of a tree: top-level keys, inline tables below. What TOML has no word for comes out as no TOML."""
    if not isinstance(tree, dict):
        return _inline(tree)
    return b"".join(_word(key) + b" = " + _inline(value) + b"\n" for key, value in tree.items())


def _inline(value: Any) -> bytes:
    if isinstance(value, dict):
        return b"{" + b", ".join(_word(key) + b" = " + _inline(item) for key, item in value.items()) + b"}"
    if isinstance(value, list):
        return b"[" + b", ".join(_inline(item) for item in value) + b"]"
    return _word(value)


def _word(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


@dataclass(frozen=True)
class Sample:
    """One true input. `tree` and `build` are there where it holds a document."""

    data: bytes
    tree: Any = field(default=None, repr=False)
    build: Callable[[bytes], bytes] = bytes
    write: Writer = write_json


def document(data: bytes) -> Sample:
    """A sample that is one JSON document."""
    return Sample(data, json.loads(data))


def around(doc: bytes, build: Callable[[bytes], bytes]) -> Sample:
    """A sample that carries the JSON document `doc` inside."""
    return Sample(build(doc), json.loads(doc), build)


def toml(tree: dict[str, Any]) -> Sample:
    """A sample that is a TOML file."""
    return Sample(write_toml(tree), tree, write=write_toml)


Fault = tuple[int, int, int]
"""Which fault, where, and which variant of it."""
Drawn = tuple[int, int, list[Fault]] | bytes
"""A sample, another one for splices, and what is broken; or random bytes. Short to print, and enough to make it."""


def drawn() -> st.SearchStrategy[Drawn]:
    """What Hypothesis draws for one case of any decoder: broken samples, and now and then random bytes."""
    place = st.integers(0, SCALE - 1)
    fault = st.tuples(st.integers(0, len(FAULTS) - 1), place, place)
    broken = st.tuples(place, place, st.lists(fault, min_size=1, max_size=MAX_FAULTS))
    return st.integers(0, 19).flatmap(lambda turn: broken if turn else st.binary(max_size=200))


def make_input(samples: Sequence[Sample], case: Drawn) -> bytes:
    """The bytes of a drawn case."""
    if isinstance(case, bytes):
        return case
    first, second, faults = case
    sample, other = samples[first % len(samples)], samples[second % len(samples)]
    stages: list[list[Fault]] = [[], [], []]
    for fault in faults:
        stages[FAULTS[fault[0]][0] if sample.tree is not None else BYTES].append(fault)
    data = sample.data
    if stages[TREE] or stages[TEXT]:
        tree = sample.tree
        for number, place, choice in stages[TREE]:
            tree = _change(tree, place, choice, FAULTS[number][1])
        text = sample.write(tree)
        for number, place, choice in stages[TEXT]:
            text = FAULTS[number][1](text, place, choice)
        data = sample.build(text)
    for number, place, choice in stages[BYTES]:
        data = BYTE_FAULTS[number % len(BYTE_FAULTS)](data, place, choice, other.data)
    return data


# -- faults of the tree ----------------------------------------------------------------------------------------------


def _change(tree: Any, place: int, choice: int, apply: Callable[[Any, int], Any]) -> Any:
    """A copy of the tree with the node on a random path changed; only the path is copied."""
    path: list[Any] = []
    node = tree
    while isinstance(node, dict | list) and node:
        place, step = divmod(place * 31 + choice, len(node) + 1)
        place = (place + 7919 * len(path)) % SCALE
        if step == len(node) and path:
            break
        key = list(node)[step % len(node)] if isinstance(node, dict) else step % len(node)
        path.append(key)
        node = node[key]
    changed = apply(node, choice)
    return _put(tree, path, changed)


def _put(node: Any, path: list[Any], value: Any) -> Any:
    if not path:
        return None if value is _GONE else value
    copied = dict(node) if isinstance(node, dict) else list(node)
    if value is _GONE and len(path) == 1:
        del copied[path[0]]
    else:
        copied[path[0]] = _put(node[path[0]], path[1:], value)
    return copied


_GONE: Final = object()


def _replace(node: Any, choice: int) -> Any:
    return VALUES[choice % len(VALUES)]


def _drop(node: Any, choice: int) -> Any:
    return _GONE


def _nest(node: Any, choice: int) -> Any:
    for _ in range(min(DEEP[choice % len(DEEP)], 66)):
        node = [node] if choice & 8 else {"a": node}
    return node


def _repeat(node: Any, choice: int) -> Any:
    times = REPEATS[choice % len(REPEATS)]
    if isinstance(node, list) and node:
        return (node * times)[: max(len(node) + 1, 700)]
    if isinstance(node, str):
        return (node * times)[:20_000]
    return [node] * times if len(str(node)) < 100 else [node, node]


def _rename(node: Any, choice: int) -> Any:
    if not isinstance(node, dict) or not node:
        return {"unknown": node}
    old = list(node)[choice % len(node)]
    new = ("unknown", LONG, "v", old.upper(), old + " ", "\n", "é")[choice // 7 % 7]
    return {(new if key == old else key): value for key, value in node.items()}


def _add(node: Any, choice: int) -> Any:
    if isinstance(node, dict):
        return {**node, ("unknown", LONG, "v", "", "\x1b[2J\n", "é")[choice % 6]: VALUES[choice // 7 % len(VALUES)]}
    return [*node, VALUES[choice % len(VALUES)]] if isinstance(node, list) else node


def _edit(node: Any, choice: int) -> Any:
    """A scalar of the same type and another value."""
    if isinstance(node, bool):
        return not node
    if isinstance(node, int):
        return node + (1, -1, 2**32, -(2**33), 10**16)[choice % 5]
    if isinstance(node, str):
        at = choice % (len(node) + 1)
        piece = ("\n", "0", "g", "A", "", "\x00", "/", "\u00e9")[choice // 5 % 8]
        return node[:at] + piece + node[at + (choice & 1) :]
    return list(reversed(node)) if isinstance(node, list) else node


# -- faults of the document's text -----------------------------------------------------------------------------------


def _insert_piece(text: bytes, place: int, choice: int) -> bytes:
    at = place * (len(text) + 1) // SCALE
    return text[:at] + PIECES[choice % len(PIECES)] + text[at:]


def _insert_key(text: bytes, place: int, choice: int) -> bytes:
    """A key twice: behind an opening brace the first member of that object, again."""
    at = text.find(b"{", place * len(text) // SCALE) + 1
    end = text.find(b",", at)
    return text[:at] + text[at : end + 1] + text[at:] if at and end > at else _insert_piece(text, place, choice)


def _escape(text: bytes, place: int, choice: int) -> bytes:
    at = place * len(text) // SCALE
    return text[:at] + b"\\u%04x" % text[at] + text[at + 1 :] if text else text


def _nest_text(text: bytes, place: int, choice: int) -> bytes:
    depth = DEEP[choice % len(DEEP)]
    opening, closing = ((b"[", b"]"), (b'{"a":', b"}"), (b"[", b""), (b'[{"a":', b""))[place % 4]
    return opening * depth + text + closing * depth


# -- faults of the bytes ---------------------------------------------------------------------------------------------


def _flip(data: bytes, place: int, choice: int, other: bytes) -> bytes:
    if not data:
        return b"\x00"
    at = place * len(data) // SCALE
    return data[:at] + bytes((data[at] ^ (choice % 255 + 1),)) + data[at + 1 :]


def _flip_head(data: bytes, place: int, choice: int, other: bytes) -> bytes:
    """Heads are where lengths, kinds and versions stand."""
    return _flip(data[:64], place, choice, other) + data[64:]


def _cut(data: bytes, place: int, choice: int, other: bytes) -> bytes:
    return data[: place * len(data) // SCALE]


def _cut_end(data: bytes, place: int, choice: int, other: bytes) -> bytes:
    return data[: max(0, len(data) - 1 - choice % 80)]


def _remove(data: bytes, place: int, choice: int, other: bytes) -> bytes:
    at = place * len(data) // SCALE
    return data[:at] + data[at + 1 + choice % 64 :]


def _double(data: bytes, place: int, choice: int, other: bytes) -> bytes:
    at = place * len(data) // SCALE
    return data[:at] + data[at : at + 1 + choice % 4096] + data[at:]


def _lie(data: bytes, place: int, choice: int, other: bytes) -> bytes:
    """Another number where a length could stand: anywhere, often in the head."""
    at = (place * len(data) // SCALE) if choice & 64 else place % min(len(data) + 1, 48)
    number = (*LIES, len(data), max(0, len(data) - 4), len(data) + 1)[choice % (len(LIES) + 3)]
    return data[:at] + number.to_bytes(4, "big") + data[at + 4 :]


def _splice(data: bytes, place: int, choice: int, other: bytes) -> bytes:
    return data[: place * len(data) // SCALE] + other[choice * len(other) // SCALE :]


def _append(data: bytes, place: int, choice: int, other: bytes) -> bytes:
    return data + (other if choice & 1 else PIECES[choice // 2 % len(PIECES)])


def _insert_bytes(data: bytes, place: int, choice: int, other: bytes) -> bytes:
    at = place * len(data) // SCALE
    return data[:at] + PIECES[choice % len(PIECES)] + data[at:]


TREE, TEXT, BYTES = range(3)
BYTE_FAULTS: Final = (_flip, _flip_head, _cut, _cut_end, _remove, _double, _lie, _splice, _append, _insert_bytes)
FAULTS: Final[tuple[tuple[int, Callable[..., Any]], ...]] = (
    *((TREE, apply) for apply in (_replace, _replace, _replace, _drop, _nest, _repeat, _rename, _add, _edit, _edit)),
    *((TEXT, apply) for apply in (_insert_piece, _insert_key, _escape, _nest_text)),
    *((BYTES, apply) for apply in BYTE_FAULTS),
)
