"""Manifests and folders: which bytes lie where, and whether they have changed since.

A file that was hashed is known again by its stamp (size, times, inode), so that a large folder is read
once. A stamp is believed only if the file had been at rest when it was taken: a file system's clock moves
in steps of some milliseconds, and a write within the same step leaves the stamp as it was.
"""

import os
import posixpath
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import msgspec

from relive.core.artifact import Manifest, ManifestEntry
from relive.core.digest import Digest
from relive.errors import InvalidInput, NotFound
from relive.formats.hashing import hash_file

# In a folder that is being filled: what is not whole yet. Nobody takes it for data.
PARTIAL: Final = ".relive-partial"
_AT_REST_NS: Final = 100_000_000
_THREADS: Final = 4
_CACHED_AT_MOST: Final = 200_000  # files; about 30 MB on disk


class FileStamp(msgspec.Struct, frozen=True, array_like=True):
    """What tells, without reading it, that a file has not been written to."""

    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, found: os.stat_result) -> "FileStamp":
        """Make the stamp of what `os.stat` found."""
        return cls(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)

    def is_at_rest(self, now_ns: int) -> bool:
        """Tell whether a later write would show in the stamp."""
        return max(self.mtime_ns, self.ctime_ns) + _AT_REST_NS < now_ns


class _Known(msgspec.Struct, frozen=True, array_like=True):
    stamp: FileStamp
    digest: Digest


class HashCache:
    """Digests of files that were hashed before, by their path and stamp; may be used from several threads.

    Args:
        path: Where it is kept between processes; None to keep it in memory only.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._known: dict[str, _Known] = _load(path)
        self._changed = False

    def digest_of(self, path: Path) -> tuple[Digest, FileStamp]:
        """Give a file's digest, reading the file only if its stamp is new.

        Raises:
            OSError: The file cannot be read.
        """
        key = os.path.abspath(path)
        stamp = FileStamp.of(os.stat(path))
        known = self._known.get(key)
        if known is not None and known.stamp == stamp:
            return known.digest, stamp
        now_ns = time.time_ns()
        digest = hash_file(path).digest
        # A file that grew while it was read keeps its digest for this once, but is not remembered.
        if stamp.is_at_rest(now_ns) and FileStamp.of(os.stat(path)) == stamp:
            self._known[key] = _Known(stamp, digest)
            self._changed = True
        return digest, stamp

    def save(self) -> None:
        """Keep it for later processes; the last one that saves wins."""
        if self._path is None or not self._changed:
            return
        newest = list(self._known.items())[-_CACHED_AT_MOST:]
        data = msgspec.msgpack.encode(dict(newest))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self._path.parent, prefix=".hashes.", delete=False) as file:
            file.write(data)
        os.replace(file.name, self._path)
        self._changed = False


def list_tree(root: Path, path: str = "") -> Iterator[str]:
    """Name every file and link of a folder, relative to `root`, in no particular order.

    Args:
        root: What the names are relative to.
        path: A file or a folder below it; empty for all of it.

    Raises:
        NotFound: There is no such file or folder.
        InvalidInput: There is something that cannot be kept, such as a socket.
    """
    start = root / path
    if start.is_dir():  # also where a declared folder is itself a link to one
        yield from _walk(start, path)
    elif os.path.lexists(start):
        yield _kept(start, path)
    else:
        raise NotFound(kind="file or folder", name=path or str(root))


def read_manifest(root: Path, paths: Iterable[str], cache: HashCache | None = None) -> Manifest:
    """Hash files, and say what lies where.

    A link to another of these paths stays a link; one that leads elsewhere is read as the file it leads to.

    Args:
        root: What the paths are relative to.
        paths: Files and links, as `list_tree` names them.
        cache: Digests that are known already.

    Raises:
        InvalidInput: A link leads nowhere, or to a folder outside these paths.
        InvalidManifest: A name cannot be kept, such as one that is not UTF-8.
        OSError: A file cannot be read.
    """
    names = sorted(paths)
    known = cache or HashCache()
    inside = _with_folders(names)

    def entry(name: str) -> ManifestEntry:
        return _read_entry(root, name, inside, known)

    if len(names) < _THREADS:
        return Manifest.of([entry(name) for name in names])
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="hash") as threads:
        return Manifest.of(threads.map(entry, names))


def make_room(root: Path, path: str) -> Path:
    """Make the folders above a path that is about to be written, and remove what lies at it.

    A link or a file in the place of one of these folders is removed, so that nothing is written through it.
    Not for two threads at once.
    """
    folder = root
    for name in path.split("/")[:-1]:
        folder = folder / name
        if folder.is_symlink() or not folder.is_dir():
            folder.unlink(missing_ok=True)
            folder.mkdir(parents=True)
    target = root / path
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    else:
        target.unlink(missing_ok=True)
    return target


class Snapshot:
    """Files that should not change while a command runs; remembers their digests and stamps.

    Args:
        root: What the paths are relative to.
        expected: Path to digest, as the files are now.
    """

    def __init__(self, root: Path, expected: Mapping[str, Digest]) -> None:
        self._root = root
        self._expected = dict(expected)
        now_ns = time.time_ns()
        stamps = {path: _stamp(root / path) for path in expected}
        self._stamps = {path: it for path, it in stamps.items() if it is not None and it.is_at_rest(now_ns)}

    def changed(self) -> tuple[str, ...]:
        """Name the files whose bytes are not the same any more, or that are gone."""
        return tuple(path for path in sorted(self._expected) if self._differs(path))

    def _differs(self, path: str) -> bool:
        stamp = _stamp(self._root / path)
        if stamp is None:
            return True
        if stamp == self._stamps.get(path):
            return False
        try:
            return hash_file(self._root / path).digest != self._expected[path]
        except OSError:
            return True


def _walk(folder: Path, path: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            name = posixpath.join(path, entry.name)
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path), name)
            else:
                yield _kept(Path(entry.path), name)


def _kept(file: Path, name: str) -> str:
    mode = os.lstat(file).st_mode
    if stat.S_ISREG(mode) or stat.S_ISLNK(mode):
        return name
    raise InvalidInput(field=name, value=stat.filemode(mode), wanted="a file, a folder or a link")


def _stamp(path: Path) -> FileStamp | None:
    try:
        return FileStamp.of(os.stat(path))
    except OSError:
        return None


def _load(path: Path | None) -> dict[str, _Known]:
    if path is None:
        return {}
    try:
        return msgspec.msgpack.decode(path.read_bytes(), type=dict[str, _Known])
    except (FileNotFoundError, msgspec.MsgspecError):
        # Only a cache: what it does not know is read again.
        return {}


def _with_folders(names: list[str]) -> frozenset[str]:
    folders = set(names)
    for name in names:
        folder = posixpath.dirname(name)
        while folder and folder not in folders:
            folders.add(folder)
            folder = posixpath.dirname(folder)
    return frozenset(folders)


def _read_entry(root: Path, name: str, inside: frozenset[str], cache: HashCache) -> ManifestEntry:
    path = root / name
    if path.is_symlink():
        target = posixpath.normpath(posixpath.join(posixpath.dirname(name), os.readlink(path)))
        if target in inside:
            return ManifestEntry(name, link=posixpath.relpath(target, posixpath.dirname(name) or "."))
    if not path.is_file():
        raise InvalidInput(
            field=name,
            value=os.readlink(path) if path.is_symlink() else "no file",
            wanted="a link to a file, or to something beside it that is kept too",
        )
    digest, stamp = cache.digest_of(path)
    return ManifestEntry(name, digest, stamp.size_bytes, bool(path.stat().st_mode & stat.S_IXUSR))
