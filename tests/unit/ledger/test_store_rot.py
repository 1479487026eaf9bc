"""P5, P6: what rots in the ledger's own file is found when it is read, and never served."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import StoreError
from ledger.merkle import leaf_hash
from ledger.parts import join_parts
from ledger.state import Versioned
from ledger.store import Store
from ledger.storetables import FinalBlockRecord, seal
from tests.support.databases import run_sql

CHAIN = bytes(32)
BLOCKS = 6
STRIDE = 487
"""A prime, so that flips fall on every part of rows and pages."""


def record(height: int) -> FinalBlockRecord:
    entries = tuple(b"entry %d %d" % (height, at) for at in range(3))
    changes = {f"claim/{height}-{at}": Versioned(height, bytes(32), b"value %d" % at) for at in range(4)}
    return FinalBlockRecord(
        height=height,
        view=height + 1,
        time_ms=1_000 * height,
        header_hash=height.to_bytes(32, "big"),
        block=b"block %d" % height * 60,
        certificate=b"certificate",
        receipts=b"receipts %d" % height * 20,
        transactions=(bytes([height]) * 32,),
        first_leaf=3 * (height - 1),
        entries=entries,
        leaves=tuple(leaf_hash(entry) for entry in entries),
        peaks=(bytes(32),),
        changes=changes,
    )


def written(folder: Path) -> Path:
    path = folder / "ledger.db"
    _write(f"sqlite:///{path}")
    return path


def _write(url: str) -> None:
    store = Store(url, CHAIN)
    for height in range(1, BLOCKS + 1):
        store.append(record(height))
    store.close()


def answers(store: Store) -> Iterator[tuple[str, Any]]:
    """Everything a reader can ask for; an answer, or the code of a refusal. The index by transaction is confirmed by
    the receipts it leads to, so it is not asked here."""
    asked = {
        name: getattr(store, name)
        for name in ("spine", "block", "receipts", "entries", "leaf_hashes", "changes", "certificate_at")
    }
    for name, ask in asked.items():
        for height in range(1, BLOCKS + 1):
            yield f"{name} {height}", _answer(partial(ask, height))
    for index in range(3 * BLOCKS):
        yield f"entry {index}", _answer(partial(store.entry, index))
    yield "state", _answer(lambda: sorted(store.state_rows()))
    for height in range(1, BLOCKS + 1):
        yield f"value {height}", _answer(partial(store.state_value, f"claim/{height}-1"))


def _answer(ask: Any) -> Any:
    try:
        return ask()
    except StoreError as error:
        return error


def test_every_stride_of_the_file_flipped(tmp_path: Path) -> None:
    """P5: one bit, anywhere: a reader gets the same answer as before or a refusal, never another answer."""
    path = written(tmp_path)
    good = path.read_bytes()
    store = Store(f"sqlite:///{path}", CHAIN)
    true = dict(answers(store))
    store.close()
    found = 0
    for at in range(0, len(good), STRIDE):
        data = bytearray(good)
        data[at] ^= 1 << at % 8
        found += _check_same_or_refused(tmp_path, path, bytes(data), true)
    assert found > 20, "some of it mattered"


@pytest.mark.parametrize("fill", [0, 0xFF])
def test_a_page_lost(tmp_path: Path, fill: int) -> None:
    """P5, P6: each page of the file zeroed, filled, or that of its neighbour (a misdirected write)."""
    path = written(tmp_path)
    good = path.read_bytes()
    store = Store(f"sqlite:///{path}", CHAIN)
    true = dict(answers(store))
    store.close()
    page = 4_096
    for at in range(0, len(good), page):
        other = (at + page) % len(good)
        neighbour = good[other : other + page] if fill else bytes([fill]) * page
        for content in (bytes([fill]) * page, neighbour):
            _check_same_or_refused(tmp_path, path, good[:at] + content + good[at + page :], true)


def _check_same_or_refused(folder: Path, path: Path, data: bytes, true: dict[str, Any]) -> bool:
    for beside in folder.glob("ledger.db-*"):
        beside.unlink()
    path.write_bytes(data)
    try:
        store = Store(f"sqlite:///{path}", CHAIN)
    except StoreError:
        return True
    refused = False
    try:
        for what, answer in answers(store):
            if isinstance(answer, StoreError):
                refused = True
            elif what == "state":
                lost = [row for row in true[what] if row not in answer]
                assert [row for row in answer if row not in true[what]] == [], "no row that was never written"
                refused = refused or bool(lost)  # the state root, compared at every start, finds a row that is gone
            else:
                assert answer == true[what] or (what.startswith("value") and answer is None), what
    finally:
        store.close()
    return refused


TYPED = [
    ("bodies", "block", b"other"),
    ("bodies", "leaves", b""),
    ("spine", "view", 99),
    ("spine", "header_hash", b"\1"),
    ("spine", "certificate", None),
    ("spine", "peaks", b"p"),
    ("state", "value", b"richer"),
    ("state", "value", None),
    ("state", "version", 8),
    ("state", "seal", b""),
]
UNTYPED = [
    ("bodies", "receipts", "text"),
    ("bodies", "entries", 7),
    ("bodies", "changes", 1.5),
    ("spine", "tx_ids", "x"),
    ("spine", "seal", "none"),
    ("state", "version", "x"),
    ("state", "entry", 5),
]
"""Only SQLite keeps these: its columns take values of every type."""


@pytest.mark.parametrize(("table", "column", "value"), TYPED)
def test_a_value_changed_in_place(store_url: str, table: str, column: str, value: Any) -> None:
    """P5: a row that the database gives back without complaint does not match its own checksum."""
    _check_refused(store_url, table, column, value)


@pytest.mark.parametrize(("table", "column", "value"), UNTYPED)
def test_a_value_of_another_type_in_place(tmp_path: Path, table: str, column: str, value: Any) -> None:
    """P5: the same where SQLite gives back another type than was written."""
    _check_refused(f"sqlite:///{tmp_path / 'ledger.db'}", table, column, value)


def test_an_entry_edited_with_the_checksum_of_its_block(store_url: str) -> None:
    """P5: an entry is bound by its leaf of the log; the others of the block are read as before."""
    _write(store_url)
    true = record(3).entries
    changed = {"data": seal("entries/3", join_parts((true[0], b"another", true[2])))}
    assert run_sql(store_url, "UPDATE bodies SET entries = :data WHERE height = 3", changed) == 1
    store = Store(store_url, CHAIN)
    try:
        with pytest.raises(StoreError, match="damaged"):
            store.entry(7)
        assert (store.entry(6), store.entry(8)) == (true[0], true[2])
    finally:
        store.close()


def _check_refused(url: str, table: str, column: str, value: Any) -> None:
    _write(url)
    where = "key = 'claim/3-1'" if table == "state" else "height = 3"
    assert run_sql(url, f"UPDATE {table} SET {column} = :value WHERE {where}", {"value": value}) == 1
    store = Store(url, CHAIN)
    try:
        refused = {what for what, answer in answers(store) if isinstance(answer, StoreError)}
        codes = {answer.code for _, answer in answers(store) if isinstance(answer, StoreError)}
    finally:
        store.close()
    expected = {"spine": {"spine 3", "certificate_at 3"}, "state": {"state", "value 3"}}
    names = {"leaves": "leaf_hashes"}
    rows = {what for what in refused if not what.startswith("entry ")}  # single entries need more rows than their own
    assert rows == expected.get(table, {f"{names.get(column, column)} 3"})
    assert codes == {"damaged"}
