"""What pages load."""

from litestar import Response, get
from litestar.params import FromPath
from litestar.response import Redirect

from relive.errors import NotFound
from relive.hub.http import HubRequest
from relive.hub.web.assets import asset_url, find_asset, tree_digest
from relive.hub.web.render import go_to

_FOR_EVER = "public, max-age=31536000, immutable"


@get("/static/{digest:str}/{name:path}", include_in_schema=False, sync_to_thread=False)
def send_asset(request: HubRequest, digest: FromPath[str], name: FromPath[str]) -> Response[bytes]:
    """One style, script or picture; needs no login.

    Raises:
        NotFound: There is none of this name; an address of another release leads nowhere.
    """
    found = find_asset(name.lstrip("/")) if digest == tree_digest() else None
    if found is None:
        raise NotFound(kind="file", name=name)
    headers = {"cache-control": _FOR_EVER, "vary": "Accept-Encoding", "x-content-type-options": "nosniff"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["content-encoding"] = "gzip"
        return Response(found.packed, media_type=found.media_type, headers=headers)
    return Response(found.body, media_type=found.media_type, headers=headers)


@get("/favicon.ico", include_in_schema=False, sync_to_thread=False)
def send_icon(request: HubRequest) -> Redirect:
    """Browsers ask for it by this name."""
    return go_to(request, asset_url("icon.svg"))


ROUTES = [send_asset, send_icon]
