"""Folders for one run of a command, below the temporary folder of the system.

They go with the process that made them. If that was killed, the next process that makes one removes what it
left: its folder says who made it, and holds a lock that the kernel lets go with the process. So one that
lives is never touched, not even from a container with other process numbers on the same folder.
"""

import fcntl
import functools
import json
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from relive.client.spool import process_started

_OWNER: Final = ".relive-owner"
_KINDS: Final = ("relive-replay-", "relive-run-", "relive-why-", "relive-preflight-")


class Scratch:
    """A folder of this process.

    Attributes:
        path: Where it is.
    """

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def make(cls, prefix: str) -> Self:
        """Make an empty one, once what dead processes left is gone.

        Args:
            prefix: Of its name; begins with one of the kinds that are looked for.

        Raises:
            OSError: There is no room, or no permission.
        """
        _sweep_once()
        path = Path(tempfile.mkdtemp(prefix=prefix))
        # Named last, with the lock held: a folder without an owner is left alone.
        partial = path / f"{_OWNER}.new"
        lock = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        owner = {"pid": os.getpid(), "started": process_started(os.getpid())}
        os.write(lock, json.dumps(owner).encode())
        os.rename(partial, path / _OWNER)
        return cls(path, lock)

    def remove(self) -> None:
        """Remove it with all that is in it, as far as it can be."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)

    def leave(self) -> None:
        """Leave it where it is, for good: nobody removes what has no owner."""
        with suppress(OSError):
            (self.path / _OWNER).unlink()
        os.close(self._lock)


def sweep(root: Path) -> list[Path]:
    """Remove the folders that dead processes of this user left in a folder, and give them."""
    try:
        names = os.listdir(root)
    except OSError:
        return []
    return [root / name for name in names if name.startswith(_KINDS) and _remove_dead(root / name)]


@functools.cache
def _sweep_once() -> None:
    sweep(Path(tempfile.gettempdir()))


def _remove_dead(folder: Path) -> bool:
    try:
        found = os.lstat(folder)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            return False
        lock = os.open(folder / _OWNER, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False  # nobody's, or gone meanwhile
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _lives(os.pread(lock, 4096, 0)):
            return False
        _empty(folder)
        return True
    except OSError:
        return (
            False  # it lives, another is at it, or something in it still changes: the next start tries again
        )
    finally:
        os.close(lock)


def _lives(owner_json: bytes) -> bool:
    """Tell whether the owner lives, where locks do not tell (some network file systems)."""
    try:
        owner = json.loads(owner_json)
        pid, started = int(owner["pid"]), str(owner["started"])
    except (ValueError, TypeError, KeyError):
        return True  # not ours to judge
    return bool(started) and process_started(pid) == started


def _empty(folder: Path) -> None:
    """Remove a folder, its owner last: killed in between, the next start goes on.

    Raises:
        OSError: Not all of it can be removed.
    """
    with os.scandir(folder) as found:
        entries = [entry for entry in found if entry.name != _OWNER]
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)
    if os.listdir(folder) == [_OWNER]:
        shutil.rmtree(folder)
