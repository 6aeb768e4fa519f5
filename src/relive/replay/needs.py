"""What a replay needs and cannot have here: all of it, by name, before anything starts."""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from relive.client.hub import HubClient
from relive.core.digest import Digest
from relive.core.ids import short_id
from relive.core.recipe import EnvironmentLock, Recipe
from relive.errors import CannotReplay
from relive.replay.machine import Obstacle
from relive.replay.substitutes import Substitutes
from relive.replay.unlocked import Seen
from relive.runner.environment.wheels import WheelStore
from relive.wire.hub import RunDetail

_SHOWN: Final = 20


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is needed and not there.

    Attributes:
        missing: What, as the end of "Run X cannot be replayed: ".
        accept: What `--substitute` takes for it, separated by blanks; empty if nothing does.
        asks_index: Whether a package index has to be asked then.
    """

    missing: str
    accept: str = ""
    asks_index: bool = False


def refuse_gaps(
    detail: RunDetail, gaps: Iterable[Gap], *, offline: bool, accepted: tuple[str, ...] = ()
) -> None:
    """Do nothing if nothing is missing.

    Args:
        detail: The run.
        gaps: What is missing.
        offline: Whether no index may be asked.
        accepted: The substitutes that were accepted already, as they are typed.

    Raises:
        CannotReplay: Names all that is missing, and what would do instead.
    """
    found = list(gaps)
    if not found:
        return
    run = short_id(detail.run.id)
    missing = "; ".join(it.missing for it in found)
    raise CannotReplay(run=run, missing=missing, hint=_hint(run, found, accepted, offline=offline))


def gaps_of_machine(obstacles: Iterable[Obstacle]) -> Iterator[Gap]:
    """Give what this machine must have and has not."""
    for it in obstacles:
        if it.is_fatal:
            yield Gap(missing=it.sentence, accept=it.accept)


def gaps_of_seen(seen: Seen | None) -> Iterator[Gap]:
    """Give the packages of an environment without a lock that came from no index."""
    if seen is None or not seen.lost:
        return
    yield Gap(
        missing=f"it ran in an environment without a lock, and from no index came: {', '.join(seen.lost)}",
        accept=" ".join(text.partition(" ")[0] for text in seen.lost),
        asks_index=True,
    )


def gaps_of_files(hub: HubClient, recipe: Recipe) -> Iterator[Gap]:
    """Give the code and the inputs that the hub no longer has, file by file."""
    declared = recipe.declared
    trees: dict[Digest, str] = {declared.code.manifest: "its code"}
    # Files of data sets lie in packs, and are looked up there.
    is_loose = {it.manifest for it in declared.data if not it.origin.startswith("dataset:")}
    trees |= {it.manifest: f"its input {it.path}" for it in declared.data}
    lost = hub.blobs.missing(trees)
    files: dict[Digest, str] = {}
    for digest, name in trees.items():
        if digest in lost:
            continue
        if digest in is_loose or digest == declared.code.manifest:
            entries = hub.blobs.fetch_manifest(digest).entries
            files |= {entry.digest: f"{name}: {entry.path}" for entry in entries if entry.link is None}
    names = [trees[digest] for digest in lost] + [files[digest] for digest in hub.blobs.missing(files)]
    if names:
        yield Gap(missing=f"the hub no longer has {_listed(sorted(names))}")


def gaps_of_wheels(
    hub: HubClient, lock: EnvironmentLock | None, wheels: WheelStore, accepted: Substitutes
) -> Iterator[Gap]:
    """Give the wheels of an environment that are kept neither by the hub nor by this machine."""
    needed = [it for it in lock.packages if it.name not in accepted.packages] if lock is not None else []
    absent = hub.blobs.missing(it.blob for it in needed if it.blob)
    lost = [it for it in needed if (not it.blob or it.blob in absent) and not wheels.has(it)]
    if lost:
        names = ", ".join(f"{it.filename} (sha256 {it.sha256[:12]}…)" for it in lost)
        yield Gap(
            missing=f"neither the hub nor this machine has the wheel {names}",
            accept=" ".join(f"{it.name}=={it.version}" for it in lost),
            asks_index=True,
        )


def gaps_of_index(
    seen: Seen | None, lock: EnvironmentLock | None, accepted: Substitutes, kept: Digest
) -> Iterator[Gap]:
    """Give the packages that only a package index could bring: offline it is not asked.

    Args:
        kept: An environment that an earlier replay kept; empty if none did.
    """
    if kept:
        return
    if seen is not None and seen.pins:
        names = [f"{name}=={version}" for name, version in sorted(seen.pins.items())]
        why = "it ran in an environment without a lock, and no replay has kept its wheels yet"
        yield Gap(missing=f"{why}: {_listed(names)}", asks_index=True)
    elif lock is not None and accepted.asks_index(lock):
        only = [f"{name}=={version}" for name, version in sorted(accepted.packages.items())]
        # Wheels are built for one minor version of Python.
        names = only or [f"{it.name}=={it.version} for Python {accepted.python}" for it in lock.packages]
        yield Gap(missing=f"no replay has kept the wheels of {_listed(names)}", asks_index=True)


def has_wheels(hub: HubClient, lock: EnvironmentLock, wheels: WheelStore) -> bool:
    """Tell whether every wheel of an environment is kept by the hub or by this machine."""
    return not list(gaps_of_wheels(hub, lock, wheels, Substitutes()))


def _hint(run: str, gaps: list[Gap], accepted: tuple[str, ...], *, offline: bool) -> str | None:
    if any(not it.accept and not it.asks_index for it in gaps):
        return None  # nothing brings that back
    more = (text for it in gaps for text in it.accept.split(" ") if text)
    accept = "".join(f" --substitute {text}" for text in dict.fromkeys((*accepted, *more)))
    again = f"relive replay {run}{accept}"
    if not any(it.asks_index for it in gaps):
        return f"{again} --offline" if offline else again
    if offline:
        return (
            f"{again}    (once without --offline: the hub keeps the wheels that it gets from a package index)"
        )
    return f"{again}    (from a package index, if one has it)"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
