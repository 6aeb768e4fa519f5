"""One request to a model's process and its answer back, in pieces, without holding large bodies.

A small body is read whole, so that the request can be sent again if a kept connection turns out to be closed:
the process closes idle ones when it ends, and a request may be on its way just then. Predictions change
nothing, so sending one twice is harmless. A large body goes over a new connection, piece by piece, once.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from relive.core.endpoint import Address
from relive.serving.upstream import Closed, Connection, Headers, Pool, TimedOut

BUFFERED_BYTES = 256 << 10
CLIENT_TIMEOUT_S = 60.0
# Those of one connection only, and what a model's process has no business to know.
DROPPED_HEADERS = frozenset(
    {
        *(
            b"connection",
            b"keep-alive",
            b"proxy-connection",
            b"te",
            b"trailer",
            b"transfer-encoding",
            b"upgrade",
        ),
        *(b"host", b"content-length", b"expect", b"authorization", b"cookie", b"proxy-authorization"),
        b"x-request-id",
    }
)
DROPPED_FROM_ANSWER = frozenset(
    {b"connection", b"keep-alive", b"transfer-encoding", b"upgrade", b"set-cookie"}
)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


class ClientGone(Exception):
    """The client went away, or fell silent, before its request was whole."""


class Forwarded(msgspec.Struct, frozen=True):
    """A request line and headers as the model's process gets them; `content_length` is None if unknown."""

    method: str
    target: str
    headers: Headers
    content_length: int | None
    has_body: bool

    def head(self, content_length: int | None) -> bytes:
        """Give the bytes of the head; without a length the body is sent in chunks."""
        lines = [f"{self.method} {self.target} HTTP/1.1\r\nhost: relive\r\n".encode("latin-1")]
        lines += [b"%s: %s\r\n" % header for header in self.headers]
        if content_length is not None:
            lines.append(b"content-length: %d\r\n" % content_length)
        elif self.has_body:
            lines.append(b"transfer-encoding: chunked\r\n")
        return b"".join([*lines, b"\r\n"])


def forwarded(scope: Message, target: str, request_id: str) -> Forwarded:
    """Make the head for the model's process of a client's request.

    Args:
        scope: The ASGI scope of the request.
        target: Path and query for the process, percent-encoded.
        request_id: Goes along as `x-request-id`.
    """
    given: Headers = list(scope["headers"])
    length = next((int(value) for name, value in given if name == b"content-length"), None)
    chunked = any(name == b"transfer-encoding" for name, _ in given)
    # What the client calls a connection's own header is its connection's, not ours.
    own = {
        part.strip().lower() for name, value in given if name == b"connection" for part in value.split(b",")
    }
    kept = [(name, value) for name, value in given if name not in DROPPED_HEADERS and name not in own]
    kept.append((b"x-request-id", request_id.encode()))
    return Forwarded(scope["method"], target, kept, length, bool(length) or chunked)


@asynccontextmanager
async def exchange(
    pool: Pool, address: Address, request: Forwarded, receive: Receive, *, timeout_s: float
) -> AsyncIterator[tuple[Connection, int, Headers]]:
    """Send a request and give the connection at the beginning of the answer's body, its status and headers.

    Raises:
        Refused: Nobody listens there.
        Closed: The process hung up without an answer.
        TimedOut: No answer came in time.
        ClientGone: The client did before its request was whole.
    """
    body, more = await _gather(request, receive)
    if more:
        connection = await pool.connect(address, fresh=True)
        try:
            status, headers = await _stream(connection, request, body, receive, timeout_s)
        except BaseException:
            connection.close()
            raise
    else:
        connection, status, headers = await _send_whole(pool, address, request, body, timeout_s)
    try:
        yield connection, status, headers
    finally:
        pool.release(address, connection)


async def _gather(request: Forwarded, receive: Receive) -> tuple[bytes, bool]:
    """Read the body up to the buffered size; the flag says that there is more."""
    if not request.has_body:
        return b"", False
    pieces: list[bytes] = []
    size = 0
    while size <= BUFFERED_BYTES:
        piece, more = await _next_piece(receive)
        pieces.append(piece)
        size += len(piece)
        if not more:
            return b"".join(pieces), False
    return b"".join(pieces), True


async def _next_piece(receive: Receive) -> tuple[bytes, bool]:
    try:
        async with asyncio.timeout(CLIENT_TIMEOUT_S):
            message = await receive()
    except TimeoutError as error:
        raise ClientGone(f"nothing came for {CLIENT_TIMEOUT_S:g} s") from error
    if message["type"] == "http.disconnect":
        raise ClientGone("the client hung up")
    return message.get("body", b""), message.get("more_body", False)


async def _send_whole(
    pool: Pool, address: Address, request: Forwarded, body: bytes, timeout_s: float
) -> tuple[Connection, int, Headers]:
    data = request.head(len(body) if request.has_body else None) + body
    fresh = False
    while True:
        connection = await pool.connect(address, fresh=fresh)
        try:
            await connection.write(data)
            return connection, *await connection.head(timeout_s)
        except Closed:
            connection.close()
            if not connection.reused:
                raise
            fresh = True
        except BaseException:
            connection.close()
            raise


async def _stream(
    connection: Connection, request: Forwarded, first: bytes, receive: Receive, timeout_s: float
) -> tuple[int, Headers]:
    """Send the body while waiting for the answer, which may come before its end: a refusal."""
    sending = asyncio.create_task(_upload(connection, request, first, receive))
    answering = asyncio.create_task(connection.head(None))
    try:
        await asyncio.wait({sending, answering}, return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            failure = sending.exception()
            if isinstance(failure, ClientGone):
                raise failure
            await asyncio.wait({answering}, timeout=timeout_s)
        if not answering.done():
            raise TimedOut(f"no answer within {timeout_s:g} s")
        return answering.result()
    finally:
        connection.request_sent = sending.done() and sending.exception() is None
        sending.cancel()
        answering.cancel()
        await asyncio.gather(sending, answering, return_exceptions=True)


async def _upload(connection: Connection, request: Forwarded, first: bytes, receive: Receive) -> None:
    chunked = request.content_length is None
    await connection.write(request.head(request.content_length))
    piece, more = first, True
    while True:
        if chunked and piece:
            await connection.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        elif piece:
            await connection.write(piece)
        if not more:
            break
        piece, more = await _next_piece(receive)
    if chunked:
        await connection.write(b"0\r\n\r\n")
