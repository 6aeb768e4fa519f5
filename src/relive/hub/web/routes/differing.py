"""Two runs input by input, and the answers to why they came out differently."""

from litestar import Response, get
from litestar.params import FromPath

from relive.hub.http import HubRequest, services_of
from relive.hub.web.render import page
from relive.hub.web.routes.asking import reader
from relive.hub.web.views import differing


@get("/r/{run_id:str}/diff/{other_id:str}", include_in_schema=False, sync_to_thread=True)
def show_diff(request: HubRequest, run_id: FromPath[str], other_id: FromPath[str]) -> Response[bytes]:
    """What two runs do not share."""
    reader(request)
    return page(request, "diff.html", differing.get_diff(services_of(request), run_id, other_id))


@get("/r/{run_id:str}/why", include_in_schema=False, sync_to_thread=True)
def show_why(request: HubRequest, run_id: FromPath[str]) -> Response[bytes]:
    """Which inputs made one result out of another."""
    reader(request)
    return page(request, "run_why.html", differing.get_why(services_of(request), run_id))


ROUTES = [show_diff, show_why]
