"""Send a run that is kept on this machine to the hub.

Sending can stop anywhere and start again: a batch has its name and its range on disk before it is sent, so
that sending it a second time is the same batch to the hub. The folder goes when the hub has everything.
"""

import shutil
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from relive.capture.secrets import mask_text
from relive.client.spool import (
    CONSOLE,
    is_running,
    locked,
    process_started,
    queued_bytes,
    read_local_run,
    read_shipped,
    write_document,
)
from relive.core.artifact import Manifest, ManifestEntry
from relive.core.run import Artifact, Metric, MetricBlock, RunKind, RunStatus
from relive.formats.manifest_io import list_tree, read_manifest
from relive.formats.spool import SpoolBatch, SpoolReader, read_range, read_spool
from relive.formats.spool_records import SpooledArtifact, SpooledFinish
from relive.formats.trajectory import encode_trajectory
from relive.wire.jobs import HeartbeatReply, StageReport
from relive.wire.runs import CreatedRun, CreateRun

BATCH_BYTES: Final = 1 << 20
CONSOLE_BYTES: Final = 256 * 1024

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
        blocks: tuple[MetricBlock, ...] = (),
    ) -> None:
        """Keep records; `batch` names them."""

    def log(self, offset: int, data: bytes) -> int:
        """Keep a piece of output; gives the length of all that there is."""

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


def ship(hub: RunHub, spool: Path) -> Shipment:
    """Send what the hub does not have of a run; ends the run there once its process has ended.

    Does nothing if another process is sending it right now.

    Raises:
        HubUnreachable, HubRefused: What was not sent stays where it is.
        OSError: The spool cannot be read or written.
    """
    with locked(spool) as mine:
        if not mine:
            return Shipment(spool=spool.name, queued_bytes=queued_bytes(spool))
        return _Shipper(hub, spool).ship()


class _Shipper:
    """Sends one run, whose lock is held."""

    def __init__(self, hub: RunHub, spool: Path) -> None:
        self._hub = hub
        self._spool = spool
        self._local = read_local_run(spool)
        self._state = read_shipped(spool)
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
        self._send_console(reports, ended=ended or bool(self._state.status))
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
                experiment=run.experiment,
                key="" if run.resume else self._spool.name,
                resume=run.resume,
                kind=RunKind.CLIENT,
                command=run.command,
                commit=run.commit,
                branch=run.branch,
                heartbeats=True,
            )
        )
        self._save(run_id=created.run_id, url=created.url)

    def _send_again(self, reports: RunReports) -> None:
        if self._state.sending is not None:
            self._send(reports, read_range(self._spool, *self._state.sending))

    def _send(self, reports: RunReports, batch: SpoolBatch) -> None:
        metrics, params, tags = batch.metrics(), batch.params(), batch.tags()
        if metrics or params or tags or batch.blocks:
            reports.records(f"{batch.file}:{batch.start}", metrics, params, tags, batch.blocks)
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
        if (not status and not ended) or _members(self._spool):
            return False
        contents = read_spool(self._spool, with_metrics=False)
        uploads = [self._upload(named) for named in contents.artifacts]
        log, printed = self._keep_log()
        trajectory = contents.trajectory()
        report = StageReport(
            fence=0,
            status=_STATUSES.get(status, RunStatus.FAILED),
            reason="" if status else "Its process ended without finishing the run.",
            trajectory=self._hub.blobs.put_bytes(encode_trajectory(trajectory)) if trajectory.steps else "",
            artifacts=(*(artifact for artifact in uploads if artifact is not None), *printed),
            **log,
        )
        reports.finish(report)
        shutil.rmtree(self._spool)
        return True

    def _send_console(self, reports: RunReports, *, ended: bool) -> None:
        """Send what was printed in whole lines, so that a secret is masked wherever pieces are cut."""
        if self._local.resume:
            return  # the hub's log is that of the run's first part; see `_keep_log`
        while piece := _lines_at(self._spool / CONSOLE, self._state.console_read, ended=ended):
            masked = mask_text(piece.decode(errors="replace")).encode()
            reports.log(self._state.console_sent, masked)
            self._save(
                console_read=self._state.console_read + len(piece),
                console_sent=self._state.console_sent + len(masked),
            )

    def _keep_log(self) -> tuple[dict[str, Any], list[Artifact]]:
        """Make what was printed a blob, as every finished log is one; of a resumed run an artifact."""
        masked, at = self._spool / f"console-{self._spool.name}.log", 0
        with open(masked, "wb") as file:
            while piece := _lines_at(self._spool / CONSOLE, at, ended=True):
                file.write(mask_text(piece.decode(errors="replace")).encode())
                at += len(piece)
        if not at:
            return {}, []
        if not self._local.resume:
            return {"log": self._hub.blobs.put_file(masked), "log_bytes": masked.stat().st_size}, []
        kept = self._upload(SpooledArtifact(path=str(masked), name=masked.name))
        return {}, [kept] if kept is not None else []

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
        write_document(self._spool / "shipped.json", self._state)


def _lines_at(path: Path, at: int, *, ended: bool) -> bytes:
    """Read whole lines of a file; its last one may lack its end if nothing comes after it."""
    try:
        with open(path, "rb") as file:
            file.seek(at)
            piece = file.read(CONSOLE_BYTES)
    except FileNotFoundError:
        return b""
    whole = piece.rfind(b"\n") + 1
    return piece[:whole] if whole else (piece if ended or len(piece) == CONSOLE_BYTES else b"")


def _members(spool: Path) -> list[Path]:
    """Name the other processes that still write to a spool."""
    return [path for path in spool.glob("member-*") if _lives(path)]


def _lives(member: Path) -> bool:
    pid = member.name.rpartition("-")[2]
    try:
        return pid.isdigit() and process_started(int(pid)) == member.read_text()
    except FileNotFoundError:
        return False
