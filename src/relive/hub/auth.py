"""Who makes a request, and whether it may have come here at all.

Loopback is not trust: a page of another origin can reach it, and a name can be rebound to it. So Host and
Origin are checked first, on every request; then a token in the Authorization header, or the session cookie.
"""

import asyncio
import base64
import binascii
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from relive.core.access import Caller, Scope
from relive.errors import AccessDenied, NotLoggedIn
from relive.hub.config import HubConfig
from relive.services.accounts import authenticate
from relive.services.context import Services

COOKIE = "relive_session"

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]", "::1"})
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Gatekeeper:
    """Checks where requests come from and who makes them."""

    def __init__(self, config: HubConfig) -> None:
        public = urlsplit(config.public_url)
        named = public.hostname
        # Through a proxy on this machine everyone comes from loopback.
        is_proxied = config.behind_proxy or named not in (None, *_LOOPBACK)
        self._open_locally = config.auth == "local" and config.is_loopback and not is_proxied
        self._public = public.netloc.lower()
        self._hosts = (_LOOPBACK if config.is_loopback else frozenset({config.host, *_LOOPBACK})) | (
            {named} if named else set()
        )
        # Bound to every address without a public URL, no name can be told from another.
        self._any_host = not config.is_loopback and not config.public_url

    def check_origin(self, method: str, headers: dict[str, str]) -> None:
        """Refuse a request that a page of another site made, or that came for another name.

        Raises:
            AccessDenied: Its Host is not ours, or its Origin is another.
        """
        host = headers.get("host", "").lower()
        if not self._any_host and _without_port(host) not in self._hosts:
            raise AccessDenied(
                action="reach the hub under this name",
                who=f"a request for {host!r}",
                needs="--public-url URL",
            )
        origin = headers.get("origin")
        if method in _SAFE or origin is None:
            return
        # A sandboxed frame of any site says "null", and may do here what needs no login; but no browser adds
        # a bearer token by itself.
        if origin == "null" and headers.get("authorization", "").lower().startswith("bearer "):
            return
        # The Host that a proxy sends on need not be the one that the browser saw.
        if _netloc(origin) not in {host, self._public} - {""}:
            raise AccessDenied(
                action="change anything here", who=f"a page of {origin}", needs="the same origin"
            )

    async def identify(self, services: Services, headers: dict[str, str]) -> Caller | None:
        """Tell who makes a request; None for nobody.

        Raises:
            NotLoggedIn: There is a token, but it is no good.
        """
        text = token_in(headers)
        if not text:
            return None
        return await asyncio.to_thread(authenticate, services, text)

    def local_caller(self) -> Caller | None:
        """Give the caller that recording and inference get without a token: `local`, or None."""
        return Caller(name="local", scope=Scope.LOCAL) if self._open_locally else None


def headers_of(scope: Mapping[str, Any]) -> dict[str, str]:
    """Give a request's headers, names in lower case; of repeated ones the last."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def token_in(headers: dict[str, str]) -> str:
    """Find a token: bearer, the password of basic authentication (as git sends it), or the session cookie.

    Raises:
        NotLoggedIn: The header cannot be read.
    """
    kind, _, rest = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return rest.strip()
    if kind.lower() == "basic":
        try:
            return base64.b64decode(rest, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError) as error:
            raise NotLoggedIn(action="log in", who="this request", needs="base64 of name:token") from error
    for part in headers.get("cookie", "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            return value
    return ""


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _without_port(host: str) -> str:
    return host if host.endswith("]") else host.rsplit(":", 1)[0] if ":" in host else host
