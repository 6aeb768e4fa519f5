"""The tables' module and the migrations say the same, on both databases, up and down."""

import re
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from relive.errors import DatabaseTooNew, DatabaseUnreachable
from relive.stores.sql.engine import Database
from relive.stores.sql.schema import HEAD, MIGRATIONS, REVISIONS, VERSION, downgrade, prepare, upgrade
from relive.stores.sql.tables.base import METADATA
from tests.contract.databases import BACKENDS, fresh_url
from tests.migrations.schemas import schema_of


@pytest.fixture(params=BACKENDS)
def database(request, tmp_path):
    database = Database(fresh_url(request.param, request, tmp_path))
    yield database
    database.close()


def run_migrations(database: Database, revision: str = "head") -> None:
    with database.write() as connection:
        upgrade(connection, revision)


def schema(database: Database):
    with database.read() as connection:
        return schema_of(connection)


@pytest.fixture
def declared(request, database, tmp_path_factory):
    """Give the schema of another database of the same kind, made from the tables' module."""
    other = Database(
        fresh_url("sqlite" if database.is_sqlite else "postgresql", request, tmp_path_factory.mktemp("other"))
    )
    prepare(other)
    found = schema(other)
    other.close()
    return found


def test_the_migrations_make_what_the_tables_module_declares(database, declared):
    run_migrations(database)
    assert schema(database) == declared


# What Alembic cannot see on SQLite, the test above has compared.
@pytest.mark.filterwarnings(
    "ignore:Skipped unsupported reflection of expression-based index",
    "ignore:autogenerate skipping metadata-specified expression-based index",
)
def test_alembic_sees_no_difference_either(database):
    run_migrations(database)
    with database.read() as connection:
        opts = {"version_table": VERSION.name, "include_object": _is_comparable}
        context = MigrationContext.configure(connection, opts=opts)
        assert compare_metadata(context, METADATA) == []


def _is_comparable(_thing, name, *_):
    """Tell whether Alembic can read an index; of this one PostgreSQL writes CASE and casts in other words."""
    return name != "params_key_shown"


def test_each_migration_goes_down_and_up_again(database, declared):
    scripts = _scripts()
    revisions = [script.revision for script in scripts.walk_revisions()][::-1]
    for revision in revisions:
        run_migrations(database, revision)
        before = schema(database)
        with database.write() as connection:
            downgrade(connection, "-1")
        run_migrations(database, revision)
        assert schema(database) == before
    assert schema(database) == declared
    with database.write() as connection:
        downgrade(connection, "base")
    with database.read() as connection:
        assert not set(METADATA.tables) & _tables(connection)


def test_revisions_are_numbered_files_in_one_line():
    names = sorted(path.name for path in (MIGRATIONS / "versions").glob("*.py") if path.name != "__init__.py")
    revisions = [script.revision for script in _scripts().walk_revisions()][::-1]
    assert _scripts().get_heads() == [HEAD]
    assert [name[:4] for name in names] == revisions == list(REVISIONS)
    assert revisions == [f"{number:04}" for number in range(1, len(names) + 1)]
    assert all(re.fullmatch(r"\d{4}_[a-z0-9_]+\.py", name) for name in names)


def test_a_database_of_a_later_relive_is_left_alone(database):
    prepare(database)
    with database.write() as connection:
        connection.execute(VERSION.update().values(version_num="9999"))
    before = schema(database)
    with pytest.raises(DatabaseTooNew) as caught:
        prepare(database)
    assert (caught.value.found, caught.value.known) == ("9999", HEAD)
    assert schema(database) == before


def test_another_programs_tables_are_left_alone(database):
    with database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE runs (id INTEGER)")
    before = schema(database)
    with pytest.raises(DatabaseUnreachable, match=r"another program.*runs"):
        prepare(database)
    assert schema(database) == before


def test_a_failed_migration_leaves_nothing_half_done(database, monkeypatch):
    def fail(*_args, **_options):
        raise RuntimeError("the power went out")

    monkeypatch.setattr("relive.stores.sql.schema.insert", fail)
    with pytest.raises(RuntimeError, match="power"):
        prepare(database)
    monkeypatch.undo()
    with database.read() as connection:
        assert _tables(connection) == set()
    prepare(database)
    with database.read() as connection:
        assert set(METADATA.tables) < _tables(connection)


def _scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(Path(MIGRATIONS)))
    return ScriptDirectory.from_config(config)


def _tables(connection) -> set[str]:
    query = (
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        if connection.dialect.name == "sqlite"
        else "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    )
    return {name for (name,) in connection.exec_driver_sql(query)}
