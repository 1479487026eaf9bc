"""Version 1: blocks, folded state and the index of transactions.

Must always hold: this file describes a version that exists on disks; it is never changed.
"""

import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "network",
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("chain", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "spine",
        sa.Column("height", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("view", sa.BigInteger, nullable=False),
        sa.Column("time_ms", sa.BigInteger, nullable=False),
        sa.Column("header_hash", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("first_leaf", sa.BigInteger, nullable=False),
        sa.Column("leaf_count", sa.BigInteger, nullable=False),
        sa.Column("certificate", sa.LargeBinary, nullable=True),
        sa.Column("tx_ids", sa.LargeBinary, nullable=False),
        sa.Column("peaks", sa.LargeBinary, nullable=False),
        sa.Column("seal", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_spine_first_leaf", "spine", ["first_leaf"])
    op.create_table(
        "bodies",
        sa.Column("height", sa.BigInteger, sa.ForeignKey("spine.height"), primary_key=True, autoincrement=False),
        *(
            sa.Column(name, sa.LargeBinary, nullable=False)
            for name in ("block", "receipts", "entries", "leaves", "changes")
        ),
    )
    op.create_table(
        "state",
        sa.Column("key", sa.String(180), primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("entry", sa.LargeBinary, nullable=False),
        sa.Column("value", sa.LargeBinary, nullable=True),
        sa.Column("seal", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "transactions",
        sa.Column("tx_id", sa.LargeBinary, primary_key=True),
        sa.Column("height", sa.BigInteger, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
