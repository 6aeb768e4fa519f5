"""Laying a version of a data set out in a folder: what is there already stays, what is torn is written again.

A file has its place only when all of it is written and has the digest of the manifest. What was cut off is
filled up by the next try: what has the right bytes is read, not fetched.
"""

import os
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Final, NamedTuple

from blake3 import blake3

from relive.client.packed import KEPT_BLOCKS, PackedVersion, Sweep
from relive.client.referenced import stream_reference
from relive.core.artifact import Manifest, ManifestEntry
from relive.errors import BlobCorrupt
from relive.formats.hashing import hash_file
from relive.formats.manifest_io import PARTIAL, make_room
from relive.formats.packs import digest_of_raw, hash_piece, raw

# Blocks that are read and hashed while one is written.
_AHEAD: Final = KEPT_BLOCKS - 2
_TOLD_EACH: Final = 64  # files, and each larger one
_TOLD_BYTES: Final = 1024 * 1024
# Who is killed loses what was written of one folder; larger ones get their files one by one.
_WHOLE_AT_MOST: Final = 256 * 1024 * 1024
_FILE: Final = 0o644
_PROGRAM: Final = 0o755


class Laid(NamedTuple):
    """What was done: files and bytes that were written, and files that were there already."""

    files: int
    size_bytes: int
    there: int


Told = Callable[[int, int], None]


def lay(
    source: PackedVersion, manifest: Manifest, target: Path, told: Told = lambda files, size_bytes: None
) -> Laid:
    """Write the files of a manifest into a folder, over what is there.

    Args:
        source: The version that has their bytes.
        manifest: Which files, and where; paths may be others than those of the version.
        target: The folder.
        told: Called with the files and bytes that are done, now and then.

    Raises:
        BlobCorrupt: What came is not what the manifest says.
        InvalidInput: A file is kept elsewhere, and is fetched by its reference only.
        OSError: It cannot be written; files that are complete stay.
    """
    target.mkdir(parents=True, exist_ok=True)
    is_fresh = not any(target.iterdir())
    absent, there = _absent(manifest, target)
    if not is_fresh:
        for entry in absent:
            make_room(target, entry.path)
    ordered = _ordered(source, absent)
    with (
        _partial_folder(target) as partial,
        Sweep(source, (piece for file in ordered for piece in file.pieces)) as sweep,
        ThreadPoolExecutor(1, thread_name_prefix="reading") as reading,
    ):
        writer = _Writer(_Bytes(source, sweep, reading), target, partial)
        done_bytes = writer.write(ordered, told, by_folder=is_fresh)
    for entry in manifest.entries:
        if entry.link is not None:  # last, so that no file is written through one
            make_room(target, entry.path).symlink_to(entry.link)
    return Laid(len(ordered), done_bytes, there)


class _File(NamedTuple):
    """A file to be written; `name` is its last name, `pieces` are none of an empty or a referenced one."""

    place: tuple[int, int]
    folder: str
    name: str
    hash: bytes
    entry: ManifestEntry
    pieces: tuple[bytes, ...]


def _ordered(source: PackedVersion, entries: Sequence[ManifestEntry]) -> list[_File]:
    """Give files in the order in which they lie in the packs."""
    known = source.layout.pieces
    files = []
    for entry in entries:
        pieces = source.pieces_of(entry)
        place = known.get(pieces[0]) if pieces else None
        at = (place.frame, place.offset) if place is not None else (-1, 0)
        folder, _, name = entry.path.rpartition("/")
        files.append(_File(at, folder, name, raw(entry.digest), entry, pieces))
    files.sort(key=attrgetter("place"))  # by nothing else: paths stay in their order
    return files


def _absent(manifest: Manifest, target: Path) -> tuple[list[ManifestEntry], int]:
    """Give the files that are not there as they should be, and how many are."""
    files = [entry for entry in manifest.entries if entry.link is None]
    if not any(target.iterdir()):
        return files, 0
    linked = _behind_links(files, target)
    absent = [it for it in files if os.path.dirname(it.path) in linked or not _is_there(it, target)]
    return absent, len(files) - len(absent)


def _behind_links(files: Sequence[ManifestEntry], target: Path) -> set[str]:
    """Name the folders that lie behind a link: what is found there is some other file, written on its own."""
    root = os.path.realpath(target)
    folders = {os.path.dirname(entry.path) for entry in files} - {""}
    return {folder for folder in folders if os.path.realpath(f"{root}/{folder}") != f"{root}/{folder}"}


def _is_there(entry: ManifestEntry, target: Path) -> bool:
    path = target / entry.path
    try:
        if path.is_symlink() or os.path.getsize(path) != entry.size_bytes:
            return False
        if hash_file(path).digest != entry.digest:
            return False
    except OSError:
        return False
    if bool(path.stat().st_mode & 0o100) != entry.executable:
        path.chmod(_PROGRAM if entry.executable else _FILE)
    return True


@contextmanager
def _partial_folder(target: Path) -> Iterator[str]:
    """Give a folder to write in that nobody else writes in, and remove what killed ones left."""
    shared = target / PARTIAL
    shared.mkdir(exist_ok=True)
    for left in shared.iterdir():
        if not Path(f"/proc/{left.name.partition('-')[0]}").exists():
            shutil.rmtree(left, ignore_errors=True)
    # A folder of its own: threads have one number, and whoever ends first must not take the others' away.
    try:
        with tempfile.TemporaryDirectory(dir=shared, prefix=f"{os.getpid()}-") as own:
            yield own
    finally:
        with suppress(OSError):  # another one that writes here needs it still
            os.rmdir(shared)


class _Writer:
    """Writes files, each of which has its place only once all of it is there and right.

    Files of a folder that is not there yet get their place with the folder: to give each of many small ones
    its name costs as much as to write it.
    """

    def __init__(self, content: "_Bytes", target: Path, partial: str) -> None:
        self._content = content
        self._target = str(target)
        self._partial = partial

    def write(self, files: Sequence[_File], told: Told, *, by_folder: bool) -> int:
        """Write files; gives their bytes.

        Args:
            files: In the order in which they are written.
            told: Called with the files and bytes that are done, now and then.
            by_folder: Whether the target was empty.
        """
        done, done_bytes = 0, 0
        for folder, run in groupby(files, attrgetter("folder")):
            some = list(run)
            with self._place_of(folder, some, by_folder=by_folder) as write:
                for file in some:
                    write(file)
                    done += 1
                    done_bytes += file.entry.size_bytes
                    if not done % _TOLD_EACH or file.entry.size_bytes > _TOLD_BYTES:
                        told(done, done_bytes)
        told(done, done_bytes)
        return done_bytes

    @contextmanager
    def _place_of(
        self, folder: str, files: Sequence[_File], *, by_folder: bool
    ) -> Iterator[Callable[[_File], None]]:
        place = f"{self._target}/{folder}" if folder else self._target
        size_bytes = sum(file.entry.size_bytes for file in files)
        if not by_folder or len(files) == 1 or size_bytes > _WHOLE_AT_MOST or os.path.lexists(place):
            os.makedirs(place, exist_ok=True)
            yield lambda file: self._write_one(file, place)
            return
        new = f"{self._partial}/folder"
        os.mkdir(new)
        try:
            yield lambda file: self._content.write(file, f"{new}/{file.name}")
        finally:
            _settle(new, place)  # also after a failure: what is whole stays

    def _write_one(self, file: _File, place: str) -> None:
        partial = f"{self._partial}/file"
        self._content.write(file, partial)
        os.replace(partial, f"{place}/{file.name}")


def _settle(new: str, place: str) -> None:
    """Give a folder its place; if another made one there meanwhile, give it the files."""
    os.makedirs(os.path.dirname(place), exist_ok=True)
    try:
        os.rename(new, place)
    except OSError:
        os.makedirs(place, exist_ok=True)
        for name in os.listdir(new):
            os.replace(f"{new}/{name}", f"{place}/{name}")
        os.rmdir(new)


class _Bytes:
    """The bytes of files, checked as they are written; a large file is read and hashed by a thread beside."""

    def __init__(self, source: PackedVersion, sweep: Sweep, reading: ThreadPoolExecutor) -> None:
        self._source = source
        self._sweep = sweep
        self._reading = reading

    def write(self, file: _File, path: str) -> None:
        """Write a file, or leave none.

        Raises:
            BlobCorrupt: What came is not what the manifest says.
            OSError: It cannot be written.
        """
        mode = _PROGRAM if file.entry.executable else _FILE
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        try:
            try:
                actual = self._copy(file, descriptor)
            finally:
                os.close(descriptor)
            if actual != file.hash:
                raise BlobCorrupt(digest=file.entry.digest, actual=digest_of_raw(actual))
        except BaseException:
            os.unlink(path)
            raise

    def _copy(self, file: _File, descriptor: int) -> bytes:
        """Write the bytes of a file; gives the hash of what was written."""
        if len(file.pieces) == 1:
            data = self._sweep.read(file.pieces[0])
            _write_all(descriptor, data)
            return hash_piece(data)
        hasher = blake3()
        blocks = self._blocks(file)

        def read() -> memoryview | None:
            block = next(blocks, None)
            if block is not None:
                hasher.update(block)
            return block

        coming = deque(self._reading.submit(read) for _ in range(_AHEAD))
        while (block := coming.popleft().result()) is not None:
            coming.append(self._reading.submit(read))
            _write_all(descriptor, block)
        return hasher.digest()

    def _blocks(self, file: _File) -> Iterator[memoryview]:
        reference = self._source.reference_of(file.entry)
        if reference is not None:
            for data in stream_reference(file.hash, reference):
                yield memoryview(data)
        yield from self._sweep.blocks(file.pieces)


def _write_all(descriptor: int, data: memoryview) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
