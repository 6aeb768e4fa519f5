"""Data in versions; see `wire.datasets`."""

import asyncio

from litestar import delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.response import Stream
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED

from relive.core.access import Caller, Scope
from relive.core.dataset import DatasetVersion
from relive.core.digest import parse_digest
from relive.errors import BlobNotFound
from relive.hub.http import (
    HubRequest,
    Page,
    allowed,
    caller_of,
    project_of,
    read_message,
    reader_of,
    services_of,
)
from relive.hub.routes.blobs import read_range, stream
from relive.services import datasets
from relive.wire.datasets import AddVersion, CheckPacks, DatasetDetail, PacksFound, VersionDetail

_BYTES = "application/octet-stream"


def _readable(request: HubRequest, name: str, ref: str) -> DatasetVersion:
    services = services_of(request)
    # A runner brings what its stage declares, whosever it is; its command reads its own project's alone.
    if caller_of(request).scope is not Scope.RUNNER:
        reader_of(request, datasets.get_dataset(services, name).project_id)
    return datasets.get_version(services, name, ref)


def _adder(request: HubRequest, action: str) -> Caller:
    """Give the caller if it may add data: users, and commands for their own run."""
    caller = caller_of(request)
    return caller if caller.scope is Scope.COMMAND else allowed(request, Scope.LOCAL, action)


def _bytes(request: HubRequest, digest: str) -> Stream:
    blobs = services_of(request).blobs
    info = blobs.get(digest)
    start, end = read_range(request.headers.get("range", ""), info.size_bytes)
    return stream(blobs.iter_chunks(info.digest, start, end), info, start, end, _BYTES)


@get("/datasets", sync_to_thread=True)
def list_datasets(
    request: HubRequest, page: NamedDependency[Page], project: FromQuery[str] = ""
) -> list[DatasetDetail]:
    """List data sets by name, each with its newest version."""
    project_id = project_of(request, project)
    return datasets.list_datasets(services_of(request), project_id, limit=page.limit)


@post("/datasets", status_code=HTTP_201_CREATED, sync_to_thread=True)
def add_version(request: HubRequest, data: JSONBody[AddVersion]) -> DatasetVersion:
    """Name what was stored as the next version; the newest is given back if it is the same data."""
    caller = _adder(request, "add data")
    return datasets.add_version(services_of(request), data, caller)


@get("/datasets/{name:str}", sync_to_thread=True)
def get_dataset(request: HubRequest, page: NamedDependency[Page], name: FromPath[str]) -> DatasetDetail:
    """Give a data set with its versions, newest first."""
    caller_of(request)
    dataset = datasets.get_dataset(services_of(request), name)
    reader_of(request, dataset.project_id)
    return datasets.get_detail(services_of(request), dataset, limit=page.limit)


@get("/datasets/{name:str}/versions/{ref:str}", sync_to_thread=True)
def get_version(request: HubRequest, name: FromPath[str], ref: FromPath[str]) -> VersionDetail:
    """Give a version by number or `latest`, the run that made it and those that read it."""
    return datasets.version_detail(services_of(request), _readable(request, name, ref))


@get("/datasets/{name:str}/versions/{ref:str}/manifest", sync_to_thread=True, include_in_schema=False)
def get_manifest(request: HubRequest, name: FromPath[str], ref: FromPath[str]) -> Stream:
    """Give a version's files: path, digest and size."""
    return _bytes(request, _readable(request, name, ref).digest)


@get("/datasets/{name:str}/versions/{ref:str}/layout", sync_to_thread=True, include_in_schema=False)
def get_layout(request: HubRequest, name: FromPath[str], ref: FromPath[str]) -> Stream:
    """Give where a version's bytes lie."""
    return _bytes(request, _readable(request, name, ref).layout)


@get(
    "/datasets/{name:str}/versions/{ref:str}/packs/{digest:str}", sync_to_thread=True, include_in_schema=False
)
def get_pack(request: HubRequest, name: FromPath[str], ref: FromPath[str], digest: FromPath[str]) -> Stream:
    """Give a part of a pack, or all of it."""
    version = _readable(request, name, ref)
    if not datasets.holds_pack(services_of(request), version, parse_digest(digest)):
        raise BlobNotFound(kind="pack", name=digest)
    return _bytes(request, digest)


@post("/datasets/{name:str}/versions/{ref:str}/check", status_code=HTTP_200_OK, include_in_schema=False)
async def check_packs(request: HubRequest, name: FromPath[str], ref: FromPath[str]) -> PacksFound:
    """Read packs of a version again that were found damaged, and tell which ones have to be sent anew."""
    _adder(request, "check data")
    asked = await read_message(request, CheckPacks)

    def check() -> PacksFound:
        return datasets.check_packs(services_of(request), _readable(request, name, ref), asked.packs)

    return await asyncio.to_thread(check)


@delete("/datasets/{name:str}/versions/{ref:str}", sync_to_thread=True)
def delete_version(request: HubRequest, name: FromPath[str], ref: FromPath[str]) -> None:
    """Forget a version that no run read."""
    caller = allowed(request, Scope.MEMBER, "delete data")
    services = services_of(request)
    version = datasets.get_version(services, name, ref)
    datasets.delete_version(services, version, by=caller.name)


ROUTES = [
    list_datasets,
    add_version,
    get_dataset,
    get_version,
    get_manifest,
    get_layout,
    get_pack,
    check_packs,
    delete_version,
]
