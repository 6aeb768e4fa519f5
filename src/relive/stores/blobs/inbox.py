"""Blobs that a client of the same user has written into the store's folder by itself."""

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from relive.core.digest import Digest, parse_digest
from relive.errors import BlobNotFound, InvalidInput
from relive.formats.blob_folder import PARTS, is_given_name
from relive.formats.hashing import Hashed
from relive.ports.blobs import BlobInfo
from relive.stores.blobs.budget import Budget
from relive.stores.blobs.common import Kept
from relive.stores.blobs.disk import disk_errors

Place = Callable[[int, Path, Hashed], Kept]


class FolderInbox:
    """Takes parts that lie in the folder of a store; see `ports.blobs.Inbox`.

    Args:
        root: The store's folder.
        budget: Its room.
        place: Makes an open file (descriptor, path) the blob of its digest, durably.
    """

    def __init__(self, root: Path, budget: Budget, place: Place) -> None:
        self._parts = root / PARTS
        self._budget = budget
        self._place = place

    def take(self, name: str, digest: Digest) -> BlobInfo:
        """Make a part the blob of its digest."""
        if not is_given_name(name):
            raise InvalidInput(field="part", value=name, wanted="32 hexadecimal digits and .part")
        part = self._parts / name
        with disk_errors(part):
            try:
                descriptor = os.open(part, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError:
                raise BlobNotFound(kind="part", name=name) from None
            try:
                return self._keep(descriptor, part, parse_digest(digest))
            finally:
                os.close(descriptor)

    def _keep(self, descriptor: int, part: Path, digest: Digest) -> BlobInfo:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_nlink != 1:
            raise InvalidInput(field="part", value=part.name, wanted="a file of the user that runs the hub")
        # Its bytes are on the disk already, so as much again must be free: a part too much is refused early.
        claim = self._budget.claim(found.st_size)
        kept_bytes = 0
        try:
            kept = self._place(descriptor, part, Hashed(digest, found.st_size))
            kept_bytes = found.st_size if kept.is_new else 0
        finally:
            claim.close(kept_bytes=kept_bytes)
        if not kept.is_new:
            with suppress(FileNotFoundError):
                part.unlink()
        return BlobInfo(digest=digest, size_bytes=found.st_size, stored_at=kept.stored_at)
