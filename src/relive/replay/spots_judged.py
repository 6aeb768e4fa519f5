"""Judge a spot check: its segments, each between two recorded states."""

from collections.abc import Iterator

import msgspec

from relive.core.compare import Comparison, compare
from relive.core.ids import short_id
from relive.core.run import RunStatus
from relive.core.spots import initial_weights, state_at, steps_of
from relive.core.trajectory import (
    FirstDivergence,
    Segment,
    SpotCheck,
    StepPlace,
    StepRecord,
    Trajectory,
    Verdict,
    VerdictLevel,
)
from relive.replay.watch import Stop
from relive.wire.jobs import StageReport


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a spot check's run.

    Attributes:
        trajectory: What it recorded: nothing of what was left out.
        stop: Why it was ended early, if it was.
        failure: Why it could not even start; empty if it could.
        notes: What its hooks said.
    """

    trajectory: Trajectory
    report: StageReport
    stop: Stop | None = None
    failure: str = ""
    notes: tuple[str, ...] = ()


def judge_spots(run_id: str, recorded: Trajectory, made: Made, spots: SpotCheck) -> Verdict:
    """Compare the segments that were drawn with the record; the first that differs decides."""
    if made.failure:
        return Verdict(level=VerdictLevel.UNRESOLVED, reason=made.failure)
    compared = 0
    for part in _parts(recorded, made, spots):
        if part.failure:
            return Verdict(level=VerdictLevel.UNRESOLVED, reason=part.failure, steps_compared=compared)
        compared += part.compared
        if part.first is not None:
            return _diverged(run_id, part, compared)
    return Verdict(
        level=VerdictLevel.SPOT_CHECKED, reason=f"Equal: {spots.sentence}.", steps_compared=compared
    )


class _Part(msgspec.Struct, frozen=True, kw_only=True):
    """One segment, or what comes before the first, beside the record."""

    name: str
    compared: int = 0
    first: FirstDivergence | None = None
    last_equal: StepPlace | None = None
    failure: str = ""


def _parts(recorded: Trajectory, made: Made, spots: SpotCheck) -> Iterator[_Part]:
    began, again = initial_weights(recorded), initial_weights(made.trajectory)
    if began is not None and again is not None and began.digests != again.digests:
        first = FirstDivergence(stream=began.stream, step=0, names=_other_names(began, again))
        yield _Part(name="before the first segment", first=first)
    for segment in spots.drawn:
        mine, theirs = steps_of(recorded, segment), steps_of(made.trajectory, segment)
        failure = _not_begun(recorded, made, segment)
        if not failure and (mine is None or theirs is None):
            failure = _ended(made, segment)
        if failure or mine is None or theirs is None:
            yield _Part(name=f"segment {segment}", failure=failure)
            return
        yield _compared(segment, compare(mine, theirs), mine, theirs)


def _compared(segment: Segment, found: Comparison, mine: Trajectory, theirs: Trajectory) -> _Part:
    name = f"segment {segment}"
    first = found.first_divergence or _other_streams(found, mine, theirs)
    if first is None and found.undigested:
        failure = f"In {name}, {found.undigested} recorded digests were not taken again."
        return _Part(name=name, failure=failure)
    return _Part(name=name, compared=found.steps_compared, first=first, last_equal=found.last_equal)


def _not_begun(recorded: Trajectory, made: Made, segment: Segment) -> str:
    """Say why a segment did not begin with the recorded state; empty if it did."""
    if segment.begin == 0:
        return ""
    kept, loaded = state_at(recorded, segment.begin), state_at(made.trajectory, segment.begin)
    where = f"the state of step {segment.begin}"
    if loaded is None:
        # With the separator: step 4 is the beginning of step 40 as well.
        said = next((it for it in made.notes if it.startswith(f"{where.removeprefix('the ')}: ")), "")
        return f"{where[0].upper()}{where[1:]} could not be loaded: {said}" if said else _ended(made, segment)
    if kept is None or kept.digests != loaded.digests:
        names = ", ".join(_other_names(kept, loaded)) if kept is not None else "all of it"
        return f"After {where} was loaded, another was there: {names}."
    return ""


def _ended(made: Made, segment: Segment) -> str:
    """Say that the program came to its end before a segment's."""
    if made.report.status is not RunStatus.FINISHED and made.stop is not Stop.ALL_SEEN:
        return (
            f"The spot check itself failed before the end of segment {segment}: {made.report.reason}. What "
            "a script does with its losses outside of the segments, where nothing is learned, may be why."
        )
    return (
        f"The program ended before step {segment.last}. It decides by what it has learned how long it "
        "trains, and outside of the segments nothing is learned: only a whole replay can judge it."
    )


def _other_streams(found: Comparison, mine: Trajectory, theirs: Trajectory) -> FirstDivergence | None:
    """Take a stream that only one side has in this segment for the first difference."""
    for names, side, word in (
        (found.missing_streams, mine, "missing"),
        (found.extra_streams, theirs, "not in the record"),
    ):
        for step in side.steps:
            if step.stream in names:
                return FirstDivergence(stream=step.stream, step=step.step, names=(word,))
    return None


def _other_names(one: StepRecord, other: StepRecord) -> tuple[str, ...]:
    names = {*one.digests, *other.digests}
    return tuple(sorted(it for it in names if one.digests.get(it) != other.digests.get(it)))


def _diverged(run_id: str, part: _Part, compared: int) -> Verdict:
    first = part.first
    where = f"{first.stream} at step {first.step} ({', '.join(first.names)})" if first else ""
    return Verdict(
        level=VerdictLevel.DIVERGED,
        first_divergence=first,
        last_equal=part.last_equal,
        steps_compared=compared,
        reason=(
            f"Differs first in {where}, in {part.name}. What a script carries from step to step in variables "
            f"of its own looks the same; whether it does, a whole replay tells: relive replay "
            f"{short_id(run_id)} --until-divergence."
        ),
    )
