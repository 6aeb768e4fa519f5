"""Series of a run and the summaries of their points, read and written many at a time.

A batch may hold thousands of keys, so these are the driver's own statements: SQLAlchemy's cost more than the
rest of the call.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import Connection, func, select, update

from relive.core.run import MetricSummary
from relive.errors import InvalidInput
from relive.stores.sql.columns import LONGEST_KEY_BYTES, Words
from relive.stores.sql.part import chunks
from relive.stores.sql.summary import Summary, merge, place_of, value_of
from relive.stores.sql.tables.runs import metric_points, metric_series

_SERIES: Final = metric_series.c
_KEY: Final = Words("metric", LONGEST_KEY_BYTES)
# A summary's columns, with what PostgreSQL calls their types.
_KEPT: Final = {
    "first": "float8",
    "first_step": "bigint",
    "first_at": "float8",
    "last": "float8",
    "last_step": "bigint",
    "last_at": "float8",
    "min": "float8",
    "max": "float8",
    "count": "bigint",
}


# What is written of a series besides.
_WRITTEN: Final = _KEPT | {"packed": "bigint"}


def _names(names: Iterable[str], pattern: str = '"{}"') -> str:
    return ", ".join(pattern.format(name) for name in names)


def _lists(types: Iterable[str]) -> str:
    return f"unnest({_names(types, '%s::{}[]')})"


SUMMARISED: Final = f'SELECT run_id, "key", {_names(_KEPT)} FROM metric_series'  # noqa: S608
"""The beginning of a query whose rows `for_people` reads."""
_FIND: Final = f'SELECT "key", id, packed, {_names(_KEPT)} FROM metric_series WHERE run_id = '  # noqa: S608
_FIND_SQLITE: Final = _FIND + '? AND "key" IN (SELECT value FROM json_each(?))'  # noqa: S608
_FIND_POSTGRES: Final = _FIND + '%s AND "key" = ANY(%s::text[])'
_INSERT: Final = f'INSERT INTO metric_series ({_names(_WRITTEN)}, "key", run_id) '
_INSERT_SQLITE: Final = f"{_INSERT} VALUES ({_names([*_WRITTEN, 'key', 'run_id'], '?')})"
_INSERT_POSTGRES: Final = f"{_INSERT} SELECT * FROM {_lists([*_WRITTEN.values(), 'text', 'text'])}"  # noqa: S608
_UPDATE_SQLITE: Final = f"UPDATE metric_series SET {_names(_WRITTEN, '{} = ?')} WHERE id = ?"  # noqa: S608
_UPDATE_POSTGRES: Final = (
    f"UPDATE metric_series s SET {_names(_WRITTEN, '{0} = u.{0}')}"  # noqa: S608
    f" FROM {_lists([*_WRITTEN.values(), 'bigint'])} AS u ({_names(_WRITTEN)}, id) WHERE s.id = u.id"
)


class Series(NamedTuple):
    """A series as it stands.

    Attributes:
        id: Its number.
        packed: How many of its points lie in chunks; the others are rows.
        summary: Of all its points.
    """

    id: int
    packed: int
    summary: Summary

    @property
    def n_rows(self) -> int:
        """Give how many of its points are rows."""
        return self.summary.points - self.packed

    def grown(self, added: "Added") -> "Series":
        """Give the series as it stands with more points."""
        return Series(self.id, self.packed + added.n_packed, merge(self.summary, added.summary))


class Added(NamedTuple):
    """Points that are added to a series.

    Attributes:
        summary: Of them all.
        n_packed: How many of them lie in chunks already.
    """

    summary: Summary
    n_packed: int = 0


def find_series(connection: Connection, run_id: str, keys: Sequence[str]) -> dict[str, Series]:
    """Give those series of a run that there are.

    Raises:
        InvalidInput: A key is none that a database can hold.
    """
    for key in keys:
        _KEY.process_bind_param(key, connection.dialect)
    if connection.dialect.name == "sqlite":
        rows = connection.exec_driver_sql(_FIND_SQLITE, (run_id, msgspec.json.encode(keys).decode()))
    else:
        rows = connection.exec_driver_sql(_FIND_POSTGRES, (run_id, list(keys)))
    return {
        key: Series(id_, packed or 0, _summary(*kept)) for key, id_, packed, *kept in rows.cursor.fetchall()
    }


def create_series(connection: Connection, run_id: str, added: dict[str, Added]) -> dict[str, Series]:
    """Create series with the points that are added to them.

    Raises:
        InvalidInput: One has no name: nobody could ask for it.
    """
    if "" in added:
        raise InvalidInput(field="metric", value="", wanted="a name")
    _each(
        connection,
        (_INSERT_SQLITE, _INSERT_POSTGRES),
        [(*_values(summary), n_packed, key, run_id) for key, (summary, n_packed) in added.items()],
    )
    return find_series(connection, run_id, list(added))


def set_summaries(connection: Connection, grown: Iterable[Series]) -> None:
    """Write how series stand now."""
    rows = [(*_values(it.summary), it.packed, it.id) for it in grown]
    _each(connection, (_UPDATE_SQLITE, _UPDATE_POSTGRES), rows)


def count_again(connection: Connection, series_ids: Sequence[int]) -> None:
    """Set the counts of series of which some points were there already."""
    rows = select(func.count()).where(metric_points.c.series_id == _SERIES.id).scalar_subquery()
    counted = func.coalesce(_SERIES.packed, 0) + rows
    for some in chunks(series_ids):
        connection.execute(update(metric_series).where(_SERIES.id.in_(some)).values(count=counted))


def for_people(run_id: str, key: str, *kept: Any) -> MetricSummary:
    """Give a row of `SUMMARISED` as what tables of runs show."""
    first, _, _, last, last_step, last_at, lowest, highest, count = kept
    return MetricSummary(
        run_id=run_id,
        key=key,
        last=_number(last),
        last_step=last_step,
        min=_number(lowest),
        max=_number(highest),
        first=_number(first),
        count=count,
        at=last_at,
    )


def _each(connection: Connection, statements: tuple[str, str], rows: list[tuple[Any, ...]]) -> None:
    if rows and connection.dialect.name == "sqlite":
        connection.exec_driver_sql(statements[0], rows)
    elif rows:
        connection.exec_driver_sql(statements[1], tuple(list(column) for column in zip(*rows, strict=True)))


def _values(summary: Summary) -> Iterator[Any]:
    """Give a summary as the columns of `_KEPT`; NULL stands for NaN."""
    for place in (summary.first, summary.last):
        yield from (_nullable(value_of(place)), place[0], place[1])
    yield from (_nullable(summary.lowest), _nullable(summary.highest), summary.points)


def _summary(*kept: Any) -> Summary:
    first, first_step, first_at, last, last_step, last_at, lowest, highest, count = kept
    return Summary(
        first=place_of(first_step, first_at, _number(first)),
        last=place_of(last_step, last_at, _number(last)),
        lowest=_number(lowest),
        highest=_number(highest),
        points=count,
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _nullable(value: float) -> float | None:
    return None if math.isnan(value) else value
