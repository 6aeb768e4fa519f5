"""Brings a database's schema to the one this relive knows, whoever else starts at the same time.

Alembic is imported only if a database is behind: a hub starts in half a second, of which it would take a
third.
"""

from pathlib import Path
from typing import Final

from sqlalchemy import (
    Column,
    Connection,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    func,
    insert,
    inspect,
    select,
)

from relive.errors import DatabaseTooNew, DatabaseUnreachable
from relive.stores.sql.engine import Database, begin_writing
from relive.stores.sql.faults import translated
from relive.stores.sql.tables import (
    datasets,
    evaluation,
    hub,
    keeping,
    models,
    review,
    runs,
    traces,
    tracking,
    work,
)
from relive.stores.sql.tables.base import METADATA

# The files in migrations/versions, oldest first; a test holds the two together.
REVISIONS: Final = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008")
HEAD: Final = REVISIONS[-1]
# All tables are known to METADATA once their modules are imported.
TABLE_MODULES: Final = (datasets, evaluation, hub, keeping, models, review, runs, traces, tracking, work)

MIGRATIONS: Final = Path(__file__).parent / "migrations"
_LOCK: Final = 0x72656C6976650002
# Alembic's table, under a name of ours: other programs in the same database have their own.
VERSION: Final = Table(
    "schema_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="schema_version_pkc"),
)


def prepare(database: Database) -> None:
    """Make the tables of a new database, bring an older one up, and leave one that is right as it is.

    Raises:
        DatabaseTooNew: A later relive made its tables.
        DatabaseFailed: It cannot be used; nothing was changed.
    """
    with database.read() as connection:
        found = _version(connection)
    if found == HEAD:
        return
    if found is not None and found not in REVISIONS:
        raise DatabaseTooNew(database.name, "a later relive made its tables", found=found, known=HEAD)
    with translated(database.name), database.engine.connect() as connection:
        if database.is_sqlite:
            # Changing a SQLite table means copying it, which foreign keys would see as deleting its rows.
            # The pragma does nothing inside a transaction.
            _pragma(connection, "foreign_keys=OFF")
        try:
            _bring_up(connection, database.name, is_sqlite=database.is_sqlite)
        finally:
            if database.is_sqlite:
                _pragma(connection, "foreign_keys=ON")


def _bring_up(connection: Connection, name: str, *, is_sqlite: bool) -> None:
    """Change the schema in one transaction, after waiting for whoever else is at it."""
    with connection.begin():
        if is_sqlite:
            begin_writing(connection)
        else:
            connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
        found = _version(connection)  # again: another hub may have done it meanwhile
        if found is None:
            _refuse_strangers(connection, name)
            METADATA.create_all(connection, checkfirst=False)
            VERSION.create(connection)
            connection.execute(insert(VERSION).values(version_num=HEAD))
        elif found != HEAD:
            upgrade(connection)
        if is_sqlite and connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
            raise RuntimeError("a migration left rows that refer to nothing")  # a defect of the migration


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Run the migrations up to a revision, in the connection's transaction."""
    _alembic("upgrade", connection, revision)


def downgrade(connection: Connection, revision: str) -> None:
    """Run the migrations back to a revision ("base" for none), in the connection's transaction."""
    _alembic("downgrade", connection, revision)


def _alembic(command: str, connection: Connection, revision: str) -> None:
    # Late: see the top of this module.
    import alembic.command
    import alembic.config

    config = alembic.config.Config(attributes={"connection": connection})
    # A % in the path would be read as the beginning of a variable.
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    getattr(alembic.command, command)(config, revision)


def _refuse_strangers(connection: Connection, name: str) -> None:
    """Leave a database alone in which another program keeps tables of the same names."""
    taken = sorted(set(inspect(connection).get_table_names()) & set(METADATA.tables))
    if taken:
        reason = f"another program has tables of the same names in it ({', '.join(taken[:5])})"
        raise DatabaseUnreachable(name, reason)


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION.name):
        return None
    return connection.execute(select(VERSION.c.version_num)).scalar_one_or_none()


def _pragma(connection: Connection, pragma: str) -> None:
    # The driver's own connection: SQLAlchemy would begin a transaction first.
    driver = connection.connection.driver_connection
    assert driver is not None  # it is connected
    driver.execute(f"PRAGMA {pragma}")
