"""Which version a database's tables have, whose network they belong to, and when they are made or upgraded.

Knows the table `network`; the steps themselves are in migrations. Must always hold: tables are made or upgraded as a
whole or not at all, only by the process that holds the writer's lock, and a store of a newer program is never touched.
2026-11-22: an upgrade is made at a node's start and not by a command: it is one transaction, said in the log, and a
store can always be had again from the peers, so there is nothing that a person would have to decide.
"""

from collections.abc import Callable

from sqlalchemy import Connection, Engine, inspect, select

from ledger.errors import StoreError
from ledger.storetables import SCHEMA_VERSION, network


def check_schema(engine: Engine, chain: bytes, on_upgrade: Callable[[int, int], None] | None) -> None:
    """Have the tables of this program's version for this network. `on_upgrade`: (from, to), None if nothing may be
    written. Raises StoreError `schema`, `other_network`, `no_store`, `damaged`.
    """
    with engine.connect() as connection:
        version = _version(connection, chain)
    if version == SCHEMA_VERSION:
        return
    if on_upgrade is None:
        if not version:
            raise StoreError("no_store", "this database holds no ledger")
        raise StoreError("schema", f"the store has version {version}: start its node, which upgrades it")
    if version:
        on_upgrade(version, SCHEMA_VERSION)
    _migrate(engine, chain, version)


def _version(connection: Connection, chain: bytes) -> int:
    """0 for a database without the tables."""
    if not inspect(connection).has_table(network.name):
        return 0
    row = connection.execute(select(network)).first()
    if row is None:
        raise StoreError("damaged", "the tables are there, but not whose network they hold: remove them")
    if row.chain != chain:
        raise StoreError("other_network", "the store belongs to a network with another genesis")
    if not 1 <= row.version <= SCHEMA_VERSION:
        raise StoreError("schema", f"the store has version {row.version}, this program reads up to {SCHEMA_VERSION}")
    return int(row.version)


def _migrate(engine: Engine, chain: bytes, version: int) -> None:
    from ledger.migrations import migrate

    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":  # its driver begins no transaction for the making of tables
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        migrate(connection, version)
        if not version:
            connection.execute(network.insert(), {"version": SCHEMA_VERSION, "chain": chain})
        connection.commit()
