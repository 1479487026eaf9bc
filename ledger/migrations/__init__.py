"""From one version of the store's tables to the next, with alembic; also from nothing to the newest.

Knows which versions there are (one file each in versions/); must not know what a block means. Must always hold: all
steps and the new number are one transaction of the caller's, a step that was released is never changed, and the
number in `network` is the truth: alembic's own table follows it, since stores older than it have none.
Importing this costs a tenth of a second: a store of the current version never does.
"""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection

from ledger.storetables import SCHEMA_VERSION

FOLDER: Final = Path(__file__).parent


def migrate(connection: Connection, version: int) -> None:
    """Bring the tables from `version` (0: there are none) to SCHEMA_VERSION, inside the caller's transaction."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    if version and MigrationContext.configure(connection).get_current_revision() != str(version):
        command.stamp(config, str(version), purge=True)
    command.upgrade(config, str(SCHEMA_VERSION))
