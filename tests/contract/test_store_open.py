"""Opening a database: new, known, behind, broken, absent, and by several hubs at once."""

import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from relive.errors import DatabaseUnreachable, InvalidInput
from relive.stores.sql import schema
from relive.stores.sql.engine import Database
from relive.stores.sql.schema import HEAD, REVISIONS, VERSION, prepare
from relive.testing.stores_events import run_threads
from tests.contract.databases import BACKENDS, fresh_url, opened

PATIENCE_S = 120.0

OPENER = """
import sys
from relive.stores.sql.store import open_store
sys.stdin.readline()  # all begin together
store = open_store(sys.argv[1])
store.set_meta(sys.argv[2], "opened")
store.close()
print(",".join(sys.modules))
"""

NEXT = f"{int(HEAD) + 1:04}"
# A later schema: one more column, which SQLite gets by copying the table.
LATER = f'''
"""Projects get a colour."""

import sqlalchemy as sa
from alembic import op

revision = "{NEXT}"
down_revision = "{HEAD}"


def upgrade() -> None:
    recreate = "always" if op.get_bind().dialect.name == "sqlite" else "never"
    with op.batch_alter_table("projects", recreate=recreate) as batch:
        batch.add_column(sa.Column("colour", sa.Text(), nullable=False, server_default="blue"))


def downgrade() -> None:
    with op.batch_alter_table("projects") as batch:
        batch.drop_column("colour")
'''


@pytest.fixture(params=BACKENDS)
def url(request, tmp_path):
    return fresh_url(request.param, request, tmp_path)


@pytest.fixture
def later(monkeypatch, tmp_path):
    """Make this relive one that knows a later schema."""
    folder = tmp_path / "migrations"
    shutil.copytree(schema.MIGRATIONS, folder)
    (folder / "versions" / f"{NEXT}_colour.py").write_text(LATER)
    monkeypatch.setattr(schema, "MIGRATIONS", folder)
    monkeypatch.setattr(schema, "REVISIONS", (*REVISIONS, NEXT))
    monkeypatch.setattr(schema, "HEAD", NEXT)


def start_openers(url: str, count: int) -> "list[subprocess.Popen[str]]":
    return [
        subprocess.Popen(
            [sys.executable, "-c", OPENER, url, f"hub {number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(count)
    ]


def test_hubs_that_start_at_once_make_one_schema(url):
    openers = start_openers(url, 4)
    for opener in openers:
        assert opener.stdin is not None
        opener.stdin.write("go\n")
        opener.stdin.flush()
    for opener in openers:
        _, errors = opener.communicate(timeout=PATIENCE_S)
        assert opener.returncode == 0, errors
    with opened(url) as store:
        assert [store.get_meta(f"hub {number}") for number in range(4)] == ["opened"] * 4
    assert version_rows(url) == [HEAD]


def test_a_database_that_is_up_to_date_needs_no_alembic_and_only_its_own_driver(url):
    with opened(url):
        pass
    for _ in ("a new one", "one that is up to date"):
        (opener,) = start_openers(url, 1)
        output, errors = opener.communicate("go\n", timeout=PATIENCE_S)
        assert opener.returncode == 0, errors
        loaded = set(output.strip().split(","))
        assert not loaded & {"alembic", "sqlalchemy.orm", "mako"}
        for name in ("psycopg", "sqlalchemy.dialects.postgresql"):
            assert (name in loaded) is url.startswith("postgresql"), name


def test_hubs_that_upgrade_at_once_do_it_once(url, later):
    keep_a_database_of_this_schema(url)
    started = threading.Barrier(3)

    def upgrade() -> None:
        database = Database(url)
        started.wait(PATIENCE_S)
        prepare(database)
        database.close()

    run_threads(*[upgrade] * 3)
    assert version_rows(url) == [NEXT]
    database = Database(url)
    with database.read() as connection:
        rows = connection.exec_driver_sql("SELECT name, colour FROM projects").all()
    database.close()
    assert [tuple(row) for row in rows] == [("demo", "blue")]
    with opened(url) as store:  # what refers to the copied table still does
        (experiment,) = store.list_experiments()
        assert experiment.project_id == store.get_project("demo").id


def test_a_migration_that_fails_changes_nothing(url, later):
    keep_a_database_of_this_schema(url)
    broken = schema.MIGRATIONS / "versions" / f"{NEXT}_colour.py"
    broken.write_text(LATER.replace("def downgrade", "    raise RuntimeError('half way')\n\n\ndef downgrade"))
    database = Database(url)
    with pytest.raises(RuntimeError, match="half way"):
        prepare(database)
    with database.read() as connection:
        columns = connection.exec_driver_sql("SELECT * FROM projects").keys()
    database.close()
    assert "colour" not in columns
    assert version_rows(url) == [HEAD]


def test_a_migration_that_orphans_rows_is_refused(tmp_path, later):
    url = f"sqlite:///{tmp_path / 'relive.db'}"
    keep_a_database_of_this_schema(url)
    careless = LATER.replace("def downgrade", "    op.execute('DELETE FROM projects')\n\n\ndef downgrade")
    (schema.MIGRATIONS / "versions" / f"{NEXT}_colour.py").write_text(careless)
    database = Database(url)
    with pytest.raises(RuntimeError, match="refer to nothing"):
        prepare(database)
    database.close()
    assert version_rows(url) == [HEAD]


def test_sqlite_keeps_what_it_acknowledged_and_to_itself(tmp_path):
    path = tmp_path / "relive.db"
    with opened(f"sqlite:///{path}", durable=True) as store:
        store.set_meta("key", "value")
        for name in ("relive.db", "relive.db-wal", "relive.db-shm"):
            assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600, name
        with store._db.engine.connect() as connection:
            pragmas = {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}


def test_sqlite_takes_its_file_when_a_write_begins_and_not_when_a_read_does(tmp_path):
    path = tmp_path / "relive.db"
    with opened(f"sqlite:///{path}") as store, closing(_at_once(path)) as other:
        with store._db.write() as connection:
            driver: Any = connection.connection.dbapi_connection
            assert driver.in_transaction
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("BEGIN IMMEDIATE")
        with store._db.read() as connection, store._db.read(snapshot=True) as snapshot:
            before = [
                it.exec_driver_sql("SELECT count(*) FROM meta").scalar_one() for it in (connection, snapshot)
            ]
            other.execute("INSERT INTO meta (key, value) VALUES ('key', '1')")
            after = [
                it.exec_driver_sql("SELECT count(*) FROM meta").scalar_one() for it in (connection, snapshot)
            ]
        # The snapshot alone still sees the moment at which it was begun.
        assert (after[0] - before[0], after[1] - before[1]) == (1, 0)


def _at_once(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=0, isolation_level=None)


def test_no_statement_looks_for_listeners(tmp_path):
    with opened(f"sqlite:///{tmp_path / 'relive.db'}") as store:
        store.set_meta("key", "value")
        assert not store._db.engine._has_events
        assert not store._db.engine.dialect._has_events


def test_postgresql_keeps_what_it_acknowledged(postgres_url):
    url = postgres_url()
    off = f"{url}&options=-c%20synchronous_commit%3Doff"
    with opened(off) as store, store._db.engine.connect() as connection:
        shown = {
            name: connection.exec_driver_sql(f"SHOW {name}").scalar()
            for name in ("synchronous_commit", "application_name", "lock_timeout")
        }
    assert shown == {"synchronous_commit": "on", "application_name": "relive", "lock_timeout": "30s"}
    strict = f"{url}&options=-c%20synchronous_commit%3Dremote_apply"
    with opened(strict) as store, store._db.engine.connect() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "remote_apply"


def test_postgresql_measures_leases_with_the_servers_clock(postgres_url, monkeypatch):
    url = postgres_url()
    with opened(url) as store:
        monkeypatch.setattr(time, "time", lambda: 5.0)
        assert store.now() > 1e9
        assert store.hold_lock("scheduler", "one", lease_s=60.0)
        assert not store.hold_lock("scheduler", "two", lease_s=60.0)
        created = store.create_project("demo").created_at
        assert abs(store.now() - created) < PATIENCE_S


@pytest.mark.parametrize(
    "scheme", ["postgresql://", "postgresql+psycopg://"], ids=["plain", "with the driver's name"]
)
def test_both_ways_to_write_postgresql_are_one(postgres_url, scheme):
    url = postgres_url().replace("postgresql+psycopg://", scheme)
    with opened(url) as store:
        assert store.list_projects() == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "relive.db",
        "mysql://ann:hunter2@localhost/x",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///x.db?mode=ro",
        "postgresql+asyncpg://ann:hunter2@localhost/x",
        "postgresql://ann:hunter2@host:port/x",
    ],
)
def test_what_names_no_database_of_ours_is_refused_without_its_password(url):
    with pytest.raises(InvalidInput, match="database URL") as caught:
        Database(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("what", ["no folder", "a folder", "not a database", "a broken one"])
def test_a_file_that_cannot_be_a_database_is_named(tmp_path, what):
    path = tmp_path / "relive.db"
    if what == "no folder":
        path = tmp_path / "absent" / "relive.db"
    elif what == "a folder":
        path.mkdir()
    elif what == "not a database":
        path.write_bytes(b"these are the notes of a meeting\n" * 100)
    else:
        with opened(f"sqlite:///{path}"):
            pass
        path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 8192)
    with pytest.raises(DatabaseUnreachable, match=r"relive\.db"), opened(f"sqlite:///{path}") as store:
        store.list_runs()


def test_a_server_that_is_not_there_is_named_without_its_password(tmp_path):
    url = f"postgresql://ann:hunter2@/x?host={tmp_path}"
    with pytest.raises(DatabaseUnreachable) as caught, opened(url):
        pass
    assert "hunter2" not in str(caught.value)
    assert str(tmp_path) in str(caught.value).replace("%2F", "/")


def test_a_database_that_the_server_does_not_have_is_named(postgres_url):
    url = postgres_url().replace("/relive_", "/no_such_")
    with pytest.raises(DatabaseUnreachable, match="no_such_"), opened(url):
        pass


def keep_a_database_of_this_schema(url: str) -> None:
    """Make one as the relive before `later` would have."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema, "HEAD", HEAD)
        with opened(url) as store:
            store.ensure_experiment(store.create_project("demo").id, "default")


def version_rows(url: str) -> list[str]:
    database = Database(url)
    with database.read() as connection:
        found = list(connection.execute(VERSION.select()).scalars())
    database.close()
    return found
