"""One writer for one database, on both kinds: by a lock of the system or of the server, which ends with its process."""

import pytest

from ledger.errors import StoreError
from ledger.store import Store
from tests.support.databases import is_server, new_schema
from tests.support.store_records import CHAIN, plain_record


def test_a_second_writer_is_refused_and_the_first_goes_on(store_url: str) -> None:
    first = Store(store_url, CHAIN)
    with pytest.raises(StoreError, match="locked"):
        Store(store_url, CHAIN)
    first.append(plain_record(1))
    first.close()
    second = Store(store_url, CHAIN)
    assert second.height == 1
    second.close()


def test_a_reader_needs_no_lock_and_sees_what_is_durable(store_url: str) -> None:
    writer = Store(store_url, CHAIN)
    writer.append(plain_record(1))
    prepared = writer.prepare(plain_record(2))
    reader = Store(store_url, CHAIN, read_only=True)
    assert reader.height == 1
    assert reader.block(1) == b"block 1"
    prepared.commit()
    reader.close()
    writer.close()


def test_a_start_that_fails_gives_the_lock_back(store_url: str) -> None:
    Store(store_url, CHAIN).close()
    with pytest.raises(StoreError, match="other_network"):
        Store(store_url, bytes(32))
    Store(store_url, CHAIN).close()


def test_schemas_of_one_database_are_stores_of_their_own() -> None:
    with new_schema() as one, new_schema() as two:
        assert is_server(one)
        first, second = Store(one, CHAIN), Store(two, bytes(32))
        first.append(plain_record(1))
        assert (first.height, second.height) == (1, 0)
        first.close()
        second.close()
