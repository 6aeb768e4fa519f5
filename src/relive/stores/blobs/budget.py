"""How much room is left for blobs, so that a write is refused before the disk is full, not after.

A writer claims what it will write. Claims count against the free disk until their bytes are on it, so
two large uploads that would fit one at a time are not both let in.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from relive.errors import StoreFull
from relive.stores.blobs.disk import free_bytes

# What other processes add and delete is seen by counting again: this often, and before a refusal.
_COUNT_AGAIN_S: Final = 600.0
_COUNT_BEFORE_REFUSAL_S: Final = 10.0


class Budget:
    """The room of one store, shared by its writers; safe from any thread.

    Args:
        folder: Where the bytes are written.
        reserve_bytes: Disk space that is left free for others.
        quota_bytes: Largest sum of all blobs, or None.
        count: Gives that sum; called only with a quota.
    """

    def __init__(
        self, folder: Path, *, reserve_bytes: int, quota_bytes: int | None, count: Callable[[], int]
    ) -> None:
        self._folder = folder
        self._reserve_bytes = reserve_bytes
        self._quota_bytes = quota_bytes
        self._count = count
        self._lock = threading.Lock()
        self._claimed_bytes = 0
        self._written_bytes = 0  # of the claimed
        self._used_bytes = 0
        self._counted_at: float | None = None

    def claim(self, size_bytes: int) -> "Claim":
        """Set room aside for a writer.

        Raises:
            StoreFull: There is not as much.
        """
        claim = Claim(self)
        claim.grow(size_bytes)
        return claim

    def free_bytes(self) -> int | None:
        """Say how much the disk and the quota leave; None where neither says."""
        with self._lock:
            rooms = (self._disk_room(), self._quota_room(_COUNT_AGAIN_S))
        known = [room for room in rooms if room is not None]
        return max(0, min(known)) if known else None

    def quota_free_bytes(self) -> int | None:
        """Say how much the quota leaves; None without a quota."""
        with self._lock:
            room = self._quota_room(_COUNT_AGAIN_S)
        return None if room is None else max(0, room)

    def remove(self, size_bytes: int) -> None:
        """Count a blob as deleted."""
        with self._lock:
            self._used_bytes -= size_bytes

    def _take(self, n_bytes: int) -> None:
        with self._lock:
            room = self._disk_room()
            if room is not None and n_bytes > room:
                self._refuse(n_bytes, room, "disk" if not self._reserve_bytes else "disk above its reserve")
            room = self._quota_room(_COUNT_AGAIN_S)
            if room is not None and n_bytes > room:
                room = self._quota_room(_COUNT_BEFORE_REFUSAL_S)
                if room is not None and n_bytes > room:
                    self._refuse(n_bytes, room, f"quota of {self._quota_bytes} bytes")
            self._claimed_bytes += n_bytes

    def _wrote(self, n_bytes: int) -> None:
        with self._lock:
            self._written_bytes += n_bytes

    def _settle(self, *, claimed: int, written: int, kept: int) -> None:
        with self._lock:
            self._claimed_bytes -= claimed
            self._written_bytes -= written
            self._used_bytes += kept

    def _disk_room(self) -> int | None:
        free = free_bytes(self._folder)
        return (
            None if free is None else free - self._reserve_bytes - (self._claimed_bytes - self._written_bytes)
        )

    def _quota_room(self, max_age_s: float) -> int | None:
        if self._quota_bytes is None:
            return None
        now = time.monotonic()
        if self._counted_at is None or now - self._counted_at > max_age_s:
            self._used_bytes, self._counted_at = self._count(), now
        return self._quota_bytes - self._used_bytes - self._claimed_bytes

    def _refuse(self, n_bytes: int, room: int, limit: str) -> None:
        raise StoreFull(where=str(self._folder), needed_bytes=n_bytes, free_bytes=max(0, room), limit=limit)


class Claim:
    """What one writer has set aside; to be closed, whatever becomes of it."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._claimed = 0
        self._written = 0

    def grow(self, n_bytes: int) -> None:
        """Set more aside.

        Raises:
            StoreFull: There is not as much.
        """
        self._budget._take(n_bytes)
        self._claimed += n_bytes

    def before_write(self, n_bytes: int) -> None:
        """Make sure that so many more bytes are covered.

        Raises:
            StoreFull: They are not, and there is not as much.
        """
        if (lacking := self._written + n_bytes - self._claimed) > 0:
            self.grow(lacking)

    def after_write(self, n_bytes: int) -> None:
        """Count bytes that are on the disk now."""
        self._written += n_bytes
        self._budget._wrote(n_bytes)

    def close(self, *, kept_bytes: int = 0) -> None:
        """Give back what was set aside; `kept_bytes` of it have become a new blob."""
        self._budget._settle(claimed=self._claimed, written=self._written, kept=kept_bytes)
        self._claimed = self._written = 0
