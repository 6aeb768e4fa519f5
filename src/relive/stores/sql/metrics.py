"""Metrics: every point of each series, as rows and in chunks, and a summary that is always up to date."""

from collections.abc import Sequence
from contextlib import closing
from typing import Final

from sqlalchemy import Connection

from relive.core.run import Metric, MetricSummary, RunRecords
from relive.core.series import Points, join
from relive.errors import InvalidInput
from relive.stores.sql.belonging import rows_among
from relive.stores.sql.chunks import add_chunks, find_packed, read_pieces
from relive.stores.sql.fences import hold_run
from relive.stores.sql.incoming import Incoming, sort_out
from relive.stores.sql.packing import note_tails
from relive.stores.sql.part import StorePart
from relive.stores.sql.points import insert_rows
from relive.stores.sql.reduction import FEWEST, LEAF, reduce_series
from relive.stores.sql.series import (
    SUMMARISED,
    Added,
    Series,
    count_again,
    create_series,
    find_series,
    for_people,
    set_summaries,
)
from relive.stores.sql.summary import place_at, places_of, summarise, summarise_points
from relive.stores.sql.tables.runs import metric_batches, metric_series

_SERIES: Final = metric_series.c
_OF_RUNS: Final = f'{SUMMARISED} WHERE run_id {{among}} ORDER BY run_id, "key"'


class SqlMetrics(StorePart):
    """See `ports.stores.RunStore`."""

    def record_metrics(
        self, run_id: str, metrics: Sequence[Metric], *, fence: int | None = None, batch: str = ""
    ) -> None:
        incoming = sort_out(RunRecords(metrics=metrics))
        with self._db.write() as connection:
            # The run's row is locked from here on: nobody else changes its series.
            hold_run(connection, run_id, fence)
            if batch and not self._is_new(connection, run_id, batch):
                return
            append_points(connection, run_id, incoming)

    def list_metrics(self, run_ids: Sequence[str]) -> list[MetricSummary]:
        with self._db.read() as connection:
            return [for_people(*row) for row in rows_among(connection, _OF_RUNS, run_ids)]

    def get_series(self, run_id: str, key: str, *, max_points: int | None = None) -> list[Metric]:
        return self.get_points(run_id, key, max_points=max_points).as_metrics(key)

    def get_points(self, run_id: str, key: str, *, max_points: int | None = None) -> Points:
        if max_points is not None and max_points < FEWEST:
            raise InvalidInput(field="max_points", value=max_points, wanted=f"{FEWEST} or more, or none")
        with self._db.read(snapshot=True) as connection:
            series = find_series(connection, run_id, [key]).get(key)
            if series is None:
                return join([])
            if max_points is None:
                return join(piece.points for piece in read_pieces(connection, series.id))
            summary = series.summary
            # A sketch is good enough where a bucket is as long as what it says two points of.
            sketched = 2 * summary.points >= LEAF * max_points
            pieces = read_pieces(connection, series.id, sketched=sketched)
            return reduce_series(pieces, (summary.first, summary.last), summary.points, max_points)

    def page_points(self, run_id: str, key: str, *, start: int, limit: int) -> Points:
        if start < 0 or limit < 0:
            raise InvalidInput(field="start, limit", value=(start, limit), wanted="0 or more")
        found: list[Points] = []
        passed, end = 0, start + limit
        with self._db.read(snapshot=True) as connection:
            series = find_series(connection, run_id, [key]).get(key)
            if series is None:
                return join([])
            with closing(read_pieces(connection, series.id, skip=start)) as pieces:
                for points, stands_for in pieces:
                    is_whole = start <= passed and passed + stands_for <= end
                    found.append(
                        points if is_whole else points.part(max(0, start - passed), max(0, end - passed))
                    )
                    passed += stands_for
                    if passed >= end:
                        break
        return join(found)

    def _is_new(self, connection: Connection, run_id: str, batch: str) -> bool:
        values = {"run_id": run_id, "batch": batch, "at": self._db.moment()}
        insert_new = self._db.insert(metric_batches).values(values).on_conflict_do_nothing()
        return connection.execute(insert_new.returning(metric_batches.c.batch)).first() is not None


def append_points(connection: Connection, run_id: str, incoming: Incoming) -> None:
    """Append points to the series of a run, whose row is locked."""
    keys = [*incoming.stretches, *incoming.places]
    if not keys:
        return
    known = find_series(connection, run_id, keys)
    stretches, places = _settle(incoming, known)
    added = {key: Added(summarise_points(points), len(points)) for key, points in stretches.items()}
    added |= {key: Added(summarise(some)) for key, some in places.items()}
    # Only what does not come after all points there are may be among them already.
    late = [key for key, it in known.items() if added[key].summary.first <= it.summary.last]
    for key in late:
        if known[key].packed:
            for place in find_packed(connection, known[key].id, places[key]):
                del places[key][place]
            added[key] = Added(
                summarise(places[key]) if places[key] else known[key].summary._replace(points=0)
            )
    fresh = {key: it for key, it in added.items() if key not in known}
    series = known | create_series(connection, run_id, fresh) if fresh else known
    rows = [
        (series[key].id, step, at, value, 0 if is_number else 1)
        for key, some in places.items()
        for step, at, is_number, value in some
    ]
    kept = insert_rows(connection, rows) if rows else 0
    if stretches:
        add_chunks(connection, {series[key].id: points for key, points in stretches.items()})
    set_summaries(connection, [it.grown(added[key]) for key, it in known.items()])
    if kept != len(rows):
        count_again(connection, [known[key].id for key in late])
    note_tails(connection, run_id, [_growth(known.get(key), added[key].summary.points) for key in places])


def _settle(incoming: Incoming, known: dict[str, Series]) -> Incoming:
    """Let a stretch be a chunk only where it comes after all that its series has."""
    places = dict(incoming.places)
    stretches: dict[str, Points] = {}
    for key, points in incoming.stretches.items():
        if key in known and place_at(points, 0) <= known[key].summary.last:
            places[key] = dict.fromkeys(places_of(points))
        else:
            stretches[key] = points
    return Incoming(stretches, places)


def _growth(series: Series | None, n_added: int) -> tuple[int, int]:
    """Give how many rows a series had, and how many it has now."""
    before = 0 if series is None else series.n_rows
    return before, before + n_added
