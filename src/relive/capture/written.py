"""The files that a run wrote without declaring them: found when it has ended, by the time of their change."""

import os
import re
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from relive.capture.recorder.borders import lies_in_any
from relive.capture.recorder.reads import Opened, printable
from relive.capture.secrets import secret_file
from relive.core.moments import without_moments
from relive.core.recipe import WrittenFile
from relive.formats.hashing import blake3_digest
from relive.formats.manifest_io import HashCache

MOST_WRITTEN: Final = 1000
_MOST_ENTRIES: Final = 200_000
# What nobody declared is evidence and no result: digesting it must not take longer than the run.
_MOST_BYTES: Final = 8 * 1024**3
# Texts are logs and reports: what is larger is data.
_MOST_OF_TEXT: Final = 4 * 1024**2
_MOST_OF_TEXTS: Final = 64 * 1024**2
_SKIPPED: Final = frozenset({".git", ".hg", ".relive", "__pycache__", "node_modules"})
# What tools keep for themselves: DVC's copies of results and its locks, the logs that W&B writes of a run.
_OF_TOOLS: Final = re.compile(r"/(\.dvc/(tmp|cache)|wandb/(offline-)?run-\d{8}_\d{6}-\w+)$")


def find_written(
    tree: Path,
    began_at_ns: int,
    opened: Opened,
    *,
    skipped: Collection[str],
    hashes: HashCache,
) -> tuple[WrittenFile, ...]:
    """Find the files below the code's root that changed since a run began, by path, each with a digest.

    A file that another program changed meanwhile is left out if the recorder saw every open of the run, and
    every file that the run wrote is still there under its name: one that is gone may have been renamed.

    Args:
        tree: The root of the code; paths are relative to it.
        began_at_ns: As `file_time_ns` gave it before the start.
        opened: What the recorder saw.
        skipped: Folders that are none of the run's: environments, results that are declared. Absolute.
        hashes: Knows digests of files that did not change.

    Returns:
        At most `MOST_WRITTEN`. One has no digest if by its name it holds a secret, or if many gigabytes were
        digested before it.
    """
    root = os.path.realpath(tree)
    known = _written_by_it(opened, root, str(tree))
    found: list[WrittenFile] = []
    room, texts = _MOST_BYTES, _Texts(root, str(tree), began_at_ns)
    for path, size in sorted(_changed(root, began_at_ns, skipped)):
        inside = os.path.relpath(path, root)
        if known is not None and path not in known and str(tree / inside) not in known:
            continue
        if len(found) == MOST_WRITTEN:
            break
        shown = printable(inside)
        is_wanted = size <= room and not secret_file(shown)
        room -= size if is_wanted else 0
        found.append(
            WrittenFile(
                path=shown,
                size_bytes=size,
                digest=_digest(path, hashes) if is_wanted else "",
                timeless=texts.timeless(path, size) if is_wanted else "",
            )
        )
    return tuple(found)


def _written_by_it(opened: Opened, *roots: str) -> set[str] | None:
    """Give the paths that the run wrote; None where these may not be all."""
    inside = {path for path in opened.written if lies_in_any(path, roots)}
    is_all = opened.is_whole and not opened.folders and all(map(os.path.lexists, inside))
    return inside if is_all else None


def _changed(root: str, began_at_ns: int, skipped: Collection[str]) -> Iterator[tuple[str, int]]:
    """Walk the tree; give each regular file that changed since, with its size in bytes."""
    waiting, looked = [root], 0
    while waiting and looked < _MOST_ENTRIES:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    looked += 1
                    if entry.is_dir(follow_symlinks=False):
                        if not _is_skipped(entry, skipped):
                            waiting.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        stat = entry.stat(follow_symlinks=False)
                        if stat.st_ctime_ns > began_at_ns and not lies_in_any(entry.path, skipped):
                            yield entry.path, stat.st_size
        except OSError:
            # A folder that went away or is closed to us: what lies there is no evidence.
            continue


def _is_skipped(entry: "os.DirEntry[str]", skipped: Collection[str]) -> bool:
    is_environment = os.path.lexists(os.path.join(entry.path, "pyvenv.cfg"))
    is_tool_s = entry.name in _SKIPPED or bool(_OF_TOOLS.search(entry.path))
    return is_tool_s or is_environment or lies_in_any(entry.path, skipped)


def _digest(path: str, hashes: HashCache) -> str:
    try:
        return hashes.digest_of(Path(path))[0]
    except OSError:
        return ""


class _Texts:
    """Digests texts without the moments of a run, and without the folder that it ran in."""

    def __init__(self, root: str, tree: str, began_at_ns: int) -> None:
        self._folders = sorted({root, tree}, key=len, reverse=True)
        self._began_s, self._ended_s = began_at_ns / 1e9, time.time()
        self._offset_s = float(time.localtime(self._ended_s).tm_gmtoff)
        self._room = _MOST_OF_TEXTS

    def timeless(self, path: str, size_bytes: int) -> str:
        """Give the digest of what is left of a text; empty if nothing was taken out, or it is no text."""
        if size_bytes > min(_MOST_OF_TEXT, self._room):
            return ""
        self._room -= size_bytes
        try:
            text = Path(path).read_bytes().decode()
        except (OSError, UnicodeDecodeError):
            return ""
        if "\0" in text:
            return ""
        left = text
        for folder in self._folders:
            left = left.replace(folder, "<folder>")
        left = without_moments(left, self._began_s, self._ended_s, self._offset_s)
        return blake3_digest(left.encode()) if left != text else ""
