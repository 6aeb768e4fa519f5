"""MLflow's REST routes as far as an ordinary training run calls them, behind one table.

What is not served answers 501 in MLflow's own error shape, so that a client says what is missing.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
from litestar import Response, get, put, route
from litestar.params import FromPath, FromQuery
from litestar.response import Stream
from litestar.status_codes import HTTP_200_OK

from relive.core.access import Caller, Scope
from relive.errors import AccessDenied, Conflict, ReliveError, Superseded
from relive.hub.errors import status_of
from relive.hub.http import HubRequest, allowed, read_message, services_of
from relive.hub.routes.blobs import read_range, receive_blob, stream
from relive.services import mlflow
from relive.services.context import Services
from relive.services.runs import may_write
from relive.wire import mlflow as wire

Handler = Callable[[Services, Caller, Any], dict[str, Any]]
Query = dict[str, str]
Table = dict[tuple[str, str], tuple[Any, Handler]]

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


def _get_experiment(services: Services, caller: Caller, query: Query) -> dict[str, Any]:
    """Give an experiment by its id; "0" is the default one."""
    found = mlflow.get_experiment(services, query["experiment_id"], caller)
    return {"experiment": mlflow.experiment_json(found)}


def _get_by_name(services: Services, caller: Caller, query: Query) -> dict[str, Any]:
    """Give an experiment by its name."""
    found = mlflow.find_by_name(services, query["experiment_name"], caller)
    return {"experiment": mlflow.experiment_json(found)}


def _create_experiment(services: Services, caller: Caller, message: wire.CreateExperiment) -> dict[str, Any]:
    """Make an experiment, or give the one of that name."""
    return {"experiment_id": mlflow.ensure_experiment(services, message.name, caller).id}


def _create_run(services: Services, caller: Caller, message: wire.CreateRun) -> dict[str, Any]:
    """Begin a run; inside a stage it is a child of the stage's run."""
    return {"run": mlflow.run_json(services, mlflow.create_run(services, message, caller))}


def _get_run(services: Services, caller: Caller, query: Query) -> dict[str, Any]:
    """Give a run with its last metrics, params and tags."""
    run_id = query.get("run_uuid") or query["run_id"]
    return {"run": mlflow.run_json(services, mlflow.get_run(services, run_id, caller))}


def _update_run(services: Services, caller: Caller, message: wire.UpdateRun) -> dict[str, Any]:
    """Change a run's name, or end it; the run of a stage is ended by its stage alone."""
    return {"run_info": mlflow.run_json(services, mlflow.update_run(services, message, caller))["info"]}


def _log_metric(services: Services, caller: Caller, message: wire.LogMetric) -> dict[str, Any]:
    """Keep one point of a metric; NaN and infinities too."""
    point = wire.MetricPoint(
        key=message.key, value=message.value, timestamp=message.timestamp, step=message.step
    )
    mlflow.log_batch(services, wire.LogBatch(run_id=message.run_id, metrics=(point,)), caller)
    return {}


def _log_parameter(services: Services, caller: Caller, message: wire.LogParameter) -> dict[str, Any]:
    """Keep a param, once."""
    param = wire.KeyValue(key=message.key, value=message.value)
    mlflow.log_batch(services, wire.LogBatch(run_id=message.run_id, params=(param,)), caller)
    return {}


def _log_batch(services: Services, caller: Caller, message: wire.LogBatch) -> dict[str, Any]:
    """Keep metrics, params and tags, all or none."""
    mlflow.log_batch(services, message, caller)
    return {}


def _set_tag(services: Services, caller: Caller, message: wire.SetTag) -> dict[str, Any]:
    """Set a tag."""
    tag = wire.KeyValue(key=message.key, value=message.value)
    mlflow.log_batch(services, wire.LogBatch(run_id=message.run_id, tags=(tag,)), caller)
    return {}


def _delete_tag(services: Services, caller: Caller, message: wire.DeleteTag) -> dict[str, Any]:
    """Take a tag away."""
    services.store.delete_tag(may_write(services, caller, message.run_id).id, message.key)
    return {}


def _get_history(services: Services, caller: Caller, query: Query) -> dict[str, Any]:
    """Give every point of a metric."""
    run = mlflow.get_run(services, query.get("run_uuid") or query["run_id"], caller)
    return {"metrics": mlflow.history_json(services, run, query["metric_key"])}


def _list_artifacts(services: Services, caller: Caller, query: Query) -> dict[str, Any]:
    """List a folder of a run's artifacts."""
    run = mlflow.get_run(services, query.get("run_uuid") or query["run_id"], caller)
    files = mlflow.list_artifacts(services, run.id, query.get("path", ""))
    return {"root_uri": mlflow.artifact_uri(run), "files": files}


def _search_logged_models(_services: Services, _caller: Caller, _message: Query) -> dict[str, Any]:
    """Give no logged model: models are registered by pipelines. Clients ask before they read an artifact."""
    return {"models": []}


def _client(request: HubRequest, action: str) -> Caller:
    """Give the caller if it may speak MLflow's protocol: people and commands, not a job's runner."""
    caller = allowed(request, Scope.COMMAND, action)
    if caller.scope is Scope.RUNNER:
        raise AccessDenied(action=action, who=caller.name, needs="the token of its command")
    return caller


# (method, path) → message type (None: the query) and handler, whose docstring the documentation shows.
TABLE: Table = {
    ("GET", "experiments/get"): (None, _get_experiment),
    ("GET", "experiments/get-by-name"): (None, _get_by_name),
    ("POST", "experiments/create"): (wire.CreateExperiment, _create_experiment),
    ("POST", "runs/create"): (wire.CreateRun, _create_run),
    ("GET", "runs/get"): (None, _get_run),
    ("POST", "runs/update"): (wire.UpdateRun, _update_run),
    ("POST", "runs/log-metric"): (wire.LogMetric, _log_metric),
    ("POST", "runs/log-parameter"): (wire.LogParameter, _log_parameter),
    ("POST", "runs/log-batch"): (wire.LogBatch, _log_batch),
    ("POST", "runs/set-tag"): (wire.SetTag, _set_tag),
    ("POST", "runs/delete-tag"): (wire.DeleteTag, _delete_tag),
    ("GET", "metrics/get-history"): (None, _get_history),
    ("GET", "artifacts/list"): (None, _list_artifacts),
    ("POST", "logged-models/search"): (None, _search_logged_models),
}


@route(_PREFIXES, http_method=["GET", "POST", "PATCH", "DELETE", "PUT"], include_in_schema=False)
async def call(request: HubRequest, rest: FromPath[str]) -> Response[Any]:
    """Answer one of MLflow's calls."""
    found = TABLE.get((request.method, rest.strip("/")))
    if found is None:
        return _failure(501, f"relive does not serve {request.method} {request.url.path} yet.")
    kind, handle = found
    try:
        caller = _client(request, "use the tracking API")
        asked: Any = dict(request.query_params) if kind is None else await read_message(request, kind)
        reply = await asyncio.to_thread(handle, services_of(request), caller, asked)
        return Response(reply, status_code=HTTP_200_OK)  # whatever the method: clients take nothing else
    except KeyError as error:
        return _failure(400, f"Missing value for required parameter '{error.args[0]}'.")
    except ReliveError as error:
        return _failure(_status_of(error), str(error))


@get("/api/2.0/mlflow-artifacts/artifacts", include_in_schema=False)
async def list_files(request: HubRequest, path: FromQuery[str] = "") -> Response[Any]:
    """List a folder of a run's artifacts."""
    caller, services = _client(request, "list artifacts"), services_of(request)
    run_id, folder = mlflow.split_artifact_path(path)
    run = await asyncio.to_thread(mlflow.get_run, services, run_id, caller)
    found = await asyncio.to_thread(mlflow.list_artifacts, services, run.id, folder)
    # This call names paths relative to the folder that was asked for; the other one, from the root.
    names = [item | {"path": item["path"].removeprefix(folder).strip("/")} for item in found]
    return Response({"files": names})


@put("/api/2.0/mlflow-artifacts/artifacts/{path:path}", include_in_schema=False, request_max_body_size=None)
async def put_file(request: HubRequest, path: FromPath[str]) -> dict[str, Any]:
    """Store one file of a run, streaming."""
    caller = _client(request, "store artifacts")
    services = services_of(request)
    run_id, name = mlflow.split_artifact_path(path)
    run = await asyncio.to_thread(may_write, services, caller, run_id)
    blob = await receive_blob(request, expected=None)
    await asyncio.to_thread(mlflow.record_artifact, services, run, name, blob)
    return {}


@get("/api/2.0/mlflow-artifacts/artifacts/{path:path}", sync_to_thread=True, include_in_schema=False)
def get_file(request: HubRequest, path: FromPath[str]) -> Stream:
    """Give one file of a run."""
    caller, services = _client(request, "read artifacts"), services_of(request)
    run_id, name = mlflow.split_artifact_path(path)
    info = mlflow.open_artifact(services, mlflow.get_run(services, run_id, caller), name)
    start, end = read_range(request.headers.get("range", ""), info.size_bytes)
    pieces = services.blobs.iter_chunks(info.digest, start, end)
    return stream(pieces, info, start, end, "application/octet-stream")


def _status_of(error: ReliveError) -> int:
    # A param that is set again to another value is a bad value to MLflow's clients.
    is_plain = isinstance(error, Conflict) and not isinstance(error, Superseded)
    return 400 if is_plain else status_of(error)


def _failure(status: int, message: str) -> Response[Any]:
    code = _CODES.get(status, "INTERNAL_ERROR")
    return Response(msgspec.to_builtins(wire.Failure(error_code=code, message=message)), status_code=status)


ROUTES = [call, list_files, put_file, get_file]
