"""Runs that are kept on this machine until the hub has them.

    RELIVE_HOME/spool/NAME/
      run.json       what the run is, and whose; written first
      *.jsonl        its records, as `capture.hooks.spool` writes them
      shipped.json   how far the hub has them
      lock           held by whoever sends them

Sending can stop anywhere and start again: a batch has its name and its range on disk before it is sent, so
that sending it a second time is the same batch to the hub. The folder goes when the hub has everything.
"""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from relive import settings
from relive.core.artifact import Manifest, ManifestEntry
from relive.core.run import Artifact, Metric, RunKind, RunStatus
from relive.formats.manifest_io import list_tree, read_manifest
from relive.formats.spool import (
    SpoolBatch,
    SpooledArtifact,
    SpooledFinish,
    SpoolReader,
    read_range,
    read_spool,
    spool_files,
    spooled_bytes,
)
from relive.formats.trajectory import encode_trajectory
from relive.wire.jobs import HeartbeatReply, StageReport
from relive.wire.runs import CreatedRun, CreateRun

BATCH_BYTES: Final = 1 << 20

# What a script says at its end; nothing, if it was killed.
_STATUSES: Final = {"finished": RunStatus.FINISHED, "": RunStatus.KILLED}


class RunReports(Protocol):
    """What the hub takes of one run; every call may be repeated."""

    def records(
        self,
        batch: str,
        metrics: tuple[Metric, ...] = (),
        params: dict[str, Any] | None = None,
        tags: dict[str, str] | None = None,
    ) -> None:
        """Keep records; `batch` names them."""

    def heartbeat(self) -> HeartbeatReply:
        """Say that the run goes on."""

    def finish(self, report: StageReport) -> None:
        """End the run."""


class BlobSink(Protocol):
    """Where bytes are kept; both give the digest."""

    def put_bytes(self, data: bytes) -> str:
        """Keep bytes."""

    def put_file(self, path: Path) -> str:
        """Keep a file's bytes."""


class RunHub(Protocol):
    """The hub as a run by hand needs it; `client.hub.HubClient` is one."""

    def create_run(self, request: CreateRun) -> CreatedRun:
        """Make a run."""

    def run(self, run_id: str) -> RunReports:
        """Speak for a run."""

    @property
    def blobs(self) -> BlobSink:
        """The hub's blob store."""


class LocalRun(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is, and which process it lives in.

    Attributes:
        process_started: Of that process in clock ticks since boot, with the boot's id: a pid is used again.
    """

    project: str
    name: str = ""
    command: str = ""
    commit: str = ""
    branch: str = ""
    pid: int = 0
    process_started: str = ""
    created_at: float = 0.0


class Shipped(msgspec.Struct, frozen=True, kw_only=True):
    """How far the hub has a run.

    Attributes:
        offsets: File name to the offset up to which the hub has it.
        sending: The (file, start, end) that was about to be sent; the hub may have it.
        status: What the script said at its end, empty while it runs.
    """

    run_id: str = ""
    url: str = ""
    offsets: dict[str, int] = {}
    sending: tuple[str, int, int] | None = None
    status: str = ""


class Shipment(msgspec.Struct, frozen=True, kw_only=True):
    """What sending a run has come to.

    Attributes:
        spool: The run's folder name.
        sent_bytes: Of records, in this call.
        queued_bytes: Of records that wait on this machine.
        finished: The hub has everything, and the folder is gone.
    """

    spool: str
    run_id: str = ""
    url: str = ""
    sent_bytes: int = 0
    queued_bytes: int = 0
    finished: bool = False


def spool_root() -> Path:
    """Give the folder of this user's runs that are not with the hub yet."""
    return Path(settings.home()) / "spool"


def open_spool(run: LocalRun, root: Path | None = None) -> Path:
    """Make the folder of a new run.

    Raises:
        OSError: There is no room, or no permission.
    """
    root = root or spool_root()
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = Path(tempfile.mkdtemp(dir=root, prefix=f"{time.strftime('%Y%m%d-%H%M%S')}-{run.pid}-"))
    _write(folder / "run.json", run)
    return folder


def pending(root: Path | None = None) -> list[Path]:
    """Give the runs that the hub does not have yet in full, oldest first; running ones as well."""
    root = root or spool_root()
    try:
        names = sorted(os.listdir(root))
    except FileNotFoundError:
        return []
    return [root / name for name in names if (root / name / "run.json").is_file()]


def ship(hub: RunHub, spool: Path) -> Shipment:
    """Send what the hub does not have of a run; ends the run there once its process has ended.

    Does nothing if another process is sending it right now.

    Raises:
        HubUnreachable, HubRefused: What was not sent stays where it is.
        OSError: The spool cannot be read or written.
    """
    with _locked(spool) as mine:
        if not mine:
            return Shipment(spool=spool.name, queued_bytes=queued_bytes(spool))
        return _Shipper(hub, spool).ship()


def queued_bytes(spool: Path) -> int:
    """Give how many bytes of records the hub does not have."""
    offsets = _shipped(spool).offsets
    return sum(spooled_bytes(spool, name, offsets.get(name, 0)) for name in spool_files(spool))


def read_local_run(spool: Path) -> LocalRun:
    """Read what a run is; of one whose file is damaged only that it was here."""
    try:
        return msgspec.json.decode((spool / "run.json").read_bytes(), type=LocalRun)
    except msgspec.MsgspecError:
        return LocalRun(project="recovered", name=spool.name)


def is_running(run: LocalRun) -> bool:
    """Tell whether the process of a run still lives on this machine."""
    return bool(run.pid) and process_started(run.pid) == run.process_started


def process_started(pid: int) -> str:
    """Name a process so that no later one of the same number has the name; empty if there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""
    # Field 22 of the file, the 20th after the name in brackets; a zombie has ended.
    return f"{boot}:{fields[19]}" if len(fields) > 19 and fields[0] != "Z" else ""


class _Shipper:
    """Sends one run, whose lock is held."""

    def __init__(self, hub: RunHub, spool: Path) -> None:
        self._hub = hub
        self._spool = spool
        self._local = read_local_run(spool)
        self._state = _shipped(spool)
        self._sent = 0

    def ship(self) -> Shipment:
        # Before the records are read: what it wrote last is then read for certain.
        ended = not is_running(self._local)
        self._create()
        reports = self._hub.run(self._state.run_id)
        self._send_again(reports)
        for batch in SpoolReader(self._spool, self._state.offsets).read(BATCH_BYTES):
            self._save(sending=(batch.file, batch.start, batch.end))
            self._send(reports, batch)
        finished = self._finish(reports, ended=ended)
        return Shipment(
            spool=self._spool.name,
            run_id=self._state.run_id,
            url=self._state.url,
            sent_bytes=self._sent,
            queued_bytes=0 if finished else queued_bytes(self._spool),
            finished=finished,
        )

    def _create(self) -> None:
        if self._state.run_id:
            return
        run = self._local
        created = self._hub.create_run(
            CreateRun(
                project=run.project,
                name=run.name,
                kind=RunKind.CLIENT,
                command=run.command,
                commit=run.commit,
                branch=run.branch,
            )
        )
        self._save(run_id=created.run_id, url=created.url)

    def _send_again(self, reports: RunReports) -> None:
        if self._state.sending is not None:
            self._send(reports, read_range(self._spool, *self._state.sending))

    def _send(self, reports: RunReports, batch: SpoolBatch) -> None:
        metrics, params, tags = batch.metrics(), batch.params(), batch.tags()
        if metrics or params or tags:
            reports.records(f"{batch.file}:{batch.start}", metrics, params, tags)
        finishes = [it.status for it in batch.records if isinstance(it, SpooledFinish)]
        self._save(
            offsets={**self._still_there(), batch.file: batch.end},
            sending=None,
            status=finishes[-1] if finishes else self._state.status,
        )
        self._sent += batch.end - batch.start
        if batch.ended:
            # A run of a month does not fill the disk with what the hub has.
            (self._spool / batch.file).unlink(missing_ok=True)

    def _still_there(self) -> dict[str, int]:
        return {name: end for name, end in self._state.offsets.items() if (self._spool / name).exists()}

    def _finish(self, reports: RunReports, *, ended: bool) -> bool:
        status = self._state.status
        if not status and not ended:
            return False
        contents = read_spool(self._spool, with_metrics=False)
        uploads = [self._upload(named) for named in contents.artifacts]
        trajectory = contents.trajectory()
        report = StageReport(
            fence=0,
            status=_STATUSES.get(status, RunStatus.FAILED),
            reason="" if status else "Its process ended without finishing the run.",
            trajectory=self._hub.blobs.put_bytes(encode_trajectory(trajectory)) if trajectory.steps else "",
            artifacts=tuple(artifact for artifact in uploads if artifact is not None),
        )
        reports.finish(report)
        shutil.rmtree(self._spool)
        return True

    def _upload(self, named: SpooledArtifact) -> Artifact | None:
        path = Path(named.path)
        if not path.exists():
            return None  # written and removed again by the script
        root, start = (path, "") if path.is_dir() else (path.parent, path.name)
        entries: list[ManifestEntry] = []
        # One at a time: a thread pool cannot be started any more while the interpreter ends.
        for name in sorted(list_tree(root, start)):
            entries += read_manifest(root, [name]).entries
            self._hub.blobs.put_file(root / name)
        manifest = Manifest.of(entries)
        return Artifact(
            run_id=self._state.run_id,
            path=named.name,
            manifest=self._hub.blobs.put_bytes(manifest.to_bytes()),
            size_bytes=manifest.size_bytes,
            files=manifest.n_files,
            kind="artifact",
        )

    def _save(self, **changes: Any) -> None:
        self._state = msgspec.structs.replace(self._state, **changes)
        _write(self._spool / "shipped.json", self._state)


def _shipped(spool: Path) -> Shipped:
    try:
        return msgspec.json.decode((spool / "shipped.json").read_bytes(), type=Shipped)
    except FileNotFoundError:
        return Shipped()


def _write(path: Path, document: msgspec.Struct) -> None:
    """Write a file whole or not at all, also through a power cut."""
    partial = path.with_name(f".{path.name}.partial")
    with open(partial, "wb") as file:
        file.write(msgspec.json.encode(document))
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


@contextmanager
def _locked(spool: Path) -> Iterator[bool]:
    """Hold the right to send a run; gives False if another process has it, or the run is gone."""
    try:
        file = open(spool / "lock", "w")  # noqa: SIM115  (closed below; opening may fail)
    except FileNotFoundError:
        yield False
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        # Whoever held it before may have sent everything and removed the folder.
        yield (spool / "run.json").is_file()
