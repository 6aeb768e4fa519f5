"""Pipelines: the list, the page, and what can be asked of one."""

import asyncio

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from relive.hub.http import HubRequest, services_of
from relive.hub.web.render import go_to, page, unchanged
from relive.hub.web.routes.asking import form_of, member, number_in, query_of, reader
from relive.hub.web.views import pipelines as views
from relive.services import pipelines
from relive.services.scheduling import cancel_pipeline
from relive.wire.hub import StartPipeline


@get("/p/{project:str}/pipelines", include_in_schema=False, sync_to_thread=True)
def show_pipelines(request: HubRequest, project: FromPath[str]) -> Response[bytes]:
    """The pipelines of a project."""
    reader(request)
    number = max(1, number_in(query_of(request), "page", 1, most=100_000))
    view = views.list_pipelines(services_of(request), project, page=number)
    return unchanged(request, view.seen) or page(request, "pipelines.html", view)


@get("/p/{project:str}/pipelines/{number:int}", include_in_schema=False, sync_to_thread=True)
def show_pipeline(request: HubRequest, project: FromPath[str], number: FromPath[int]) -> Response[bytes]:
    """Did my push pass, which stage failed, what was not run again and why?"""
    reader(request)
    stage = query_of(request).get("stage", "")
    view = views.get_pipeline(services_of(request), project, number, stage=stage)
    return unchanged(request, view.seen) or page(request, "pipeline.html", view)


@get("/pipelines/{pipeline_id:str}", include_in_schema=False, sync_to_thread=True)
def find_pipeline(request: HubRequest, pipeline_id: FromPath[str]) -> Response[bytes] | Redirect:
    """Lead from a pipeline's id to its page; one that is still being planned has a page that waits."""
    reader(request)
    store = services_of(request).store
    planned = store.get_job(pipeline_id)
    if not planned.state.is_final:
        return page(request, "planning.html", planned)
    found = store.get_pipeline(pipeline_id)
    return go_to(request, f"/p/{store.get_project(found.project_id).name}/pipelines/{found.number}")


@post("/p/{project:str}/pipelines/{number:int}/cancel", include_in_schema=False, status_code=303)
async def cancel(request: HubRequest, project: FromPath[str], number: FromPath[int]) -> Redirect:
    """End a pipeline."""
    caller = member(request, "cancel a pipeline")
    await asyncio.to_thread(_cancel, request, f"{project}:{number}", caller.name)
    return go_to(request, f"/p/{project}/pipelines/{number}")


@post("/p/{project:str}/pipelines/{number:int}/rerun", include_in_schema=False, status_code=303)
async def rerun(request: HubRequest, project: FromPath[str], number: FromPath[int]) -> Redirect:
    """Repeat a pipeline, from a stage on or where the cache allows."""
    caller = member(request, "start a pipeline")
    stage = (await form_of(request)).get("from_stage", "")
    asked = StartPipeline(project=project, rerun_of=f"{project}:{number}", from_stage=stage)
    started = await asyncio.to_thread(pipelines.start, services_of(request), asked, by=caller.name)
    return go_to(request, f"/pipelines/{started.id}")


@post("/p/{project:str}/pipelines", include_in_schema=False, status_code=303)
async def start(request: HubRequest, project: FromPath[str]) -> Redirect:
    """Start a pipeline of a branch or commit."""
    caller = member(request, "start a pipeline")
    asked = StartPipeline(project=project, rev=(await form_of(request)).get("rev", "").strip())
    started = await asyncio.to_thread(pipelines.start, services_of(request), asked, by=caller.name)
    return go_to(request, f"/pipelines/{started.id}")


def _cancel(request: HubRequest, ref: str, by: str) -> None:
    services = services_of(request)
    cancel_pipeline(services, pipelines.find(services, ref).id, by=by)
    services.wake()


ROUTES = [show_pipelines, show_pipeline, find_pipeline, cancel, rerun, start]
