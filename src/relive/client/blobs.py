"""The hub's blob store from this side: send files, fetch trees, and never trust a byte unhashed.

Nothing is held in memory: files are hashed and sent piece by piece, and a fetched file is hashed while it
is written and only then gets its name.
"""

import io
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import IO, Final

from relive import settings
from relive.client.beside import BlobsBeside, find_beside
from relive.client.parts import IN_PARTS_FROM_BYTES, PATIENCE_S, send_in_parts
from relive.client.transport import BLOCK_BYTES, Transport, path_of
from relive.core.artifact import Manifest, ManifestEntry
from relive.core.digest import Digest, hex_of
from relive.errors import BlobDigestMismatch, BlobNotFound, HubRefused, HubUnreachable
from relive.formats.hashing import Bytes, Hasher, blake3_digest, hash_file
from relive.formats.manifest_io import HashCache, list_tree, make_room, read_manifest
from relive.wire.blobs import MissingBlobs, MissingBlobsReply

_AT_ONCE: Final = 4  # transfers; more do not help on one disk, and each holds a connection of the hub
_ASKED_AT_ONCE: Final = 2000  # digests in one question, 150 kB
# Larger ones are fetched again each time: keeping them would double what a big data set takes.
CACHED_AT_MOST_BYTES: Final = 64 * 1024 * 1024
# Smaller ones go by HTTP also to a hub beside: that costs no more.
_GIVEN_FROM_BYTES: Final = 1024 * 1024
_TRIES: Final = 4  # that bring nothing, in the middle of a blob


class BlobClient:
    """Sends blobs to the hub and fetches them; may be used from several threads.

    Args:
        transport: To the hub.
        cache: Folder of small blobs kept on this machine; None for the one of this user.
        hashes: Digests of local files that are known already.
    """

    def __init__(
        self, transport: Transport, *, cache: Path | None = None, hashes: HashCache | None = None
    ) -> None:
        self._transport = transport
        self._cache = cache if cache is not None else Path(settings.cache()) / "blobs"
        self._hashes = hashes or HashCache()

    @property
    def transport(self) -> Transport:
        """The way to the hub."""
        return self._transport

    @cached_property
    def beside(self) -> BlobsBeside | None:
        """The hub's blobs as files, if it runs on this machine for this user."""
        return find_beside(self._transport)

    def missing(self, digests: Iterable[Digest]) -> set[Digest]:
        """Say which of these the hub lacks; it keeps the others safe from its gc for a day."""
        wanted = sorted(set(digests))
        found: set[Digest] = set()
        for start in range(0, len(wanted), _ASKED_AT_ONCE):
            question = MissingBlobs(tuple(wanted[start : start + _ASKED_AT_ONCE]))
            path = path_of("blobs", "missing")
            found.update(self._transport.post(path, question, MissingBlobsReply, repeatable=True).missing)
        return found

    def put_bytes(self, data: Bytes) -> Digest:
        """Store bytes, and give their digest.

        Raises:
            StoreFull: The hub has no room.
        """
        digest, size_bytes = blake3_digest(data), memoryview(data).nbytes
        is_given = size_bytes >= _GIVEN_FROM_BYTES and self._give(digest, data, size_bytes)
        if not is_given and self.missing([digest]):
            self._send(digest, lambda: io.BytesIO(data), size_bytes)
        return digest

    def _give(self, digest: Digest, data: Bytes, size_bytes: int) -> bool:
        # What is there is asked for, so that the hub keeps it; of what is not, the hub need not be asked.
        beside = self.beside
        return beside is not None and not beside.has(digest, size_bytes) and beside.give(digest, data)

    def put_file(self, path: Path) -> Digest:
        """Store a file, and give its digest; raises as `put_bytes` does, and if it changes meanwhile."""
        hashed = hash_file(path)
        if self.missing([hashed.digest]):
            self._send(hashed.digest, _opener(path), hashed.size_bytes)
        return hashed.digest

    def put_manifest(self, manifest: Manifest) -> Digest:
        """Store a manifest, whose blobs the hub has, and give its digest."""
        return self.put_bytes(manifest.to_bytes())

    def put_tree(self, root: Path, manifest: Manifest) -> Digest:
        """Store what a manifest says lies in a folder, then the manifest itself; give its digest.

        Raises:
            StoreFull: The hub has no room; the manifest was not stored.
            HubRefused: A file changed since it was hashed.
        """
        self.put_files(root, manifest)
        return self.put_manifest(manifest)

    def put_files(self, root: Path, manifest: Manifest) -> None:
        """Store what a manifest says lies in a folder, but not the manifest; raises as `put_tree` does."""
        absent = self.missing(manifest.digests)
        first = {entry.digest: entry for entry in manifest.entries if entry.digest in absent}

        def send(entry: ManifestEntry) -> None:
            self._send(entry.digest, _opener(root / entry.path), entry.size_bytes)

        _in_parallel(send, list(first.values()))

    def upload_tree(self, root: Path, paths: Sequence[str] = ("",)) -> tuple[Digest, Manifest]:
        """Hash files and folders below `root`, store them, and give the manifest with its digest.

        Raises:
            NotFound: One of the paths does not exist.
            InvalidInput: Something there cannot be kept (a socket, a broken link).
            StoreFull: The hub has no room.
        """
        names = {name for path in paths for name in list_tree(root, path)}
        manifest = read_manifest(root, names, self._hashes)
        return self.put_tree(root, manifest), manifest

    def get_bytes(self, digest: Digest) -> bytes:
        """Fetch a small blob.

        Raises:
            BlobNotFound: The hub has none with this digest.
            BlobDigestMismatch: What came is something else.
        """
        return b"".join(_verified(digest, self._pieces(digest)))

    def get_file(self, digest: Digest, target: Path, *, executable: bool = False) -> None:
        """Fetch a blob to a file, which appears whole or not at all; raises as `get_bytes` does."""
        _write_whole(target, _verified(digest, self._pieces(digest)), executable=executable)

    def fetch_manifest(self, digest: Digest) -> Manifest:
        """Fetch a manifest.

        Raises:
            BlobNotFound: The hub has none with this digest.
            InvalidManifest: The blob is something else.
        """
        return Manifest.from_bytes(self.get_bytes(digest))

    def materialise(self, manifest: Manifest | Digest, target: Path) -> Manifest:
        """Lay out a tree in a folder, over what is there; give its manifest.

        Files are copies, never links to the cache: whoever writes to one changes nothing else.

        Raises:
            BlobNotFound: The hub lacks a blob of it.
        """
        tree = manifest if isinstance(manifest, Manifest) else self.fetch_manifest(manifest)
        target.mkdir(parents=True, exist_ok=True)
        files = [entry for entry in tree.entries if entry.link is None]

        # Before the threads: two of them must not make and remove the same folder.
        places = {entry.path: make_room(target, entry.path) for entry in files}

        def lay(entry: ManifestEntry) -> None:
            place = places[entry.path]
            if entry.size_bytes > CACHED_AT_MOST_BYTES:
                self.get_file(entry.digest, place, executable=entry.executable)
            else:
                self._copy_cached(entry, place)

        _in_parallel(lay, files)
        for entry in tree.entries:
            if entry.link is not None:  # last, so that no file is written through one
                make_room(target, entry.path).symlink_to(entry.link)
        return tree

    def _send(self, digest: Digest, source: Callable[[], IO[bytes]], size_bytes: int) -> None:
        if size_bytes >= IN_PARTS_FROM_BYTES:
            send_in_parts(self._transport, digest, source, size_bytes)
        else:
            self._transport.put_stream(path_of("blobs", digest), source, size_bytes)

    def _pieces(self, digest: Digest) -> Iterator[bytes]:
        """Give a blob's bytes; when a connection breaks in the middle, the next one is asked for the rest."""
        hub, at, stalls = self._transport, 0, 0
        while True:
            try:
                for piece in hub.stream(path_of("blobs", digest), at):
                    at, stalls = at + len(piece), 0
                    yield piece
                return
            except HubUnreachable:
                stalls += 1
                if stalls > (_TRIES if self._transport.retry_for_s else min(at, 1)):
                    raise
                hub = self._transport.with_retries(max(PATIENCE_S, self._transport.retry_for_s))
            except HubRefused as error:
                if error.status == 404:
                    raise BlobNotFound(kind="blob", name=digest) from error
                raise

    def _copy_cached(self, entry: ManifestEntry, place: Path) -> None:
        """Copy a blob out of the cache, fetching it first if it is not there or damaged."""
        hexadecimal = hex_of(entry.digest)
        kept = self._cache / hexadecimal[:2] / hexadecimal
        try:
            _write_whole(place, _verified(entry.digest, _read(kept)), executable=entry.executable)
        except (FileNotFoundError, BlobDigestMismatch):
            kept.parent.mkdir(parents=True, exist_ok=True)
            self.get_file(entry.digest, kept)
            _write_whole(place, _verified(entry.digest, _read(kept)), executable=entry.executable)


def _opener(path: Path) -> Callable[[], IO[bytes]]:
    return lambda: open(path, "rb")  # the transport closes it


def _read(path: Path) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while piece := file.read(BLOCK_BYTES):
            yield piece


def _verified(digest: Digest, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Hand pieces on, and fail at their end if they are not what they should be."""
    hasher = Hasher()
    for piece in pieces:
        hasher.update(piece)
        yield piece
    actual = hasher.result().digest
    if actual != digest:
        raise BlobDigestMismatch(digest=digest, actual=actual)


def _write_whole(target: Path, pieces: Iterable[bytes], *, executable: bool) -> None:
    """Write a file that has its name only once all of it is there."""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".partial.")
    try:
        with os.fdopen(handle, "wb") as file:
            for piece in pieces:
                file.write(piece)
        os.chmod(name, 0o755 if executable else 0o644)
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise


def _in_parallel(work: Callable[[ManifestEntry], None], entries: Sequence[ManifestEntry]) -> None:
    if len(entries) < 2:
        for entry in entries:
            work(entry)
        return
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="blobs") as threads:
        futures = [threads.submit(work, entry) for entry in entries]
        try:
            for future in futures:
                future.result()
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise
