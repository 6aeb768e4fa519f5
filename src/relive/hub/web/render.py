"""Turns a view into a page: the template, the headers that keep it safe, gzip."""

import gzip
import time
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec
from litestar import Response
from litestar.response import Redirect
from litestar.status_codes import HTTP_204_NO_CONTENT, HTTP_303_SEE_OTHER

from relive.core.access import Caller
from relive.errors import ReliveError
from relive.hub.config import HubConfig
from relive.hub.http import HubRequest, services_of
from relive.hub.web import words
from relive.hub.web.assets import asset_url

if TYPE_CHECKING:
    from jinja2 import Environment

# Litestar adds the charset to every text.
HTML = "text/html"

# Scripts and styles are files of ours alone; nothing inline, nothing evaluated, nothing from elsewhere.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "private, no-cache",
    "vary": "Accept-Encoding, Cookie",
}
_SMALLEST_PACKED = 1000


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """What surrounds every page.

    Attributes:
        user: Who looks at it; empty for nobody.
        now: The hub's clock, seconds since the epoch.
    """

    user: str
    now: float


def page(request: HubRequest, template: str, view: Any = None, *, status: int = 200) -> Response[bytes]:
    """Answer with a page.

    Args:
        request: Who asks, in which encodings.
        template: Name in the templates folder.
        view: What the template calls `v`.
        status: HTTP status.
    """
    caller: Caller | None = request.scope["state"].get("caller")
    prefix = prefix_of(request)
    context = {
        "v": view,
        "frame": Frame(user=caller.name if caller else "", now=_now(request)),
        "link": _linker(prefix),
        "link_url": lambda url: prefix + url,
        "asset": lambda name: prefix + asset_url(name),
    }
    text = environment().get_template(template).render(context)
    return send(request, text.encode(), HTML, status=status)


def send(
    request: HubRequest,
    body: bytes,
    media_type: str,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Response[bytes]:
    """Answer with bytes, in gzip where the reader takes it and it pays."""
    headers = {**_HEADERS, **(headers or {})}
    if len(body) >= _SMALLEST_PACKED and "gzip" in request.headers.get("accept-encoding", ""):
        body = gzip.compress(body, 5)
        headers["content-encoding"] = "gzip"
    return Response(body, status_code=status, media_type=media_type, headers=headers)


def unchanged(request: HubRequest, seen: str) -> Response[bytes] | None:
    """Answer "nothing new" to a page that looks for news and has seen this already; else None."""
    if request.query_params.get("seen") != seen or "hx-request" not in request.headers:
        return None
    return Response(b"", status_code=HTTP_204_NO_CONTENT, headers=_HEADERS, media_type=HTML)


def go_to(request: HubRequest, path: str, **query: Any) -> Redirect:
    """Send the browser to another page after something was done."""
    return Redirect(_linker(prefix_of(request))(path, **query), status_code=HTTP_303_SEE_OTHER)


def prefix_of(request: HubRequest) -> str:
    """Give the path under which a proxy shows the hub; empty for its root."""
    config: HubConfig = request.app.state["config"]
    root: str = request.scope.get("root_path", "") or urlsplit(config.public_url).path
    return root.rstrip("/")


def _now(request: HubRequest) -> float:
    """Give the hub's clock; an error page must not need the database."""
    try:
        return services_of(request).store.now()
    except ReliveError:
        return time.time()


@cache
def environment() -> "Environment":
    """Give the templates, loaded with the first page: a hub that only serves an API needs none."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    found = Environment(
        loader=PackageLoader("relive.hub.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    for name in (
        "number",
        "exact",
        "size",
        "duration",
        "moment",
        "iso",
        "short",
        "clip",
        "branch",
        "signed",
        "grouped",
        "bounded",
    ):
        found.filters[name] = getattr(words, name)
    found.globals["ago"] = words.ago
    found.globals["count"] = words.count
    found.globals["bounded"] = words.bounded
    return found


def _linker(prefix: str) -> Any:
    def link(path: str, /, **query: Any) -> str:
        """Give the address of a page; empty values of the query are left out."""
        kept = {key.rstrip("_"): value for key, value in query.items() if value not in ("", None, False)}
        return prefix + quote(path, safe="/@:+~") + (f"?{urlencode(kept, doseq=True)}" if kept else "")

    return link
