"""A second reader of vote journals, from the written format alone: it shares no code with the nodes that it checks.

header = "CNJ1" salt[16] check[16]
frame  = "CNF1" sequence[8] length[4] records[length] check[16]      integers big-endian
record = type[1] length[4] body[length]; type 1 is an own vote, as JSON
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

HEADER_BYTES = 36
Statement = tuple[str, int, int, int | None, str | None]
"""kind, epoch, view, parent view, digest."""


def check_of(tag: str, data: bytes) -> bytes:
    prefix = hashlib.sha256(b"claimnode/" + tag.encode()).digest()
    return hashlib.sha256(prefix + prefix + data).digest()[:16]


def read_votes(data: bytes) -> Iterator[dict[str, Any]]:
    """Every own vote in front of the torn end, if there is one."""
    assert data[:4] == b"CNJ1", "no journal"
    salt, at = data[4:20], HEADER_BYTES
    assert data[20:36] == check_of("journal-header", salt), "the header's check does not match"
    while at + 32 <= len(data):
        length = int.from_bytes(data[at + 12 : at + 16], "big")
        end = at + 16 + length
        whole = data[at : at + 4] == b"CNF1" and len(data) >= end + 16
        if not whole or data[end : end + 16] != check_of("journal-frame", salt + data[at + 4 : end]):
            return
        yield from _votes_of(data[at + 16 : end])
        at = end + 16


def _votes_of(records: bytes) -> Iterator[dict[str, Any]]:
    at = 0
    while at < len(records):
        length = int.from_bytes(records[at + 1 : at + 5], "big")
        if records[at] == 1:
            yield json.loads(records[at + 5 : at + 5 + length])
        at += 5 + length


def check_votes(name: str, journals: Iterable[Path]) -> int:
    """All that one validator ever wrote, over restarts: one statement of each kind a view, never both nullify and
    finalize. Returns how many statements there are."""
    said: dict[tuple[int, int], dict[str, Statement]] = {}
    for path in journals:
        for vote in read_votes(path.read_bytes()):
            kind = str(vote["kind"])
            statement = (kind, vote["epoch"], vote["view"], vote.get("parent_view"), vote.get("digest"))
            held = said.setdefault((vote["epoch"], vote["view"]), {}).setdefault(kind, statement)
            assert held == statement, f"{name} signed two: {held} and {statement} ({path.name})"
    for place, kinds in said.items():
        assert not {"nullify", "finalize"} <= kinds.keys(), f"{name} nullified and finalized {place}"
    return sum(map(len, said.values()))
