"""Serves the projects' repositories over HTTP: git's smart protocol, piped to `git http-backend`.

Only the three requests of the smart protocol exist, and git is given a path that is made here, so nothing
that a client writes into an address reaches it. Bodies stream both ways: a repository of any size costs the
hub a few hundred kilobytes.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qs

from relive.core.access import Caller
from relive.core.ids import check_name
from relive.errors import GitFailed, InvalidName, NotFound, NotLoggedIn, ReliveError
from relive.hub.git.cgi import Exchange, Receive, Send
from relive.hub.git.pktline import Explainer
from relive.hub.git.slots import PackSlots
from relive.stores.git import layout
from relive.stores.git.repositories import GitRepositories

Scope: TypeAlias = MutableMapping[str, Any]

_PATH: Final = re.compile(
    r"/(?P<project>[^/]+)\.git/(?P<endpoint>info/refs|git-upload-pack|git-receive-pack)"
)
_PROTOCOL: Final = re.compile(r"[a-z0-9=:.]{1,64}")
# A git client asks for a name and password, or its credential helper, only when it reads this.
_CHALLENGE: Final = ("www-authenticate", 'Basic realm="relive", charset="UTF-8"')
_READ: Final = "git-upload-pack"
_WRITE: Final = "git-receive-pack"
_ADVERTISEMENTS: Final = 16
"""Lists of refs that are written at once; each takes a moment."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class GitAccess:
    """Who may do what; each may raise a `ReliveError`, whose words the git client prints.

    Attributes:
        authenticate: Says who sends an ASGI request, or None if nobody; `NotLoggedIn` for a bad token.
        may_read: Says whether this caller may fetch from this project.
        may_write: Says whether this caller may push to this project.
    """

    authenticate: Callable[[Scope], Awaitable[Caller | None]]
    may_read: Callable[[Caller, str], Awaitable[bool]]
    may_write: Callable[[Caller, str], Awaitable[bool]]


@dataclass(frozen=True)
class _Request:
    project: str
    endpoint: str
    service: str

    @property
    def writes(self) -> bool:
        return self.service == _WRITE

    @property
    def carries_pack(self) -> bool:
        return self.endpoint == self.service


class _Refused(Exception):
    """A request that is answered with a status and a sentence instead of by git."""

    def __init__(self, status: int, text: str, *headers: tuple[str, str]) -> None:
        super().__init__(text)
        self.status, self.text, self.headers = status, text, headers


class GitBackend:
    """The ASGI application of the git remote, `/PROJECT.git/…`.

    The projects' hooks must be installed (`hooks.install_hooks`) before it is used.

    Args:
        slots: Shared with the `HookServer`, which frees a push's slot when it reports.
        prefix: What stands before `/PROJECT.git` in the path, if the server does not take it off.
    """

    def __init__(
        self, repositories: GitRepositories, access: GitAccess, slots: PackSlots, *, prefix: str = ""
    ) -> None:
        self._repositories = repositories
        self._access = access
        self._slots = slots
        self._prefix = prefix
        self._advertising = asyncio.Semaphore(_ADVERTISEMENTS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        try:
            request = _parse(scope, self._prefix)
            caller = await self._admit(scope, request)
            await self._serve(request, caller, scope, Exchange(receive, send, self._explainer(request)))
        except _Refused as refusal:
            await _answer(send, refusal)
        except GitFailed as error:
            _logger.error("%s", error)
            await _answer(send, _Refused(500, str(error)))

    async def _admit(self, scope: Scope, request: _Request) -> Caller:
        """Say who asks, if they may; raises `_Refused`."""
        try:
            caller = await self._access.authenticate(scope)
            if caller is None:
                words = "this hub does not know you: no token came, or it is unknown, expired or revoked."
                raise _Refused(401, f"{words}\n  try: relive login URL", _CHALLENGE)
            may = self._access.may_write if request.writes else self._access.may_read
            if not await may(caller, request.project):
                verb = "push to" if request.writes else "read"
                raise _Refused(403, f"{caller.name} may not {verb} {request.project}.")
            if not await asyncio.to_thread(self._repositories.exists, request.project):
                raise NotFound(kind="project", name=request.project, hint="relive init")
        except NotFound as error:
            raise _Refused(404, str(error)) from None
        except NotLoggedIn as error:
            raise _Refused(401, str(error), _CHALLENGE) from None
        except ReliveError as error:
            raise _Refused(403, str(error)) from None
        return caller

    async def _serve(self, request: _Request, caller: Caller, scope: Scope, exchange: Exchange) -> None:
        env = _environment(request, caller, scope, self._repositories)
        if not request.carries_pack:
            if request.writes:
                # What a killed push left is mended before the next one begins.
                await asyncio.to_thread(self._repositories.ensure, request.project)
            async with self._advertising:
                await exchange.run(env)
            return
        async with AsyncExitStack() as stack:
            try:
                env["RELIVE_PUSH_ID"] = await stack.enter_async_context(self._slots.hold())
            except TimeoutError:
                words = "the hub is busy with other pushes and clones; try again in a minute."
                raise _Refused(503, words, ("retry-after", "60")) from None
            if not request.writes:
                await exchange.run(env)
                return
            in_use = layout.in_use(self._repositories.path(request.project))
            mark = await asyncio.to_thread(stack.enter_context, in_use)
            await exchange.run(env, hold=mark)

    def _explainer(self, request: _Request) -> Explainer | None:
        return Explainer(self._explain) if request.writes and request.carries_pack else None

    def _explain(self, printed: str) -> str | None:
        if "exceeds maximum allowed size" not in printed:
            return None
        limit = f"{self._repositories.push_limit_bytes / 2**20:g} MiB"
        return (
            f"relive: this push is larger than {limit}, the limit for code; nothing of it was kept.\n"
            "relive: data belongs outside git: let a stage fetch it into its outs, which relive keeps\n"
            "relive: take it out of the commits that are not pushed yet:  git reset --soft, git rm --cached"
        )


def _parse(scope: Scope, prefix: str) -> _Request:
    """Recognise one of the three requests of git's smart protocol; raises `_Refused` for all others."""
    match = _PATH.fullmatch(scope["path"].removeprefix(prefix))
    if match is None:
        raise _Refused(404, "there is nothing at this address; a project's is /git/PROJECT.git")
    project, endpoint = match["project"], match["endpoint"]
    try:
        check_name("project", project)
    except InvalidName as error:
        raise _Refused(404, str(error)) from None
    expected = "GET" if endpoint == "info/refs" else "POST"
    if scope["method"] != expected:
        raise _Refused(405, f"this address answers only {expected}", ("allow", expected))
    if endpoint != "info/refs":
        return _Request(project, endpoint, service=endpoint)
    asked = parse_qs(scope["query_string"].decode("ascii", errors="replace")).get("service", [])
    if asked not in ([_READ], [_WRITE]):
        raise _Refused(403, "this hub speaks git's smart protocol only; use git 1.6.6 or newer")
    return _Request(project, endpoint, service=asked[0])


def _environment(
    request: _Request, caller: Caller, scope: Scope, repositories: GitRepositories
) -> dict[str, str]:
    """Describe the request to `git http-backend`, as a CGI (RFC 3875)."""
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    client = scope.get("client") or ("",)
    env = {
        "GIT_PROJECT_ROOT": str(repositories.root),
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": f"/{request.project}.git/{request.endpoint}",
        "REQUEST_METHOD": scope["method"],
        "QUERY_STRING": "" if request.carries_pack else f"service={request.service}",
        "REMOTE_USER": caller.name,
        "REMOTE_ADDR": client[0],
        "RELIVE_PUSH_ACTOR": caller.name,
        "RELIVE_PUSH_FORCE": "1" if caller.is_admin else "0",
    }
    wanted = {"content-type": "CONTENT_TYPE", "content-encoding": "HTTP_CONTENT_ENCODING"}
    env |= {variable: headers[name] for name, variable in wanted.items() if name in headers}
    # CONTENT_LENGTH is left out on purpose: if the hub is killed before it has sent so many bytes, git
    # http-backend (seen with 2.39) turns in a loop for ever. Without it, it reads to the end of its input.
    if _PROTOCOL.fullmatch(headers.get("git-protocol", "")):
        env["GIT_PROTOCOL"] = headers["git-protocol"]
    return env


async def _answer(send: Send, refusal: _Refused) -> None:
    body = f"relive: {refusal.text}\n".encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),  # the only type that a git client prints
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-cache"),
        *((name.encode(), value.encode()) for name, value in refusal.headers),
    ]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
