"""The one route behind which all of MLflow's calls are, and how it fails.

What is not served answers 501 in MLflow's own error shape, so that a client says what is missing.
"""

import asyncio
from typing import Any

import msgspec
from litestar import Response, route
from litestar.params import FromPath
from litestar.status_codes import HTTP_200_OK

from relive.errors import Conflict, ReliveError, Superseded
from relive.hub.errors import status_of
from relive.hub.http import HubRequest, services_of
from relive.hub.routes.mlflow import files, models, tracking
from relive.hub.routes.mlflow.table import Found, Routes, Table, client_of, read_query
from relive.services.mlflow.faults import MlflowFault
from relive.wire.mlflow.common import Failure

_PREFIXES = ["/api/2.0/mlflow/{rest:path}", "/ajax-api/2.0/mlflow/{rest:path}", "/api/3.0/mlflow/{rest:path}"]
_CODES = {
    400: "INVALID_PARAMETER_VALUE",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    409: "RESOURCE_CONFLICT",
    501: "NOT_IMPLEMENTED",
    507: "RESOURCE_EXHAUSTED",
}
TABLE: Table = tracking.TABLE | models.TABLE
_ROUTES = Routes(TABLE)


@route(_PREFIXES, http_method=["GET", "POST", "PATCH", "DELETE", "PUT"], include_in_schema=False)
async def call(request: HubRequest, rest: FromPath[str]) -> Response[Any]:
    """Answer one of MLflow's calls."""
    found = _ROUTES.find(request.method, rest.strip("/"))
    if found is None:
        return _failure(501, f"relive does not serve {request.method} {request.url.path} yet.")
    try:
        caller = client_of(request, "use the tracking API")
        asked = await _read(request, found)
        reply = await asyncio.to_thread(found.handle, services_of(request), caller, asked)
        return Response(reply, status_code=HTTP_200_OK)  # whatever the method: clients take nothing else
    except KeyError as error:
        return _failure(400, f"Missing value for required parameter '{error.args[0]}'.")
    except msgspec.MsgspecError as error:
        return _failure(400, f"Invalid value for the request: {error}.")
    except MlflowFault as error:
        return _failure(error.status, error.message, error.error_code)
    except ReliveError as error:
        return _failure(_status_of(error), str(error))


async def _read(request: HubRequest, found: Found) -> Any:
    """Read what is asked: from the query, or from the body; what the path names is added."""
    if found.kind is None:
        return dict(request.query_params) | found.named
    if request.method == "GET":
        values = request.query_params.dict() | {name: [word] for name, word in found.named.items()}
        return read_query(found.kind, values)
    body = await request.body() or b"{}"
    if not found.named:
        return msgspec.json.decode(body, type=found.kind)
    return msgspec.convert(msgspec.json.decode(body, type=dict[str, Any]) | found.named, found.kind)


def _status_of(error: ReliveError) -> int:
    # A param that is set again to another value is a bad value to MLflow's clients.
    is_plain = isinstance(error, Conflict) and not isinstance(error, Superseded)
    return 400 if is_plain else status_of(error)


def _failure(status: int, message: str, code: str = "") -> Response[Any]:
    failure = Failure(error_code=code or _CODES.get(status, "INTERNAL_ERROR"), message=message)
    return Response(msgspec.to_builtins(failure), status_code=status)


ROUTES = [call, *files.ROUTES]
