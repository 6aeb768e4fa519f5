"""Logging in and out, and tokens."""

import asyncio

from litestar import Response, get, post
from litestar.datastructures import Cookie
from litestar.params import FromPath
from litestar.response import Redirect

from relive.core.access import Scope, Token
from relive.errors import InvalidInput, NotFound, NotLoggedIn
from relive.hub.auth import COOKIE, token_in
from relive.hub.config import HubConfig
from relive.hub.http import HubRequest, services_of
from relive.hub.web.render import go_to, page, prefix_of
from relive.hub.web.routes.asking import form_of, member, query_of, reader
from relive.hub.web.views import hub
from relive.services import accounts

_SESSION_S = 30 * 86400
_LIVES = {"1 day": 86400.0, "30 days": 30 * 86400.0, "1 year": 365 * 86400.0, "for ever": None}


@get("/login", include_in_schema=False, sync_to_thread=True)
def login(request: HubRequest) -> Response[bytes] | Redirect:
    """Redeem a one-time link, or say how to get one."""
    query = query_of(request)
    if not query.get("link"):
        return page(request, "login.html", "")
    try:
        session = accounts.redeem_login_link(services_of(request), query["link"])
    except NotLoggedIn as error:
        return page(request, "login.html", error.what(), status=401)
    answer = go_to(request, "/")
    answer.cookies.append(_cookie(request, session, _SESSION_S))
    return answer


@post("/logout", include_in_schema=False, status_code=303)
async def logout(request: HubRequest) -> Redirect:
    """End this browser's session."""
    caller = reader(request)
    # The session of the cookie ends, never the token of a client that happens to call this.
    if "authorization" not in request.headers and token_in({"cookie": request.headers.get("cookie", "")}):
        await asyncio.to_thread(services_of(request).store.revoke_token, caller.token_id)
    answer = go_to(request, "/login")
    answer.cookies.append(_cookie(request, "", 0))
    return answer


@get("/settings/tokens", include_in_schema=False, sync_to_thread=True)
def show_tokens(request: HubRequest) -> Response[bytes]:
    """Tokens, without their secrets."""
    caller = member(request, "list tokens")
    return page(request, "tokens.html", hub.list_tokens(services_of(request), caller))


@post("/settings/tokens", include_in_schema=False, status_code=200)
async def create_token(request: HubRequest) -> Response[bytes]:
    """Make a token for the caller and show it, this once."""
    form = await form_of(request)
    return await asyncio.to_thread(_create, request, form)


@post("/settings/tokens/{token_id:str}/revoke", include_in_schema=False, status_code=303)
async def revoke_token(request: HubRequest, token_id: FromPath[str]) -> Redirect:
    """End a token."""
    await asyncio.to_thread(_revoke, request, token_id)
    return go_to(request, "/settings/tokens")


def _create(request: HubRequest, form: dict[str, str]) -> Response[bytes]:
    label, asked, life = (
        form.get("label", "").strip(),
        form.get("scope", "member"),
        form.get("life", "30 days"),
    )
    if not label or asked not in ("member", "admin") or life not in _LIVES:
        raise InvalidInput(field="token", value=label, wanted="a label, a scope (member, admin) and a life")
    scope = Scope(asked)
    caller = member(request, "create a token")
    accounts.require(caller, scope, f"create a token of scope {asked}")
    services = services_of(request)
    kept = Token(
        id="",
        scope=scope,
        subject=f"user:{caller.name}",
        label=label[:100],
        expires_at=None if _LIVES[life] is None else services.store.now() + (_LIVES[life] or 0),
    )
    created = accounts.create_token(services, kept)
    answer = page(request, "tokens.html", hub.list_tokens(services, caller, created=created))
    answer.headers["cache-control"] = "no-store"
    return answer


def _revoke(request: HubRequest, token_id: str) -> None:
    caller, store = member(request, "revoke a token"), services_of(request).store
    found = store.find_token(token_id)
    if found is None or (not caller.is_admin and found[0].subject != f"user:{caller.name}"):
        raise NotFound(kind="token", name=token_id)
    store.revoke_token(token_id)


def _cookie(request: HubRequest, value: str, life_s: int) -> Cookie:
    config: HubConfig = request.app.state["config"]
    secure = request.url.scheme == "https" or config.url.startswith("https:")
    return Cookie(
        key=COOKIE,
        value=value,
        max_age=life_s,
        path=prefix_of(request) or "/",
        httponly=True,
        samesite="lax",
        secure=secure,
    )


ROUTES = [login, logout, show_tokens, create_token, revoke_token]
