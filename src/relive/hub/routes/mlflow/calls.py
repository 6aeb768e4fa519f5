"""The one route behind which all of MLflow's calls are, and how it fails.

What is not served answers 501 in MLflow's own error shape, so that a client says what is missing.
"""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

from litestar import MediaType, Response, route
from litestar.params import FromPath
from litestar.response import Stream
from litestar.status_codes import HTTP_200_OK

from relive.hub.http import HubRequest, services_of
from relive.hub.routes.mlflow import (
    evaluation,
    files,
    graphql,
    inputs,
    models,
    registry,
    review,
    search,
    server,
    traces,
    tracking,
    uploads,
    webhooks,
)
from relive.hub.routes.mlflow.answers import failure, failure_of
from relive.hub.routes.mlflow.reading import read_body, read_query
from relive.hub.routes.mlflow.table import METHODS, Found, Routes, Table, client_of
from relive.services.mlflow.faults import invalid

_PREFIXES = [
    "/api/2.0/mlflow/{rest:path}",
    "/ajax-api/2.0/mlflow/{rest:path}",
    "/api/3.0/mlflow/{rest:path}",
    "/ajax-api/3.0/mlflow/{rest:path}",
]
TABLE: Table = (
    tracking.TABLE
    | inputs.TABLE
    | server.TABLE
    | traces.TABLE
    | search.TABLE
    | models.TABLE
    | registry.TABLE
    | uploads.TABLE
    | webhooks.TABLE
    | evaluation.TABLE
    | review.TABLE
)
_ROUTES = Routes(TABLE)
_MODEL_FILE = re.compile(r"logged-models/([^/]+)/artifacts/files")


@route(_PREFIXES, http_method=METHODS, include_in_schema=False)
async def call(request: HubRequest, rest: FromPath[str]) -> Response[Any] | Stream:
    """Answer one of MLflow's calls."""
    if request.method == "GET" and (model := _MODEL_FILE.fullmatch(rest.strip("/"))):
        return await uploads.get_model_artifact(request, model[1])
    found = _ROUTES.find(request.method, rest.strip("/"))
    if found is None:
        return _not_served(request, rest.strip("/"))
    try:
        caller = client_of(request, "use the tracking API")
        asked = await _read(request, found)
        reply = await asyncio.to_thread(found.handle, services_of(request), caller, asked)
        if isinstance(reply, Iterator):
            return Stream(reply, media_type=MediaType.JSON, status_code=HTTP_200_OK)
        return Response(reply, status_code=HTTP_200_OK)  # whatever the method: clients take nothing else
    except Exception as error:  # noqa: BLE001 - a defect too has the shape that clients read
        return failure_of(request, error)


def _not_served(request: HubRequest, path: str) -> Response[Any]:
    if not (methods := ", ".join(_ROUTES.methods(path))):
        return failure(501, f"relive does not serve {request.method} {request.url.path} yet.")
    answer = failure(405, f"{request.url.path} takes {methods}, not {request.method}.", "BAD_REQUEST")
    answer.headers["allow"] = methods
    return answer


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


ROUTES = [call, *server.ROUTES, *traces.ROUTES, *files.ROUTES, *uploads.ROUTES, *graphql.ROUTES]
