"""Adding a version of a data set: read what is new, pack it, send it, and name the whole.

Nothing has a name before everything is stored: the version is one row that the hub writes last. Who is cut
off before that starts again and finds what was sent: the same files make the same packs.
"""

import os
import posixpath
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Final, NamedTuple, Self
from urllib.parse import unquote, urlsplit

import msgspec
from blake3 import blake3

from relive.client.hub import HubClient
from relive.client.referenced import read_reference
from relive.core.artifact import Manifest, ManifestEntry
from relive.core.dataset import DatasetVersion
from relive.core.digest import Digest
from relive.data import scan as scanning
from relive.data.scan import Found, Memory, Place, Scan
from relive.errors import InvalidInput
from relive.formats.chunks import LARGEST, cut
from relive.formats.layout import Layout
from relive.formats.packs import Packer, Sent, digest_of_raw, hash_piece
from relive.formats.possession import prove
from relive.wire.datasets import AddVersion

# Larger files are cut; smaller ones are a piece each.
CUT_FROM_BYTES: Final = LARGEST
# Packs on their way to the hub; each is held in memory.
_SENT_AT_ONCE: Final = 2
_TRIES: Final = 3
_WINDOW_BYTES: Final = 4 * 1024 * 1024


class Progress(NamedTuple):
    """How far it is: files and bytes that are settled, of so many."""

    files: int
    all_files: int
    size_bytes: int
    all_bytes: int


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What a version is to say of itself.

    Attributes:
        project: Where a new data set belongs.
        source: Where the data came from, in words.
        run_id: The run that made it.
    """

    name: str
    project: str
    message: str = ""
    source: str = ""
    run_id: str = ""


class Added(NamedTuple):
    """A version, and whether it was made just now: data that did not change makes none.

    Attributes:
        stored_bytes: What was stored; also where nothing is new, if the hub had lost it.
    """

    version: DatasetVersion
    is_new: bool
    stored_bytes: int = 0


Told = Callable[[Progress], None]
Profiler = Callable[[Manifest], dict[str, object]]


def add(
    hub: HubClient, place: Place, wish: Wish, *, profile: Profiler, told: Told = lambda progress: None
) -> Added:
    """Add what lies in a place as the next version; nothing if the newest one is the same.

    Args:
        hub: Where it goes.
        place: The folder or file.
        wish: Its name and message.
        profile: Says what is known of the tables among the files.
        told: Called as it goes on.

    Raises:
        InvalidInput: Something in it cannot be kept, or changes while it is read.
        Conflict: The name is another project's.
        StoreFull: The hub has no room; no version was made.
    """
    newest = hub.find_dataset_version(wish.name)
    # A pack that was found damaged is taken out of the store: the same files again bring it back.
    is_whole = newest is not None and not hub.check_packs(newest).lost
    if newest is not None and is_whole and scanning.is_unchanged(place, newest.digest):
        return Added(newest, is_new=False)
    found = scanning.scan(place, scanning.recall(place))
    base = _stored(hub, newest) if newest is not None else Layout()
    with _Sender(hub, wish.run_id) as sender:
        packer = Packer(base, sender.send)
        manifest = _Reading(place, found, packer, told).read()
        digest = _remember(place, found, manifest)
        if newest is not None and is_whole and newest.digest == digest:
            return Added(newest, is_new=False)
        layout = packer.finish()
    sender.put(manifest.to_bytes())
    message = AddVersion(
        name=wish.name,
        project=wish.project,
        digest=digest,
        layout=sender.put(layout.to_bytes()),
        message=wish.message,
        profile=profile(manifest),
        source=wish.source,
        source_run_id=wish.run_id,
        added_bytes=packer.added_bytes,
        proofs=sender.proofs,
    )
    version = hub.add_dataset_version(message)
    is_new = newest is None or newest.id != version.id
    return Added(version, is_new, packer.added_bytes)


def _stored(hub: HubClient, newest: DatasetVersion) -> Layout:
    """Say what the hub has of a version; what it lost is packed again."""
    layout = hub.dataset_layout(newest)
    return layout.without(hub.blobs.missing(pack.digest for pack in layout.packs))


def add_reference(hub: HubClient, url: str, wish: Wish) -> Added:
    """Add what lies at an address as the next version; it stays there, and is read once for its digest.

    Raises:
        InvalidInput: It is no such address, or does not answer with bytes.
        Conflict: The name is another project's.
    """
    hash_, reference = read_reference(url)
    name = posixpath.basename(unquote(urlsplit(url).path)) or "data"
    manifest = Manifest.of([ManifestEntry(name, digest_of_raw(hash_), reference.size_bytes)])
    references = {hash_: reference} if reference.size_bytes else {}
    layout = Layout(references=references)
    newest = hub.find_dataset_version(wish.name)
    sender = _Sender(hub, wish.run_id)
    message = AddVersion(
        name=wish.name,
        project=wish.project,
        digest=sender.put(manifest.to_bytes()),
        layout=sender.put(layout.to_bytes()),
        message=wish.message,
        source=wish.source,
        source_run_id=wish.run_id,
        proofs=sender.proofs,
    )
    version = hub.add_dataset_version(message)
    return Added(version, is_new=newest is None or newest.id != version.id)


def manifest_of(place: Place) -> tuple[Digest, Manifest]:
    """Read a place for its manifest alone, and the manifest's digest; nothing is sent.

    Raises:
        InvalidInput: As `add`.
    """
    found = scanning.scan(place, scanning.recall(place))
    packer = Packer(Layout(), _not_sent)
    manifest = _Reading(place, found, packer, lambda progress: None, keeps=False).read()
    return _remember(place, found, manifest), manifest


class _Reading:
    """Reads each file that is not known, once, and gives it to the packer."""

    def __init__(self, place: Place, found: Scan, packer: Packer, told: Told, *, keeps: bool = True) -> None:
        self._root = str(place.root)
        self._found = found
        self._packer = packer
        self._told = told
        self._keeps = keeps
        self._all_bytes = sum(file.stamp[0] for file in found.files)
        self._done_bytes = 0
        self._next_at = 0.0
        # Hashes a large file while its pieces are hashed and packed.
        self._hashing = ThreadPoolExecutor(1, thread_name_prefix="hashing")

    def read(self) -> Manifest:
        with self._hashing:
            return self._read_all()

    def _read_all(self) -> Manifest:
        entries = []
        files = self._found.files
        for number, unsettled in enumerate(files):
            file = files[number] = self._settle(unsettled)
            assert file.hash is not None  # it is settled
            entries.append(
                ManifestEntry(file.path, digest_of_raw(file.hash), file.stamp[0], file.is_executable)
            )
            self._done_bytes += file.stamp[0]
            self._tell(number + 1)
        entries += [ManifestEntry(name, link=target) for name, target in self._found.links.items()]
        self._pack_again()
        return Manifest.of(entries)

    def _settle(self, file: Found) -> Found:
        """Give the file with its hash, its bytes packed or known to be stored."""
        if file.hash is not None and (not self._keeps or not file.stamp[0] or self._packer.has(file.hash)):
            if self._keeps and file.stamp[0]:
                self._packer.keep(file.hash)
            return file
        for _ in range(_TRIES):
            read, hash_ = self._read_one(file)
            if read == file.stamp:
                return file._replace(hash=hash_)
            file = file._replace(stamp=read)
        raise InvalidInput(
            field="file", value=file.path, wanted="a file that does not change while it is read"
        )

    def _read_one(self, file: Found) -> tuple[scanning.Stamp, bytes]:
        """Read a file; gives its stamp after that, and its hash."""
        descriptor = os.open(os.path.join(self._root, file.path), os.O_RDONLY | os.O_CLOEXEC)
        try:
            if file.stamp[0] > CUT_FROM_BYTES:
                hash_ = self._read_large(descriptor)
            else:
                data = os.read(descriptor, file.stamp[0] + 1)
                hash_ = hash_piece(data)
                if len(data) == file.stamp[0] and data and self._keeps:
                    self._take(hash_, data)
            return scanning.stamp_of(os.fstat(descriptor)), hash_
        finally:
            os.close(descriptor)

    def _take(self, hash_: bytes, data: bytes) -> None:
        if self._packer.has(hash_):
            self._packer.keep(hash_)
        else:
            self._packer.add(hash_, data)

    def _read_large(self, descriptor: int) -> bytes:
        whole, pieces = blake3(), []
        with open(descriptor, "rb", buffering=0, closefd=False) as file:
            for window, cuts in cut(file) if self._keeps else _windows(file):
                hashed = self._hashing.submit(whole.update, window)
                for piece in cuts:
                    pieces.append(hash_piece(piece))
                    self._packer.add(pieces[-1], piece)
                hashed.result()  # the window is filled again
        hash_ = whole.digest()
        if self._keeps:
            self._packer.close_file(hash_, tuple(pieces))
        return hash_

    def _pack_again(self) -> None:
        """Pack what lies in packs that hold little else of this version any more."""
        wanted = self._packer.sparse()
        for file in self._found.files if wanted else ():
            for hash_, data in self._pieces(file, wanted):
                self._packer.again(hash_, data)

    def _pieces(self, file: Found, wanted: set[bytes]) -> Iterator[tuple[bytes, memoryview]]:
        if file.stamp[0] <= CUT_FROM_BYTES and file.hash not in wanted:
            return
        with open(os.path.join(self._root, file.path), "rb", buffering=0) as opened:
            pieces = (
                ((hash_piece(it), it) for _, cuts in cut(opened) for it in cuts)
                if file.stamp[0] > CUT_FROM_BYTES
                else ((hash_piece(data), memoryview(data)) for data in [opened.read()])
            )
            yield from ((hash_, data) for hash_, data in pieces if hash_ in wanted)

    def _tell(self, files: int) -> None:
        if files == len(self._found.files) or time.monotonic() >= self._next_at:
            self._next_at = time.monotonic() + 0.2
            self._told(Progress(files, len(self._found.files), self._done_bytes, self._all_bytes))


def _windows(file: IO[bytes]) -> Iterator[tuple[memoryview, list[memoryview]]]:
    """Read a file to its end as `cut` does, without cutting it."""
    buffer = memoryview(bytearray(_WINDOW_BYTES))
    while n_read := file.readinto(buffer):  # type: ignore[attr-defined]
        yield buffer[:n_read], []


class _Sender:
    """Sends packs while the next ones are made, and proves for a run that it has what it sends."""

    def __init__(self, hub: HubClient, run_id: str) -> None:
        self._blobs = hub.blobs
        self._run_id = run_id
        self.proofs: dict[Digest, str] = {}
        self._threads = ThreadPoolExecutor(_SENT_AT_ONCE, thread_name_prefix="packs")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._threads.shutdown(cancel_futures=kind is not None)

    def send(self, pack: memoryview) -> Sent:
        """Send a pack; gives what waits for its digest."""
        return self._threads.submit(self.put, pack).result

    def put(self, data: bytes | memoryview) -> Digest:
        """Store bytes now; gives their digest."""
        digest = self._blobs.put_bytes(data)
        if self._run_id:
            self.proofs[digest] = prove(self._run_id, [data])
        return digest


def _not_sent(pack: memoryview) -> Sent:
    raise AssertionError("a packer that was given nothing has no pack")


def _remember(place: Place, found: Scan, manifest: Manifest) -> Digest:
    """Keep the stamps of what was read, and give the manifest's digest."""
    now_ns = time.time_ns()
    digest = digest_of_raw(hash_piece(manifest.to_bytes()))
    known = {
        file.path: (*file.stamp, file.hash)
        for file in found.files
        if file.hash is not None and scanning.is_at_rest(file.stamp, now_ns)
    }
    # Of all files, or of none: a file left out here may be gone the next time, and would not be missed.
    whole = digest if len(known) == len(found.files) else ""
    scanning.remember(place, Memory(manifest=whole, files=known, links=found.links))
    return digest
