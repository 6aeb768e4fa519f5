"""Artifacts below `mlflow-artifacts:/`, streaming."""

import asyncio
from typing import Any
from urllib.parse import unquote

from litestar import Response, delete, get, put
from litestar.params import FromPath, FromQuery
from litestar.response import Stream

from relive.hub.http import HubRequest, services_of
from relive.hub.routes.blobs import read_range, receive_blob, stream
from relive.hub.routes.mlflow.answers import in_mlflows_words
from relive.hub.routes.mlflow.attachments import attached
from relive.hub.routes.mlflow.table import client_of
from relive.services.mlflow import artifacts
from relive.services.mlflow.faults import invalid
from relive.services.mlflow.places import Place, check_writer, locate

_ROOTS = ["/api/2.0/mlflow-artifacts/artifacts", "/ajax-api/2.0/mlflow-artifacts/artifacts"]
_FILES = [f"{root}/{{path:path}}" for root in _ROOTS]


@get(_ROOTS, include_in_schema=False)
@in_mlflows_words
async def list_files(request: HubRequest, path: FromQuery[str] = "") -> Response[Any]:
    """List a folder of artifacts."""
    place = await located(request, path, "list artifacts")
    found = await asyncio.to_thread(artifacts.list_folder, services_of(request), place)
    # This call names files by their last name only; the one for a run, from the root.
    named = [item | {"path": item["path"].rpartition("/")[2]} for item in found]
    return Response({"files": named} if named else {})


@put(_FILES, include_in_schema=False, request_max_body_size=None)
@in_mlflows_words
async def put_file(request: HubRequest, path: FromPath[str]) -> Response[Any]:
    """Store one file, streaming."""
    if _named(request).endswith("/"):
        raise invalid("Artifact path must include a filename (cannot end with '/').")
    services, place = services_of(request), await located(request, _named(request), "store artifacts")
    caller = client_of(request, "store artifacts")
    await asyncio.to_thread(check_writer, services, caller, place)
    blob = await receive_blob(request, expected=None)
    await asyncio.to_thread(artifacts.record_file, services, caller, place, blob)
    return Response({})


@get(_FILES, include_in_schema=False)
@in_mlflows_words
async def get_file(request: HubRequest, path: FromPath[str]) -> Response[Any]:
    """Give one file."""
    place = await located(request, _named(request), "read artifacts")
    return await asyncio.to_thread(sent, request, place)


@delete(_FILES, include_in_schema=False, status_code=200)
@in_mlflows_words
async def delete_file(request: HubRequest, path: FromPath[str]) -> Response[Any]:
    """Delete a file, or a folder with all that lies in it."""
    place = await located(request, _named(request), "delete artifacts")
    caller = client_of(request, "delete artifacts")
    await asyncio.to_thread(artifacts.delete_files, services_of(request), caller, place)
    return Response({})


async def located(request: HubRequest, address: str, action: str) -> Place:
    """Say what an address means, to a caller who may read there; raises as `places.locate`."""
    caller = client_of(request, action)
    return await asyncio.to_thread(locate, services_of(request), caller, address)


def _named(request: HubRequest) -> str:
    # The framework makes one slash of several, and so a path from the root one from here.
    return unquote(request.scope["raw_path"].decode()).partition("/artifacts/")[2]


def sent(request: HubRequest, place: Place) -> Stream:
    """Give a file, or the part of it that is asked for, to be saved, never shown; raises as `open_file`."""
    services = services_of(request)
    info = artifacts.open_file(services, place)
    start, end = read_range(request.headers.get("range", ""), info.size_bytes) if info.size_bytes else (0, 0)
    pieces = services.blobs.iter_chunks(info.digest, start, end)
    name = place.path.rpartition("/")[2]
    return attached(stream(pieces, info, start, end, "application/octet-stream"), name)


ROUTES = [list_files, put_file, get_file, delete_file]
