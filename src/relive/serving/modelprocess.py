"""One start of a model's process: the command, its output, its end."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable

import msgspec

from relive.core.endpoint import Address

# What a model's process may know of the environment it is started from; no token is among it.
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")
TAIL_BYTES = 4096
# A model that prints without end must not fill the disk: so much at once, and so much a second after that.
BURST_BYTES = 1 << 20
BYTES_PER_S = 64 << 10


class ServeSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What it takes to serve one model version.

    Attributes:
        python: Interpreter of the model's environment.
        bundle: Folder that `build_bundle` made.
        model: The model folder.
        contract: Folder with signature.json and expected.json.
        name: Model name in the protocol's paths.
        version: Model version in the protocol's paths.
        address: Where the process shall listen.
        loader: "auto" or "module:function".
        code: The repository's code folder, empty if none is needed.
        prefix: Command that wraps the process, such as a sandbox's.
        env: Variables for the process, besides the few that are passed on.
        ready_timeout_s: How long loading and warming up may take.
        drain_s: How long requests in work may take after the signal to stop.
        max_deaths: Deaths in a row after which no new process is started.
        stable_s: A process that lived so long ends a row of deaths.
        backoff_s: Pause after the first death; doubles with each further one, up to 30 s.
    """

    python: str
    bundle: str
    model: str
    contract: str
    name: str
    version: str
    address: Address
    loader: str = "auto"
    code: str = ""
    prefix: tuple[str, ...] = ()
    env: dict[str, str] = {}
    ready_timeout_s: float = 300.0
    drain_s: float = 30.0
    max_deaths: int = 5
    stable_s: float = 60.0
    backoff_s: float = 0.5


class OutputBudget:
    """Lets output through up to a burst and a rate, and says how much it left out."""

    def __init__(self, *, burst_bytes: int = BURST_BYTES, bytes_per_s: float = BYTES_PER_S) -> None:
        self._burst, self._rate = burst_bytes, bytes_per_s
        self._left, self._at = float(burst_bytes), time.monotonic()
        self.dropped_bytes = 0

    def admit(self, data: bytes) -> bytes:
        """Give what may pass of `data`, after a note on what was left out before."""
        now = time.monotonic()
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        if len(data) > self._left:
            self.dropped_bytes += len(data)
            return b""
        self._left -= len(data)
        if not self.dropped_bytes:
            return data
        note = b"\n[%d bytes of output were left out]\n" % self.dropped_bytes
        self.dropped_bytes = 0
        return note + data


class ModelProcess:
    """A started process in a session of its own; ends with the thread that made it."""

    def __init__(self, spec: ServeSpec, output: Callable[[bytes], None]) -> None:
        self._spec, self._output = spec, output
        self._tail = b""
        self._started = time.monotonic()
        self._ended = 0.0
        self._popen = subprocess.Popen(
            command(spec),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=spec.model,
            env=environment(spec),
            start_new_session=True,
        )
        self.pid = self._popen.pid
        self._reader = threading.Thread(target=self._forward, name=f"output of {self.pid}", daemon=True)
        self._reader.start()

    @property
    def alive(self) -> bool:
        """Tell whether the process still runs."""
        return self._popen.poll() is None

    @property
    def lived_s(self) -> float:
        """Say how long it has lived, up to its end if that was noticed."""
        return (self._ended or time.monotonic()) - self._started

    def stop(self) -> None:
        """Let it finish what is in work, then end it and all that it started."""
        if self.alive:
            # A wrapper would not hand the signal on; without one only the leader is told, so that a model's
            # own workers live until its last answer.
            self._signal(signal.SIGTERM, group=bool(self._spec.prefix))
            try:
                self._popen.wait(self._spec.drain_s + 5.0)
            except subprocess.TimeoutExpired:
                self._output(b"[the process did not end in time and is killed]\n")
        self._sweep()

    def describe_end(self) -> str:
        """Say how a process that has ended did so, with the last lines it printed."""
        lines = self._tail.decode(errors="replace").strip().splitlines()
        said = "\n".join(line[:500] for line in lines[-8:])
        return ending(self._popen.returncode) + (f", having printed:\n{said}" if said else "")

    def _sweep(self) -> None:
        self._signal(signal.SIGKILL, group=True)
        self._popen.wait()
        self._ended = self._ended or time.monotonic()
        self._reader.join(5.0)

    def _signal(self, number: signal.Signals, *, group: bool) -> None:
        try:
            if group:
                os.killpg(self.pid, number)
            else:
                self._popen.send_signal(number)
        except ProcessLookupError:
            pass  # it ended in the meantime, which is what was wanted

    def _forward(self) -> None:
        assert self._popen.stdout is not None
        budget = OutputBudget()
        with self._popen.stdout as pipe:
            while data := os.read(pipe.fileno(), 1 << 16):
                self._tail = (self._tail + data)[-TAIL_BYTES:]
                if admitted := budget.admit(data):
                    self._output(admitted)
        if budget.dropped_bytes:
            self._output(b"\n[%d bytes of output were left out]\n" % budget.dropped_bytes)


def command(spec: ServeSpec) -> list[str]:
    """Give the command line that serves the model."""
    listen = (
        ["--uds", spec.address.path]
        if spec.address.path
        else ["--host", spec.address.host, "--port", str(spec.address.port)]
    )
    return [
        *spec.prefix,
        *(spec.python, spec.bundle, "serve", "--die-with-parent"),
        *("--model", spec.model, "--signature", f"{spec.contract}/signature.json"),
        *("--name", spec.name, "--version", spec.version),
        *("--loader", spec.loader, "--code", spec.code),
        *("--drain-s", str(spec.drain_s), *listen),
    ]


def environment(spec: ServeSpec) -> dict[str, str]:
    """Give the environment of the process: the few variables passed on, and the specified ones."""
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return {**passed, "PYTHONUNBUFFERED": "1", **spec.env}


def ending(code: int) -> str:
    """Say how a process ended."""
    if code >= 0:
        return f"the model's process ended with exit code {code}"
    name = signal.Signals(-code).name
    hint = " (out of memory?)" if name == "SIGKILL" else ""
    return f"the model's process was killed by {name}{hint}"
