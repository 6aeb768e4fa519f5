"""Questions that reviewers are asked of traces."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Table, delete, select

from relive.core.review import LabelSchema
from relive.ports.review import Within
from relive.stores.sql.part import StorePart, chunks
from relive.stores.sql.rows import Kept
from relive.stores.sql.tables.hub import experiments
from relive.stores.sql.tables.review import label_schemas

_FIXED: Final = ("id", "experiment_id", "kind", "is_default", "created_by", "created_at")
_SCHEMAS: Final = Kept(LabelSchema, label_schemas, "label schema", fixed=_FIXED)
_COLUMNS: Final = label_schemas.c


class SqlLabelSchemas(StorePart):
    """See `ports.review.LabelSchemaStore`."""

    def create_label_schema(self, schema: LabelSchema) -> LabelSchema:
        at = schema.created_at or self._db.moment()
        with self._db.write() as connection:
            return _SCHEMAS.insert(connection, schema, created_at=at, updated_at=schema.updated_at or at)

    def get_label_schema(self, schema_id: str) -> LabelSchema:
        with self._db.read() as connection:
            return _SCHEMAS.get(connection, schema_id)

    def find_label_schema(self, experiment_id: str, name: str) -> LabelSchema | None:
        with self._db.read() as connection:
            return _SCHEMAS.find(connection, _COLUMNS.experiment_id == experiment_id, _COLUMNS.name == name)

    def find_label_schemas(self, schema_ids: Sequence[str]) -> list[LabelSchema]:
        found: list[LabelSchema] = []
        with self._db.read() as connection:
            for some in chunks(schema_ids):
                found += _SCHEMAS.all(
                    connection, _SCHEMAS.select(_COLUMNS.id.in_(some)).order_by(_COLUMNS.id)
                )
        return found

    def list_label_schemas(self, within: Within, *, offset: int = 0, limit: int = 100) -> list[LabelSchema]:
        query = _SCHEMAS.select(*inside(label_schemas, within))
        query = query.order_by(_COLUMNS.created_at.desc(), _COLUMNS.id)
        with self._db.read() as connection:
            return _SCHEMAS.all(connection, query.offset(offset).limit(limit))

    def set_label_schema(self, schema_id: str, **changes: Any) -> LabelSchema:
        with self._db.write() as connection:
            changed = _SCHEMAS.change(connection, schema_id, changes)
        assert changed is not None  # without a condition it is changed or not found
        return changed

    def delete_label_schema(self, schema_id: str) -> bool:
        with self._db.write() as connection:
            gone = delete(label_schemas).where(_COLUMNS.id == schema_id)
            return connection.execute(gone).rowcount == 1


def inside(table: Table, within: Within) -> Sequence[ColumnElement[bool]]:
    """Give the conditions that rows of a table with experiments are of what is asked for."""
    found: list[ColumnElement[bool]] = []
    if within.experiment_id:
        found.append(table.c.experiment_id == within.experiment_id)
    if within.project_id:
        its = select(experiments.c.id).where(experiments.c.project_id == within.project_id)
        found.append(table.c.experiment_id.in_(its))
    return found
