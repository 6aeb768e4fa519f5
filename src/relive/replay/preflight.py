"""Run the first steps of a training several times, and name what makes them differ before hours are spent.

The runs are as a plain start would be, but for the order in which folders are listed: every second has it
turned round. Where the steps differ, everything that lets chance in is taken away at once; if that makes
them equal, each is let in again alone, and what cannot be is a cause.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from relive import settings
from relive.capture.agent import agent_environment, install_agent
from relive.core.compare import Follower, compare
from relive.core.trajectory import FirstDivergence, StepPlace, Trajectory
from relive.errors import CommandFailed
from relive.formats.spool import SpoolReader, read_spool
from relive.formats.spool_records import SpooledStep
from relive.formats.trajectory import write_digest_steps
from relive.replay import probe
from relive.replay.chances import CHANCES, Cause, Chance, Notes, cause_of, may_be, suspects, unexamined
from relive.runner.masking import Mask
from relive.runner.output import OutputLog, Sink
from relive.runner.process import Ended, Process
from relive.runner.scratch import Scratch

_POLL_S: Final = 0.1
_NOISE_BYTES: Final = 1 << 20
_TAIL_BYTES: Final = 4096


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What a preflight showed.

    Attributes:
        steps: Steps that were compared: all runs of them recorded each.
        first: Where they part; None if they do not.
        last_equal: The last step before that.
        line: The first line of output that differs, where no step was recorded.
        causes: All of them have to go for two runs to be equal; empty if what it is was not found.
        suspects: If no cause was found: what was seen and could not be taken away.
        unexamined: What was not looked at.
        runs: How often the command was started.
    """

    steps: int = 0
    first: FirstDivergence | None = None
    last_equal: StepPlace | None = None
    line: str = ""
    causes: tuple[Cause, ...] = ()
    suspects: tuple[Cause, ...] = ()
    unexamined: tuple[str, ...] = ()
    runs: int = 2

    @property
    def is_equal(self) -> bool:
        """Whether all runs were the same as far as they were compared."""
        return self.first is None and not self.line


class _Ran(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the first steps."""

    trajectory: Trajectory
    output: bytes
    is_cut: bool


class Preflight:
    """Runs a command's first steps as often as it takes.

    Args:
        command: With its arguments.
        folder: Where it runs; what it writes there it writes.
        steps: A run is ended once a stream has come so far.
        timeout_s: After so long as well.
        times: How often a state is run before it is said to be equal: one of two outcomes comes up N times
            in a row once in 2^(N - 1). The first run that differs ends it.
        told: Called with a sentence before each run.
    """

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        *,
        steps: int = 20,
        timeout_s: float = 300.0,
        times: int = 3,
        told: Callable[[str], None] = lambda said: None,
    ) -> None:
        self._command, self._folder = tuple(command), folder
        self._steps, self._timeout_s, self._told = steps, timeout_s, told
        self._times = times
        self._runs = 0
        self._notes: set[tuple[str, str]] = set()
        self._plan: Trajectory | None = None

    def find(self) -> Finding:
        """Run it some times, and as often more as it takes to name why it differs.

        Raises:
            CommandFailed: It failed by itself.
        """
        found, is_cut = self._repeated((), "as it is")
        notes = frozenset(self._notes)
        not_seen = unexamined(notes, times=self._times, steps=self._steps, is_cut=is_cut)
        causes = [] if found.is_equal else self._causes([it for it in CHANCES if may_be(it, notes)])
        return msgspec.structs.replace(
            found,
            runs=self._runs,
            causes=tuple(cause_of(it, notes, self._command, self._folder) for it in causes),
            suspects=() if causes or found.is_equal else suspects(notes),
            unexamined=not_seen,
        )

    def _causes(self, candidates: list[Chance]) -> list[Chance]:
        """Give the fewest that have to go for two runs to be equal; none if even all of them do not do it."""
        if not candidates or not self._is_equal(candidates, "without any chance that is known"):
            return []
        needed = list(candidates)
        for chance in candidates:
            without = [it for it in needed if it is not chance]
            if self._is_equal(without, f"with {chance.what}"):
                needed = without
        return needed

    def _is_equal(self, fixed: Sequence[Chance], said: str) -> bool:
        return self._repeated(fixed, said)[0].is_equal

    def _repeated(self, fixed: Sequence[Chance], said: str) -> tuple[Finding, bool]:
        """Run one state until a run differs from the first; tell also whether one was cut off."""
        self._told(f"run 1 {said}")
        one = self._run(fixed, turned=False)
        self._plan = self._plan or one.trajectory
        is_cut, least = one.is_cut, None
        for number in range(1, self._times):
            self._told(f"run {number + 1} {said}")
            other = self._run(fixed, turned=number % 2 == 1)
            is_cut = is_cut or other.is_cut
            found = self._compared(one, other)
            if not found.is_equal:
                return found, is_cut
            least = found if least is None or found.steps < least.steps else least
        return least or Finding(), is_cut

    def _compared(self, one: _Ran, other: _Ran) -> Finding:
        """Compare what both did: a run that was cut off is no shorter for it."""
        if not one.trajectory.steps and not other.trajectory.steps:
            return Finding(line=_first_line(one, other))
        if not one.is_cut and not other.is_cut:
            whole = compare(one.trajectory, other.trajectory)
            return Finding(
                steps=whole.steps_compared, first=whole.first_divergence, last_equal=whole.last_equal
            )
        mine = {(it.stream, it.step) for it in one.trajectory.steps}
        theirs = {(it.stream, it.step) for it in other.trajectory.steps}
        both = Trajectory(steps=tuple(it for it in one.trajectory.steps if (it.stream, it.step) in theirs))
        follower = Follower(both)
        for step in other.trajectory.steps:
            # How far a run comes until it is cut off is chance, and not the training's.
            is_known = not one.is_cut or (step.stream, step.step) in mine
            if is_known and step.step < self._steps:
                follower.take(step)
        return Finding(
            steps=follower.compared,
            first=follower.first,
            last_equal=follower.last_equal if follower.first else None,
        )

    def _run(self, fixed: Sequence[Chance], *, turned: bool) -> _Ran:
        self._runs += 1
        scratch = Scratch.make("relive-preflight-")
        try:
            return self._run_in(scratch.path, fixed, turned=turned)
        finally:
            scratch.remove()

    def _run_in(self, place: Path, fixed: Sequence[Chance], *, turned: bool) -> _Ran:
        spool, notes = place / "spool", place / "notes"
        spool.mkdir()
        (place / "probe").mkdir()
        (place / "noise").write_bytes(hashlib.shake_128(b"relive preflight").digest(_NOISE_BYTES))
        shutil.copyfile(str(probe.__file__), place / "probe/sitecustomize.py")
        sink = Sink(OutputLog(place / "log"), Mask(()))
        try:
            process = Process(self._command, self._folder, self._environment(place, fixed, turned), sink)
            ended = self._wait(process, SpoolReader(spool))
        finally:
            sink.log.close()
        output = sink.log.path.read_bytes()
        if ended is not None and not ended.is_good:
            reason = f"it failed by itself: {_last_line(output)}"
            raise CommandFailed(command=" ".join(self._command), exit_code=1, reason=reason)
        trajectory = read_spool(spool, with_metrics=False).trajectory()
        seen = _read_notes(notes)
        if not fixed:
            self._notes |= seen
        return _Ran(trajectory=trajectory, output=output, is_cut=ended is None)

    def _wait(self, process: Process, reader: SpoolReader) -> Ended | None:
        """Wait for the first steps, and end it then; gives how it ended if it did by itself."""
        deadline = time.monotonic() + self._timeout_s
        while (ended := process.wait(_POLL_S)) is None:
            if _has_come(reader, self._steps) or time.monotonic() > deadline:
                process.stop(grace_s=0.0)
                process.wait()
                return None
        return ended

    def _environment(self, place: Path, fixed: Sequence[Chance], turned: bool) -> Mapping[str, str]:
        variables = {name: value for it in fixed for name, value in it.variables.items()}
        hidden = os.environ.get("PYTHONPATH")
        told = {
            **os.environ,
            **variables,
            "PYTHONPATH": os.pathsep.join([str(place / "probe"), *([hidden] if hidden else [])]),
            "RELIVE_PROBE_FILE": str(place / "notes"),
            "RELIVE_PROBE_FIXES": ",".join(it.key for it in fixed),
            "RELIVE_PROBE_REVERSE": "1" if turned else "",
            "RELIVE_PROBE_NOISE": str(place / "noise"),
        }
        plan = None
        if self._plan is not None and self._plan.steps:
            plan = place / "digest-steps.json"
            write_digest_steps(self._plan, plan)
        agent = install_agent(Path(settings.cache()) / "agent")
        return agent_environment(agent, place / "spool", told, digest_steps=plan)


def _has_come(reader: SpoolReader, steps: int) -> bool:
    return any(
        isinstance(record, SpooledStep) and record.s >= steps - 1
        for batch in reader.read(segments=False)
        for record in batch.records
    )


def _read_notes(file: Path) -> Notes:
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return frozenset()
    found = set()
    for line in lines:
        try:
            kind, where = json.loads(line)
        except ValueError:
            continue  # it was ended while it wrote
        found.add((str(kind), str(where)))
    return frozenset(found)


def _first_line(one: _Ran, other: _Ran) -> str:
    """Give the first line in which two outputs differ, as far as both came; empty for none."""
    before, after = one.output.splitlines(), other.output.splitlines()
    length = max(len(before), len(after))
    if one.is_cut or other.is_cut:
        length = min(len(before), len(after)) - 1  # the last line may be written by half
    for number in range(length):
        mine, theirs = before[number : number + 1], after[number : number + 1]
        if mine != theirs:
            return f"{number + 1}: {(mine or theirs)[0].decode(errors='replace')[:200]}"
    return ""


def _last_line(output: bytes) -> str:
    lines = output[-_TAIL_BYTES:].decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it printed nothing"
