"""Searching logged models."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, case, exists, func, null, or_, select

from relive.core.logged_model import LoggedModel, OnDataset, Ranking
from relive.core.search import Comparison, Condition, Side
from relive.stores.sql.conditions import compare, where
from relive.stores.sql.logged_models import MODELS
from relive.stores.sql.part import StorePart
from relive.stores.sql.tables.tracking import (
    logged_model_metrics,
    logged_model_params,
    logged_model_tags,
    logged_models,
)

_POINTS: Final = logged_model_metrics.c
_COLUMNS: Final = logged_models.c
_THOUSAND: Final = 1000
# Clients count milliseconds.
_ATTRIBUTES: Final[dict[str, Any]] = {
    "name": _COLUMNS.name,
    "model_id": _COLUMNS.id,
    "model_type": _COLUMNS.model_type,
    "status": _COLUMNS.status,
    "source_run_id": _COLUMNS.source_run_id,
    "experiment_id": _COLUMNS.experiment_id,
    "creation_timestamp": func.round(_COLUMNS.created_at * _THOUSAND),
    "last_updated_timestamp": func.round(_COLUMNS.updated_at * _THOUSAND),
}
_PAIRS: Final = {Side.PARAM: logged_model_params, Side.TAG: logged_model_tags}


class SqlLoggedSearch(StorePart):
    """See `ports.logged_models.LoggedModelStore`."""

    def search_logged_models(
        self,
        experiment_ids: Sequence[str],
        condition: Condition | None = None,
        *,
        datasets: Sequence[OnDataset] = (),
        rankings: Sequence[Ranking] = (),
        limit: int = 100,
        offset: int = 0,
    ) -> list[LoggedModel]:
        on_data = _measured_on(datasets)

        def leaf(found: Comparison) -> ColumnElement[bool]:
            key, comparator, value = found.field.key, found.comparator, found.value
            if found.field.side is Side.ATTRIBUTE:
                return compare(self._db, _ATTRIBUTES[key], comparator, value)
            if found.field.side is Side.METRIC:
                fits = compare(self._db, _POINTS.value, comparator, value)
                return exists().where(
                    _POINTS.model_id == _COLUMNS.id, _POINTS.key == key, _POINTS.is_nan == 0, fits, *on_data
                )
            pairs = _PAIRS[found.field.side].c
            fits = compare(self._db, pairs.value, comparator, value)
            return exists().where(pairs.model_id == _COLUMNS.id, pairs.key == key, fits)

        query = MODELS.select(_COLUMNS.experiment_id.in_(experiment_ids), _COLUMNS.deleted_at.is_(None))
        if condition is not None:
            query = query.where(where(condition, leaf))
        if datasets:
            query = query.where(exists().where(_POINTS.model_id == _COLUMNS.id, *on_data))
        query = query.order_by(*_order(rankings)).limit(limit).offset(offset)
        with self._db.read() as connection:
            return MODELS.all(connection, query)


def _measured_on(datasets: Sequence[OnDataset]) -> list[ColumnElement[bool]]:
    """Give the condition that a metric was measured on one of these; nothing for none."""
    each = []
    for dataset in datasets:
        parts = [_POINTS.dataset_name == dataset.name]
        if dataset.digest:
            parts.append(_POINTS.dataset_digest == dataset.digest)
        each.append(and_(*parts))
    return [or_(*each)] if each else []


def _order(rankings: Sequence[Ranking]) -> list[Any]:
    """Sort by what is asked, what has no value of it last; then the newest first."""
    terms: list[Any] = []
    for ranking in rankings:
        if ranking.field.side is Side.METRIC:
            found: Any = _latest(ranking)
        else:
            found = _ATTRIBUTES[ranking.field.key]
        terms += [case((found.is_(None), 1), else_=0), found.asc() if ranking.ascending else found.desc()]
    return [*terms, _COLUMNS.created_at.desc(), _COLUMNS.id.asc()]


def _latest(ranking: Ranking) -> ColumnElement[float]:
    """Give the latest value of a metric, as measured on a data set if one is named."""
    value = case((_POINTS.is_nan == 1, null()), else_=_POINTS.value)
    query = select(value).where(_POINTS.model_id == _COLUMNS.id, _POINTS.key == ranking.field.key)
    if ranking.dataset.name:
        query = query.where(_POINTS.dataset_name == ranking.dataset.name)
    if ranking.dataset.digest:
        query = query.where(_POINTS.dataset_digest == ranking.dataset.digest)
    newest = query.order_by(_POINTS.at.desc(), _POINTS.step.desc(), _POINTS.run_id.asc()).limit(1)
    return newest.correlate(logged_models).scalar_subquery()
