"""Variants as runs: work that nobody ever did as such is run once, kept by the hub, and found again.

A variant has a key: the digest of all its declared inputs and of the processor it runs on. The run carries it
as a tag: a search that was killed goes on, and another that shares inputs has the answer already.
"""

import threading
from typing import Final

import msgspec

from relive.capture.hardware import read_hardware
from relive.capture.recorder.reads import Opened, read_opened
from relive.client.blobs import BlobClient
from relive.client.hub import HubClient
from relive.core.artifact import Manifest, ManifestEntry
from relive.core.causes import VARIANT_TAG
from relive.core.run import Artifact, FailureReason, Run, RunKind, RunStatus
from relive.core.trajectory import FINAL, Trajectory
from relive.errors import BlobNotFound
from relive.formats.hashing import document_digest
from relive.formats.trajectory import decode_trajectory
from relive.replay.early import Beginning, Horizon, beginning_of
from relive.replay.watch import Stop, Watch
from relive.runner.execution import Desk
from relive.runner.lease import Lease, Over
from relive.runner.main import deliver
from relive.runner.opened import record_file
from relive.runner.scratch import Scratch
from relive.runner.stage import run_stage
from relive.wire.hub import RunDetail
from relive.wire.jobs import StageReport, StageWork
from relive.wire.runs import CreateRun

TAG: Final = VARIANT_TAG
# Of a run that was ended behind its first steps: the key, and the last step that is wanted.
BEGINNING_TAG: Final = "relive.beginning"
# The machine that a trial ran on, where another one chose it.
PROCESSOR_TAG: Final = "relive.processor"
OPENED: Final = "opened.json"
_PATIENCE_S: Final = 600.0
# A run that ended for one of these may well end otherwise.
_PASSING: Final = frozenset({FailureReason.CANCELLED, FailureReason.WORKER_LOST, FailureReason.STORE_FULL})


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a run came out as.

    Attributes:
        failure: Why it says nothing; empty for a run that finished.
        metrics: The last value of each.
        states: Final states of its trajectory, by stream and name, and learned numbers.
        outs: Path to the digest of its manifest.
        opened: Files of the tree that it read; None if not all of them are known.
        reused: Whether it had been run before.
        fed: The data that its fits and its training steps got, by stream and name; settings are not among it.
        beginning: The states after its first steps.
        is_beginning: Whether it was ended behind them, so that there is nothing more.
        processor: What it ran on; empty where that is part of its key.
    """

    run_id: str
    failure: str = ""
    is_cancelled: bool = False
    metrics: dict[str, float] = {}
    states: dict[str, str] = {}
    outs: dict[str, str] = {}
    opened: frozenset[str] | None = None
    reused: bool = False
    fed: dict[str, str] = {}
    beginning: Beginning = {}
    is_beginning: bool = False
    processor: str = ""


class Variants:
    """Runs variants against a hub; may be used from several threads."""

    def __init__(self, hub: HubClient) -> None:
        self._hub = hub
        self._machine = read_hardware()
        self._lock = threading.Lock()
        self._leases: set[Lease] = set()
        self.is_stopped = False

    def key(self, work: StageWork, repeat: int = 0) -> str:
        """Name the work by all that goes into it; a repeat is a run of its own."""
        return document_digest({"work": work, "machine": self._processor_facts(), "repeat": repeat})

    @property
    def processor(self) -> str:
        """Name this machine's processor and what it can do."""
        return document_digest(self._processor_facts())

    def _processor_facts(self) -> dict[str, str]:
        return {"model": self._machine.cpu_model, "flags": self._machine.cpu_flags_digest}

    def find(self, project: str, key: str, until: Horizon | None = None) -> Result | None:
        """Give what a variant came out as, if it has been run; its beginning will do for a horizon."""
        runs = self._hub.list_runs(project=project, filter=f"tags.`{TAG}` = '{key}'", limit=5)
        done = next((run for run in runs if _counts(run)), None)
        if done is None and until is not None:
            asked = f"tags.`{BEGINNING_TAG}` = '{beginning_key(key, until.step)}'"
            begun = self._hub.list_runs(project=project, filter=asked, limit=5)
            done = next((run for run in begun if run.trajectory), None)
        return None if done is None else msgspec.structs.replace(self.result(done.id), reused=True)

    def result(self, run_id: str) -> Result:
        """Read what a run came out as."""
        return read_result(self._hub, self._hub.get_run(run_id))

    def stop(self) -> None:
        """End what runs, and start nothing more; may be called by a signal's handler."""
        self.is_stopped = True
        for lease in tuple(self._leases):
            lease.lose(Over.CANCELLED)

    def run(
        self, work: StageWork, key: str, *, name: str, replay_of: str = "", until: Horizon | None = None
    ) -> Result:
        """Run a variant and keep it on the hub.

        Args:
            work: What to run.
            key: Of the work.
            name: For people.
            replay_of: The run that it repeats, if it changes nothing.
            until: Where to end it; None to let it run to its own end.

        Raises:
            HubUnreachable, HubRefused: The hub went away, or did not take the record.
        """
        if self.is_stopped:
            return Result(run_id="", failure="stopped", is_cancelled=True)
        kind, command = RunKind.REPLAY, "\n".join(work.commands)
        created = self._hub.create_run(
            CreateRun(
                project=work.project,
                name=name,
                kind=kind,
                command=command,
                replay_of=replay_of,
                heartbeats=True,
            )
        )
        self._hub.set_tags(created.run_id, {TAG: key})
        work = msgspec.structs.replace(work, run_id=created.run_id, command_token=created.token)
        beginning = beginning_key(key, until.step) if until else ""
        self.execute(work, self._hub, until.watch() if until else None, beginning)
        return self.result(created.run_id)

    def execute(self, work: StageWork, writer: HubClient, watch: Watch | None, beginning: str) -> None:
        """Run a variant whose run was made.

        Args:
            work: What to run, with its run.
            writer: With a token that may write the run.
            watch: Ends it behind its first steps; None to let it run to its own end.
            beginning: What it is found again by if it was ended there.
        """
        reports = writer.run(work.run_id)
        lease = Lease(reports)
        with self._lock:
            self._leases.add(lease)
            if self.is_stopped:
                lease.lose(Over.CANCELLED)
        scratch = Scratch.make("relive-why-")
        folder = scratch.path
        try:
            blobs = BlobClient(self._hub.transport.with_retries(_PATIENCE_S))
            desk = Desk.open(reports, blobs, lease, folder, [work.command_token])
            lease.start()
            if watch is not None:
                watch.start(desk.spool, lease)
            report = run_stage(work, desk, self._hub.transport.base_url)
            is_ended = report.status is RunStatus.KILLED
            if is_ended and watch is not None and watch.seen.stop is Stop.ALL_SEEN:
                # Before its end is told: whoever waits for that reads at once what it is. One that came to
                # its own end before the watch could end it is a whole run.
                writer.set_tags(work.run_id, {BEGINNING_TAG: beginning})
            deliver(_with_opened(report, work.run_id, desk), reports, lease)
        finally:
            if watch is not None:
                watch.end()
            lease.end()
            with self._lock:
                self._leases.discard(lease)
            scratch.remove()

    def trajectory(self, run_id: str) -> Trajectory:
        """Read the steps of a run; none if it recorded none."""
        return _trajectory(self._hub, self._hub.get_run(run_id).run)


def read_result(hub: HubClient, detail: RunDetail) -> Result:
    """Read what a run came out as, from what it left on the hub."""
    run = detail.run
    trajectory = _trajectory(hub, run)
    beginning, processor = beginning_of(trajectory), detail.tags.get(PROCESSOR_TAG, "")
    if BEGINNING_TAG in detail.tags and run.trajectory and not _counts(run):
        return Result(run_id=run.id, beginning=beginning, is_beginning=True, processor=processor)
    if run.status is not RunStatus.FINISHED:
        is_cancelled = run.failure is FailureReason.CANCELLED or run.status is RunStatus.KILLED
        failure = run.reason or run.status.value
        return Result(run_id=run.id, failure=failure, is_cancelled=is_cancelled)
    return Result(
        run_id=run.id,
        metrics={metric.key: metric.last for metric in detail.metrics},
        states=final_states(trajectory),
        outs={it.path: it.manifest for it in detail.artifacts if it.kind == "out"},
        opened=_opened(hub, detail.artifacts),
        fed=fed_of(trajectory),
        beginning=beginning,
        processor=processor,
    )


def _trajectory(hub: HubClient, run: Run) -> Trajectory:
    return decode_trajectory(hub.blobs.get_bytes(run.trajectory)) if run.trajectory else Trajectory()


def beginning_key(key: str, until: int) -> str:
    """Name what a run is found again by that was ended behind a step."""
    return f"{key} {until}"


def final_states(trajectory: Trajectory) -> dict[str, str]:
    """Give what training ended with: what each fit learned, and the last state of each other stream.

    What went into a fit is left out, and its settings: they may differ and change nothing.
    """
    found: dict[str, str] = {}
    for step in trajectory.steps:
        is_learned = step.stream.rpartition("/")[2].startswith("fit:") and step.step == 1
        if is_learned or step.stream.endswith(FINAL):
            found |= {f"{step.stream} {name}": digest for name, digest in step.digests.items()}
        if is_learned:
            found |= {f"{step.stream} {name}": value for name, value in step.values.items()}
    return found


def fed_of(trajectory: Trajectory) -> dict[str, str]:
    """Give the digests of what fits and training steps were fed with."""
    found: dict[str, str] = {}
    for step in trajectory.steps:
        name = step.stream.rpartition("/")[2]
        if name == "batch" or (step.step == 0 and name.startswith(("fit:", "round:"))):
            found |= {f"{step.stream} {step.step} {key}": digest for key, digest in step.digests.items()}
    return found


def passes(run: Run) -> bool:
    """Tell whether a run ended for a reason that says nothing about its inputs: the next may well go on."""
    return run.status in (RunStatus.LOST, RunStatus.KILLED) or run.failure in _PASSING


def _counts(run: Run) -> bool:
    """Tell whether a run settles what its inputs come out as."""
    return run.status is RunStatus.FINISHED or (
        run.status is RunStatus.FAILED and run.failure not in _PASSING and bool(run.recipe or run.log)
    )


def _with_opened(report: StageReport, run_id: str, desk: Desk) -> StageReport:
    """Keep with the run which files of its tree it read; nothing if not all of them are known."""
    file = record_file(desk.folder)
    opened = read_opened(file) if file else Opened()
    if report.status is not RunStatus.FINISHED or not opened.is_whole or opened.folders:
        return report
    root = str((desk.folder / "tree").resolve()) + "/"
    data = msgspec.json.encode(sorted(path[len(root) :] for path in opened.reads if path.startswith(root)))
    entry = ManifestEntry(path=OPENED, digest=desk.store(data), size_bytes=len(data))
    artifact = Artifact(
        run_id=run_id,
        path=OPENED,
        manifest=desk.store(Manifest.of([entry]).to_bytes()),
        size_bytes=len(data),
        files=1,
        kind="report",
    )
    return msgspec.structs.replace(report, artifacts=(*report.artifacts, artifact))


def _opened(hub: HubClient, artifacts: tuple[Artifact, ...]) -> frozenset[str] | None:
    kept = next((it for it in artifacts if it.path == OPENED and it.kind == "report"), None)
    if kept is None:
        return None
    try:
        entry = hub.blobs.fetch_manifest(kept.manifest).find(OPENED)
        return (
            frozenset(msgspec.json.decode(hub.blobs.get_bytes(entry.digest), type=list[str]))
            if entry
            else None
        )
    except (BlobNotFound, msgspec.MsgspecError):
        return None
