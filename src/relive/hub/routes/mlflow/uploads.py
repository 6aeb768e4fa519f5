"""Uploads in parts, small uploads and downloads of browsers, and the addresses that are not signed here."""

import asyncio
from typing import Any

from litestar import Response, get, post, put
from litestar.params import FromPath
from litestar.status_codes import HTTP_200_OK

from relive.core.access import Caller
from relive.hub.http import HubRequest, services_of
from relive.hub.routes.blobs import receive_blob
from relive.hub.routes.mlflow.answers import in_mlflows_words
from relive.hub.routes.mlflow.files import located, sent
from relive.hub.routes.mlflow.reading import read_body
from relive.hub.routes.mlflow.table import Table, client_of
from relive.services.context import Services
from relive.services.mlflow import uploads
from relive.services.mlflow.artifacts import presign_file, record_file
from relive.services.mlflow.faults import MlflowFault, invalid
from relive.services.mlflow.logged_models import find_model
from relive.services.mlflow.places import address_of, check_writer, safe_path
from relive.services.mlflow.registry import find_version
from relive.services.mlflow.registry_json import location_of
from relive.services.mlflow.run_json import artifact_uri
from relive.services.mlflow.runs import get_run
from relive.wire.mlflow import files as wire

_ROOTS = ["/api/2.0/mlflow-artifacts", "/ajax-api/2.0/mlflow-artifacts"]
_PARTS = f"{_ROOTS[0]}/mpu/part"
_LARGEST_UPLOAD = 10 << 20
_LONGEST_LIFE_S = 604_800


@post(
    [f"{root}/mpu/create/{{path:path}}" for root in _ROOTS], include_in_schema=False, status_code=HTTP_200_OK
)
@in_mlflows_words
async def create_upload(request: HubRequest, path: FromPath[str]) -> Response[Any]:
    """Begin a file in parts, and say where each part is to be sent."""
    caller = client_of(request, "store artifacts")
    asked = read_body(wire.CreateUpload, await request.body(), {})
    place = await located(request, _joined(path, asked.path), "store artifacts")
    services = services_of(request)
    begun = await asyncio.to_thread(uploads.begin_upload, services, caller, place, asked.num_parts)
    hub = f"{str(request.base_url).rstrip('/')}{_PARTS}"
    urls = await asyncio.to_thread(uploads.part_addresses, services, begun, asked.num_parts, hub)
    credentials = [{"url": url, "part_number": number, "headers": {}} for number, url in enumerate(urls, 1)]
    return Response({"upload_id": begun, "credentials": credentials})


@put(f"{_PARTS}/{{upload_id:str}}/{{number:int}}", include_in_schema=False, request_max_body_size=None)
@in_mlflows_words
async def put_part(request: HubRequest, upload_id: FromPath[str], number: FromPath[int]) -> Response[Any]:
    """Store a part; knowing the upload's id is the login, as with a bucket's signed addresses."""
    services = services_of(request)
    await asyncio.to_thread(uploads.check_upload, services, upload_id, number)
    blob = await receive_blob(request, expected=None)
    await asyncio.to_thread(uploads.record_part, services, upload_id, number, blob)
    return Response({}, headers={"etag": f'"{blob.digest}"'})


@post(
    [f"{root}/mpu/complete/{{path:path}}" for root in _ROOTS],
    include_in_schema=False,
    status_code=HTTP_200_OK,
)
@in_mlflows_words
async def complete_upload(request: HubRequest, path: FromPath[str]) -> Response[Any]:
    """Put the parts of a file together."""
    caller = client_of(request, "store artifacts")
    asked = read_body(wire.CompleteUpload, await request.body(), {})
    place = await located(request, _joined(path, asked.path), "store artifacts")
    services = services_of(request)
    await asyncio.to_thread(uploads.complete_upload, services, caller, place, asked.upload_id, asked.parts)
    return Response({})


@post(
    [f"{root}/mpu/abort/{{path:path}}" for root in _ROOTS], include_in_schema=False, status_code=HTTP_200_OK
)
@in_mlflows_words
async def abort_upload(request: HubRequest, path: FromPath[str]) -> Response[Any]:
    """Forget the parts of a file."""
    caller = client_of(request, "store artifacts")
    asked = read_body(wire.AbortUpload, await request.body(), {})
    place = await located(request, _joined(path, asked.path), "store artifacts")
    await asyncio.to_thread(uploads.abort_upload, services_of(request), caller, place, asked.upload_id)
    return Response({})


@get([f"{root}/presigned/{{path:path}}" for root in _ROOTS], include_in_schema=False)
@in_mlflows_words
async def presign(request: HubRequest, path: FromPath[str]) -> Response[Any]:
    """Give a signed address of a file in the bucket, if there is a bucket and it may be shown."""
    place = await located(request, path.removeprefix("/"), "read artifacts")
    return Response(await asyncio.to_thread(presign_file, services_of(request), place))


@post("/ajax-api/2.0/mlflow/upload-artifact", include_in_schema=False, status_code=HTTP_200_OK)
@in_mlflows_words
async def upload_artifact(request: HubRequest) -> Response[Any]:
    """Store a small file of a run, as browsers do."""
    caller, query = client_of(request, "store artifacts"), request.query_params
    for name in ("run_uuid", "path"):
        if not query.get(name):
            raise invalid(f"Request must specify {name}.")
    path = safe_path(query["path"])
    data = await request.body()
    if not data:
        raise invalid("Request must specify data.")
    if len(data) > _LARGEST_UPLOAD:
        raise invalid("Artifact size is too large. Max size is 10MB.")
    services = services_of(request)
    run = await asyncio.to_thread(get_run, services, query["run_uuid"], caller)
    place = await located(request, f"{address_of(artifact_uri(services, run))}/{path}", "store artifacts")
    await asyncio.to_thread(check_writer, services, caller, place)
    blob = await asyncio.to_thread(services.blobs.put, data)
    await asyncio.to_thread(record_file, services, caller, place, blob)
    return Response({})


@get("/get-artifact", include_in_schema=False)
@in_mlflows_words
async def get_artifact(request: HubRequest) -> Response[Any]:
    """Give one file of a run."""
    caller, query = client_of(request, "read artifacts"), request.query_params
    path, run_id = safe_path(query["path"]), query.get("run_id") or query["run_uuid"]
    run = await asyncio.to_thread(get_run, services_of(request), run_id, caller)
    return await _file(request, artifact_uri(services_of(request), run), path)


@get("/model-versions/get-artifact", include_in_schema=False)
@in_mlflows_words
async def get_version_artifact(request: HubRequest) -> Response[Any]:
    """Give one file of a model version."""
    caller, query = client_of(request, "read artifacts"), request.query_params
    path, services = safe_path(query["path"]), services_of(request)
    version = await asyncio.to_thread(find_version, services, query["name"], query["version"], caller)
    return await _file(request, location_of(version), path)


@in_mlflows_words
async def get_model_artifact(request: HubRequest, model_id: str) -> Response[Any]:
    """Give one file of a logged model: no route of its own, which would hide all others below its path."""
    caller = client_of(request, "read artifacts")
    path = request.query_params.get("artifact_file_path", "")
    if not path:
        message = 'Request must include the "artifact_file_path" query parameter.'
        raise MlflowFault(error_code="BAD_REQUEST", message=message)
    model = await asyncio.to_thread(find_model, services_of(request), model_id, caller)
    return await _file(request, model.artifact_location, safe_path(path))


def _presign_upload(services: Services, caller: Caller, message: wire.PresignUpload) -> dict[str, Any]:
    """Say that files are sent to the hub itself, not to signed addresses."""
    if bool(message.run_id) == bool(message.model_id):
        raise invalid("Exactly one of run_id and model_id must be provided.")
    safe_path(message.path)
    if message.run_id:
        get_run(services, message.run_id, caller)
    else:
        find_model(services, message.model_id, caller)
    raise invalid(
        "Presigned upload is not supported for proxied artifact storage (artifact URI scheme: "
        "mlflow-artifacts). This endpoint requires a direct cloud storage artifact URI."
    )


def _presign_download(services: Services, caller: Caller, message: wire.PresignDownload) -> dict[str, Any]:
    """Say that files are downloaded from the hub itself, not from signed addresses."""
    safe_path(message.path)
    if not 1 <= message.expiration <= _LONGEST_LIFE_S:
        wanted = f"between 1 and {_LONGEST_LIFE_S} seconds (got {message.expiration})"
        raise invalid(f"expiration must be {wanted}.")
    get_run(services, message.run_id, caller)
    raise invalid(
        "Presigned download is not supported for runs with proxied artifact storage (artifact URI scheme: "
        "mlflow-artifacts). This endpoint requires a run with a direct cloud storage artifact URI."
    )


async def _file(request: HubRequest, root: str, path: str) -> Response[Any]:
    place = await located(request, f"{address_of(root)}/{path}", "read artifacts")
    return await asyncio.to_thread(sent, request, place)


def _joined(folder: str, path: str) -> str:
    return f"{folder.strip('/')}/{path.replace(chr(92), '/').rpartition('/')[2]}"


TABLE: Table = {
    ("POST", "artifacts/presigned-upload-url"): (wire.PresignUpload, _presign_upload),
    ("POST", "artifacts/presigned-download-url"): (wire.PresignDownload, _presign_download),
}
ROUTES = [
    create_upload,
    put_part,
    complete_upload,
    abort_upload,
    presign,
    upload_artifact,
    get_artifact,
    get_version_artifact,
]
