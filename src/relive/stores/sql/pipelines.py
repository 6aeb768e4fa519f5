"""Pipelines, stages, the stage cache and known environments."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, insert, select

from relive.core.pipeline import Pipeline, PipelineStatus, Stage
from relive.stores.sql.numbering import Numbered
from relive.stores.sql.part import StorePart
from relive.stores.sql.rows import Kept
from relive.stores.sql.tables.hub import projects
from relive.stores.sql.tables.work import environments, pipelines, stage_cache, stages

_PIPELINES: Final = Kept(
    Pipeline, pipelines, "pipeline", fixed=("id", "project_id", "number", "commit", "ref", "created_at")
)
_STAGES: Final = Kept(Stage, stages, "stage", fixed=("id", "pipeline_id", "key", "name", "action"))

_NUMBERS: Final = Numbered(projects.c.last_pipeline, "project")

_ACTIVE: Final = [status for status in PipelineStatus if not status.is_final]
_ENDED: Final = [status for status in PipelineStatus if status.is_final]


class SqlPipelines(StorePart):
    """See `ports.stores.PipelineStore`."""

    def take_pipeline_number(self, project_id: str) -> int:
        with self._db.write() as connection:
            return _next_number(connection, project_id)

    def create_pipeline(self, pipeline: Pipeline) -> Pipeline:
        with self._db.write() as connection:
            number = pipeline.number or _next_number(connection, pipeline.project_id)
            at = pipeline.created_at or self._db.moment()
            return _PIPELINES.insert(connection, pipeline, number=number, created_at=at)

    def get_pipeline(self, pipeline_id: str) -> Pipeline:
        with self._db.read() as connection:
            return _PIPELINES.get(connection, pipeline_id)

    def find_pipeline(self, project_id: str, number: int) -> Pipeline | None:
        with self._db.read() as connection:
            return _PIPELINES.find(
                connection, pipelines.c.project_id == project_id, pipelines.c.number == number
            )

    def list_pipelines(
        self,
        *,
        project_id: str | None = None,
        active: bool | None = None,
        commit: str | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> list[Pipeline]:
        where: list[ColumnElement[bool]] = []
        if project_id is not None:
            where.append(pipelines.c.project_id == project_id)
        if active is not None:
            where.append(pipelines.c.status.in_(_ACTIVE if active else _ENDED))
        if commit is not None:
            where.append(pipelines.c.commit == commit)
        newest = (pipelines.c.created_at.desc(), pipelines.c.id.desc())
        query = _PIPELINES.select(*where).order_by(*newest).limit(limit).offset(offset)
        with self._db.read() as connection:
            return _PIPELINES.all(connection, query)

    def list_later_pipelines(
        self, project_id: str, ref: str, *, number: int, below: int | None = None, limit: int = 100
    ) -> list[Pipeline]:
        where = [pipelines.c.project_id == project_id, pipelines.c.ref == ref, pipelines.c.number > number]
        if below is not None:
            where.append(pipelines.c.number < below)
        query = _PIPELINES.select(*where).order_by(pipelines.c.number.desc()).limit(limit)
        with self._db.read() as connection:
            return _PIPELINES.all(connection, query)

    def set_pipeline(self, pipeline_id: str, **changes: Any) -> Pipeline:
        with self._db.write() as connection:
            changed = _PIPELINES.change(connection, pipeline_id, changes)
        assert changed is not None  # without a condition it is changed or not found
        return changed

    def create_stages(self, stages: Sequence[Stage]) -> None:
        if stages:
            with self._db.write() as connection:
                connection.execute(insert(_STAGES.table), [_STAGES.values(stage) for stage in stages])

    def get_stage(self, stage_id: str) -> Stage:
        with self._db.read() as connection:
            return _STAGES.get(connection, stage_id)

    def list_stages(self, pipeline_id: str) -> list[Stage]:
        query = _STAGES.select(stages.c.pipeline_id == pipeline_id).order_by(stages.c.position, stages.c.key)
        with self._db.read() as connection:
            return _STAGES.all(connection, query)

    def set_stage(self, stage_id: str, *, expect: str | None = None, **changes: Any) -> Stage | None:
        where = [] if expect is None else [stages.c.status == expect]
        with self._db.write() as connection:
            return _STAGES.change(connection, stage_id, changes, *where)

    def find_cached(self, project_id: str, cache_key: str, *, scopes: Sequence[str]) -> str | None:
        cached = stage_cache.c
        query = select(cached.scope, cached.run_id).where(
            cached.project_id == project_id, cached.cache_key == cache_key, cached.scope.in_(scopes)
        )
        with self._db.read() as connection:
            made = {row.scope: row.run_id for row in connection.execute(query)}
        return next((made[scope] for scope in scopes if scope in made), None)

    def record_cached(self, project_id: str, cache_key: str, run_id: str, *, scope: str) -> None:
        at = self._db.moment()
        key = {"project_id": project_id, "cache_key": cache_key, "scope": scope}
        upsert = self._db.insert(stage_cache).values(**key, run_id=run_id, created_at=at)
        newest = {"run_id": run_id, "created_at": at}
        with self._db.write() as connection:
            connection.execute(upsert.on_conflict_do_update(index_elements=list(key), set_=newest))

    def find_environment(self, key: str) -> str | None:
        query = select(environments.c.lock_digest).where(environments.c.key == key)
        with self._db.read() as connection:
            return connection.execute(query).scalar()

    def record_environment(self, key: str, lock_digest: str) -> None:
        newest = {"lock_digest": lock_digest, "created_at": self._db.moment()}
        upsert = self._db.insert(environments).values(key=key, **newest)
        with self._db.write() as connection:
            connection.execute(upsert.on_conflict_do_update(index_elements=["key"], set_=newest))


def _next_number(connection: Connection, project_id: str) -> int:
    number = _NUMBERS.hold(connection, project_id)
    _NUMBERS.take(connection, project_id, number)
    return number
