"""Hands inference requests on to the router, streaming both ways, over its unix socket."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import h11
import msgspec

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

_PIECE = 64 * 1024
_CONNECT_S = 5.0
# Between two neighbours these speak about their own connection only.
_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"authorization",
        b"cookie",
        b"date",  # the server in front writes its own
    }
)


class Forwarder:
    """An ASGI application: one upstream connection a request."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward one request; 503 while the router is away."""
        try:
            reader, writer = await asyncio.wait_for(asyncio.open_unix_connection(self._socket), _CONNECT_S)
        except (OSError, TimeoutError):
            await _unavailable(send, "no endpoint is served yet, or the router is being started")
            return
        exchange = _Exchange(reader, writer, send)
        try:
            await exchange.run(scope, receive)
        except h11.LocalProtocolError as error:
            if exchange.answered:
                raise
            await _answer(send, 400, f"this is no request that can be handed on: {error}")
        except (OSError, h11.RemoteProtocolError):
            if exchange.answered:
                raise
            await _unavailable(send, "the router ended during this request")
        finally:
            writer.close()


class _Exchange:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, send: Send) -> None:
        self._reader, self._writer, self._send = reader, writer, send
        self._connection = h11.Connection(h11.CLIENT)
        self.answered = False

    async def run(self, scope: Scope, receive: Receive) -> None:
        # Not in the task: if h11 refuses the head, a router that hears nothing would be waited for for ever.
        await self._ask(scope)
        upload = asyncio.create_task(self._upload(receive))
        try:
            await self._download()
        finally:
            upload.cancel()
            await asyncio.gather(upload, return_exceptions=True)

    async def _ask(self, scope: Scope) -> None:
        query = scope["query_string"]
        target = scope["raw_path"] or scope["path"].encode()
        headers = [(name, value) for name, value in scope["headers"] if name.lower() not in _HOP_BY_HOP]
        names = {name.lower() for name, _ in headers}
        if b"content-length" not in names and scope["method"] not in ("GET", "HEAD", "DELETE"):
            headers.append((b"transfer-encoding", b"chunked"))
        request = h11.Request(
            method=scope["method"], target=target + (b"?" + query if query else b""), headers=headers
        )
        await self._write(request)

    async def _upload(self, receive: Receive) -> None:
        while True:
            message: Any = await receive()
            if message["type"] == "http.disconnect":
                self._writer.close()
                return
            if message.get("body"):
                await self._write(h11.Data(data=message["body"]))
            if not message.get("more_body"):
                await self._write(h11.EndOfMessage())
                return

    async def _download(self) -> None:
        while True:
            event = self._connection.next_event()
            if event is h11.NEED_DATA:
                self._connection.receive_data(await self._reader.read(_PIECE))
            elif isinstance(event, h11.Response):
                headers = [(n, v) for n, v in event.headers if n.lower() not in _HOP_BY_HOP]
                self.answered = True
                await self._send(
                    {"type": "http.response.start", "status": event.status_code, "headers": headers}
                )
            elif isinstance(event, h11.Data):
                await self._send({"type": "http.response.body", "body": bytes(event.data), "more_body": True})
            elif isinstance(event, h11.EndOfMessage):
                await self._send({"type": "http.response.body", "body": b"", "more_body": False})
                return
            elif isinstance(event, h11.ConnectionClosed):
                raise h11.RemoteProtocolError("closed before an answer")

    async def _write(self, event: h11.Event) -> None:
        data = self._connection.send(event)
        if data:
            self._writer.write(data)
            await self._writer.drain()


async def _unavailable(send: Send, reason: str) -> None:
    await _answer(send, 503, reason, (b"retry-after", b"1"))


async def _answer(send: Send, status: int, reason: str, *more: tuple[bytes, bytes]) -> None:
    body = msgspec.json.encode({"error": reason})
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *more,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
