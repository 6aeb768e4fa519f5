"""Bytes by their digest; see `wire.blobs`."""

import asyncio
import re
from collections.abc import Iterator

from litestar import Response, get, head, post, put
from litestar.params import FromPath, FromQuery
from litestar.response import Stream
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED, HTTP_206_PARTIAL_CONTENT

from relive.core.access import Caller, Scope
from relive.core.digest import parse_digest
from relive.errors import AccessDenied, InvalidInput, InvalidRange
from relive.hub.http import HubRequest, allowed, caller_of, read_message, services_of
from relive.ports.blobs import BlobInfo, BlobWriter
from relive.services import uploads
from relive.services.collecting import find_missing as find_missing_blobs
from relive.wire.blobs import BeginUpload, GivenPart, MissingBlobs, MissingBlobsReply, UploadState

_BYTES = "application/octet-stream"
# Uvicorn hands over 64 KiB at a time; one trip to a thread for each would cost more than the write.
_BUFFER_BYTES = 1 << 20
_RANGE = re.compile(r"bytes=([0-9]*)-([0-9]*)")
_MOST_DIGITS = 19


def _writer(request: HubRequest) -> Caller:
    """Give the caller if it may store bytes: users, runners for outs, commands for runs within theirs."""
    caller = caller_of(request)
    return (
        caller
        if caller.scope in (Scope.RUNNER, Scope.COMMAND)
        else allowed(request, Scope.LOCAL, "store blobs")
    )


def _reader(request: HubRequest) -> Caller:
    """Give the caller if it may read any bytes: users and runners, not a command's own process."""
    caller = caller_of(request)
    if caller.scope is Scope.COMMAND:
        raise AccessDenied(action="read blobs", who=caller.name, needs="a user's or a runner's token")
    return caller


@post("/blobs/missing", status_code=HTTP_200_OK, include_in_schema=False)
async def find_missing(request: HubRequest) -> MissingBlobsReply:
    """Tell which digests are not here; the others stay for a day at least."""
    _writer(request)
    asked = await read_message(request, MissingBlobs)
    missing = await asyncio.to_thread(find_missing_blobs, services_of(request), asked.digests)
    return MissingBlobsReply(missing=tuple(missing))


@put(
    "/blobs/{digest:str}",
    status_code=HTTP_201_CREATED,
    include_in_schema=False,
    request_max_body_size=None,  # streamed; what bounds it is the store's room
)
async def put_blob(request: HubRequest, digest: FromPath[str]) -> BlobInfo:
    """Store a body under its digest."""
    _writer(request)
    return await receive_blob(request, expected=parse_digest(digest))


@get("/blobs/{digest:str}", sync_to_thread=True, include_in_schema=False)
def get_blob(request: HubRequest, digest: FromPath[str]) -> Stream:
    """Give a blob's bytes, or the range of them that was asked for."""
    _reader(request)
    blobs = services_of(request).blobs
    info = blobs.get(parse_digest(digest))
    start, end = read_range(request.headers.get("range", ""), info.size_bytes)
    pieces = blobs.iter_chunks(info.digest, start, end)
    return stream(pieces, info, start, end, _BYTES)


@head("/blobs/{digest:str}", sync_to_thread=True, include_in_schema=False)
def head_blob(request: HubRequest, digest: FromPath[str]) -> Response[None]:
    """Tell whether a blob is here, and its size."""
    _reader(request)
    info = services_of(request).blobs.get(parse_digest(digest))
    return Response(None, headers={"content-length": str(info.size_bytes)})


@post("/blobs/{digest:str}/adopt", status_code=HTTP_200_OK, include_in_schema=False)
async def adopt_part(request: HubRequest, digest: FromPath[str]) -> BlobInfo:
    """Store what a client of the hub's user wrote into the store's folder by itself."""
    _writer(request)
    given = await read_message(request, GivenPart)
    return await asyncio.to_thread(uploads.adopt, services_of(request), digest, given.name)


@post("/blobs/{digest:str}/upload", status_code=HTTP_200_OK, include_in_schema=False)
async def begin_upload(request: HubRequest, digest: FromPath[str]) -> UploadState:
    """Tell which parts of a large blob are still to be sent."""
    owner = _writer(request).name
    asked = await read_message(request, BeginUpload)
    return await asyncio.to_thread(uploads.begin, services_of(request), digest, asked.size_bytes, owner)


@put(
    "/blobs/{digest:str}/upload/{number:int}",
    status_code=HTTP_201_CREATED,
    include_in_schema=False,
    request_max_body_size=None,  # streamed; more than a part has is refused
)
async def put_part(
    request: HubRequest,
    digest: FromPath[str],
    number: FromPath[int],
    size_bytes: FromQuery[int] = 0,
    part: FromQuery[str] = "",
) -> BlobInfo:
    """Store a part of a large blob under its number, if its bytes hash to the digest `part`."""
    owner, services = _writer(request).name, services_of(request)
    writer = await asyncio.to_thread(
        uploads.part, services, digest, size_bytes, owner, number=number, expected=part
    )
    return await _receive(request, writer)


@post("/blobs/{digest:str}/upload/finish", status_code=HTTP_200_OK, include_in_schema=False)
async def finish_upload(request: HubRequest, digest: FromPath[str]) -> BlobInfo:
    """Put the parts of a large blob together."""
    owner = _writer(request).name
    asked = await read_message(request, BeginUpload)
    return await asyncio.to_thread(uploads.finish, services_of(request), digest, asked.size_bytes, owner)


async def receive_blob(request: HubRequest, *, expected: str | None) -> BlobInfo:
    """Store a request's body, streaming; with `expected` only if it hashes to that."""
    length = request.headers.get("content-length", "")
    hint = int(length) if length.isdigit() else None
    blobs = services_of(request).blobs
    writer = await asyncio.to_thread(lambda: blobs.writer(expected=expected, size_hint=hint))
    return await _receive(request, writer)


async def _receive(request: HubRequest, writer: BlobWriter) -> BlobInfo:
    with writer:
        buffer = bytearray()
        async for piece in request.stream():
            buffer += piece
            if len(buffer) >= _BUFFER_BYTES:
                await asyncio.to_thread(writer.write, bytes(buffer))
                buffer.clear()
        if buffer:
            await asyncio.to_thread(writer.write, bytes(buffer))
        return await asyncio.to_thread(writer.commit)


def stream(pieces: Iterator[bytes], info: BlobInfo, start: int, end: int, media_type: str) -> Stream:
    """Give a streaming reply for part of a blob; a whole one is 200, a part 206."""
    whole = start == 0 and end == info.size_bytes
    headers = {"content-length": str(end - start), "accept-ranges": "bytes", "etag": f'"{info.digest}"'}
    if not whole:
        headers["content-range"] = f"bytes {start}-{end - 1}/{info.size_bytes}"
    status = HTTP_200_OK if whole else HTTP_206_PARTIAL_CONTENT
    return Stream(pieces, status_code=status, media_type=media_type, headers=headers)


def read_range(header: str, size_bytes: int) -> tuple[int, int]:
    """Read a Range header of one range; gives start and the end behind it.

    Raises:
        InvalidInput: It has another form.
        InvalidRange: It names no byte of this blob.
    """
    if not header:
        return 0, size_bytes
    found = _RANGE.fullmatch(header.strip())
    if found is None or not any(found.groups()):
        raise InvalidInput(field="Range", value=header, wanted="one range, such as bytes=0-1023")
    first, last = (_whole(text) if text else None for text in found.groups())
    if first is None:
        start, end = max(0, size_bytes - (last or 0)), size_bytes
    else:
        start, end = first, size_bytes if last is None else min(size_bytes, last + 1)
    if start >= end:
        raise InvalidRange(field="Range", value=header, wanted=f"a range within {size_bytes} bytes")
    return start, end


def _whole(digits: str) -> int:
    # Longer ones lie beyond every blob, and Python refuses to read the longest.
    return int(digits) if len(digits) < _MOST_DIGITS else 10**_MOST_DIGITS


ROUTES = [find_missing, put_blob, get_blob, head_blob, adopt_part, begin_upload, put_part, finish_upload]
