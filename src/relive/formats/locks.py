"""Lock files: which they are, what an environment depends on, and the lock that relive itself keeps.

Both sides use this: the hub to know whether an environment was resolved before (its key), the runner to
resolve it. Resolving is in `runner.environment`; here nothing is read but the bytes that are handed in.
"""

import posixpath
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import msgspec

from relive.core.digest import Digest, canonical_json
from relive.core.pipeline import EnvSpec
from relive.core.recipe import EnvironmentLock
from relive.errors import EnvironmentFailed, InvalidInput
from relive.formats.hashing import blake3_digest, document_digest

# What says how a project is built and which packages it needs.
_PROJECT_FILES: Final = ("pyproject.toml", "setup.py", "setup.cfg")
_KEY_SCHEMA: Final = "relive.environment-key/1"

Read = Callable[[str], bytes | None]


class LockKind(StrEnum):
    """What kind of lock file a name says; only the first two say every package and its hash."""

    UV = "uv.lock"
    PYLOCK = "pylock.toml"
    REQUIREMENTS = "requirements.txt"


@dataclass(frozen=True)
class LocalProject:
    """A folder of the tree that an environment contains as a package.

    Attributes:
        path: Relative to the tree.
        editable: Whether its sources are used as they lie there, rather than built into a wheel.
    """

    path: str
    editable: bool


@dataclass(frozen=True)
class RequirementLine:
    """One line of a requirements file, continuations joined.

    Attributes:
        text: The requirement without options, empty for a line that is an option.
        hashes: Allowed digests in hexadecimal, by algorithm ("sha256:…").
        include: File named by `-r` or `-c`, relative to this one.
        editable: Whether it was given with `-e`.
    """

    text: str = ""
    hashes: frozenset[str] = frozenset()
    include: str = ""
    editable: bool = False


def lock_kind(path: str) -> LockKind:
    """Say what kind of lock file a path names.

    Raises:
        InvalidInput: It names none that relive can read.
    """
    name = posixpath.basename(path)
    if name == LockKind.UV:
        return LockKind.UV
    if re.fullmatch(r"pylock(\.[^.]+)?\.toml", name):
        return LockKind.PYLOCK
    if name.endswith((".txt", ".in")):
        return LockKind.REQUIREMENTS
    raise InvalidInput(
        field="env.lock", value=path, wanted="uv.lock, pylock.toml, pylock.NAME.toml or a requirements.txt"
    )


def environment_files(lock: str, read: Read, folder_digest: Callable[[str], str]) -> dict[str, bytes]:
    """Collect everything in a tree that an environment depends on: what `environment_key` is taken over.

    Args:
        lock: Path of the lock file.
        read: Gives the bytes of a path of the tree, None if it has none.
        folder_digest: Gives the digest of all that lies in a folder of the tree.

    Raises:
        EnvironmentFailed: The lock file is not in the tree, or cannot be read.
    """
    data = read(lock)
    if data is None:
        raise EnvironmentFailed(
            source=lock, reason="there is no such file in the tree", hint=f"git add {lock}"
        )
    files = {lock: data}
    if lock_kind(lock) is LockKind.REQUIREMENTS:
        files |= _included(lock, read)
    for project in [LocalProject(posixpath.dirname(lock) or ".", editable=True), *local_projects(lock, read)]:
        if not project.editable:
            files[f"{project.path}/"] = folder_digest(project.path).encode()
            continue
        for name in _PROJECT_FILES:
            path = posixpath.normpath(posixpath.join(project.path, name))
            content = read(path)
            if content is not None:
                files[path] = content
    return files


def environment_key(
    files: Mapping[str, bytes], env: EnvSpec, *, python: str = "", platform: str = ""
) -> Digest:
    """Name an environment before it is resolved: the same key gives the same lock.

    Args:
        files: The lock file and what it depends on, as `environment_files` collects them.
        env: What was asked for.
        python: Version of the interpreter that is used when `env` names none.
        platform: Wheel platform it is resolved for; empty for any.
    """
    return document_digest(
        {
            "schema": _KEY_SCHEMA,
            "python": env.python or python,
            "platform": platform,
            "lock": env.lock,
            "files": {path: blake3_digest(data) for path, data in files.items()},
        }
    )


def lock_bytes(lock: EnvironmentLock) -> bytes:
    """Write an environment lock as the canonical bytes that its digest is taken over."""
    return canonical_json(lock)


def lock_digest(lock: EnvironmentLock) -> Digest:
    """Give the digest of an environment lock, which names the environment."""
    return blake3_digest(lock_bytes(lock))


def read_lock(data: bytes) -> EnvironmentLock:
    """Read an environment lock.

    Raises:
        InvalidInput: The bytes are something else.
    """
    try:
        return msgspec.json.decode(data, type=EnvironmentLock)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidInput(
            field="environment lock", value=data[:80], wanted=f"an environment lock ({error})"
        ) from error


def local_projects(lock: str, read: Read) -> list[LocalProject]:
    """Name the folders of a tree that a lock file takes as packages, the project itself among them.

    Raises:
        EnvironmentFailed: The lock file cannot be read.
    """
    kind = lock_kind(lock)
    base = posixpath.dirname(lock)
    if kind is LockKind.REQUIREMENTS:
        found = _projects_of_requirements(lock, read)
    else:
        document = _toml(lock, read(lock) or b"")
        found = _projects_of_uv(document) if kind is LockKind.UV else _projects_of_pylock(document)
    inside = (LocalProject(posixpath.normpath(posixpath.join(base, it.path)), it.editable) for it in found)
    # What lies outside the tree was not checked out with it, so nothing can be said about it.
    return [it for it in inside if not it.path.startswith(("..", "/"))]


def requirement_lines(text: str) -> Iterator[RequirementLine]:
    """Read a requirements file line by line, as pip does."""
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        words = re.sub(r"(^|\s)#.*$", "", line).split()
        if not words:
            continue
        hashes = frozenset(re.findall(r"--hash[=\s]+(\w+:[0-9a-fA-F]+)", " ".join(words)))
        if include := _value(words, ("-r", "--requirement", "-c", "--constraint")):
            yield RequirementLine(include=include)
        elif project := _value(words, ("-e", "--editable")):
            yield RequirementLine(text=project, editable=True)
        elif not words[0].startswith("-"):
            before_options = " ".join(words).partition(" --")[0]
            yield RequirementLine(text=before_options.strip(), hashes=hashes)


def allowed_hashes(lock: str, read: Read) -> dict[str, frozenset[str]]:
    """Give the hashes that a requirements file allows, by normalised package name."""
    allowed: dict[str, frozenset[str]] = {}
    for path, data in {lock: read(lock) or b"", **_included(lock, read)}.items():
        for line in requirement_lines(_text(path, data)):
            name = re.match(r"[A-Za-z0-9._-]+", line.text)
            if name and line.hashes:
                normal = re.sub(r"[-_.]+", "-", name.group()).lower()
                allowed[normal] = allowed.get(normal, frozenset()) | line.hashes
    return allowed


def _value(words: list[str], options: tuple[str, ...]) -> str:
    """Give the value of an option that a line consists of, written in any of pip's three ways."""
    for option in options:
        if words[0] == option and len(words) > 1:
            return words[1]
        if option.startswith("--") and words[0].startswith(f"{option}="):
            return words[0].partition("=")[2]
        if not option.startswith("--") and words[0].startswith(option) and len(words[0]) > len(option):
            return words[0][len(option) :]
    return ""


def _included(lock: str, read: Read) -> dict[str, bytes]:
    """Give the files that a requirements file includes, however deep; what is absent is left out."""
    found: dict[str, bytes] = {}
    todo = [lock]
    while todo:
        path = todo.pop()
        data = read(path)
        if data is None or path in found:
            continue
        found[path] = data
        here = posixpath.dirname(path)
        todo += [
            posixpath.normpath(posixpath.join(here, line.include))
            for line in requirement_lines(_text(path, data))
            if line.include and "://" not in line.include
        ]
    found.pop(lock, None)
    return found


def _projects_of_requirements(lock: str, read: Read) -> Iterator[LocalProject]:
    for path, data in {lock: read(lock) or b"", **_included(lock, read)}.items():
        # pip reads a path relative to where it was started, which for relive is the lock's own folder.
        for line in requirement_lines(_text(path, data)):
            folder = re.sub(r"\[.*\]$", "", line.text.removeprefix("file:"))
            is_archive = folder.endswith((".whl", ".zip", ".tar.gz", ".tgz"))
            if (folder == "." or folder.startswith(("./", "../"))) and not is_archive:
                yield LocalProject(folder, line.editable)


def _projects_of_uv(document: dict[str, Any]) -> Iterator[LocalProject]:
    for package in document.get("package", []):
        source = package.get("source", {})
        for key in ("editable", "directory"):
            if key in source:
                yield LocalProject(str(source[key]), editable=key == "editable")


def _projects_of_pylock(document: dict[str, Any]) -> Iterator[LocalProject]:
    for package in document.get("packages", []):
        if "directory" in package:
            folder = package["directory"]
            yield LocalProject(str(folder.get("path", ".")), editable=bool(folder.get("editable")))


def _toml(path: str, data: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(_text(path, data))
    except tomllib.TOMLDecodeError as error:
        raise EnvironmentFailed(source=path, reason=f"it is no TOML: {error}") from error


def _text(path: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise EnvironmentFailed(source=path, reason=f"it is not UTF-8: {error}") from error
