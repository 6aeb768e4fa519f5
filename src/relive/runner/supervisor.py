"""The small process between the runner and a command: it holds the command's whole tree together.

It is run by relive's own Python with the standard library alone, so that it starts in a hundredth of a second
and nothing of the user's environment can break it. Every process that the command leaves behind
becomes its child (PR_SET_CHILD_SUBREAPER), so it can end them all and count what they used. If the runner
dies, the connection to it closes and the tree is ended at once; if it dies itself, the kernel ends the
command.

It speaks JSON lines over one socket:

    runner → supervisor   {"argv", "cwd", "environment",
                           "memory_bytes",                  first
                           "opened",                        file that the recorder writes
                           "policy"}                        file that says what is refused
                          {"stop": GRACE_S}                 end the tree
    supervisor → runner   {"pid"} or {"error"}              first
                          {"exit_code", "signal", "cpu_s", "max_rss_bytes", "over_memory_bytes",
                           "left_behind", "is_recorder_lost"}   last
"""

import ctypes
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any, Final, NoReturn

from relive.capture.recorder import landlock, nested
from relive.capture.recorder.seccomp import DONE, READY, hand_over

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_MEMORY_LOOK_S: Final = 0.1  # a tree may grow beyond its limit in between
_LEFT_BEHIND_GRACE_S: Final = 2.0
_KILL_ROUNDS: Final = 20
_RECORDER_START_S: Final = 60.0
_RECORDER_GRACE_S: Final = 5.0
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_ROOT: Final = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Supervisor:
    """One command's tree, from its start to the end of its last process."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._unread = b""
        self._runner_is_there = True
        self._child = 0
        self._status: int | None = None
        self._kill_at: float | None = None
        self._memory_bytes: int | None = None
        self._over_memory_bytes = 0
        self._cpu_s = 0.0
        self._max_rss_bytes = 0
        self._left_behind = 0
        self._recorder: socket.socket | None = None
        self._recorder_pid = 0
        self._is_recorder_lost = False
        self._is_nested = False

    def run(self, order: dict[str, Any]) -> None:
        """Start the command, and stay until the last process of its tree has ended."""
        self._memory_bytes = order.get("memory_bytes")
        try:
            opened = str(order.get("opened") or "")
            self._is_nested = bool(opened) and _join_recorder(opened, order.get("policy", ""))
            if opened and not self._is_nested:
                self._recorder = _leave_recorder(opened, order.get("policy", ""))
                self._recorder_pid = os.getppid()
            _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1)  # only now: a fork does not hand it on
            self._child = _start(order, self._recorder)
        except OSError as error:
            self._tell(error=f"{order['argv'][0]} cannot be started: {error.strerror}")
            return
        self._tell(pid=self._child)
        wakeup, writing = socket.socketpair()
        wakeup.setblocking(False)
        writing.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
        while self._reap():
            ready, _, _ = select.select(self._heard(wakeup), [], [], self._patience_s())
            if wakeup in ready:
                wakeup.recv(4096)
            if self._recorder in ready:
                self._listen_to_recorder()
            if self._control in ready:
                self._listen()
            self._look_at_memory()
            if self._kill_at is not None and time.monotonic() >= self._kill_at:
                _kill(self._tree, signal.SIGKILL)
        if self._is_nested:
            nested.say("end")
        self._dismiss_recorder()
        self._report()

    def _heard(self, wakeup: socket.socket) -> list[socket.socket]:
        heard = [wakeup]
        if self._runner_is_there:
            heard.append(self._control)
        if self._recorder is not None:
            heard.append(self._recorder)
        return heard

    def _patience_s(self) -> float | None:
        if self._kill_at is not None or self._memory_bytes is not None:
            return _MEMORY_LOOK_S
        return None

    def _tree(self) -> list[int]:
        """Give the command's processes that have not ended."""
        return _descendants()

    def _listen(self) -> None:
        received = self._control.recv(4096)
        if not received:  # nobody is left to hear what this tree does
            self._runner_is_there = False
            self._kill_at = 0.0
        *lines, self._unread = (self._unread + received).split(b"\n")
        for line in lines:
            self._end(json.loads(line)["stop"])

    def _end(self, grace_s: float) -> None:
        _kill(self._tree, signal.SIGTERM)
        _kill(self._tree, signal.SIGCONT)  # a stopped process does not hear SIGTERM
        kill_at = time.monotonic() + grace_s
        self._kill_at = kill_at if self._kill_at is None else min(kill_at, self._kill_at)

    def _reap(self) -> bool:
        """Take leave of every process that has ended; tell whether any is left."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            self._cpu_s += usage.ru_utime + usage.ru_stime
            self._max_rss_bytes = max(self._max_rss_bytes, usage.ru_maxrss * 1024)
            if pid == self._child:
                self._status = status
                self._left_behind = len(self._tree())
                if self._left_behind:
                    self._end(_LEFT_BEHIND_GRACE_S)

    def _listen_to_recorder(self) -> None:
        """Hear that the recorder has nothing more to do; if it is gone without a word, end the tree."""
        assert self._recorder is not None
        said = _receive(self._recorder)
        self._recorder.close()
        self._recorder = None
        if said != DONE and self._tree():
            # Every further open of the tree fails, and would look like the user's mistake.
            self._is_recorder_lost = True
            self._kill_at = 0.0

    def _dismiss_recorder(self) -> None:
        """Tell the recorder that the tree has ended, and wait for its last line, but not for ever."""
        if self._recorder is None:
            return
        with self._recorder as recorder:
            recorder.settimeout(_RECORDER_GRACE_S)
            try:
                recorder.shutdown(socket.SHUT_WR)
                is_gone = recorder.recv(16) in (DONE, b"")
            except TimeoutError:
                is_gone = False
            except OSError:
                is_gone = True
        if not is_gone and os.getppid() == self._recorder_pid:
            os.kill(self._recorder_pid, signal.SIGKILL)  # it was stopped, or its disk does not answer

    def _look_at_memory(self) -> None:
        limit = self._memory_bytes
        if limit is None or self._over_memory_bytes:
            return
        tree = self._tree()
        # Pages that processes share count once in the second measure, which costs more.
        if sum(map(_resident_bytes, tree)) > limit:
            used = sum(map(_proportional_bytes, tree))
            if used > limit:
                self._over_memory_bytes = used
                self._kill_at = 0.0

    def _report(self) -> None:
        code = os.waitstatus_to_exitcode(self._status or 0)
        self._tell(
            exit_code=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            cpu_s=self._cpu_s,
            max_rss_bytes=self._max_rss_bytes,
            over_memory_bytes=self._over_memory_bytes,
            left_behind=self._left_behind,
            is_recorder_lost=self._is_recorder_lost,
        )

    def _tell(self, **facts: Any) -> None:
        try:
            self._control.sendall(json.dumps(facts).encode() + b"\n")
        except OSError:
            self._kill_at = 0.0  # the runner is gone


def _join_recorder(opened: str, policy: str) -> bool:
    """Have the recorder of a run around this one write for this one, too; tell whether there is one."""
    out = os.open(opened, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    allowed = os.open(policy, os.O_RDONLY) if policy else -1
    try:
        return nested.say("attach", out, allowed)
    finally:
        os.close(out)
        if policy:
            os.close(allowed)


def _leave_recorder(opened: str, policy: str) -> socket.socket | None:
    """Become the recorder, and go on as its child; give the way to it, None if it could not start.

    It must be the ancestor of the tree, or kernels with Yama do not let it read what the tree asks for.
    """
    ours, theirs = socket.socketpair()
    if os.fork():
        try:
            theirs.set_inheritable(True)
            argv = [*start_line("capture.recorder.listening"), str(theirs.fileno()), opened]
            argv += [policy] if policy else []
            os.execv(sys.executable, argv)  # noqa: S606  # no shell is wanted here
        finally:
            os._exit(127)
    theirs.close()
    ours.settimeout(_RECORDER_START_S)
    if _receive(ours) != READY:
        ours.close()
        return None
    ours.settimeout(None)
    return ours


def _receive(recorder: socket.socket) -> bytes:
    try:
        return recorder.recv(16)
    except OSError:
        return b""  # it is gone, or does not answer


def start_line(module: str) -> list[str]:
    """Give the words that start a module's `main` on a Python that finds nothing but relive."""
    find = f"import sys; sys.path.append({_ROOT!r})"
    code = f"{find}; from relive.{module} import main; sys.exit(main(sys.argv[1:]))"
    return [sys.executable, "-I", "-S", "-c", code]


def _start(order: dict[str, Any], handing: socket.socket | None) -> int:
    """Start the command in a session of its own; it dies with this process."""
    allowed = _walls(order.get("policy", ""))  # by us, as a run within another is looked at from the fork on
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _become(order, writing, handing, allowed)
    os.close(writing)
    with open(reading, "rb") as answer:
        failed = answer.read()
    if failed:
        os.waitpid(pid, 0)
        number = int(failed)
        raise OSError(number, os.strerror(number))
    return pid


def _walls(policy: str) -> tuple[list[str], list[str]] | None:
    """Read what Landlock is to let a command read, and write; None without walls around files."""
    if not policy or not landlock.version():
        return None
    with open(policy, "rb") as file:
        allowed = json.load(file)
    return None if allowed.get("all_files") else (allowed["readable"], allowed["writable"])


def _become(
    order: dict[str, Any],
    failure: int,
    handing: socket.socket | None,
    allowed: tuple[list[str], list[str]] | None,
) -> NoReturn:
    try:
        os.setsid()
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        os.chdir(order["cwd"])
        if allowed is not None:
            landlock.restrict(*allowed)
        if handing is not None:
            hand_over(handing)
        argv = order["argv"]
        # Not our own variables: Python adds LC_CTYPE to them where no locale is set.
        os.execvpe(argv[0], argv, order["environment"])  # noqa: S606  # no shell is wanted here
    except OSError as error:
        os.write(failure, str(error.errno).encode())
    finally:
        os._exit(127)


def _descendants() -> list[int]:
    """Give the ids of all processes below this one that have not ended."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            state, parent = _state(name)
            if state not in ("", "Z", "X"):
                children.setdefault(parent, []).append(int(name))
    found: list[int] = []
    todo = [os.getpid()]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def _state(pid: str) -> tuple[str, int]:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()  # the name before it may hold anything
        return fields[0].decode(), int(fields[1])
    except (OSError, IndexError):
        return "", 0


def _kill(find: Callable[[], list[int]], number: int) -> None:
    """Signal a whole tree; to kill it, some times over: one of it may be starting another meanwhile."""
    for _ in range(_KILL_ROUNDS if number == signal.SIGKILL else 1):
        tree = find()
        for pid in tree:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue  # it ended meanwhile
        if not tree:
            return


def _resident_bytes(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def _proportional_bytes(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        return _resident_bytes(pid)
    return 0


def main(argv: list[str]) -> None:
    """Take the order from the socket whose descriptor is the only argument, and carry it out."""
    control = socket.socket(fileno=int(argv[0]))
    control.set_inheritable(False)
    # A signal to the runner's group is the runner's to answer: it tells us what is to be done.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    order = b""
    while not order.endswith(b"\n"):
        received = control.recv(65536)
        if not received:
            return
        order += received
    Supervisor(control).run(json.loads(order))
