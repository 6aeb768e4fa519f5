"""Two runs input by input, and the answers to why they came out differently."""

import asyncio

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from relive.hub.http import HubRequest, services_of
from relive.hub.web.render import go_to, page, unchanged
from relive.hub.web.routes.asking import form_of, member, reader
from relive.hub.web.views import differing, searches
from relive.services import causes
from relive.wire.runs import PlacedWhy


@get("/r/{run_id:str}/diff/{other_id:str}", include_in_schema=False, sync_to_thread=True)
def show_diff(request: HubRequest, run_id: FromPath[str], other_id: FromPath[str]) -> Response[bytes]:
    """What two runs do not share."""
    reader(request)
    return page(request, "diff.html", differing.get_diff(services_of(request), run_id, other_id))


@get("/r/{run_id:str}/why", include_in_schema=False, sync_to_thread=True)
def show_why(request: HubRequest, run_id: FromPath[str]) -> Response[bytes]:
    """Which inputs made one result out of another."""
    reader(request)
    services = services_of(request)
    search = searches.find_search(services, run_id)
    if search is not None:
        return unchanged(request, search.seen) or page(request, "run_searching.html", search)
    return page(request, "run_why.html", differing.get_why(services, run_id))


@post("/r/{run_id:str}/diff/{other_id:str}/why", include_in_schema=False, status_code=303)
async def place_why(request: HubRequest, run_id: FromPath[str], other_id: FromPath[str]) -> Redirect:
    """Have a pool find out which inputs made one result out of the other."""
    caller = member(request, "search for causes")
    form = await form_of(request)
    asked = PlacedWhy(after=other_id, pool=form.get("pool", "local"), metric=form.get("metric", ""))
    run = await asyncio.to_thread(causes.place, services_of(request), run_id, asked, by=caller.name)
    return go_to(request, f"/r/{run.id}/why")


ROUTES = [show_diff, show_why, place_why]
