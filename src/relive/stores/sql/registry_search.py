"""Searching registered models and their versions."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Table, and_, exists, func, select

from relive.core.model import ModelVersion, RegisteredModel
from relive.core.search import Comparison, Condition, Order, Side
from relive.stores.sql.conditions import compare, where
from relive.stores.sql.part import StorePart
from relive.stores.sql.registry import MODELS, VERSIONS
from relive.stores.sql.tables.models import model_tags, model_versions, models, version_tags

_MODEL_COLUMNS: Final = {
    "name": models.c.name,
    "last_updated_timestamp": func.coalesce(models.c.updated_at, models.c.created_at),
}
_VERSION_COLUMNS: Final = {
    "name": model_versions.c.model,
    "version_number": model_versions.c.version,
    "run_id": model_versions.c.run_id,
    # Absent sources are NULL, which no comparison would fit.
    "source_path": func.coalesce(model_versions.c.source, ""),
    "creation_timestamp": model_versions.c.created_at,
    "last_updated_timestamp": func.coalesce(model_versions.c.updated_at, model_versions.c.created_at),
}


class SqlRegistrySearch(StorePart):
    """See `ports.registry.RegistryStore`."""

    def search_models(
        self,
        condition: Condition | None = None,
        *,
        orders: Sequence[Order] = (),
        without_tag: tuple[str, str] | None = None,
        project_id: str | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[RegisteredModel]:
        query = MODELS.select()
        if project_id is not None:
            query = query.where(models.c.project_id == project_id)
        if without_tag is not None:
            key, value = without_tag
            tag = model_tags.c
            query = query.where(
                ~exists().where(tag.model_id == models.c.id, tag.key == key, tag.value == value)
            )
        query = self._narrowed(query, condition, _MODEL_COLUMNS, (models.c.id, model_tags, "model_id"))
        query = _ordered(query, orders, _MODEL_COLUMNS, {"name": models.c.name.asc()})
        with self._db.read() as connection:
            return MODELS.all(connection, query.limit(limit).offset(offset))

    def search_versions(
        self,
        condition: Condition | None = None,
        *,
        orders: Sequence[Order] = (),
        without_tag: tuple[str, str] | None = None,
        project_id: str | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[ModelVersion]:
        versions = model_versions.c
        query = VERSIONS.select()
        if project_id is not None:
            of_project = select(models.c.id).where(models.c.project_id == project_id)
            query = query.where(versions.model_id.in_(of_project))
        if without_tag is not None:
            other, tag = model_versions.alias(), version_tags.c
            tagged = select(other.c.model_id).join(version_tags, tag.version_id == other.c.id)
            tagged = tagged.where(tag.key == without_tag[0], tag.value == without_tag[1])
            query = query.where(versions.model_id.not_in(tagged))
        query = self._narrowed(query, condition, _VERSION_COLUMNS, (versions.id, version_tags, "version_id"))
        last = {"name": versions.model.asc(), "version_number": versions.version.desc()}
        query = _ordered(query, orders, _VERSION_COLUMNS, last)
        with self._db.read() as connection:
            return VERSIONS.all(connection, query.limit(limit).offset(offset))

    def _narrowed(
        self,
        query: Select[Any],
        condition: Condition | None,
        columns: dict[str, Any],
        tags: tuple[Any, Table, str],
    ) -> Select[Any]:
        if condition is None:
            return query
        owner, table, owned_by = tags

        def leaf(found: Comparison) -> ColumnElement[bool]:
            if found.field.side is Side.ATTRIBUTE:
                return compare(self._db, columns[found.field.key], found.comparator, found.value)
            value = compare(self._db, table.c.value, found.comparator, found.value)
            return exists().where(and_(table.c[owned_by] == owner, table.c.key == found.field.key, value))

        return query.where(where(condition, leaf))


def _ordered(
    query: Select[Any], orders: Sequence[Order], columns: dict[str, Any], last: dict[str, Any]
) -> Select[Any]:
    """Sort, and among equals by what is always there, so that pages do not overlap."""
    named = [columns[order.field.key] for order in orders]
    terms = [it.asc() if order.ascending else it.desc() for it, order in zip(named, orders, strict=True)]
    given = {order.field.key for order in orders}
    return query.order_by(*terms, *(term for key, term in last.items() if key not in given))
