"""The process that answers a recorded tree's system calls: it writes down what is asked and lets it go on.

It is small and on its own, because while it is away every open of the tree waits, and when it is gone they
fail. It is the tree's ancestor, for many kernels (Yama) let none but an ancestor read a process's memory.
Standard library only; its arguments are a socket, the file to write and, for a hermetic run, its policy. Over
the socket it says "ready", is handed the listener, and says "done"; its end there means that the tree has
ended. Lines, each a JSON object:

    {"begin": true}                             a tree has begun; several may come one after the other
    {"r": PATH, "s": [SIZE, CTIME_NS, INODE]}   opened to read, first time; what it was before
    {"w": PATH, "new": true}                    opened to write, first time; whether it was not there
    {"x": PATH}                                 a program that was started
    {"c": "HOST:PORT"}                          connected to
    {"folder": true, "r": PATH}                 so many paths that only their folders are written
    {"uring": true}                             opens may go past us
    {"blind": WHY}                              something was not seen
    {"end": OPENS, "dropped": N}                the last process has ended; lines that found no room
    {"unavailable": WHY}                        the kernel would not have it
    {"no": PATH or ADDRESS}                     refused: the run is hermetic, and it is not declared
"""

import contextlib
import errno
import fcntl
import json
import os
import select
import signal
import socket
import struct
import threading
import time
from pathlib import Path
from typing import Final

from relive.capture.recorder.gate import Gate
from relive.capture.recorder.looking import Look, Record
from relive.capture.recorder.nested import Runs
from relive.capture.recorder.seccomp import DONE, READY, Calls, calls

_RECEIVE: Final = 0xC0502100
_SEND: Final = 0xC0182101
_NOTICE_BYTES: Final = 80
_NOTICE: Final = struct.Struct("=QIIiIQ6Q")
_ANSWER: Final = struct.Struct("=QqiI")
_GO_ON: Final = 1
# A look takes microseconds, but for one at a file system that does not answer; and that one may be served by
# a process of the tree, which waits for us.
_LOOK_S: Final = 2.0
_WATCH_MS: Final = 1000
_MOST_STUCK: Final = 8


class Listener:
    """Answers one tree: a thread looks and answers, and this one sees that no look takes for ever."""

    def __init__(self, listener: int, record: Record, known: Calls, gate: Gate | None = None) -> None:
        self._listener = listener
        self._record = record
        self._runs = Runs(Look(record, known, gate), known)
        self._stuck = 0
        self._worker = _Worker(self._listener, self._runs)

    def run(self, supervisor: socket.socket) -> None:
        """Answer until nobody is left who could ask, or the supervisor says so: old kernels do not."""
        self._record.write({"begin": True})
        self._start(self._worker)
        poll = select.poll()
        poll.register(self._listener, 0)
        poll.register(supervisor, select.POLLIN)
        while not poll.poll(_WATCH_MS):
            self._watch()
        self._record.end()

    def _watch(self) -> None:
        held = self._worker.held
        if held is None or time.monotonic() - held[1] < _LOOK_S:
            return
        self._stuck += 1
        self._runs = self._runs.again()
        self._runs.blind(f"looking at a path took more than {_LOOK_S:g} s")
        runs = self._runs if self._stuck < _MOST_STUCK else None
        self._worker, stuck = _Worker(self._listener, runs), self._worker
        stuck.is_over = True
        _answer(self._listener, held[0])
        self._start(self._worker)

    def _start(self, worker: "_Worker") -> None:
        threading.Thread(target=worker.run, daemon=True).start()


class _Worker:
    """Answers calls until it is over.

    Attributes:
        held: The call it is looking at, and since when.
        is_over: Another has taken its place, as it was held up.
    """

    def __init__(self, listener: int, runs: Runs | None) -> None:
        self._listener = listener
        self._runs = runs
        self.held: tuple[int, float] | None = None
        self.is_over = False

    def run(self) -> None:
        try:
            while not self.is_over:
                self._answer_one()
        finally:
            if not self.is_over:
                os._exit(1)  # the whole process and not just a thread: the tree would wait for ever

    def _answer_one(self) -> None:
        notice = bytearray(_NOTICE_BYTES)
        try:
            fcntl.ioctl(self._listener, _RECEIVE, notice)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINTR):
                return  # who asked was killed meanwhile
            raise
        call, pid, _, number, _, _, *arguments = _NOTICE.unpack(notice)
        refusal = 0
        if self._runs is not None:
            self.held = (call, time.monotonic())
            refusal = self._runs.note(pid, number, arguments)
            self.held = None
        _answer(self._listener, call, refusal)


def _answer(listener: int, call: int, refusal: int = 0) -> None:
    answer = (0, -refusal, 0) if refusal else (0, 0, _GO_ON)
    try:
        fcntl.ioctl(listener, _SEND, bytearray(_ANSWER.pack(call, *answer)))
    except OSError as error:
        if error.errno != errno.ENOENT:  # it was killed meanwhile, or is answered
            raise


def main(argv: list[str]) -> int:
    """Wait to be handed a listener over the socket, and answer it; see above for its arguments."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends with the tree, never before
    out = os.open(argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    supervisor = socket.socket(fileno=int(argv[0]))
    supervisor.set_inheritable(False)
    gate = Gate.parse(Path(argv[2]).read_bytes()) if len(argv) > 2 else None
    supervisor.send(READY)
    why, listeners, _, _ = socket.recv_fds(supervisor, 256, 1)
    known = calls()
    if listeners and known is not None:
        Listener(listeners[0], Record(out), known, gate).run(supervisor)
    elif why:
        os.write(out, json.dumps({"unavailable": why.decode()}).encode() + b"\n")
    with contextlib.suppress(OSError):  # it is gone already
        supervisor.send(DONE)
        os.wait()  # for the supervisor, whose parent this is: another might leave a zombie of it
    os._exit(0)  # a look that is held up must not hold us up
