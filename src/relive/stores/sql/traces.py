"""Traces, what is written beside them, and what they are linked with."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Column, Table, delete, select

from relive.core.trace import Trace
from relive.stores.sql.keyed import Keyed
from relive.stores.sql.part import StorePart, chunks
from relive.stores.sql.rows import Kept
from relive.stores.sql.tables.traces import (
    run_traces,
    trace_metadata,
    trace_numbers,
    trace_prompts,
    trace_tags,
    traces,
)

TRACES: Final = Kept(Trace, traces, "trace", fixed=("id", "created_by"))
_TAGS: Final = Keyed(trace_tags, "trace_id")
_METADATA: Final = Keyed(trace_metadata, "trace_id")


class SqlTraces(StorePart):
    """See `ports.traces.TraceStore`."""

    def create_trace(self, trace: Trace) -> Trace | None:
        with self._db.write() as connection:
            return TRACES.insert_unless(connection, self._db.insert(traces), ["id"], trace)

    def find_trace(self, trace_id: str) -> Trace | None:
        with self._db.read() as connection:
            return TRACES.find_id(connection, trace_id)

    def list_traces(self, trace_ids: Sequence[str]) -> list[Trace]:
        found: dict[str, Trace] = {}
        with self._db.read() as connection:
            for some in chunks(trace_ids):
                query = TRACES.select(traces.c.id.in_(some))
                found |= {trace.id: trace for trace in TRACES.all(connection, query)}
        return [found[trace_id] for trace_id in dict.fromkeys(trace_ids) if trace_id in found]

    def set_trace(self, trace_id: str, **changes: Any) -> Trace:
        with self._db.write() as connection:
            changed = TRACES.change(connection, trace_id, changes)
        assert changed is not None  # without a condition it is changed or not found
        return changed

    def list_old_traces(self, experiment_id: str, *, up_to_ms: int, limit: int | None) -> list[Trace]:
        query = TRACES.select(traces.c.experiment_id == experiment_id, traces.c.started_ms <= up_to_ms)
        with self._db.read() as connection:
            return TRACES.all(connection, query.order_by(traces.c.started_ms, traces.c.id).limit(limit))

    def list_trace_makers(self, experiment_id: str, *, up_to_ms: int, limit: int | None) -> set[str]:
        asked = (traces.c.experiment_id == experiment_id, traces.c.started_ms <= up_to_ms)
        oldest = select(traces.c.created_by).where(*asked).order_by(traces.c.started_ms, traces.c.id)
        with self._db.read() as connection:
            return set(connection.execute(select(oldest.limit(limit).subquery()).distinct()).scalars())

    def delete_traces(self, trace_ids: Sequence[str]) -> int:
        n_deleted = 0
        with self._db.write() as connection:
            for some in chunks(list(dict.fromkeys(trace_ids))):
                n_deleted += connection.execute(delete(traces).where(traces.c.id.in_(some))).rowcount
        return n_deleted

    def set_trace_tags(self, trace_id: str, tags: Mapping[str, str]) -> None:
        _TAGS.set(self._db, trace_id, dict(tags))

    def delete_trace_tag(self, trace_id: str, key: str) -> bool:
        return _TAGS.delete(self._db, trace_id, key)

    def list_trace_tags(self, trace_ids: Sequence[str]) -> dict[str, dict[str, str]]:
        return _TAGS.of(self._db, trace_ids)

    def set_trace_metadata(self, trace_id: str, metadata: Mapping[str, str]) -> None:
        _METADATA.set(self._db, trace_id, dict(metadata))

    def list_trace_metadata(self, trace_ids: Sequence[str]) -> dict[str, dict[str, str]]:
        return _METADATA.of(self._db, trace_ids)

    def set_trace_numbers(self, trace_id: str, numbers: Mapping[str, float]) -> None:
        rows = [{"trace_id": trace_id, "key": key, "value": value} for key, value in numbers.items()]
        upsert = self._db.insert(trace_numbers)
        upsert = upsert.on_conflict_do_update(
            index_elements=["trace_id", "key"], set_={"value": upsert.excluded.value}
        )
        if rows:
            with self._db.write() as connection:
                connection.execute(upsert, rows)

    def link_traces(self, run_id: str, trace_ids: Sequence[str]) -> None:
        with self._db.write() as connection:
            for some in chunks(trace_ids):
                query = select(traces.c.id).where(traces.c.id.in_(some))
                there = connection.execute(query).scalars().all()
                self._link_trace(run_traces, [{"run_id": run_id, "trace_id": trace_id} for trace_id in there])

    def link_prompts(self, trace_id: str, prompts: Sequence[str]) -> None:
        self._link_trace(trace_prompts, [{"prompt": prompt, "trace_id": trace_id} for prompt in prompts])

    def list_trace_runs(self, trace_ids: Sequence[str]) -> dict[str, list[str]]:
        return self._links(run_traces.c.run_id, run_traces.c.trace_id, trace_ids)

    def list_trace_prompts(self, trace_ids: Sequence[str]) -> dict[str, list[str]]:
        return self._links(trace_prompts.c.prompt, trace_prompts.c.trace_id, trace_ids)

    def _links(self, other: Column[str], its: Column[str], trace_ids: Sequence[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        with self._db.read() as connection:
            for some in chunks(trace_ids):
                query = select(its, other).where(its.in_(some)).order_by(other)
                for trace_id, linked in connection.execute(query):
                    found.setdefault(trace_id, []).append(linked)
        return found

    def _link_trace(self, table: Table, rows: list[dict[str, str]]) -> None:
        if rows:
            with self._db.write() as connection:
                connection.execute(self._db.insert(table).on_conflict_do_nothing(), rows)
