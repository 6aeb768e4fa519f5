"""What people shall look at: a project's queues, questions and issues, and the page of one queue."""

from litestar import Response, get
from litestar.params import FromPath

from relive.hub.http import HubRequest, services_of
from relive.hub.web.render import page
from relive.hub.web.routes.asking import number_in, query_of, reader
from relive.hub.web.views import reviews as views


@get("/p/{project:str}/reviews", include_in_schema=False, sync_to_thread=True)
def show_reviews(request: HubRequest, project: FromPath[str]) -> Response[bytes]:
    """What shall people look at in a project, what are they asked, and what was found?"""
    reader(request)
    query = query_of(request)
    view = views.list_reviews(
        services_of(request),
        project,
        queues=number_in(query, "queues", 0),
        issues=number_in(query, "issues", 0),
        questions=number_in(query, "questions", 0),
    )
    return page(request, "reviews.html", view)


@get("/p/{project:str}/reviews/{queue_id:str}", include_in_schema=False, sync_to_thread=True)
def show_queue(request: HubRequest, project: FromPath[str], queue_id: FromPath[str]) -> Response[bytes]:
    """The traces of a queue: which were looked at, and by whom?"""
    reader(request)
    query = query_of(request)
    after = number_in(query, "after", 0)
    view = views.get_queue(
        services_of(request), project, queue_id, status=query.get("status", ""), after=after
    )
    return page(request, "review_queue.html", view)


ROUTES = [show_reviews, show_queue]
