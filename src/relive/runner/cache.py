"""This machine's cache of environments, wheels and blobs: what lies in it, and making room.

Everything in it can be had again: what is pruned is fetched or built anew when it is next needed. An
environment that a process of this user runs from is left alone, and so is one that is being built.
"""

import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from relive.runner.environment.uv import run_uv, uv_environment

# What is being laid out just now is not yet in use.
_YOUNG_S: Final = 3600.0
# uv's own folder holds files that environments share; only uv knows which, so it goes as a whole.
UV: Final = "uv"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One thing in the cache.

    Attributes:
        kind: "envs", "wheels", "blobs" or "uv".
        path: Where it lies.
        size_bytes: What it takes on the disk; a file that two share counts with the first.
        used_at: Seconds since the epoch when it was last read, as far as the file system tells.
    """

    kind: str
    path: str
    size_bytes: int
    used_at: float


class Pruned(msgspec.Struct, frozen=True, kw_only=True):
    """What pruning did, or would do."""

    entries: int
    freed_bytes: int
    kept_bytes: int


def list_entries(cache: Path) -> list[Entry]:
    """Give what lies in a cache, the longest unused first."""
    seen: set[tuple[int, int]] = set()
    found = [_entry(kind, path, seen) for kind, path in _places(cache)]
    return sorted(found, key=lambda entry: (entry.used_at, entry.path))


def prune(cache: Path, *, now: float, max_age_s: float, max_bytes: int, dry_run: bool = False) -> Pruned:
    """Remove what was not used for long, then what was used longest ago, until the rest is small enough.

    Args:
        cache: The folder.
        now: Seconds since the epoch.
        max_age_s: What was not used for longer goes.
        max_bytes: What may stay.
        dry_run: Only count.
    """
    entries = list_entries(cache)
    left = sum(entry.size_bytes for entry in entries)
    removed = freed = 0
    busy = _in_use(cache / "envs")
    for entry in entries:
        too_old = now - entry.used_at > max_age_s
        if not too_old and left <= max_bytes:
            break
        if now - entry.used_at < _YOUNG_S or Path(entry.path).name in busy:
            continue
        if dry_run or _remove(entry):
            removed, freed, left = removed + 1, freed + entry.size_bytes, left - entry.size_bytes
    return Pruned(entries=removed, freed_bytes=freed, kept_bytes=left)


def _places(cache: Path) -> Iterator[tuple[str, Path]]:
    for kind in ("envs", "wheels"):
        yield from ((kind, path) for path in _within(cache / kind) if path.is_dir())
    for folder in _within(cache / "blobs"):
        yield from (("blobs", path) for path in _within(folder))
    if (cache / UV).is_dir():
        yield UV, cache / UV


def _within(folder: Path) -> Iterable[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _entry(kind: str, path: Path, seen: set[tuple[int, int]]) -> Entry:
    size, used_at = 0, 0.0
    for found in _files(path):
        # Python reads `pyvenv.cfg` whenever it starts; of everything else any file will do.
        if kind != "envs" or found.name in ("pyvenv.cfg", ".complete"):
            used_at = max(used_at, found.stat.st_atime, found.stat.st_mtime)
        key = (found.stat.st_dev, found.stat.st_ino)
        if key not in seen:
            seen.add(key)
            size += found.stat.st_blocks * 512
    return Entry(kind=kind, path=str(path), size_bytes=size, used_at=used_at)


class _File(msgspec.Struct, frozen=True):
    name: str
    stat: os.stat_result


def _files(path: Path) -> Iterator[_File]:
    """Give a file, or what lies below a folder; what goes meanwhile is left out."""
    if not path.is_dir():
        waiting, files = [], [path]
    else:
        waiting, files = [path], []
    for file in files:
        yield _File(file.name, file.lstat())
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(Path(entry.path))
                    else:
                        yield _File(entry.name, entry.stat(follow_symlinks=False))
        except FileNotFoundError:
            continue


def _in_use(envs: Path) -> set[str]:
    """Name the environments that some process of this user was started from, or with."""
    mark = os.fsencode(str(envs)) + b"/"
    busy: set[str] = set()
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ", "maps"):
            try:
                told = (process / name).read_bytes()
            except OSError:
                continue  # it has ended, or is another's
            for rest in told.split(mark)[1:]:
                busy.add(os.fsdecode(rest[:64]))  # a digest's hexadecimal digits
    return busy


def _remove(entry: Entry) -> bool:
    """Remove an entry; tells whether it did."""
    path = Path(entry.path)
    if entry.kind == UV:
        run_uv(["cache", "clean"], source="the cache", folder=path.parent, environment=uv_environment(path))
        return True
    if entry.kind == "envs":
        return _remove_environment(path)
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
    return not path.exists()


def _remove_environment(path: Path) -> bool:
    lock = path.with_suffix(".lock")
    with open(lock, "ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False  # it is being built
        # Renamed first: what is half removed must not look complete.
        gone = path.with_name(f".gone-{path.name}")
        path.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
    return True
