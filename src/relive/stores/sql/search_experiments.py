"""Search for experiments: there are few of them, so any order is sorted."""

from typing import Any, Final

from sqlalchemy import ColumnElement, and_, exists, func, select

from relive.core.project import Experiment
from relive.core.search import Comparison, Field, Order, Side
from relive.ports.search import ExperimentPage, Search, View
from relive.stores.sql.conditions import compare, where
from relive.stores.sql.engine import Database
from relive.stores.sql.keyset import Key, behind, read_token, write_token
from relive.stores.sql.part import StorePart
from relive.stores.sql.rows import Kept
from relive.stores.sql.search_fields import in_milliseconds
from relive.stores.sql.tables.hub import experiment_tags, experiments

_EXPERIMENTS: Final = Kept(Experiment, experiments, "experiment")
_ID: Final = "experiment_id"
_TEXTS: Final = {"name": experiments.c.name, _ID: experiments.c.id}
_TIMES: Final = {
    "creation_time": experiments.c.created_at,
    "last_update_time": func.coalesce(experiments.c.updated_at, experiments.c.created_at),
}


class SqlExperimentSearch(StorePart):
    """See `ports.search.SearchStore`."""

    def search_experiments(self, search: Search) -> ExperimentPage:
        orders = search.orders
        if not any(order.field.key == _ID for order in orders):
            orders = (*orders, Order(Field(Side.ATTRIBUTE, _ID), ascending=False))
        keys = [key for order in orders for key in _keys(order)]
        order = ", ".join(f"{it.field.key} {it.ascending}" for it in orders)
        query = select(*_EXPERIMENTS.columns, *(key.column for key in keys)).where(*_scope(search))
        if search.condition is not None:
            query = query.where(where(search.condition, lambda found: _leaf(self._db, found)))
        place = read_token(order, search.after, keys)
        if place is not None:
            query = query.where(behind(keys, place))
        query = query.order_by(*(key.order for key in keys)).limit(search.limit + 1)
        with self._db.read() as connection:
            rows = connection.execute(query).all()
        n_fields = len(_EXPERIMENTS.columns)
        found = tuple(_EXPERIMENTS.read(row[:n_fields]) for row in rows[: search.limit])
        if len(rows) <= search.limit or not found:
            return ExperimentPage(found)
        return ExperimentPage(found, write_token(order, rows[search.limit - 1][n_fields:]))


def _keys(order: Order) -> list[Key]:
    """Give what an order sorts by; by their ids experiments stand as they were made, as MLflow's count up."""
    key = order.field.key
    by_key = Key({**_TEXTS, **_TIMES}[key], order.ascending, is_text=key in _TEXTS)
    return [Key(experiments.c.created_at, order.ascending), by_key] if key == _ID else [by_key]


def _scope(search: Search) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if search.project_id:
        found.append(experiments.c.project_id == search.project_id)
    deleted = experiments.c.deleted_at
    if search.view is not View.ALL:
        found.append(deleted.is_(None) if search.view is View.ACTIVE else deleted.is_not(None))
    return found


def _leaf(database: Database, found: Comparison) -> ColumnElement[bool]:
    key = found.field.key
    if found.field.side is Side.ATTRIBUTE:
        if key in _TIMES:
            return in_milliseconds(_TIMES[key], found)
        return compare(database, _TEXTS[key], found.comparator, found.value)
    tags: Any = experiment_tags.c
    here = and_(tags.experiment_id == experiments.c.id, tags.key == key)
    if found.comparator in ("IS NULL", "IS NOT NULL"):
        has = exists().where(here)
        return has if found.comparator == "IS NOT NULL" else ~has
    return exists().where(here, compare(database, tags.value, found.comparator, found.value))
