"""Where the pages of the state map are kept: every version that a retained height needs.

Knows two tables; must not know keys or values of state. Must always hold: the pages of one writing are written with the
block they belong to, in its database transaction; a version is dropped only when a newer one stands at or below the
height that the writer wants to keep from.
"""

from typing import Any

from sqlalchemy import Connection, Engine, bindparam, func, select

from ledger.database import Bulk, PointRead, translated
from ledger.storetables import MapRecord, map_pages, map_roots


class MapStore:
    """The two tables of the state map in the store's database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._insert = Bulk(engine, map_pages.insert(), tuple(map_pages.c.keys()))
        pages = (
            select(map_pages.c.page).where(map_pages.c.path == bindparam("path")).order_by(map_pages.c.height.desc())
        )
        self._read = PointRead(engine, pages, ("path",))
        self._drop = Bulk(engine, _superseded_pages(), ("of", "at", "keep_from"))

    def write(self, connection: Connection, record: MapRecord) -> None:
        """Add one writing inside the caller's transaction."""
        if record.top is not None:
            top, page = record.top
            connection.execute(map_roots.insert(), {"height": record.height, "root": top, "page": page})
        self._insert(connection, [(path, record.height, page) for path, page in record.pages])
        keep = select(func.max(map_roots.c.height)).where(map_roots.c.height <= record.keep_from)
        root = connection.execute(keep).scalar()
        if root is not None:  # what is kept must be whole: from a root on, not from a height between two
            connection.execute(map_roots.delete().where(map_roots.c.height < root))
            self._drop(connection, [(path, path, root) for path, _ in record.pages])

    def root(self, height: int) -> tuple[int, bytes, bytes | None] | None:
        """(height, root, top page) of the map as last written at or below `height`, None if it never was."""
        query = select(map_roots).where(map_roots.c.height <= height).order_by(map_roots.c.height.desc()).limit(1)
        with translated(), self._engine.connect() as connection:
            row = connection.execute(query).first()
        return None if row is None else (row.height, row.root, row.page)

    def versions(self, path: bytes) -> list[bytes]:
        """The versions of one page that are still kept, newest first."""
        return [bytes(page) for (page,) in self._read(path)]

    def close(self) -> None:
        """Give the connection back."""
        self._read.close()


def _superseded_pages() -> Any:
    """Versions of one page below the newest one that is not above the height to keep from."""
    newer = map_pages.alias("newer")
    newest_kept = (
        select(func.max(newer.c.height))
        .where(newer.c.path == bindparam("of"), newer.c.height <= bindparam("keep_from"))
        .scalar_subquery()
    )
    return map_pages.delete().where(map_pages.c.path == bindparam("at"), map_pages.c.height < newest_kept)
