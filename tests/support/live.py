"""A hub on a real port in a thread of this process: the whole application, without its own threads."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import urllib3
import uvicorn

from relive.core.access import Scope, Token
from relive.hub.app import Hub
from relive.hub.config import HubConfig
from relive.services.accounts import create_token, create_user_token, ensure_user
from relive.services.context import Services

PATIENCE_S = 60.0
MSGPACK = "application/x-msgpack"


@dataclass
class Answer:
    """What came back of a request."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Read the body as JSON."""
        return json.loads(self.body)

    @property
    def packed(self) -> Any:
        """Read the body as MessagePack."""
        return msgspec.msgpack.decode(self.body)

    @property
    def code(self) -> str:
        """Give the code of the problem that this answer is."""
        return str(self.json["code"])


@dataclass
class LiveHub:
    """A hub that answers; `admin` is a good token."""

    url: str
    services: Services
    config: HubConfig
    admin: str = ""
    pool: urllib3.PoolManager = field(default_factory=urllib3.PoolManager)

    def ask(
        self,
        method: str,
        path: str,
        message: Any = None,
        *,
        token: str | None = None,
        body: Any = None,
        **headers: str,
    ) -> Answer:
        """Send a request: as the admin, unless a token is given ("" for nobody).

        Args:
            message: Sent as JSON.
            body: Sent as it is: bytes, or an iterable of them to be sent in chunks.
            headers: Names with underscores in the place of hyphens.
        """
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        secret = self.admin if token is None else token
        if secret:
            sent.setdefault("authorization", f"Bearer {secret}")
        if message is not None:
            body = json.dumps(message).encode()
            sent.setdefault("content-type", "application/json")
        reply = self.pool.request(
            method,
            self.url + path,
            body=body,
            headers=sent,
            redirect=False,
            retries=False,
            timeout=PATIENCE_S,
        )
        return Answer(reply.status, reply.headers, reply.data)

    def token(self, scope: Scope, name: str = "", **details: Any) -> str:
        """Make a token of a user of this scope, or with details of any other kind."""
        if not details:
            user = ensure_user(self.services, name or f"some-{scope.value}", scope)
            return create_user_token(self.services, user, label="test")
        subject = f"user:{name or 'someone'}"
        return create_token(self.services, Token(**{"id": "", "scope": scope, "subject": subject} | details))

    def raw(self, request: bytes) -> bytes:
        """Send bytes that no client would, and give all that comes back."""
        with socket.create_connection(("127.0.0.1", self.config.port), timeout=PATIENCE_S) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        return answer


@contextmanager
def served(services: Services, **options: Any) -> Iterator[LiveHub]:
    """Serve a hub over these services; `options` are those of `HubConfig`."""
    # Of a socket that does not name its protocol asyncio does not know that it may turn Nagle's delay off:
    # 40 ms a request.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        port = listener.getsockname()[1]
        config = HubConfig(**{"data_dir": services.place.data_dir, "port": port} | options)
        server = uvicorn.Server(
            uvicorn.Config(
                Hub(config, services),
                log_level="error",
                lifespan="off",
                access_log=False,
                timeout_graceful_shutdown=2,
            )
        )
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True)
        thread.start()
        hub = LiveHub(url=f"http://127.0.0.1:{port}", services=services, config=config)
        hub.admin = hub.token(Scope.ADMIN, "ada")
        try:
            yield hub
        finally:
            hub.pool.clear()
            server.should_exit = True
            thread.join(PATIENCE_S)
