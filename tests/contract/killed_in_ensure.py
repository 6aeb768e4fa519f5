"""Makes a repository, and kills itself with -9 just before its Nth call of the operating system.

`python killed_in_ensure.py ROOT N` prints "whole" if N lies beyond the last call.
"""

import os
import signal
import sys
from pathlib import Path
from types import FrameType

from relive.stores.git.repositories import GitRepositories

_SYSTEM = {"posix", "fcntl", "io", "_io"}


def main(root: str, n_calls: int) -> None:
    """Make it, or die on the way."""
    calls_left = n_calls

    def count(frame: FrameType, event: str, function: object) -> None:
        nonlocal calls_left
        module = getattr(function, "__module__", None) or type(getattr(function, "__self__", None)).__module__
        if event == "c_call" and module in _SYSTEM:
            if calls_left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            calls_left -= 1

    repositories = GitRepositories(Path(root))
    sys.setprofile(count)
    repositories.ensure("demo")
    sys.setprofile(None)
    print("whole", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
