"""Errors for browsers: a page that says what, why and what now; everyone else gets the API's one shape.

A browser without a login is sent to the login page instead.
"""

from typing import Any

import msgspec
from litestar import Response
from litestar.exceptions import HTTPException
from litestar.response import Redirect

from relive.errors import NotLoggedIn, ReliveError
from relive.hub import errors
from relive.hub.auth import COOKIE
from relive.hub.http import HubRequest
from relive.hub.problems import status_of
from relive.hub.web.render import go_to, page, prefix_of
from relive.wire.problem import Problem

_NO_PAGES = ("/api/", "/git/", "/v2", "/invocations", "/endpoints/", "/health", "/metrics", "/webhooks/")
_TITLES = {
    400: "That cannot be read",
    403: "Not for this login",
    404: "Nothing here",
    409: "Not now",
    422: "That cannot be used",
    503: "Come back in a moment",
    507: "The disk is full",
}


class ErrorPage(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong, what was expected, what to do."""

    status: int
    title: str
    message: str
    expected: str
    todo: str


def wants_page(path: str, accept: str) -> bool:
    """Tell whether whoever asks is a browser that shows pages."""
    return "text/html" in accept and not any(path.startswith(prefix) for prefix in _NO_PAGES)


def answer_known(request: HubRequest, error: ReliveError) -> Response[Any]:
    """Answer an error that relive raised on purpose."""
    if not _is_browser(request):
        return errors.answer_known(request, error)
    if isinstance(error, NotLoggedIn):
        answer: Redirect = go_to(request, "/login")
        answer.delete_cookie(COOKIE, path=prefix_of(request) or "/")
        return answer
    return _page(request, status_of(error), error.what(), error.expected() or "", error.to_do() or "")


def answer_framework(request: HubRequest, error: HTTPException) -> Response[Any]:
    """Answer what the framework found wrong with the request itself."""
    if not _is_browser(request):
        return errors.answer_framework(request, error)
    path = request.url.path
    message = (
        f"There is no page at {path}."
        if error.status_code == 404
        else error.detail or "The request cannot be answered."
    )
    return _page(request, error.status_code, message)


def answer_unknown(request: HubRequest, error: Exception) -> Response[Any]:
    """Answer a defect: the reader gets an id, the log gets the reason."""
    answer: Response[Problem] = errors.answer_unknown(request, error)
    if not _is_browser(request):
        return answer
    return _page(request, 500, answer.content.message, todo=answer.content.todo or "")


def _is_browser(request: HubRequest) -> bool:
    return wants_page(request.url.path.removeprefix(prefix_of(request)), request.headers.get("accept", ""))


def _page(
    request: HubRequest, status: int, message: str, expected: str = "", todo: str = ""
) -> Response[bytes]:
    title = _TITLES.get(status, "That did not work")
    view = ErrorPage(status=status, title=title, message=message, expected=expected, todo=todo)
    return page(request, "error.html", view, status=status)
