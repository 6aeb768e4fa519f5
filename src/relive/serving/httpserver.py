"""A small HTTP/1.1 server for the ASGI application, on asyncio and h11.

A model's environment may have any Python from 3.9, where current server packages no longer run, or an old
server of its own that would shadow ours. h11 is all that this one needs: it does the protocol, this module
the connections. A request is read whole, bounded in size and time, before the application sees it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import stat
from dataclasses import dataclass, field
from http.client import responses
from typing import Any, Callable, cast
from urllib.parse import unquote

import h11

from .app import App, Message
from .faults import Fault, TooLarge

HEAD_BYTES = 64 << 10
READ_TIMEOUT_S = 60.0
# Longer than the router keeps an idle connection, so that the server does not hang up between requests.
IDLE_TIMEOUT_S = 300.0
UNIX_PATH_BYTES = 107  # sizeof(sockaddr_un.sun_path) less its end

_log = logging.getLogger("relive.serving")


class AddressRefused(Fault):
    """The process cannot listen where it was told to."""


def bind_unix(path: str) -> socket.socket:
    """Listen on a unix socket that only this user can open; a dead socket left at the path is replaced.

    Raises:
        AddressRefused: The path is too long, taken by another file, or by a server that answers.
    """
    if len(os.fsencode(path)) > UNIX_PATH_BYTES:
        raise AddressRefused(
            f"The socket path {path} has more than {UNIX_PATH_BYTES} bytes; use a shorter folder."
        )
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _clear(path)
        before = os.umask(0o177)
        try:
            listener.bind(path)
        finally:
            os.umask(before)
        listener.listen(256)
    except OSError as error:
        listener.close()
        raise AddressRefused(f"Cannot listen on {path}: {error.strerror}.") from error
    return listener


def bind_tcp(host: str, port: int) -> socket.socket:
    """Listen on a TCP port, 0 for any free one.

    Raises:
        AddressRefused: It is taken or not ours to take.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
        )[0]
        # With its protocol named: only then does asyncio send small answers at once (TCP_NODELAY).
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(256)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise AddressRefused(f"Cannot listen on {host}:{port}: {error}.") from error
    return listener


@dataclass
class Server:
    """Serves an application on a listening socket until it is told to stop.

    Attributes:
        app: The application; its `ready` turns False when draining begins.
        drain_s: How long requests in work may take after the signal to stop.
        connections: Those that are open.
        draining: True from the signal to stop on.
    """

    app: App
    drain_s: float = 30.0
    connections: set[Connection] = field(default_factory=set)
    draining: bool = False
    _empty: asyncio.Event = field(init=False, repr=False)

    async def run(self, listener: socket.socket, started: Callable[[], None]) -> bool:
        """Serve until SIGTERM or SIGINT, then finish what is in work; False if some of it was cut off.

        Args:
            listener: A bound socket; closed at the end.
            started: Called once connections are accepted.
        """
        loop = asyncio.get_running_loop()
        stop, self._empty = asyncio.Event(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        serving = await loop.create_server(lambda: Connection(self), sock=listener)
        started()
        await stop.wait()
        self.draining, self.app.ready = True, False
        serving.close()
        for connection in tuple(self.connections):
            connection.close_if_idle()
        return await self._drain()

    def forget(self, connection: Connection) -> None:
        """Note that a connection has closed."""
        self.connections.discard(connection)
        if not self.connections:
            self._empty.set()

    async def _drain(self) -> bool:
        if self.connections:
            self._empty.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._empty.wait(), self.drain_s)
        late = tuple(self.connections)
        if late:
            _log.warning("%d requests were in work after %g s and are cut off", len(late), self.drain_s)
        for connection in late:
            connection.abort()
        return not late


class Connection(asyncio.Protocol):
    """One client's connection: reads a request, lets the application answer, then reads the next."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._limit = server.app.max_body_bytes
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
        self._request: h11.Request | None = None
        self._head: h11.Response
        self._body: list[bytes] = []
        self._size = 0
        self._answering: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport
        self._timer: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request."""
        self._transport = cast(asyncio.Transport, transport)
        self._server.connections.add(self)
        self._timer = self._wait_at_most(IDLE_TIMEOUT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection; a prediction in work is finished and dropped."""
        self._server.forget(self)
        self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Take bytes in; answer once a request is whole."""
        try:
            self._http.receive_data(data)
            self._advance()
        except (h11.RemoteProtocolError, TooLarge) as error:
            self._refuse(error)

    def eof_received(self) -> bool:
        """Keep the writing side open if an answer is still to be sent."""
        return self._answering is not None

    def close_if_idle(self) -> None:
        """Close if no request has begun."""
        if self._answering is None and self._request is None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def _advance(self) -> None:
        while self._answering is None:
            event = self._http.next_event()
            if isinstance(event, h11.Request):
                self._begin(event)
            elif isinstance(event, h11.Data):
                self._body.append(bytes(event.data))
                self._size += len(event.data)
                if self._size > self._limit:
                    raise TooLarge(self._limit)
            elif isinstance(event, h11.EndOfMessage):
                self._timer.cancel()
                # What comes before the answer is sent stays in the socket.
                self._transport.pause_reading()
                self._answering = asyncio.get_running_loop().create_task(self._answer())
            elif event is h11.NEED_DATA:
                return
            else:  # the client has closed its side
                self._transport.close()
                return

    def _begin(self, request: h11.Request) -> None:
        self._request = request
        self._timer.cancel()
        self._timer = self._wait_at_most(READ_TIMEOUT_S)
        length = next((value for name, value in request.headers if name == b"content-length"), b"0")
        if int(length) > self._limit:
            raise TooLarge(self._limit)
        if self._http.they_are_waiting_for_100_continue:
            self._write(h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue"))

    async def _answer(self) -> None:
        request = cast(h11.Request, self._request)
        path, _, query = request.target.partition(b"?")
        scope: Message = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": request.http_version.decode(),
            "method": request.method.decode(),
            "path": unquote(path.decode("latin-1")),
            "query_string": query,
            "headers": list(request.headers),
        }
        body = b"".join(self._body)
        self._body.clear()

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        try:
            await self._server.app(scope, receive, self._send)
        except Exception:  # noqa: BLE001 - a failed request ends its own connection only
            _log.exception("the server failed on %s", scope["path"])
            self._transport.abort()
            return
        self._next()

    async def _send(self, message: Message) -> None:
        if self._transport.is_closing():
            return
        if message["type"] == "http.response.start":
            headers = [*message["headers"], *([(b"connection", b"close")] if self._server.draining else [])]
            # Kept back for the body: TCP would hold a second write until the first is acknowledged.
            self._head = _response(message["status"], headers)
        else:
            head_only = cast(h11.Request, self._request).method == b"HEAD"
            self._write(self._head, h11.Data(data=b"" if head_only else message["body"]), h11.EndOfMessage())

    def _next(self) -> None:
        if self._transport.is_closing():
            return
        if self._http.our_state is not h11.DONE or self._server.draining:
            self._transport.close()
            return
        self._http.start_next_cycle()
        self._request, self._answering, self._size = None, None, 0
        self._timer = self._wait_at_most(IDLE_TIMEOUT_S)
        self._transport.resume_reading()
        try:
            self._advance()
        except (h11.RemoteProtocolError, TooLarge) as error:
            self._refuse(error)

    def _write(self, *events: Any) -> None:
        data = [self._http.send(event) or b"" for event in events]
        self._transport.write(b"".join(data))

    def _refuse(self, error: Exception) -> None:
        """Answer what is no HTTP, or too large to be read, and hang up."""
        status = error.status if isinstance(error, TooLarge) else getattr(error, "error_status_hint", 400)
        body = json.dumps({"error": str(error)}).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        with contextlib.suppress(
            h11.LocalProtocolError
        ):  # an answer has begun: hanging up is all that is left
            self._write(_response(status, headers), h11.Data(data=body), h11.EndOfMessage())
        self._transport.close()

    def _wait_at_most(self, seconds: float) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds, self._transport.close)


def _response(status: int, headers: list[tuple[bytes, bytes]]) -> h11.Response:
    return h11.Response(status_code=status, headers=headers, reason=responses.get(status, "").encode())


def _clear(path: str) -> None:
    """Remove a socket that nobody listens on; leave everything else for `bind` to complain about."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
