"""Metrics: every point in a narrow table, and of each series a summary that is always up to date."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, bindparam, case, func, insert, select, update

from relive.core.run import Metric, MetricSummary
from relive.errors import InvalidInput
from relive.stores.sql.fences import hold_run
from relive.stores.sql.part import StorePart, chunks
from relive.stores.sql.reduction import FEWEST, reduce_series
from relive.stores.sql.summary import Place, Summary, merge, place_of, summarise, value_of
from relive.stores.sql.tables.runs import metric_batches, metric_points, metric_series

_SERIES: Final = metric_series.c
_POINTS: Final = metric_points.c
_ROWS_A_FETCH: Final = 10_000

# Points are the most frequent rows of all: past SQLAlchemy, which would look at each, to the driver.
_COLUMNS: Final = "metric_points (series_id, step, at, value, is_nan)"
_INSERT_SQLITE: Final = f"INSERT INTO {_COLUMNS} VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"  # noqa: S608
# One statement with five lists is five times as fast as a statement a row.
_INSERT_POSTGRES: Final = (
    f"INSERT INTO {_COLUMNS} SELECT * FROM"  # noqa: S608
    " unnest(%s::bigint[], %s::bigint[], %s::float8[], %s::float8[], %s::bigint[]) ON CONFLICT DO NOTHING"
)
_UPDATE: Final = update(metric_series).where(_SERIES.id == bindparam("series_id"))
_KNOWN: Final = select(metric_series).where(
    _SERIES.run_id == bindparam("run_id"), _SERIES.key.in_(bindparam("keys", expanding=True))
)


class _Series(NamedTuple):
    """A series as it stands: its number, and the summary of its points."""

    id: int
    summary: Summary


class SqlMetrics(StorePart):
    """See `ports.stores.RunStore`."""

    def record_metrics(
        self, run_id: str, metrics: Sequence[Metric], *, fence: int | None = None, batch: str = ""
    ) -> None:
        by_key = _by_key(metrics)
        with self._db.write() as connection:
            # The run's row is locked from here on: nobody else changes its series.
            hold_run(connection, run_id, fence)
            if batch and not self._is_new(connection, run_id, batch):
                return
            if by_key:
                self._append(connection, run_id, by_key)

    def list_metrics(self, run_ids: Sequence[str]) -> list[MetricSummary]:
        found: list[MetricSummary] = []
        with self._db.read() as connection:
            for some in chunks(run_ids):
                query = select(metric_series).where(_SERIES.run_id.in_(some))
                rows = connection.execute(query.order_by(_SERIES.run_id, _SERIES.key))
                found += map(_for_people, rows)
        return found

    def get_series(self, run_id: str, key: str, *, max_points: int | None = None) -> list[Metric]:
        if max_points is not None and max_points < FEWEST:
            raise InvalidInput(field="max_points", value=max_points, wanted=f"{FEWEST} or more, or none")
        query = select(_SERIES.id, _SERIES["count"]).where(_SERIES.run_id == run_id, _SERIES.key == key)
        with self._db.read(snapshot=True) as connection:
            series = connection.execute(query).one_or_none()
            if series is None:
                return []
            series_id, count = series
            points = _points(connection, series_id, key)
            return list(points) if max_points is None else reduce_series(points, count, max_points)

    def _is_new(self, connection: Connection, run_id: str, batch: str) -> bool:
        values = {"run_id": run_id, "batch": batch, "at": self._db.moment()}
        insert_new = self._db.insert(metric_batches).values(values).on_conflict_do_nothing()
        return connection.execute(insert_new.returning(metric_batches.c.batch)).first() is not None

    def _append(self, connection: Connection, run_id: str, by_key: dict[str, dict[Place, None]]) -> None:
        known = _known(connection, run_id, list(by_key))
        added = {key: summarise(places) for key, places in by_key.items()}
        fresh = {key: summary for key, summary in added.items() if key not in known}
        ids = {key: series.id for key, series in known.items()} | _create(connection, run_id, fresh)
        rows = [
            (ids[key], step, at, value, 0 if is_number else 1)
            for key, places in by_key.items()
            for step, at, is_number, value in places
        ]
        kept = self._insert(connection, rows)
        if known:
            merged = [(series.id, merge(series.summary, added[key])) for key, series in known.items()]
            connection.execute(_UPDATE, [{"series_id": id_, **_to_row(summary)} for id_, summary in merged])
        if kept != len(rows):
            _count_again(connection, list(ids.values()))

    def _insert(self, connection: Connection, rows: list[tuple[Any, ...]]) -> int:
        """Insert points that are not there yet; gives how many."""
        preserve = {"preserve_rowcount": True}
        if self._db.is_sqlite:
            return connection.exec_driver_sql(_INSERT_SQLITE, rows, execution_options=preserve).rowcount
        columns = tuple(list(column) for column in zip(*rows, strict=True))
        return connection.exec_driver_sql(_INSERT_POSTGRES, columns, execution_options=preserve).rowcount


def _by_key(metrics: Sequence[Metric]) -> dict[str, dict[Place, None]]:
    """Sort points by their key, each point once and in the order they came, which is how they lie together.

    Two points of a series with the same step, time and value are one, as in MLflow: a client that is not
    sure whether its message arrived sends it again.
    """
    by_key: dict[str, dict[Place, None]] = {}
    for metric in metrics:
        try:
            # 0.0 + x: SQLite keeps no negative zero, so none is kept anywhere.
            place = place_of(metric.step, 0.0 + metric.at, 0.0 + metric.value)
        except (TypeError, OverflowError) as error:
            wanted = f"numbers ({error})"
            raise InvalidInput(field=f"metric {metric.key!r}", value=metric, wanted=wanted) from error
        if not math.isfinite(place[1]):
            raise InvalidInput(field=f"time of metric {metric.key!r}", value=metric.at, wanted="seconds")
        by_key.setdefault(metric.key, {})[place] = None
    return by_key


def _known(connection: Connection, run_id: str, keys: list[str]) -> dict[str, _Series]:
    found: dict[str, _Series] = {}
    for some in chunks(keys):
        for row in connection.execute(_KNOWN, {"run_id": run_id, "keys": some}):
            found[row.key] = _Series(row.id, _from_row(row))
    return found


def _create(connection: Connection, run_id: str, summaries: dict[str, Summary]) -> dict[str, int]:
    """Create series; gives the number of each."""
    if not summaries:
        return {}
    rows = [{"run_id": run_id, "key": key, **_to_row(summary)} for key, summary in summaries.items()]
    created = connection.execute(insert(metric_series).returning(_SERIES.key, _SERIES.id), rows)
    return {row.key: row.id for row in created}


def _count_again(connection: Connection, series_ids: list[int]) -> None:
    """Set the counts of series of which some points were there already."""
    counted = select(func.count()).where(_POINTS.series_id == _SERIES.id).scalar_subquery()
    for some in chunks(series_ids):
        connection.execute(update(metric_series).where(_SERIES.id.in_(some)).values(count=counted))


def _points(connection: Connection, series_id: int, key: str) -> Iterator[Metric]:
    order = (_POINTS.step, _POINTS.at, _POINTS.is_nan.desc(), _POINTS.value)
    value = case((_POINTS.is_nan == 1, None), else_=_POINTS.value)
    query = select(_POINTS.step, _POINTS.at, value).where(_POINTS.series_id == series_id).order_by(*order)
    rows = connection.execution_options(yield_per=_ROWS_A_FETCH).execute(query)
    for step, at, number in rows:
        yield Metric(key, _number(number), step, at)


def _to_row(summary: Summary) -> dict[str, Any]:
    first, last = summary.first, summary.last
    return {
        "first": _nullable(value_of(first)),
        "first_step": first[0],
        "first_at": first[1],
        "last": _nullable(value_of(last)),
        "last_step": last[0],
        "last_at": last[1],
        "min": _nullable(summary.lowest),
        "max": _nullable(summary.highest),
        "count": summary.points,
    }


def _from_row(row: Row[Any]) -> Summary:
    return Summary(
        first=place_of(row.first_step, row.first_at, _number(row.first)),
        last=place_of(row.last_step, row.last_at, _number(row.last)),
        lowest=_number(row.min),
        highest=_number(row.max),
        points=row._mapping["count"],
    )


def _for_people(row: Row[Any]) -> MetricSummary:
    return MetricSummary(
        run_id=row.run_id,
        key=row.key,
        last=_number(row.last),
        last_step=row.last_step,
        min=_number(row.min),
        max=_number(row.max),
        first=_number(row.first),
        count=row._mapping["count"],
        at=row.last_at,
    )


def _number(value: float | None) -> float:
    """Give NULL as NaN."""
    return math.nan if value is None else value


def _nullable(value: float) -> float | None:
    """Give NaN as NULL, which SQLite makes of it anyway, and PostgreSQL then too."""
    return None if math.isnan(value) else value
