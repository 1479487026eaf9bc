"""The store on a real PostgreSQL server: what is durable, who writes, and what a lost connection costs: nothing."""

import traceback
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import make_url, text

from ledger import postgresql
from ledger.database import open_engine
from ledger.errors import StoreError
from ledger.store import Store
from tests.support.databases import end_sessions, new_server_database, run_sql
from tests.support.store_records import CHAIN, plain_record

PASSWORD = "open-sesame-77"


@pytest.fixture
def url() -> Iterator[str]:
    with new_server_database() as made:
        yield made


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = Store(url, CHAIN)
    yield opened
    opened.close()


def refused(call: Any) -> str:
    with pytest.raises(StoreError) as caught:
        call()
    return caught.value.code


def with_settings(url: str, **settings: str) -> str:
    options = " ".join(f"-c{name}={value}" for name, value in settings.items())
    return make_url(url).update_query_dict({"options": options}).render_as_string(False)


def test_commits_are_durable_whatever_the_defaults_are(url: str) -> None:
    """`synchronous_commit = off` would lose final blocks with the server's power."""
    engine = open_engine(with_settings(url, synchronous_commit="off", default_transaction_isolation="serializable"))
    with engine.connect() as connection:
        assert connection.execute(text("SHOW synchronous_commit")).scalar() == "on"
        assert connection.execute(text("SHOW transaction_isolation")).scalar() == "read committed"
        connection.rollback()
        assert connection.execute(text("SHOW synchronous_commit")).scalar() == "on", "also after a rollback"
    engine.dispose()


def test_what_is_stronger_than_durable_stays(url: str) -> None:
    engine = open_engine(with_settings(url, synchronous_commit="remote_apply"))
    with engine.connect() as connection:
        assert connection.execute(text("SHOW synchronous_commit")).scalar() == "remote_apply"
    engine.dispose()


class _Session:
    """A server that says what it is told to say."""

    autocommit = False

    def __init__(self, *answers: tuple[Any, ...]) -> None:
        self._answers = list(answers)
        self.asked = ""

    def cursor(self) -> "_Session":
        return self

    def __enter__(self) -> "_Session":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def execute(self, statement: str, values: object = None) -> None:
        self.asked = statement

    def fetchone(self) -> tuple[Any, ...]:
        return self._answers.pop(0)


@pytest.mark.parametrize(
    ("session", "code"),
    [
        (_Session((150_000, "off")), "not_durable"),
        (_Session((130_000, "on")), "database"),
        (_Session((150_000, "on"), ("off",), ("off",)), "not_durable"),
    ],
)
def test_a_server_that_forgets_is_refused(session: _Session, code: str) -> None:
    assert refused(lambda: postgresql._prepare(session, None)) == code


def test_after_all_sessions_were_ended_reads_go_on_and_a_write_is_repeated(url: str, store: Store) -> None:
    store.append(plain_record(1))
    assert store.state_value("claim/a") is not None
    end_sessions(url)
    assert store.state_value("claim/a") is not None, "a read opens a new connection by itself"
    assert store.block(1) == b"block 1"
    assert refused(lambda: store.append(plain_record(2))) == "no_connection"
    store.append(plain_record(2))
    assert (store.height, store.block(2)) == (2, b"block 2")
    assert len(store.tile(0, 0)) == 4 * 32


def test_a_session_that_ends_before_the_commit_leaves_nothing(url: str, store: Store) -> None:
    store.append(plain_record(1))
    prepared = store.prepare(plain_record(2))
    end_sessions(url)
    assert refused(prepared.commit) == "no_connection"
    assert store.height == 1
    store.append(plain_record(2))
    assert store.height == 2


def test_a_commit_whose_answer_is_lost_is_not_made_twice(
    url: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The block is durable, the node does not know: it repeats the append and finds it done."""
    store.append(plain_record(1))
    prepared = store.prepare(plain_record(2))
    dialect = store._engine.dialect
    commit = dialect.do_commit

    def lose_the_answer(connection: Any) -> None:
        monkeypatch.undo()
        commit(connection)
        end_sessions(url)
        connection.execute("SELECT 1")

    monkeypatch.setattr(dialect, "do_commit", lose_the_answer)
    assert refused(prepared.commit) == "no_connection"
    assert store.height == 1
    store.append(plain_record(2))
    store.append(plain_record(3))
    assert [row.height for row in store.spines_down(3)] == [3, 2, 1]
    assert len(store.tile(0, 0)) == 6 * 32


def test_another_process_that_took_over_is_noticed(url: str, store: Store) -> None:
    store.append(plain_record(1))
    end_sessions(url)
    other = Store(url, CHAIN)
    assert refused(lambda: store.append(plain_record(2))) == "no_connection"
    assert refused(lambda: store.append(plain_record(2))) == "no_connection", "the other one holds the lock"
    other.append(plain_record(2), plain_record(3))
    other.close()
    assert refused(lambda: store.append(plain_record(2))) == "other_writer"


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("53100", "no_space"),
        ("25006", "read_only"),
        ("XX001", "damaged"),
        ("57P01", "no_connection"),
        ("40001", "database"),
    ],
)
def test_what_the_server_says_has_a_code(url: str, store: Store, state: str, code: str) -> None:
    """P5: a full or failing disk of the server, by its SQLSTATE; the block is there as a whole or not at all."""
    store.append(plain_record(1))
    function = f"BEGIN RAISE EXCEPTION 'so it is' USING ERRCODE = '{state}'; END"
    run_sql(
        url, f"CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS '{function.replace(chr(39), chr(39) * 2)}'"
    )
    run_sql(url, "CREATE TRIGGER stop BEFORE INSERT OR UPDATE ON state FOR EACH ROW EXECUTE FUNCTION stop()")
    assert refused(lambda: store.append(plain_record(2))) == code
    run_sql(url, "DROP TRIGGER stop ON state")
    store.append(plain_record(2))
    assert store.height == 2


def test_a_server_that_only_reads_is_read_only(url: str) -> None:
    Store(url, CHAIN).close()
    store = Store(with_settings(url, default_transaction_read_only="on"), CHAIN)
    assert refused(lambda: store.append(plain_record(1))) == "read_only"
    store.close()


def test_the_driver_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql, "find_spec", lambda name: None)
    with pytest.raises(StoreError, match=r"driver: .*claimnode\[postgresql\]"):
        Store("postgresql+psycopg://claimnode@localhost/ledger", CHAIN)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (f"postgresql+psycopg://node:{PASSWORD}@127.0.0.1:1/ledger", "no_connection"),
        (f"postgresql+psycopg://node@127.0.0.1:1/ledger?password={PASSWORD}", "no_connection"),
        (f"postgresql+psycopg://node:{PASSWORD}@/ledger?host=/nowhere", "no_connection"),
        (f"postgresql+psycopg2://node:{PASSWORD}@127.0.0.1:1/ledger", "database"),
        (f"mysql+pymysql://node:{PASSWORD}@127.0.0.1:1/ledger", "database"),
        (f"postgresql+psycopg://node:{PASSWORD}@127.0.0.1:port/ledger", "database"),
        (f"{PASSWORD}", "database"),
    ],
)
def test_no_error_repeats_the_password(given: str, code: str) -> None:
    with pytest.raises(StoreError) as caught:
        Store(given, CHAIN)
    assert caught.value.code == code
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))
