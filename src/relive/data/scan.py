"""What lies in a folder, without reading what was read before.

A file is known again by its stamp: size, times, inode. What the stamps of a folder were is kept on this
machine beside the digests, so that 50,000 files are compared with a version by one walk. A stamp is kept only
if the file had been at rest when it was read; see `formats.manifest_io`.

In front of the stamps stands one hash of them all: whether anything changed is then a walk that makes no
object of a file, and what was known of each is not read.
"""

import os
import posixpath
import re
import stat
import struct
import tempfile
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from blake3 import blake3

from relive import settings
from relive.capture.secrets import secret_file
from relive.core.digest import Digest
from relive.errors import InvalidInput, NotFound
from relive.formats.hashing import blake3_digest
from relive.formats.manifest_io import PARTIAL, FileStamp

# What belongs to a tool and not to the data.
_NEVER: Final = frozenset({".git", ".dvc", PARTIAL})
# What the name of a secret has in it; only such names are worth the exact question, for 50,000 files ask it.
_MAYBE_SECRET: Final = re.compile(
    r"(^|/)\.|\.(env|pem|key|p12|pfx|jks|keystore|kdbx|asc|ppk)$|(^|/)id_[rde]|netrc|gcloud"
    r"|credential|secret|passw|service-account|token",
    re.IGNORECASE,
)

Stamp = tuple[int, int, int, int]
_packed: Final = struct.Struct("<4q").pack
_count: Final = struct.Struct("<q").pack


class Found(NamedTuple):
    """A file, and its 32-byte hash if it is known without reading; `stamp` is size, mtime, ctime, inode."""

    path: str
    stamp: Stamp
    is_executable: bool
    hash: bytes | None

    @property
    def size_bytes(self) -> int:
        """Its size."""
        return self.stamp[0]


class Scan(NamedTuple):
    """A folder: its files by path, and its links: path → target."""

    files: list[Found]
    links: dict[str, str]


class Memory(msgspec.Struct, array_like=True):
    """What was known of a folder when it was read last.

    Attributes:
        manifest: Digest of the manifest of exactly `files` and `links`; empty if it had more.
        files: Path → stamp and hash.
    """

    manifest: Digest = ""
    files: dict[str, tuple[int, int, int, int, bytes]] = {}
    links: dict[str, str] = {}

    def matches(self, scan: Scan) -> bool:
        """Tell whether a folder is as it was."""
        is_same = len(scan.files) == len(self.files) and scan.links == self.links
        return bool(self.manifest) and is_same and all(file.hash is not None for file in scan.files)


class _Title(msgspec.Struct, frozen=True, tag_field="format", tag="relive.scan/2"):
    """The first line of what is kept: enough to tell that nothing changed.

    Attributes:
        place: Hash of the place's name.
        manifest: As of the memory behind it.
        stamps: Hash of all names and stamps; see `_Walk`.
    """

    place: Digest
    manifest: Digest
    stamps: str


class Place(NamedTuple):
    """What is to be scanned: files below `root`, either one of them or all."""

    root: Path
    only: str = ""
    exclude: tuple[str, ...] = ()


def place_of(path: Path, exclude: Sequence[str] = ()) -> Place:
    """Give the place of a folder or a file.

    Raises:
        NotFound: There is neither.
    """
    if path.is_dir():
        return Place(path.resolve(), exclude=tuple(exclude))
    if path.is_file():
        return Place(path.parent.resolve(), only=path.name)
    raise NotFound(kind="file or folder", name=str(path))


def scan(place: Place, memory: Memory) -> Scan:
    """Walk through a folder; nothing is read.

    Raises:
        InvalidInput: Something in it cannot be kept: a socket, a broken link, what looks like a secret.
    """
    result = Scan([], {})
    if place.only:
        _take(place.root / place.only, place.only, memory, result.files)
    else:
        linked: list[tuple[str, str]] = []
        _walk(str(place.root), "", place, memory, (result.files, linked))
        _settle_links(place, memory, result, linked)
    result.files.sort()
    return result


def recall(place: Place) -> Memory:
    """Give what is remembered of a place; nothing if it cannot be read."""
    try:
        title, _, rest = _memory_file(place).read_bytes().partition(b"\n")
        if msgspec.json.decode(title, type=_Title).place == _name_of(place):
            return msgspec.msgpack.decode(rest, type=Memory)
    except (FileNotFoundError, UnicodeDecodeError, msgspec.MsgspecError):
        pass  # only a cache: what it does not know is read again
    return Memory()


def remember(place: Place, memory: Memory) -> None:
    """Keep what is known of a place for the next time; the last one that does so wins."""
    target = _memory_file(place)
    target.parent.mkdir(parents=True, exist_ok=True)
    title = _Title(_name_of(place), memory.manifest, _stamps_of(memory))
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".scan.", delete=False) as file:
        file.write(msgspec.json.encode(title) + b"\n" + msgspec.msgpack.encode(memory))
    os.replace(file.name, target)


def is_unchanged(place: Place, manifest: Digest) -> bool:
    """Tell, without reading a file, that a place is what it was when it had this manifest.

    False also where only reading could tell.

    Raises:
        OSError: A folder cannot be read.
    """
    try:
        with open(_memory_file(place), "rb") as file:
            title = msgspec.json.decode(file.readline(), type=_Title)
    except (FileNotFoundError, UnicodeDecodeError, msgspec.MsgspecError):
        return False
    if title.place != _name_of(place) or title.manifest != manifest:
        return False
    if not place.only:
        walk = _Walk(place)
        walk.take(str(place.root), "")
        if walk.is_plain:
            return walk.hexdigest() == title.stamps
    memory = recall(place)
    return memory.manifest == manifest and memory.matches(scan(place, memory))


class _Walk:
    """Hashes the names and stamps of a folder's files: each folder's own, then its folders by name.

    `is_plain` is false once a link was met: where it leads is another walk's to say.
    """

    def __init__(self, place: Place) -> None:
        self._exclude = place.exclude
        self._hasher = blake3()
        self.is_plain = True

    def take(self, folder: str, path: str) -> None:
        """Take a folder that lies at `path` below the place."""
        folders, stamps = [], {}
        # By its descriptor: the system looks up names of one folder, not paths from the root, 50,000 times.
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with os.scandir(descriptor) as entries:
                for entry in entries:
                    name = entry.name
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(name)
                    elif entry.is_symlink():
                        self.is_plain = False
                        return
                    elif not self._exclude or not _is_excluded(posixpath.join(path, name), self._exclude):
                        it = entry.stat(follow_symlinks=False)
                        stamps[name] = _packed(it.st_size, it.st_mtime_ns, it.st_ctime_ns, it.st_ino)
        finally:
            os.close(descriptor)
        self.add(path, stamps)
        for name in sorted(folders):
            below = posixpath.join(path, name)
            if self.is_plain and name not in _NEVER and not _is_excluded(f"{below}/", self._exclude):
                self.take(f"{folder}/{name}", below)

    def add(self, path: str, stamps: dict[str, bytes]) -> None:
        """Take the stamps of the files of one folder."""
        if stamps:
            names = sorted(stamps)
            self._hasher.update(_count(len(names)))
            self._hasher.update("\0".join((path, *names, "")).encode("utf-8", "surrogateescape"))
            self._hasher.update(b"".join([stamps[name] for name in names]))

    def hexdigest(self) -> str:
        """Give the hash of what was taken."""
        return self._hasher.hexdigest()


def _stamps_of(memory: Memory) -> str:
    """Give the hash that a walk through exactly the files of a memory comes to."""
    folders: dict[str, dict[str, bytes]] = {}
    for name, row in memory.files.items():
        folder, _, last = name.rpartition("/")
        folders.setdefault(folder, {})[last] = _packed(*row[:4])
    walk = _Walk(Place(Path()))
    for folder in sorted(folders, key=lambda it: it.split("/") if it else []):
        walk.add(folder, folders[folder])
    return walk.hexdigest()


def stamp_of(found: os.stat_result) -> Stamp:
    """Make the stamp of what `os.stat` found."""
    return (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def is_at_rest(stamp: Stamp, now_ns: int) -> bool:
    """Tell whether a later write would show in the stamp."""
    return FileStamp(*stamp).is_at_rest(now_ns)


def _walk(
    folder: str, path: str, place: Place, memory: Memory, into: tuple[list[Found], list[tuple[str, str]]]
) -> None:
    files, linked = into
    known = memory.files
    with os.scandir(folder) as entries:
        for entry in entries:
            name = f"{path}/{entry.name}" if path else entry.name
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in _NEVER and not _is_excluded(f"{name}/", place.exclude):
                    _walk(entry.path, name, place, memory, into)
                continue
            if place.exclude and _is_excluded(name, place.exclude):
                continue
            if entry.is_symlink():
                linked.append((name, os.readlink(entry.path)))
                continue
            found = entry.stat(follow_symlinks=False)
            stamp = (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
            before = known.get(name)
            # Compared here and not in a function: this is the loop of 50,000 files.
            if before is not None and before[:4] == stamp:
                files.append(Found(name, stamp, bool(found.st_mode & 0o100), before[4]))
            else:
                files.append(_new(name, found))


def _take(file: Path, name: str, memory: Memory, files: list[Found]) -> None:
    found = os.stat(file)
    before = memory.files.get(name)
    known = before[4] if before is not None and before[:4] == stamp_of(found) else None
    files.append(_new(name, found)._replace(hash=known))


def _new(name: str, found: os.stat_result) -> Found:
    if not stat.S_ISREG(found.st_mode):
        wanted = "a file, a folder or a link"
        raise InvalidInput(field=name, value=stat.filemode(found.st_mode), wanted=wanted)
    reason = secret_file(name) if _MAYBE_SECRET.search(name) else ""
    if reason:
        hint = f"move it away, or leave it out: --exclude '{posixpath.basename(name)}'"
        raise InvalidInput(field="file", value=name, wanted=f"data without secrets ({reason})", hint=hint)
    return Found(name, stamp_of(found), bool(found.st_mode & stat.S_IXUSR), None)


def _settle_links(place: Place, memory: Memory, result: Scan, linked: list[tuple[str, str]]) -> None:
    """Keep a link that stays inside as a link; read one that leads out as the file it leads to."""
    if not linked:
        return
    names = {file.path for file in result.files} | {name for name, _ in linked}
    folders = {folder for name in names for folder in _folders(name)}
    for name, target in linked:
        inside = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
        if inside in names or inside in folders:
            result.links[name] = posixpath.relpath(inside, posixpath.dirname(name) or ".")
        elif (place.root / name).is_file():
            _take(place.root / name, name, memory, result.files)
        else:
            wanted = "a link to a file, or to something beside it that is added too"
            raise InvalidInput(field=name, value=target, wanted=wanted)


def _folders(name: str) -> Iterator[str]:
    while name := posixpath.dirname(name):
        yield name


def _is_excluded(name: str, patterns: Sequence[str]) -> bool:
    """Tell whether a path, a folder's with a slash at its end, fits a pattern whole or by its last name."""
    last = posixpath.basename(name.rstrip("/"))
    plain = name.rstrip("/")
    return any(
        fnmatchcase(plain, it) or fnmatchcase(last, it)
        for pattern in patterns
        for it in ([pattern.rstrip("/")] if name.endswith("/") or not pattern.endswith("/") else [])
    )


def _name_of(place: Place) -> Digest:
    name = "\0".join((str(place.root), place.only, *sorted(place.exclude)))
    return blake3_digest(name.encode("utf-8", "surrogateescape"))


def _memory_file(place: Place) -> Path:
    return Path(settings.cache()) / "datasets" / f"{_name_of(place).removeprefix('blake3:')[:32]}.scan"
