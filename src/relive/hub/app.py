"""The hub as one ASGI application, and as a process.

Every request passes the gatekeeper first. Git and inference are streamed by their own small applications;
all else is Litestar's, which is loaded once the hub serves: a request for it waits until it is there.
"""

import asyncio
import logging
import re
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
import uvicorn

from relive.core.access import Caller
from relive.core.access import Scope as LoginScope
from relive.errors import NotLoggedIn, PortTaken, ReliveError
from relive.forges.github import GitHub
from relive.hub.auth import Gatekeeper, headers_of
from relive.hub.background import Background
from relive.hub.build import build_services, ensure_admin_token, open_repositories
from relive.hub.claim import claimed
from relive.hub.config import HEALTH, HubConfig
from relive.hub.git.backend import GitAccess, GitBackend
from relive.hub.git.hooks import HookServer, install_hooks
from relive.hub.git.slots import PackSlots
from relive.hub.late import Late
from relive.hub.problems import headers_for, problem_of, status_of
from relive.hub.pushing import PushHandler
from relive.hub.routing import RouterKeeper
from relive.services.accounts import authenticate
from relive.services.context import Services
from relive.services.forging import Forging
from relive.services.placing import count_running, stop_all

if TYPE_CHECKING:
    from litestar import Litestar

    from relive.hub.forward import Forwarder

# The framework, the git backend and the forwarder each have their own types for ASGI's mappings.
Scope = Any
Receive = Any
Send = Any

__all__ = ["Hub", "HubConfig", "listen", "run_hub"]

_log = logging.getLogger(__name__)

# `/endpoints` itself is the page that lists them.
_INFERENCE = ("/v2", "/endpoints/")
_OPEN_LOCALLY = (
    *_INFERENCE,
    "/api/2.0/mlflow",
    "/api/3.0/mlflow",
    "/api/2.0/mlflow-artifacts",
    "/ajax-api",
    "/v1/traces",
    "/get-artifact",
    "/graphql",
    "/model-versions/get-artifact",
)
# How long pushes may go unheard when one of two hubs on the same data folder has ended.
_HOOKS_LOOK_S = 2.0
_SLASHES = re.compile("//+")


@dataclass(frozen=True)
class _Api:
    """The application for programs, and the first words of its addresses."""

    answer: "Litestar"
    words: frozenset[str]


@dataclass
class Hub:
    """One hub: the ASGI application and everything that lives beside it."""

    config: HubConfig
    services: Services

    def __post_init__(self) -> None:
        data_dir = self.config.data_dir
        self.router = RouterKeeper(data_dir / "serving")
        self.forging = Forging(self.services, {"github": GitHub()}, self.services.vault)
        self.background = Background(self.services, self.router, self.forging, poll_s=self.config.poll_s)
        self.gatekeeper = Gatekeeper(self.config)
        hook_socket = data_dir / "run" / "hook.sock"
        repositories = open_repositories(self.config)
        install_hooks(repositories.hooks_folder, hook_socket)
        slots = PackSlots()
        self._git = GitBackend(repositories, self._git_access(), slots, prefix="/git")
        self._hooks = HookServer(hook_socket, PushHandler(self.services), on_push=slots.free)
        self._api = Late(self._load_api)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await (await self._api.get()).answer(scope, receive, send)
            return
        headers = headers_of(scope)
        try:
            self.gatekeeper.check_origin(scope["method"], headers)
            if scope["path"].startswith("/git/"):
                await self._git(scope, receive, send)
                return
            caller = await self._caller(scope, headers)
            if _is_under(scope["path"], _INFERENCE):
                self._require(caller, "use an endpoint")
                await self._forward(scope, receive, send)
            elif (scope["method"], scope["path"]) == ("GET", "/health"):
                await _send_json(send, 200, HEALTH)
            else:
                scope.setdefault("state", {})["caller"] = caller
                api = await self._api.get()
                is_api = _first_word(_normal(scope["path"])) in api.words
                await (api.answer if is_api else self._pages)(scope, receive, send)
        except ReliveError as error:
            await _send_problem(send, error)

    async def load(self) -> None:
        """Load what the hub begins to serve without."""
        await self._api.get()

    def _load_api(self) -> "_Api":
        from relive.hub.api import build_api  # late: with the framework a third of a start

        built = build_api(self.config, self.services, self.forging)
        return _Api(built, frozenset(_first_word(route.path) for route in built.routes))

    @cached_property
    def _pages(self) -> "Litestar":
        from relive.hub.api import build_pages  # late: hubs for machines alone show no page

        return build_pages(self.config, self.services, self.forging)

    @cached_property
    def _forward(self) -> "Forwarder":
        from relive.hub.forward import Forwarder  # late: a hub without endpoints needs no h11

        return Forwarder(self.router.socket)

    async def start(self) -> None:
        """Begin everything that lives beside the requests."""
        await self._hooks.start()
        self._beside = asyncio.create_task(self._keep_hooks())
        await asyncio.to_thread(self.background.start)

    async def stop(self, *, with_jobs: bool = False) -> None:
        """End it; jobs and endpoints go on, unless they are to end as well."""
        await asyncio.to_thread(self.background.stop)
        if with_jobs:
            await asyncio.to_thread(stop_all, self.services)
            await asyncio.to_thread(self.router.stop)
        self._beside.cancel()
        await self._hooks.close()
        self.services.store.close()

    async def _keep_hooks(self) -> None:
        while True:
            await asyncio.sleep(_HOOKS_LOOK_S)
            await self._hooks.keep()

    async def _caller(self, scope: Scope, headers: dict[str, str]) -> Caller | None:
        try:
            caller = await self.gatekeeper.identify(self.services, headers)
        except NotLoggedIn:
            if "authorization" in headers:
                raise
            caller = None  # a browser whose session has ended must still reach the login page and its styles
        # As routing sees it: clients join addresses with one slash too many.
        if caller is None and _is_under(_normal(scope["path"]), _OPEN_LOCALLY):
            return self.gatekeeper.local_caller()
        return caller

    def _git_access(self) -> GitAccess:
        async def authenticate_git(scope: Any) -> Caller | None:
            # Not before: the backend turns a bad token into a challenge and words that git shows.
            return await self.gatekeeper.identify(self.services, headers_of(scope))

        async def may_read(caller: Caller, project: str) -> bool:
            return caller.scope in (LoginScope.ADMIN, LoginScope.MEMBER)

        # Who may push may start pipelines, so both ask the same; roles a project come later.
        return GitAccess(authenticate=authenticate_git, may_read=may_read, may_write=may_read)

    @staticmethod
    def _require(caller: Caller | None, action: str) -> None:
        if caller is None:
            raise NotLoggedIn(
                action=action, who="an unknown caller", needs="a token: Authorization: Bearer …"
            )


def run_hub(
    config: HubConfig,
    *,
    known_token: str,
    on_token: Callable[[str], None],
    on_ready: Callable[[], None],
    ends_jobs: Callable[[int], bool] = lambda _running: False,
) -> None:
    """Run a hub until it is asked to end.

    Args:
        config: How.
        known_token: The admin's token this machine holds, if any.
        on_token: Called once with the admin's token, before the hub answers.
        on_ready: Called once when it answers.
        ends_jobs: Asked at the end, if jobs or endpoints run (how many), whether they are to end as well.

    Raises:
        PortTaken: Another program listens there.
        Conflict: Another hub serves this data folder, and the two cannot share it.
    """
    with claimed(config), listen(config) as listener:
        services = build_services(config)
        token = ensure_admin_token(services, known_token, lambda text: _is_good(services, text))
        hub = Hub(config, services)
        asyncio.run(_serve(hub, listener, lambda: on_token(token), on_ready, ends_jobs))


def listen(config: HubConfig) -> socket.socket:
    """Take the port before anything else is done.

    Raises:
        PortTaken: Another program listens there.
    """
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Small answers on a kept connection would otherwise wait for the client's delayed ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind((config.host, config.port))
    except OSError as error:
        listener.close()
        raise PortTaken(host=config.host, port=config.port) from error
    listener.listen(256)
    return listener


async def _serve(
    hub: Hub,
    listener: socket.socket,
    on_answering: Callable[[], None],
    on_ready: Callable[[], None],
    ends_jobs: Callable[[int], bool],
) -> None:
    config = hub.config
    server = uvicorn.Server(
        uvicorn.Config(
            hub,
            log_level="warning",
            access_log=False,
            lifespan="off",
            server_header=False,
            proxy_headers=config.behind_proxy,
            forwarded_allow_ips="*" if config.behind_proxy else None,
            ssl_certfile=config.tls_cert or None,
            ssl_keyfile=config.tls_key or None,
            timeout_graceful_shutdown=5,
        )
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn raises the signal again once it has ended: its default would kill us before the rest has.
        signal.signal(number, lambda *_: None)
    await hub.start()
    on_answering()
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started and not serving.done():  # noqa: ASYNC110  # uvicorn has only a flag
            await asyncio.sleep(0.005)
        if server.started:
            await _load(hub, server)
            on_ready()
        await serving
    finally:
        running = await asyncio.to_thread(count_running, hub.services)
        await hub.stop(with_jobs=running > 0 and ends_jobs(running))


async def _load(hub: Hub, server: uvicorn.Server) -> None:
    """Load the rest; a hub that cannot ends, and says why."""
    try:
        await hub.load()
    except BaseException:
        server.should_exit = True
        raise


async def _send_problem(send: Send, error: ReliveError) -> None:
    status = status_of(error)
    await _send_json(send, status, problem_of(error), headers_for(status))


async def _send_json(send: Send, status: int, message: Any, more: Mapping[str, str] | None = None) -> None:
    body = msgspec.json.encode(message)
    said = {"content-type": "application/json", "content-length": str(len(body)), **(more or {})}
    headers = [(name.encode(), value.encode()) for name, value in said.items()]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _normal(path: str) -> str:
    """Give an address as the framework's routing sees it."""
    return "/" + _SLASHES.sub("/", path.strip("/"))


def _first_word(path: str) -> str:
    return path.split("/", 2)[1]


def _is_under(path: str, prefixes: tuple[str, ...]) -> bool:
    return any(path == prefix or path.startswith(f"{prefix.rstrip('/')}/") for prefix in prefixes)


def _is_good(services: Services, text: str) -> bool:
    try:
        return authenticate(services, text).is_admin
    except ReliveError:
        return False
