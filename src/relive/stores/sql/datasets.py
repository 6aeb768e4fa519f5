"""What tracking clients say that runs read and made: data sets and logged models."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, select, tuple_

from relive.core.dataset import DatasetSummary, DatasetUse, LoggedDataset, ModelUse
from relive.stores.sql.belonging import rows_among
from relive.stores.sql.fences import hold_run
from relive.stores.sql.part import StorePart, chunks, new_id
from relive.stores.sql.rows import Kept
from relive.stores.sql.tables.runs import runs
from relive.stores.sql.tables.tracking import logged_datasets, run_datasets, run_models

_DATASETS: Final = Kept(LoggedDataset, logged_datasets, "data set")
_READ: Final = (
    f"SELECT u.run_id, u.tags, {', '.join(f'd.{column.name}' for column in _DATASETS.columns)}"  # noqa: S608
    " FROM run_datasets u JOIN logged_datasets d ON d.id = u.dataset_id"
    " WHERE u.run_id {among} ORDER BY u.run_id, u.at, u.dataset_id"
)
_MODELS: Final = (
    'SELECT run_id, model_id, "role", step FROM run_models WHERE run_id {among} ORDER BY run_id, at, model_id'
)
_TAGS: Final = msgspec.json.Decoder(dict[str, str])


class SqlDatasets(StorePart):
    """See `ports.experiments.DatasetStore`."""

    def record_datasets(self, run_id: str, uses: Sequence[DatasetUse]) -> None:
        first = {(use.dataset.name, use.dataset.digest): use for use in reversed(uses)}
        insert_new = self._db.insert(run_datasets).on_conflict_do_nothing()
        with self._db.write() as connection:
            hold_run(connection, run_id, None)
            ids = self._ensure(connection, run_id, [use.dataset for use in first.values()])
            order = dict.fromkeys((use.dataset.name, use.dataset.digest) for use in uses)
            rows = [{"run_id": run_id, "dataset_id": ids[key], "tags": first[key].tags} for key in order]
            if rows:
                connection.execute(insert_new.values(self._in_turn(rows)))

    def list_datasets(self, run_ids: Sequence[str]) -> dict[str, list[DatasetUse]]:
        found: dict[str, list[DatasetUse]] = {}
        with self._db.read() as connection:
            for run_id, tags, *row in rows_among(connection, _READ, run_ids):
                use = DatasetUse(dataset=_DATASETS.read(row), tags=_TAGS.decode(tags))
                found.setdefault(run_id, []).append(use)
        return found

    def list_dataset_summaries(
        self, experiment_ids: Sequence[str], *, context_tag: str, limit: int
    ) -> list[DatasetSummary]:
        columns = logged_datasets.c
        query = select(columns.experiment_id, columns.name, columns.digest, run_datasets.c.tags)
        query = query.join_from(logged_datasets, run_datasets).distinct()
        query = query.where(columns.experiment_id.in_(experiment_ids))
        query = query.order_by(columns.experiment_id, columns.name, columns.digest)
        found: dict[DatasetSummary, None] = {}
        with self._db.read() as connection:
            for experiment_id, name, digest, tags in connection.execute(query):
                summary = DatasetSummary(
                    experiment_id=experiment_id, name=name, digest=digest, context=tags.get(context_tag)
                )
                found[summary] = None
                if len(found) == limit:
                    break
        return list(found)

    def record_model_uses(self, run_id: str, uses: Sequence[ModelUse]) -> None:
        insert_new = self._db.insert(run_models).on_conflict_do_nothing()
        with self._db.write() as connection:
            hold_run(connection, run_id, None)
            rows = [{"run_id": run_id, **msgspec.structs.asdict(use)} for use in uses]
            if rows:
                connection.execute(insert_new.values(self._in_turn(rows)))

    def list_model_uses(self, run_ids: Sequence[str]) -> dict[str, list[ModelUse]]:
        found: dict[str, list[ModelUse]] = {}
        with self._db.read() as connection:
            for run_id, model_id, role, step in rows_among(connection, _MODELS, run_ids):
                use = ModelUse(model_id=model_id, role=role, step=step)
                found.setdefault(run_id, []).append(use)
        return found

    def _ensure(
        self, connection: Connection, run_id: str, datasets: Sequence[LoggedDataset]
    ) -> dict[tuple[str, str], str]:
        """Give the id of each data set in the run's experiment, keeping those that are new."""
        experiment_id = connection.execute(
            select(runs.c.experiment_id).where(runs.c.id == run_id)
        ).scalar_one()
        rows = [_DATASETS.values(dataset, id=new_id(), experiment_id=experiment_id) for dataset in datasets]
        insert_new = self._db.insert(logged_datasets).on_conflict_do_nothing(
            index_elements=["experiment_id", "name", "digest"]
        )
        if rows:
            connection.execute(insert_new, rows)
        columns, ids = logged_datasets.c, {}
        for some in chunks([(dataset.name, dataset.digest) for dataset in datasets]):
            query = select(columns.name, columns.digest, columns.id)
            query = query.where(columns.experiment_id == experiment_id)
            for name, digest, id_ in connection.execute(
                query.where(tuple_(columns.name, columns.digest).in_(some))
            ):
                ids[name, digest] = id_
        return ids

    def _in_turn(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Give each row its time: those of one call a microsecond apart, which keeps their order."""
        return [row | {"at": self._db.moment() + index / 1e6} for index, row in enumerate(rows)]
