"""Traces of applications: the list of a project's, and the page of one."""

from litestar import Response, get
from litestar.params import FromPath

from relive.hub.http import HubRequest, services_of
from relive.hub.web.render import page
from relive.hub.web.routes.asking import query_of, reader
from relive.hub.web.views import traces as views


@get("/p/{project:str}/traces", include_in_schema=False, sync_to_thread=True)
def show_traces(request: HubRequest, project: FromPath[str]) -> Response[bytes]:
    """Which requests were slow, failed, or were judged badly?"""
    reader(request)
    query = query_of(request)
    q, after = query.get("q", ""), query.get("after", "")
    return page(request, "traces.html", views.list_traces(services_of(request), project, q=q, after=after))


@get("/p/{project:str}/traces/{trace_id:str}", include_in_schema=False, sync_to_thread=True)
def show_trace(request: HubRequest, project: FromPath[str], trace_id: FromPath[str]) -> Response[bytes]:
    """What happened in this request, step by step, and what was said of it?"""
    reader(request)
    after = query_of(request).get("after", "")
    return page(request, "trace.html", views.get_trace(services_of(request), project, trace_id, after=after))


ROUTES = [show_traces, show_trace]
