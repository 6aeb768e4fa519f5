"""Ending a variant early: where two trainings part in their first steps, a beginning tells others apart.

Only the search does this. What a beginning says is not believed: the causes that it names are proven by whole
runs, and if these say otherwise the search goes on with whole runs from there.
"""

import re
from dataclasses import dataclass
from typing import Final

from relive.core.attribution import Outcome
from relive.core.digest import canonical_json
from relive.core.trajectory import FINAL, StepWindow, Trajectory
from relive.replay.watch import Watch

# So many steps of every stream are digested in every run, whatever it costs; later ones by what they cost.
_DENSE: Final = 5
# A training that is over soon gains nothing: its start is what costs.
_FEWEST_STEPS: Final = 20
_SHORTEST_S: Final = 5.0
_STATE: Final = re.compile(r"^((p|rank)\d+/)*(weights|round|step):")

# Step number → what the state was after it, by stream and name.
Beginning = dict[int, dict[str, str]]


@dataclass(frozen=True)
class Horizon:
    """How far a beginning goes, and how it is judged.

    Attributes:
        step: The first at which the two parted, the last that a beginning needs.
        recorded: The first run's steps.
        first: What the first run's beginning comes out as.
        second: What the second's does.
        run_id: The run that these steps are of.
    """

    step: int
    recorded: Trajectory
    first: Outcome
    second: Outcome
    run_id: str = ""

    def watch(self) -> Watch:
        """Give what follows a run and ends it behind the horizon."""
        return watch_until(self.recorded, self.step)

    def outcome(self, failure: str, beginning: Beginning) -> Outcome:
        """Give a word that is the same for equal beginnings; None for a run that failed before."""
        return None if failure else _until(beginning, self.step)

    def word_of(self, outcome: Outcome) -> str:
        """Say an outcome for people."""
        if outcome is None:
            return "failed"
        return {self.first: "as the first", self.second: "as the second"}.get(outcome, "otherwise")


def watch_until(recorded: Trajectory, step: int) -> Watch:
    """Give what follows a run by the steps of another, and ends it behind one of them."""
    return Watch(recorded, window=StepWindow(first=0, last=step))


def beginning_of(trajectory: Trajectory) -> Beginning:
    """Give the states after the first steps; inputs, settings and losses are no state."""
    found: Beginning = {}
    for step in trajectory.steps:
        is_input = step.step == 0 and "round:" in step.stream
        if step.step >= _DENSE or is_input or step.stream.endswith(FINAL) or not _STATE.match(step.stream):
            continue
        at = found.setdefault(step.step, {})
        at |= {f"{step.stream} {name}": digest for name, digest in step.digests.items()}
    return found


def find_horizon(one: Trajectory, other: Trajectory, wall_s: float) -> Horizon | None:
    """Find where two trainings part early enough for a beginning to tell.

    Args:
        one: The first run's steps.
        other: The second's.
        wall_s: How many seconds the shorter of them took.

    Returns:
        None if they part later, or are too short for it to pay.
    """
    n_steps = max((it.step for it in one.steps if _STATE.match(it.stream)), default=0)
    if n_steps < _FEWEST_STEPS or wall_s < _SHORTEST_S:
        return None
    mine, theirs = beginning_of(one), beginning_of(other)
    parted = [step for step in sorted(mine.keys() & theirs.keys()) if mine[step] != theirs[step]]
    if not parted:
        return None
    step = parted[0]
    return Horizon(step=step, recorded=one, first=_until(mine, step), second=_until(theirs, step))


def _until(beginning: Beginning, step: int) -> str:
    return canonical_json({str(at): states for at, states in beginning.items() if at <= step}).decode()
