"""The environment of an earlier replay of the same run: its wheels are kept, and no index is asked.

A run without a lock has none of its own, nor has one with a substitute; the first replay resolves it. A run
that was taken in brings the one of its archive as an artifact.
"""

from collections.abc import Iterable
from typing import Final

from relive.client.hub import HubClient
from relive.core.digest import Digest
from relive.core.recipe import EnvironmentLock, Recipe
from relive.errors import BlobNotFound, EnvironmentFailed, HubRefused, NotFound
from relive.replay.needs import has_wheels
from relive.replay.substitutes import Substitutes
from relive.replay.unlocked import Seen, seen_environment
from relive.runner.environment.build import fetch_lock
from relive.runner.environment.interpreters import find_interpreter
from relive.runner.environment.wheels import WheelStore
from relive.wire.hub import RunDetail

# The artifact of an imported run that holds its environment, and the lock in it; the wheels lie beside.
ENVIRONMENT: Final = "archive/environment"
LOCK: Final = "lock.json"
_NOTHING: Final = Substitutes()


def kept_environment(
    hub: HubClient, detail: RunDetail, seen: Seen | None, accepted: Substitutes, wheels: WheelStore
) -> Digest:
    """Give the digest of the newest that fits this machine and has all its wheels; empty if none does.

    Args:
        seen: What was installed, of a run without a lock.
        accepted: The earlier replay must have had the same Python and packages instead of the recorded.
    """
    for digest, lock in _replayed(hub, detail, accepted):
        is_same = seen is None or _is_of(lock, seen)
        if is_same and _fits(lock) and has_wheels(hub, lock, wheels):
            return digest
    return ""


def any_environment(
    hub: HubClient, detail: RunDetail, recipe: Recipe
) -> tuple[Digest, EnvironmentLock | None]:
    """Give a run's environment for whatever machine; without a lock the one that a replay was given."""
    digest = recipe.declared.environment
    if digest:
        return digest, fetch_lock(digest, hub.blobs)
    seen = seen_environment(recipe, _NOTHING)
    found = _replayed(hub, detail, _NOTHING) if seen is not None else ()
    return next((it for it in found if seen is not None and _is_of(it[1], seen)), ("", None))


def _replayed(
    hub: HubClient, detail: RunDetail, accepted: Substitutes
) -> Iterable[tuple[Digest, EnvironmentLock]]:
    """Give the environments of a run's replays, of the newest verdict first, and the one that it brought."""
    told: set[Digest] = set()
    for verdict in sorted(detail.verdicts, key=lambda it: it.at, reverse=True):
        if not verdict.replay_run_id or not accepted.is_same_environment(verdict.substitutes):
            continue
        try:
            digest = hub.get_recipe(verdict.replay_run_id).declared.environment
            if digest and digest not in told:
                told.add(digest)
                yield digest, fetch_lock(digest, hub.blobs)
        except (HubRefused, NotFound, BlobNotFound):
            continue  # deleted since, or it ended before it had one
    if accepted.is_same_environment(()):
        yield from _brought(hub, detail)


def _brought(hub: HubClient, detail: RunDetail) -> Iterable[tuple[Digest, EnvironmentLock]]:
    for artifact in detail.artifacts:
        lock = (
            hub.blobs.fetch_manifest(artifact.manifest).find(LOCK) if artifact.path == ENVIRONMENT else None
        )
        if lock is not None:
            yield lock.digest, fetch_lock(lock.digest, hub.blobs)


def _is_of(lock: EnvironmentLock, seen: Seen) -> bool:
    packages = {it.name: it.version for it in lock.packages}
    return packages == seen.pins and lock.folders == seen.folders and seen.python in ("", lock.python)


def _fits(lock: EnvironmentLock) -> bool:
    try:
        here = find_interpreter(lock.python, source=lock.source or "an earlier replay")
    except EnvironmentFailed:
        return False
    return (here.implementation, here.platform) == (lock.implementation, lock.platform)
