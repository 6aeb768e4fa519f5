"""From a lock file of any kind to the exact files to install: one road through PEP 751's pylock.toml.

uv writes each kind of lock as a pylock; `packaging` reads it and picks for one interpreter. A lock that
names only ranges is resolved here and now, and what it was resolved to is kept.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from packaging.pylock import (
    PackageArchive,
    PackageDirectory,
    PackageSdist,
    PackageVcs,
    PackageWheel,
    Pylock,
    PylockSelectError,
    PylockUnsupportedVersionError,
    PylockValidationError,
)
from packaging.specifiers import SpecifierSet

from relive.core.pipeline import EnvSpec
from relive.errors import EnvironmentFailed
from relive.formats.locks import LockKind, allowed_hashes, lock_kind
from relive.runner.environment.interpreters import Interpreter, find_interpreter, own_interpreter
from relive.runner.environment.uv import run_uv

Source = PackageWheel | PackageSdist | PackageArchive | PackageDirectory | PackageVcs

_QUIET: Final = ("--quiet", "--no-header")


@dataclass(frozen=True)
class Chosen:
    """One package to install.

    Attributes:
        name: Normalised.
        version: Empty where only building tells it.
        source: The one file, folder or repository it is taken from.
        allowed: Hashes that the lock allows ("sha256:…"); empty if it names none.
    """

    name: str
    version: str
    source: Source
    allowed: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Resolution:
    """What a lock file means for one interpreter; `folder` is what relative paths in it are relative to."""

    source: str
    folder: Path
    interpreter: Interpreter
    packages: tuple[Chosen, ...]


def resolve(tree: Path, env: EnvSpec, *, is_whole: bool = False) -> Resolution:
    """Say which files an environment is made of.

    Args:
        tree: The checked-out tree.
        env: What was asked for.
        is_whole: Whether what is named is all there is to be: nothing that it needs is added.

    Raises:
        EnvironmentFailed: The lock is absent or broken, no interpreter fits, or the packages cannot be
            resolved.
        InvalidInput: The lock file's name says no kind that relive can read.
    """
    source = env.lock or "the interpreter alone"
    if not env.lock:
        return Resolution(source, tree, find_interpreter(env.python, source=source), ())
    path = tree / env.lock
    if not path.is_file():
        there = sorted(it.name for it in tree.glob("*") if _may_be_lock(it.name))
        reason = f"there is no file {env.lock} in the tree" + (
            f"; there is {', '.join(there)}" if there else ""
        )
        raise EnvironmentFailed(source=env.lock, reason=reason, hint=f"git add {env.lock}")
    kind = lock_kind(env.lock)
    interpreter = find_interpreter(env.python or _wanted_python(path, kind), source=source)
    document = _parse(_as_pylock(path, kind, interpreter, is_whole=is_whole), env.lock)
    _keep_allowed(document, _allowed(path, kind), env.lock)
    packages = sorted(_choose(document, interpreter, env.lock), key=lambda it: it.name)
    return Resolution(source, path.parent, interpreter, tuple(packages))


def local_path(source: Source, folder: Path) -> Path | None:
    """Give where a package's file or folder lies on this machine, None if it has to be fetched."""
    path = str(getattr(source, "path", None) or "")
    if path:
        return folder / path
    url = str(getattr(source, "url", None) or "")
    if url.startswith("file:"):
        return Path(unquote(urlsplit(url).path))
    return None


def _as_pylock(path: Path, kind: LockKind, interpreter: Interpreter, *, is_whole: bool) -> str:
    if kind is LockKind.PYLOCK:
        return path.read_text(encoding="utf-8")
    if kind is LockKind.UV:
        if not (path.parent / "pyproject.toml").is_file():
            raise EnvironmentFailed(
                source=path.name,
                reason="there is no pyproject.toml beside it, which uv needs to read it",
                hint="git add pyproject.toml",
            )
        export = ["export", "--frozen", "--format", "pylock.toml", "--no-emit-project"]
        return run_uv([*export, *_QUIET], source=path.name, folder=path.parent)
    compiling = ["pip", "compile", "--format", "pylock.toml", "--python", str(interpreter.path)]
    alone = ["--no-deps"] if is_whole else []
    return run_uv([*compiling, *alone, *_QUIET, path.name], source=path.name, folder=path.parent)


def _parse(text: str, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise EnvironmentFailed(source=source, reason=f"it is no TOML: {error}") from error


def _keep_allowed(document: dict[str, Any], allowed: dict[str, frozenset[str]], source: str) -> None:
    """Drop the files whose hashes a requirements file does not allow; uv resolves without looking at them."""
    for package in document.get("packages", []):
        hashes = allowed.get(package.get("name", ""))
        if hashes is None:
            continue
        wheels = [wheel for wheel in package.pop("wheels", []) if _table_hashes(wheel) & hashes]
        sdist = package.pop("sdist", {})
        if wheels:
            package["wheels"] = wheels
        if _table_hashes(sdist) & hashes:
            package["sdist"] = sdist
        if not wheels and "sdist" not in package and "archive" not in package:
            what = f"{package['name']} {package.get('version', '')}".strip()
            raise EnvironmentFailed(
                source=source,
                reason=f"no file of {what} that can be found here has a hash that it allows "
                f"({', '.join(sorted(hashes))})",
                hint="write the hashes again: uv pip compile --generate-hashes",
            )


def _choose(document: dict[str, Any], interpreter: Interpreter, source: str) -> list[Chosen]:
    try:
        pylock = Pylock.from_dict(document)
        selected = list(pylock.select(environment=interpreter.markers, tags=interpreter.tags))
    except PylockSelectError as error:
        raise EnvironmentFailed(source=source, reason=f"it does not fit this machine: {error}") from error
    except (PylockValidationError, PylockUnsupportedVersionError, ValueError) as error:
        reason = f"it is no pylock.toml that can be used: {error}"
        raise EnvironmentFailed(source=source, reason=reason) from error
    return [
        Chosen(str(package.name), str(package.version or ""), found, _hashes(found))
        for package, found in selected
        # An editable project is not installed: its sources are put on the path where they were checked out.
        if not (isinstance(found, PackageDirectory) and found.editable)
    ]


def _table_hashes(table: dict[str, Any]) -> frozenset[str]:
    return frozenset(f"{name}:{str(value).lower()}" for name, value in table.get("hashes", {}).items())


def _hashes(source: Source) -> frozenset[str]:
    hashes = getattr(source, "hashes", None) or {}
    return frozenset(f"{algorithm}:{value.lower()}" for algorithm, value in hashes.items())


def _allowed(path: Path, kind: LockKind) -> dict[str, frozenset[str]]:
    if kind is not LockKind.REQUIREMENTS:
        return {}

    def read(name: str) -> bytes | None:
        file = path.parent / name
        return file.read_bytes() if file.is_file() else None

    return allowed_hashes(path.name, read)


def _wanted_python(path: Path, kind: LockKind) -> str:
    """Say which Python a lock needs when nothing was asked for; empty if relive's own fits."""
    if kind is LockKind.REQUIREMENTS:
        return ""
    try:
        wanted = str(tomllib.loads(path.read_text(encoding="utf-8")).get("requires-python", ""))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return ""  # what reads the whole file says it better
    fits = not wanted or SpecifierSet(wanted).contains(own_interpreter().version, prereleases=True)
    return "" if fits else wanted


def _may_be_lock(name: str) -> bool:
    return name in ("uv.lock", "pyproject.toml") or name.startswith(("requirements", "pylock."))
