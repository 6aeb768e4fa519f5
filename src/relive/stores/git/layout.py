"""How a project's bare repository lies on disk: made, configured and mended, whatever was there before.

Every file that relive writes here is replaced as a whole, so a process may be killed at any point and the
next `ensure` goes on from whatever it finds.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from relive.errors import GitFailed, InvalidName
from relive.stores.git.command import run

_IN_USE: Final = "relive.lock"
_FOLDERS: Final = ("objects/info", "objects/pack", "refs/heads", "refs/tags")

# What a killed git leaves behind. A lock that nobody holds would refuse every later push.
_LEFTOVERS: Final = (
    *("HEAD.lock", "config.lock", "packed-refs.lock", "packed-refs.new", "shallow.lock", "refs/**/*.lock"),
    *("objects/tmp_objdir-*", "objects/incoming-*", "objects/pack/tmp_*", "objects/pack/.tmp-*"),
    *("objects/[0-9a-f][0-9a-f]/tmp_obj_*", "objects/tmp_obj_*"),
)

_CONFIG: Final = """\
# Written by relive; changes made here are lost.
[core]
\trepositoryformatversion = 0
\tfilemode = true
\tbare = true
\thooksPath = {hooks}
\tfsync = committed,reference
\tfsyncMethod = batch
\tbigFileThreshold = 16m
[transfer]
\tfsckObjects = true
\thideRefs = refs/relive
[receive]
\tfsckObjects = true
\tmaxInputSize = {limit}
\tadvertisePushOptions = true
\tautogc = false
[receive "fsck"]
\tbadTimezone = warn
\tmissingSpaceBeforeDate = warn
\tzeroPaddedFilemode = warn
[fetch "fsck"]
\tbadTimezone = warn
\tmissingSpaceBeforeDate = warn
\tzeroPaddedFilemode = warn
[uploadpack]
\tallowAnySHA1InWant = true
[http]
\treceivepack = true
[gc]
\tauto = 0
[pack]
\twindowMemory = 64m
"""


def ensure(path: Path, *, hooks: Path, limit_bytes: int, default_branch: str | None) -> None:
    """Make the bare repository at `path` whole and configured; what is right already is left alone.

    The layout is the one that git documents (gitrepository-layout): starting git to make four folders would
    cost a process before every push, and `git init` does not mend a HEAD that a power cut left empty.

    Raises:
        InvalidName: `default_branch` cannot be the name of a branch.
    """
    if default_branch is not None:
        _check_branch(default_branch)
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    with alone(path) as is_alone:
        if is_alone:
            _remove_leftovers(path)
    for folder in _FOLDERS:
        (path / folder).mkdir(parents=True, exist_ok=True)
    if default_branch is not None or not _names_a_branch(path / "HEAD"):
        _write(path / "HEAD", f"ref: refs/heads/{default_branch or 'main'}\n")
    _write(path / "config", _CONFIG.format(hooks=_quoted(hooks), limit=limit_bytes))


@contextmanager
def in_use(path: Path) -> Iterator[int]:
    """Give a file descriptor that marks the repository as in use while any process keeps it open.

    A process that writes to the repository is given it, so that the mark lives as long as that process,
    also if the one that started it is killed.
    """
    mark = os.open(path / _IN_USE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(mark, fcntl.LOCK_SH)
        yield mark
    finally:
        os.close(mark)  # no unlock: that would unlock it for those who inherited it too


@contextmanager
def alone(path: Path) -> Iterator[bool]:
    """Tell whether nobody writes to the repository, and keep it so in the block; never waits."""
    mark = os.open(path / _IN_USE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(mark)


def _remove_leftovers(path: Path) -> None:
    for pattern in _LEFTOVERS:
        for leftover in path.glob(pattern):
            if leftover.is_dir() and not leftover.is_symlink():
                shutil.rmtree(leftover)
            else:
                leftover.unlink(missing_ok=True)


def _names_a_branch(head: Path) -> bool:
    try:
        return head.read_text().startswith("ref: refs/heads/")
    except (FileNotFoundError, UnicodeDecodeError):
        return False


def _check_branch(name: str) -> None:
    wanted = "the name of a branch, such as 'main'"
    if not name or "\0" in name or name.startswith("-"):
        raise InvalidName(field="default branch", value=name, wanted=wanted)
    try:
        run(["check-ref-format", f"refs/heads/{name}"])
    except GitFailed:
        raise InvalidName(field="default branch", value=name, wanted=wanted) from None


def _quoted(path: Path) -> str:
    """Write a path as git's configuration reads it."""
    text = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{text}"'


def _write(path: Path, text: str) -> None:
    """Replace a small file as a whole and durably, unless it says the same already."""
    data = text.encode()
    with suppress(FileNotFoundError):
        if path.read_bytes() == data:
            return
    partial = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}")
    try:
        with open(partial, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
