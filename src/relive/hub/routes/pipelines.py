"""Pipelines and their stages."""

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.status_codes import HTTP_202_ACCEPTED

from relive.core.access import Scope
from relive.hub.http import HubRequest, Page, allowed, caller_of, project_of, reader_of, services_of
from relive.services import pipelines
from relive.services.scheduling import cancel_pipeline
from relive.wire.hub import PipelineDetail, StartedPipeline, StartPipeline, WhyStage


def _readable(request: HubRequest, ref: str) -> str:
    caller_of(request)
    found = pipelines.find(services_of(request), ref)
    reader_of(request, found.project_id)
    return found.id


@get("/pipelines", sync_to_thread=True)
def list_pipelines(
    request: HubRequest,
    page: NamedDependency[Page],
    project: FromQuery[str] = "",
    commit: FromQuery[str] = "",
) -> list[PipelineDetail]:
    """List pipelines, newest first, without their stages."""
    project_of(request, project)
    return pipelines.list_details(
        services_of(request), project=project, commit=commit, limit=page.limit, offset=page.offset
    )


@post("/pipelines", status_code=HTTP_202_ACCEPTED, sync_to_thread=True)
def start_pipeline(request: HubRequest, data: JSONBody[StartPipeline]) -> StartedPipeline:
    """Start a pipeline of a commit, or repeat one."""
    caller = allowed(request, Scope.MEMBER, "start a pipeline")
    return pipelines.start(services_of(request), data, by=caller.name)


@get("/pipelines/{ref:str}", sync_to_thread=True)
def get_pipeline(request: HubRequest, ref: FromPath[str]) -> PipelineDetail:
    """Give a pipeline by id or by PROJECT:NUMBER."""
    return pipelines.get_detail(services_of(request), _readable(request, ref))


@post("/pipelines/{ref:str}/cancel", status_code=HTTP_202_ACCEPTED, sync_to_thread=True)
def cancel(request: HubRequest, ref: FromPath[str]) -> PipelineDetail:
    """End a pipeline."""
    caller = allowed(request, Scope.MEMBER, "cancel a pipeline")
    services = services_of(request)
    found = pipelines.find(services, ref)
    cancel_pipeline(services, found.id, by=caller.name)
    services.wake()
    return pipelines.get_detail(services, found.id)


@get("/pipelines/{ref:str}/why", sync_to_thread=True)
def explain(request: HubRequest, ref: FromPath[str], stage: FromQuery[str] = "") -> list[WhyStage]:
    """Tell why stages were or were not taken from the cache."""
    return pipelines.why(services_of(request), _readable(request, ref), stage=stage)


ROUTES = [list_pipelines, start_pipeline, get_pipeline, cancel, explain]
