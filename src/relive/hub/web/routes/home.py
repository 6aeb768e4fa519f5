"""Activity, projects, the audit list, compute."""

from litestar import Response, get
from litestar.params import FromPath
from litestar.response import Redirect

from relive.core.search import Comparison, Field, Side, filter_text
from relive.hub.http import HubRequest, services_of
from relive.hub.web.render import go_to, page, unchanged
from relive.hub.web.routes.asking import query_of, reader
from relive.hub.web.views import home, hub, projects


@get("/", include_in_schema=False, sync_to_thread=True)
def show_home(request: HubRequest) -> Response[bytes]:
    """What happened, what runs, what is broken, what waits."""
    reader(request)
    view = home.get_home(services_of(request))
    return unchanged(request, view.seen) or page(request, "home.html", view)


@get("/projects", include_in_schema=False, sync_to_thread=True)
def show_projects(request: HubRequest) -> Response[bytes]:
    """All projects."""
    reader(request)
    return page(request, "projects.html", projects.list_projects(services_of(request)))


@get("/p/{project:str}", include_in_schema=False, sync_to_thread=True)
def show_project(request: HubRequest, project: FromPath[str]) -> Response[bytes]:
    """Is a project healthy?"""
    reader(request)
    return page(request, "project.html", projects.get_project(services_of(request), project))


@get("/experiments/{experiment_id:str}", include_in_schema=False, sync_to_thread=True)
def find_experiment(request: HubRequest, experiment_id: FromPath[str]) -> Redirect:
    """Lead from an experiment's id, which is all that an MLflow client's link has, to its runs."""
    reader(request)
    store = services_of(request).store
    experiment = store.get_experiment(experiment_id)
    project = store.get_project(experiment.project_id)
    of_it = Comparison(Field(Side.ATTRIBUTE, "experiment"), "=", experiment.name)
    return go_to(request, f"/p/{project.name}/runs", q=filter_text(of_it))


@get("/events", include_in_schema=False, sync_to_thread=True)
def show_events(request: HubRequest) -> Response[bytes]:
    """Who did what, when."""
    reader(request)
    query = query_of(request)
    view = hub.list_events(services_of(request), project=query.get("project", ""), kind=query.get("kind", ""))
    return page(request, "events.html", view)


@get("/pools", include_in_schema=False, sync_to_thread=True)
def show_pools(request: HubRequest) -> Response[bytes]:
    """Is anything free, and what waits?"""
    reader(request)
    return page(request, "pools.html", hub.list_pools(services_of(request)))


ROUTES = [show_home, show_projects, show_project, find_experiment, show_events, show_pools]
