"""What is to be replayed, and what is missing for it: said before anything starts."""

from typing import Final

import msgspec

from relive.capture.secrets import LONGEST_VALUE, MASK
from relive.client.hub import HubClient
from relive.core.command import command_of
from relive.core.digest import Digest
from relive.core.ids import short_id
from relive.core.pipeline import Hermetic
from relive.core.recipe import EnvironmentLock, Recipe
from relive.core.run import RunStatus
from relive.core.trajectory import Trajectory
from relive.errors import CannotReplay, InvalidInput
from relive.formats.trajectory import decode_trajectory
from relive.replay.machine import Obstacle, look_at_machine
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
    """

    detail: RunDetail
    recipe: Recipe
    lock: EnvironmentLock | None
    trajectory: Trajectory | None
    model: str = ""
    substitutes: tuple[str, ...] = ()
    instead: Digest = ""
    obstacles: tuple[Obstacle, ...] = ()

    @property
    def run_id(self) -> str:
        """Give the id of the run that is repeated."""
        return self.detail.run.id


def make_plan(hub: HubClient, target: str, accepted: Substitutes = _NOTHING) -> ReplayPlan:
    """Find what is to be replayed and check that everything for it is there.

    Args:
        hub: Where it is recorded.
        target: A run's id or its beginning, or a model version as NAME@ALIAS or NAME@NUMBER.
        accepted: What may be another than the recorded.

    Raises:
        CannotReplay: Something of the recipe is missing; names it, and what would do instead.
        EnvironmentFailed: A substitute cannot be had.
        HubRefused: There is no such run or version.
    """
    run_id, model = resolve_run(hub, target)
    detail = hub.get_run(run_id)
    run = detail.run
    if run.status is not RunStatus.FINISHED:
        raise _cannot(
            detail, f"it is {run.status.value}, and only finished runs have a result to compare with"
        )
    if not run.recipe:
        raise _cannot(detail, "it has no recipe: nothing recorded it from outside")
    recipe = hub.get_recipe(run.id)
    seen = seen_environment(recipe, accepted)
    if seen is not None:
        _check_seen(detail, seen)
    if recipe.declared.secrets:
        names = ", ".join(recipe.declared.secrets)
        raise _cannot(detail, f"it needs the secrets {names}, which no recipe holds")
    lock = fetch_lock(recipe.declared.environment, hub.blobs) if recipe.declared.environment else None
    obstacles = look_at_machine(recipe, lock, accepted)
    _check_machine(detail, obstacles)
    _check_blobs(hub, detail, recipe)
    wheels = WheelStore(hub.blobs)
    _check_wheels(hub, detail, lock, wheels, accepted)
    trajectory = decode_trajectory(hub.blobs.get_bytes(run.trajectory)) if run.trajectory else None
    return ReplayPlan(
        detail=detail,
        recipe=recipe,
        lock=lock,
        trajectory=trajectory,
        model=model,
        substitutes=accepted.texts,
        instead=_instead(hub, lock, accepted, wheels) if seen is None else _again(hub, seen, wheels),
        obstacles=(*(seen.obstacles if seen is not None else ()), *obstacles),
    )


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
        deps=declared.data,
        outs=declared.outs,
        params=declared.params,
        metrics_files=declared.metrics_files,
        command_token=token,
    )


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


def _check_seen(detail: RunDetail, seen: Seen) -> None:
    if not seen.lost:
        return
    accept = " ".join(f"--substitute {text.partition(' ')[0]}" for text in seen.lost)
    raise _cannot(
        detail,
        f"it ran in an environment without a lock, and from no index came: {', '.join(seen.lost)}",
        f"relive replay {short_id(detail.run.id)} {accept}    (from a package index, if one has it)",
    )


def _check_machine(detail: RunDetail, obstacles: list[Obstacle]) -> None:
    fatal = [it for it in obstacles if it.is_fatal]
    if fatal:
        accept = " ".join(f"--substitute {it.accept}" for it in fatal)
        raise _cannot(
            detail,
            "; ".join(it.sentence for it in fatal),
            f"relive replay {short_id(detail.run.id)} {accept}",
        )


def _check_blobs(hub: HubClient, detail: RunDetail, recipe: Recipe) -> None:
    wanted = {recipe.declared.code.manifest: "its code"}
    wanted |= {item.manifest: f"its input {item.path}" for item in recipe.declared.data}
    missing = hub.blobs.missing(wanted)
    if missing:
        raise _cannot(
            detail, f"the hub no longer has {', '.join(sorted(wanted[digest] for digest in missing))}"
        )


def _check_wheels(
    hub: HubClient,
    detail: RunDetail,
    lock: EnvironmentLock | None,
    wheels: WheelStore,
    accepted: Substitutes,
) -> None:
    needed = [it for it in lock.packages if it.name not in accepted.packages] if lock is not None else []
    absent = hub.blobs.missing(it.blob for it in needed if it.blob)
    lost = [it for it in needed if (not it.blob or it.blob in absent) and not wheels.has(it)]
    if lost:
        names = ", ".join(f"{it.filename} (sha256 {it.sha256[:12]}…)" for it in lost)
        accept = " ".join(f"--substitute {it.name}=={it.version}" for it in lost)
        raise _cannot(
            detail,
            f"neither the hub nor this machine has the wheel {names}",
            f"relive replay {short_id(detail.run.id)} {accept}    (from a package index, if one has it)",
        )


def _instead(
    hub: HubClient, lock: EnvironmentLock | None, accepted: Substitutes, wheels: WheelStore
) -> Digest:
    """Keep the environment with the substitutes, and give its digest; empty if it is the recorded one."""
    if lock is None or not (accepted.python or accepted.packages):
        return ""
    changed = substitute(lock, accepted, wheels)
    return keep_lock(changed, hub.blobs) if changed != lock else ""


def _again(hub: HubClient, seen: Seen, wheels: WheelStore) -> Digest:
    return keep_lock(lock_seen(seen, wheels), hub.blobs)


def _cannot(detail: RunDetail, missing: str, hint: str | None = None) -> CannotReplay:
    return CannotReplay(run=short_id(detail.run.id), missing=missing, hint=hint)
