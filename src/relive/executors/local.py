"""Places jobs as processes of this machine.

Each has a session of its own and outlives the hub. What is needed to find it again lies in its job's folder
and is written by the process itself before it begins, so that no moment at which the hub is killed can lose
a process that runs, or start a second one for the same claim:

    jobs/ID/FENCE.pid    host, boot id and `/proc/PID/stat` of the process; made once, by the first to come
    jobs/ID/FENCE.exit   its exit code, if the hub that started it saw its end
    jobs/ID/FENCE.log    what the process printed
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from relive.core.ids import check_name
from relive.errors import LaunchFailed
from relive.executors import processes
from relive.executors.processes import ProcessId
from relive.ports.executors import Launch, ProcessState

# It gives the process its record and becomes the command: the same process, so the record stays true. The
# shell's `set -C` makes a file only if there is none: of two launches of one claim the second ends here.
_BEGIN: Final = """\
set -C
cd "$1" || exit 75
read -r stat < /proc/$$/stat || exit 75
read -r host < /proc/sys/kernel/hostname || exit 75
read -r boot < /proc/sys/kernel/random/boot_id || exit 75
printf '%s %s %s\\n' "$host" "$boot" "$stat" > "$2" || exit 75
shift 2
exec "$@"
"""

_PASSED_ON: Final = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "XDG_CACHE_HOME"),
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
        *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
        *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "PYTHONPATH"),
        *("RELIVE_HOME", "RELIVE_CACHE", "RELIVE_LOG_LEVEL", "RELIVE_RESERVE_MIB", "RELIVE_ROOM_S"),
    }
)
_PASSED_ON_PREFIXES: Final = ("LC_", "SSL_", "PIP_", "UV_", "NVIDIA_")
_KEPT_BACK_PREFIXES: Final = ("UV_PUBLISH_",)

_LOG_LIMIT_BYTES: Final = 8 * 1024 * 1024
_LOG_KEPT_BYTES: Final = 1024 * 1024
_BEGIN_TIMEOUT_S: Final = 30.0
_RECORD_TIMEOUT_S: Final = 5.0


class LocalExecutor:
    """Starts `python -m MODULE` on this machine for each job; see `ports.executors.Executor`.

    A handle may also be just {"job_id": …, "fence": …}: what a hub knows that was killed before it could
    store more. One JSON line {"hub", "job", "fence", "token"} is all that the process finds on its
    standard input; nothing else of the hub's environment reaches it than a short list of variables.

    Args:
        data_dir: The hub's data folder; jobs have their folders in `jobs/` below it.
    """

    def __init__(self, data_dir: Path) -> None:
        self._jobs = data_dir.absolute() / "jobs"
        # Two threads must not both wait for a process: only one of them would learn its exit code.
        self._waiting = threading.Lock()

    def check(self) -> None:
        """Do nothing: this machine is there."""

    def launch(self, request: Launch) -> dict[str, Any]:
        """Start the job's process, or find the one that was started for the same claim.

        Raises:
            LaunchFailed: The process could not be started.
        """
        files = self._files(request.job_id, request.fence)
        try:
            if files.process() is None:
                self._start(request, files)
            process = files.process()
        except OSError as error:
            raise LaunchFailed(job=request.job_id, executor="local", reason=str(error)) from error
        if process is None:
            raise LaunchFailed(
                job=request.job_id, executor="local", reason=files.tail(2000) or "it ended at once"
            )
        return {
            "job_id": request.job_id,
            "fence": request.fence,
            **msgspec.to_builtins(process),
            "log": str(files.log),
        }

    def poll(self, handle: dict[str, Any]) -> ProcessState:
        """Say whether the process is at work; its exit code is known if the hub that started it saw it."""
        files, process = self._find(handle)
        files.bound_log()
        if process is None:
            return ProcessState(state="gone", detail="it was never started on this machine")
        if process.host != processes.host():
            return ProcessState(state="unknown", detail=f"it was started on {process.host}")
        if process.boot_id != processes.boot_id():
            return ProcessState(state="gone", detail="the machine was started again since")
        with self._waiting:
            _reap(process, files)
        if processes.is_running(process):
            return ProcessState(state="alive")
        code = files.exit_code()
        return ProcessState(state="ended", exit_code=code, detail=_say(code))

    def stop(self, handle: dict[str, Any], *, grace_s: float = 10.0) -> None:
        """Ask the process and its group to end, and after the grace end them and their descendants."""
        files, process = self._find(handle)
        if process is None or not processes.is_running(process):
            return
        before = processes.family(process)
        processes.signal_group(process, signal.SIGTERM)
        _wait(lambda: not processes.is_running(process), grace_s)
        # Who ignored SIGTERM or left children behind is ended, the first parent first: it starts no new ones.
        for member in dict.fromkeys([*before, *processes.family(process)]):
            processes.kill(member)
        _wait(lambda: not processes.is_running(process), 10.0)
        with self._waiting:
            _reap(process, files)

    def output(self, handle: dict[str, Any], *, limit_bytes: int = 65536) -> str:
        """Give the end of what the process printed."""
        return self._find(handle)[0].tail(limit_bytes)

    def close(self) -> None:
        """Do nothing: processes outlive the hub."""

    def _start(self, request: Launch, files: "_JobFiles") -> None:
        files.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        line = {
            "hub": request.hub_url,
            "job": request.job_id,
            "fence": request.fence,
            "token": request.token,
        }
        # -P: the job's folder, where anything may lie, is no place to import from.
        command = [sys.executable, "-P", "-u", "-m", request.module]
        with _filled_pipe(msgspec.json.encode(line) + b"\n") as stdin, files.open_log() as log:
            pid = os.posix_spawn(
                "/bin/sh",
                ["sh", "-c", _BEGIN, "relive", str(files.folder), str(files.pid), *command],
                _environment(os.environ),
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, stdin.fileno(), 0),
                    (os.POSIX_SPAWN_DUP2, log.fileno(), 1),
                    (os.POSIX_SPAWN_DUP2, log.fileno(), 2),
                ],
                setsid=True,
                setsigmask=[],
                setsigdef=[signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGHUP],
            )
        started = processes.identify(pid)
        if started is not None:
            _wait(lambda: files.process() is not None or not processes.is_running(started), _BEGIN_TIMEOUT_S)
            if files.process() != started:  # another launch of this claim was first, or the start failed
                processes.kill(started)
                os.waitpid(pid, 0)
        if files.pid.exists():  # between making its record and filling it, the first may be kept waiting
            _wait(lambda: files.process() is not None, _RECORD_TIMEOUT_S)

    def _files(self, job_id: str, fence: int) -> "_JobFiles":
        return _JobFiles(self._jobs / check_name("job", job_id), int(fence))

    def _find(self, handle: dict[str, Any]) -> tuple["_JobFiles", ProcessId | None]:
        files = self._files(handle["job_id"], handle["fence"])
        if "pid" in handle:
            return files, msgspec.convert(handle, ProcessId)
        return files, files.process()


class _JobFiles:
    """The files of one claim of a job."""

    def __init__(self, folder: Path, fence: int) -> None:
        self.folder = folder
        self.pid = folder / f"{fence}.pid"
        self.log = folder / f"{fence}.log"
        self._exit = folder / f"{fence}.exit"

    def process(self) -> ProcessId | None:
        """Give the process that was started for this claim; None if none has begun."""
        try:
            return processes.parse_identity(self.pid.read_text(encoding="utf-8", errors="replace"))
        except FileNotFoundError:
            return None

    def exit_code(self) -> int | None:
        try:
            return int(self._exit.read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return None

    def write_exit_code(self, code: int) -> None:
        with suppress(OSError):  # a full disk costs only the knowledge of the code
            self._exit.write_text(f"{code}\n", encoding="ascii")

    def open_log(self) -> IO[bytes]:
        return open(os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600), "ab")

    def tail(self, limit_bytes: int) -> str:
        try:
            with open(self.log, "rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - limit_bytes))
                return log.read(limit_bytes).decode(errors="replace")
        except FileNotFoundError:
            return ""

    def bound_log(self) -> None:
        """Cut a log that has grown large to its end; the process goes on appending to the same file."""
        with suppress(FileNotFoundError):
            size = self.log.stat().st_size
            if size > _LOG_LIMIT_BYTES:
                kept = self.tail(_LOG_KEPT_BYTES)
                os.truncate(self.log, 0)
                with self.open_log() as log:
                    log.write(f"[{size - _LOG_KEPT_BYTES} earlier bytes were dropped]\n{kept}".encode())


def _reap(process: ProcessId, files: _JobFiles) -> None:
    """Wait for the process if it has ended and is this hub's child, and keep its exit code."""
    if not processes.exists(process):
        return  # before asking: its id may now be that of another child of this hub
    with suppress(ChildProcessError):
        pid, status = os.waitpid(process.pid, os.WNOHANG)
        if pid:
            files.write_exit_code(os.waitstatus_to_exitcode(status))


def _say(code: int | None) -> str:
    if code is None:
        return "it ended while the hub that started it was not there to see its exit code"
    if code < 0:
        return f"it was ended by signal {-code} ({signal.strsignal(-code)})"
    return f"it ended with exit code {code}"


def _environment(hub: Mapping[str, str]) -> dict[str, str]:
    """Give what of the hub's environment a job's process may see: how to reach the world, and no secret."""
    return {
        name: value
        for name, value in hub.items()
        if (name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES))
        and not name.startswith(_KEPT_BACK_PREFIXES)
    }


@contextmanager
def _filled_pipe(data: bytes) -> Iterator[IO[bytes]]:
    """Give a pipe's end from which `data` and then the end of input can be read.

    It is filled before there is a process: a hub that is killed now leaves none that waits for its line.
    """
    reading, writing = os.pipe()
    with open(reading, "rb", buffering=0) as out:
        with open(writing, "wb", buffering=0) as into:
            into.write(data)
        yield out


def _wait(done: Callable[[], bool], timeout_s: float) -> None:
    deadline, pause_s = time.monotonic() + timeout_s, 0.001
    while not done() and time.monotonic() < deadline:
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 0.1)
