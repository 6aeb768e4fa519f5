"""Rows of points, past SQLAlchemy, which would look at each: they are the most frequent rows of all."""

from collections.abc import Generator, Sequence
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, Connection, case, delete, literal, select, tuple_

from relive.stores.sql.columns import FLOAT, WHOLE
from relive.stores.sql.summary import Place
from relive.stores.sql.tables.runs import metric_points

# Series, step, time, value (0 for NaN), whether it is NaN.
PointRow: TypeAlias = tuple[int, int, float, float, int]

_COLUMNS: Final = "series_id, step, at, value, is_nan"
_INSERT_SQLITE: Final = (
    f"INSERT INTO metric_points ({_COLUMNS}) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"  # noqa: S608
)
_DELETE_SQLITE: Final = (
    "DELETE FROM metric_points WHERE series_id=? AND step=? AND at=? AND value=? AND is_nan=?"
)
_FIRST_SQLITE: Final = (
    "SELECT step, at, 1 - is_nan, value FROM metric_points WHERE series_id = ?"
    " ORDER BY step, at, value, is_nan LIMIT ?"  # the primary key's order: nothing is sorted
)
_FIRST_POSTGRES: Final = _FIRST_SQLITE.replace("?", "%s")
# One statement with five lists is five times as fast as a statement a row.
_LISTS: Final = "unnest(%s::bigint[], %s::bigint[], %s::float8[], %s::float8[], %s::bigint[])"
_INSERT_POSTGRES: Final = (
    f"INSERT INTO metric_points ({_COLUMNS}) SELECT * FROM {_LISTS} ON CONFLICT DO NOTHING"  # noqa: S608
)
_DELETE_POSTGRES: Final = (
    f"DELETE FROM metric_points p USING {_LISTS} AS gone ({_COLUMNS})"  # noqa: S608
    " WHERE (p.series_id, p.step, p.at, p.value, p.is_nan)"
    " = (gone.series_id, gone.step, gone.at, gone.value, gone.is_nan)"
)
_ROWS: Final = metric_points.c
# NaN comes before every number of its step and time.
_IS_NUMBER: Final = case((_ROWS.is_nan == 1, 0), else_=1)
_IN_ORDER: Final = (_ROWS.step, _ROWS.at, _ROWS.is_nan.desc(), _ROWS.value)
_ROWS_A_FETCH: Final = 8192


def insert_rows(connection: Connection, rows: Sequence[PointRow]) -> int:
    """Insert points that are not there yet; gives how many."""
    return _each(connection, _INSERT_SQLITE, _INSERT_POSTGRES, rows)


def delete_rows(
    connection: Connection, series_id: int, places: Sequence[Place], following: Place | None
) -> int:
    """Delete the first rows of a series; gives how many they were.

    Args:
        places: All of them, in their order.
        following: The row that comes after them, None if there is none.
    """
    step, at, _, _ = places[-1]
    if following is None or following[:2] != (step, at):
        first = (_ROWS.series_id == series_id, tuple_(_ROWS.step, _ROWS.at) <= tuple_(*_bound(step, at)))
        return connection.execute(delete(metric_points).where(*first)).rowcount
    # A step and a time stand on both sides of the border, so that each row must be named.
    rows = [(series_id, step, at, value, 0 if is_number else 1) for step, at, is_number, value in places]
    return _each(connection, _DELETE_SQLITE, _DELETE_POSTGRES, rows)


def first_rows(connection: Connection, series_id: int, *, limit: int) -> list[Place]:
    """Give the first rows of a series in their order.

    At the limit a NaN may be left behind numbers of its step and time.
    """
    query = _FIRST_SQLITE if connection.dialect.name == "sqlite" else _FIRST_POSTGRES
    result = connection.exec_driver_sql(query, (series_id, limit))
    # The driver's own tuples are places: 1 and True are equal.
    places: list[Place] = list(result.cursor.fetchall())
    result.close()
    places.sort()
    return places


def read_rows(connection: Connection, series_id: int) -> Generator[list[Place], None, None]:
    """Give the rows of a series in their order, so many at a time that memory stays flat."""
    query = select(_ROWS.step, _ROWS.at, _IS_NUMBER, _ROWS.value).where(_ROWS.series_id == series_id)
    query = query.order_by(*_IN_ORDER).execution_options(yield_per=_ROWS_A_FETCH)
    with connection.execute(query) as rows:
        for some in rows.partitions():
            yield [(step, at, bool(is_number), value) for step, at, is_number, value in some]


def _bound(step: int, at: float) -> tuple[ColumnElement[int], ColumnElement[float]]:
    return literal(step, WHOLE), literal(at, FLOAT)


def _each(connection: Connection, sqlite: str, postgres: str, rows: Sequence[PointRow]) -> int:
    preserve = {"preserve_rowcount": True}
    if connection.dialect.name == "sqlite":
        return connection.exec_driver_sql(sqlite, list(rows), execution_options=preserve).rowcount
    columns: tuple[Any, ...] = tuple(list(column) for column in zip(*rows, strict=True))
    return connection.exec_driver_sql(postgres, columns, execution_options=preserve).rowcount
