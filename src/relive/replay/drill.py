"""Look into one step: run both sides up to it, and name the first operation in which they differ.

A side is a run made again from its recipe. Both write down every operation around the step, and are ended
behind it; nothing is judged, and no verdict is kept.
"""

import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from relive.capture.hooks.drill import DRILL
from relive.client.hub import HubClient
from relive.core.compare import Follower, within
from relive.core.run import RunStatus
from relive.core.trajectory import FINAL, FirstDivergence, StepWindow, Trajectory
from relive.errors import InvalidInput
from relive.formats.spool import read_spool
from relive.replay.execute import execute
from relive.replay.operations import FirstOperation, Process, first_difference, is_over, read_operations
from relive.replay.plan import ReplayPlan
from relive.replay.watch import Seen
from relive.runner.lease import Lease, Over

_EVERY_S: Final = 0.2
_OF_PROCESS: Final = re.compile(r"^(p\d+|rank\d+)/")
# What tells best how far a training is; loaders of evaluations count their batches in the same stream.
_CLOCKS: Final = ("weights:", "loss", "batch", "")


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    """The step to look into, of the stream that tells when it has come.

    Attributes:
        until: The step of the stream that ends it.
    """

    stream: str
    step: int
    until: int


class SideDrilled(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two.

    Attributes:
        what: Which it is, for people.
        operations: How many were written down.
        is_whole: Whether the end of the step was seen; without it, it ended before or wrote too much.
        parts: Where its steps part from the record, up to this step; None if they do not.
        failure: Why it did not come so far; empty if it did.
    """

    what: str
    run_id: str
    operations: int = 0
    is_whole: bool = False
    parts: FirstDivergence | None = None
    failure: str = ""


class Drilled(msgspec.Struct, frozen=True, kw_only=True):
    """What a drill showed.

    Attributes:
        first: The first operation that differs; None if all agree, or a side failed.
        earlier: Where the sides part before the step is looked into; None if they do not.
    """

    clock: Clock
    sides: tuple[SideDrilled, ...]
    first: FirstOperation | None = None
    earlier: FirstDivergence | None = None

    @property
    def failure(self) -> str:
        """Say why nothing can be said; empty if there is something."""
        return next((f"{it.what}: {it.failure}" for it in self.sides if it.failure), "")


def clock_of(trajectory: Trajectory | None, asked: str) -> Clock:
    """Find the stream that tells when a step has come.

    Args:
        trajectory: Of the record.
        asked: STEP, or STREAM@STEP.

    Raises:
        InvalidInput: It names no step of the record.
    """
    stream, _, number = asked.rpartition("@")
    lasts: dict[str, int] = {}
    for it in trajectory.steps if trajectory is not None else ():
        name = it.stream.removesuffix(FINAL)
        lasts[name] = max(it.step, lasts.get(name, 0))
    if re.fullmatch("[0-9]{1,15}", number):
        step = int(number)
        having = [it for it in lasts if lasts[it] >= step and stream in ("", it)]
        for kind in _CLOCKS:
            for name in having:
                plain = _OF_PROCESS.sub("", name)
                if plain.startswith(kind):
                    return Clock(stream=plain, step=step, until=min(step + 1, lasts[name]))
    known = ", ".join(f"{name} 0..{last}" for name, last in lasts.items()) or "it recorded none"
    raise InvalidInput(field="--drill", value=asked, wanted=f"STEP or STREAM@STEP of the record: {known}")


def drill(
    hub: HubClient,
    sides: Mapping[str, ReplayPlan],
    clock: Clock,
    *,
    echo: Callable[[bytes], None] | None = None,
    told: Callable[[str], None] = lambda what: None,
) -> Drilled:
    """Run two sides up to a step and compare their operations.

    Args:
        sides: What each is called, and what it makes again.
        echo: Called with what the commands print.
        told: Called with the name of a side before it starts.

    Raises:
        HubUnreachable, HubRefused: The hub went away, or did not take the record.
    """
    watches: list[DrillWatch] = []
    found: list[SideDrilled] = []
    for what, plan in sides.items():
        told(what)
        watch = DrillWatch(clock)
        repeated = execute(plan, hub, echo=echo, watch=watch)
        watches.append(watch)
        report = repeated.report
        is_good = watch.has_ended_it or report.status is RunStatus.FINISHED
        found.append(_side(what, repeated.run_id, plan, watch, "" if is_good else report.reason))
        if found[-1].failure:
            return Drilled(clock=clock, sides=tuple(found))
    one, other = watches
    earlier = _parts(one.trajectory, other.trajectory, clock.step - 2)
    first = first_difference(one.processes, other.processes)
    return Drilled(clock=clock, sides=tuple(found), first=first, earlier=earlier)


def _side(what: str, run_id: str, plan: ReplayPlan, watch: "DrillWatch", failure: str) -> SideDrilled:
    operations = sum(len(it.operations) for it in watch.processes)
    if not failure and not operations:
        failure = f"it ended before {watch.clock.stream} came to step {watch.clock.step}"
    return SideDrilled(
        what=what,
        run_id=run_id,
        operations=operations,
        is_whole=any(it.end == "step" for it in watch.processes),
        parts=_parts(plan.trajectory or Trajectory(), watch.trajectory, watch.clock.step),
        failure=failure,
    )


def _parts(one: Trajectory, other: Trajectory, last: int) -> FirstDivergence | None:
    """Find where two trainings part, up to a step; that one of them was ended is no difference."""
    if last < 0:
        return None
    window = StepWindow(first=0, last=last)
    follower = Follower(within(one, window))
    for step in within(other, window).steps:
        follower.take(step)
    return follower.first


class DrillWatch:
    """Has one run write the operations around a step, and ends it behind them."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.seen = Seen()
        self.purpose = "drill"
        self.variables: Mapping[str, str] = {DRILL: msgspec.json.encode(clock).decode()}
        self.processes: tuple[Process, ...] = ()
        self.trajectory = Trajectory()
        self.has_ended_it = False
        self._spool: Path | None = None
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, spool: Path, lease: Lease) -> None:
        """Begin to look whether the step is over; `lease` is how the command is ended."""
        self._spool = spool
        self._thread = threading.Thread(target=self._run, args=(spool, lease), name="drill", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop looking, and read what was written."""
        self._ending.set()
        if self._thread is None or self._spool is None:
            return
        self._thread.join()
        self.processes = read_operations(self._spool)
        self.trajectory = read_spool(self._spool, with_metrics=False).trajectory()

    def _run(self, spool: Path, lease: Lease) -> None:
        while not self._ending.wait(_EVERY_S):
            if is_over(spool):
                self.has_ended_it = True
                lease.lose(Over.CANCELLED)
                return
