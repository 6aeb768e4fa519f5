"""Spot checks: draw segments of a recorded training, and have a replay make only these."""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from relive.capture.hooks.checkpoints import SPOT, SUFFIX
from relive.client.hub import HubClient
from relive.core.ids import short_id
from relive.core.spots import FOLDER, KIND, MOST_SEED, VARIABLE, draw, segments_of, steps_of
from relive.core.trajectory import SpotCheck, StepRecord, Trajectory
from relive.errors import CannotReplay, ReliveError
from relive.replay.plan import ReplayPlan
from relive.replay.watch import Seen, Watch
from relive.runner.lease import Lease, Over

_STATES: Final = "states"
# What the record shows of a training whose state no hook can save → what it is called.
_OTHERS: Final = {
    "fit:": "scikit-learn",
    "round:": "boosted trees",
    "weights:keras.": "Keras",
    "weights:jax.": "JAX",
    "weights:optax": "JAX",
    "step:": "relive.step",
}


def draw_spots(plan: ReplayPlan, hub: HubClient, count: int, seed: int | None = None) -> SpotCheck:
    """Draw segments of a run, with a new seed if none is given.

    Raises:
        CannotReplay: It has no checkpoints; says why, and what to do.
    """
    trajectory = plan.trajectory or Trajectory()
    segments = segments_of(trajectory, _states(plan, hub))
    if not segments:
        raise CannotReplay(run=short_id(plan.run_id), missing=_lacking(plan, trajectory))
    return draw(segments, count, secrets.randbelow(MOST_SEED + 1) if seed is None else seed)


def _lacking(plan: ReplayPlan, trajectory: Trajectory) -> str:
    if any(it.stream.startswith(("p1/", "rank")) for it in trajectory.steps):
        return "several of its processes train, and only one that trains alone can be checked in segments"
    streams = {it.stream for it in trajectory.steps}
    if not any(name.startswith("weights:") and not name.startswith(tuple(_OTHERS)) for name in streams):
        others = (word for begin, word in _OTHERS.items() if any(it.startswith(begin) for it in streams))
        found = next(others, "")
        what = f"its training is that of {found}" if found else "it recorded no training"
        return f"{what}, and checkpoints are made of PyTorch's optimizers (torch.optim) only"
    if VARIABLE in plan.recipe.declared.env:
        return "it came to its end before its first checkpoint: record it with a smaller --checkpoints"
    return "it has no checkpoints: record it with `relive run --checkpoints 100 -- …` or `checkpoints: 100`"


def _states(plan: ReplayPlan, hub: HubClient) -> dict[int, str]:
    """Give the digests of the states that are kept, by step.

    Raises:
        CannotReplay: Which there are cannot be had.
    """
    manifest = next((it.manifest for it in plan.detail.artifacts if it.kind == KIND), None)
    if manifest is None:
        return {}
    try:
        entries = hub.blobs.fetch_manifest(manifest).entries
    except ReliveError as error:
        missing = f"the list of its checkpoints cannot be had: {error.what()}"
        raise CannotReplay(run=short_id(plan.run_id), missing=missing) from error
    found: dict[int, str] = {}
    for entry in entries:
        number = entry.path.removeprefix(f"{FOLDER}/").removesuffix(SUFFIX)
        if number.isdigit() and entry.link is None:
            found[int(number)] = entry.digest
    return found


class SpotWatch(Watch):
    """Has one run make the drawn segments only, and ends it behind them."""

    def __init__(
        self,
        plan: ReplayPlan,
        hub: HubClient,
        spots: SpotCheck,
        told: Callable[[Seen], None] = lambda seen: None,
    ) -> None:
        super().__init__(Trajectory(steps=recorded_of(plan, spots)), is_part=True, told=told)
        self.purpose = "spot check"
        self._plan, self._hub, self._spots = plan, hub, spots

    def start(self, spool: Path, lease: Lease) -> None:
        """Lay out the states at the segments' beginnings, and begin to follow; without them end at once."""
        folder = spool.parent / _STATES
        self.variables = {SPOT: msgspec.json.encode(self._asked(folder)).decode()}
        try:
            self._lay(folder)
        except (ReliveError, OSError) as error:
            self._seen = Seen(failure=str(error))
            lease.lose(Over.CANCELLED)
            return
        super().start(spool, lease)

    def _asked(self, folder: Path) -> dict[str, object]:
        segments = [(it.begin, it.last) for it in self._spots.drawn]
        return {"states": str(folder), "segments": segments}

    def _lay(self, folder: Path) -> None:
        folder.mkdir()
        states = _states(self._plan, self._hub)
        for segment in self._spots.drawn:
            if segment.begin == 0:
                continue
            try:
                self._hub.blobs.get_file(states[segment.begin], folder / f"{segment.begin}{SUFFIX}")
            except ReliveError as error:
                missing = f"the state of step {segment.begin} cannot be had: {error.what()}"
                raise CannotReplay(run=short_id(self._plan.run_id), missing=missing) from error


def recorded_of(plan: ReplayPlan, spots: SpotCheck) -> tuple[StepRecord, ...]:
    """Give the recorded steps of the segments that were drawn."""
    trajectory = plan.trajectory or Trajectory()
    parts = (steps_of(trajectory, it) for it in spots.drawn)
    return tuple(step for part in parts if part is not None for step in part.steps)
