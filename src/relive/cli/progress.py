"""How far a long step is, for people who wait for it."""

import sys
import time
from collections.abc import Callable

from relive.cli.output import err, plural, size


class Progress:
    """How far a long step is: one line that is written over; plain lines where there is no terminal.

    Args:
        verb: What has become of the files, such as "written".
    """

    def __init__(self, verb: str) -> None:
        self._verb = verb
        self._next_at = time.monotonic() + 1.0
        self._is_open = False

    def __enter__(self) -> Callable[[int, int, int], None]:
        return self._told

    def __exit__(self, *_: object) -> None:
        if self._is_open:
            err.print()

    def _told(self, files: int, all_files: int, done_bytes: int) -> None:
        now = time.monotonic()
        if now < self._next_at:
            return
        is_terminal = sys.stderr.isatty()
        self._next_at = now + (0.2 if is_terminal else 10.0)
        line = f"{files:,} of {plural(all_files, 'file')} {self._verb}, {size(done_bytes)}"
        err.print(f"\r{line}", end="" if is_terminal else "\n")
        self._is_open = is_terminal
