"""Something of a process that is made when it serves already."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Late(Generic[T]):
    """Made once, in a thread, for whoever asks first; all others wait for the same one.

    Args:
        make: Makes it. If that fails, everybody who asks is told why.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._making: asyncio.Task[T] | None = None

    async def get(self) -> T:
        """Give it, once it is made; one who stops waiting does not keep it from the others."""
        if self._making is None:
            self._making = asyncio.create_task(asyncio.to_thread(self._make))
        if self._making.done():
            return self._making.result()
        return await asyncio.shield(self._making)
