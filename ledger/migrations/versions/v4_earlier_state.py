"""Version 4: what keys held at the height below which a store was pruned, where a later block wrote them again.

No store of version 3 was pruned, so the new table starts empty. Must always hold: this file describes a version that
exists on disks; it is never changed.
"""

import sqlalchemy as sa
from alembic import op

revision = "4"
down_revision = "3"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "earlier_state",
        sa.Column("key", sa.String(180), primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("entry", sa.LargeBinary, nullable=False),
        sa.Column("value", sa.LargeBinary, nullable=True),
        sa.Column("seal", sa.LargeBinary, nullable=False),
    )
    op.get_bind().execute(sa.text("UPDATE network SET version = 4"))
