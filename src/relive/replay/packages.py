"""Which packages of two environments can be exchanged one by one: what their wheels say they need.

A lock with one pin exchanged may be one that no resolver would give, and a run in it may fail for that reason
alone. So pins that do not go with each other's other version are exchanged together.
"""

import zipfile
from collections.abc import Iterable, Mapping
from email.parser import BytesParser
from pathlib import Path
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from relive.core.recipe import EnvironmentLock, LockedPackage
from relive.runner.environment.wheels import WheelStore

_MOST_BYTES: Final = 4 * 1024 * 1024


def exchangeable(one: EnvironmentLock, other: EnvironmentLock, wheels: WheelStore) -> list[tuple[str, ...]]:
    """Give the names of packages that differ, those together that cannot be exchanged alone.

    Raises:
        EnvironmentFailed: A wheel is kept nowhere.
    """
    before, after = ({it.name: it for it in lock.packages} for lock in (one, other))
    names = sorted(
        name for name in before.keys() | after.keys() if _differ(before.get(name), after.get(name))
    )
    groups = _Groups(names)
    for mine, theirs in ((before, after), (after, before)):
        packages = [mine[name] for name in names if name in mine]
        for wheel in wheels.bring(packages, source=one.source or "the environment"):
            for need in requirements_of(wheel.path):
                if _binds(need, mine, theirs, names):
                    groups.join(wheel.package.name, canonicalize_name(need.name))
    return groups.found()


def requirements_of(wheel: Path) -> list[Requirement]:
    """Give what a wheel needs on this machine without extras; nothing if its metadata cannot be read."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
            data = archive.read(names[0]) if names and _is_small(archive, names[0]) else b""
    except (zipfile.BadZipFile, OSError):
        return []
    texts = BytesParser().parsebytes(data, headersonly=True).get_all("Requires-Dist", [])
    found = filter(None, map(_parse, texts))
    return [it for it in found if it.marker is None or it.marker.evaluate({"extra": ""})]


def _is_small(archive: zipfile.ZipFile, name: str) -> bool:
    return archive.getinfo(name).file_size <= _MOST_BYTES


def _parse(text: str) -> Requirement | None:
    try:
        return Requirement(str(text))
    except InvalidRequirement:
        return None


def _binds(
    need: Requirement,
    mine: Mapping[str, LockedPackage],
    theirs: Mapping[str, LockedPackage],
    names: Iterable[str],
) -> bool:
    """Tell whether what is needed differs, and the other environment's version of it will not do."""
    name = canonicalize_name(need.name)
    if name not in names or name not in mine:
        return False
    version = theirs[name].version if name in theirs else None
    return version is None or not need.specifier.contains(version, prereleases=True)


def _differ(one: LockedPackage | None, other: LockedPackage | None) -> bool:
    return one is None or other is None or (one.version, one.sha256) != (other.version, other.sha256)


class _Groups:
    """Names that belong together: disjoint sets."""

    def __init__(self, names: Iterable[str]) -> None:
        self._of = {name: {name} for name in names}

    def join(self, one: str, other: str) -> None:
        """Put the sets of two names together."""
        if one in self._of and other in self._of and self._of[one] is not self._of[other]:
            whole = self._of[one] | self._of[other]
            for name in whole:
                self._of[name] = whole

    def found(self) -> list[tuple[str, ...]]:
        """Give each set once, its names sorted."""
        return sorted({tuple(sorted(names)) for names in self._of.values()})
