"""Blobs in a folder of a local or shared file system.

    ROOT/blake3/AB/AB…   the blobs, read-only, in 256 folders by the first two digits
    ROOT/tmp/*.part      what is being written; stale ones are removed when the store is opened
    ROOT/damaged/AB…     what was found to have other bytes than its digest says, and is no blob any more
    ROOT/lock            held shared to place a blob, exclusively to delete one by its age

A part is written, flushed, renamed to its digest, and the folder's list of names is flushed: in this
order nothing torn is ever visible, and what was acknowledged is on the disk.
"""

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import unquote, urlsplit

from relive.core.digest import PREFIX, Digest, is_digest
from relive.errors import InvalidInput, StoreUnavailable
from relive.formats.blob_folder import BLOBS, PARTS, blob_path
from relive.formats.hashing import Hashed
from relive.ports.blobs import BlobInfo, BlobUsage, OpenOptions
from relive.stores.blobs.budget import Budget
from relive.stores.blobs.common import BlobStoreBase, HashingWriter, Kept, blob_not_found
from relive.stores.blobs.disk import disk_errors, make_folder, sync_folder, write_all
from relive.stores.blobs.inbox import FolderInbox
from relive.stores.blobs.uploads import PartedUpload, Uploads

_DAMAGED: Final = "damaged"
_READ_ONLY: Final = 0o444
_STALE_S: Final = 24 * 3600.0


class LocalBlobStore(BlobStoreBase):
    """Blobs in a folder; see `ports.blobs.BlobStore` for what it promises.

    Args:
        root: The folder; made, for its owner only, if it is not there.
        reserve_bytes: Disk space that writes leave free.
        quota_bytes: Largest sum of all blobs. Several processes may together pass it by what the
            others wrote in the last ten minutes.

    Raises:
        StoreUnavailable: The folder cannot be made or read.
    """

    def __init__(
        self, root: str | os.PathLike[str], *, reserve_bytes: int = 0, quota_bytes: int | None = None
    ) -> None:
        self.root = Path(root).absolute()
        self._blobs = self.root / BLOBS
        self.parts = self.root / PARTS
        self._lasting_folders: set[Path] = set()
        with disk_errors(self.root):
            make_folder(self.root, mode=0o700)
            make_folder(self._blobs)
            make_folder(self.parts)
            self._sweep()
        self.budget = Budget(
            self.root,
            reserve_bytes=reserve_bytes,
            quota_bytes=quota_bytes,
            count=lambda: sum(info.size_bytes for info in self.list()),
        )
        self._uploads = Uploads(self.root / "uploads", self.budget, self.place)
        self.inbox = FolderInbox(self.root, self.budget, self.place)

    def __repr__(self) -> str:
        return f"LocalBlobStore({str(self.root)!r})"

    def check(self) -> None:
        with disk_errors(self.root), os.scandir(self._blobs) as entries:
            next(entries, None)
        if not os.access(self.parts, os.W_OK):
            raise StoreUnavailable(store=str(self.root), reason="it cannot be written to")

    def writer(
        self, *, expected: Digest | None = None, size_hint: int | None = None, sha256: bool = False
    ) -> "LocalWriter":
        return LocalWriter(
            self.budget,
            store=self,
            expected=expected,
            size_hint=size_hint,
            sha256=sha256,
        )

    def upload(self, digest: Digest, size_bytes: int, *, owner: str) -> PartedUpload:
        return self._uploads.open(digest, size_bytes, owner)

    def drop_uploads(self, *, before: float, dry_run: bool = False) -> BlobUsage:
        return self._uploads.drop(before, dry_run=dry_run)

    def find(self, digest: Digest) -> BlobInfo | None:
        path = self.path_of(digest)
        with disk_errors(path), suppress(FileNotFoundError):
            found = path.stat()
            return _info(digest, found)
        return None

    def open(self, digest: Digest) -> BinaryIO:
        path = self.path_of(digest)
        try:
            with disk_errors(path):
                return open(path, "rb")
        except StoreUnavailable as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise blob_not_found(digest) from None
            raise

    def delete(self, digest: Digest, *, stored_before: float | None = None) -> bool:
        path = self.path_of(digest)
        # The lock makes looking at the age and deleting one step for those who place blobs.
        with disk_errors(path), suppress(FileNotFoundError), self._locked(fcntl.LOCK_EX):
            found = path.stat()
            if stored_before is not None and found.st_mtime >= stored_before:
                return False
            path.unlink()
            self.budget.remove(found.st_size)
            return True
        return False

    def _mark(self, digest: Digest) -> object:
        with self.open(digest) as file:
            return os.fstat(file.fileno()).st_ino

    def _move_away(self, digest: Digest, mark: object) -> bool:
        path = self.path_of(digest)
        with disk_errors(path), suppress(FileNotFoundError), self._locked(fcntl.LOCK_EX):
            found = path.stat()
            if found.st_ino == mark:
                make_folder(self.root / _DAMAGED)
                path.rename(self.root / _DAMAGED / path.name)
                sync_folder(path.parent)
                self.budget.remove(found.st_size)
                return True
        return False

    def list(self) -> Iterator[BlobInfo]:
        with disk_errors(self._blobs):
            for folder in sorted(self._blobs.iterdir()):
                with os.scandir(folder) as entries:
                    for entry in entries:
                        # A blob may be deleted while the folder is read.
                        with suppress(FileNotFoundError):
                            if is_digest(PREFIX + entry.name):
                                yield _info(PREFIX + entry.name, entry.stat(follow_symlinks=False))

    def place(self, descriptor: int, part: Path, hashed: Hashed) -> Kept:
        """Make a written part the blob of its digest, or find that it is there already."""
        path = self.path_of(hashed.digest)
        self._ensure_lasting(path.parent)
        with self._locked(fcntl.LOCK_SH):
            kept = _touch(path, hashed.size_bytes)
        if kept is None:
            # Outside the lock, for it takes long; and not at all if the bytes are here already.
            os.utime(descriptor)
            os.fchmod(descriptor, _READ_ONLY)
            os.fsync(descriptor)
            with self._locked(fcntl.LOCK_SH):
                kept = _touch(path, hashed.size_bytes) or _move(part, path)
        # Also where another writer placed it: it may not have come so far yet.
        sync_folder(path.parent)
        return kept

    def _free_bytes(self) -> int | None:
        with disk_errors(self.root):
            return self.budget.free_bytes()

    def _stream(self, info: BlobInfo, start: int, end: int, chunk_bytes: int) -> Iterator[bytes]:
        with self.open(info.digest) as file, disk_errors(self.root):
            file.seek(start)
            while start < end and (chunk := file.read(min(chunk_bytes, end - start))):
                start += len(chunk)
                yield chunk

    def path_of(self, digest: Digest) -> Path:
        """Say where a blob lies, or would lie."""
        return blob_path(self.root, digest)

    def _ensure_lasting(self, folder: Path) -> None:
        """Make a folder, and flush its own name once per process.

        That it is there does not say that its maker, in another process, has flushed it.
        """
        if folder not in self._lasting_folders:
            folder.mkdir(exist_ok=True)
            sync_folder(folder.parent)
            self._lasting_folders.add(folder)

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        # A descriptor of its own each time: threads that share one would share the lock.
        descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, how)
            yield
        finally:
            os.close(descriptor)

    def _sweep(self) -> None:
        limit = time.time() - _STALE_S
        for part in self.parts.glob("*.part"):
            # Another process may sweep at the same time.
            with suppress(FileNotFoundError):
                if part.stat().st_mtime < limit:
                    part.unlink()


class LocalWriter(HashingWriter):
    """Writes a part beside the blobs, on the same file system."""

    def __init__(
        self,
        budget: Budget,
        *,
        store: LocalBlobStore,
        expected: Digest | None,
        size_hint: int | None,
        sha256: bool,
    ) -> None:
        super().__init__(budget, where=str(store.root), expected=expected, size_hint=size_hint, sha256=sha256)
        self._store = store
        self._descriptor = -1
        self._part: Path | None = None

    def _begin(self) -> None:
        self._descriptor, name = tempfile.mkstemp(suffix=".part", dir=self._store.parts)
        self._part = Path(name)

    def _append(self, view: memoryview) -> None:
        write_all(self._descriptor, view)

    def _keep(self, hashed: Hashed) -> Kept:
        assert self._part is not None
        kept = self._store.place(self._descriptor, self._part, hashed)
        if kept.is_new:
            self._part = None  # it is the blob now, and its old name may become another writer's
        return kept

    def _discard(self) -> None:
        try:
            os.close(self._descriptor)
        finally:
            if self._part is not None:
                self._part.unlink(missing_ok=True)


def open_url(url: str, options: OpenOptions) -> LocalBlobStore:
    """Open the store of a `file:///path` or of a plain path.

    Raises:
        InvalidInput: The URL names a host, or carries more than a path.
    """
    parts = urlsplit(url) if "://" in url else None
    if not url or (parts and (parts.netloc not in ("", "localhost") or parts.query or not parts.path)):
        raise InvalidInput(field="store", value=url, wanted="a path, or file:///absolute/path")
    path = url if parts is None else unquote(parts.path)
    return LocalBlobStore(path, reserve_bytes=options.reserve_bytes, quota_bytes=options.quota_bytes)


def _info(digest: Digest, found: os.stat_result) -> BlobInfo:
    return BlobInfo(digest=digest, size_bytes=found.st_size, stored_at=found.st_mtime)


def _touch(path: Path, size_bytes: int) -> Kept | None:
    """Make a blob young again; None if it is not there, or of another size and so damaged."""
    with suppress(FileNotFoundError):
        if path.stat().st_size == size_bytes:
            os.utime(path)
            return Kept(stored_at=path.stat().st_mtime, is_new=False)
    return None


def _move(part: Path, path: Path) -> Kept:
    part.replace(path)
    return Kept(stored_at=path.stat().st_mtime, is_new=True)
