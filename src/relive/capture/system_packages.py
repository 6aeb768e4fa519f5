"""Which package of the operating system brought a shared library, by the lists of its package manager.

Nothing is started: the lists of Debian and Ubuntu (dpkg) and of Alpine (apk) are read as text. Sources:
dpkg-query(1), "/var/lib/dpkg"; the Alpine wiki, "Apk spec". RPM keeps a database of its own, which only its
library reads.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

_DPKG: Final = "var/lib/dpkg"
_APK: Final = "lib/apk/db/installed"
# A database of RPM, at one of the places that it has had.
_RPM: Final = ("var/lib/rpm", "usr/lib/sysimage/rpm")
# Where /lib is a link to /usr/lib, packages may still name their files in /lib.
_MERGED: Final = re.compile(r"^/usr(?=/(?:lib|lib32|lib64|libx32|bin|sbin)/)")
# Where packages put libraries; CUDA's lie in /usr/local.
_PLACES: Final = ("/lib", "/usr/", "/opt/")
_PACKAGE: Final = re.compile(rb"^Package: (\S+)$", re.MULTILINE)
_ARCHITECTURE: Final = re.compile(rb"^Architecture: (\S+)$", re.MULTILINE)
_VERSION: Final = re.compile(rb"^Version: (\S+)$", re.MULTILINE)


def packages_of(files: Iterable[str], root: Path = Path("/")) -> dict[str, str]:
    """Find the packages of some shared libraries.

    Args:
        files: Absolute paths, as the kernel names them: without links.
        root: Below which the package manager's lists lie.

    Returns:
        File → "libc6 2.36-9+deb12u7". Without those that no package brought, and empty where the lists
        cannot be read.
    """
    wanted = _names(files)
    if not wanted:
        return {}
    try:
        found = dict(_of_dpkg(wanted, root / _DPKG)) or dict(_of_apk(wanted, root / _APK))
    except OSError:
        return {}
    return {wanted[name]: package for name, package in found.items()}


def unread_manager(root: Path = Path("/")) -> str:
    """Name the package manager whose lists are not read here; empty if there is none such."""
    if (root / _DPKG / "status").exists() or (root / _APK).exists():
        return ""
    return "RPM" if any((root / place).is_dir() for place in _RPM) else ""


def _names(files: Iterable[str]) -> Mapping[str, str]:
    """Give the names under which a package may list files → the files."""
    names: dict[str, str] = {}
    for file in files:
        if file.startswith(_PLACES):
            names[file] = file
            names[_MERGED.sub("", file)] = file
    return names


def _of_dpkg(wanted: Mapping[str, str], place: Path) -> Iterator[tuple[str, str]]:
    if not (place / "status").exists():
        return
    versions = dict(_dpkg_versions((place / "status").read_bytes()))
    lines = {os.fsencode(name) for name in wanted}
    for name in sorted(os.listdir(place / "info")):
        if not name.endswith(".list"):
            continue
        listed = (place / "info" / name).read_bytes()
        # Of 700 packages 400 have none: what is not split need not be looked up.
        own = lines.intersection(listed.split(b"\n")) if b".so" in listed else ()
        package = name.removesuffix(".list")
        said = f"{package.partition(':')[0]} {versions.get(package, '')}".rstrip()
        for line in own:
            yield os.fsdecode(line), said


def _dpkg_versions(status: bytes) -> Iterator[tuple[str, str]]:
    """Give the versions by the names of their lists: NAME, or NAME:ARCHITECTURE if several may be there."""
    for part in status.split(b"\n\n"):
        package, version = _PACKAGE.search(part), _VERSION.search(part)
        if package is None or version is None:
            continue
        name, number = package[1].decode(errors="replace"), version[1].decode(errors="replace")
        yield name, number
        if architecture := _ARCHITECTURE.search(part):
            yield f"{name}:{architecture[1].decode(errors='replace')}", number


def _of_apk(wanted: Mapping[str, str], database: Path) -> Iterator[tuple[str, str]]:
    """Read Alpine's list: a paragraph for each package; P name, V version, F folder, R a file in it."""
    if not database.exists():
        return
    package = version = folder = ""
    with open(database, encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            key, _, value = line.rstrip("\n").partition(":")
            if key == "P":
                package = value
            elif key == "V":
                version = value
            elif key == "F":
                folder = value
            elif key == "R" and (name := f"/{folder}/{value}") in wanted:
                yield name, f"{package} {version}"
