"""The one route behind which all of MLflow's calls are, and how it fails.

What is not served answers 501 in MLflow's own error shape, so that a client says what is missing.
"""

import asyncio
from typing import Any

import msgspec
from litestar import Response, route
from litestar.exceptions import HTTPException
from litestar.params import FromPath
from litestar.status_codes import HTTP_200_OK

from relive.errors import Conflict, ReliveError, Superseded
from relive.hub.errors import answer_unknown, headers_for, status_of
from relive.hub.http import HubRequest, services_of
from relive.hub.routes.mlflow import files, inputs, models, server, tracking
from relive.hub.routes.mlflow.reading import read_body, read_query
from relive.hub.routes.mlflow.table import Found, Routes, Table, client_of
from relive.services.mlflow.faults import MlflowFault, invalid, missing_value
from relive.wire.mlflow.common import Failure

_PREFIXES = [
    "/api/2.0/mlflow/{rest:path}",
    "/ajax-api/2.0/mlflow/{rest:path}",
    "/api/3.0/mlflow/{rest:path}",
    "/ajax-api/3.0/mlflow/{rest:path}",
]
_CODES = {
    400: "INVALID_PARAMETER_VALUE",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    409: "RESOURCE_CONFLICT",
    501: "NOT_IMPLEMENTED",
    503: "TEMPORARILY_UNAVAILABLE",
    507: "RESOURCE_EXHAUSTED",
}
# How MLflow classifies its error codes, for whoever counts them; other codes have no class.
_CLASSES = {
    "BAD_REQUEST": ("KAM00", "INVALID_PARAMETER_VALUE"),
    "ENDPOINT_NOT_FOUND": ("KAM00", "RESOURCE_NOT_FOUND"),
    "INTERNAL_ERROR": ("XXM00", "CLIENT_INTERNAL_ERROR"),
    "INVALID_PARAMETER_VALUE": ("KAM00", "INVALID_PARAMETER_VALUE"),
    "INVALID_STATE": ("XXM00", "CLIENT_INTERNAL_ERROR"),
    "PERMISSION_DENIED": ("KAM00", "PERMISSION_DENIED"),
    "RESOURCE_ALREADY_EXISTS": ("KAM00", "RESOURCE_ALREADY_EXISTS"),
    "RESOURCE_DOES_NOT_EXIST": ("KAM00", "RESOURCE_NOT_FOUND"),
    "TEMPORARILY_UNAVAILABLE": ("XXM00", "CLIENT_INTERNAL_ERROR"),
}
TABLE: Table = tracking.TABLE | inputs.TABLE | server.TABLE | models.TABLE
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
        return _failure(400, missing_value(str(error.args[0])))
    except MlflowFault as error:
        return _failure(error.status, error.message, error.error_code)
    except ReliveError as error:
        return _failure(_status_of(error), str(error))
    except HTTPException as error:
        return _failure(error.status_code, error.detail)
    except Exception as error:  # noqa: BLE001 - a defect too has the shape that clients read
        return _failure(500, answer_unknown(request, error).content.message)


async def _read(request: HubRequest, found: Found) -> Any:
    """Read what is asked: from the query, or from the body; what the path names is added."""
    if found.kind is None:
        return dict(request.query_params) | found.named
    if request.method in ("POST", "PUT"):
        _check_content_type(request)
    if request.method == "GET" and (request.query_params or found.named):
        values = request.query_params.dict() | {name: [word] for name, word in found.named.items()}
        return read_query(found.kind, values)
    return read_body(found.kind, await request.body(), found.named)


def _check_content_type(request: HubRequest) -> None:
    given = request.headers.get("content-type")
    if given is None:
        raise invalid("Bad Request. Content-Type header is missing.")
    if given.partition(";")[0] != "application/json":
        raise invalid("Bad Request. Content-Type must be one of ['application/json'].")


def _status_of(error: ReliveError) -> int:
    # What was asked is a bad value to MLflow's clients, unless another took over.
    is_plain = isinstance(error, Conflict) and not isinstance(error, Superseded)
    return 400 if is_plain else status_of(error)


def _failure(status: int, message: str, code: str = "") -> Response[Any]:
    code = code or _CODES.get(status, "INTERNAL_ERROR")
    failure = Failure(code, message, *_CLASSES.get(code, ()))
    return Response(msgspec.to_builtins(failure), status_code=status, headers=headers_for(status))


ROUTES = [call, *server.ROUTES, *files.ROUTES]
