"""Keeping house: which blobs are referred to, which are pinned, and room that is given back."""

import re
from collections.abc import Collection, Iterator
from typing import Any, Final

from sqlalchemy import (
    Column,
    Connection,
    Table,
    Text,
    delete,
    func,
    or_,
    select,
    true,
    tuple_,
    type_coerce,
    update,
)

from relive.core.job import JobKind, JobState
from relive.core.pipeline import PipelineStatus
from relive.core.run import RunKind, RunStatus
from relive.stores.sql.columns import Json, Words
from relive.stores.sql.part import StorePart, chunks
from relive.stores.sql.tables.base import METADATA
from relive.stores.sql.tables.hub import tokens
from relive.stores.sql.tables.keeping import blob_pins
from relive.stores.sql.tables.runs import metric_batches, runs
from relive.stores.sql.tables.work import jobs, pipelines

_PINS: Final = blob_pins.c
_BATCHES: Final = metric_batches.c
# Wherever a digest stands in a text, alone, in JSON or in an address, it is a reference: what is kept for too
# long costs room, what is deleted too early costs a model.
_DIGEST: Final = re.compile(r"blake3:[0-9a-f]{64}")
_LIKE: Final = "%blake3:%"
# Tables that are large and hold no text of ours but names, and the one that would pin what it lists.
_WITHOUT: Final = {
    *("metric_series", "run_words", "metric_tails", "metric_batches", blob_pins.name),
    *("traces", "trace_tags", "trace_metadata", "trace_numbers", "spans", "run_traces", "trace_prompts"),
}
_UNFINISHED: Final = [state for state in JobState if not state.is_final]
_MAKING: Final = (JobKind.STAGE, JobKind.ENVIRONMENT, JobKind.DESCRIBE, JobKind.PLAN)
_ACTIVE: Final = [status for status in PipelineStatus if not status.is_final]
_ROWS_A_FETCH: Final = 1000
_BATCHES_A_STEP: Final = 20_000


class SqlKeeping(StorePart):
    """See `ports.housekeeping.KeepingStore`."""

    def list_digests(self) -> Iterator[set[str]]:
        for table in METADATA.sorted_tables:
            texts = [] if table.name in _WITHOUT else list(filter(_is_text, table.c))
            if texts:
                yield from self._digests_of(table, texts)

    def oldest_open(self, *, since: float) -> float | None:
        work = (
            (jobs.c.created_at, jobs.c.state.in_(_UNFINISHED), jobs.c.kind.in_(_MAKING)),
            (pipelines.c.created_at, pipelines.c.status.in_(_ACTIVE)),
            (runs.c.created_at, runs.c.status == RunStatus.RUNNING, runs.c.kind != RunKind.CLIENT),
        )
        with self._db.read() as connection:
            found = [
                connection.execute(select(func.min(at)).where(at > since, *is_open)).scalar()
                for at, *is_open in work
            ]
        return min((at for at in found if at is not None), default=None)

    def pin_blobs(self, digests: Collection[str]) -> set[str]:
        return set(digests) - self._mark(digests, is_doomed=False)

    def doom_blobs(self, digests: Collection[str]) -> set[str]:
        return self._mark(digests, is_doomed=True)

    def release_blobs(self, *, before: float) -> None:
        with self._db.write() as connection:
            connection.execute(delete(blob_pins).where(or_(_PINS.at < before, _PINS.is_doomed == true())))

    def delete_expired(self, *, tokens_before: float, batches_before: float) -> int:
        with self._db.write() as connection:
            n_deleted = connection.execute(delete(tokens).where(tokens.c.expires_at < tokens_before)).rowcount
        last: tuple[str, str] | None = ("", "")
        while last is not None:
            with self._db.write() as connection:
                last, n_old = _delete_batches(connection, last, batches_before)
            n_deleted += n_old
        return n_deleted

    def drop_superseded_logs(self, *, before: float) -> int:
        ended = [status for status in RunStatus if status.is_final]
        old = (
            runs.c.superseded_by != "",
            runs.c.log != "",
            runs.c.ended_at < before,
            runs.c.status.in_(ended),
        )
        with self._db.write() as connection:
            return connection.execute(update(runs).where(*old).values(log="", log_bytes=0)).rowcount

    def give_back(self, *, most_bytes: int) -> int:
        if not self._db.is_sqlite:
            return 0
        with self._db.read() as connection:
            page, free = _pragma(connection, "page_size"), _pragma(connection, "freelist_count")
            driver = connection.connection.driver_connection
            assert driver is not None  # it is connected
            # A script runs to its end; `execute` would stop after the statement's first page.
            driver.executescript(f"PRAGMA incremental_vacuum({max(1, most_bytes // page)})")
            return page * (free - _pragma(connection, "freelist_count"))

    def tidy(self) -> None:
        if self._db.is_sqlite:  # PostgreSQL does it by itself
            with self._db.read() as connection:
                connection.exec_driver_sql("PRAGMA optimize")

    def compact(self) -> int:
        if not self._db.is_sqlite:
            return 0
        with self._db.read() as connection:
            if _pragma(connection, "auto_vacuum"):
                return 0
            before = _pragma(connection, "page_count")
            # Such a database was made before room could be given back piece by piece: once, all of it.
            connection.exec_driver_sql("PRAGMA auto_vacuum=INCREMENTAL")
            connection.exec_driver_sql("VACUUM")
            return _pragma(connection, "page_size") * (before - _pragma(connection, "page_count"))

    def _digests_of(self, table: Table, texts: list[Column[Any]]) -> Iterator[set[str]]:
        plain = [type_coerce(column, Text) for column in texts]
        query = select(*plain).where(or_(*(column.like(_LIKE) for column in plain)))
        with (
            self._db.read(snapshot=True) as connection,
            connection.execute(query.execution_options(yield_per=_ROWS_A_FETCH)) as rows,
        ):
            for some in rows.partitions():
                yield {digest for row in some for text in row if text for digest in _DIGEST.findall(text)}

    def _mark(self, digests: Collection[str], *, is_doomed: bool) -> set[str]:
        """Mark blobs that are not marked as the opposite; gives those that now are marked so."""
        marked: set[str] = set()
        insert = self._db.insert(blob_pins)
        for some in chunks(sorted(set(digests))):
            rows = [{"digest": digest, "at": self._db.moment(), "is_doomed": is_doomed} for digest in some]
            new = insert.values(rows)
            new = new.on_conflict_do_update(
                index_elements=["digest"], set_={"at": new.excluded.at}, where=_PINS.is_doomed == is_doomed
            )
            with self._db.write() as connection:
                marked.update(connection.execute(new.returning(_PINS.digest)).scalars())
        return marked


def _delete_batches(
    connection: Connection, after: tuple[str, str], before: float
) -> tuple[tuple[str, str] | None, int]:
    """Delete old marks of batches among the next so many; gives where to go on, None at the end."""
    key = tuple_(_BATCHES.run_id, _BATCHES.batch)
    step = select(_BATCHES.run_id, _BATCHES.batch).where(key > tuple_(*after))
    step = step.order_by(_BATCHES.run_id, _BATCHES.batch)
    last = connection.execute(step.offset(_BATCHES_A_STEP - 1).limit(1)).one_or_none()
    old = [key > tuple_(*after), _BATCHES.at < before]
    if last is not None:
        old.append(key <= tuple_(*last))
    n_deleted = connection.execute(delete(metric_batches).where(*old)).rowcount
    return None if last is None else (last.run_id, last.batch), n_deleted


def _is_text(column: Column[Any]) -> bool:
    return isinstance(column.type, Words | Json)


def _pragma(connection: Connection, name: str) -> int:
    return int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
