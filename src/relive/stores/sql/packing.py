"""When the rows of series are packed into chunks: at a run's end, and earlier where they are many.

`metric_tails` names the runs that have something to pack, written in the transaction of the points. So a hub
that is killed forgets nothing, and finds its work without looking at every series.
"""

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, case, delete, func, or_, select, true, update

from relive.core.run import RunStatus
from relive.stores.sql.chunks import MOST, pack_rows
from relive.stores.sql.fences import hold_run
from relive.stores.sql.part import StorePart
from relive.stores.sql.tables.runs import metric_series, metric_tails, runs

# Fewer rows take no more room than the chunk that would hold them.
WORTH_IT: Final = 16
# A run that goes on keeps fewer rows than this in each series, or about as many while they wait.
LONG: Final = MOST // 4
# Series that one transaction packs: other writers wait meanwhile.
_MOST_SERIES: Final = 64

_SERIES: Final = metric_series.c
_PACKED: Final = func.coalesce(_SERIES.packed, 0)
_N_ROWS: Final = _SERIES["count"] - _PACKED
_ENDED: Final = runs.c.status.in_([status for status in RunStatus if status.is_final])
_NEXT: Final = (
    select(metric_tails.c.run_id)
    .join(runs, runs.c.id == metric_tails.c.run_id)
    .where(or_(metric_tails.c.is_long == true(), _ENDED))
    .limit(1)
)


class SqlPacking(StorePart):
    """See `ports.stores.RunStore`."""

    def pack_metrics(self) -> bool:
        with self._db.read() as connection:
            run_id = connection.execute(_NEXT).scalar()
        if run_id is None:
            return False
        with self._db.write() as connection:
            hold_run(connection, run_id, None)
            if _pack_run(connection, run_id):
                _forget(connection, run_id)
        return True


def note_tails(connection: Connection, run_id: str, growths: Iterable[tuple[int, int]]) -> None:
    """Note that a run has something to pack, if it now has.

    Args:
        growths: Of each series that grew, how many rows it had and has.
    """
    is_new = is_long = False
    for before, after in growths:
        is_new |= before < WORTH_IT <= after
        is_long |= before < LONG <= after
    if not is_new and not is_long:
        return
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert
    else:
        from sqlalchemy.dialects.postgresql import insert  # type: ignore[assignment]
    note = insert(metric_tails).values(run_id=run_id, is_long=is_long)
    if is_long:
        note = note.on_conflict_do_update(index_elements=["run_id"], set_={"is_long": True})
    else:
        note = note.on_conflict_do_nothing()
    connection.execute(note)


def _pack_run(connection: Connection, run_id: str) -> bool:
    """Pack some of a run's rows; tells whether all are packed that should be."""
    least = case((_ENDED, WORTH_IT), else_=LONG)
    query = select(_SERIES.id, _N_ROWS).join(runs, runs.c.id == _SERIES.run_id)
    query = query.where(_SERIES.run_id == run_id, least <= _N_ROWS).order_by(_SERIES.id).limit(_MOST_SERIES)
    moved = 0
    found = connection.execute(query).all()
    for series_id, n_rows in found:
        n_moved = pack_rows(connection, series_id)
        _count_packed(connection, series_id, n_moved)
        moved += n_moved
        if moved >= MOST or n_moved < n_rows:
            return False
    return len(found) < _MOST_SERIES


def _count_packed(connection: Connection, series_id: int, n_moved: int) -> None:
    grown = update(metric_series).where(_SERIES.id == series_id).values(packed=_PACKED + n_moved)
    connection.execute(grown)


def _forget(connection: Connection, run_id: str) -> None:
    """Say that nothing waits: until the run ends, or of an ended one until more comes."""
    ended = select(_ENDED).where(runs.c.id == run_id).scalar_subquery()
    connection.execute(delete(metric_tails).where(metric_tails.c.run_id == run_id, ended))
    connection.execute(update(metric_tails).where(metric_tails.c.run_id == run_id).values(is_long=False))
