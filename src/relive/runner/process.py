"""A command as a process: started under its supervisor, watched, ended with everything it started."""

import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from relive.core.run import ResourceUse
from relive.errors import CommandFailed
from relive.runner.output import Sink, pump
from relive.runner.supervisor import start_line

STOP_GRACE_S: Final = 10.0
_PIPE_BYTES: Final = 1024 * 1024
# How long output is waited for after the last process has ended: only one that escaped could still write.
_DRAIN_S: Final = 10.0
# A variable whose value no other run has; by it the processes of a run are found whatever became of them.
_MARK: Final = "RELIVE_SPOOL_DIR"


@dataclass(frozen=True)
class Ended:
    """How a command's tree ended.

    Attributes:
        exit_code: None if a signal ended it.
        signal: That ended it.
        over_memory_bytes: What the tree used when it was ended for it, else 0.
        left_behind: Processes that outlived the command and were ended.
        is_recorder_lost: Whether it was ended because the recorder of its opens had died.
        is_known: False if the supervisor died, so that all that is known is that the tree is gone.
    """

    exit_code: int | None
    signal: int | None
    use: ResourceUse
    over_memory_bytes: int = 0
    left_behind: int = 0
    is_recorder_lost: bool = False
    is_known: bool = True

    @property
    def is_good(self) -> bool:
        """Tell whether the command ended with 0."""
        return self.exit_code == 0 and self.is_known and not (self.over_memory_bytes or self.is_recorder_lost)


@dataclass(frozen=True)
class Terms:
    """What holds for a command beside its words and variables.

    Attributes:
        memory_bytes: Limit for its whole tree; None for none.
        stdin: Its input; None for an empty one.
        opened: File to which the recorder writes what the tree opens; None to leave it away.
        policy: File that says what it may read, write and reach; None for no walls.
    """

    memory_bytes: int | None = None
    stdin: IO[bytes] | None = None
    opened: Path | None = None
    policy: Path | None = None


class Process:
    """One running command; `stop` may be called from any thread.

    Args:
        argv: The command.
        cwd: Where it runs.
        environment: All of its variables.
        sink: Takes what it prints, on both streams.
        terms: What else holds for it.

    Raises:
        CommandFailed: It could not be started.
    """

    def __init__(
        self,
        argv: Sequence[str],
        cwd: Path,
        environment: Mapping[str, str],
        sink: Sink,
        terms: Terms | None = None,
    ) -> None:
        terms = terms or Terms()
        self._started_at = time.monotonic()
        self._mark = f"{_MARK}={environment[_MARK]}".encode() if _MARK in environment else b""
        self._sending = threading.RLock()  # a signal's handler may come in between
        self._heard = b""
        self._control, theirs = socket.socketpair()
        reading, writing = os.pipe()
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        try:
            with theirs, open(writing, "wb") as output:
                self._supervisor = _start_supervisor(theirs, output, terms.stdin)
        except BaseException:
            os.close(reading)
            self._control.close()
            raise
        self._pump = pump(reading, sink)
        self._send(
            {
                "argv": list(argv),
                "cwd": str(cwd),
                "environment": dict(environment),
                "memory_bytes": terms.memory_bytes,
                "opened": str(terms.opened) if terms.opened else "",
                "policy": str(terms.policy) if terms.policy else "",
            }
        )
        answer = self._hear(None) or {}
        if "pid" not in answer:
            self._close()
            reason = str(answer.get("error", "the process that watches over it died"))
            raise CommandFailed(command=" ".join(argv), exit_code=127, reason=reason)
        self.pid = int(answer["pid"])

    def wait(self, timeout_s: float | None = None) -> Ended | None:
        """Wait until the whole tree has ended and all its output is read; None if it takes longer."""
        answer = self._hear(timeout_s)
        if answer is None:
            return None
        if not answer:
            self._kill_marked()
        self._close()
        use = ResourceUse(
            wall_s=time.monotonic() - self._started_at,
            cpu_s=float(answer.get("cpu_s", 0.0)),
            max_rss_bytes=int(answer.get("max_rss_bytes", 0)),
        )
        return Ended(
            exit_code=answer.get("exit_code"),
            signal=answer.get("signal"),
            use=use,
            over_memory_bytes=answer.get("over_memory_bytes", 0),
            left_behind=answer.get("left_behind", 0),
            is_recorder_lost=bool(answer.get("is_recorder_lost")),
            is_known=bool(answer),
        )

    def stop(self, *, grace_s: float = STOP_GRACE_S) -> None:
        """Ask the tree to end, and have what is left of it after the grace killed; `wait` tells the rest."""
        self._send({"stop": grace_s})

    def _send(self, message: dict[str, Any]) -> None:
        with self._sending:
            try:
                self._control.sendall(json.dumps(message).encode() + b"\n")
            except OSError:
                return  # it has ended; `wait` says how

    def _hear(self, timeout_s: float | None) -> dict[str, Any] | None:
        """Give the supervisor's next message: None if there is none yet, an empty one if it died."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while b"\n" not in self._heard:
            patience_s = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not select.select([self._control], [], [], patience_s)[0]:
                return None
            received = self._control.recv(65536)
            if not received:
                return {}
            self._heard += received
        line, _, self._heard = self._heard.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message

    def _close(self) -> None:
        self._supervisor.wait()
        self._pump.join(_DRAIN_S)
        with self._sending:
            self._control.close()

    def _kill_marked(self) -> None:
        """End what a supervisor that was killed has left: the kernel ended only the command itself."""
        for name in os.listdir("/proc") if self._mark else []:
            if not name.isdigit() or int(name) == os.getpid():
                continue
            try:
                with open(f"/proc/{name}/environ", "rb") as file:
                    is_ours = self._mark in file.read().split(b"\0")
                if is_ours:
                    os.kill(int(name), signal.SIGKILL)
            except OSError:
                continue  # it ended meanwhile, or is another user's


def _start_supervisor(
    theirs: socket.socket, output: IO[bytes], stdin: IO[bytes] | None
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [*start_line("runner.supervisor"), str(theirs.fileno())],
        stdin=stdin or subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        pass_fds=[theirs.fileno()],
        start_new_session=True,  # what ends our whole process group must not end it, too
    )
