"""Spot checks: the segments between the checkpoints of a training, and which of them are drawn."""

import random
from collections.abc import Iterable, Sequence
from typing import Final

from relive.core.trajectory import FINAL, Segment, SpotCheck, StepRecord, Trajectory

# The stream whose steps are digests of the whole state: weights, optimizers, generators.
CHECKPOINT: Final = "checkpoint"
# In the recipe, the variable that asks for checkpoints, and the kind of artifact that holds them.
VARIABLE: Final = "RELIVE_CHECKPOINTS"
KIND: Final = "checkpoint"
FOLDER: Final = "checkpoints"
MOST_SEED: Final = 2**32 - 1


def checkpoint_variables(every: int) -> dict[str, str]:
    """Give the variables of a run whose training is saved every so many steps; none for 0.

    They are inputs like those of the portable profile: in the recipe, in the cache key, and in a replay,
    which takes the digests again and saves nothing.
    """
    return {VARIABLE: str(every)} if every else {}


def segments_of(trajectory: Trajectory, kept: Iterable[int]) -> tuple[Segment, ...]:
    """Give the segments of a training.

    Args:
        trajectory: Its record.
        kept: Steps whose state is kept.

    Returns:
        Nothing where no state is kept. Steps behind the last state are one if the record tells how many.
    """
    marks = {it.step for it in trajectory.steps if it.stream == CHECKPOINT}
    ends = sorted(marks & set(kept))
    if not ends:
        return ()
    finals = (it for it in trajectory.steps if it.stream.startswith("weights:") and it.stream.endswith(FINAL))
    total = sum(it.step for it in finals)
    if total > ends[-1]:
        ends.append(total)
    return tuple(Segment(first=begin + 1, last=end) for begin, end in zip([0, *ends[:-1]], ends, strict=True))


def draw(segments: Sequence[Segment], count: int, seed: int) -> SpotCheck:
    """Draw so many segments, each with the same probability; all if there are no more.

    Args:
        count: At least 1.
        seed: The same one draws the same.
    """
    # Not for secrets: anybody is to be able to draw the same again.
    drawn = random.Random(seed).sample(range(len(segments)), min(count, len(segments)))
    return SpotCheck(
        segments=len(segments), drawn=tuple(segments[index] for index in sorted(drawn)), seed=seed
    )


def steps_of(trajectory: Trajectory, segment: Segment) -> Trajectory | None:
    """Cut a segment's steps out of a record, in which they lie between the states at both its ends.

    Returns:
        The steps, the state at its end among them; None if it does not come to both.
    """
    places = {it.step: index for index, it in enumerate(trajectory.steps) if it.stream == CHECKPOINT}
    start = 0 if segment.begin == 0 else places.get(segment.begin)
    if start is None:
        return None
    end = places.get(segment.last)
    if end is None:
        return _last_steps(trajectory, segment, start)
    return Trajectory(steps=trajectory.steps[start + (segment.begin > 0) : end + 1])


def _last_steps(trajectory: Trajectory, segment: Segment, start: int) -> Trajectory | None:
    """Cut the last one out, at whose end there is no checkpoint: the program's end is."""
    rest = trajectory.steps[start + (segment.begin > 0) :]
    is_whole = any(it.stream.endswith(FINAL) for it in rest)
    return Trajectory(steps=rest) if is_whole else None


def state_at(trajectory: Trajectory, step: int) -> StepRecord | None:
    """Find the digests of the state behind a step."""
    found = (it for it in trajectory.steps if it.stream == CHECKPOINT and it.step == step)
    return next(found, None)


def initial_weights(trajectory: Trajectory) -> StepRecord | None:
    """Find what the first optimizer began with; a spot check makes that for real, whatever it draws."""
    found = (it for it in trajectory.steps if it.stream.startswith("weights:"))
    first = next(found, None)
    return first if first is not None and first.step == 0 else None


def without_states(trajectory: Trajectory, other: Trajectory) -> Trajectory:
    """Leave the states at checkpoints out where the other has none: they are evidence, and no structure."""
    if not any(map(_is_state, trajectory.steps)) or any(map(_is_state, other.steps)):
        return trajectory
    return Trajectory(steps=tuple(it for it in trajectory.steps if not _is_state(it)))


def _is_state(step: StepRecord) -> bool:
    # Behind "p1/" in a second process.
    return step.stream.rpartition("/")[2] == CHECKPOINT
