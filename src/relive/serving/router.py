"""The router: the address that clients know, before the processes that serve models.

    python -m relive.serving.router --table FILE (--port N [--host ADDRESS] | --uds PATH)

A small process of its own. It knows the routing table and nothing else, so it goes on serving while the hub
is away. A new table holds from the next request on; requests in work finish where they are.

    /v2/models/ENDPOINT/…, /endpoints/ENDPOINT/invocations    forwarded
    /v2, /v2/health/live, /v2/health/ready, /v2/repository/index, /metrics    answered here
"""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import re
import signal
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import uvicorn

from relive.core.endpoint import Address, Target, parse_address
from relive.serving.faults import Fault
from relive.serving.forward import (
    DROPPED_FROM_ANSWER,
    ClientGone,
    Forwarded,
    Message,
    Receive,
    exchange,
    forwarded,
)
from relive.serving.httpserver import bind_tcp, bind_unix
from relive.serving.routing import TableFile
from relive.serving.traffic import CONTENT_TYPE, Traffic
from relive.serving.upstream import Headers, Pool, Refused, TimedOut, UpstreamError

POLL_S = 0.1
SWEEP_S = 10.0
MAX_IN_WORK = 256
ANSWER_TIMEOUT_S = 60.0
PROBE_TIMEOUT_S = 2.0
NAMES_TOLD = 20
METHODS = ("GET", "POST")
REQUEST_ID = re.compile(rb"[!-~]{1,128}")

Send = Callable[[Message], Awaitable[None]]

_log = logging.getLogger("relive.router")


class Call:
    """One request of a client: what is known of it, and the way to answer.

    Attributes:
        code: Status of the answer once it has begun, as metrics label it.
    """

    def __init__(self, scope: Message, receive: Receive, send: Send) -> None:
        self.scope, self.receive, self._send = scope, receive, send
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        self.request_id = given.decode() if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        self.endpoint = self.revision = self.code = ""

    @property
    def begun(self) -> bool:
        """Tell whether the answer has begun."""
        return bool(self.code)

    async def begin(self, status: int, headers: Headers) -> None:
        """Send status and headers."""
        self.code = str(status)
        own: Headers = [(b"x-request-id", self.request_id.encode())]
        if self.revision:
            own.append((b"x-relive-revision", self.revision.encode()))
        await self._send({"type": "http.response.start", "status": status, "headers": [*headers, *own]})

    async def piece(self, body: bytes, *, last: bool) -> None:
        """Send a piece of the body."""
        await self._send({"type": "http.response.body", "body": body, "more_body": not last})

    async def answer(self, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
        """Send a whole answer; JSON unless the headers say otherwise."""
        kind = (
            ()
            if any(name == b"content-type" for name, _ in headers)
            else ((b"content-type", b"application/json"),)
        )
        await self.begin(status, [*kind, *headers, (b"content-length", str(len(body)).encode())])
        await self.piece(body, last=True)

    async def refuse(self, status: int, message: str) -> None:
        """Answer with an error in the protocol's form; 503 says to come again in a second."""
        again = ((b"retry-after", b"1"),) if status == 503 else ()
        await self.answer(status, json.dumps({"error": message}).encode(), *again)


class Router:
    """The router as an ASGI application."""

    def __init__(self, table: TableFile, *, answer_timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        self._table = table
        self._timeout_s = answer_timeout_s
        self._pool = Pool()
        self._traffic = Traffic()
        self._in_work: dict[Address, int] = {}
        self._follower: asyncio.Task[None] | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, or the server's start and stop."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] != "http":
            return  # a WebSocket: the server refuses it when nothing is sent
        call = Call(scope, receive, send)
        began = time.perf_counter()
        try:
            await self._route(call)
        finally:
            self._traffic.count(call.endpoint, call.revision, call.code, time.perf_counter() - began)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._refresh()
                self._follower = asyncio.create_task(self._follow())
            elif self._follower is not None:
                self._follower.cancel()
                self._pool.keep_only(set())
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def _follow(self) -> None:
        swept = time.monotonic()
        while True:
            await asyncio.sleep(POLL_S)
            self._refresh()
            if time.monotonic() - swept > SWEEP_S:
                swept = time.monotonic()
                self._pool.sweep()

    def _refresh(self) -> None:
        if self._table.refresh():
            routes = self._table.table.endpoints.values()
            self._pool.keep_only({parse_address(route.stable.address) for route in routes})
            self._traffic.table_in_use(self._table.table.version)

    async def _route(self, call: Call) -> None:
        method, path = call.scope["method"], call.scope["path"]
        parts = path.strip("/").split("/")
        if method not in METHODS:
            await call.refuse(405, f"{method} is not used here, only {' and '.join(METHODS)}")
        elif parts[:2] == ["v2", "models"] and len(parts) > 2:
            await self._to_endpoint(call, parts[2], parts[3:])
        elif parts[0] == "endpoints" and len(parts) == 3 and parts[2] == "invocations":
            await self._to_endpoint(call, parts[1], None)
        else:
            await self._answer_here(call, f"{method} /{'/'.join(parts)}")

    async def _to_endpoint(self, call: Call, name: str, rest: list[str] | None) -> None:
        """Forward to an endpoint: to `rest` below its model, or to its scoring path if None."""
        route = self._table.table.endpoints.get(name)
        if route is None:
            await call.refuse(404, self._unknown(name))
            return
        target = route.stable
        call.endpoint, call.revision = name, str(target.revision)
        path = (
            "/invocations"
            if rest is None
            else "/".join(["/v2/models", _quoted(target.model), *map(_quoted, rest)])
        )
        query = call.scope["query_string"].decode("latin-1")
        await self._forward(call, target, f"{path}?{query}" if query else path)

    def _unknown(self, name: str) -> str:
        known = sorted(self._table.table.endpoints)
        more = f" and {len(known) - NAMES_TOLD} more" if len(known) > NAMES_TOLD else ""
        there = f"there are: {', '.join(known[:NAMES_TOLD])}{more}" if known else "there is none yet"
        return f"there is no endpoint {name!r:.200}; {there}"

    async def _forward(self, call: Call, target: Target, path: str) -> None:
        address = parse_address(target.address)
        if self._in_work.get(address, 0) >= MAX_IN_WORK:
            await call.refuse(
                503, f"endpoint {call.endpoint!r} has {MAX_IN_WORK} requests in work; try again"
            )
            return
        self._in_work[address] = self._in_work.get(address, 0) + 1
        try:
            await self._relay(call, address, forwarded(call.scope, path, call.request_id))
        except ClientGone as error:
            await call.refuse(408, f"the request did not come to its end: {error}")
        except UpstreamError as error:
            await self._explain(call, error)
        finally:
            self._in_work[address] -= 1
            if not self._in_work[address]:
                del self._in_work[address]

    async def _relay(self, call: Call, address: Address, request: Forwarded) -> None:
        async with exchange(self._pool, address, request, call.receive, timeout_s=self._timeout_s) as answer:
            connection, status, headers = answer
            await call.begin(status, [header for header in headers if header[0] not in DROPPED_FROM_ANSWER])
            last = False
            async for chunk, last in connection.body(self._timeout_s):
                await call.piece(chunk, last=last)
            if not last:
                await call.piece(b"", last=True)

    async def _explain(self, call: Call, error: UpstreamError) -> None:
        # An endpoint that is down is in the metrics; a line a request would only fill the log.
        level = logging.DEBUG if isinstance(error, Refused) else logging.WARNING
        _log.log(level, "request %s to endpoint %s: %s", call.request_id, call.endpoint, error)
        if call.begun:
            # Too late for another status: ending without the rest makes the server cut the connection.
            call.code = "cut"
        elif isinstance(error, TimedOut):
            await call.refuse(504, f"endpoint {call.endpoint!r} did not answer within {self._timeout_s:g} s")
        elif isinstance(error, Refused):
            await call.refuse(503, f"endpoint {call.endpoint!r} is not up at the moment; try again")
        else:
            await call.refuse(
                503, f"endpoint {call.endpoint!r} went down while it worked on this request; try again"
            )

    async def _answer_here(self, call: Call, what: str) -> None:
        if what == "GET /v2":
            server = {
                "name": "relive-router",
                "version": "1",
                "extensions": ["binary_tensor_data", "model_repository"],
            }
            await call.answer(200, json.dumps(server).encode())
        elif what == "GET /v2/health/live":
            await call.answer(200, b'{"live":true}')
        elif what == "GET /v2/health/ready":
            known = self._table.known
            await call.answer(200 if known else 503, json.dumps({"ready": known}).encode())
        elif what == "POST /v2/repository/index":
            await call.answer(200, json.dumps(await self._index()).encode())
        elif what == "GET /metrics":
            await call.answer(200, self._traffic.expose(), (b"content-type", CONTENT_TYPE.encode()))
        else:
            await call.refuse(404, f"there is no {what:.200} here")

    async def _index(self) -> list[dict[str, Any]]:
        endpoints = self._table.table.endpoints
        states = await asyncio.gather(*(self._state(route.stable) for route in endpoints.values()))
        return [
            {"name": name, "version": route.stable.version, "state": state, "reason": ""}
            for (name, route), state in zip(endpoints.items(), states, strict=True)
        ]

    async def _state(self, target: Target) -> str:
        request = Forwarded("GET", "/v2/health/ready", [], None, has_body=False)
        with contextlib.suppress(UpstreamError):
            async with exchange(
                self._pool, parse_address(target.address), request, _nothing, timeout_s=PROBE_TIMEOUT_S
            ) as (connection, status, _):
                async for _ in connection.body(PROBE_TIMEOUT_S):
                    pass  # read to its end, so that the connection can be kept
                return "READY" if status == 200 else "UNAVAILABLE"
        return "UNAVAILABLE"


async def _nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


def _quoted(part: str) -> str:
    return quote(part, safe="")


def main() -> int:
    """Route until SIGTERM, then finish what is in work."""
    parser = argparse.ArgumentParser(prog="python -m relive.serving.router")
    parser.add_argument("--table", type=Path, required=True, help="routing table that the hub writes")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--uds", help="unix socket to listen on")
    where.add_argument("--port", type=int, help="TCP port to listen on, 0 for any free one")
    parser.add_argument("--host", default="127.0.0.1", help="address for --port")
    parser.add_argument(
        "--answer-timeout-s", type=float, default=ANSWER_TIMEOUT_S, help="then a request gets 504"
    )
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(message)s")
    try:
        listener = bind_unix(options.uds) if options.uds else bind_tcp(options.host, options.port)
    except Fault as fault:
        sys.stderr.write(f"{fault}\n")
        return 1
    address = f"unix:{options.uds}" if options.uds else f"tcp:{options.host}:{listener.getsockname()[1]}"
    sys.stdout.write(json.dumps({"listening": address, "pid": os.getpid()}) + "\n")
    sys.stdout.flush()
    config = uvicorn.Config(
        Router(TableFile(options.table), answer_timeout_s=options.answer_timeout_s),
        http="httptools",
        loop="asyncio",
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=30,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn raises the signal again once it has drained; a stop that was asked for is no failure.
        signal.signal(number, lambda *_: None)
    uvicorn.Server(config).run(sockets=[listener])
    return 0


if __name__ == "__main__":
    sys.exit(main())
