"""Traces of applications, to be read; they are recorded by MLflow's calls and by `POST /v1/traces`."""

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from relive.hub.http import HubRequest, Page, caller_of, project_of, reader_of, services_of
from relive.hub.routes.runs import MOST_PASSED, NEXT_PAGE
from relive.services import tracing
from relive.wire.traces import TraceDetail, TraceItem


@get("/traces", sync_to_thread=True, response_headers=[NEXT_PAGE])
def list_traces(
    request: HubRequest,
    page: NamedDependency[Page],
    project: FromQuery[str] = "",
    experiment: FromQuery[str] = "",
    filter: FromQuery[str] = "",  # noqa: A002 - the name that is asked by
    after: FromQuery[str] = "",
) -> Response[list[TraceItem]]:
    """List traces that fit a filter, newest first, without their spans."""
    # An offset costs what lies before it; `after` does not.
    found, following = tracing.list_traces(
        services_of(request),
        project_id=project_of(request, project),
        experiment=experiment,
        filter_text=filter,
        limit=min(page.offset, MOST_PASSED) + page.limit,
        after=after,
    )
    headers = {NEXT_PAGE.name: following} if following else {}
    return Response(found[page.offset :], headers=headers)


@get("/traces/{trace_id:str}", sync_to_thread=True)
def get_trace(request: HubRequest, trace_id: FromPath[str]) -> TraceDetail:
    """Give a trace with its spans."""
    caller_of(request)
    trace, experiment = tracing.find_trace(services_of(request), trace_id)
    reader_of(request, experiment.project_id)
    return tracing.get_detail(services_of(request), trace, experiment)


ROUTES = [list_traces, get_trace]
