"""An environment that no lock names, made again from what was seen installed in it.

A package index is asked for each package by name and version. Whether the files that it gives are the very
same, the replay finds by comparing what the RECORDs list, and its verdict judges the rest.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
from packaging.utils import canonicalize_name

from relive.core.pipeline import EnvSpec
from relive.core.recipe import Distribution, EnvironmentLock, Recipe
from relive.errors import EnvironmentFailed, InvalidInput
from relive.replay.machine import Obstacle
from relive.replay.substitutes import Substitutes
from relive.runner.environment.build import resolve_environment
from relive.runner.environment.wheels import WheelStore

_REQUIREMENTS: Final = "packages-that-were-seen.txt"
# From anywhere else a name and a version do not say which files they were.
_INDEX: Final = "index"


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What was installed where a run ran, sorted by how it can be had again.

    Attributes:
        python: Version of the interpreter.
        pins: Normalised name to version: what an index is asked for.
        folders: Folders of the code that were installed from where they lay.
        lost: Were imported, and came from elsewhere than an index or the code: "NAME==VERSION (ORIGIN)".
        left_out: The same of those that nothing imported.
    """

    python: str
    pins: dict[str, str]
    folders: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def obstacles(self, *, is_kept: bool) -> Iterator[Obstacle]:
        """Say what is not as it was, and yet no reason not to try.

        Args:
            is_kept: Whether the wheels are those that an earlier replay was given.
        """
        whence = "that an earlier replay kept" if is_kept else "from its package index"
        again = f"those of the same names and versions {whence}"
        yield Obstacle(what=f"{len(self.pins)} packages", recorded="without a lock", here=again, accept="")
        if self.left_out:
            names = ", ".join(self.left_out)
            yield Obstacle(what="unused packages", recorded=names, here="not got them", accept="")


def seen_environment(recipe: Recipe, accepted: Substitutes) -> Seen | None:
    """Sort what was installed; None if the run has a lock, or ran without Python.

    Raises:
        InvalidInput: A package that was not there is to be substituted.
    """
    observed = recipe.observed
    if recipe.declared.environment or observed is None:
        return None
    if not observed.distributions and observed.interpreter is None:
        return None
    pins: dict[str, str] = {}
    folders: list[str] = []
    lost: list[str] = []
    left_out: list[str] = []
    for item in observed.distributions:
        name = str(canonicalize_name(item.name))
        if name in accepted.packages:
            pins[name] = accepted.packages[name]
        elif item.folder:
            folders.append(item.folder)
        elif item.origin == _INDEX:
            pins[name] = item.version
        else:
            (lost if item.imported else left_out).append(f"{name}=={item.version} ({_whence(item)})")
    if unknown := sorted(accepted.packages.keys() - pins.keys()):
        wanted = f"a package that was there: {', '.join(it.name for it in observed.distributions)}"
        raise InvalidInput(field="--substitute", value=unknown[0], wanted=wanted)
    interpreter = observed.interpreter
    return Seen(
        python=accepted.python or (interpreter.version if interpreter else ""),
        pins=pins,
        folders=tuple(folders),
        lost=tuple(lost),
        left_out=tuple(left_out),
    )


def lock_seen(seen: Seen, wheels: WheelStore) -> EnvironmentLock:
    """Find the packages again, and nothing besides: an environment may lack what one of them says it needs.

    Raises:
        EnvironmentFailed: No index has one of them for this Python and machine.
    """
    with tempfile.TemporaryDirectory(prefix="relive-seen-") as folder:
        pins = "".join(f"{name}=={version}\n" for name, version in sorted(seen.pins.items()))
        (Path(folder) / _REQUIREMENTS).write_text(pins)
        env = EnvSpec(python=seen.python, lock=_REQUIREMENTS)
        try:
            found = resolve_environment(Path(folder), env, wheels, is_whole=True)
        except EnvironmentFailed as error:
            error.source = "the packages that were seen"  # nobody but us knows of the file
            raise
    # No file of the code: its sources are named by the folders alone.
    return msgspec.structs.replace(found, source="", folders=seen.folders)


def _whence(item: Distribution) -> str:
    words = {"path": "a folder of that machine", "vcs": "a repository", "url": "an address"}
    return words.get(item.origin, item.origin)
