"""Endpoints, their revisions, and the number that grows with each change of traffic."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, delete, select

from relive.core.endpoint import Endpoint, Revision
from relive.errors import Conflict, NotFound
from relive.stores.sql.numbering import Numbered
from relive.stores.sql.part import StorePart, new_id
from relive.stores.sql.rows import Kept
from relive.stores.sql.tables.hub import counters
from relive.stores.sql.tables.models import endpoints, revisions

_ENDPOINTS: Final = Kept(Endpoint, endpoints, "endpoint")
_REVISIONS: Final = Kept(
    Revision,
    revisions,
    "revision",
    fixed=("id", "endpoint_id", "number", "version_id", "stage_id", "created_at"),
)
_NUMBERS: Final = Numbered(endpoints.c.last_revision, "endpoint")
_ROUTING: Final = "routing"
# What the router's table is made of.
_ROUTED: Final = {"state", "address"}


class SqlEndpoints(StorePart):
    """See `ports.stores.EndpointStore`.

    What changes the traffic is a group, because it locks the routing's number besides the row it changes.
    """

    def ensure_endpoint(self, project_id: str, name: str, model: str) -> Endpoint:
        endpoint = Endpoint(id=new_id(), project_id=project_id, name=name, model=model)
        with self._db.write() as connection:
            insert, at = self._db.insert(endpoints), self._db.moment()
            _ENDPOINTS.insert_unless(connection, insert, ["name"], endpoint, created_at=at, last_revision=0)
            found = _ENDPOINTS.find(connection, endpoints.c.name == name)
        assert found is not None  # it was there or is there now
        if (found.project_id, found.model) != (project_id, model):
            owner = "another project" if found.project_id != project_id else f"model {found.model!r}"
            raise Conflict(
                subject=f"endpoint {name!r}",
                reason=f"it serves {owner}",
                hint="endpoints are named across the hub: choose another name, or delete this one first",
            )
        return found

    def get_endpoint(self, name: str) -> Endpoint:
        with self._db.read() as connection:
            endpoint = _ENDPOINTS.find(connection, endpoints.c.name == name)
        if endpoint is None:
            raise NotFound(kind="endpoint", name=name)
        return endpoint

    def list_endpoints(self, project_id: str | None = None) -> list[Endpoint]:
        query = _ENDPOINTS.select().order_by(endpoints.c.name)
        if project_id is not None:
            query = query.where(endpoints.c.project_id == project_id)
        with self._db.read() as connection:
            return _ENDPOINTS.all(connection, query)

    def create_revision(self, revision: Revision) -> Revision:
        with self._db.write() as connection:
            number = _NUMBERS.hold(connection, revision.endpoint_id)
            if revision.stage_id:
                seen = _REVISIONS.find(connection, revisions.c.stage_id == revision.stage_id)
                if seen is not None:
                    return seen
            _NUMBERS.take(connection, revision.endpoint_id, number)
            at = revision.created_at or self._db.moment()
            return _REVISIONS.insert(connection, revision, number=number, created_at=at)

    def get_revision(self, revision_id: str) -> Revision:
        with self._db.read() as connection:
            return _REVISIONS.get(connection, revision_id)

    def list_revisions(self, endpoint_id: str | None = None, *, states: Sequence[str] = ()) -> list[Revision]:
        newest = (revisions.c.endpoint_id, revisions.c.number.desc())
        query = _REVISIONS.select().order_by(*newest)
        if endpoint_id is not None:
            query = query.where(revisions.c.endpoint_id == endpoint_id)
        if states:
            query = query.where(revisions.c.state.in_(states))
        with self._db.read() as connection:
            return _REVISIONS.all(connection, query)

    def set_revision(self, revision_id: str, *, expect: str | None = None, **changes: Any) -> Revision | None:
        where = [] if expect is None else [revisions.c.state == expect]
        with self._db.write(group=True) as connection:
            changed = _REVISIONS.change(connection, revision_id, changes, *where)
            if changed is not None and changes.keys() & _ROUTED:
                self._grow(connection)
        return changed

    def route(self, endpoint_id: str, *, live: str, previous: str) -> Endpoint:
        with self._db.write(group=True) as connection:
            routed = _ENDPOINTS.change(connection, endpoint_id, {"live": live, "previous": previous})
            self._grow(connection)
        assert routed is not None  # without a condition it is changed or not found
        return routed

    def delete_endpoint(self, endpoint_id: str) -> None:
        with self._db.write(group=True) as connection:
            if connection.execute(delete(endpoints).where(endpoints.c.id == endpoint_id)).rowcount == 0:
                raise NotFound(kind="endpoint", name=endpoint_id)
            self._grow(connection)

    def routing_version(self) -> int:
        with self._db.read() as connection:
            return (
                connection.execute(select(counters.c.value).where(counters.c.name == _ROUTING)).scalar() or 0
            )

    def _grow(self, connection: Connection) -> None:
        upsert = self._db.insert(counters).values(name=_ROUTING, value=1)
        grown = {"value": counters.c.value + 1}
        connection.execute(upsert.on_conflict_do_update(index_elements=["name"], set_=grown))
