"""Logged models, and what is known of them."""

import math
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import insert, select

from relive.core.logged_model import LoggedModel, ModelMetric
from relive.stores.sql.keyed import Keyed
from relive.stores.sql.part import StorePart, chunks
from relive.stores.sql.rows import Kept
from relive.stores.sql.tables.tracking import (
    logged_model_metrics,
    logged_model_params,
    logged_model_tags,
    logged_models,
)

MODELS: Final = Kept(
    LoggedModel,
    logged_models,
    "logged model",
    fixed=("id", "experiment_id", "name", "artifact_location", "source_run_id", "created_at", "created_by"),
)
_METRICS: Final = Kept(ModelMetric, logged_model_metrics, "metric")
_PARAMS: Final = Keyed(logged_model_params, "model_id")
_TAGS: Final = Keyed(logged_model_tags, "model_id")


class SqlLoggedModels(StorePart):
    """See `ports.logged_models.LoggedModelStore`."""

    def create_logged_model(
        self, model: LoggedModel, *, params: dict[str, str], tags: dict[str, str]
    ) -> LoggedModel:
        at = model.created_at or self._db.moment()
        with self._db.write() as connection:
            made = MODELS.insert(connection, model, created_at=at, updated_at=model.updated_at or at)
            for kept, values in ((_PARAMS, params), (_TAGS, tags)):
                if values:
                    connection.execute(insert(kept.table), kept.rows(model.id, values))
        return made

    def get_logged_model(self, model_id: str) -> LoggedModel:
        with self._db.read() as connection:
            return MODELS.get(connection, model_id)

    def list_logged_models(self, model_ids: Sequence[str]) -> list[LoggedModel]:
        found: dict[str, LoggedModel] = {}
        with self._db.read() as connection:
            for some in chunks(model_ids):
                query = MODELS.select(logged_models.c.id.in_(some))
                found |= {model.id: model for model in MODELS.all(connection, query)}
        return [found[model_id] for model_id in model_ids if model_id in found]

    def set_logged_model(self, model_id: str, **changes: Any) -> LoggedModel:
        with self._db.write() as connection:
            changed = MODELS.change(connection, model_id, changes)
        assert changed is not None  # without a condition it is changed or not found
        return changed

    def record_logged_model_params(self, model_id: str, params: dict[str, str]) -> None:
        if params:
            with self._db.write() as connection:
                connection.execute(insert(_PARAMS.table), _PARAMS.rows(model_id, params))

    def set_logged_model_tags(self, model_id: str, tags: dict[str, str]) -> None:
        _TAGS.set(self._db, model_id, tags)

    def delete_logged_model_tag(self, model_id: str, key: str) -> bool:
        return _TAGS.delete(self._db, model_id, key)

    def list_logged_model_params(self, model_ids: Sequence[str]) -> dict[str, dict[str, str]]:
        return _PARAMS.of(self._db, model_ids)

    def list_logged_model_tags(self, model_ids: Sequence[str]) -> dict[str, dict[str, str]]:
        return _TAGS.of(self._db, model_ids)

    def record_model_metrics(self, metrics: Sequence[ModelMetric]) -> None:
        rows = []
        for metric in metrics:
            is_nan = math.isnan(metric.value)
            # SQLite has no NaN and no negative zero: the first is a flag, the second is kept as zero.
            value = 0.0 if is_nan else metric.value + 0.0
            rows.append(_METRICS.values(metric, value=value, is_nan=int(is_nan)))
        if rows:
            with self._db.write() as connection:
                connection.execute(self._db.insert(logged_model_metrics).on_conflict_do_nothing(), rows)

    def list_model_metrics(self, model_ids: Sequence[str]) -> dict[str, list[ModelMetric]]:
        found: dict[str, list[ModelMetric]] = {}
        points = logged_model_metrics.c
        order = (points.model_id, points.key, points.run_id, points.step, points.at, points.value)
        with self._db.read() as connection:
            for some in chunks(model_ids):
                query = select(points.is_nan, *_METRICS.columns).where(points.model_id.in_(some))
                for is_nan, *row in connection.execute(query.order_by(*order)):
                    metric = _METRICS.read([*row[:3], math.nan if is_nan else row[3], *row[4:]])
                    found.setdefault(metric.model_id, []).append(metric)
        return found
