"""Handing inference on: a router that hears nothing is not waited for."""

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from relive.hub.forward import Forwarder
from tests.support.bench import quick_folder

PATIENCE_S = 30.0


def scope_of(raw_path: bytes, *headers: tuple[bytes, bytes], method: str = "POST") -> dict[str, Any]:
    """Give a request as the server in front hands it over."""
    return {
        "type": "http",
        "method": method,
        "path": raw_path.decode("latin-1"),
        "raw_path": raw_path,
        "query_string": b"",
        "headers": [(b"host", b"hub"), *headers],
    }


async def ask(socket: Path, scope: dict[str, Any], body: bytes = b"") -> tuple[int, bytes]:
    """Send a request by the forwarder; gives status and body."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]
    sent: list[Any] = []

    async def receive() -> Any:
        return waiting.pop() if waiting else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    async with asyncio.timeout(PATIENCE_S):
        await Forwarder(socket)(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as a router with the head it was sent; one that hears nothing waits."""
    with suppress(asyncio.IncompleteReadError):  # whoever asks went away without a word
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(head) + head)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


def asked(scope: dict[str, Any], body: bytes = b"") -> tuple[int, bytes]:
    """Send a request to a router that answers with what it was asked."""

    async def run(socket: Path) -> tuple[int, bytes]:
        ended = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await echo(reader, writer)
            ended.set()

        async with await asyncio.start_unix_server(serve, socket):
            answer = await ask(socket, scope, body)
            await ended.wait()
        return answer

    with quick_folder() as folder:
        return asyncio.run(run(folder / "router.sock"))


def test_a_request_is_handed_on_without_who_asks() -> None:
    scope = scope_of(
        b"/v2/models/m/infer", (b"authorization", b"Bearer x"), (b"cookie", b"a=b"), (b"a", b"b")
    )
    status, head = asked(scope, b"{}")
    assert status == 200
    assert head.startswith(b"POST /v2/models/m/infer HTTP/1.1\r\n")
    assert b"a: b" in head
    assert b"Bearer" not in head
    assert b"cookie" not in head


@pytest.mark.parametrize("path", [b"/v2/\xff", b"/v2/a b"])
def test_a_path_that_cannot_be_handed_on_is_answered_at_once(path: bytes) -> None:
    status, body = asked(scope_of(path, method="GET"))
    assert status == 400
    assert "handed on" in json.loads(body)["error"]


def test_without_a_router_it_is_unavailable(tmp_path: Path) -> None:
    status, body = asyncio.run(ask(tmp_path / "nobody.sock", scope_of(b"/v2")))
    assert status == 503
    assert "no endpoint is served yet" in json.loads(body)["error"]
