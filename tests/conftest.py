"""Fixtures of every test: the databases under which a store must behave the same."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.databases import POSTGRESQL, SQLITE, new_database


@pytest.fixture(params=[SQLITE, POSTGRESQL])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database, of both kinds in turn; without a server the second is skipped."""
    with new_database(request.param, tmp_path) as url:
        yield url
