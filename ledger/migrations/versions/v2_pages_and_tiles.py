"""Version 2: pages of the state map, tiles of the log and where each leaf stands.

Tiles and positions are made from the leaves of the stored blocks. Pages are not: without them a start makes the map
from the keys, and the next blocks write them. Must always hold: this file describes a version that exists on disks;
what it writes is never changed (tiles are those of C2SP tlog-tiles, behind a checksum of 8 bytes bound to their place).
"""

from collections.abc import Iterator, Sequence
from typing import Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Connection

from ledger.errors import StoreError
from ledger.logtiles import Tail
from ledger.storetables import seal, unseal

revision = "2"
down_revision = "1"

PREFIX_BYTES: Final = 8
RANGE: Final = 200
"""Blocks read at a time: their leaves are at most some tens of megabytes."""


def upgrade() -> None:
    """Make the tables and fill those of the log."""
    op.create_table(
        "map_pages",
        sa.Column("path", sa.LargeBinary, primary_key=True),
        sa.Column("height", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("page", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "map_roots",
        sa.Column("height", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("page", sa.LargeBinary, nullable=True),
    )
    tiles = op.create_table(
        "log_tiles",
        sa.Column("level", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("hashes", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    positions = op.create_table(
        "log_positions",
        sa.Column("leaf", sa.LargeBinary, primary_key=True),
        sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )
    connection = op.get_bind()
    _fill(connection, tiles, positions)
    connection.execute(sa.text("UPDATE network SET version = 2"))


def _fill(connection: Connection, tiles: sa.Table, positions: sa.Table) -> None:
    """Raises StoreError `damaged` for leaves that do not match their checksum, or of another number."""
    tail = Tail()
    for height, first, count, leaves in _leaves(connection):
        hashes = [leaves[at : at + 32] for at in range(0, len(leaves), 32)]
        if first != tail.size or count != len(hashes):
            raise StoreError("damaged", f"the leaves of height {height} do not follow those before")
        tail, full = tail.extend(hashes)
        named = [(level, number, seal(f"tile/{level}/{number}", tile)) for level, number, tile in full]
        _insert(connection, tiles, ("level", "number", "hashes"), named)
        placed = [(leaf[:PREFIX_BYTES], at) for at, leaf in enumerate(hashes, start=first)]
        _insert(connection, positions, ("leaf", "position"), placed)


def _leaves(connection: Connection) -> Iterator[tuple[int, int, int, bytes]]:
    """(height, first leaf, number of leaves, leaf hashes) of every block, ascending."""
    query = sa.text(
        "SELECT spine.height, first_leaf, leaf_count, leaves FROM spine JOIN bodies ON bodies.height = spine.height "
        "WHERE spine.height > :after ORDER BY spine.height LIMIT :most"
    )
    after = 0
    while rows := connection.execute(query, {"after": after, "most": RANGE}).all():
        for height, first, count, sealed in rows:
            yield height, first, count, unseal(f"leaves/{height}", sealed)
        after = rows[-1][0]


def _insert(
    connection: Connection, table: sa.Table, names: tuple[str, ...], rows: Sequence[tuple[object, ...]]
) -> None:
    if rows:
        connection.execute(table.insert(), [dict(zip(names, row, strict=True)) for row in rows])
