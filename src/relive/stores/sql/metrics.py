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
from relive.stores.sql.summary import End, Summary, end_of, merge, summarise
from relive.stores.sql.tables.runs import metric_batches, metric_points, metric_series

_SERIES: Final = metric_series.c
_POINTS: Final = metric_points.c
_ROWS_A_FETCH: Final = 10_000


class _Series(NamedTuple):
    """A series as it stands: its number, and the summary of its points."""

    id: int
    summary: Summary


class SqlMetrics(StorePart):
    """See `ports.stores.RunStore`."""

    def record_metrics(
        self, run_id: str, metrics: Sequence[Metric], *, fence: int | None = None, batch: str = ""
    ) -> None:
        by_key = _checked(metrics)
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
                query = (
                    select(metric_series)
                    .where(_SERIES.run_id.in_(some))
                    .order_by(_SERIES.run_id, _SERIES.key)
                )
                found += (_for_people(row) for row in connection.execute(query))
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

    def _append(self, connection: Connection, run_id: str, by_key: dict[str, list[Metric]]) -> None:
        known = _known(connection, run_id, list(by_key))
        added = {key: summarise(points) for key, points in by_key.items()}
        fresh = {key: summary for key, summary in added.items() if key not in known}
        ids = {key: series.id for key, series in known.items()} | _create(connection, run_id, fresh)
        rows = [
            {
                "series_id": ids[key],
                "step": end.step,
                "at": end.at,
                "value": end.value,
                "is_nan": int(not end.is_number),
            }
            for key, points in by_key.items()
            for end in map(end_of, points)
        ]
        insert_new = self._db.insert(metric_points).on_conflict_do_nothing()
        kept = connection.execute(insert_new, rows, execution_options={"preserve_rowcount": True}).rowcount
        changed = {key: merge(known[key].summary, added[key]) for key in known}
        _update(connection, {ids[key]: summary for key, summary in changed.items()})
        if kept != len(rows):
            _count_again(connection, list(ids.values()))


def _checked(metrics: Sequence[Metric]) -> dict[str, list[Metric]]:
    """Sort points by their key, each point once.

    Two points of a series with the same step, time and value are one, as in MLflow: a client that is not
    sure whether its message arrived sends it again.
    """
    by_key: dict[str, dict[End, Metric]] = {}
    for metric in metrics:
        try:
            # 0.0 + x: SQLite keeps no negative zero, so none is kept anywhere.
            point = Metric(metric.key, 0.0 + metric.value, metric.step, 0.0 + metric.at)
        except (TypeError, OverflowError) as error:
            raise InvalidInput(
                field=f"metric {metric.key!r}", value=metric, wanted=f"numbers ({error})"
            ) from error
        if not math.isfinite(point.at):
            raise InvalidInput(field=f"time of metric {metric.key!r}", value=point.at, wanted="seconds")
        by_key.setdefault(metric.key, {})[end_of(point)] = point
    return {key: list(points.values()) for key, points in by_key.items()}


def _known(connection: Connection, run_id: str, keys: list[str]) -> dict[str, _Series]:
    found: dict[str, _Series] = {}
    for some in chunks(keys):
        query = select(metric_series).where(_SERIES.run_id == run_id, _SERIES.key.in_(some))
        found |= {row.key: _Series(row.id, _from_row(row)) for row in connection.execute(query)}
    return found


def _create(connection: Connection, run_id: str, summaries: dict[str, Summary]) -> dict[str, int]:
    """Create series; gives the number of each."""
    if not summaries:
        return {}
    rows = [{"run_id": run_id, "key": key, **_to_row(summary)} for key, summary in summaries.items()]
    created = connection.execute(insert(metric_series).returning(_SERIES.key, _SERIES.id), rows)
    return {row.key: row.id for row in created}


def _update(connection: Connection, summaries: dict[int, Summary]) -> None:
    if summaries:
        rows = [{"series_id": series, **_to_row(summary)} for series, summary in summaries.items()]
        connection.execute(update(metric_series).where(_SERIES.id == bindparam("series_id")), rows)


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
        yield Metric(key, math.nan if number is None else number, step, at)


def _to_row(summary: Summary) -> dict[str, Any]:
    first, last = summary.first, summary.last
    return {
        "first": first.value if first.is_number else None,
        "first_step": first.step,
        "first_at": first.at,
        "last": last.value if last.is_number else None,
        "last_step": last.step,
        "last_at": last.at,
        "min": None if math.isnan(summary.lowest) else summary.lowest,
        "max": None if math.isnan(summary.highest) else summary.highest,
        "count": summary.points,
    }


def _from_row(row: Row[Any]) -> Summary:
    return Summary(
        first=End(row.first_step, row.first_at, row.first is not None, row.first or 0.0),
        last=End(row.last_step, row.last_at, row.last is not None, row.last or 0.0),
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
    return math.nan if value is None else value
