"""Write down what happens around one step, operation by operation, for two runs to be laid beside each other.

Asked for by `RELIVE_DRILL`, JSON: `{"stream": "weights:SGD#0", "step": 7, "until": 8}`. What makes step 7 of
any stream happens between the moments at which that one comes to 6 and to `until`. Each process writes a file
of JSON lines into the spool folder, with a name that no reader of a spool looks at: one line an operation or
recorded step, and `{"end": …}` when the window is over.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from typing import Any, Callable

from .ranks import rank

DRILL = "RELIVE_DRILL"
SUFFIX = ".ops"
# A step of a large model has some tens of thousands.
MOST = 200_000

_LIBRARY = os.path.dirname(os.path.realpath(os.__file__))


class Drill:
    """The window of this process, and the file of what happens in it.

    Args:
        folder: Where the file goes.
        stream: The stream that tells how far the training is.
        step: The step that is looked into; what makes the first two begins with the process.
        until: The step of the stream that ends it.
    """

    def __init__(self, folder: str, stream: str, step: int, until: int) -> None:
        self._stream, self._first, self._until = stream, step - 1, until
        self._path = os.path.join(folder, f"{time.time_ns()}-{rank()}-{os.getpid()}{SUFFIX}")
        self._pid = os.getpid()
        self._fd = -1
        self._count = 0
        self._begins: list[Callable[[], None]] = []
        # Step 0 is recorded when the first step of training is nearly done.
        self.is_open = step <= 1
        self._is_over = False
        # While the recorder digests: what it does for that is not the program's.
        self.is_paused = False

    @classmethod
    def from_environment(cls, folder: str) -> Drill | None:
        """Make what was asked for; None if nothing was.

        Raises:
            KeyError, TypeError, ValueError: It is no such document.
        """
        text = os.environ.get(DRILL, "")
        if not text:
            return None
        asked = json.loads(text)
        return cls(folder, str(asked["stream"]), int(asked["step"]), int(asked["until"]))

    def when_open(self, begin: Callable[[], None]) -> None:
        """Call a function once the window is open, in the thread that opens it; now if it is."""
        if self.is_open:
            begin()
        elif not self._is_over:
            self._begins.append(begin)

    def reaches(self, stream: str, step: int) -> bool:
        """Open the window if this step does, and say whether it is open."""
        if not self.is_open and not self._is_over and stream == self._stream and step >= self._first:
            self.is_open = True
            for begin in self._begins:
                begin()
        return self.is_open

    def passed(self, stream: str, step: int, outputs: Mapping[str, str]) -> None:
        """Write a recorded step of the open window, and close it if this was its last."""
        self.write(f"{stream} step {step}", outputs)
        if stream == self._stream and step >= self._until:
            self.close("step")

    def write(
        self,
        name: str,
        outputs: Mapping[str, str],
        inputs: list[tuple[str, str]] | None = None,
        **more: str,
    ) -> None:
        """Write one operation.

        Args:
            outputs: What it left, by name: digests, or exact values.
            inputs: What it got: for people, and the digest if it is more than that.
            more: `node` of the backward pass, `rng` with the digest of a generator's state.
        """
        if not self.is_open or os.getpid() != self._pid:
            return
        if self._count >= MOST:
            self.close("full")
            return
        self._count += 1
        self._append({"op": name, "at": caller(), "in": inputs or [], "out": dict(outputs), **more})

    def close(self, why: str) -> None:
        """Write that nothing follows: the step is over, the file is full, or the process ends."""
        if self._is_over or os.getpid() != self._pid:
            return
        if self.is_open:
            self._append({"end": why})
        self.is_open, self._is_over = False, True

    def _append(self, document: dict[str, Any]) -> None:
        if self._fd < 0:
            self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        os.write(self._fd, json.dumps(document).encode() + b"\n")


def caller() -> str:
    """Name the nearest line of the program that is neither ours nor a library's: "train.py:12", else ""."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        path, module = frame.f_code.co_filename, str(frame.f_globals.get("__name__"))
        is_ours = module.partition(".")[0] in ("relive", "relive_hooks") or path == __file__
        if not is_ours and not path.startswith(("<", _LIBRARY)) and "site-packages" not in path:
            return f"{os.path.relpath(path)}:{frame.f_lineno}"
        frame = frame.f_back
    return ""
