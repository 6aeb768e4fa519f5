"""Sends a blob in three parts and commits it, and kills itself with -9 just before its Nth system call.

`python killed_in_upload.py STORE N` goes on with what is there, prints "part N" when a part is acknowledged,
"committed" when the commit has returned, and "whole" if N lies beyond.
"""

import os
import signal
import sys
from types import FrameType

from relive.formats.hashing import blake3_digest
from relive.stores.blobs.local import LocalBlobStore
from relive.stores.blobs.uploads import PartedUpload

PART = 100_000
DATA = bytes(range(256)) * 1000
_SYSTEM = {"posix", "fcntl", "time"}


def main(root: str, n_calls: int) -> None:
    """Send what is missing and commit, or die on the way."""
    calls_left = n_calls

    def count(frame: FrameType, event: str, function: object) -> None:
        nonlocal calls_left
        if event == "c_call" and getattr(function, "__module__", None) in _SYSTEM:
            if calls_left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            calls_left -= 1

    PartedUpload.part_bytes = PART
    sys.setprofile(count)
    upload = LocalBlobStore(root).upload(blake3_digest(DATA), len(DATA), owner="ada")
    for number in upload.missing():
        piece = DATA[number * PART : (number + 1) * PART]
        with upload.part(number, expected=blake3_digest(piece)) as writer:
            writer.write(piece[:50_000])
            writer.write(piece[50_000:])
            writer.commit()
        os.write(1, f"part {number}\n".encode())
    upload.commit()
    os.write(1, b"committed\n")
    sys.setprofile(None)
    if calls_left > 0:
        print("whole")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
