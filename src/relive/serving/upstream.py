"""Connections from the router to the models' processes: kept open, shared, and never trusted to be alive."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import httptools

from relive.core.endpoint import Address

CONNECT_TIMEOUT_S = 2.0
IDLE_S = 60.0
CHUNK_BYTES = 256 << 10
HEAD_BYTES = 64 << 10

Headers = list[tuple[bytes, bytes]]


class UpstreamError(Exception):
    """A model's process did not answer; the text is for the log."""


class Refused(UpstreamError):
    """Nobody listens there."""


class Closed(UpstreamError):
    """The connection ended before the answer did, or what came was no HTTP."""


class TimedOut(UpstreamError):
    """No answer came in time."""


class _Reply:
    """What the parser has found so far."""

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.status = 0
        self.keep_alive = False
        self.headers: Headers = []
        self.chunks: list[bytes] = []
        self.head_done = False
        self.done = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        # Asked here, because the parser forgets both with the end of the message.
        self.status = self.parser.get_status_code()
        self.keep_alive = bool(self.parser.should_keep_alive())
        self.head_done = True

    def on_body(self, body: bytes) -> None:
        self.chunks.append(body)

    def on_message_complete(self) -> None:
        self.done = True


class Connection:
    """One connection; carries one exchange at a time.

    It works on the socket itself: a stream of asyncio forgets what it has received once a write fails, and a
    process that refuses a large body answers, closes, and makes the next write fail.

    Attributes:
        reused: It carried an exchange before, so the process may have closed it in the meantime.
        request_sent: False if the answer came before the request was whole.
        idle_since: When it was put back.
    """

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._loop = asyncio.get_running_loop()
        self._broken = False
        self._reply = _Reply()
        self._head_bytes = 0
        self.reused = False
        self.request_sent = True
        self.idle_since = time.monotonic()

    @property
    def usable(self) -> bool:
        """Tell whether another exchange may be tried on it."""
        fresh = time.monotonic() - self.idle_since < IDLE_S
        return fresh and not self._broken and _is_silent(self._socket)

    @property
    def reusable(self) -> bool:
        """Tell whether the exchange has ended so that the next can follow."""
        return self._reply.done and self.request_sent and self._reply.keep_alive and not self._broken

    def renew(self) -> None:
        """Make ready for another exchange."""
        self._reply = _Reply()
        self._head_bytes = 0
        self.reused = True

    async def write(self, data: bytes) -> None:
        """Send a piece of the request, no faster than the process takes it.

        Raises:
            Closed: The connection is gone.
        """
        try:
            await self._loop.sock_sendall(self._socket, data)
        except OSError as error:
            self._broken = True
            raise Closed(f"the connection broke while the request was sent: {error}") from error

    async def head(self, timeout_s: float | None) -> tuple[int, Headers]:
        """Wait for status and headers of the answer.

        Raises:
            Closed: The connection ended before, or what came was no HTTP.
            TimedOut: Nothing came in time.
        """
        while not self._reply.head_done:
            self._head_bytes += await self._feed(timeout_s)
            if self._head_bytes > HEAD_BYTES and not self._reply.head_done:
                raise Closed("the head of the answer is too large")
        return self._reply.status, self._reply.headers

    async def body(self, timeout_s: float) -> AsyncIterator[tuple[bytes, bool]]:
        """Give the body of the answer piece by piece; the flag says that nothing follows.

        Raises:
            Closed: The connection ended before the body did.
            TimedOut: The next piece did not come in time.
        """
        while True:
            chunks, self._reply.chunks = self._reply.chunks, []
            for number, chunk in enumerate(chunks, start=1):
                yield chunk, self._reply.done and number == len(chunks)
            if self._reply.done:
                return
            await self._feed(timeout_s)

    def close(self) -> None:
        """Close at once."""
        self._broken = True
        self._socket.close()

    async def _feed(self, timeout_s: float | None) -> int:
        try:
            async with asyncio.timeout(timeout_s):
                data = await self._loop.sock_recv(self._socket, CHUNK_BYTES)
        except TimeoutError as error:
            raise TimedOut(f"no answer within {timeout_s} s") from error
        except OSError as error:
            raise Closed(f"the connection broke: {error}") from error
        if not data:
            raise Closed("the process closed the connection before the answer was whole")
        try:
            self._reply.parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise Closed(f"the answer is no HTTP: {error}") from error
        return len(data)


class Pool:
    """Idle connections by address."""

    def __init__(self) -> None:
        self._idle: dict[Address, list[Connection]] = {}
        self._wanted: set[Address] = set()

    async def connect(self, address: Address, *, fresh: bool = False) -> Connection:
        """Give an idle connection, or a new one.

        Raises:
            Refused: Nobody listens there.
        """
        idle = self._idle.get(address, [])
        while idle and not fresh:
            connection = idle.pop()
            if connection.usable:
                connection.renew()
                return connection
            connection.close()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                return Connection(await _open(address))
        except (OSError, TimeoutError) as error:
            raise Refused(f"{address} does not accept connections: {error!r}") from error

    def release(self, address: Address, connection: Connection) -> None:
        """Keep a connection for the next exchange if it can carry one and there may be one, else close it."""
        if connection.reusable and address in self._wanted:
            connection.idle_since = time.monotonic()
            self._idle.setdefault(address, []).append(connection)
        else:
            connection.close()

    def keep_only(self, addresses: set[Address]) -> None:
        """Close idle connections to every other address; what is in work there goes on."""
        self._wanted = addresses
        for address in set(self._idle) - addresses:
            for connection in self._idle.pop(address):
                connection.close()

    def sweep(self) -> None:
        """Close idle connections that are too old or whose process has gone."""
        for address, idle in self._idle.items():
            for connection in idle:
                if not connection.usable:
                    connection.close()
            self._idle[address] = [connection for connection in idle if connection.usable]


async def _open(address: Address) -> socket.socket:
    if address.path:
        return await _connected(socket.AF_UNIX, address.path)
    found = await asyncio.get_running_loop().getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    failure: OSError | None = None
    for family, _, _, _, target in found:
        try:
            connected = await _connected(family, target)
        except OSError as error:
            failure = failure or error
            continue
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connected
    raise failure or OSError(f"{address.host} has no address")


async def _connected(family: int, target: str | tuple[Any, ...]) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setblocking(False)
        await asyncio.get_running_loop().sock_connect(opened, target)
    except BaseException:
        opened.close()
        raise
    return opened


def _is_silent(connected: socket.socket) -> bool:
    """Tell whether nothing has come on an idle connection: neither its end nor an answer nobody asked for."""
    try:
        connected.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
