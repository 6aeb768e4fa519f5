"""A run: every tab of it, and what its page reads."""

import asyncio
import re
from urllib.parse import parse_qsl

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect, Stream

from relive.hub.http import HubRequest, services_of
from relive.hub.routes.blobs import stream
from relive.hub.web.render import go_to, page, send, unchanged
from relive.hub.web.routes import tables
from relive.hub.web.routes.asking import form_of, member, number_in, query_of, reader
from relive.hub.web.views import artifacts, lineage, logs, media, recipe, run
from relive.services import curating
from relive.services import runs as services_runs

_BINARY = "application/octet-stream"
_JSON = "application/json"
_PICTURE_HEAD = 16


@get("/r/{run_id:str}/series", include_in_schema=False, sync_to_thread=True)
def send_run_series(request: HubRequest, run_id: FromPath[str]) -> Response[bytes]:
    """One metric of a run, for a chart."""
    reader(request)
    return tables.answer_series(request, [run_id])


@get("/runs/{run_id:str}", include_in_schema=False, sync_to_thread=True)
def find_run(request: HubRequest, run_id: FromPath[str]) -> Redirect:
    """Lead from the beginning of an id to the run's page."""
    reader(request)
    return go_to(request, f"/r/{services_of(request).store.get_run(run_id).id}")


@get("/r/{run_id:str}", include_in_schema=False, sync_to_thread=True)
def show_run(request: HubRequest, run_id: FromPath[str]) -> Response[bytes]:
    """A run: did it work, with what, how good, can it be lived again."""
    reader(request)
    view = run.get_overview(services_of(request), run_id)
    return unchanged(request, view.seen) or page(request, "run.html", view)


@get("/r/{run_id:str}/charts", include_in_schema=False, sync_to_thread=True)
def show_charts(request: HubRequest, run_id: FromPath[str]) -> Response[bytes]:
    """The shape of its training."""
    reader(request)
    query = query_of(request)
    first = number_in(query, "first", 0, most=1_000_000)
    view = run.get_charts(services_of(request), run_id, find=query.get("find", ""), first=first)
    return page(request, "run_charts.html", view)


@get("/r/{run_id:str}/system", include_in_schema=False, sync_to_thread=True)
def show_system(request: HubRequest, run_id: FromPath[str]) -> Response[bytes]:
    """What its machine did meanwhile."""
    reader(request)
    query = query_of(request)
    first = number_in(query, "first", 0, most=1_000_000)
    view = run.get_charts(services_of(request), run_id, find=query.get("find", ""), first=first, system=True)
    return page(request, "run_charts.html", view)


@get("/r/{run_id:str}/media", include_in_schema=False, sync_to_thread=True)
def show_media(request: HubRequest, run_id: FromPath[str]) -> Response[bytes]:
    """What it logged to be looked at."""
    reader(request)
    query = query_of(request)
    step = query.get("step", "")
    view = media.get_media(
        services_of(request),
        run_id,
        find=query.get("find", ""),
        first=number_in(query, "first", 0, most=1_000_000),
        step=int(step) if re.fullmatch(r"-?\d{1,18}", step) else None,
    )
    return page(request, "run_media.html", view)


@get("/r/{run_id:str}/points", include_in_schema=False, sync_to_thread=True)
def send_counts(request: HubRequest, run_id: FromPath[str]) -> Response[bytes]:
    """How many points the series have that a page shows."""
    reader(request)
    keys = [value for name, value in parse_qsl(request.url.query) if name == "key"]
    return send(request, msgspec.json.encode(run.count_points(services_of(request), run_id, keys)), _JSON)


@get("/r/{run_id:str}/inputs", include_in_schema=False, sync_to_thread=True)
def show_inputs(request: HubRequest, run_id: FromPath[str]) -> Response[bytes]:
    """Everything that went into it."""
    reader(request)
    return page(request, "run_inputs.html", recipe.get_inputs(services_of(request), run_id))


@get("/r/{run_id:str}/replay", include_in_schema=False, sync_to_thread=True)
def show_replays(request: HubRequest, run_id: FromPath[str]) -> Response[bytes]:
    """Every verdict on it."""
    reader(request)
    return page(request, "run_replay.html", run.get_replays(services_of(request), run_id))


@get("/r/{run_id:str}/tests", include_in_schema=False, sync_to_thread=True)
def show_tests(request: HubRequest, run_id: FromPath[str]) -> Response[bytes]:
    """What its tests said."""
    reader(request)
    return page(request, "run_tests.html", run.get_tests(services_of(request), run_id))


@get("/r/{run_id:str}/lineage", include_in_schema=False, sync_to_thread=True)
def show_lineage(request: HubRequest, run_id: FromPath[str]) -> Response[bytes]:
    """Where it came from, and what came from it."""
    reader(request)
    return page(request, "run_lineage.html", lineage.get_lineage(services_of(request), run_id))


@get("/r/{run_id:str}/logs", include_in_schema=False, sync_to_thread=True)
def show_logs(request: HubRequest, run_id: FromPath[str]) -> Response[bytes]:
    """Its output."""
    reader(request)
    query = query_of(request)
    start = number_in(query, "at", 0) if query.get("at") else None
    view = logs.get_logs(services_of(request), run_id, start=start, find=query.get("find", "")[:200])
    return page(request, "run_logs.html", view)


@get("/r/{run_id:str}/logs/more", include_in_schema=False, sync_to_thread=True)
def send_log(request: HubRequest, run_id: FromPath[str]) -> Response[bytes]:
    """The next lines of its output, for a page that follows it."""
    reader(request)
    services = services_of(request)
    start = number_in(query_of(request), "at", 0)
    piece = logs.read_piece(services, services.store.get_run(run_id), start)
    return send(request, logs.encode(piece), _JSON)


@get("/r/{run_id:str}/artifacts", include_in_schema=False, sync_to_thread=True)
def show_artifacts(request: HubRequest, run_id: FromPath[str]) -> Response[bytes]:
    """What it made."""
    reader(request)
    view = artifacts.get_artifacts(services_of(request), run_id, path=query_of(request).get("path", ""))
    return page(request, "run_artifacts.html", view)


@get("/r/{run_id:str}/file", include_in_schema=False, sync_to_thread=True)
def send_file(request: HubRequest, run_id: FromPath[str]) -> Stream:
    """One file it made: pictures to look at, sounds to hear, everything else to keep."""
    reader(request)
    services, path = services_of(request), query_of(request).get("path", "")
    info = services.blobs.get(services_runs.find_file(services, services.store.get_run(run_id).id, path))
    head = b"".join(services.blobs.iter_chunks(info.digest, 0, min(_PICTURE_HEAD, info.size_bytes)))
    kind = artifacts.shown_type(head)
    reply = stream(
        services.blobs.iter_chunks(info.digest, 0, info.size_bytes), info, 0, info.size_bytes, kind or _BINARY
    )
    # Whatever a run wrote can do nothing as a page of ours, even if it is opened as one.
    reply.headers["content-security-policy"] = "default-src 'none'; sandbox"
    reply.headers["x-content-type-options"] = "nosniff"
    if not kind:
        reply.headers["content-disposition"] = "attachment"
    return reply


@post("/r/{run_id:str}/cancel", include_in_schema=False, status_code=303)
async def cancel_run(request: HubRequest, run_id: FromPath[str]) -> Redirect:
    """Ask it to end."""
    caller = member(request, "cancel a run")
    await asyncio.to_thread(services_runs.cancel, services_of(request), run_id, by=caller.name)
    return go_to(request, f"/r/{run_id}")


@post("/r/{run_id:str}/note", include_in_schema=False, status_code=303)
async def write_note(request: HubRequest, run_id: FromPath[str]) -> Redirect:
    """Write about it."""
    caller, form = reader(request), await form_of(request)
    text, seen = form.get("note", ""), form.get("seen")
    run = await asyncio.to_thread(curating.set_note, services_of(request), run_id, text, caller, seen=seen)
    return go_to(request, f"/r/{run.id}")


ROUTES = [
    send_run_series,
    find_run,
    show_run,
    show_charts,
    show_system,
    show_media,
    send_counts,
    show_inputs,
    show_replays,
    show_tests,
    show_lineage,
    show_logs,
    send_log,
    show_artifacts,
    send_file,
    cancel_run,
    write_note,
]
