"""A small hub for tests of the runner: real HTTP and the real messages, with everything else left out.

It keeps what it is told, hands out work, refuses by fence, and can be away, full, or slow to come back.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4

import msgspec

from relive.core.artifact import Manifest, ManifestEntry
from relive.core.run import Metric
from relive.errors import BlobDigestMismatch, Conflict, NotFound, ReliveError, StoreFull, Superseded
from relive.formats.hashing import Hashed, Hasher, blake3_digest
from relive.formats.series import series_of
from relive.stores.blobs.budget import Budget
from relive.stores.blobs.common import Kept
from relive.stores.blobs.uploads import Uploads
from relive.wire.blobs import BeginUpload, MissingBlobs, MissingBlobsReply, UploadState
from relive.wire.jobs import (
    Heartbeat,
    HeartbeatReply,
    LogChunk,
    LogReply,
    Progress,
    Records,
    Report,
    StageReport,
    StageWork,
    Work,
)
from relive.wire.problem import Problem
from relive.wire.runs import CreatedRun, CreateRun

MSGPACK = "application/x-msgpack"
_STATUS = {
    "superseded": 409,
    "store_full": 507,
    "conflict": 409,
    "not_found": 404,
    "blob_digest_mismatch": 422,
}
PATIENCE_S = 60.0


@dataclass
class JobState:
    """What the hub knows of one job or run."""

    work: Work | None = None
    fence: int = 1
    lease_s: float = 30.0
    cancel: bool = False
    heartbeats: int = 0
    phases: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    log: bytearray = field(default_factory=bytearray)
    metrics: list[Metric] = field(default_factory=list)
    params: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    batches: set[str] = field(default_factory=set)
    report: Any = None
    created: CreateRun | None = None


class FakeHub:
    """The hub's side of `wire.jobs`, `wire.runs` and `wire.blobs`; blobs lie in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.jobs: dict[str, JobState] = {}
        self.keys: dict[str, str] = {}  # of runs that scripts asked for → their ids
        self.full = False
        self.largest_blob: int | None = None  # larger ones find no room
        self.failures: list[int] = []  # statuses that the next requests get instead of an answer
        self.requests: list[tuple[str, str]] = []
        self.uploads = Uploads(folder.with_name(f"{folder.name}-uploads"), _room(folder), self._keep)
        self.part_bytes = 0  # of parts that came
        self.given_bytes = 0  # of blobs that were asked for
        self.cuts: list[int] = []  # the connection breaks when so many of either have passed
        self.tokens: set[str] = set()
        self._port = 0
        self._server: _Server | None = None
        self.come_back()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def come_back(self) -> None:
        """Listen, on the same port as before."""
        self._server = _Server(("127.0.0.1", self._port), _Handler)
        self._server.hub = self
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def go_away(self) -> None:
        """Stop listening, and break every open connection."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
            server.break_connections()

    def note(self, request: BaseHTTPRequestHandler) -> None:
        self.requests.append((request.command, request.path))

    def _keep(self, _descriptor: int, path: Path, hashed: Hashed) -> Kept:
        path.rename(self.path_of(hashed.digest))
        return Kept(time.time(), is_new=True)

    # --- what a test sets up ---------------------------------------------------------------------------

    def add_job(self, work: Work, **state: Any) -> str:
        """Queue work, and give its job's id."""
        job_id = uuid4().hex
        self.jobs[job_id] = JobState(work=work, **state)
        return job_id

    def put(self, data: bytes) -> str:
        digest = blake3_digest(data)
        self.path_of(digest).write_bytes(data)
        return digest

    def put_tree(self, files: Mapping[str, str | bytes], *, executable: tuple[str, ...] = ()) -> str:
        """Store files as a manifest, and give its digest."""
        entries = []
        for path, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            entries.append(ManifestEntry(path, self.put(data), len(data), path in executable))
        return self.put(Manifest.of(entries).to_bytes())

    # --- what a test looks at --------------------------------------------------------------------------

    def path_of(self, digest: str) -> Path:
        return self.folder / digest.replace(":", "-")

    def read(self, digest: str) -> bytes:
        return self.path_of(digest).read_bytes()

    def tree(self, digest: str) -> dict[str, bytes]:
        """Give path → content of a manifest."""
        entries = Manifest.from_bytes(self.read(digest)).entries
        return {it.path: self.read(it.digest) for it in entries if it.link is None}

    def stage_report(self, job_id: str) -> StageReport:
        report = self.jobs[job_id].report
        assert isinstance(report, StageReport), f"no report; the log: {bytes(self.jobs[job_id].log)!r}"
        return report


def wait_for(condition: Callable[[], Any], what: str, timeout_s: float = PATIENCE_S) -> None:
    """Wait until something is so; fail with `what` if it never is."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s:.0f} s: {what}"
        time.sleep(0.02)


@contextmanager
def running_hub(folder: Path) -> Iterator[FakeHub]:
    """Give a hub that is ended with the block."""
    hub = FakeHub(folder)
    try:
        yield hub
    finally:
        hub.go_away()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64
    hub: FakeHub

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._open: set[Any] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def break_connections(self) -> None:
        for connection in list(self._open):
            self.shutdown_request(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a runner that is killed breaks its connections."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its name in the base class
        pass

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def do_PUT(self) -> None:
        self._answer(self._put)

    def _answer(self, handle: Callable[[FakeHub, list[str]], None]) -> None:
        hub = self.server.hub
        hub.note(self)
        if hub.failures:
            self._read_body()
            self._reply(hub.failures.pop(0), b"try later", "text/plain")
            return
        if hub.tokens and self.headers.get("Authorization", "").removeprefix("Bearer ") not in hub.tokens:
            self._read_body()
            self._problem(401, Problem(code="not_logged_in", message="who are you?"))
            return
        try:
            handle(hub, self.path.removeprefix("/api/v1/").split("/"))
        except ReliveError as error:
            problem = Problem(code=error.code, message=error.what(), facts=error.facts(), todo=error.to_do())
            self._problem(_STATUS.get(error.code, 400), problem)

    def _get(self, hub: FakeHub, parts: list[str]) -> None:
        if parts[0] == "blobs":
            path = hub.path_of(parts[1])
            if not path.exists():
                raise NotFound(kind="blob", name=parts[1])
            self._reply_file(path)
        else:
            self._pack(_state(hub, parts[1]).work)

    def _post(self, hub: FakeHub, parts: list[str]) -> None:
        body = self._read_body()
        if parts[0] == "blobs" and "upload" in parts:
            self._json(_upload(hub, parts, msgspec.json.decode(body, type=BeginUpload).size_bytes))
        elif parts == ["blobs", "missing"]:
            digests = msgspec.json.decode(body, type=MissingBlobs).digests
            self._json(MissingBlobsReply(tuple(it for it in digests if not hub.path_of(it).exists())))
        elif parts == ["runs"]:
            asked = msgspec.json.decode(body, type=CreateRun)
            run_id = asked.resume or hub.keys.setdefault(asked.key or uuid4().hex, uuid4().hex)
            hub.jobs.setdefault(run_id, JobState(fence=0)).created = asked
            self._json(CreatedRun(run_id=run_id, token="command-token"))
        else:
            self._pack(_TOLD[parts[2]](hub, _state(hub, parts[1]), body))

    def _put_part(self, hub: FakeHub, parts: list[str]) -> None:
        number, _, query = parts[3].partition("?")
        about = dict(parse_qsl(query))
        if hub.path_of(parts[1]).exists():
            self._read_body()
            raise Conflict(subject="the upload", reason="the blob is here already")
        upload = hub.uploads.open(parts[1], int(about["size_bytes"]), "tests")
        left = int(self.headers["Content-Length"])
        with upload.part(int(number), expected=about["part"]) as writer:
            while left and (piece := self.rfile.read(min(left, 1 << 18))):
                left -= len(piece)
                hub.part_bytes += len(piece)
                writer.write(piece)
                if hub.cuts and hub.part_bytes >= hub.cuts[0]:
                    hub.cuts.pop(0)
                    left = -1
                    break
            if left:
                self.close_connection = True
                return
            writer.commit()
        self._json({})

    def _put(self, hub: FakeHub, parts: list[str]) -> None:
        if "upload" in parts:
            if hub.full:
                self._read_body()
                raise StoreFull(where="the store", free_bytes=0)
            self._put_part(hub, parts)
            return
        hasher, left = Hasher(), int(self.headers["Content-Length"])
        partial = hub.folder / f"partial-{uuid4().hex}"
        with open(partial, "wb") as file:
            while left and (piece := self.rfile.read(min(left, 1 << 20))):
                left -= len(piece)
                hasher.update(piece)
                file.write(piece)
        if left:
            partial.unlink()
            self.close_connection = True
            return
        if hub.full or (hub.largest_blob is not None and hasher.size_bytes > hub.largest_blob):
            partial.unlink()
            raise StoreFull(where="the store", needed_bytes=hasher.size_bytes, free_bytes=0)
        if hasher.result().digest != parts[1]:
            partial.unlink()
            raise BlobDigestMismatch(digest=parts[1], actual=hasher.result().digest)
        partial.rename(hub.path_of(parts[1]))
        self._json({})

    def _read_body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _reply_file(self, path: Path) -> None:
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        self.send_response(206 if start else 200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(path.stat().st_size - start))
        self.end_headers()
        hub = self.server.hub
        with open(path, "rb") as file:
            file.seek(start)
            while piece := file.read(1 << 18):
                self.wfile.write(piece)
                hub.given_bytes += len(piece)
                if hub.cuts and hub.given_bytes >= hub.cuts[0]:
                    hub.cuts.pop(0)
                    self.close_connection = True
                    return

    def _json(self, message: Any) -> None:
        self._reply(200, msgspec.json.encode(message), "application/json")

    def _pack(self, message: Any) -> None:
        self._reply(200, msgspec.msgpack.encode(message), MSGPACK)

    def _problem(self, status: int, problem: Problem) -> None:
        self._reply(status, msgspec.json.encode(problem), "application/json")

    def _reply(self, status: int, data: bytes, media_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _room(folder: Path) -> Budget:
    return Budget(folder, reserve_bytes=0, quota_bytes=None, count=lambda: 0)


def _upload(hub: FakeHub, parts: list[str], size_bytes: int) -> Any:
    if hub.path_of(parts[1]).exists():
        return UploadState(is_stored=True)
    upload = hub.uploads.open(parts[1], size_bytes, "tests")
    if parts[-1] == "finish":
        return upload.commit()
    if hub.full or (hub.largest_blob is not None and size_bytes > hub.largest_blob):
        raise StoreFull(where="the store", needed_bytes=size_bytes, free_bytes=0)
    return UploadState(
        is_finishing=upload.is_committing,
        part_bytes=upload.part_bytes,
        missing=tuple(upload.missing()),
    )


def _state(hub: FakeHub, job_id: str) -> JobState:
    if job_id not in hub.jobs:
        raise NotFound(kind="job", name=job_id)
    return hub.jobs[job_id]


def _check(hub: FakeHub, state: JobState, fence: int) -> None:
    if state.fence != fence:
        raise Superseded(subject="the job", reason="another claim took over")
    if hub.full:
        raise StoreFull(where="the database")


def _heartbeat(hub: FakeHub, state: JobState, body: bytes) -> HeartbeatReply:
    if state.fence != msgspec.msgpack.decode(body, type=Heartbeat).fence:
        raise Superseded(subject="the job", reason="another claim took over")
    state.heartbeats += 1
    return HeartbeatReply(cancel=state.cancel, lease_s=state.lease_s)


def _progress(hub: FakeHub, state: JobState, body: bytes) -> None:
    message = msgspec.msgpack.decode(body, type=Progress)
    _check(hub, state, message.fence)
    state.phases.append(message.phase)
    state.notes.append(message.message)


def _log(hub: FakeHub, state: JobState, body: bytes) -> LogReply:
    chunk = msgspec.msgpack.decode(body, type=LogChunk)
    _check(hub, state, chunk.fence)
    if chunk.offset <= len(state.log):
        state.log[chunk.offset :] = chunk.data
    return LogReply(length=len(state.log))


def _records(hub: FakeHub, state: JobState, body: bytes) -> None:
    records = msgspec.msgpack.decode(body, type=Records)
    _check(hub, state, records.fence)
    if records.batch in state.batches:
        return
    state.batches.add(records.batch)
    state.metrics.extend(records.metrics)
    for block in records.blocks:
        for key, points in series_of(block):
            state.metrics.extend(points.as_metrics(key))
    state.params.update(records.params)
    state.tags.update(records.tags)


def _finish(hub: FakeHub, state: JobState, body: bytes) -> None:
    report: Any = msgspec.msgpack.decode(body, type=Report)
    _check(hub, state, report.fence)
    state.report = report


_TOLD: dict[str, Callable[[FakeHub, JobState, bytes], Any]] = {
    "heartbeat": _heartbeat,
    "progress": _progress,
    "log": _log,
    "records": _records,
    "finish": _finish,
}


def stage_work(hub: FakeHub, files: Mapping[str, str | bytes], *commands: str, **fields: Any) -> StageWork:
    """Make a stage's work of files and commands."""
    return StageWork(
        run_id=uuid4().hex,
        project="demo",
        stage="train",
        commands=commands,
        code=hub.put_tree(files),
        **fields,
    )
