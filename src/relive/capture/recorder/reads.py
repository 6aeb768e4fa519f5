"""What the recorder's lines mean: which files a run read that nobody had declared."""

import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import msgspec

from relive.capture.secrets import secret_file
from relive.core.paths import is_within, overlap
from relive.core.recipe import UndeclaredRead
from relive.formats.manifest_io import HashCache

MOST_READS: Final = 1000
# Hashing what nobody declared must not take longer than the run.
_MOST_BYTES: Final = 32 * 1024**3
_SYSTEM: Final = ("/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc", "/proc", "/sys", "/dev", "/run")
# Below these people keep data all the same.
_NOT_SYSTEM: Final = ("/dev/shm", "/run/media", "/usr/local")  # noqa: S108  # looked at, not written to
_LOCAL_SYSTEM: Final = tuple(
    f"/usr/local/{name}"
    for name in ("bin", "etc", "games", "include", "lib", "lib32", "lib64", "libexec", "man", "sbin", "share")
)
# Of a program's own folder, what lies beside its `bin`.
_INSTALLED: Final = ("bin", "etc", "include", "lib", "lib32", "lib64", "libexec", "sbin", "share", "shims")
_PROGRAM_FOLDERS: Final = {"bin", "sbin", "libexec", "shims"}
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


@dataclass
class Opened:
    """The recorder's lines, put together.

    Attributes:
        reads: Path to size, time of change (ns) and inode before it was read first.
        made: Paths that were not there before they were written.
        programs: That were started.
        addresses: That were connected to, "HOST:PORT".
        folders: Of which not each file was written down any more.
        unavailable: Why the kernel would not have it; empty if it did.
        begun: How many trees began.
        ended: How many of them were recorded to their end.
        blind: Why something was not seen.
        is_leaky: Whether opens may have gone past: io_uring was used, or lines found no room.
    """

    reads: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)
    programs: set[str] = field(default_factory=set)
    addresses: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    unavailable: str = ""
    begun: int = 0
    ended: int = 0
    blind: set[str] = field(default_factory=set)
    is_leaky: bool = False

    @property
    def is_whole(self) -> bool:
        """Tell whether every open was seen."""
        is_gap = self.unavailable or self.blind or self.is_leaky
        return self.begun > 0 and self.begun == self.ended and not is_gap


def read_opened(path: Path) -> Opened:
    """Read what the recorder wrote; nothing if it wrote nothing. A line that was cut off is a gap."""
    found = Opened()
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return found
    for line in lines:
        try:
            _take(found, _decoded(line))
        except (msgspec.DecodeError, KeyError, TypeError, ValueError):
            found.is_leaky = True
    return found


def _decoded(line: bytes) -> dict[str, Any]:
    # A path that is no UTF-8 holds half surrogates, which only the slower decoder takes.
    found: dict[str, Any] = json.loads(line) if b"\\ud" in line else msgspec.json.decode(line)
    return found


def printable(path: str) -> str:
    """Give a path as text that can be stored, also one whose bytes are no UTF-8."""
    return path.encode(errors="surrogateescape").decode(errors="backslashreplace")


def _take(found: Opened, line: dict[str, Any]) -> None:
    if line.get("folder"):
        found.folders.add(str(line.get("r") or line["w"]))
    elif "r" in line:
        size, changed, inode = line["s"]
        found.reads[line["r"]] = (size, changed, inode)
    elif "w" in line:
        if line.get("new"):
            found.made.add(line["w"])
    elif "x" in line:
        found.programs.add(line["x"])
    elif "c" in line:
        found.addresses.add(line["c"])
    elif "begin" in line:
        found.begun += 1
    elif "end" in line:
        found.ended += 1
        found.is_leaky = found.is_leaky or bool(line.get("dropped"))
    elif "blind" in line:
        found.blind.add(printable(str(line["blind"])))
    elif "unavailable" in line:
        found.unavailable = str(line["unavailable"])
    else:
        found.is_leaky = True


@dataclass(frozen=True)
class Borders:
    """Where a run's own things end.

    Attributes:
        tree: The root of the code.
        commit: Paths of the code that was recorded, relative to the tree.
        declared: Declared inputs, relative to the tree; "." for the whole code.
        written: What the run declares to write, relative to the tree.
        environment: Folders of its packages, its interpreter and of relive.
        began_at_ns: When its command was started, as `file_time_ns` gives it.
    """

    tree: Path
    commit: frozenset[str]
    declared: tuple[str, ...]
    written: tuple[str, ...]
    environment: tuple[str, ...]
    began_at_ns: int

    def of(self, path: str, stamp: tuple[int, int, int], opened: Opened) -> Belongs:
        """Say what a file is to the run; the first rule that knows it decides."""
        real = os.path.realpath(path)
        if any(_lies_in(one, folder) for one in (path, real) for folder in self.environment):
            return Belongs.ENVIRONMENT
        inside = self._inside(real)
        if path in opened.made or stamp[1] > self.began_at_ns:
            return Belongs.OWN
        if inside is None:
            return Belongs.SYSTEM if _is_system(real) else Belongs.OUTSIDE
        return self._in_tree(inside)

    def _in_tree(self, inside: str) -> Belongs:
        if any(part in _TREE_NOISE for part in inside.split("/")):
            return Belongs.OWN
        if any(is_within(inside, named) for named in self.declared if named != "."):
            return Belongs.DECLARED
        if any(overlap(inside, named) for named in self.written):
            return Belongs.OWN
        if inside not in self.commit:
            return Belongs.IGNORED
        return Belongs.DECLARED if "." in self.declared else Belongs.COMMIT

    @cached_property
    def _root(self) -> str:
        return os.path.realpath(self.tree)

    def _inside(self, real: str) -> str | None:
        return os.path.relpath(real, self._root) if _lies_in(real, self._root) else None

    def shown(self, path: str) -> str:
        """Give a path as people know it: relative to the tree if it lies there."""
        return self._inside(os.path.realpath(path)) or path


def find_undeclared(opened: Opened, borders: Borders, hashes: HashCache) -> list[UndeclaredRead]:
    """Find the files that were read and not declared, by path, each with a digest over its bytes now.

    At most `MOST_READS` are given, and some tens of GB digested. One that has changed since has no digest:
    what was read is not known any more; nor has one that by its name holds a secret, which could be guessed.
    """
    roots = program_roots(opened.programs, keep_out=(str(borders.tree), os.path.expanduser("~")))
    found: list[UndeclaredRead] = []
    room = _MOST_BYTES
    for path, stamp in sorted(opened.reads.items()):
        belongs = borders.of(path, stamp, opened)
        if belongs not in UNDECLARED or path in opened.programs or _lies_in_any(path, roots):
            continue
        if len(found) == MOST_READS:
            break
        shown = printable(borders.shown(path))
        is_wanted = stamp[0] <= room and not secret_file(shown)
        digest = _digest(path, stamp, hashes) if is_wanted else ""
        room -= stamp[0] if is_wanted else 0
        found.append(UndeclaredRead(path=shown, size_bytes=stamp[0], digest=digest, belongs=belongs.value))
    return found


def program_roots(programs: Iterable[str], *, keep_out: Iterable[str]) -> set[str]:
    """Give the folders that programs are installed in: the `bin`, and what belongs beside one.

    Args:
        programs: Paths of programs that were started.
        keep_out: Folders that are never taken for one, nor what they lie in.
    """
    roots = {root for root in map(_root_of, programs) if root and not _holds_any(root, keep_out)}
    return {os.path.join(root, name) for root in roots for name in _INSTALLED}


def _is_system(path: str) -> bool:
    if _lies_in_any(path, _NOT_SYSTEM):
        return _lies_in_any(path, _LOCAL_SYSTEM)
    return _lies_in_any(path, _SYSTEM)


def _root_of(program: str) -> str:
    folder = os.path.dirname(program)
    return os.path.dirname(folder) if os.path.basename(folder) in _PROGRAM_FOLDERS else ""


def _holds_any(root: str, others: Iterable[str]) -> bool:
    return root == "/" or any(_lies_in(other, root) for other in others)


def _digest(path: str, stamp: tuple[int, int, int], hashes: HashCache) -> str:
    try:
        found = os.stat(path)
        if (found.st_size, found.st_ctime_ns, found.st_ino) != stamp:
            return ""
        return hashes.digest_of(Path(path))[0]
    except OSError:
        return ""


def _lies_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _lies_in_any(path: str, folders: Iterable[str]) -> bool:
    return any(_lies_in(path, folder) for folder in folders)


def environment_folders(prefixes: Iterable[Path], *others: Path) -> tuple[str, ...]:
    """Give the folders of Python environments with the interpreters below them, and others."""
    return tuple(sorted({str(folder) for folder in (*_with_bases(prefixes), *others)}))


def _with_bases(prefixes: Iterable[Path]) -> Iterator[Path]:
    for prefix in prefixes:
        yield prefix
        yield Path(os.path.realpath(prefix))
        python = prefix / "bin" / "python"
        if python.exists():
            yield Path(os.path.realpath(python)).parent.parent


def file_time_ns(folder: Path) -> int:
    """Give the time as file systems stamp it, by a file that is made in a folder.

    Their clock stands still for some milliseconds: what was there before is stamped no later than this, and
    what a command makes, which takes longer to start, is stamped after it.
    """
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        return os.stat(file.name).st_ctime_ns
