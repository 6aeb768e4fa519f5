"""What a script prints, kept beside its records; where a runner listens, the runner has it already."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Console:
    """Copy what goes through `sys.stdout` and `sys.stderr` to a file; printing itself stays as it is.

    What programs in other languages, or this one's children, write to the terminal passes by.

    Args:
        path: The file; it is appended to, also by forked children.

    Raises:
        OSError: The file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        status = os.fstat(self._fd)
        self._identity = (status.st_dev, status.st_ino)
        self._undo = [undo for stream in (sys.stdout, sys.stderr) if (undo := self._watch(stream))]

    def stop(self) -> None:
        """Leave the streams as they were, unless somebody else has wrapped them meanwhile."""
        for undo in self._undo:
            undo()
        if self._is_ours():
            os.close(self._fd)
        self._fd = -1

    def _watch(self, stream: Any) -> Callable[[], None] | None:
        write = getattr(stream, "write", None)
        if write is None:
            return None

        def tee(text: Any) -> Any:
            written = write(text)
            self._keep(text)
            return written

        try:
            stream.write = tee
        except AttributeError:
            return None  # a stream without room for attributes stays unwatched

        def undo() -> None:
            if getattr(stream, "write", None) is tee:
                stream.write = write

        return undo

    def _keep(self, text: Any) -> None:
        if self._fd < 0 or not isinstance(text, str):
            return
        try:
            if self._is_ours():
                os.write(self._fd, text.encode("utf-8", "replace"))
        except OSError:
            self._fd = -1  # a full disk: what was printed is on the terminal

    def _is_ours(self) -> bool:
        """Tell whether the descriptor still is that of our file: a program may have closed them all."""
        try:
            status = os.fstat(self._fd)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._identity
