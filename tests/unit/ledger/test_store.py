"""The store: one transaction a block, nothing served that does not match its checksum."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.errors import StoreError
from ledger.merkle import leaf_hash
from ledger.state import Versioned
from ledger.store import Store
from ledger.storetables import FinalBlockRecord
from tests.support.databases import is_server, run_sql

CHAIN = bytes(range(32))


_open: list[Store] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while _open:
        _open.pop().close()


def open_store(url: str, chain: bytes = CHAIN) -> Store:
    _open.append(Store(url, chain))
    return _open[-1]


def record(height: int, *, certificate: bytes | None = b"cert", value: bytes | None = b"{}") -> FinalBlockRecord:
    entries = (b"parent-%d" % height, b"entry-%d" % height)
    leaves = tuple(leaf_hash(item) for item in entries)
    return FinalBlockRecord(
        height=height,
        view=height + 3,
        time_ms=1_000 * height,
        header_hash=bytes([height]) * 32,
        block=b"block-%d" % height,
        certificate=certificate,
        receipts=b"[]",
        transactions=(bytes([height, 1]) * 16, bytes([height, 2]) * 16),
        first_leaf=2 * (height - 1),
        entries=entries,
        leaves=leaves,
        peaks=(leaves[0],),
        changes={"claim/a": Versioned(height, leaves[1], value), f"claim/{height}": Versioned(1, leaves[1], b"1")},
    )


def damage(url: str, statement: str) -> None:
    run_sql(url, statement)


def test_what_was_appended_is_read_back_after_reopening(store_url: str) -> None:
    store = open_store(store_url)
    store.append(record(1))
    store.append(record(2, certificate=None), record(3))
    store.close()
    store = open_store(store_url)
    assert store.height == 3
    assert store.block(2) == b"block-2"
    assert store.receipts(2) == b"[]"
    assert store.entries(3) == (b"parent-3", b"entry-3")
    assert store.leaf_hashes(3) == tuple(leaf_hash(item) for item in store.entries(3))
    assert len(store.tile(0, 0)) == 6 * 32
    assert store.changes(2) == dict(record(2).changes)
    assert store.spine(2).transactions == record(2).transactions
    assert store.spine(2).view == 5
    assert [row.height for row in store.spines_down(3)] == [3, 2, 1]
    found = store.spine_of(bytes([2]) * 32)
    assert found is not None
    assert found.height == 2
    assert store.spine_of(bytes(32)) is None


def test_certificate_nearest_at_or_above(store_url: str) -> None:
    store = open_store(store_url)
    store.append(record(1, certificate=b"c1"))
    store.append(record(2, certificate=None), record(3, certificate=b"c3"))
    assert store.certificate_at(1) == b"c1"
    assert store.certificate_at(2) is None
    assert store.certificate_from(2) == (3, b"c3")
    assert store.certificate_from(4) is None


def test_a_batch_ends_with_its_certificate(store_url: str) -> None:
    """Else a restart would stand on a block that nothing on this disk proves final."""
    store = open_store(store_url)
    with pytest.raises(StoreError, match="certificate"):
        store.append(record(1), record(2, certificate=None))
    assert store.height == 0


def test_entries_by_index_and_transactions_by_id(store_url: str) -> None:
    store = open_store(store_url)
    for height in (1, 2):
        store.append(record(height))
    assert store.entry(3) == b"entry-2"
    assert store.height_of_entry(2) == 2
    for index in (-1, 4):
        with pytest.raises(StoreError, match="unknown_entry"):
            store.entry(index)
    assert store.transaction((bytes([2, 2]) * 16).hex()) == (2, 1)
    assert store.transaction("00" * 32) is None


def test_state_is_folded_and_deletions_keep_their_version(store_url: str) -> None:
    store = open_store(store_url)
    store.append(record(1))
    store.append(record(2, value=None))
    found = store.state_value("claim/a")
    assert found is not None
    assert (found.version, found.value) == (2, None)
    assert store.state_value("claim/none") is None
    assert {key for key, _ in store.state_rows()} == {"claim/a", "claim/1", "claim/2"}


@pytest.mark.parametrize("height", [0, 1, 3])
def test_only_the_next_height_is_appended(store_url: str, height: int) -> None:
    store = open_store(store_url)
    store.append(record(1))
    with pytest.raises(StoreError, match="height"):
        store.append(record(height))


def test_a_block_is_there_as_a_whole_or_not_at_all(store_url: str) -> None:
    """The last statement of the transaction fails; nothing of the block may remain."""
    store = open_store(store_url)
    store.append(record(1))
    if is_server(store_url):
        damage(store_url, "alter table state add constraint stop check (key = '') not valid")
    else:
        damage(store_url, "create trigger stop before insert on state begin select raise(abort, 'stopped'); end")
    with pytest.raises(StoreError, match="database"):
        store.append(record(2))
    assert store.height == 1
    assert store.transaction((bytes([2, 1]) * 16).hex()) is None
    damage(store_url, "alter table state drop constraint stop" if is_server(store_url) else "drop trigger stop")
    store.append(record(2))
    store.close()
    assert open_store(store_url).height == 2


@pytest.mark.parametrize(
    ("statement", "read"),
    [
        ("update bodies set block = cast(substr(block, 1, 8) || 'Xlock-1' as blob)", lambda s: s.block(1)),
        ("update bodies set receipts = x'00'", lambda s: s.receipts(1)),
        ("update bodies set changes = substr(changes, 1, length(changes) - 1)", lambda s: s.changes(1)),
        ("update spine set time_ms = time_ms + 1", lambda s: s.spine(1)),
        ("update spine set certificate = null", lambda s: s.certificate_at(1)),
        ("update state set value = x'7b7d20' where key = 'claim/a'", lambda s: s.state_value("claim/a")),
        ("update state set key = 'claim/b' where key = 'claim/a'", lambda s: list(s.state_rows())),
    ],
)
def test_damage_is_reported_and_never_served(store_url: str, statement: str, read: object) -> None:
    """P5: whatever is changed on the disk is named when it is read."""
    store = open_store(store_url)
    store.append(record(1))
    damage(store_url, statement)
    with pytest.raises(StoreError, match="damaged"):
        read(store)  # type: ignore[operator]


def test_a_body_moved_to_another_height_is_damage(store_url: str) -> None:
    store = open_store(store_url)
    store.append(record(1))
    store.append(record(2))
    damage(store_url, "update bodies set block = (select block from bodies where height = 1) where height = 2")
    with pytest.raises(StoreError, match="damaged"):
        store.block(2)


def test_a_missing_block_is_found_at_the_start(store_url: str) -> None:
    store = open_store(store_url)
    for height in (1, 2, 3):
        store.append(record(height))
    store.close()
    damage(store_url, "delete from bodies where height = 2")
    damage(store_url, "delete from spine where height = 2")
    with pytest.raises(StoreError, match="damaged"):
        open_store(store_url)


def test_a_store_belongs_to_one_network_and_one_version(store_url: str) -> None:
    open_store(store_url).close()
    with pytest.raises(StoreError, match="other_network"):
        open_store(store_url, bytes(32))
    damage(store_url, "update network set version = 99")
    with pytest.raises(StoreError, match="schema"):
        open_store(store_url)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"not a database, but long enough to be looked at" * 40)
    with pytest.raises(StoreError, match="damaged"):
        open_store(f"sqlite:///{tmp_path / 'ledger.db'}")


def test_a_full_disk_is_its_own_code_and_leaves_nothing(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'ledger.db'}")
    store.append(record(1))
    pages = sqlite3.connect(tmp_path / "ledger.db").execute("pragma page_count").fetchone()[0]
    with store._engine.connect() as connection:  # the limit is per connection; the pool hands this one out again
        connection.exec_driver_sql(f"pragma max_page_count = {pages}")
    big = record(2)
    with pytest.raises(StoreError, match="no_space"):
        store.append(
            FinalBlockRecord(**{name: getattr(big, name) for name in big.__slots__} | {"block": bytes(200_000)})
        )
    assert store.height == 1
