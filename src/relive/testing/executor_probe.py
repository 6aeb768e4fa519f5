"""What the executor suite lets an executor run in place of a runner: it does what the hub's address says.

Run with `-m relive.testing.executor_probe`, it reads its one line of JSON from standard input, prints
`line: …` with it and the rest of its input, and then follows the address:

    probe:exit/CODE        ends with this exit code
    probe:signal/NUMBER    ends itself by this signal
    probe:work             works until it is stopped; prints `stopped` on SIGTERM and ends with 0
    probe:stubborn         works, ignores SIGTERM; has a child in its group, one in a session of its own
    probe:facts            prints its environment, arguments, folder and session as JSON
    probe:print/BYTES      prints so many bytes and then works
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Final

WORK_LIMIT_S: Final = 600.0
"""A probe that everybody forgot ends by itself."""


def main() -> None:
    """Do what the line on standard input asks for."""
    first = sys.stdin.readline()
    say("line: " + json.dumps({"line": json.loads(first), "rest": sys.stdin.read()}))
    verb, _, value = json.loads(first)["hub"].removeprefix("probe:").partition("/")
    _VERBS[verb](value)


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _exit(code: str) -> None:
    sys.exit(int(code))


def _signal(number: str) -> None:
    os.kill(os.getpid(), int(number))


def _work(_: str = "") -> None:
    def stop(number: int, frame: object) -> None:
        say("stopped")
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    _sleep()


def _stubborn(_: str) -> None:
    ignoring = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    children = [
        subprocess.Popen([sys.executable, "-c", ignoring], start_new_session=in_own_session)
        for in_own_session in (False, True)
    ]
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say(f"pids: {json.dumps([os.getpid(), *(child.pid for child in children)])}")
    _sleep()


def _facts(_: str) -> None:
    facts = {
        "environment": dict(os.environ),
        "argv": sys.orig_argv,
        "folder": os.getcwd(),
        "path": sys.path,
        "session": os.getsid(0),
        "pid": os.getpid(),
        "open_files": len(os.listdir("/proc/self/fd")) - 1,  # one is the folder that is being listed
    }
    say(f"facts: {json.dumps(facts)}")


def _print(n_bytes: str) -> None:
    line = b"x" * 1023 + b"\n"
    for _ in range(int(n_bytes) // len(line)):
        sys.stdout.buffer.write(line)
    say("the end")
    _work()


def _sleep() -> None:
    say("working")
    deadline = time.monotonic() + WORK_LIMIT_S
    while time.monotonic() < deadline:
        time.sleep(0.05)


_VERBS: Final[dict[str, Callable[[str], None]]] = {
    "exit": _exit,
    "signal": _signal,
    "work": _work,
    "stubborn": _stubborn,
    "facts": _facts,
    "print": _print,
}


if __name__ == "__main__":
    main()
