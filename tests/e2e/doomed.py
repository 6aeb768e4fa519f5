"""A hub that dies, as by kill -9, at one exact point: `python doomed.py TARGET WHEN up …`.

TARGET is `module:name` as the caller looks it up, WHEN is "before" or "after" its call. All else is the hub.
"""

import importlib
import os
import signal
import sys
from typing import Any, NoReturn

from relive.cli.main import main


def doom(target: str, when: str) -> None:
    """Replace a function or method by one that kills this process before or after it does its work."""
    module, _, path = target.partition(":")
    *owners, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for part in owners:
        owner = getattr(owner, part)
    original = getattr(owner, name)

    def deadly(*args: Any, **kwargs: Any) -> NoReturn:
        if when == "after":
            original(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("it is dead")

    setattr(owner, name, deadly)


if __name__ == "__main__":
    doom(sys.argv[1], sys.argv[2])
    sys.argv[1:] = sys.argv[3:]
    main()
