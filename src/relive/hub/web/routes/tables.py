"""Many runs: the table of a project, its saved views, what is done with ticked runs, the comparison."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from relive.core.access import Caller
from relive.core.saved_view import SavedView
from relive.core.search import Side
from relive.errors import InvalidInput, NotFound
from relive.hub.http import HubRequest, services_of
from relive.hub.web.render import go_to, page, send
from relive.hub.web.routes.asking import fields_of, member, number_in, query_of, reader
from relive.hub.web.views import compare, runs, series
from relive.hub.web.views.asked import Asked, read_asked
from relive.services import curating

_BINARY, _JSON = "application/octet-stream", "application/json"
_SIDES = {"metrics": Side.METRIC, "params": Side.PARAM, "tags": Side.TAG}
_OFFERED = 12
_LONGEST_NAME = 100


@get("/p/{project:str}/runs", include_in_schema=False, sync_to_thread=True)
def show_runs(request: HubRequest, project: FromPath[str]) -> Response[bytes]:
    """The table of a project's runs."""
    reader(request)
    view = runs.get_runs(services_of(request), project, read_asked(query_of(request)))
    answer = page(request, "runs.html", view)
    if view.problem and "hx-request" in request.headers:
        # Whoever is still typing keeps the rows they see, and the address of the filter that could be read.
        answer.headers["hx-retarget"] = answer.headers["hx-reselect"] = "#problem"
        answer.headers["hx-push-url"] = "false"
    return answer


@get("/p/{project:str}/runs/count", include_in_schema=False, sync_to_thread=True)
def send_count(request: HubRequest, project: FromPath[str]) -> Response[bytes]:
    """How many runs match, which a page does not wait for."""
    reader(request)
    text = runs.count_found(services_of(request), project, read_asked(query_of(request)))
    return send(request, text.encode(), "text/plain")


@get("/p/{project:str}/runs/news", include_in_schema=False, sync_to_thread=True)
def send_news(request: HubRequest, project: FromPath[str]) -> Response[bytes]:
    """How many runs were made since a page was."""
    reader(request)
    try:
        since = float(query_of(request).get("since", ""))
    except ValueError as error:
        raise InvalidInput(field="since", value=query_of(request).get("since"), wanted="seconds") from error
    found = runs.count_new(services_of(request), project, since)
    return send(request, msgspec.json.encode({"new": found}), _JSON)


@get("/p/{project:str}/keys", include_in_schema=False, sync_to_thread=True)
def send_keys(request: HubRequest, project: FromPath[str]) -> Response[bytes]:
    """Names that complete what is typed into the filter, a dozen of each kind at most."""
    reader(request)
    query, store = query_of(request), services_of(request).store
    project_id, find, wanted = store.get_project(project).id, query.get("find", "")[:200], query.get("side")
    found = {
        name: store.list_keys(project_id, side, find=find, limit=_OFFERED)
        for name, side in _SIDES.items()
        if wanted in (name, None)
    }
    return send(request, msgspec.json.encode(found), _JSON)


@get("/p/{project:str}/view", include_in_schema=False, sync_to_thread=True)
def open_view(request: HubRequest, project: FromPath[str]) -> Redirect:
    """Lead from the name of a saved view to it.

    Raises:
        NotFound: The project has none of this name.
    """
    reader(request)
    store, name = services_of(request).store, query_of(request).get("name", "")
    view = store.find_view(store.get_project(project).id, name)
    if view is None:
        raise NotFound(kind="saved view", name=name)
    return go_to(request, f"/p/{project}/runs", **runs.opened_query(view))


@post("/p/{project:str}/views", include_in_schema=False, status_code=303)
async def save_view(request: HubRequest, project: FromPath[str]) -> Redirect:
    """Give the table as it is a name."""
    caller, form = member(request, "save a view"), dict(await fields_of(request))
    asked, name = read_asked(form), form.get("name", "").strip()
    if not 0 < len(name) <= _LONGEST_NAME:
        raise InvalidInput(
            field="name of the view", value=name[:40], wanted=f"1 to {_LONGEST_NAME} characters"
        )
    await asyncio.to_thread(_save_view, request, project, name, asked, caller)
    return go_to(request, f"/p/{project}/runs", **asked.fresh(view=name))


@post("/p/{project:str}/views/delete", include_in_schema=False, status_code=303)
async def delete_view(request: HubRequest, project: FromPath[str]) -> Redirect:
    """Take a view's name away; the table stays as it is."""
    member(request, "delete a view")
    form = dict(await fields_of(request))
    await asyncio.to_thread(_delete_view, request, project, form.get("name", ""))
    return go_to(request, f"/p/{project}/runs", **read_asked(form).fresh(view=""))


@post("/p/{project:str}/runs/selected", include_in_schema=False, status_code=303)
async def use_selected(request: HubRequest, project: FromPath[str]) -> Redirect:
    """Compare, tag, delete or restore the runs that are ticked."""
    caller, fields = reader(request), await fields_of(request)
    form = dict(fields)
    ids = [
        run_id
        for name, value in fields
        if name in ("runs", "others")
        for run_id in value.split(",")
        if run_id
    ]
    if form.get("do") == "compare":
        return go_to(request, f"/p/{project}/compare", runs=",".join(ids))
    did = await asyncio.to_thread(_do, request, form, ids, caller)
    asked = read_asked(form)
    # What was deleted is on no page any more.
    kept = asked.sel if form.get("do") == "tag" else ()
    return go_to(request, f"/p/{project}/runs", **asked.query(sel=kept, did=did))


@get("/p/{project:str}/compare", include_in_schema=False, sync_to_thread=True)
def show_compare(request: HubRequest, project: FromPath[str]) -> Response[bytes]:
    """Runs side by side."""
    reader(request)
    query = query_of(request)
    ids = [part for part in query.get("runs", "").split(",") if part]
    look = compare.Look(
        show_all=query.get("all") == "1",
        axes=tuple(part for part in query.get("axes", "").split(",") if part),
        sx=query.get("sx", ""),
        sy=query.get("sy", ""),
        find=query.get("find", ""),
        first=number_in(query, "first", 0, most=1_000_000),
    )
    return page(request, "compare.html", compare.get_compare(services_of(request), project, ids, look))


@get("/p/{project:str}/series", include_in_schema=False, sync_to_thread=True)
def send_series(request: HubRequest, project: FromPath[str]) -> Response[bytes]:
    """One metric of several runs, for charts."""
    reader(request)
    services_of(request).store.get_project(project)
    return answer_series(request, [part for part in query_of(request).get("runs", "").split(",") if part])


def answer_series(request: HubRequest, run_ids: Sequence[str]) -> Response[bytes]:
    """Answer with one metric of runs, as the address asks for it."""
    query = query_of(request)
    key = query.get("key", "")
    if not key:
        raise InvalidInput(field="key", value=key, wanted="the name of a metric")
    points, along = number_in(query, "points", 600), query.get("x", "") or "step"
    found = series.read_series(services_of(request), run_ids, key, points=points, along=along)
    return send(request, found, _BINARY)


def _save_view(request: HubRequest, project: str, name: str, asked: Asked, caller: Caller) -> None:
    store = services_of(request).store
    view = SavedView(
        id="",
        project_id=store.get_project(project).id,
        name=name,
        query=runs.saved_query(asked),
        created_by=caller.name,
    )
    store.save_view(view)


def _delete_view(request: HubRequest, project: str, name: str) -> None:
    store = services_of(request).store
    view = store.find_view(store.get_project(project).id, name)
    if view is None or not store.delete_view(view.id):
        raise NotFound(kind="saved view", name=name)


def _do(request: HubRequest, form: dict[str, Any], ids: list[str], caller: Caller) -> str:
    services, action = services_of(request), form.get("do", "")
    if action == "tag":
        key, value = form.get("key", "").strip(), form.get("value", "").strip()
        return f"tagged:{curating.set_tag(services, ids, key, value, caller)}"
    if action == "delete":
        return f"deleted:{curating.delete_runs(services, ids, caller)}"
    if action == "restore":
        return f"restored:{curating.restore_runs(services, ids, caller)}"
    raise InvalidInput(field="do", value=action, wanted="compare, tag, delete or restore")


ROUTES = [
    show_runs,
    send_count,
    send_news,
    send_keys,
    open_view,
    save_view,
    delete_view,
    use_selected,
    show_compare,
    send_series,
]
