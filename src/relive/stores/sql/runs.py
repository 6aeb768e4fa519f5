"""Runs themselves; what they record is in `records`, `metrics` and `logs`."""

import re
from typing import Any, Final, Unpack

from sqlalchemy import Connection, delete, func, insert, or_, select

from relive.core.run import Run, RunStatus
from relive.errors import Ambiguous, NotFound
from relive.ports.stores import RunFilter
from relive.stores.sql.fences import hold_run
from relive.stores.sql.part import StorePart
from relive.stores.sql.rows import Kept
from relive.stores.sql.run_pages import conditions, is_deleted, page, words_of
from relive.stores.sql.tables.runs import run_words, runs

RUNS: Final = Kept(
    Run, runs, "run", fixed=("id", "project_id", "experiment_id", "kind", "created_at", "fence", "job_id")
)

_HEX: Final = re.compile("[0-9a-f]{1,31}")
_MOST_CANDIDATES: Final = 10
_MOST_SILENT: Final = 1000


class SqlRuns(StorePart):
    """See `ports.stores.RunStore`."""

    def create_run(self, run: Run) -> Run:
        with self._db.write() as connection:
            created = RUNS.insert(connection, run, created_at=run.created_at or self._db.moment())
            _index_words(connection, created)
        return created

    def get_run(self, run_id: str) -> Run:
        with self._db.read() as connection:
            return RUNS.find_id(connection, run_id) or _by_prefix(connection, run_id)

    def find_run(self, run_id: str) -> Run | None:
        with self._db.read() as connection:
            return RUNS.find_id(connection, run_id)

    def list_runs(
        self, *, order: str = "-created_at", limit: int = 100, offset: int = 0, **narrow: Unpack[RunFilter]
    ) -> list[Run]:
        span = slice(offset, offset + limit)
        with self._db.read(snapshot=True) as connection:
            where = conditions(connection, narrow)
            deleted = narrow.get("deleted", False)
            rows = page(connection, RUNS.columns, where, order, span=span, deleted=deleted)
            return [RUNS.read(row) for row in rows]

    def count_runs(
        self, *, project_id: str | None = None, status: str | None = None, most: int | None = None
    ) -> int:
        with self._db.read() as connection:
            where = conditions(connection, {"project_id": project_id, "status": status})
            found = select(runs.c.id).where(*where, is_deleted(False))
            some = found.limit(None if most is None else most + 1).subquery()
            return connection.execute(select(func.count()).select_from(some)).scalar_one()

    def set_run(self, run_id: str, *, fence: int | None = None, **changes: Any) -> Run:
        with self._db.write() as connection:
            hold_run(connection, run_id, fence)
            changed = RUNS.change(connection, run_id, changes)
            assert changed is not None  # `hold_run` found it
            if changes.keys() & {"name", "stage", "commit"}:
                connection.execute(delete(run_words).where(run_words.c.run_id == run_id))
                _index_words(connection, changed)
        return changed

    def list_silent_runs(self, *, before: float, after: float) -> list[Run]:
        is_off = or_(runs.c.heard_at < before, runs.c.heard_at > after)
        query = RUNS.select(runs.c.status == RunStatus.RUNNING, is_off).limit(_MOST_SILENT)
        with self._db.read() as connection:
            return RUNS.all(connection, query)


def _by_prefix(connection: Connection, prefix: str) -> Run:
    """Give the one run whose id begins so."""
    if not _HEX.fullmatch(prefix):
        raise NotFound(kind="run", name=prefix)
    first, last = prefix.ljust(32, "0"), prefix.ljust(32, "f")
    query = RUNS.select(runs.c.id >= first, runs.c.id <= last, runs.c.deleted_at.is_(None))
    found = RUNS.all(connection, query.order_by(runs.c.id).limit(_MOST_CANDIDATES))
    if not found:
        raise NotFound(kind="run", name=prefix)
    if len(found) > 1:
        raise Ambiguous(kind="run", name=prefix, candidates=tuple(run.id for run in found))
    return found[0]


def _index_words(connection: Connection, run: Run) -> None:
    words = words_of(f"{run.id} {run.commit} {run.name} {run.stage}")
    connection.execute(insert(run_words), [{"word": word, "run_id": run.id} for word in words])
