"""Version 3: what is kept of blocks that are not there whole: of pruned ones, and of those below a snapshot.

A store of version 2 has all its blocks, so the new tables start empty. Must always hold: this file describes a version
that exists on disks; it is never changed.
"""

import sqlalchemy as sa
from alembic import op

revision = "3"
down_revision = "2"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "base",
        sa.Column("height", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("tail", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "stubs",
        sa.Column("height", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("header", sa.LargeBinary, nullable=False),
        sa.Column("leaves", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "kept_entries",
        sa.Column("leaf", sa.LargeBinary, primary_key=True),
        sa.Column("entry", sa.LargeBinary, nullable=False),
    )
    op.get_bind().execute(sa.text("UPDATE network SET version = 3"))
