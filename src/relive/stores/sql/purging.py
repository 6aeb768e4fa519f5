"""Deleting for good: every row of a run or an experiment that was deleted long enough ago."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, Select, Table, delete, exists, or_, select

from relive.core.run import RunStatus
from relive.ports.housekeeping import Deleted
from relive.stores.sql.fences import hold_run
from relive.stores.sql.part import StorePart
from relive.stores.sql.paths import inside
from relive.stores.sql.tables.base import METADATA
from relive.stores.sql.tables.hub import experiments
from relive.stores.sql.tables.models import model_versions
from relive.stores.sql.tables.runs import metric_chunks, metric_points, metric_series, runs
from relive.stores.sql.tables.tracking import (
    logged_datasets,
    logged_model_metrics,
    logged_model_params,
    logged_model_tags,
    logged_models,
    run_datasets,
    run_models,
    stored_files,
)
from relive.stores.sql.tables.work import stages

_RUNS: Final = runs.c
# What names a run without being its own: these keep a run, or die with their token's time.
_FOREIGN: Final = {"model_versions", "stages", "tokens"}
# Nothing that stays may refer to what goes, and no job may still write it.
_UNUSED: Final = (
    or_(_RUNS.job_id == "", _RUNS.status.in_([status for status in RunStatus if status.is_final])),
    ~exists().where(model_versions.c.run_id == _RUNS.id),
    ~exists().where(stages.c.run_id == _RUNS.id),
)


class SqlPurging(StorePart):
    """See `ports.housekeeping.KeepingStore`."""

    def list_deleted(self, *, before: float, limit: int = 100) -> Deleted:
        gone = select(_RUNS.id).where(_RUNS.deleted_at < before, *_UNUSED).limit(limit)
        empty = ~exists().where(_RUNS.experiment_id == experiments.c.id)
        old = select(experiments.c.id).where(experiments.c.deleted_at < before, empty).limit(limit)
        with self._db.read() as connection:
            return Deleted(
                runs=tuple(connection.execute(gone).scalars()),
                experiments=tuple(connection.execute(old).scalars()),
            )

    def purge_run(self, run_id: str) -> bool:
        with self._db.write() as connection:
            hold_run(connection, run_id, None)
            query = select(_RUNS.id).where(_RUNS.id == run_id, _RUNS.deleted_at.is_not(None), *_UNUSED)
            if connection.execute(query).one_or_none() is None:
                return False
            series = select(metric_series.c.id).where(metric_series.c.run_id == run_id)
            for table in (metric_points, metric_chunks):
                connection.execute(delete(table).where(table.c.series_id.in_(series)))
            for table in _own_tables("run_id"):
                connection.execute(delete(table).where(table.c.run_id == run_id))
            connection.execute(delete(runs).where(_RUNS.id == run_id))
            return True

    def purge_experiment(self, experiment_id: str) -> bool:
        its_models = select(logged_models.c.id).where(logged_models.c.experiment_id == experiment_id)
        its_datasets = select(logged_datasets.c.id).where(logged_datasets.c.experiment_id == experiment_id)
        with self._db.write(group=True) as connection:
            old = select(experiments.c.id).where(
                experiments.c.id == experiment_id, experiments.c.deleted_at.is_not(None)
            )
            busy = select(_RUNS.id).where(_RUNS.experiment_id == experiment_id).limit(1)
            if connection.execute(old).first() is None or connection.execute(busy).first() is not None:
                return False
            _free_files(connection, experiment_id, its_models)
            for table in (logged_model_params, logged_model_tags, logged_model_metrics, run_models):
                connection.execute(delete(table).where(table.c.model_id.in_(its_models)))
            connection.execute(delete(run_datasets).where(run_datasets.c.dataset_id.in_(its_datasets)))
            for table in _own_tables("experiment_id"):
                connection.execute(delete(table).where(table.c.experiment_id == experiment_id))
            connection.execute(delete(experiments).where(experiments.c.id == experiment_id))
            return True


def _free_files(connection: Connection, experiment_id: str, its_models: Select[str]) -> None:
    """Delete the files of an experiment's traces, and of its logged models that are no model's version."""
    kept = or_(
        model_versions.c.logged_model_id == logged_models.c.id,
        model_versions.c.source.contains(logged_models.c.id),
    )
    unused = connection.execute(its_models.where(~exists().where(kept))).scalars()
    folders = [f"{experiment_id}/traces", *(f"{experiment_id}/models/{model_id}" for model_id in unused)]
    for folder in folders:
        connection.execute(delete(stored_files).where(inside(stored_files.c.path, folder)))


def _own_tables(column: str) -> Sequence[Table]:
    """Give the tables whose rows belong to what a column names, those that refer to others first."""
    return [
        table
        for table in reversed(METADATA.sorted_tables)
        if column in table.c and table.name not in _FOREIGN and table is not runs
    ]
