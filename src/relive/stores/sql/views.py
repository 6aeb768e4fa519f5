"""Saved views, and the names of what runs recorded."""

from typing import Final

from sqlalchemy import Connection, Table, delete, exists, func, or_, select

from relive.core.saved_view import SavedView
from relive.core.search import Side
from relive.stores.sql.part import StorePart, new_id
from relive.stores.sql.rows import Kept
from relive.stores.sql.tables.runs import metric_series, params, runs, tags
from relive.stores.sql.tables.tracking import saved_views

_VIEWS: Final = Kept(SavedView, saved_views, "saved view")
_TABLES: Final = {Side.METRIC: metric_series, Side.PARAM: params, Side.TAG: tags}
# Of all keys of a hub so many are read, of those that fit so many are looked up, in so many runs each.
_MOST_READ: Final = 50_000
_MOST_LOOKED_UP: Final = 500
_MOST_RUNS: Final = 100


class SqlViews(StorePart):
    """See `ports.views.ViewStore`."""

    def save_view(self, view: SavedView) -> SavedView:
        row = _VIEWS.values(view, id=view.id or new_id(), created_at=view.created_at or self._db.moment())
        upsert = self._db.insert(saved_views).values(row)
        upsert = upsert.on_conflict_do_update(
            index_elements=["project_id", "name"], set_={"query": upsert.excluded.query}
        )
        with self._db.write() as connection:
            return _VIEWS.read(connection.execute(upsert.returning(*_VIEWS.columns)).one())

    def find_view(self, project_id: str, name: str) -> SavedView | None:
        with self._db.read() as connection:
            return _VIEWS.find(connection, saved_views.c.project_id == project_id, saved_views.c.name == name)

    def list_views(self, project_id: str) -> list[SavedView]:
        query = _VIEWS.select(saved_views.c.project_id == project_id).order_by(saved_views.c.name)
        with self._db.read() as connection:
            return _VIEWS.all(connection, query)

    def delete_view(self, view_id: str) -> bool:
        with self._db.write() as connection:
            return connection.execute(delete(saved_views).where(saved_views.c.id == view_id)).rowcount == 1

    def list_keys(self, project_id: str, side: Side, *, find: str = "", limit: int = 50) -> list[str]:
        table, wanted = _TABLES[side], find.lower()
        with self._db.read() as connection:
            fitting = [key for key in _all_keys(connection, table) if wanted in key.lower()]
            fitting.sort(key=lambda key: (not key.lower().startswith(wanted), key))
            found: list[str] = []
            for key in fitting[:_MOST_LOOKED_UP]:
                if len(found) == limit:
                    break
                if _is_in_project(connection, table, key, project_id):
                    found.append(key)
        return found


def _all_keys(connection: Connection, table: Table) -> list[str]:
    """Step through an index from key to key: SQLite would read every row of it for a DISTINCT."""
    keys = select(func.min(table.c.key).label("key")).cte("keys", recursive=True)
    following = select(func.min(table.c.key)).where(table.c.key > keys.c.key).scalar_subquery()
    keys = keys.union_all(select(following).where(keys.c.key.is_not(None)))
    query = select(keys.c.key).where(keys.c.key.is_not(None)).limit(_MOST_READ)
    return list(connection.execute(query).scalars())


def _is_in_project(connection: Connection, table: Table, key: str, project_id: str) -> bool:
    """Look for a run of the project that has the key: among its newest, then among some that have it."""
    newest = select(runs.c.id).where(runs.c.project_id == project_id)
    newest = newest.order_by(runs.c.created_at.desc(), runs.c.id.desc()).limit(_MOST_RUNS)
    in_newest = exists().where(table.c.key == key, table.c.run_id.in_(newest.scalar_subquery()))
    some = select(table.c.run_id).where(table.c.key == key).limit(_MOST_RUNS).subquery()
    in_some = exists().where(runs.c.id == some.c.run_id, runs.c.project_id == project_id)
    return bool(connection.execute(select(or_(in_newest, in_some))).scalar_one())
