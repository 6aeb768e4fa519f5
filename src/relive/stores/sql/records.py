"""What a run records besides metrics and its log: params, tags, artifacts, inputs, verdicts."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import Connection, bindparam, delete, insert, select

from relive.core.digest import canonical_json
from relive.core.run import Artifact, Input, RunRecords
from relive.core.trajectory import Verdict
from relive.errors import Conflict, InvalidInput
from relive.stores.sql.belonging import rows_among
from relive.stores.sql.fences import hold_run
from relive.stores.sql.incoming import sort_out
from relive.stores.sql.metrics import SqlMetrics, append_points
from relive.stores.sql.part import chunks, new_id
from relive.stores.sql.paths import overlapping
from relive.stores.sql.rows import Kept
from relive.stores.sql.tables import runs as tables

if TYPE_CHECKING:
    from sqlalchemy.dialects.sqlite import Insert

_ARTIFACTS: Final = Kept(Artifact, tables.artifacts, "artifact")
_INPUTS: Final = Kept(Input, tables.inputs, "input")
_OF_RUNS: Final = {
    table: f'SELECT run_id, "key", value FROM {table} WHERE run_id {{among}} ORDER BY run_id, "key"'  # noqa: S608
    for table in ("params", "tags")
}
_KNOWN_PARAMS: Final = select(tables.params.c.key, tables.params.c.value).where(
    tables.params.c.run_id == bindparam("run_id"),
    tables.params.c.key.in_(bindparam("keys", expanding=True)),
)


class SqlRecords(SqlMetrics):
    """See `ports.stores.RunStore`."""

    def record_params(self, run_id: str, params: dict[str, Any], *, fence: int | None = None) -> None:
        texts = _param_texts(params)
        with self._db.write() as connection:
            hold_run(connection, run_id, fence)
            _insert_params(connection, run_id, texts)

    def set_tags(self, run_id: str, tags: dict[str, str], *, fence: int | None = None) -> None:
        with self._db.write() as connection:
            hold_run(connection, run_id, fence)
            self._upsert_tags(connection, run_id, tags)

    def record_batch(
        self, run_id: str, records: RunRecords, *, fence: int | None = None, batch: str = ""
    ) -> None:
        incoming, texts = sort_out(records), _param_texts(records.params)
        with self._db.write() as connection:
            hold_run(connection, run_id, fence)
            if batch and not self._is_new(connection, run_id, batch):
                return
            _insert_params(connection, run_id, texts)
            append_points(connection, run_id, incoming)
            self._upsert_tags(connection, run_id, records.tags)

    def delete_tag(self, run_id: str, key: str) -> bool:
        tags = tables.tags.c
        gone = delete(tables.tags).where(tags.run_id == run_id, tags.key == key)
        with self._db.write() as connection:
            hold_run(connection, run_id, None)
            return connection.execute(gone.returning(tags.key)).first() is not None

    def record_artifact(self, artifact: Artifact, *, fence: int | None = None) -> None:
        values = _ARTIFACTS.values(artifact)
        upsert = self._db.insert(tables.artifacts).values(values)
        upsert = upsert.on_conflict_do_update(index_elements=["run_id", "path"], set_=values)
        with self._db.write() as connection:
            hold_run(connection, artifact.run_id, fence)
            connection.execute(upsert)

    def delete_artifacts(self, run_id: str, paths: Sequence[str]) -> int:
        artifacts, count = tables.artifacts.c, 0
        with self._db.write() as connection:
            hold_run(connection, run_id, None)
            for some in chunks(paths):
                gone = delete(tables.artifacts).where(artifacts.run_id == run_id, artifacts.path.in_(some))
                count += connection.execute(gone).rowcount
        return count

    def record_inputs(self, inputs: Iterable[Input], *, fence: int | None = None) -> None:
        by_run = sorted(inputs, key=lambda item: item.run_id)
        insert_new = self._db.insert(tables.inputs).on_conflict_do_nothing()
        # As a group, because more than one run could be locked.
        with self._db.write(group=True) as connection:
            for run_id, some in groupby(by_run, key=lambda item: item.run_id):
                hold_run(connection, run_id, fence)
                connection.execute(insert_new, [_INPUTS.values(item) for item in some])

    def list_params(self, run_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        texts = self._by_run("params", run_ids)
        return {
            run: {key: msgspec.json.decode(text) for key, text in of.items()} for run, of in texts.items()
        }

    def list_tags(self, run_ids: Sequence[str]) -> dict[str, dict[str, str]]:
        return self._by_run("tags", run_ids)

    def list_artifacts(self, run_id: str) -> list[Artifact]:
        artifacts = tables.artifacts.c
        query = _ARTIFACTS.select(artifacts.run_id == run_id).order_by(artifacts.path)
        with self._db.read() as connection:
            return _ARTIFACTS.all(connection, query)

    def find_overlapping_artifact(self, run_id: str, path: str) -> Artifact | None:
        artifacts = tables.artifacts.c
        query = _ARTIFACTS.select(artifacts.run_id == run_id, overlapping(artifacts.path, path))
        with self._db.read() as connection:
            return next(iter(_ARTIFACTS.all(connection, query.order_by(artifacts.path).limit(1))), None)

    def list_inputs(self, run_id: str) -> list[Input]:
        inputs = tables.inputs.c
        query = _INPUTS.select(inputs.run_id == run_id).order_by(inputs.path, inputs.manifest)
        with self._db.read() as connection:
            return _INPUTS.all(connection, query)

    def list_consumers(self, run_id: str) -> list[Input]:
        inputs = tables.inputs.c
        query = _INPUTS.select(inputs.source_run_id == run_id).order_by(inputs.run_id, inputs.path)
        with self._db.read() as connection:
            return _INPUTS.all(connection, query)

    def record_verdict(self, verdict: Verdict) -> Verdict:
        verdicts = tables.verdicts
        row = {
            "id": verdict.id or new_id(),
            "run_id": verdict.run_id,
            "at": verdict.at or self._db.moment(),
            "body": verdict,
        }
        with self._db.write() as connection:
            hold_run(connection, verdict.run_id, None)
            kept = connection.execute(
                insert(verdicts).values(row).returning(verdicts.c.id, verdicts.c.at)
            ).one()
        return msgspec.structs.replace(verdict, id=kept.id, at=kept.at)

    def list_verdicts(self, run_id: str) -> list[Verdict]:
        return self.list_verdicts_of([run_id]).get(run_id, [])

    def list_verdicts_of(self, run_ids: Sequence[str]) -> dict[str, list[Verdict]]:
        verdicts = tables.verdicts.c
        found: dict[str, list[Verdict]] = {}
        with self._db.read() as connection:
            for some in chunks(run_ids):
                query = select(verdicts.run_id, verdicts.body, verdicts.id, verdicts.at)
                query = query.where(verdicts.run_id.in_(some)).order_by(verdicts.at, verdicts.id)
                for run_id, body, verdict_id, at in connection.execute(query):
                    found.setdefault(run_id, []).append(msgspec.structs.replace(body, id=verdict_id, at=at))
        return found

    def _upsert_tags(self, connection: Connection, run_id: str, tags: dict[str, str]) -> None:
        rows = [{"run_id": run_id, "key": key, "value": value} for key, value in tags.items()]
        if rows:
            connection.execute(self._tag_upsert, rows)

    @cached_property
    def _tag_upsert(self) -> "Insert":
        upsert = self._db.insert(tables.tags)
        return upsert.on_conflict_do_update(
            index_elements=["run_id", "key"], set_={"value": upsert.excluded.value}
        )

    def _by_run(self, table: str, run_ids: Sequence[str]) -> dict[str, dict[str, str]]:
        """Give key and value of each run that has any, keys in their order."""
        found: dict[str, dict[str, str]] = {}
        with self._db.read() as connection:
            for run_id, key, value in rows_among(connection, _OF_RUNS[table], run_ids):
                found.setdefault(run_id, {})[key] = value
        return found


def _insert_params(connection: Connection, run_id: str, texts: dict[str, str]) -> None:
    """Set params once.

    Raises:
        Conflict: One has another value.
    """
    known: dict[str, str] = {}
    for some in chunks(list(texts)):
        rows = connection.execute(_KNOWN_PARAMS, {"run_id": run_id, "keys": some})
        known.update((key, text) for key, text in rows)
    for key, old in known.items():
        if old != texts[key]:
            raise Conflict(
                subject=f"param {key!r} of run {run_id}",
                reason=f"it is {old} and cannot become {texts[key]}: a param is set once",
                hint="log what changes as a metric or a tag",
            )
    fresh = [{"run_id": run_id, "key": key, "value": text} for key, text in texts.items() if key not in known]
    if fresh:
        connection.execute(insert(tables.params), fresh)


def _param_texts(params: dict[str, Any]) -> dict[str, str]:
    return {key: _param_text(key, value) for key, value in params.items()}


def _param_text(key: str, value: Any) -> str:
    """Write a param's value in the canonical way: equal values are equal texts."""
    try:
        return canonical_json(value).decode()
    except InvalidInput as error:
        where = error.field.removeprefix("$")
        raise InvalidInput(field=f"param {key!r}{where}", value=error.value, wanted=error.wanted) from None
