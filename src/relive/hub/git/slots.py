"""Bounds how many git processes read or write packs at once."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class PackSlots:
    """So many packs at once, the others wait in line.

    A push that only prints how its pipeline goes does no more work, and may take hours: its slot is
    given free when its hook reports. For one event loop.

    Args:
        count: Packs at once; each costs up to a processor and some 100 MiB.
        patience_s: How long one waits for a slot.
    """

    def __init__(self, count: int = 4, *, patience_s: float = 120.0) -> None:
        self._free = asyncio.Semaphore(count)
        self._patience_s = patience_s
        self._held: set[str] = set()

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[str]:
        """Hold a slot in the block and give the id by which `free` gives it back early.

        Raises:
            TimeoutError: None became free in time.
        """
        async with asyncio.timeout(self._patience_s):
            await self._free.acquire()
        slot = uuid.uuid4().hex
        self._held.add(slot)
        try:
            yield slot
        finally:
            self.free(slot)

    def free(self, slot: str) -> None:
        """Give a slot back; one that is free already, or that nobody knows, changes nothing."""
        if slot in self._held:
            self._held.remove(slot)
            self._free.release()
