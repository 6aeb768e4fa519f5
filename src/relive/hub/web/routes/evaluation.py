"""What answers are judged by: a project's data sets and scorers, and the page of one data set."""

from litestar import Response, get
from litestar.params import FromPath

from relive.hub.http import HubRequest, services_of
from relive.hub.web.render import page
from relive.hub.web.routes.asking import number_in, query_of, reader
from relive.hub.web.views import evaluation as views


@get("/p/{project:str}/evaluation", include_in_schema=False, sync_to_thread=True)
def show_evaluation(request: HubRequest, project: FromPath[str]) -> Response[bytes]:
    """The data sets and scorers of a project."""
    reader(request)
    after = query_of(request).get("after", "")
    return page(request, "evaluation.html", views.list_datasets(services_of(request), project, after=after))


@get("/p/{project:str}/evaluation/{dataset_id:str}", include_in_schema=False, sync_to_thread=True)
def show_dataset(request: HubRequest, project: FromPath[str], dataset_id: FromPath[str]) -> Response[bytes]:
    """What is asked, and what is expected of an answer?"""
    reader(request)
    after = number_in(query_of(request), "after", 0)
    view = views.get_dataset(services_of(request), project, dataset_id, after=after)
    return page(request, "evaluation_dataset.html", view)


ROUTES = [show_evaluation, show_dataset]
