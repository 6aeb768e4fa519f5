"""What a command prints: all of it counted, its beginning and its end kept, and memory flat whatever comes.

The kept log is the first 16 MiB, a line that says how much is left out, and the last 16 MiB. Its beginning
grows in one file from which it is streamed live; the end goes round in another.
"""

import contextlib
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from relive.runner.masking import Mask

KEPT_BYTES: Final = 16 * 1024 * 1024
_READ_BYTES: Final = 1024 * 1024


class OutputLog:
    """The output of one run, from all its commands; one thread writes while others read.

    Args:
        folder: Where the files lie; made if absent.
        kept_bytes: How much is kept of the beginning, and how much of the end.
    """

    def __init__(self, folder: Path, *, kept_bytes: int = KEPT_BYTES) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "output.log"
        self._tail_path = folder / "output.tail"
        self._kept_bytes = kept_bytes
        self._head = open(self.path, "wb", buffering=0)  # noqa: SIM115  # closed by close()
        self._tail = open(self._tail_path, "w+b", buffering=0)  # noqa: SIM115  # closed by close()
        self._head_bytes = 0
        self._stored_bytes = 0
        self._dropped_bytes = 0
        self._lock = threading.Lock()
        self._is_closed = False

    @property
    def total_bytes(self) -> int:
        """How much was printed in all."""
        return self._stored_bytes + self._dropped_bytes

    @property
    def readable_bytes(self) -> int:
        """Length of the kept log as far as it stands; it only grows."""
        return self._head_bytes

    def write(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            OSError: The disk is full; what was written before is kept, these bytes are only counted.
        """
        with self._lock:
            if self._is_closed:
                return
            before, gone_round = self._head_bytes, 0
            try:
                self._write_head(data[: self._kept_bytes - before])
                rest = data[self._head_bytes - before :]
                if rest and self._head_bytes == self._kept_bytes:
                    self._write_round(rest)
                    gone_round = len(rest)
            finally:
                stored = self._head_bytes - before + gone_round
                self._stored_bytes += stored
                self._dropped_bytes += len(data) - stored

    def read(self, offset: int, limit: int) -> bytes:
        """Give a piece of the kept log as far as it stands."""
        return self._read_file(offset, min(limit, max(0, self._head_bytes - offset)))

    def end(self, limit: int) -> bytes:
        """Give the last bytes that were printed, at most `limit` and no more than are kept."""
        with self._lock:
            wanted = min(limit, self._stored_bytes, self._kept_bytes)
            after_head = min(self._stored_bytes - self._head_bytes, wanted)
            if self._is_closed or after_head == 0:
                return self._read_file(self._head_bytes - wanted, wanted)
            before = self._read_file(self._head_bytes - (wanted - after_head), wanted - after_head)
            return before + self._read_round(after_head)

    def close(self) -> Path:
        """Put beginning and end together, and give the file of the kept log."""
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                self._append_end()
                self._head.close()
                self._tail.close()
                self._tail_path.unlink()
        return self.path

    def _write_head(self, data: bytes) -> None:
        while data:
            written = self._head.write(data) or 0  # less than all if the disk is nearly full
            self._head_bytes += written
            data = data[written:]

    def _write_round(self, data: bytes) -> None:
        """Write to the file of the end, in which a byte lies at its place in the output modulo the size."""
        if os.fstat(self._tail.fileno()).st_size == 0:
            # All of it now, so that a disk that fills up later does not tear it.
            os.posix_fallocate(self._tail.fileno(), 0, self._kept_bytes)
        end = max(self._stored_bytes, self._kept_bytes) + len(data)
        last = data[-self._kept_bytes :]
        at = (end - len(last)) % self._kept_bytes
        before_turn = last[: self._kept_bytes - at]
        os.pwrite(self._tail.fileno(), before_turn, at)
        os.pwrite(self._tail.fileno(), last[len(before_turn) :], 0)

    def _read_file(self, offset: int, size: int) -> bytes:
        with open(self.path, "rb") as file:
            file.seek(max(0, offset))
            return file.read(size)

    def _read_round(self, size: int) -> bytes:
        """Give the last bytes of the file of the end."""
        start = (self._stored_bytes - size) % self._kept_bytes
        before_turn = os.pread(self._tail.fileno(), min(size, self._kept_bytes - start), start)
        return before_turn + os.pread(self._tail.fileno(), size - len(before_turn), 0)

    def _append_end(self) -> None:
        after_head = self._stored_bytes - self._head_bytes
        kept = min(after_head, self._kept_bytes)
        if not kept:
            return
        end = self._read_round(kept)
        left_out = after_head - kept
        if left_out:
            # Not in the middle of a line, nor of a character.
            cut = end.find(b"\n", 0, 65536) + 1
            end, left_out = end[cut:], left_out + cut
            end = f"\n[relive: {left_out} bytes are left out here]\n".encode() + end
        self._write_head(end)


@dataclass(frozen=True)
class Sink:
    """Where a command's output goes.

    Attributes:
        log: Keeps it.
        mask: Takes secrets out of it before anything else sees it.
        echo: Called with it as well, for a person who looks on.
    """

    log: OutputLog
    mask: Mask
    echo: Callable[[bytes], None] | None = None

    def take(self, data: bytes) -> None:
        """Hand on what the mask lets through; what does not fit on the disk is only counted."""
        if not data:
            return
        if self.echo is not None:
            self.echo(data)
        # The command must not wait, nor fail, for the sake of its log.
        with contextlib.suppress(OSError):
            self.log.write(data)


def pump(reading: int, sink: Sink) -> threading.Thread:
    """Copy everything that comes out of a descriptor, in a thread of its own that closes it."""

    def copy() -> None:
        with open(reading, "rb", buffering=0) as pipe:
            while data := pipe.read(_READ_BYTES):
                sink.take(sink.mask.feed(data))
        sink.take(sink.mask.flush())

    thread = threading.Thread(target=copy, name="output", daemon=True)
    thread.start()
    return thread
