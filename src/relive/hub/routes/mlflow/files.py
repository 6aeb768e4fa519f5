"""The artifacts of runs, streaming."""

import asyncio
from typing import Any

from litestar import Response, get, put
from litestar.params import FromPath, FromQuery
from litestar.response import Stream

from relive.hub.http import HubRequest, services_of
from relive.hub.routes.blobs import read_range, receive_blob, stream
from relive.hub.routes.mlflow.table import client_of
from relive.services.mlflow import artifacts, runs
from relive.services.runs import may_write


@get("/api/2.0/mlflow-artifacts/artifacts", include_in_schema=False)
async def list_files(request: HubRequest, path: FromQuery[str] = "") -> Response[Any]:
    """List a folder of a run's artifacts."""
    caller, services = client_of(request, "list artifacts"), services_of(request)
    run_id, folder = artifacts.split_artifact_path(path)
    run = await asyncio.to_thread(runs.get_run, services, run_id, caller)
    found = await asyncio.to_thread(artifacts.list_artifacts, services, run.id, folder)
    # This call names paths relative to the folder that was asked for; the other one, from the root.
    names = [item | {"path": item["path"].removeprefix(folder).strip("/")} for item in found]
    return Response({"files": names})


@put("/api/2.0/mlflow-artifacts/artifacts/{path:path}", include_in_schema=False, request_max_body_size=None)
async def put_file(request: HubRequest, path: FromPath[str]) -> dict[str, Any]:
    """Store one file of a run, streaming."""
    caller = client_of(request, "store artifacts")
    services = services_of(request)
    run_id, name = artifacts.split_artifact_path(path)
    run = await asyncio.to_thread(may_write, services, caller, run_id)
    blob = await receive_blob(request, expected=None)
    await asyncio.to_thread(artifacts.record_artifact, services, run, name, blob)
    return {}


@get("/api/2.0/mlflow-artifacts/artifacts/{path:path}", sync_to_thread=True, include_in_schema=False)
def get_file(request: HubRequest, path: FromPath[str]) -> Stream:
    """Give one file of a run."""
    caller, services = client_of(request, "read artifacts"), services_of(request)
    run_id, name = artifacts.split_artifact_path(path)
    info = artifacts.open_artifact(services, runs.get_run(services, run_id, caller), name)
    start, end = read_range(request.headers.get("range", ""), info.size_bytes)
    pieces = services.blobs.iter_chunks(info.digest, start, end)
    return stream(pieces, info, start, end, "application/octet-stream")


ROUTES = [list_files, put_file, get_file]
