"""What a blob store needs of a local disk: its errors in our words, what is free, folders that last."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from relive.errors import StoreFull, StoreUnavailable

# No space, no quota, or larger than a file may be here.
_FULL: Final = {errno.ENOSPC: "disk", errno.EDQUOT: "disk quota", errno.EFBIG: "largest file"}


@contextmanager
def disk_errors(where: str | Path) -> Iterator[None]:
    """Turn the operating system's errors into relive's.

    Raises:
        StoreFull: There is no room.
        StoreUnavailable: Anything else that the disk refuses.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StoreFull(where=str(where), limit=_FULL[error.errno]) from error
        reason = error.strerror or type(error).__name__
        raise StoreUnavailable(store=str(where), reason=reason, hint=_hint(error)) from error


def free_bytes(folder: Path) -> int | None:
    """Say how many bytes this user may still write where a folder lies; None where it is not known."""
    disk = os.statvfs(folder)
    # Some network file systems say nothing, which reads as a disk of no blocks.
    return disk.f_bavail * disk.f_frsize if disk.f_blocks else None


def make_folder(folder: Path, *, mode: int = 0o777) -> None:
    """Make a folder and those above it, so that a power cut does not take them back."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(mode=mode, exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Write a folder's list of names to the disk: a rename lasts only after this."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, view: memoryview) -> None:
    """Write every byte; one call of the system may take fewer."""
    while view:
        view = view[os.write(descriptor, view) :]


def _hint(error: OSError) -> str | None:
    if error.errno in (errno.EACCES, errno.EPERM):
        return "give the user that runs the hub the right to write there"
    if error.errno == errno.EROFS:
        return "mount the file system for writing"
    return None
