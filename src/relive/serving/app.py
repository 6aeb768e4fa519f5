"""The Open Inference Protocol and MLflow's scoring protocol as an ASGI application for one model version.

Source: Open Inference Protocol v2 REST; its binary tensor and model repository extensions.

A model never meets two requests at once. Short work (reading a body, predicting, writing the answer) is done
in the event loop: handing it to a thread would make the two threads fight for the interpreter, which was
measured at 1.5 times the CPU. Long work goes to one worker thread, so that the loop
can still say that the process is alive.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
import uuid
import zlib
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any, Callable

from . import oip, scoring
from .faults import BadRequest, EncodingRefused, MethodRefused, ModelFailed, NotServed, RequestFault, TooLarge
from .flavors import Loaded
from .predictor import predict
from .signature import Signature

SERVER_NAME = "relive"
SERVER_VERSION = "1"
MAX_BODY_BYTES = 64 << 20
EXTENSIONS = ("binary_tensor_data", "model_repository")
INLINE_BODY_BYTES = 256 << 10
INLINE_S = 0.01
REQUEST_ID = re.compile(r"[!-~]{1,128}")

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_log = logging.getLogger("relive.serving")


@dataclass(frozen=True)
class Response:
    """An HTTP answer; JSON unless its headers say otherwise."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ((b"content-type", b"application/json"),)


Handler = Callable[[bytes, dict[str, str]], Response]


@dataclass(frozen=True)
class Served:
    """What a process serves: a model with its signature, under a name and version."""

    model: Loaded
    signature: Signature
    name: str
    version: str


@dataclass
class App:
    """The ASGI application.

    Attributes:
        served: The model version.
        max_body_bytes: Larger bodies, also once decompressed, are refused with 413.
        ready: False while the process drains; readiness then answers 503.
        typical_s: How long requests took lately; decides where the next one is worked on.
    """

    served: Served
    max_body_bytes: int = MAX_BODY_BYTES
    ready: bool = True
    typical_s: float = 0.0
    _in_worker: int = field(default=0, init=False, repr=False)
    _worker: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "predict"), repr=False)
    _routes: dict[tuple[str, ...], tuple[str, Handler]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._routes = {
            ("v2",): ("GET", self._server),
            ("v2", "health", "live"): ("GET", self._live),
            ("v2", "health", "ready"): ("GET", self._ready),
            ("v2", "models", "*"): ("GET", self._metadata),
            ("v2", "models", "*", "ready"): ("GET", self._model_ready),
            ("v2", "models", "*", "infer"): ("POST", self._infer),
            ("v2", "repository", "index"): ("POST", self._index),
            ("invocations",): ("POST", self._invoke),
            ("ping",): ("GET", self._live),
            ("health",): ("GET", self._live),
            ("version",): ("GET", self._version),
        }

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, or the server's start and stop."""
        if scope["type"] == "lifespan":
            return await _lifespan(receive, send)
        response = await self._respond(scope, receive)
        length = (b"content-length", str(len(response.body)).encode())
        await send(
            {"type": "http.response.start", "status": response.status, "headers": [*response.headers, length]}
        )
        await send({"type": "http.response.body", "body": response.body})
        return None

    async def _respond(self, scope: Message, receive: Receive) -> Response:
        try:
            body = await self._read(receive)
            handler = self._route(scope["method"], scope["path"])
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            if handler in (self._infer, self._invoke):
                return await self._work(handler, body, headers)
            return handler(body, headers)
        except RequestFault as fault:
            return _error(fault)

    async def _read(self, receive: Receive) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > self.max_body_bytes:
                raise TooLarge(self.max_body_bytes)
            if not message.get("more_body", False):
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def _work(self, handler: Handler, body: bytes, headers: dict[str, str]) -> Response:
        if not self._in_worker and len(body) <= INLINE_BODY_BYTES and self.typical_s <= INLINE_S:
            return self._guarded(handler, body, headers)
        self._in_worker += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._worker, self._guarded, handler, body, headers)
        finally:
            self._in_worker -= 1

    def _route(self, method: str, path: str) -> Handler:
        parts = path.strip("/").split("/")
        if parts[:2] == ["v2", "models"] and len(parts) > 2:
            parts = self._without_model(parts)
        found = self._routes.get(tuple(parts))
        if found is None:
            raise NotServed(f"there is no path {path!r:.200} here")
        if method != found[0]:
            raise MethodRefused(f"{path!r:.200} takes {found[0]}, not {method:.20}")
        return found[1]

    def _without_model(self, parts: list[str]) -> list[str]:
        """Check name and version of a model path and give it without them."""
        served = self.served
        if parts[2] != served.name:
            raise NotServed(f"there is no model {parts[2]!r:.200} here, only {served.name!r}")
        rest = parts[3:]
        if rest[:1] == ["versions"]:
            if rest[1:2] != [served.version]:
                raise NotServed(f"model {served.name!r} is served here in version {served.version!r} only")
            rest = rest[2:]
        return ["v2", "models", "*", *rest]

    def _guarded(self, handler: Handler, body: bytes, headers: dict[str, str]) -> Response:
        """Run a handler that calls the model; its own failures become a 500 without its words."""
        began = time.perf_counter()
        try:
            plain = _decompress(body, headers.get("content-encoding", ""), self.max_body_bytes)
            return handler(plain, headers)
        except RequestFault:
            raise
        except Exception:  # noqa: BLE001 - the model's code may raise anything
            given = headers.get("x-request-id", "")
            failed = ModelFailed(given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex)
            _log.exception("request %s failed in the model", failed.request_id)
            raise failed from None
        finally:
            self.typical_s += 0.2 * (time.perf_counter() - began - self.typical_s)

    def _infer(self, body: bytes, headers: dict[str, str]) -> Response:
        served = self.served
        request = oip.parse_request(body, headers.get(oip.HEADER_LENGTH), served.signature)
        outputs = predict(
            served.model, served.signature.layout, request.inputs, wanted=tuple(request.outputs)
        )
        encoded, header_length = oip.encode_response(
            {name: outputs[name] for name in request.outputs},
            request.outputs,
            model=served.name,
            version=served.version,
            request_id=request.id,
        )
        if header_length is None:
            return Response(200, encoded)
        length = (oip.HEADER_LENGTH.encode(), str(header_length).encode())
        return Response(200, encoded, ((b"content-type", b"application/octet-stream"), length))

    def _invoke(self, body: bytes, headers: dict[str, str]) -> Response:
        served = self.served
        inputs = scoring.parse_request(body, served.signature)
        wanted = served.signature.default_outputs
        outputs = predict(served.model, served.signature.layout, inputs, wanted=wanted)
        return Response(200, scoring.encode_response({name: outputs[name] for name in wanted}))

    def _server(self, body: bytes, headers: dict[str, str]) -> Response:
        return _json(200, {"name": SERVER_NAME, "version": SERVER_VERSION, "extensions": EXTENSIONS})

    def _live(self, body: bytes, headers: dict[str, str]) -> Response:
        return _json(200, {"live": True})

    def _ready(self, body: bytes, headers: dict[str, str]) -> Response:
        return _json(200 if self.ready else 503, {"ready": self.ready})

    def _model_ready(self, body: bytes, headers: dict[str, str]) -> Response:
        return _json(200 if self.ready else 503, {"name": self.served.name, "ready": self.ready})

    def _metadata(self, body: bytes, headers: dict[str, str]) -> Response:
        served = self.served
        tensors = {
            kind: [asdict(spec) for spec in getattr(served.signature, kind)] for kind in ("inputs", "outputs")
        }
        platform = served.signature.platform
        return _json(
            200, {"name": served.name, "versions": [served.version], "platform": platform, **tensors}
        )

    def _index(self, body: bytes, headers: dict[str, str]) -> Response:
        wanted = oip.read_json(body) if body.strip() else {}
        if wanted.get("ready") is True and not self.ready:
            return _json(200, [])
        state = "READY" if self.ready else "UNAVAILABLE"
        return _json(
            200, [{"name": self.served.name, "version": self.served.version, "state": state, "reason": ""}]
        )

    def _version(self, body: bytes, headers: dict[str, str]) -> Response:
        return Response(200, f"{SERVER_NAME} {SERVER_VERSION}".encode(), ((b"content-type", b"text/plain"),))


def _json(status: int, content: Any) -> Response:
    return Response(status, json.dumps(content, separators=(",", ":")).encode())


def _error(fault: RequestFault) -> Response:
    return _json(fault.status, {"error": str(fault)})


def _decompress(body: bytes, encoding: str, limit_bytes: int) -> bytes:
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "deflate"):
        raise EncodingRefused(f"Content-Encoding is {encoding!r:.40}, expected gzip, deflate or none")
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)  # 32: tell gzip and zlib apart by their first bytes
    try:
        plain = inflate.decompress(body, limit_bytes + 1)
    except zlib.error as error:
        raise BadRequest(f"the body is not valid {encoding}: {error}") from None
    if len(plain) > limit_bytes:
        raise TooLarge(limit_bytes)
    if not inflate.eof:
        raise BadRequest(f"the body is not valid {encoding}: it ends too early")
    return plain


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
