"""The blobs of a hub that runs beside this process, for the same user: large ones go past HTTP.

What is written is hashed here, as the hub does it, and gets its name by the hub alone. What is read is
checked by its reader, as all that comes from a hub. Whatever does not work here goes by HTTP, which says what
is wrong.
"""

import os
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Final

from relive.client.credentials import local_hub, normalised
from relive.client.transport import Transport, path_of
from relive.core.digest import Digest
from relive.errors import HubRefused, InvalidInput
from relive.formats.blob_folder import BLOBS, PARTS, blob_path, given_name
from relive.formats.hashing import Bytes
from relive.wire.blobs import GivenPart

# What a hub says that has no such part, or does not know that they are given: another one, or an older one.
_ELSEWHERE: Final = (404, 405)
_OPEN_AT_ONCE: Final = 4


class BlobsBeside:
    """The folder of a hub's blobs; may be used from several threads.

    Args:
        root: The folder, in which this user may write.
        transport: To the hub.
    """

    def __init__(self, root: Path, transport: Transport) -> None:
        self._root = root
        self._transport = transport
        self._open: OrderedDict[Digest, int] = OrderedDict()
        self._lock = Lock()

    def __del__(self) -> None:
        while self._open:
            os.close(self._open.popitem()[1])

    def has(self, digest: Digest, size_bytes: int) -> bool:
        """Tell whether a blob lies there; the hub does not know that somebody asked."""
        try:
            return blob_path(self._root, digest).stat().st_size == size_bytes
        except OSError:
            return False

    def give(self, digest: Digest, data: Bytes) -> bool:
        """Store bytes that hash to a digest; False if that has to go by HTTP.

        Raises:
            HubUnreachable, HubRefused, StoreFull: The hub did not take them.
        """
        part = self._root / PARTS / given_name()
        try:
            _write(part, data)
            message = GivenPart(part.name)
            self._transport.post(path_of("blobs", digest, "adopt"), message, type(None), repeatable=True)
        except OSError:
            return False
        except HubRefused as error:
            if error.status not in _ELSEWHERE:
                raise
            return False
        finally:
            part.unlink(missing_ok=True)
        return True

    def read(self, digest: Digest, start: int, end: int) -> bytes | None:
        """Give the bytes of a blob from `start` to before `end`; None if it is not there, or shorter."""
        # Held while it reads: another thread must not close the file meanwhile.
        with self._lock, suppress(OSError):
            data = os.pread(self._file(digest), end - start, start)
            return data if len(data) == end - start else None
        return None

    def read_into(self, digest: Digest, start: int, buffer: memoryview) -> bool:
        """Fill a buffer with the bytes of a blob from `start` on; False if it is not there, or shorter."""
        with self._lock, suppress(OSError):
            return os.preadv(self._file(digest), [buffer], start) == len(buffer)
        return False

    def _file(self, digest: Digest) -> int:
        if digest in self._open:
            self._open.move_to_end(digest)
        else:
            self._open[digest] = os.open(blob_path(self._root, digest), os.O_RDONLY | os.O_CLOEXEC)
            if len(self._open) > _OPEN_AT_ONCE:
                os.close(self._open.popitem(last=False)[1])
        return self._open[digest]


def find_beside(transport: Transport) -> BlobsBeside | None:
    """Give the blobs of a hub that runs on this machine for this user; None if it does not."""
    try:
        known = local_hub()
    except InvalidInput:
        return None  # a damaged file is a reason to fail for those alone who need what it says
    for hub in (known, *known.others) if known is not None else ():
        root = Path(hub.blobs)
        if hub.blobs and normalised(hub.address) == normalised(transport.base_url) and _is_own(root):
            return BlobsBeside(root, transport)
    return None


def _is_own(root: Path) -> bool:
    try:
        return (root / PARTS).stat().st_uid == (root / BLOBS).stat().st_uid == os.geteuid()
    except OSError:
        return False


def _write(part: Path, data: Bytes) -> None:
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
    finally:
        os.close(descriptor)
