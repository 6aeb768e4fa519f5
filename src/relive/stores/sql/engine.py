"""Connections, pragmas and transactions, in one place, each with its reason.

Nothing else in the store opens a connection. What locks what, in which order: docs/design/locking.md.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    Table,
    create_engine,
    event,
    exc,
    func,
    literal,
    make_url,
    select,
)
from sqlalchemy.sql.elements import ColumnElement

from relive.errors import DatabaseBusy, DatabaseFailed, InvalidInput
from relive.stores.sql import patterns
from relive.stores.sql.columns import FLOAT
from relive.stores.sql.faults import translated

if TYPE_CHECKING:
    from sqlalchemy.dialects.sqlite import Insert

Clock: TypeAlias = Callable[[], float]

# How long a writer waits for another before it is told that the database is busy.
WAIT_S: Final = 30.0
# RETURNING came with 3.35, STRICT tables with 3.37.
OLDEST_SQLITE: Final = (3, 37, 0)
# One number for all of relive's groups of calls; see `Database.write`.
_GROUP_LOCK: Final = 0x72656C6976650001

# A hub's threads are few; a server shared by many programs has few connections to give.
_POOL: Final = {"pool_size": 5, "max_overflow": 10, "pool_timeout": WAIT_S}

_PRAGMAS: Final = (
    # Acknowledged is durable: without FULL a power cut takes the last commits of a WAL with it.
    "PRAGMA synchronous=FULL",
    # SQLite ignores foreign keys unless each connection asks.
    "PRAGMA foreign_keys=ON",
    # Sorting a page must not write a temporary file.
    "PRAGMA temp_store=MEMORY",
    # A long reader makes the WAL grow; without a limit its file keeps that size for ever.
    "PRAGMA journal_size_limit=67108864",
)
_SESSION: Final = (
    # Acknowledged is durable, whatever the server's default is; stricter settings are left as they are.
    """SELECT set_config(name, 'on', false) FROM pg_settings
       WHERE name = 'synchronous_commit' AND setting = 'off'""",
    # A hub that hangs must not hold the others' rows for ever.
    f"SET lock_timeout = {int(WAIT_S * 1000)}",
    "SET idle_in_transaction_session_timeout = 60000",
)


class Database:
    """One database, and the transaction that each thread is in.

    Attributes:
        name: Its address without a password, for people.
        engine: Its connections. On SQLite they begin no transaction by themselves, `write` does.
    """

    def __init__(self, url: str, clock: Clock | None = None) -> None:
        """Prepare to connect; nothing is opened yet.

        Args:
            url: `sqlite:///path` or `postgresql://…`.
            clock: Gives seconds since the epoch, UTC. None takes the database's own: the server's on
                PostgreSQL, which several hubs share, this machine's on SQLite.

        Raises:
            InvalidInput: The URL names no database that relive can use.
        """
        address = parse_url(url)
        self.is_sqlite = address.get_backend_name() == "sqlite"
        self.name = address.render_as_string(hide_password=True)
        self._clock = time.time if clock is None and self.is_sqlite else clock
        with translated(self.name):
            self.engine = _sqlite_engine(address, self.name) if self.is_sqlite else _postgres_engine(address)
        self._readers = self._snapshots = self.engine
        if not self.is_sqlite:
            # One round trip, not three.
            self._readers = self.engine.execution_options(isolation_level="AUTOCOMMIT")
            self._snapshots = self.engine.execution_options(isolation_level="REPEATABLE READ")
        self._held = threading.local()
        # SQLite has one writer at a time and lets the others sleep and try; a lock queues this process's
        # threads without sleeping, so that none of them starves.
        self._writing = threading.Lock()

    @contextmanager
    def read(self, *, snapshot: bool = False) -> Iterator[Connection]:
        """Give a connection to read with; inside a group the group's own, which sees what it wrote.

        Args:
            snapshot: All reads see the same moment, however many they are.
        """
        held = self._connection()
        with translated(self.name):
            if held is not None:
                yield held
            else:
                with (self._snapshots if snapshot else self._readers).connect() as connection:
                    if snapshot and self.is_sqlite:
                        connection.exec_driver_sql("BEGIN")
                    yield connection

    @contextmanager
    def write(self, *, group: bool = False) -> Iterator[Connection]:
        """Give a connection whose writes are kept together at the end, or not at all.

        Inside another `write` of the same thread it joins that one: an error undoes this part alone, and
        nothing is kept before the outer one ends.

        Args:
            group: Hold off all other groups until the end, as SQLite does anyway. So groups cannot
                deadlock with one another whatever rows they touch, and what they number (events) becomes
                visible in the order of its numbers.
        """
        held = self._connection()
        with translated(self.name):
            if held is not None:
                with _part_of(held):
                    yield held
                return
            with self._one_writer(), self.engine.begin() as connection:
                if self.is_sqlite:
                    begin_writing(connection)
                elif group:
                    connection.execute(select(func.pg_advisory_xact_lock(_GROUP_LOCK)))
                self._held.connection = connection
                try:
                    yield connection
                finally:
                    self._held.connection = None

    def moment(self) -> ColumnElement[float]:
        """Give the present time as an expression for a statement: seconds since the epoch, UTC."""
        if self._clock is not None:
            return literal(self._clock(), FLOAT)
        # The statement's time, not the transaction's: a lease taken late in a group is not already old.
        return func.extract("epoch", func.statement_timestamp()).cast(FLOAT)

    def now(self) -> float:
        """Give the present time as a number."""
        if self._clock is not None:
            return self._clock()
        with self.read() as connection:
            return connection.execute(
                select(func.extract("epoch", func.clock_timestamp()).cast(FLOAT))
            ).scalar_one()

    def insert(self, table: Table) -> "Insert":
        """Give an INSERT that knows ON CONFLICT, which both dialects have in the same words."""
        # Each dialect's module takes long to import, and the engine has already imported the one in use.
        if self.is_sqlite:
            from sqlalchemy.dialects.sqlite import insert
        else:
            from sqlalchemy.dialects.postgresql import insert  # type: ignore[assignment]
        return insert(table)

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    def _connection(self) -> Connection | None:
        return getattr(self._held, "connection", None)

    def _one_writer(self) -> AbstractContextManager[None]:
        return self._queued() if self.is_sqlite else nullcontext()

    @contextmanager
    def _queued(self) -> Iterator[None]:
        if not self._writing.acquire(timeout=WAIT_S):
            raise DatabaseBusy(self.name, "another thread of this process is writing")
        try:
            yield
        finally:
            self._writing.release()


@contextmanager
def _part_of(held: Connection) -> Iterator[None]:
    """Undo this part alone if it fails; if even that fails, the whole of it is over."""
    part = held.begin_nested()
    try:
        yield
    except BaseException:
        try:
            part.rollback()
        except exc.SQLAlchemyError:
            # The database has undone everything by itself: SQLite does when the disk is full, a server when
            # the connection breaks. What came first is what is told, and nothing more may be written.
            held.invalidate()
        raise
    part.commit()


def begin_writing(connection: Connection) -> None:
    """Begin a transaction of SQLite that writes.

    One that reads first and writes later can fail in the middle when another wrote in between; one that
    begins by taking the write lock waits at its beginning instead. This is a statement and no listener to the
    engine's events: with one, SQLAlchemy looks for more of them a dozen times a statement, which is a fifth
    of a small write.
    """
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def parse_url(url: str) -> URL:
    """Read a database's URL and name the driver that relive uses.

    Raises:
        InvalidInput: It names no database that relive can use.
    """
    wanted = "sqlite:///path/to/file.db or postgresql://user@host/database"
    try:
        address = make_url(url)
    except (exc.ArgumentError, ValueError):
        raise InvalidInput(field="database URL", value="(not a URL)", wanted=wanted) from None
    shown = address.render_as_string(hide_password=True)
    if address.drivername in ("postgresql", "postgresql+psycopg"):
        return address.set(drivername="postgresql+psycopg")
    if address.drivername not in ("sqlite", "sqlite+pysqlite"):
        raise InvalidInput(field="database URL", value=shown, wanted=wanted)
    if not address.database or address.database == ":memory:" or address.query:
        # Each thread would get an empty database of its own.
        raise InvalidInput(field="database URL", value=shown, wanted=wanted)
    return address.set(drivername="sqlite+pysqlite")


def _sqlite_engine(address: URL, name: str) -> Engine:
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        raise DatabaseFailed(name, f"this Python has SQLite {sqlite3.sqlite_version}, relive needs {oldest}")
    path = os.path.abspath(str(address.database))
    # A connection is a file handle; threads that read must never wait for one.
    engine = create_engine(address, max_overflow=-1, creator=lambda: _open_file(path))
    event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _open_file(path: str) -> sqlite3.Connection:
    _make_private(path)
    # No isolation level: transactions begin where `Database` says, not where the driver guesses.
    return sqlite3.connect(path, timeout=WAIT_S, isolation_level=None, check_same_thread=False)


def _make_private(path: str) -> None:
    """Make a new database file readable by its owner alone: it holds the digests of tokens.

    A file that is there is not even opened: closing it would free every lock that this process's other
    connections hold on it (fcntl(2)), and the next process to close the database would delete the log under
    them, with what they have written.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError:
        return  # it is there; or SQLite says next, in its own words, why it cannot be made


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    if connection.execute("PRAGMA page_count").fetchone()[0] == 0:
        # Only a new file obeys: room that rows no longer need can then be given back piece by piece. With any
        # other this waits for whoever writes, and changes nothing.
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
    _use_wal(connection)
    # In the place of SQLAlchemy's own, which is Python's.
    connection.create_function("regexp", 2, patterns.fits, deterministic=True)
    for pragma in _PRAGMAS:
        connection.execute(pragma)


def _use_wal(connection: sqlite3.Connection) -> None:
    """Let readers read while one writes. The file remembers it, so only its first user has to ask.

    The change needs the file for itself and does not wait by itself: of two processes that open a new
    database at once, one is told that it is locked.
    """
    deadline = time.monotonic() + WAIT_S
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _postgres_engine(address: URL) -> Engine:
    engine = create_engine(
        address,
        **_POOL,
        # A server that was started again has closed our connections; asking first costs a tenth of a
        # millisecond, not asking an error for whoever comes next.
        pool_pre_ping=True,
        connect_args={"application_name": "relive", "connect_timeout": 10},
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            for statement in _SESSION:
                cursor.execute(statement)
        connection.commit()

    return engine
