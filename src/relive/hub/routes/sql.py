"""Questions in SQL, for admins."""

from litestar import get, post
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK

from relive.core.access import Scope
from relive.core.selection import Selection
from relive.errors import InvalidInput
from relive.hub.http import HubRequest, allowed, services_of
from relive.wire.hub import AskSql

_MOST_ROWS = 100_000


@get("/sql", sync_to_thread=True)
def list_sql_tables(request: HubRequest) -> dict[str, tuple[str, ...]]:
    """Give the tables that may be asked, with their columns."""
    allowed(request, Scope.ADMIN, "ask in SQL")
    return services_of(request).store.open_tables()


@post("/sql", status_code=HTTP_200_OK, sync_to_thread=True)
def ask_sql(request: HubRequest, data: JSONBody[AskSql]) -> Selection:
    """Answer one SELECT, read-only and within ten seconds."""
    allowed(request, Scope.ADMIN, "ask in SQL")
    if not 1 <= data.limit <= _MOST_ROWS:
        raise InvalidInput(field="limit", value=data.limit, wanted=f"1 to {_MOST_ROWS}")
    return services_of(request).store.select(data.query, limit=data.limit)


ROUTES = [list_sql_tables, ask_sql]
