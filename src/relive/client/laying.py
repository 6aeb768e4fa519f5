"""Laying a version of a data set out in a folder: what is there already stays, what is torn is written again.

A file gets its name only when all of it is written and has the digest of the manifest. A folder that was cut
off is filled up by the next try: what has the right bytes is read, not fetched.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from blake3 import blake3

from relive.client.packed import PackedVersion, Sweep
from relive.client.referenced import stream_reference
from relive.core.artifact import Manifest, ManifestEntry
from relive.errors import BlobCorrupt
from relive.formats.hashing import Bytes, hash_file
from relive.formats.manifest_io import PARTIAL, make_room
from relive.formats.packs import digest_of_raw, raw

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
    absent, there = _absent(manifest, target)
    _make_folders(target, absent)
    # In the order in which they lie in the packs.
    ordered = sorted(absent, key=lambda entry: _first_place(source, entry))
    pieces = (piece for entry in ordered for piece in source.pieces_of(entry))
    done_bytes = 0
    with _partial_file(target) as partial, Sweep(source, pieces) as sweep:
        for number, entry in enumerate(ordered):
            _write((source, sweep), entry, f"{target}/{entry.path}", partial)
            done_bytes += entry.size_bytes
            told(number + 1, done_bytes)
    for entry in manifest.entries:
        if entry.link is not None:  # last, so that no file is written through one
            make_room(target, entry.path).symlink_to(entry.link)
    return Laid(len(ordered), done_bytes, there)


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


def _make_folders(target: Path, entries: Sequence[ManifestEntry]) -> None:
    if any(target.iterdir()):
        for entry in entries:
            make_room(target, entry.path)
        return
    for folder in sorted({os.path.dirname(entry.path) for entry in entries}):
        os.makedirs(target / folder, exist_ok=True)


def _first_place(source: PackedVersion, entry: ManifestEntry) -> tuple[int, int]:
    pieces = source.pieces_of(entry)
    if not pieces:
        return (-1, 0)
    place = source.layout.pieces.get(pieces[0])
    return (place.frame, place.offset) if place is not None else (-1, 0)


@contextmanager
def _partial_file(target: Path) -> Iterator[str]:
    """Give a file to write to that nobody else writes to, and remove what killed ones left."""
    shared = target / PARTIAL
    shared.mkdir(exist_ok=True)
    for left in shared.iterdir():
        if not Path(f"/proc/{left.name.partition('-')[0]}").exists():
            shutil.rmtree(left, ignore_errors=True)
    # A folder of its own: threads have one number, and whoever ends first must not take the others' away.
    with tempfile.TemporaryDirectory(dir=shared, prefix=f"{os.getpid()}-") as own:
        yield f"{own}/file"
    with suppress(OSError):  # another one that writes here needs it still
        os.rmdir(shared)


def _write(reading: tuple[PackedVersion, Sweep], entry: ManifestEntry, place: str, partial: str) -> None:
    """Write one file, which has its name only once all of it is there and right."""
    source, sweep = reading
    mode = _PROGRAM if entry.executable else _FILE
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        try:
            hasher = blake3()
            for data in _bytes_of(source, sweep, entry):
                hasher.update(data)
                _write_all(descriptor, memoryview(data))
        finally:
            os.close(descriptor)
        if (actual := hasher.digest()) != raw(entry.digest):
            raise BlobCorrupt(digest=entry.digest, actual=digest_of_raw(actual))
        os.replace(partial, place)
    except BaseException:
        os.unlink(partial)
        raise


def _bytes_of(source: PackedVersion, sweep: Sweep, entry: ManifestEntry) -> Iterator[Bytes]:
    reference = source.reference_of(entry)
    if reference is not None:
        yield from stream_reference(raw(entry.digest), reference)
    for piece in source.pieces_of(entry):
        yield sweep.read(piece)


def _write_all(descriptor: int, data: memoryview) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
