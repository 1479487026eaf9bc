"""A data folder audited: every table's rows are compared with what the blocks give, and each fault is named."""

import asyncio
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contracts.execution import ExecutedBlock
from contracts.genesis import genesis_hash
from ledger.pruning import prune
from ledger.rowreader import StoreRows, read_only_url
from ledger.state import Versioned
from ledger.store import Store
from ledger.storerows import spine_values, state_values
from ledger.storetables import encode_changes, seal
from node.audit.ahead import Workers
from node.chain import Chain
from node.folderaudit.faults import FETCH_AGAIN
from node.folderaudit.folder import StoreAudit, TrustedHeader, audit_store
from node.pruning.limits import write_map
from tests.support.ledger_folder import append_blocks, long_network, write_folder

HEIGHT = 9
"""A block in the middle, with fifty policies."""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("ledger") / "node", long_network(), uncertified={3, 4})


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "node"))


def audited(folder: Path, **options: Any) -> StoreAudit:
    with closing(StoreRows(read_only_url(folder / "data" / "ledger.db"))) as rows:
        return audit_store(rows, long_network().genesis_bytes, **options)


def places(found: StoreAudit) -> list[tuple[str, str, str]]:
    return [(fault.table, fault.place, fault.code) for fault in found.faults]


def change(folder: Path, statement: str, *values: Any) -> None:
    with closing(sqlite3.connect(folder / "data" / "ledger.db")) as database, database:
        assert database.execute(statement, values).rowcount > 0


def block(height: int = HEIGHT) -> ExecutedBlock:
    return long_network().blocks[height - 1]


def test_a_true_folder_holds(template: Path) -> None:
    seen: list[int] = []
    found = audited(template, progress=seen.append)
    assert not found.faults
    assert found.complete
    assert found.replay is not None
    assert found.replay.state_root == long_network().state.state_map.root.hex()
    assert found.rows["map_pages"] > 100
    assert found.rows["tiles"] == 1
    assert seen == list(range(1, len(long_network().blocks) + 1))


def test_an_audit_writes_nothing(folder: Path) -> None:
    for path in (folder, folder / "data", folder / "data" / "ledger.db"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = (folder / "data" / "ledger.db").read_bytes()
    try:
        assert not audited(folder).faults
    finally:
        for path in (folder, folder / "data"):
            path.chmod(0o755)
    assert (folder / "data" / "ledger.db").read_bytes() == before


def test_workers_change_no_answer(template: Path) -> None:
    with closing(Workers(2)) as workers:
        found = audited(template, workers=workers)
    assert not found.faults
    assert found.replay == audited(template).replay


TX = block().transactions[0].tx_id
KEY = sorted(key for key in block().changes if key.startswith("policy/"))[7]


@pytest.mark.parametrize(
    ("statement", "values", "expected"),
    [
        ("update bodies set receipts = ? where height = 9", (b"rubbish",), ("bodies", "9/receipts", "damaged")),
        ("update bodies set entries = ? where height = 9", ("text",), ("bodies", "9/entries", "damaged")),
        ("update bodies set leaves = ? where height = 9", (b"",), ("bodies", "9/leaves", "damaged")),
        ("update bodies set changes = ? where height = 9", (7,), ("bodies", "9/changes", "damaged")),
        ("update bodies set block = ? where height = 9", (b"b",), ("bodies", "9/block", "damaged")),
        ("update spine set view = 77 where height = 9", (), ("spine", "9", "damaged")),
        ("update spine set certificate = null where height = 9", (), ("spine", "9", "damaged")),
        ("update spine set peaks = ? where height = 9", ("x",), ("spine", "9", "damaged")),
        ("delete from bodies where height = 9", (), ("bodies", "9/block", "missing")),
        ("delete from spine where height = 9", (), ("spine", "9", "missing")),
        ("update state set value = ? where key = ?", (b"{}", KEY), ("state", KEY, "damaged")),
        ("update state set version = 5 where key = ?", (KEY,), ("state", KEY, "damaged")),
        ("delete from state where key = ?", (KEY,), ("state", KEY, "missing")),
        ("delete from transactions where height = 9", (), ("transactions", TX, "missing")),
        ("update transactions set position = 3 where height = 9", (), ("transactions", TX, "differs")),
        (
            "insert into transactions values (?, 9, 5)",
            (bytes(32),),
            ("transactions", bytes(32).hex(), "surplus"),
        ),
        ("update log_tiles set hashes = ?", (b"tile",), ("log_tiles", "0/0", "damaged")),
        ("update log_tiles set hashes = ?", (seal("tile/0/0", bytes(8192)),), ("log_tiles", "0/0", "differs")),
        ("delete from log_tiles", (), ("log_tiles", "0/0", "missing")),
        ("insert into log_tiles values (0, 1, ?)", (b"tile",), ("log_tiles", "0/1", "surplus")),
        (
            "insert into log_positions values (?, 3)",
            (b"leafleaf",),
            ("log_positions", f"{b'leafleaf'.hex()}/3", "surplus"),
        ),
        ("update map_roots set root = ? where height = 10", (bytes(32),), ("map_roots", "height 10", "differs")),
        ("update map_roots set root = 'x' where height = 10", (), ("map_roots", "height 10", "damaged")),
        ("update map_roots set page = ? where height = 10", (b"\0\0\0\0",), ("map_roots", "height 10", "damaged")),
    ],
)
def test_a_damaged_row_is_named(
    folder: Path, statement: str, values: tuple[Any, ...], expected: tuple[str, str, str]
) -> None:
    change(folder, statement, *values)
    found = audited(folder)
    assert expected in places(found)
    assert {table for table, _, _ in places(found)} == {expected[0]}
    assert all(fault.advice == FETCH_AGAIN for fault in found.faults)


def test_the_replay_goes_on_after_a_block_that_cannot_be_read(folder: Path) -> None:
    """What it wrote is taken from its other rows, and the next blocks' roots prove it."""
    change(folder, "update bodies set block = ? where height = 9", b"b")
    found = audited(folder)
    assert places(found) == [("bodies", "9/block", "damaged")]
    assert found.replay is not None
    assert found.replay.height == len(long_network().blocks)
    assert found.rows["state"] > 100


def resealed(folder: Path, changes: dict[str, Versioned]) -> None:
    """The changes of a block replaced by somebody who knows the checksum."""
    change(folder, "update bodies set changes = ? where height = 9", seal("changes/9", encode_changes(changes)))


def test_changes_that_were_edited_with_their_checksum(folder: Path) -> None:
    item = block().changes[KEY]
    resealed(folder, block().changes | {KEY: Versioned(item.version, item.entry, b"{}")})
    assert places(audited(folder)) == [("bodies", "9/changes", "differs")]


def test_a_state_row_that_was_edited_with_its_checksum(folder: Path) -> None:
    item = block().changes[KEY]
    values = state_values(KEY, Versioned(item.version, item.entry, b"{}"))
    change(folder, "update state set version = ?, entry = ?, value = ?, seal = ? where key = ?", *values[1:], KEY)
    assert places(audited(folder)) == [("state", KEY, "differs")]


def test_small_facts_that_were_edited_with_their_checksum(folder: Path) -> None:
    with closing(StoreRows(read_only_url(folder / "data" / "ledger.db"))) as rows:
        row = rows.spine(HEIGHT)
    values = spine_values(replace(row, first_leaf=row.first_leaf + 1))
    change(folder, "update spine set first_leaf = ?, seal = ? where height = 9", values["first_leaf"], values["seal"])
    assert ("spine", "9", "differs") in places(audited(folder))


def test_every_damaged_page_of_the_map_is_named(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "data" / "ledger.db")) as database:
        newest = database.execute("select max(height) from map_roots").fetchone()[0]
        pages = database.execute("select path, max(height) from map_pages group by path").fetchall()
    path, height = next((path, height) for path, height in pages if len(path) == 3 and height == newest)
    change(folder, "update map_pages set page = ? where path = ? and height = ?", b"\0\1\0\0" + bytes(32), path, height)
    assert places(audited(folder)) == [("map_pages", path.hex(), "damaged")]
    change(folder, "delete from map_pages where path = ?", path)
    assert set(places(audited(folder))) == {("map_pages", path.hex(), "missing")}


def test_a_whole_table_lost_is_as_many_faults_as_are_listed(folder: Path) -> None:
    change(folder, "delete from log_positions")
    found = audited(folder, most=20)
    assert len(found.faults) == 20
    assert not found.complete


def test_a_page_of_the_file_lost_is_found(folder: Path) -> None:
    path = folder / "data" / "ledger.db"
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle : middle + 4096] = bytes(4096)
    path.write_bytes(data)
    assert audited(folder).faults


def test_blocks_up_to_a_trusted_header_are_taken_as_stated(template: Path) -> None:
    found = audited(template, trusted=TrustedHeader(HEIGHT, block().header_hash))
    assert not found.faults
    assert found.replay is not None
    assert (found.replay.start, found.replay.blocks) == (HEIGHT, len(long_network().blocks) - HEIGHT)


def test_another_header_is_not_trusted(template: Path) -> None:
    found = audited(template, trusted=TrustedHeader(HEIGHT, block(8).header_hash))
    assert places(found) == [("ledger", "height 9", "trusted")]
    assert found.replay is None


def test_a_false_state_below_the_trusted_header_is_found(folder: Path) -> None:
    changes = dict(block().changes)
    changes.pop(KEY)
    resealed(folder, changes)
    found = audited(folder, trusted=TrustedHeader(12, block(12).header_hash))
    assert ("ledger", "height 12", "trusted") in places(found)


def test_a_ledger_of_another_network(template: Path) -> None:
    with closing(StoreRows(read_only_url(template / "data" / "ledger.db"))) as rows:
        other = long_network().genesis_bytes.replace(b'"time_ms":', b'"time_ms":1')
        assert places(audit_store(rows, other)) == [("network", "chain", "other_network")]


def test_a_node_that_runs_can_be_audited(tmp_path: Path) -> None:
    """Its last blocks are in the write-ahead log, it holds the writer's lock, and goes on while it is read."""
    network = long_network()
    folder = write_folder(tmp_path / "node", network, network.blocks[:6])
    url = f"sqlite:///{folder / 'data' / 'ledger.db'}"
    store = Store(url, genesis_hash(network.genesis_bytes))
    chain = Chain(store, network.genesis_bytes)

    def grow(height: int) -> None:
        at = chain.height + 1
        if height == 6 and at <= len(network.blocks):
            asyncio.run(append_blocks(chain, network, network.blocks[at - 1 :]))

    try:
        found = audited(folder, progress=grow)
    finally:
        chain.close()
        store.close()
    assert not found.faults
    assert found.replay is not None
    assert found.replay.height == len(network.blocks)


def prune_folder(folder: Path, until: int) -> bytes:
    """Prune up to a height; gives the hash of the header there."""
    network = long_network()
    store = Store(f"sqlite:///{folder / 'data' / 'ledger.db'}", genesis_hash(network.genesis_bytes))
    chain = Chain(store, network.genesis_bytes)
    write_map(chain, until)
    prune(store, 0, until, lambda height, _: height == 4, lambda _: None)
    chain.close()
    store.close()
    return network.blocks[until - 1].header_hash


def test_a_pruned_store_is_executed_from_where_its_blocks_begin(folder: Path) -> None:
    """O8: what is missing on purpose is no fault; state as of there is made again and proved, all above is executed."""
    digest = prune_folder(folder, 5)
    found = audited(folder)
    assert not found.faults
    assert found.replay is not None
    assert (found.replay.start, found.replay.height) == (5, len(long_network().blocks))
    assert f"--from 5 --header {digest.hex()}" in found.notes[0]
    assert not audited(folder, trusted=TrustedHeader(5, digest)).faults
    later = TrustedHeader(7, block(7).header_hash)
    assert not audited(folder, trusted=later).faults
    assert places(audited(folder, trusted=TrustedHeader(5, bytes(32)))) == [("ledger", "height 5", "trusted")]
    assert ("ledger", "height 3", "trusted") in places(audited(folder, trusted=TrustedHeader(3, digest)))


def test_a_pruned_store_whose_state_was_changed(folder: Path) -> None:
    prune_folder(folder, 5)
    item = block().changes[KEY]
    row_values = state_values(KEY, Versioned(item.version + 1, item.entry, item.value))
    change(folder, "update state set version = ?, seal = ? where key = ?", row_values[1], row_values[4], KEY)
    assert places(audited(folder)) == [("state", KEY, "differs")]
    later = {key for at in long_network().blocks[5:] for key in at.changes}
    key, item = next((key, item) for key, item in block(1).changes.items() if key not in later)
    row_values = state_values(key, Versioned(item.version, item.entry, (item.value or b"") + b" "))
    change(folder, "update state set value = ?, seal = ? where key = ?", row_values[3], row_values[4], key)
    assert ("kept_entries", "height 5", "base") in places(audited(folder))  # no root binds a value, its entry does
    change(folder, "delete from kept_entries")
    assert ("kept_entries", "height 5", "base") in places(audited(folder))
