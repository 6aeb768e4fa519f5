"""Launches a probe, and kills itself with -9 just before its Nth call of the operating system.

`python killed_in_launch.py FOLDER JOB N` prints "launched" if N lies beyond the last call.
"""

import os
import signal
import sys
from pathlib import Path
from types import FrameType

from relive.executors.local import LocalExecutor
from relive.ports.executors import Launch

_SYSTEM = {"posix", "_io", "io", "time"}


def main(folder: str, job: str, n_calls: int) -> None:
    """Launch it, or die on the way."""
    calls_left = n_calls

    def count(frame: FrameType, event: str, function: object) -> None:
        nonlocal calls_left
        module = getattr(function, "__module__", None) or type(getattr(function, "__self__", None)).__module__
        if event == "c_call" and module in _SYSTEM:
            if calls_left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            calls_left -= 1

    executor = LocalExecutor(Path(folder))
    launch = Launch(
        job_id=job,
        fence=1,
        module="relive.testing.executor_probe",
        hub_url="probe:work",
        token="a token",
        name="a launch that is interrupted",
    )
    sys.setprofile(count)
    executor.launch(launch)
    sys.setprofile(None)
    print("launched", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
