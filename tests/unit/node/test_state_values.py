"""A value on disk that was changed together with its checksum: the map does not bind it, its log entry does."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.errors import StoreError
from ledger.state import Versioned
from ledger.storerows import state_values
from node.proofs import check_value
from tests.support.chain_world import NOW, World, open_chain, policy
from tests.support.cluster import build_network
from tests.support.databases import run_sql


@pytest.fixture
def world(tmp_path: Path, store_url: str) -> Iterator[World]:
    network = build_network(tmp_path, time_ms=NOW)
    made = World(tmp_path, network, open_chain(tmp_path, network, store_url), store_url)
    made.grow(policy())
    made.grow(policy())
    yield made
    made.close()


def test_true_values_hold(world: World) -> None:
    for key, item in world.chain.store.state_rows():
        check_value(world.chain, key, item)


def test_a_value_edited_with_its_checksum_is_given_out_with_no_proof(world: World) -> None:
    """P5: the start compares roots alone, so the chain opens; a proof of this key is refused, others go on."""
    key, item = next(world.chain.store.state_rows())
    forged = state_values(key, Versioned(item.version, item.entry, b"{}"))
    names = ("key", "version", "entry", "value", "seal")
    statement = (
        "update state set value = :value, seal = :seal where key = :key and version = :version and entry = :entry"
    )
    assert run_sql(world.url or "", statement, dict(zip(names, forged, strict=True))) == 1
    world.reopen()
    found = world.chain.final.read(key)
    assert found is not None
    with pytest.raises(StoreError, match="not what its log entry wrote") as error:
        check_value(world.chain, key, found)
    assert error.value.code == "damaged"
    for other, value in world.chain.store.state_rows():
        if other != key:
            check_value(world.chain, other, value)
