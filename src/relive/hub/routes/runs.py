"""Runs: what they report (see `wire.runs`), and reading them."""

import asyncio
from typing import Any
from urllib.parse import unquote

import msgspec
from litestar import MediaType, Response, get, post
from litestar.datastructures import ResponseHeader
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.response import Stream
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED, HTTP_202_ACCEPTED, HTTP_204_NO_CONTENT

from relive.core.access import Scope
from relive.core.run import Metric, Run
from relive.core.trajectory import Verdict
from relive.formats.series import plain_columns
from relive.hub.http import (
    MSGPACK,
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
from relive.ports.search import Search
from relive.services import causes, replays, runs, searching
from relive.wire.hub import RunDetail, SetTags
from relive.wire.jobs import LogChunk, Progress, Records, StageReport
from relive.wire.runs import CreatedRun, CreateRun, PlacedReplay, PlacedWhy, SeriesPage

NEXT_PAGE = ResponseHeader(
    name="x-next-page",
    value="",  # shows that it is text
    documentation_only=True,
    description="`after` of the next page; absent at the end",
)
# Runs that an offset leads past; pages that go on by `x-next-page` have no such end.
MOST_PASSED = 1_000_000
# Of one reply of columns: 24 MB.
MOST_POINTS = 1_000_000


def _reply(message: Any) -> Response[bytes]:
    return Response(msgspec.msgpack.encode(message), media_type=MSGPACK, status_code=HTTP_200_OK)


async def _writable(request: HubRequest, run_id: str) -> Run:
    return await asyncio.to_thread(runs.may_write, services_of(request), caller_of(request), run_id)


def _readable(request: HubRequest, run_id: str) -> Run:
    caller_of(request)
    run = services_of(request).store.get_run(run_id)
    reader_of(request, run.project_id)
    return run


def _key_of(request: HubRequest, run_id: str) -> str:
    """Give the metric's name as the address has it: every slash is a part of it, also doubled ones."""
    return unquote(request.scope["raw_path"].decode().partition(f"/{run_id}/metrics/")[2])


class _Wanted(msgspec.Struct, frozen=True):
    filter: str
    order: str
    text: str
    status: str


def _read_wanted(
    filter: FromQuery[str] = "",  # noqa: A002 - the name that is asked by
    order: FromQuery[str] = "",
    text: FromQuery[str] = "",
    status: FromQuery[str] = "",
) -> _Wanted:
    return _Wanted(filter, order, text, status)


@get(
    "/runs",
    sync_to_thread=True,
    response_headers=[NEXT_PAGE],
    dependencies={"wanted": Provide(_read_wanted, sync_to_thread=False)},
)
def list_runs(
    request: HubRequest,
    wanted: NamedDependency[_Wanted],
    page: NamedDependency[Page],
    project: FromQuery[str] = "",
    after: FromQuery[str] = "",
) -> Response[list[Run]]:
    """List runs that fit a filter, newest first or in another order; the reference, Search, tells both."""
    project_id = project_of(request, project)
    # An offset costs what lies before it; `after` does not.
    search = Search(
        project_id=project_id, text=wanted.text, limit=min(page.offset, MOST_PASSED) + page.limit, after=after
    )
    found = searching.search_runs(
        services_of(request),
        search,
        filter_text=wanted.filter,
        order_text=wanted.order,
        status=wanted.status,
    )
    return Response(
        list(found.runs[page.offset :]), headers={NEXT_PAGE.name: found.next} if found.next else {}
    )


@post("/runs", status_code=HTTP_201_CREATED, sync_to_thread=True)
def create_run(request: HubRequest, data: JSONBody[CreateRun]) -> CreatedRun:
    """Make a run that no job places; a run's own command makes one below it."""
    caller = caller_of(request)
    if caller.scope is not Scope.COMMAND:
        caller = allowed(request, Scope.LOCAL, "create a run")
    return runs.create(services_of(request), data, caller)


@get("/runs/{run_id:str}", sync_to_thread=True)
def get_run(request: HubRequest, run_id: FromPath[str]) -> RunDetail:
    """Give a run by its id or the beginning of it."""
    return runs.get_detail(services_of(request), _readable(request, run_id).id)


@post("/runs/{run_id:str}/heartbeat", include_in_schema=False)
async def heartbeat(request: HubRequest, run_id: FromPath[str]) -> Response[bytes]:
    """Tell a run whether it goes on."""
    run = await _writable(request, run_id)
    return _reply(await asyncio.to_thread(runs.renew, services_of(request), run))


@post("/runs/{run_id:str}/progress", include_in_schema=False)
async def progress(request: HubRequest, run_id: FromPath[str]) -> Response[bytes]:
    """Note a phase."""
    run = await _writable(request, run_id)
    message = await read_message(request, Progress)
    return _reply(await asyncio.to_thread(runs.progress, services_of(request), run, message))


@post("/runs/{run_id:str}/log", include_in_schema=False)
async def append_log(request: HubRequest, run_id: FromPath[str]) -> Response[bytes]:
    """Append output."""
    run = await _writable(request, run_id)
    chunk = await read_message(request, LogChunk)
    return _reply(await asyncio.to_thread(runs.append_log, services_of(request), run, chunk))


@post("/runs/{run_id:str}/records", include_in_schema=False)
async def record(request: HubRequest, run_id: FromPath[str]) -> Response[bytes]:
    """Keep metrics, params and tags."""
    run = await _writable(request, run_id)
    records = await read_message(request, Records)
    return _reply(await asyncio.to_thread(runs.record, services_of(request), run, records))


@post("/runs/{run_id:str}/finish", include_in_schema=False)
async def finish(request: HubRequest, run_id: FromPath[str]) -> Response[bytes]:
    """Take the report."""
    run = await _writable(request, run_id)
    report = await read_message(request, StageReport)
    await asyncio.to_thread(runs.finish, services_of(request), run, report)
    return _reply(None)


@post("/runs/{run_id:str}/cancel", status_code=HTTP_202_ACCEPTED, sync_to_thread=True)
def cancel(request: HubRequest, run_id: FromPath[str]) -> Run:
    """Ask a run to end."""
    caller = allowed(request, Scope.MEMBER, "cancel a run")
    return runs.cancel(services_of(request), run_id, by=caller.name)


@post("/runs/{run_id:str}/tags", status_code=HTTP_204_NO_CONTENT)
async def set_tags(request: HubRequest, run_id: FromPath[str], data: JSONBody[SetTags]) -> None:
    """Set tags."""
    run = await _writable(request, run_id)
    await asyncio.to_thread(services_of(request).store.set_tags, run.id, data.tags, fence=run.fence or None)


@get("/runs/{run_id:str}/metrics", sync_to_thread=True)
def get_series(
    request: HubRequest, run_id: FromPath[str], key: FromQuery[str], max_points: FromQuery[int] = 0
) -> list[Metric]:
    """Give a metric's series, reduced to `max_points` with every extreme kept."""
    run = _readable(request, run_id)
    return services_of(request).store.get_series(run.id, key, max_points=max_points or None)


@get("/runs/{run_id:str}/metrics/{key:path}", sync_to_thread=True)
def get_points(
    request: HubRequest,
    run_id: FromPath[str],
    start: FromQuery[int] = 0,
    limit: FromQuery[int] = MOST_POINTS,
    max_points: FromQuery[int] = 0,
) -> SeriesPage:
    """Give a metric's points as columns: from number `start` on, or reduced to `max_points`."""
    run, key = _readable(request, run_id), _key_of(request, run_id)
    store = services_of(request).store
    if max_points:
        points, following = store.get_points(run.id, key, max_points=max_points), None
    else:
        limit = max(1, min(limit, MOST_POINTS))
        points = store.page_points(run.id, key, start=start, limit=limit)
        following = start + limit if len(points) == limit else None
    return SeriesPage(key=key, points=len(points), following=following, **plain_columns(points))


@get("/runs/{run_id:str}/log", sync_to_thread=True, media_type=MediaType.TEXT)
def get_log(request: HubRequest, run_id: FromPath[str], start: FromQuery[int] = 0) -> Stream:
    """Give a run's log from a byte on."""
    services, run = services_of(request), _readable(request, run_id)
    headers = {"x-relive-run-status": run.status.value}
    return Stream(
        runs.read_log(services, run, start=max(0, start)),
        media_type=MediaType.TEXT,
        headers=headers,
    )


@get("/runs/{run_id:str}/recipe", sync_to_thread=True)
def get_recipe(request: HubRequest, run_id: FromPath[str]) -> Response[Any]:
    """Give the document of all inputs, byte for byte as it was signed for."""
    services, run = services_of(request), _readable(request, run_id)
    if not run.recipe:
        return Response(b"null", media_type="application/json")
    return Response(services.blobs.read(run.recipe), media_type="application/json")


@get("/runs/{run_id:str}/file", sync_to_thread=True, media_type="application/octet-stream")
def get_file(request: HubRequest, run_id: FromPath[str], path: FromQuery[str]) -> Stream:
    """Give one file of a run's artifacts."""
    services, run = services_of(request), _readable(request, run_id)
    info = services.blobs.get(runs.find_file(services, run.id, path))
    start, end = read_range(request.headers.get("range", ""), info.size_bytes)
    reply = stream(
        services.blobs.iter_chunks(info.digest, start, end), info, start, end, "application/octet-stream"
    )
    # Whatever a run wrote is never shown as a page of ours.
    reply.headers["content-disposition"] = "attachment"
    return reply


@post("/runs/{run_id:str}/replay", status_code=HTTP_201_CREATED, sync_to_thread=True)
def place_replay(request: HubRequest, run_id: FromPath[str], data: JSONBody[PlacedReplay]) -> Run:
    """Queue a replay of a run on a pool, and give the run that it will be."""
    caller = allowed(request, Scope.MEMBER, "replay a run")
    return replays.place(services_of(request), run_id, data, by=caller.name)


@post("/runs/{run_id:str}/why", status_code=HTTP_201_CREATED, sync_to_thread=True)
def place_why(request: HubRequest, run_id: FromPath[str], data: JSONBody[PlacedWhy]) -> Run:
    """Ask on a pool why another run came out differently, and give the run that will hold the answer."""
    caller = allowed(request, Scope.MEMBER, "search for causes")
    return causes.place(services_of(request), run_id, data, by=caller.name)


@post("/runs/{run_id:str}/verdicts", status_code=HTTP_201_CREATED, include_in_schema=False)
async def record_verdict(request: HubRequest, run_id: FromPath[str]) -> Verdict:
    """Keep what a replay showed."""
    caller = allowed(request, Scope.MEMBER, "record a verdict")
    verdict = msgspec.structs.replace(await read_message(request, Verdict), run_id=run_id)
    return await asyncio.to_thread(runs.record_verdict, services_of(request), verdict, by=caller.name)


ROUTES = [
    list_runs,
    create_run,
    get_run,
    heartbeat,
    progress,
    append_log,
    record,
    finish,
    cancel,
    set_tags,
    get_series,
    get_points,
    get_log,
    get_recipe,
    get_file,
    place_replay,
    place_why,
    record_verdict,
]
