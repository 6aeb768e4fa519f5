"""No error of a driver leaves the store, and every failure leaves the store as it was."""

import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import cast

import psycopg
import pytest
from psycopg import errors as pg
from sqlalchemy import Connection, event, exc

from relive.core.event import Event
from relive.core.run import Metric
from relive.errors import (
    Conflict,
    DatabaseBusy,
    DatabaseFailed,
    DatabaseUnreachable,
    InvalidInput,
    NotFound,
    ReliveError,
    StoreFull,
)
from relive.stores.sql import engine
from relive.stores.sql.belonging import rows_among
from relive.stores.sql.faults import translate, translated
from relive.stores.sql.store import SqlStore
from relive.testing.stores_samples import a_job, a_run, new_id
from tests.conftest import require
from tests.contract.databases import BACKENDS, fresh_url, opened
from tests.contract.disks import is_mountable
from tests.contract.full_store import fill_until_full

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 120.0
MIB = 2**20


def every(kind: type[Exception]) -> list[type[Exception]]:
    """Give a class of errors and all below it."""
    found = {kind}
    for sub in kind.__subclasses__():
        found.update(every(sub))
    return sorted(found, key=lambda it: (it.__module__, it.__name__))


def wrapped(cause: Exception, base: type[Exception]) -> exc.DBAPIError:
    """Give what SQLAlchemy raises for an error of a driver."""
    found = exc.DBAPIError.instance("SELECT 1", {}, cause, base)
    assert isinstance(found, exc.DBAPIError)
    return found


def test_every_error_of_psycopg_has_its_word():
    kinds = [kind for kind in every(pg.Error) if kind.__module__.startswith("psycopg")]
    assert len(kinds) > 200
    for kind in kinds:
        found = translate(wrapped(kind("it happened"), psycopg.Error), "postgresql://x")
        assert isinstance(found, ReliveError), kind
        assert "it happened" in str(found) or isinstance(found, StoreFull), kind


def test_every_code_of_sqlite_has_its_word():
    codes = {name: getattr(sqlite3, name) for name in dir(sqlite3) if name.startswith("SQLITE_")}
    for name, code in codes.items():
        error = sqlite3.OperationalError("it happened")
        error.sqlite_errorcode = code
        assert isinstance(translate(wrapped(error, sqlite3.Error), "sqlite:///x"), ReliveError), name


def test_every_error_of_sqlalchemy_has_its_word():
    kinds = every(exc.SQLAlchemyError)
    assert len(kinds) > 20
    for kind in kinds:
        error = made_somehow(kind)
        with pytest.raises(ReliveError), translated("sqlite:///x"):
            raise error


def made_somehow(kind: type[Exception]) -> Exception:
    """Make an error whose class wants some number of facts."""
    several: tuple[tuple[object, ...], ...] = (("SELECT 1", {}, Exception("it happened")), (), ("a",))
    for facts in (*several, ("a", "b"), ("a", "b", "c")):
        try:
            return kind("it happened", *facts)
        except TypeError:
            continue
    raise AssertionError(f"{kind} cannot be made")


@pytest.mark.parametrize(
    ("cause", "word"),
    [
        (pg.DiskFull("x"), StoreFull),
        (pg.UniqueViolation("x"), Conflict),
        (pg.ForeignKeyViolation("x"), Conflict),
        (pg.NotNullViolation("x"), InvalidInput),
        (pg.NumericValueOutOfRange("x"), InvalidInput),
        (pg.ProgramLimitExceeded("x"), InvalidInput),
        (pg.DeadlockDetected("x"), DatabaseBusy),
        (pg.SerializationFailure("x"), DatabaseBusy),
        (pg.LockNotAvailable("x"), DatabaseBusy),
        (pg.AdminShutdown("x"), DatabaseUnreachable),
        (pg.TooManyConnections("x"), DatabaseUnreachable),
        (pg.InvalidPassword("x"), DatabaseUnreachable),
        (pg.DataCorrupted("x"), DatabaseUnreachable),
        (pg.OperationalError("connection refused"), DatabaseUnreachable),
        (pg.DataError("text with NUL"), InvalidInput),
        (pg.UndefinedTable("x"), DatabaseFailed),
        (pg.InsufficientPrivilege("x"), DatabaseFailed),
    ],
    ids=lambda it: getattr(it, "__name__", type(it).__name__),
)
def test_postgresqls_words(cause, word):
    assert type(translate(wrapped(cause, psycopg.Error), "postgresql://x")) is word


@pytest.mark.parametrize(
    ("code", "word"),
    [
        (sqlite3.SQLITE_FULL, StoreFull),
        (sqlite3.SQLITE_IOERR_SHMSIZE, StoreFull),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, DatabaseBusy),
        (sqlite3.SQLITE_IOERR_WRITE, DatabaseUnreachable),
        (sqlite3.SQLITE_CORRUPT, DatabaseUnreachable),
        (sqlite3.SQLITE_CANTOPEN, DatabaseUnreachable),
        (sqlite3.SQLITE_CONSTRAINT_UNIQUE, Conflict),
        (sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY, Conflict),
        (sqlite3.SQLITE_CONSTRAINT_NOTNULL, InvalidInput),
        (sqlite3.SQLITE_TOOBIG, InvalidInput),
        (sqlite3.SQLITE_ERROR, DatabaseFailed),
    ],
)
def test_sqlites_words(code, word):
    error = sqlite3.OperationalError("it happened")
    error.sqlite_errorcode = code
    assert type(translate(wrapped(error, sqlite3.Error), "sqlite:///x")) is word


def test_what_is_no_drivers_error_passes():
    with pytest.raises(KeyError), translated("sqlite:///x"):
        raise KeyError("a defect")
    with pytest.raises(NotFound), translated("sqlite:///x"):
        raise NotFound(kind="run", name="x")


# --- real failures ---------------------------------------------------------------------------------------


@pytest.fixture(params=BACKENDS)
def store(request, tmp_path):
    with opened(fresh_url(request.param, request, tmp_path)) as store:
        yield store


def test_a_full_database_refuses_whole_calls_and_goes_on_when_there_is_room(tmp_path):
    with opened(f"sqlite:///{tmp_path / 'relive.db'}") as store:
        fill_until_full(store, limit_pages(store, 400))


def test_a_full_disk_refuses_whole_calls_and_goes_on_when_there_is_room(tmp_path):
    disk = tmp_path / "disk"
    require(is_mountable(disk), "no small disk can be mounted here (user namespaces are off)")
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    script = 'mount -t tmpfs -o size=4m relive "$1" && exec "$2" -m tests.contract.full_store "$1"'
    done = subprocess.run(
        ["unshare", "--mount", *as_root, "sh", "-c", script, "sh", str(disk), sys.executable],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    assert not list(disk.iterdir()), "the disk was not a disk of its own"


def limit_pages(store: SqlStore, pages: int):
    """Let SQLite's file have so many pages; gives what lifts the limit."""

    def limit(connection, _record) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}")

    event.listen(store._db.engine, "connect", limit)
    store._db.engine.dispose()

    def lift() -> None:
        event.remove(store._db.engine, "connect", limit)
        store._db.engine.dispose()

    return lift


def test_a_group_that_the_database_has_undone_takes_no_more(tmp_path):
    with opened(f"sqlite:///{tmp_path / 'relive.db'}") as store:
        lift = limit_pages(store, 400)
        run = a_run(store)

        def go_on_regardless() -> None:
            with store.transaction():
                store.set_meta("before", "1")
                with pytest.raises(StoreFull):
                    store.set_tags(run.id, {"big": "x" * 4 * MIB})
                store.set_meta("after", "1")

        with pytest.raises(DatabaseFailed):
            go_on_regardless()
        assert (store.get_meta("before"), store.get_meta("after")) == (None, None)
        lift()
        store.set_meta("later", "1")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_database_that_another_holds_is_busy(request, tmp_path, monkeypatch, backend):
    monkeypatch.setattr(engine, "WAIT_S", 0.2)
    monkeypatch.setattr(engine, "_SESSION", ("SET lock_timeout = 200",))
    url = fresh_url(backend, request, tmp_path)
    holding, tried = threading.Event(), threading.Event()

    def hold() -> None:
        with opened(url) as other, other.transaction():
            other.set_meta("key", "theirs")
            holding.set()
            tried.wait(PATIENCE_S)

    with opened(url) as store:
        thread = threading.Thread(target=hold)
        thread.start()
        try:
            assert holding.wait(PATIENCE_S)
            with pytest.raises(DatabaseBusy, match="nothing was changed"):
                store.set_meta("key", "ours")
            assert store.get_meta("key") is None  # reading never waits
        finally:
            tried.set()
            thread.join(PATIENCE_S)
        assert store.get_meta("key") == "theirs"
        store.set_meta("key", "ours")


def test_a_thread_that_holds_sqlite_for_too_long_makes_it_busy(tmp_path, monkeypatch):
    with opened(f"sqlite:///{tmp_path / 'relive.db'}") as store:
        monkeypatch.setattr(engine, "WAIT_S", 0.1)
        found: list[BaseException] = []

        def try_it() -> None:
            try:
                store.set_meta("key", "ours")
            except DatabaseBusy as error:
                found.append(error)

        with store.transaction():
            thread = threading.Thread(target=try_it)
            thread.start()
            thread.join(PATIENCE_S)
        assert len(found) == 1
        assert "another thread" in str(found[0])


def test_a_server_that_was_started_again_is_not_noticed(postgres_url):
    with opened(postgres_url()) as store, opened(postgres_url()) as other:
        store.set_meta("key", "1")
        end_connections(other)
        assert store.get_meta("key") == "1"


def test_a_connection_that_breaks_in_a_group_undoes_the_group(postgres_url):
    with opened(postgres_url()) as store, opened(postgres_url()) as other:

        def group() -> None:
            with store.transaction():
                store.set_meta("before", "1")
                end_connections(other)
                store.set_meta("after", "1")

        with pytest.raises(DatabaseUnreachable):
            group()
        assert (store.get_meta("before"), store.get_meta("after")) == (None, None)
        store.set_meta("later", "1")
        assert store.get_meta("later") == "1"


def end_connections(store: SqlStore) -> None:
    """End every connection of the server but this store's own, as a restart does."""
    with store._db.engine.connect() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'relive' AND pid <> pg_backend_pid()"
        )


def test_a_table_that_is_gone_is_told_in_our_words(store):
    with store._db.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE meta")
    with pytest.raises(DatabaseFailed, match="meta"):
        store.get_meta("key")


def test_a_row_behind_the_first_that_cannot_be_read_is_told_in_our_words(tmp_path):
    def read(value: str) -> str:
        if value == "second":
            raise OSError("as a broken page")
        return value

    with opened(f"sqlite:///{tmp_path / 'relive.db'}") as store:
        run_id = a_run(store).id
        store.set_tags(run_id, {"1": "first", "2": "second"})
        with store._db.read() as connection:
            driven = cast(sqlite3.Connection, connection.connection.dbapi_connection)
            driven.create_function("read", 1, read)
        with pytest.raises(DatabaseFailed), store._db.read() as connection:
            rows_among(connection, "SELECT read(value) FROM tags WHERE run_id {among}", [run_id])


def test_a_failed_commit_keeps_nothing(store, monkeypatch):
    def fail(_connection: Connection) -> None:
        raise exc.OperationalError("COMMIT", {}, sqlite3.OperationalError("disk I/O error"))

    event.listen(store._db.engine, "commit", fail)
    with pytest.raises(DatabaseUnreachable):
        store.set_meta("key", "1")
    event.remove(store._db.engine, "commit", fail)
    assert store.get_meta("key") is None
    store.set_meta("key", "2")
    assert store.get_meta("key") == "2"


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.list_runs(limit=2**70),
        lambda store: store.list_runs(text="\0"),
        lambda store: store.find_user("a\0b"),
        lambda store: store.find_user("\ud800"),
        lambda store: store.get_meta("k" * 5000),
        lambda store: store.get_job("\0"),
        lambda store: store.list_events(after=2**70),
        lambda store: store.put(a_job(payload={"x": object()})),
        lambda store: store.put(a_job(payload={"x": "\ud800"})),
        lambda store: store.put(a_job(priority=2**63)),
        lambda store: store.put(a_job(kind="nonsense")),
        lambda store: store.list_jobs(states=["nonsense"]),
        lambda store: store.record_event(Event(kind="k", actor=cast("str", 5), subject="s")),
        lambda store: store.record_event(Event(kind="k", actor="a", subject="s", at=cast("float", "now"))),
        lambda store: store.append_log(a_run(store).id, "text", offset=0),
        lambda store: a_run(store, name=None),
        lambda store: a_run(store, experiment_id=new_id()),
        lambda store: store.record_metrics(a_run(store).id, [Metric(cast("str", None), 1.0)]),
    ],
)
def test_nonsense_is_refused_in_our_words_or_finds_nothing(store, call):
    before = (store.list_jobs(), store.list_events())
    try:
        found = call(store)
    except ReliveError:
        found = None
    assert not found
    assert (store.list_jobs(), store.list_events()) == before
