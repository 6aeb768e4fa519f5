"""What is to be replayed, and what is missing for it: said before anything starts."""

from typing import Final

import msgspec

from relive.capture.secrets import LONGEST_VALUE, MASK
from relive.client.hub import HubClient
from relive.core.command import command_of
from relive.core.digest import Digest
from relive.core.ids import short_id
from relive.core.pipeline import Hermetic
from relive.core.recipe import Code, EnvironmentLock, Recipe
from relive.core.run import RunStatus
from relive.core.trajectory import Trajectory
from relive.errors import CannotReplay, InvalidInput
from relive.formats.trajectory import decode_trajectory
from relive.replay.kept import kept_environment
from relive.replay.machine import Obstacle, look_at_machine
from relive.replay.needs import (
    gaps_of_files,
    gaps_of_index,
    gaps_of_machine,
    gaps_of_seen,
    gaps_of_wheels,
    refuse_gaps,
)
from relive.replay.substitutes import Substitutes, substitute
from relive.replay.unlocked import Seen, lock_seen, seen_environment
from relive.runner.environment.build import fetch_lock, keep_lock
from relive.runner.environment.wheels import WheelStore
from relive.wire.hub import RunDetail
from relive.wire.jobs import StageWork

_NOTHING: Final = Substitutes()
# They say which devices of a machine are whose.
_OF_THE_MACHINE: Final = ("CUDA_VISIBLE", "NVIDIA_", "ROCR_", "HIP_VISIBLE")


class ReplayPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A run, its recipe, and what it left to compare with.

    Attributes:
        model: "NAME v3" if a model version was asked for, else empty.
        lock: Its environment; None if nothing locked it, or it ran on an interpreter without packages.
        trajectory: What it recorded step by step; None if nothing.
        substitutes: What was accepted instead of the recorded, as it is typed.
        instead: Digest of the environment that it gets: with the substitutes, or by what was seen of one
            without a lock; empty for the recorded one.
        obstacles: What is not here as it was, and yet no reason not to try.
        offline: No package index was asked, and the command is to reach no network.
    """

    detail: RunDetail
    recipe: Recipe
    lock: EnvironmentLock | None
    trajectory: Trajectory | None
    model: str = ""
    substitutes: tuple[str, ...] = ()
    instead: Digest = ""
    obstacles: tuple[Obstacle, ...] = ()
    offline: bool = False

    @property
    def run_id(self) -> str:
        """Give the id of the run that is repeated."""
        return self.detail.run.id


def make_plan(
    hub: HubClient, target: str, accepted: Substitutes = _NOTHING, *, offline: bool = False
) -> ReplayPlan:
    """Find what is to be replayed and check that everything for it is there.

    Args:
        hub: Where it is recorded.
        target: A run's id or its beginning, or a model version as NAME@ALIAS or NAME@NUMBER.
        accepted: What may be another than the recorded.
        offline: Whether to ask no package index, and to let the command reach no network.

    Raises:
        CannotReplay: Something of the recipe is missing; names all of it, and what would do instead.
        EnvironmentFailed: A substitute cannot be had.
        HubRefused: There is no such run or version.
    """
    run_id, model = resolve_run(hub, target)
    detail = hub.get_run(run_id)
    run = detail.run
    _check_ended(detail)
    recipe = hub.get_recipe(run.id)
    seen = seen_environment(recipe, accepted)
    if recipe.declared.secrets:
        names = ", ".join(recipe.declared.secrets)
        raise _cannot(detail, f"it needs the secrets {names}, which no recipe holds")
    lock = fetch_lock(recipe.declared.environment, hub.blobs) if recipe.declared.environment else None
    obstacles = look_at_machine(recipe, lock, accepted)
    wheels = WheelStore(hub.blobs)
    is_other = seen is not None or (lock is not None and accepted.asks_index(lock))
    kept = kept_environment(hub, detail, seen, accepted, wheels) if is_other else ""
    gaps = [
        *gaps_of_seen(seen),
        *gaps_of_machine(obstacles),
        *gaps_of_files(hub, recipe),
        *(gaps_of_wheels(hub, lock, wheels, accepted) if not kept else ()),
        *(gaps_of_index(seen, lock, accepted, kept) if offline else ()),
    ]
    refuse_gaps(detail, gaps, offline=offline, accepted=accepted.texts)
    trajectory = decode_trajectory(hub.blobs.get_bytes(run.trajectory)) if run.trajectory else None
    return ReplayPlan(
        detail=detail,
        recipe=recipe,
        lock=lock,
        trajectory=trajectory,
        model=model,
        substitutes=accepted.texts,
        instead=kept or _instead(hub, seen, lock, accepted, wheels),
        obstacles=(*(seen.obstacles(is_kept=bool(kept)) if seen is not None else ()), *obstacles),
        offline=offline,
    )


def _check_ended(detail: RunDetail) -> None:
    status = detail.run.status
    if status is not RunStatus.FINISHED:
        raise _cannot(detail, f"it is {status.value}, and only finished runs have a result to compare with")
    if not detail.run.recipe:
        raise _cannot(detail, "it has no recipe: nothing recorded it from outside")


def work_of(plan: ReplayPlan, replay_run_id: str, token: str) -> StageWork:
    """Give the work that repeats the run: the recipe as a stage's work, and nothing else."""
    declared = plan.recipe.declared
    return StageWork(
        run_id=replay_run_id,
        project=plan.detail.project,
        stage=plan.detail.run.stage,
        commands=(command_of(plan.recipe),),
        code=declared.code.manifest,
        commit=declared.code.commit,
        branch=declared.code.branch,
        workdir=declared.workdir,
        environment=plan.instead or declared.environment,
        env=variables_of(plan.recipe),
        hermetic=held_as(plan.recipe),
        network=had_network(plan.recipe),
        deps=declared.data,
        outs=declared.outs,
        params=declared.params,
        metrics_files=declared.metrics_files,
        command_token=token,
        repository=repository_of(plan.detail, plan.recipe),
    )


def repository_of(detail: RunDetail, recipe: Recipe) -> Code | None:
    """Give what the repository said that a run lay in; None if it lay in none, as stages of pipelines do."""
    code = recipe.declared.code
    return code if code.commit and not detail.run.pipeline_id else None


def variables_of(recipe: Recipe) -> dict[str, str]:
    """Give the declared variables, and those that were seen: a person's shell sets some that count."""
    seen = recipe.observed.variables if recipe.observed else {}
    found = {
        name: value
        for name, value in seen.items()
        if value != MASK and not name.startswith(_OF_THE_MACHINE) and len(value) < LONGEST_VALUE
    }
    return found | recipe.declared.env


def held_as(recipe: Recipe) -> Hermetic:
    """Give how a run is to be held to its inputs when it is made again: as it was."""
    return Hermetic.ON if recipe.observed is not None and recipe.observed.hermetic else Hermetic.WARN


def had_network(recipe: Recipe) -> bool:
    """Tell whether a hermetic run is to have the network when it is made again: if it had."""
    return recipe.observed is not None and recipe.observed.network


def resolve_run(hub: HubClient, target: str) -> tuple[str, str]:
    """Give the run behind a target, a run's id or its beginning or a model version, and that version's name.

    Raises:
        HubRefused: There is no such version; a run is looked up later.
        InvalidInput: A part of it is empty.
    """
    name, at, ref = target.partition("@")
    if not name or (at and not ref):
        wanted = "a run's id or its beginning, NAME@ALIAS or NAME@NUMBER"
        raise InvalidInput(field="target", value=target, wanted=wanted)
    if not at:
        return target, ""
    version = hub.get_version(name, ref.removeprefix("v") if ref[1:].isdigit() else ref)
    return version.run_id, f"{version.model} v{version.version}"


def _instead(
    hub: HubClient,
    seen: Seen | None,
    lock: EnvironmentLock | None,
    accepted: Substitutes,
    wheels: WheelStore,
) -> Digest:
    """Keep the environment that no lock named, or with the substitutes, and give its digest.

    It is empty for the recorded one.
    """
    if seen is not None:
        return keep_lock(lock_seen(seen, wheels), hub.blobs)
    if lock is None or not (accepted.python or accepted.packages):
        return ""
    changed = substitute(lock, accepted, wheels)
    return keep_lock(changed, hub.blobs) if changed != lock else ""


def _cannot(detail: RunDetail, missing: str) -> CannotReplay:
    return CannotReplay(run=short_id(detail.run.id), missing=missing)
