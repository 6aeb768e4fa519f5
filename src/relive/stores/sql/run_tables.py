"""Counts, groups and single cells of tables of runs."""

import math
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, cast, func, select

from relive.core.search import Field, Side
from relive.errors import InvalidInput
from relive.ports.run_tables import KeyUse, RunGroup
from relive.ports.search import Search, View
from relive.stores.sql.columns import TEXT
from relive.stores.sql.conditions import where
from relive.stores.sql.part import StorePart, chunks
from relive.stores.sql.run_pages import has_words, is_deleted
from relive.stores.sql.search_fields import TEXTS, RunFields
from relive.stores.sql.shown import Shown
from relive.stores.sql.tables.runs import metric_series, params, runs, tags

_GROUPED: Final = ("name", "kind", "stage", "actor", "commit", "command")
_VALUES: Final = {Side.METRIC: metric_series.c.last, Side.PARAM: params.c.value, Side.TAG: tags.c.value}


class SqlRunTables(StorePart):
    """See `ports.run_tables.RunTableStore`."""

    def count_found(self, search: Search, *, most: int = 10_000) -> int:
        with self._db.read() as connection:
            found = select(runs.c.id).where(*self._conditions(connection, search)).limit(most + 1)
            return connection.execute(select(func.count()).select_from(found.subquery())).scalar_one()

    def group_runs(self, search: Search, by: Field, *, metric: str = "", limit: int = 100) -> list[RunGroup]:
        # A condition of the search may look into the same tables.
        series = metric_series.alias("grouped_series")
        value, join = self._grouped_by(by)
        has_series = and_(series.c.run_id == runs.c.id, series.c.key == metric)
        source = (runs if join is None else runs.outerjoin(*join)).outerjoin(series, has_series)
        last, count = series.c.last, func.count()
        sums = (count, func.count(last), func.avg(last), func.min(last), func.max(last))
        with self._db.read() as connection:
            query = select(value, *sums).select_from(source)
            query = query.where(*self._conditions(connection, search)).group_by(value)
            rows = connection.execute(query.order_by(count.desc(), value).limit(limit))
            return [
                RunGroup(value=text, runs=n, measured=measured, mean=mean, min=low, max=high)
                for text, n, measured, mean, low, high in rows
            ]

    def list_key_uses(self, run_ids: Sequence[str], side: Side, *, limit: int = 50) -> list[KeyUse]:
        value = _VALUES[side]
        table = value.table
        differs = func.coalesce(func.min(value) != func.max(value), False)
        count = func.count()
        query = select(table.c.key, count, differs).where(table.c.run_id.in_(run_ids))
        query = query.group_by(table.c.key).order_by(differs.desc(), count.desc(), table.c.key)
        with self._db.read() as connection:
            return [KeyUse(key, n, bool(differ)) for key, n, differ in connection.execute(query.limit(limit))]

    def list_cells(self, run_ids: Sequence[str], fields: Sequence[Field]) -> dict[tuple[str, Field], Any]:
        found: dict[tuple[str, Field], Any] = {}
        with self._db.read() as connection:
            for side, value in _VALUES.items():
                table, keys = value.table, [field.key for field in fields if field.side is side]
                # An expression is what no index has: else SQLite reads all runs of the hub that have a key.
                is_wanted = table.c.key.concat("").in_(keys)
                for some in chunks(run_ids) if keys else ():
                    query = select(table.c.run_id, table.c.key, value)
                    query = query.where(table.c.run_id.in_(some), is_wanted)
                    for run_id, key, kept in connection.execute(query):
                        found[run_id, Field(side, key)] = _read(side, kept)
        return found

    def _conditions(self, connection: Connection, search: Search) -> list[ColumnElement[bool]]:
        found = has_words(connection, search.text)
        if search.project_id:
            found.append(runs.c.project_id == search.project_id)
        if search.experiment_ids is not None:
            found.append(runs.c.experiment_id.in_(search.experiment_ids))
        if search.view is not View.ALL:
            found.append(is_deleted(search.view is View.DELETED))
        if search.condition is not None:
            found.append(where(search.condition, RunFields(self._db).leaf))
        return found

    def _grouped_by(self, by: Field) -> tuple[Any, tuple[Any, ColumnElement[bool]] | None]:
        """Give the value that runs are grouped by, and the table that it is looked up in."""
        if by.side in (Side.PARAM, Side.TAG):
            table = _VALUES[by.side].table.alias("grouped")
            value = Shown(table.c.value) if by.side is Side.PARAM else table.c.value
            return value, (table, and_(table.c.run_id == runs.c.id, table.c.key == by.key))
        if by.side is Side.ATTRIBUTE and by.key == "state":
            return cast(runs.c.status, TEXT), None
        if by.side is Side.ATTRIBUTE and by.key in _GROUPED:
            return TEXTS[by.key], None
        wanted = f"a param, a tag, state, {', '.join(_GROUPED)}"
        raise InvalidInput(field="what to group by", value=by.key, wanted=wanted)


def _read(side: Side, kept: Any) -> Any:
    if side is Side.METRIC:
        return math.nan if kept is None else kept
    return msgspec.json.decode(kept) if side is Side.PARAM else kept
