"""Large files in parts: what was sent before a connection broke, or this program died, is not sent again.

The hub knows which parts it has; nothing is kept here.
"""

import functools
import io
from collections.abc import Callable, Iterable
from typing import IO, Final

from relive.client.transport import Transport, path_of
from relive.core.digest import Digest
from relive.errors import HubRefused, HubUnreachable
from relive.formats.hashing import blake3_digest
from relive.wire.blobs import BeginUpload, UploadState

# Smaller ones go in one request, which is sent again whole.
IN_PARTS_FROM_BYTES: Final = 32 * 1024 * 1024
# Also for callers without patience: a connection that breaks in the middle is no hub that is away.
PATIENCE_S: Final = 30.0
_ASK_EVERY_S: Final = 1.0
_TRIES: Final = 3
_CONFLICT: Final = 409


def send_in_parts(
    transport: Transport, digest: Digest, source: Callable[[], IO[bytes]], size_bytes: int
) -> None:
    """Send a file that the hub lacks, or what it lacks of it; holds one part in memory.

    Args:
        source: Opens the file, which can be sought in.

    Raises:
        HubUnreachable: No answer within the patience; the parts that were sent are kept there.
        HubRefused: The file is not what its digest says: it changed meanwhile.
        StoreFull: The hub has no room.
    """
    sender = _Sender(transport, digest, size_bytes)
    tries, state = 0, sender.ask(transport)
    while not state.is_stored:
        if state.is_finishing:
            transport.wait(_ASK_EVERY_S)
        elif state.missing:
            with source() as file:
                sender.send(file, state)
        else:
            tries += 1
            sender.finish(is_last=tries == _TRIES)
        state = sender.ask()


class _Sender:
    """One upload."""

    def __init__(self, transport: Transport, digest: Digest, size_bytes: int) -> None:
        self._patient = transport.with_retries(max(PATIENCE_S, transport.retry_for_s))
        self._path = path_of("blobs", digest, "upload")
        self._about = BeginUpload(size_bytes)

    def ask(self, hub: Transport | None = None) -> UploadState:
        return (hub or self._patient).post(self._path, self._about, UploadState, repeatable=True)

    def send(self, file: IO[bytes], state: UploadState) -> None:
        """Send parts, until all that were named are there or others put them together."""
        for number, data in _parts(file, state, self._about.size_bytes):
            query = f"size_bytes={self._about.size_bytes}&part={blake3_digest(data)}"
            path = f"{self._path}/{number}?{query}"
            try:
                self._patient.put_stream(path, functools.partial(io.BytesIO, data), len(data))
            except HubRefused as error:
                if error.status != _CONFLICT:
                    raise
                return

    def finish(self, *, is_last: bool) -> None:
        """Have the parts put together; a hub that is at it, lacks one, or is silent, is asked again."""
        try:
            self._patient.post(f"{self._path}/finish", self._about, type(None), repeatable=True)
        except HubRefused as error:
            if error.status != _CONFLICT or is_last:
                raise
        except HubUnreachable:
            # It reads all that was sent, which may take longer than any silence is waited for.
            if is_last:
                raise


def _parts(file: IO[bytes], state: UploadState, size_bytes: int) -> Iterable[tuple[int, bytes]]:
    for number in state.missing:
        start = number * state.part_bytes
        file.seek(start)
        yield number, file.read(min(state.part_bytes, size_bytes - start))
