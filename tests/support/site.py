"""A hub's pages on a real port: the whole application without its scheduler, so that a story stays."""

import asyncio
import dataclasses
import shutil
import socket
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3
import uvicorn

from relive.core.access import Caller, Scope
from relive.hub.app import Hub
from relive.hub.auth import COOKIE
from relive.hub.build import build_services
from relive.hub.config import HubConfig
from relive.services.accounts import create_login_link_token, create_user_token, ensure_user
from relive.services.context import Services

_PATIENCE_S = 60.0
USER = "ada"


@dataclass
class Site:
    """A served hub; `url` has the path prefix under which a proxy would show it, if any."""

    url: str
    token: str
    services: Services
    config: HubConfig

    def get(self, path: str, *, accept: str = "text/html", **headers: str) -> urllib3.BaseHTTPResponse:
        """Ask for a page as a browser with a session would; redirects are not followed."""
        known = {"accept": accept, "cookie": f"{COOKIE}={self.token}"}
        return self.ask("GET", path, b"", **known, **headers)

    def ask(self, method: str, path: str, body: bytes = b"", /, **headers: str) -> urllib3.BaseHTTPResponse:
        """Send any request."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return urllib3.request(
            method, self.url + path, body=body or None, headers=names, redirect=False, retries=False
        )

    def login_link(self) -> str:
        """Make a one-time login address."""
        caller = Caller(name=USER, scope=Scope.ADMIN)
        return f"{self.url}/login?link={create_login_link_token(self.services, caller)}"

    def run(self, name: str, project: str) -> str:
        """Give the id of the newest run of this name."""
        store = self.services.store
        runs = store.list_runs(project_id=store.get_project(project).id, limit=1000)
        return next(run.id for run in runs if run.name == name)


@contextmanager
def served(folder: Path, *, prefix: str = "", copy_of: Path | None = None) -> Iterator[Site]:
    """Serve the hub of a data folder; a copy of it if one is named."""
    if copy_of is not None:
        shutil.copytree(copy_of, folder)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    port = listener.getsockname()[1]
    public = f"http://127.0.0.1:{port}{prefix}" if prefix else ""
    config = HubConfig(data_dir=folder, port=port, public_url=public)
    services = build_services(config)
    with warnings.catch_warnings():
        # The API's handlers take messages in a form that Litestar 3 will want said more exactly.
        warnings.simplefilter("ignore", DeprecationWarning)
        hub = Hub(config, services)
    application: Any = _Mounted(hub, prefix) if prefix else hub
    token = create_user_token(services, ensure_user(services, USER, Scope.ADMIN), label="laptop of Ada")
    server = uvicorn.Server(
        uvicorn.Config(
            application, log_level="error", lifespan="off", access_log=False, timeout_graceful_shutdown=2
        )
    )
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True)
    thread.start()
    try:
        site = Site(url=f"http://127.0.0.1:{port}{prefix}", token=token, services=services, config=config)
        urllib3.request(
            "GET", f"{site.url}/health", timeout=_PATIENCE_S, retries=urllib3.Retry(20, backoff_factor=0.1)
        )
        yield site
    finally:
        server.should_exit = True
        thread.join(_PATIENCE_S)
        listener.close()
        services.store.close()


@dataclasses.dataclass
class _Mounted:
    """What a reverse proxy does that shows the hub under a path: it takes the path away."""

    hub: Hub
    prefix: str

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        inside = scope["path"].removeprefix(self.prefix) or "/"
        await self.hub({**scope, "path": inside, "raw_path": inside.encode()}, receive, send)
