"""Disks of the tests' own: mounted where only one helper process sees them, reached through that process.

Nothing of the machine's mounts changes, no rights are needed where user namespaces are allowed, and when the
helper ends, even by kill -9 of everything, the mount is gone.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STOP_LIMIT_S = 60.0


class CannotMount(Exception):
    """This machine does not let us mount; says what it answered."""


@contextmanager
def mounted(mount: list[str], folder: Path) -> Iterator[Path]:
    """Run a `mount` command for an empty folder; gives the path by which the mount is reached."""
    if shutil.which("unshare") is None:
        raise CannotMount("unshare is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    command = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    # The shell becomes `cat`, which waits until we close its input or die.
    script = 'mount "$@" && echo mounted && exec cat'
    holder = subprocess.Popen(
        [*command, "sh", "-c", script, "sh", *mount, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        answer = holder.stdout.readline()
        if answer != b"mounted\n":
            raise CannotMount((answer + holder.stdout.read()).decode().strip())
        yield Path(f"/proc/{holder.pid}/root{folder}")
    finally:
        holder.stdin.close()
        holder.stdout.close()
        holder.wait(STOP_LIMIT_S)


@contextmanager
def small_disk(folder: Path, size_bytes: int, *, n_files: int = 1000) -> Iterator[Path]:
    """Give a disk of this size, which takes so many files and folders."""
    with mounted(["-t", "tmpfs", "-o", f"size={size_bytes},nr_inodes={n_files}", "relive"], folder) as disk:
        yield disk


def is_mountable(folder: Path) -> bool:
    """Say whether this machine lets us have a small disk."""
    try:
        with small_disk(folder, 2**20):
            return True
    except CannotMount:
        return False
