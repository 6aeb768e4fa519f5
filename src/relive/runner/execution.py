"""One execution: run the commands, send what they do while they do it, and report all of it at the end.

The same for a stage that a job runs and for a run by hand; what differs is how the world around the commands
was made, and that is told by an `Execution`.
"""

import logging
import math
import posixpath
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import msgspec

from relive import settings
from relive.capture.observed import Outside, observe
from relive.capture.recorder.borders import Borders
from relive.capture.recorder.reads import file_time_ns
from relive.client.blobs import BlobClient
from relive.client.calls.reports import ReportClient
from relive.core.digest import Digest, canonical_json
from relive.core.paths import ROOT
from relive.core.pipeline import Hermetic
from relive.core.recipe import Declared, Recipe, Uncommitted, UndeclaredRead, WrittenFile
from relive.core.run import Artifact, FailureReason, RunStatus
from relive.core.timestamps import without_times
from relive.errors import HubRefused, HubUnreachable, StoreFull
from relive.formats.hashing import document_digest
from relive.formats.manifest_io import Snapshot
from relive.formats.spool import SpoolContents, read_spool
from relive.formats.trajectory import encode_trajectory
from relive.runner.commands import CommandPlan, Outcome, run_commands
from relive.runner.hermetic import Walls, confine, network_wall_of, unplug, walls_of
from relive.runner.lease import Lease, Over
from relive.runner.left import look_at_left, undeclared, with_metrics_left
from relive.runner.masking import Mask
from relive.runner.opened import demand, environment_of, in_short, look_at_opened, told
from relive.runner.output import OutputLog, Sink
from relive.runner.outs import Found, keep
from relive.runner.results import Expected, Results, gather
from relive.runner.states import keep_states
from relive.runner.stream import Streamer
from relive.wire.jobs import StageReport

_log = logging.getLogger(__name__)

T = TypeVar("T")

_ROOM_LOOK_S: Final = 5.0


@dataclass(frozen=True)
class Execution:
    """Commands and all that is known of them before they start.

    Attributes:
        tree: The root of the code; outs and inputs are relative to it.
        inputs: Declared inputs as they are now.
        prefix: The Python environment; None for the one that the first process turns out to have.
        code_files: Paths of the code that was recorded, relative to the tree.
        named: Inputs that are declared, relative to the tree; "." for all of the code.
        held: What becomes of reads that are not.
        network: Whether a hermetic run may reach more than the hub.
        offline: Whether it may reach no network but the hub, whatever `held` and `network` say.
        by_hand: Whether a person started it, who declares by options and not by a file.
        unpushed: Whether no remote is known to have the commit.
        uncommitted: What of its code is in no commit.
    """

    run_id: str
    tree: Path
    plan: CommandPlan
    expected: Expected
    inputs: Snapshot
    declared: Declared
    prefix: Path | None = None
    code_files: frozenset[str] = frozenset()
    named: tuple[str, ...] = (ROOT,)
    held: Hermetic = Hermetic.WARN
    network: bool = False
    offline: bool = False
    by_hand: bool = False
    unpushed: bool = False
    uncommitted: Uncommitted = field(default_factory=Uncommitted)


@dataclass(frozen=True)
class Desk:
    """What an execution reports with, and the folder in which it keeps what it has not sent yet."""

    reports: ReportClient
    blobs: BlobClient
    lease: Lease
    sink: Sink
    folder: Path

    @classmethod
    def open(
        cls,
        reports: ReportClient,
        blobs: BlobClient,
        lease: Lease,
        folder: Path,
        secrets: Iterable[str] = (),
        echo: Callable[[bytes], None] | None = None,
    ) -> Self:
        """Make the desk of one execution, with its log and its spool.

        Args:
            reports: Speaks for it; without patience, for it must not hold up the command.
            blobs: Takes its documents; with as much patience as a result is worth.
            lease: Its claim.
            folder: For this execution alone.
            secrets: Values that must not show in the log.
            echo: Called with what the commands print.
        """
        sink = Sink(OutputLog(folder / "log"), Mask(secrets), echo)
        desk = cls(reports, blobs, lease, sink, folder)
        desk.spool.mkdir(parents=True, exist_ok=True)
        return desk

    @property
    def spool(self) -> Path:
        """Folder to which the command's processes write their records."""
        return self.folder / "spool"

    def say(self, phase: str, message: str = "", **facts: Any) -> None:
        """Tell that a phase began; a hub that is away misses it, and the work goes on.

        Raises:
            Superseded: Another claim took over.
        """
        try:
            self.reports.progress(phase, message, **facts)
        except (HubUnreachable, HubRefused, StoreFull) as error:
            _log.warning("phase %s could not be told: %s", phase, error.what())
        self.lease.check()

    def store(self, data: bytes) -> Digest:
        """Store a document; a hub without room is waited for, because the run is lost without it."""
        return self.wait_for_room(lambda: self.blobs.put_bytes(data), patience_s=math.inf)

    def store_file(self, path: Path) -> Digest:
        """Store a file as `store` does."""
        return self.wait_for_room(lambda: self.blobs.put_file(path), patience_s=math.inf)

    def wait_for_room(self, put: Callable[[], T], *, patience_s: float) -> T:
        """Store something, trying again while the hub has no room for it; people are told why it waits.

        Raises:
            StoreFull: There was none for so long, or nobody wants it any more.
        """
        give_up_at = time.monotonic() + patience_s
        while True:
            try:
                return put()
            except StoreFull as error:
                is_unwanted = self.lease.over is Over.CANCELLED and patience_s < math.inf
                if is_unwanted or time.monotonic() > give_up_at:
                    raise
                self.say("upload", f"waits for room: {error.what()}")
            self.lease.pause(_ROOM_LOOK_S)


def execute(execution: Execution, desk: Desk) -> StageReport:
    """Run the commands and report how it went and all that was recorded.

    Raises:
        Superseded: Another claim took over; the commands were ended.
        HubUnreachable: The hub was away for longer than the transport's patience.
    """
    streamer = Streamer(desk.reports, desk.lease, desk.sink.log, desk.spool)
    streamer.start()
    desk.say("command", execution.declared.command[:500])
    outcome, outside, unseen = _run(execution, desk)
    refused = streamer.drain()
    execution = _with_metrics(execution, outside.written)
    outside = replace(outside, written=undeclared(outside.written, execution.expected))
    desk.say("upload", "storing its outs")
    spool = read_spool(desk.spool)
    went_well = outcome.failure is None

    def store(found: list[Found]) -> tuple[Artifact, ...]:
        put = partial(keep, found, execution.run_id, desk.blobs)
        return desk.wait_for_room(put, patience_s=room_patience_s())

    results = gather(execution.tree, execution.expected, spool, store, went_well=went_well)
    if went_well:
        states, lost = keep_states(desk.spool, execution.plan.environment, execution.run_id, desk.blobs)
        results.artifacts += states
        results.notes += lost
    observed = observe(spool, execution.plan.environment, prefix=execution.prefix, outside=outside)
    notes = (*observed.notes, *unseen, *results.notes, *refused)
    recipe = Recipe(declared=execution.declared, observed=msgspec.structs.replace(observed, notes=notes))
    is_cancelled = desk.lease.over is Over.CANCELLED
    report = _report(desk, _judged(outcome, results, is_cancelled=is_cancelled), results, recipe, spool)
    is_wanted = execution.held is Hermetic.WARN
    return msgspec.structs.replace(report, undeclared=in_short(observed.reads) if is_wanted else "")


def _run(execution: Execution, desk: Desk) -> tuple[Outcome, Outside, tuple[str, ...]]:
    """Run the commands, within walls if the run is hermetic; say how it went, what was seen, and what not."""
    began_at_ns = file_time_ns(desk.folder)
    plan = _walled(execution, desk, began_at_ns)
    outcome = run_commands(plan, desk.sink, desk.lease)
    changed = execution.inputs.changed()
    said = read_spool(desk.spool, with_metrics=False)
    borders = _borders(execution, desk, began_at_ns, said)
    watched = look_at_opened(plan.opened, borders, said.lines)
    is_unplugged = execution.offline and execution.held is not Hermetic.ON
    walls = network_wall_of(watched.opened) if is_unplugged else walls_of(plan, watched.opened)
    desk.sink.take(desk.sink.mask.feed((told(watched.reads) + walls.told).encode()))
    desk.sink.log.close()
    outside = Outside(
        changed=changed,
        opened=watched.opened,
        reads=watched.reads,
        written=look_at_left(borders, watched.opened, execution.expected),
        isolation=walls.names,
        hermetic=walls.hold,
        network=walls.hold and execution.network and not execution.offline,
        tree=execution.tree,
        unpushed=execution.unpushed,
        uncommitted=execution.uncommitted,
    )
    if is_unplugged:
        outcome = _unplugged(outcome, walls)
    return _held(execution, outcome, watched.reads), outside, (*watched.notes, *walls.notes)


def _with_metrics(execution: Execution, written: tuple[WrittenFile, ...]) -> Execution:
    """Have the metrics file that it left read, as if it had been named: so does who makes it again.

    One in a folder named by the time is not written down for that: who makes it again finds its own.
    """
    expected = with_metrics_left(execution.expected, execution.tree, written)
    if all(without_times(path) == path for path in expected.metrics_files):
        declared = msgspec.structs.replace(execution.declared, metrics_files=expected.metrics_files)
        execution = replace(execution, declared=declared)
    return replace(execution, expected=expected)


def _walled(execution: Execution, desk: Desk, began_at_ns: int) -> CommandPlan:
    """Give the plan with its walls: those of a hermetic run, or around the network alone."""
    plan, is_held = execution.plan, execution.held is Hermetic.ON
    if not is_held and not execution.offline:
        return plan
    before = _borders(execution, desk, began_at_ns, SpoolContents())
    if not is_held:
        return unplug(plan, before, desk.folder)
    return confine(plan, before, desk.folder, network=execution.network and not execution.offline)


def _unplugged(outcome: Outcome, walls: Walls) -> Outcome:
    """Say with a failure what was refused, as that may be its cause; that is for the reader to tell."""
    if outcome.failure is not FailureReason.FAILURE or not walls.notes:
        return outcome
    return replace(outcome, reason=f"{outcome.reason} ({' '.join(walls.notes)})")


def _held(execution: Execution, outcome: Outcome, reads: tuple[UndeclaredRead, ...]) -> Outcome:
    """Take an undeclared read of a hermetic run for why it failed: what else went wrong, comes of it."""
    is_its_own = outcome.failure in (None, FailureReason.FAILURE)
    if execution.held is not Hermetic.ON or not reads or not is_its_own:
        return outcome
    reason = demand(reads, option=execution.by_hand)
    return replace(outcome, status=RunStatus.FAILED, failure=FailureReason.UNDECLARED_READ, reason=reason)


def _borders(execution: Execution, desk: Desk, began_at_ns: int, said: SpoolContents) -> Borders:
    prefixes = [Path(sys.base_prefix)] if execution.prefix is None else [execution.prefix]
    started = [process.start for process in said.processes if process.start is not None]
    prefixes += [Path(start.prefix) for start in started if start.prefix]
    ours = [entry for entry in desk.folder.iterdir() if entry != execution.tree]
    return Borders(
        tree=execution.tree,
        commit=execution.code_files,
        declared=tuple(posixpath.normpath(path) for path in execution.named),
        environment=environment_of(prefixes, *ours),
        began_at_ns=began_at_ns,
    )


def failed_report(desk: Desk, failure: FailureReason, reason: str) -> StageReport:
    """Report a run that failed before its commands could start; what was said so far is its log."""
    desk.sink.take(f"{reason}\n".encode())
    return StageReport(
        fence=desk.reports.fence,
        status=RunStatus.KILLED if failure is FailureReason.CANCELLED else RunStatus.FAILED,
        failure=failure,
        reason=reason,
        log=desk.store_file(desk.sink.log.close()),
        log_bytes=desk.sink.log.total_bytes,
    )


def _judged(outcome: Outcome, results: Results, *, is_cancelled: bool) -> Outcome:
    """Take the command's word, unless it went well and its results did not."""
    if outcome.failure is not None or results.failure is None:
        return outcome
    if is_cancelled:
        code, reason = outcome.exit_code, f"cancelled: {results.reason}"
        return Outcome(RunStatus.KILLED, code, outcome.use, FailureReason.CANCELLED, reason)
    return Outcome(RunStatus.FAILED, outcome.exit_code, outcome.use, results.failure, results.reason)


def _report(
    desk: Desk, outcome: Outcome, results: Results, recipe: Recipe, spool: SpoolContents
) -> StageReport:
    trajectory = spool.trajectory()
    changed = recipe.observed.changed if recipe.observed else ()
    tainted = f"declared inputs changed while it ran: {', '.join(changed[:5])}" if changed else ""
    return StageReport(
        fence=desk.reports.fence,
        status=outcome.status,
        exit_code=outcome.exit_code,
        failure=outcome.failure,
        reason=outcome.reason or tainted,
        recipe=desk.store(canonical_json(recipe)),
        recipe_digest=document_digest(recipe.declared),
        trajectory=desk.store(encode_trajectory(trajectory)) if trajectory.steps else "",
        log=desk.store_file(desk.sink.log.path),
        log_bytes=desk.sink.log.total_bytes,
        tainted=bool(changed),
        usage=outcome.use,
        artifacts=results.artifacts,
        metrics=results.metrics,
        params=recipe.declared.params,
        parsed={it.name: it.value for it in recipe.observed.parsed} if recipe.observed else {},
        tests=results.tests,
    )


def room_patience_s() -> float:
    """Give how many seconds outs and wheels wait for room on the hub; what is simply too large then fails."""
    return float(settings.get_int("RELIVE_ROOM_S"))
