"""Two runs input by input, read from a hub over the network."""

from collections.abc import Iterator

import msgspec

from relive.client.hub import HubClient
from relive.core import diff
from relive.core.artifact import Manifest
from relive.core.command import command_of
from relive.core.diff import Recorded, RunDiff, diff_recorded
from relive.core.digest import Digest
from relive.core.facts import Trees
from relive.core.ids import short_id
from relive.core.recipe import EnvironmentLock, Recipe
from relive.core.trajectory import Trajectory
from relive.errors import BlobNotFound, NotFound
from relive.formats.trajectory import decode_trajectory
from relive.replay.plan import resolve_run
from relive.runner.environment.build import fetch_lock
from relive.wire.hub import RunDetail


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two runs, with all that says what went into it."""

    detail: RunDetail
    recipe: Recipe
    lock: EnvironmentLock | None
    code: Manifest


def load_side(hub: HubClient, target: str, made: Digest = "") -> Side:
    """Fetch a run and its recipe.

    Args:
        hub: Where it is recorded.
        target: A run's id or its beginning, or a model version as NAME@ALIAS or NAME@NUMBER.
        made: The environment that a run without a lock is to have had: one by what was seen of its own.

    Raises:
        HubRefused: There is no such run or version.
        NotFound: It has no recipe, or the hub has lost a part of it.
    """
    detail = hub.get_run(resolve_run(hub, target)[0])
    if not detail.run.recipe:
        hint = "a recipe is closed when its run ends"
        raise NotFound(kind="recipe of run", name=short_id(detail.run.id), hint=hint)
    recipe = hub.get_recipe(detail.run.id)
    if made and not recipe.declared.environment:
        declared = msgspec.structs.replace(recipe.declared, command=command_of(recipe), environment=made)
        recipe = msgspec.structs.replace(recipe, declared=declared)
    lock = fetch_lock(recipe.declared.environment, hub.blobs) if recipe.declared.environment else None
    code = hub.blobs.fetch_manifest(recipe.declared.code.manifest)
    return Side(detail=detail, recipe=recipe, lock=lock, code=code)


def diff_runs(one: Side, other: Side, hub: HubClient) -> RunDiff:
    """Compare two runs input by input; files are compared one by one."""
    return diff_recorded(_recorded(one, hub), _recorded(other, hub))


def code_diff(one: Side, other: Side, hub: HubClient) -> Iterator[str]:
    """Give the lines of a unified diff of the code; files that are no text, or long, by name alone."""
    return diff.code_diff(one.code, other.code, hub.blobs.get_bytes)


def data_of(side: Side, hub: HubClient) -> dict[str, Manifest]:
    """Fetch what the declared inputs hold; one that the hub has no longer is compared by its digest."""
    return diff.data_of(side.recipe, hub.blobs.fetch_manifest)


def _recorded(side: Side, hub: HubClient) -> Recorded:
    return Recorded(
        run_id=side.detail.run.id,
        recipe=side.recipe,
        lock=side.lock,
        trees=Trees(code=side.code, data=data_of(side, hub)),
        params=side.detail.params,
        metrics=side.detail.metrics,
        trajectory=_trajectory(side, hub),
    )


def _trajectory(side: Side, hub: HubClient) -> Trajectory | None:
    if not side.detail.run.trajectory:
        return None
    try:
        return decode_trajectory(hub.blobs.get_bytes(side.detail.run.trajectory))
    except BlobNotFound:
        return None
