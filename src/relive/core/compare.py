"""Compare a replay with the run it repeats: where their steps part, and what verdict that makes.

Bits decide first. Only where they differ does tolerance count, and only for the metrics that were declared.
"""

import math
import struct
from collections.abc import Mapping
from typing import Final

import msgspec

from relive.core.durations import NOT_JUDGED, is_duration
from relive.core.left import EQUAL, SAME_BUT_TIMES, SAME_BYTES, but_for_times, level_of_files, shown
from relive.core.spots import without_states
from relive.core.tolerance import Limit, Noise, limit_for
from relive.core.trajectory import (
    FINAL,
    FirstDivergence,
    MetricDifference,
    StepPlace,
    StepRecord,
    StepWindow,
    Trajectory,
    Verdict,
    VerdictLevel,
)

# Every bit of the predictions that were kept at registration, for a file that differs in bytes.
SAME_PREDICTIONS: Final = "same predictions"
SAME_OUTS: Final = frozenset({SAME_BYTES, SAME_BUT_TIMES, SAME_PREDICTIONS})


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What comparing two trajectories found.

    Attributes:
        first_divergence: None if every compared step agrees.
        last_equal: The last step of the record that agreed before that; None without a divergence.
        steps_compared: Steps of the record that could be compared in all they recorded.
        undigested: Steps whose digests the replay did not take, so that nobody knows whether they agree.
        missing_streams: Recorded, but not there in the replay.
        extra_streams: In the replay, but not recorded.
    """

    first_divergence: FirstDivergence | None = None
    last_equal: StepPlace | None = None
    steps_compared: int = 0
    undigested: int = 0
    missing_streams: tuple[str, ...] = ()
    extra_streams: tuple[str, ...] = ()

    @property
    def same_structure(self) -> bool:
        """Whether both recorded the same streams."""
        return not self.missing_streams and not self.extra_streams


def compare(recorded: Trajectory, replayed: Trajectory) -> Comparison:
    """Say where two trajectories part, in the order of the record.

    A stream that ends earlier or goes on longer in the replay has diverged there. Digests that only the
    replay took are not compared: it may digest more than was recorded.
    """
    recorded, replayed = without_states(recorded, replayed), without_states(replayed, recorded)
    theirs = {(step.stream, step.step): step for step in replayed.steps}
    ends, their_ends = _ends(recorded), _ends(replayed)
    first: FirstDivergence | None = None
    equal: StepPlace | None = None
    compared = undigested = 0
    for step in recorded.steps:
        other = theirs.get((step.stream, step.step))
        if (other is None and _passed_by(step, their_ends)) or _is_undigested(step, other):
            undigested += 1
        else:
            compared += other is not None
        if first is None and step.stream in their_ends:
            first = _divergence(step, other, their_ends)
            if first is None and other is not None:
                equal = StepPlace(stream=step.stream, step=step.step)
    first = first or _longer(ends, replayed)
    return Comparison(
        first_divergence=first,
        last_equal=equal if first else None,
        steps_compared=compared,
        undigested=undigested,
        missing_streams=tuple(sorted(ends.keys() - their_ends.keys())),
        extra_streams=tuple(sorted(their_ends.keys() - ends.keys())),
    )


def parted(steps: Comparison) -> str:
    """Say where the recorded steps of two runs part."""
    first = steps.first_divergence
    if first is not None:
        return f"Steps part at {first.stream}, step {first.step}, in {', '.join(first.names)}."
    if not steps.same_structure:
        return f"Steps of different kinds: {', '.join((*steps.missing_streams, *steps.extra_streams))}."
    return f"All recorded steps agree: {steps.steps_compared}."


def judge(
    recorded: Mapping[str, float],
    replayed: Mapping[str, float],
    *,
    steps: Comparison | None = None,
    outs: Mapping[str, str] | None = None,
    known: Mapping[str, Limit | Noise] | None = None,
    files: Mapping[str, str] | None = None,
) -> Verdict:
    """Say how far a replay agrees with the run it repeats.

    Args:
        recorded: The run's metrics, the last value of each.
        replayed: The replay's.
        steps: What comparing the trajectories found; None if the run recorded none.
        outs: Out path to "same bytes", "same but for times", "same predictions" or "differs".
        known: The limit or the noise of metrics; the others may differ by a few points.
        files: Those that were left undeclared, to what `compare_files` says. Their bytes count only where
            there is nothing else to compare, and only if all are equal: a model may be where its file is not.

    Returns:
        The verdict; if steps differ, with the first that does, whatever the level.
    """
    metrics = tuple(
        _difference(key, recorded.get(key), replayed.get(key), known or {})
        for key in sorted({*recorded, *replayed})
    )
    outs = dict(outs or {})
    files = dict(files or {})
    level, reason = _level(metrics, steps, outs, files)
    if times := [it.key for it in metrics if it.basis == NOT_JUDGED]:
        reason += f" Not judged is how long it took: {shown(times)}."
    return Verdict(
        level=level,
        metrics=metrics,
        first_divergence=steps.first_divergence if steps else None,
        last_equal=steps.last_equal if steps else None,
        outs=outs,
        files=files,
        steps_compared=steps.steps_compared if steps else 0,
        reason=reason,
    )


def within(trajectory: Trajectory, window: StepWindow) -> Trajectory:
    """Keep the steps with numbers in a window; final states are of no step and are left out."""
    kept = (it for it in trajectory.steps if it.step in window and not it.stream.endswith(FINAL))
    return Trajectory(steps=tuple(kept))


class Follower:
    """Compares a replay with the record step by step, while both its ends are still open.

    What it finds is where the replay parts from the record; whether it agrees to the end only `compare` can
    tell, which sees all of it.

    Attributes:
        first: Where they part; None so far.
        last_equal: The last step that agreed before that.
        compared: Steps that were in both so far.
    """

    def __init__(self, recorded: Trajectory) -> None:
        self._steps = {(step.stream, step.step): step for step in recorded.steps}
        self._ends = _ends(recorded)
        self._open = dict(self._ends)
        self.first: FirstDivergence | None = None
        self.last_equal: StepPlace | None = None
        self.compared = 0

    @property
    def is_complete(self) -> bool:
        """Whether every stream of the record has come to its last recorded step."""
        return not self._open

    def take(self, step: StepRecord) -> None:
        """Compare the next step of the replay."""
        self.passed(step)
        recorded = self._steps.get((step.stream, step.step))
        if recorded is None:
            # Digests may be taken of more steps; values beyond the end are a longer training.
            is_longer = bool(step.values) and step.step > self._ends.get(step.stream, step.step)
            names: tuple[str, ...] = ("beyond the record",) if is_longer else ()
        else:
            names = _differing(recorded, step)
            self.compared += 1
        if self.first is not None:
            return
        if names:
            self.first = FirstDivergence(stream=step.stream, step=step.step, names=names)
        elif recorded is not None:
            self.last_equal = StepPlace(stream=step.stream, step=step.step)

    def passed(self, step: StepRecord) -> None:
        """Note that a stream has come to a step, without comparing it."""
        if step.step >= self._open.get(step.stream, math.inf):
            del self._open[step.stream]


def same_bits(one: float, other: float) -> bool:
    """Tell whether two numbers are the same bit by bit; every NaN is the same as every other."""
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    return struct.pack("<d", one) == struct.pack("<d", other)


def _level(
    metrics: tuple[MetricDifference, ...],
    steps: Comparison | None,
    outs: dict[str, str],
    files: dict[str, str],
) -> tuple[VerdictLevel, str]:
    if structure := _other_structure(metrics, steps):
        return VerdictLevel.NOT_COMPARABLE, structure
    metrics = tuple(it for it in metrics if it.basis != NOT_JUDGED)
    if not metrics and not outs and not (steps and steps.steps_compared):
        return level_of_files(files)
    first = steps.first_divergence if steps else None
    changed = [
        *(f"out {path}" for path, word in sorted(outs.items()) if word not in SAME_OUTS),
        *(f"metric {it.key}" for it in metrics if not _is_exact(it)),
        *([f"{first.stream} at step {first.step} ({', '.join(first.names)})"] if first else []),
    ]
    if not changed and steps and steps.undigested:
        lacking = f"{steps.undigested} recorded digests were not taken again"
        return VerdictLevel.UNRESOLVED, f"Nothing that was compared differs, but {lacking}."
    if not changed:
        level = VerdictLevel.WITHIN_TOLERANCE if SAME_BUT_TIMES in outs.values() else VerdictLevel.BIT_EXACT
        return level, _all_equal(metrics, steps, outs, files)
    if metrics and all(it.ok for it in metrics):
        return VerdictLevel.WITHIN_TOLERANCE, f"Every metric is within its limit; not equal: {changed[-1]}."
    worst = [it.key for it in metrics if not it.ok]
    what = f"outside their limit: {', '.join(worst)}" if worst else "no metric tells how much it matters"
    return VerdictLevel.DIVERGED, f"Differs first in {changed[-1]}; {what}."


def _other_structure(metrics: tuple[MetricDifference, ...], steps: Comparison | None) -> str:
    if lost := [it.key for it in metrics if it.replayed is None]:
        return f"The replay has no metric {', '.join(lost)}."
    if new := [it.key for it in metrics if it.recorded is None]:
        return f"Only the replay has the metric {', '.join(new)}."
    if steps is not None and not steps.same_structure:
        if steps.missing_streams:
            return f"The replay recorded no steps of {', '.join(steps.missing_streams)}."
        return f"Only the replay recorded steps of {', '.join(steps.extra_streams)}."
    return ""


def _all_equal(
    metrics: tuple[MetricDifference, ...],
    steps: Comparison | None,
    outs: dict[str, str],
    files: dict[str, str],
) -> str:
    other = [path for path, word in files.items() if word not in EQUAL]
    parts = [
        f"{count} {word}{'' if count == 1 else 's'}"
        for count, word in (
            (len(metrics), "metric"),
            (steps.steps_compared if steps else 0, "step"),
            (sum(word != SAME_BUT_TIMES for word in outs.values()), "out"),
            (sum(word == SAME_BYTES for word in files.values()), "file"),
        )
        if count
    ]
    reason = f"Equal: {', '.join(parts)}." if parts else ""
    if by_predictions := sorted(path for path, word in outs.items() if word == SAME_PREDICTIONS):
        reason += f" Of {', '.join(by_predictions)} the recorded example's predictions, not the bytes."
    reason += but_for_times({**outs, **files})
    if other:
        reason += f" Undeclared files with other bytes, which need not matter: {shown(other)}."
    return reason.strip()


def _difference(
    key: str, recorded: float | None, replayed: float | None, known: Mapping[str, Limit | Noise]
) -> MetricDifference:
    if recorded is None or replayed is None:
        return MetricDifference(
            key=key,
            recorded=recorded,
            replayed=replayed,
            difference=None,
            limit=None,
            relative=False,
            ok=False,
        )
    limit = limit_for(key, recorded, replayed, known)
    difference = _distance(recorded, replayed, relative=limit.relative)
    if is_duration(key) and not isinstance(known.get(key), Limit):
        return MetricDifference(
            key=key,
            recorded=recorded,
            replayed=replayed,
            difference=difference,
            limit=None,
            relative=limit.relative,
            ok=True,
            basis=NOT_JUDGED,
        )
    return MetricDifference(
        key=key,
        recorded=recorded,
        replayed=replayed,
        difference=difference,
        limit=limit.limit,
        relative=limit.relative,
        ok=same_bits(recorded, replayed) or (difference is not None and difference <= limit.limit),
        basis=limit.basis,
        noise=limit.noise,
    )


def _distance(recorded: float, replayed: float, *, relative: bool) -> float | None:
    """Give how far two numbers are apart; None where that is no finite number."""
    if not (math.isfinite(recorded) and math.isfinite(replayed)):
        return None
    distance = abs(replayed - recorded)
    if relative and recorded == 0:
        return 0.0 if replayed == 0 else None
    distance = distance / abs(recorded) if relative else distance
    return distance if math.isfinite(distance) else None


def _is_exact(metric: MetricDifference) -> bool:
    recorded, replayed = metric.recorded, metric.replayed
    return recorded is not None and replayed is not None and same_bits(recorded, replayed)


def _ends(trajectory: Trajectory) -> dict[str, int]:
    """Give the last step of each stream."""
    ends: dict[str, int] = {}
    for step in trajectory.steps:
        ends[step.stream] = max(step.step, ends.get(step.stream, step.step))
    return ends


def _passed_by(step: StepRecord, their_ends: dict[str, int]) -> bool:
    """Tell whether the replay went through this step without recording it: it was not due there."""
    only_digests = not step.values and not step.stream.endswith(FINAL)
    return only_digests and their_ends.get(step.stream, step.step) > step.step


def _is_undigested(step: StepRecord, other: StepRecord | None) -> bool:
    return other is not None and bool(step.digests) and not other.digests


def _divergence(
    step: StepRecord, other: StepRecord | None, their_ends: dict[str, int]
) -> FirstDivergence | None:
    names: tuple[str, ...] = ()
    if other is not None:
        names = _differing(step, other)
    elif not _passed_by(step, their_ends):
        names = ("missing",)
    return FirstDivergence(stream=step.stream, step=step.step, names=names) if names else None


def _longer(ends: dict[str, int], replayed: Trajectory) -> FirstDivergence | None:
    """Find where the replay first goes on beyond the end of a recorded stream."""
    for step in replayed.steps:
        # Streams of digests alone end where the last one was due, which is not the end of training.
        if step.values and step.step > ends.get(step.stream, step.step):
            return FirstDivergence(stream=step.stream, step=step.step, names=("beyond the record",))
    return None


def _differing(step: StepRecord, other: StepRecord) -> tuple[str, ...]:
    """Name the values and tensors that differ, or that only one of the two has."""
    pairs = [(step.values, other.values)]
    if step.digests and other.digests:
        pairs.append((step.digests, other.digests))
    names = {
        name for mine, theirs in pairs for name in {*mine, *theirs} if mine.get(name) != theirs.get(name)
    }
    return tuple(sorted(names))
