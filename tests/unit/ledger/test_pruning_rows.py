"""Pruning against a model: few keys written again and again, slices and appends in any order."""

import random
from pathlib import Path

import pytest

from ledger.encoding import encode
from ledger.merkle import leaf_hash
from ledger.parts import join_parts
from ledger.pruning import prepare_slice
from ledger.state import Entry, Versioned, Write, value_digest
from ledger.store import Store
from ledger.storetables import FinalBlockRecord
from tests.support.databases import ask_sql
from tests.support.store_records import CHAIN

KEYS = [f"claim/{name}" for name in "abcdefgh"]
State = dict[str, Versioned]


def make_record(height: int, first_leaf: int, state: State, chance: random.Random) -> FinalBlockRecord:
    """A block whose entries write keys of a small set; the last value of a key in it counts."""
    entries = [b"header %d" % height]
    changes: State = {}
    for index in range(chance.randrange(4)):
        writes, values = [], {}
        for key in sorted(chance.sample(KEYS, chance.randrange(1, 3))):
            before = changes.get(key) or state.get(key)
            value = b"%d %d %d" % (height, index, chance.randrange(1_000))
            version = before.version + 1 if before else 1
            previous = before.entry.hex() if before else None
            writes.append(Write(key=key, version=version, prev=previous, digest=value_digest(value).hex()))
            values[key] = (version, value)
        entry = encode(
            Entry(height=height, index=index, op=0, tx_id="00" * 32, key_id="00" * 16, kind="test", author="test-1",
                  code="ok", writes=tuple(writes))
        )  # fmt: skip
        entries.append(entry)
        changes |= {key: Versioned(version, leaf_hash(entry), value) for key, (version, value) in values.items()}
    leaves = tuple(leaf_hash(entry) for entry in entries)
    return FinalBlockRecord(
        height=height, view=height, time_ms=height, header_hash=height.to_bytes(32, "big"),
        block=join_parts((b"header", b"body")), certificate=b"certificate",
        receipts=b"[]", transactions=(), first_leaf=first_leaf, entries=tuple(entries),
        leaves=leaves, peaks=(), changes=changes,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(5))
def test_state_as_of_the_height_pruned_to_can_always_be_made_again(seed: int, tmp_path: Path) -> None:
    """O8: from state, the values kept beside it and the blocks above; with exactly the entries that these need."""
    chance = random.Random(seed)
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    store = Store(url, CHAIN)
    states: list[State] = [{}]
    size = folded = looked_at = 0
    whole: set[int] = set()
    for height in range(1, 60):
        record = make_record(height, size, states[-1], chance)
        store.append(record)
        size += len(record.entries)
        whole.add(height)
        states.append(states[-1] | dict(record.changes))
        if chance.random() < 0.4 and height > 5:
            until = chance.randrange(looked_at, height)
            start = chance.choice((0, looked_at))
            kept = {at for at in whole if chance.random() < 0.2}
            prepared, done = prepare_slice(store, start, until, lambda at, _, kept=kept: at in kept)  # type: ignore[misc]
            if chance.random() < 0.8:
                prepared.commit()
                folded, looked_at = max(folded, done.last), max(looked_at, done.last)
                whole = {at for at in whole if not start < at <= done.last or at in kept}
            else:
                prepared.drop()
        if chance.random() < 0.1:
            store.close()
            store = Store(url, CHAIN)
        if height % 3 == 0:
            check(store, url, states, store.whole_above(), whole)
    assert folded
    store.close()


def check(store: Store, url: str, states: list[State], base: int, whole: set[int]) -> None:
    assert dict(store.state_rows()) == states[-1]
    assert {height for height in range(1, store.height + 1) if store.is_whole(height)} == whole
    if not base:
        return
    changed = {key for height in range(base + 1, store.height + 1) for key in store.changes(height)}
    earlier = dict(store.remains.earlier_rows())
    assert {key: item for key, item in states[-1].items() if key not in changed} | earlier == states[base]
    kept = {bytes(leaf) for (leaf,) in ask_sql(url, "SELECT leaf FROM kept_entries")}
    assert kept == {item.entry for item in states[base].values()}
    assert all(leaf_hash(store.remains.entry(leaf)) == leaf for leaf in kept)
