"""Where a run's own things end: what a file that it opens is to it.

Standard library only: the recorder asks it while the command waits, and the runner when it has ended.
"""

import os
import re
import tempfile
from collections.abc import Container, Iterable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

from relive.core.paths import is_within

_SYSTEM: Final = (
    *("/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc", "/proc", "/sys", "/dev", "/run"),
    # Of /var what the system keeps for its programs: indexes of fonts, libraries, packages, formats of TeX.
    *("/var/cache/fontconfig", "/var/cache/ldconfig", "/var/lib/dbus", "/var/lib/dpkg", "/var/lib/rpm"),
    *("/var/lib/sss", "/var/lib/texmf"),
)
# Below these people keep data all the same.
_NOT_SYSTEM: Final = ("/dev/shm", "/run/media", "/usr/local")  # noqa: S108  # looked at, not written to
_LOCAL_SYSTEM: Final = tuple(
    f"/usr/local/{name}"
    for name in ("bin", "etc", "games", "include", "lib", "lib32", "lib64", "libexec", "man", "sbin", "share")
)
# Of a program's own folder, what lies beside its `bin`.
_INSTALLED: Final = ("bin", "etc", "include", "lib", "lib32", "lib64", "libexec", "sbin", "share", "shims")
_PROGRAM_FOLDERS: Final = {"bin", "sbin", "libexec", "shims"}
# A version manager's programs stand for those that lie here.
_MANAGED: Final = ("installs", "plugins", "pyenv.d", "version", "versions")
# Of DVC: locks, the index of its stages, and which stages it ran with what; the cache of data is none of it.
_DVC: Final = re.compile(r"/\.dvc/(tmp|cache/runs)(/|$)")
_DVC_FOLDERS: Final = ("/var/tmp/dvc", "/var/cache/dvc")  # noqa: S108  # looked at, not written to
_UV_LOCK: Final = re.compile(r"uv-(\w+-)?[0-9a-f]{16}\.lock")
_NOTES: Final = ("/.dockerenv", "/run/.containerenv")
_TREE_NOISE: Final = (".git", "__pycache__")


class Belongs(StrEnum):
    """What a file that was read is to the run; the last three are not declared."""

    ENVIRONMENT = "environment"
    SYSTEM = "system"
    OWN = "own"
    DECLARED = "declared"
    COMMIT = "commit"
    IGNORED = "ignored"
    OUTSIDE = "outside"


UNDECLARED: Final = (Belongs.COMMIT, Belongs.IGNORED, Belongs.OUTSIDE)


@dataclass(frozen=True)
class Borders:
    """Where a run's own things end.

    Attributes:
        tree: The root of the code.
        commit: Paths of the code that was recorded, relative to the tree.
        declared: Declared inputs, relative to the tree; "." for the whole code.
        environment: Folders of its packages, its interpreter and of relive.
        began_at_ns: When its command was started, as `file_time_ns` gives it.
    """

    tree: Path
    commit: frozenset[str]
    declared: tuple[str, ...]
    environment: tuple[str, ...]
    began_at_ns: int

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Self:
        """Take what `as_document` gave."""
        return cls(
            tree=Path(document["tree"]),
            commit=frozenset(document["commit"]),
            declared=tuple(document["declared"]),
            environment=tuple(document["environment"]),
            began_at_ns=document["began_at_ns"],
        )

    def as_document(self) -> dict[str, Any]:
        """Give all of it as what JSON holds."""
        return {**asdict(self), "tree": str(self.tree), "commit": sorted(self.commit)}

    def of(self, path: str, changed_ns: int, made: Container[str]) -> Belongs:
        """Say what a file is to the run; the first rule that knows it decides.

        Args:
            path: As it was asked for, absolute.
            changed_ns: When it changed last before it was opened first.
            made: Paths that the run made itself.
        """
        real = os.path.realpath(path)
        if any(lies_in(one, folder) for one in (path, real) for folder in self.environment):
            return Belongs.ENVIRONMENT
        inside = self._inside(real)
        if path in made or changed_ns > self.began_at_ns:
            return Belongs.OWN
        if inside is None:
            return Belongs.SYSTEM if _is_system(real) else Belongs.OUTSIDE
        return self._in_tree(inside)

    def _in_tree(self, inside: str) -> Belongs:
        if any(part in _TREE_NOISE for part in inside.split("/")):
            return Belongs.OWN
        if any(is_within(inside, named) for named in self.declared if named != "."):
            return Belongs.DECLARED
        if inside not in self.commit:
            return Belongs.IGNORED
        return Belongs.DECLARED if "." in self.declared else Belongs.COMMIT

    @cached_property
    def _root(self) -> str:
        return os.path.realpath(self.tree)

    def _inside(self, real: str) -> str | None:
        return os.path.relpath(real, self._root) if lies_in(real, self._root) else None

    def is_code(self, path: str) -> bool:
        """Tell whether a path is one of the recorded code."""
        return self._inside(os.path.realpath(path)) in self.commit

    def shown(self, path: str) -> str:
        """Give a path as people know it: relative to the tree if it lies there, of a link its target."""
        real = os.path.realpath(path)
        leads_out = any(lies_in(path, root) for root in (str(self.tree), self._root))
        return self._inside(real) or (real if leads_out else path)


def program_roots(programs: Iterable[str], *, keep_out: Iterable[str]) -> set[str]:
    """Give the folders that programs are installed in: the `bin`, and what belongs beside one.

    Args:
        programs: Paths of programs that were started.
        keep_out: Folders that are never taken for one, nor what they lie in.
    """
    kept_out = list(keep_out)
    roots = {root for root in map(_root_of, programs) if root and not _holds_any(root, kept_out)}
    found = {os.path.join(root, name) for root in roots for name in _INSTALLED}
    managed = {root for root in roots if os.path.isdir(os.path.join(root, "shims"))}
    return found | {os.path.join(root, name) for root in managed for name in _MANAGED}


def environment_folders(prefixes: Iterable[Path], *others: Path) -> tuple[str, ...]:
    """Give the folders of Python environments with the interpreters below them, and others."""
    return tuple(sorted({str(folder) for folder in (*_with_bases(prefixes), *others)}))


def system_folders() -> tuple[str, ...]:
    """Give the folders of the system itself that are here."""
    return tuple(folder for folder in _SYSTEM if os.path.isdir(folder))


def is_a_tool_s_own(path: str) -> bool:
    """Tell whether a file is a tool's note to itself, of which no result depends.

    Of uv, as what it installs is recorded by name; of DVC; lists of this machine's fonts; settings of git;
    what says that this is a container; what a library counts its users by.
    """
    if path in _NOTES or lies_in_any(path, (*_DVC_FOLDERS, *_notes_of_people())) or _DVC.search(path):
        return True
    folder, name = os.path.split(path)
    return folder == tempfile.gettempdir() and (name == ".ses" or bool(_UV_LOCK.fullmatch(name)))


def _notes_of_people() -> tuple[str, ...]:
    caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    settings = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return (
        os.environ.get("UV_CACHE_DIR") or os.path.join(caches, "uv"),
        *(os.path.join(caches, name) for name in ("fontconfig", "matplotlib", "Microsoft/DeveloperTools")),
        os.path.join(settings, "git"),
        os.path.join(settings, "dvc"),
        os.path.join(settings, "mlflow/telemetry.json"),
        os.path.expanduser("~/.gitconfig"),
    )


def lies_in(path: str, folder: str) -> bool:
    """Tell whether an absolute path is this folder or lies in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def lies_in_any(path: str, folders: Iterable[str]) -> bool:
    """Tell whether an absolute path lies in one of these."""
    return any(lies_in(path, folder) for folder in folders)


def _is_system(path: str) -> bool:
    if lies_in_any(path, _NOT_SYSTEM):
        return lies_in_any(path, _LOCAL_SYSTEM)
    return lies_in_any(path, _SYSTEM)


def _root_of(program: str) -> str:
    folder = os.path.dirname(program)
    return os.path.dirname(folder) if os.path.basename(folder) in _PROGRAM_FOLDERS else ""


def _holds_any(root: str, others: Iterable[str]) -> bool:
    return root == "/" or any(lies_in(other, root) for other in others)


def _with_bases(prefixes: Iterable[Path]) -> Iterator[Path]:
    for prefix in prefixes:
        yield prefix
        yield Path(os.path.realpath(prefix))
        python = prefix / "bin" / "python"
        if python.exists():
            yield Path(os.path.realpath(python)).parent.parent
