"""Logged models, what is known of them, and the runs that made and read them."""

import math
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import insert, select

from relive.core.logged_model import LoggedModel, ModelLink, ModelMetric
from relive.stores.sql.keyed import Keyed
from relive.stores.sql.part import StorePart, chunks
from relive.stores.sql.rows import Kept
from relive.stores.sql.tables.tracking import (
    logged_model_metrics,
    logged_model_params,
    logged_model_tags,
    logged_models,
    run_models,
)

_MODELS: Final = Kept(
    LoggedModel,
    logged_models,
    "logged model",
    fixed=("id", "experiment_id", "name", "artifact_location", "source_run_id", "created_at", "created_by"),
)
_LINKS: Final = Kept(ModelLink, run_models, "link")
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
            made = _MODELS.insert(connection, model, created_at=at, updated_at=model.updated_at or at)
            for kept, values in ((_PARAMS, params), (_TAGS, tags)):
                if values:
                    connection.execute(insert(kept.table), kept.rows(model.id, values))
        return made

    def get_logged_model(self, model_id: str) -> LoggedModel:
        with self._db.read() as connection:
            return _MODELS.get(connection, model_id)

    def list_logged_models(self, model_ids: Sequence[str]) -> list[LoggedModel]:
        found: dict[str, LoggedModel] = {}
        with self._db.read() as connection:
            for some in chunks(model_ids):
                query = _MODELS.select(logged_models.c.id.in_(some))
                found |= {model.id: model for model in _MODELS.all(connection, query)}
        return [found[model_id] for model_id in model_ids if model_id in found]

    def set_logged_model(self, model_id: str, **changes: Any) -> LoggedModel:
        with self._db.write() as connection:
            changed = _MODELS.change(connection, model_id, changes)
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

    def record_model_links(self, links: Sequence[ModelLink]) -> None:
        with self._db.write() as connection:
            for link in links:
                # One by one: the database's own clock is an expression, which many rows at once cannot hold.
                new = self._db.insert(run_models).values(_LINKS.values(link, at=link.at or self._db.moment()))
                connection.execute(new.on_conflict_do_nothing())

    def list_model_links(self, run_ids: Sequence[str]) -> dict[str, list[ModelLink]]:
        found: dict[str, list[ModelLink]] = {}
        with self._db.read() as connection:
            for some in chunks(run_ids):
                query = _LINKS.select(run_models.c.run_id.in_(some))
                for link in _LINKS.all(connection, query.order_by(run_models.c.at, run_models.c.model_id)):
                    found.setdefault(link.run_id, []).append(link)
        return found
