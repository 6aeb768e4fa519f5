"""Stores one blob, and kills itself with -9 just before its Nth call of the operating system.

`python killed_at.py STORE N` prints "committed" when the commit has returned, and "whole" if N lies beyond.
"""

import os
import signal
import sys
from types import FrameType

from relive.stores.blobs.local import LocalBlobStore

DATA = bytes(range(256)) * 1000

_SYSTEM = {"posix", "fcntl", "time"}


def main(root: str, n_calls: int) -> None:
    """Store the blob in three pieces, or die on the way."""
    calls_left = n_calls

    def count(frame: FrameType, event: str, function: object) -> None:
        nonlocal calls_left
        if event == "c_call" and getattr(function, "__module__", None) in _SYSTEM:
            if calls_left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            calls_left -= 1

    sys.setprofile(count)
    store = LocalBlobStore(root)
    with store.writer() as writer:
        for start in range(0, len(DATA), 100_000):
            writer.write(DATA[start : start + 100_000])
        writer.commit()
    sys.setprofile(None)
    print("committed", flush=True)
    if calls_left > 0:
        print("whole")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
