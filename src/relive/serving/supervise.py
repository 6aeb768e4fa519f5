"""Keep one model version served: start, wait until ready, test the contract, start again after a death.

    python -m relive.serving.supervise SPEC.json --status STATUS.json

It knows no hub. What happens goes to a `ServeReporter`; the command above uses one that keeps a status file.
It outlives whoever started it and ends on SIGTERM, with its model's process, after requests in work.
"""

import argparse
import http.client
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from relive.core.endpoint import Address
from relive.serving import contract
from relive.serving.contract import Agreement
from relive.serving.faults import BadSignature, ContractBroken
from relive.serving.modelprocess import ModelProcess, ServeSpec
from relive.serving.probe import ask
from relive.serving.signature import read as read_signature
from relive.serving.signature import read_json

MAX_BACKOFF_S = 30.0
POLL_S = 0.1


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """A process that is ready for traffic.

    Attributes:
        address: Where it listens.
        pid: Its process id.
        restarts: Deaths of its predecessors.
        values: Predictions compared in the contract test.
        largest_difference: Largest relative difference among them, 0.0 if all were exact.
    """

    address: Address
    pid: int
    restarts: int
    values: int
    largest_difference: float


class ServeReporter(Protocol):
    """Hears what becomes of a served model. Called from the supervisor's thread; must not raise.

    `ready` comes after every start that kept the contract; `restarted` after every death that is followed by
    a new start; `failed` at most once, last.
    """

    def ready(self, serving: Serving) -> None: ...
    def restarted(self, restarts: int, reason: str) -> None: ...
    def failed(self, reason: str) -> None: ...


class Unserved(Exception):
    """This version cannot be served; the text says why."""


def supervise(
    spec: ServeSpec, reporter: ServeReporter, *, stop: threading.Event, output: Callable[[bytes], None]
) -> str:
    """Serve until told to stop or beyond help.

    Args:
        spec: What to serve.
        reporter: Hears what happens.
        stop: Set it (from a signal handler or another thread) to end.
        output: Gets what the model's process prints, within a budget.

    Returns:
        Why it failed; empty if it was told to stop.
    """
    supervisor = _Supervisor(spec, reporter, stop, output)
    try:
        while not stop.is_set():
            supervisor.serve_once()
    except Unserved as error:
        reporter.failed(str(error))
        return str(error)
    return ""


class _Supervisor:
    def __init__(
        self,
        spec: ServeSpec,
        reporter: ServeReporter,
        stop: threading.Event,
        output: Callable[[bytes], None],
    ) -> None:
        self._spec, self._reporter, self._stop, self._output = spec, reporter, stop, output
        self._restarts = 0
        self._deaths = 0

    def serve_once(self) -> None:
        """Start the process and stay until it has died or was told to stop."""
        process = self._start()
        try:
            self._make_ready(process)
            while process.alive and not self._stop.is_set():
                self._stop.wait(POLL_S)
        finally:
            process.stop()
        if not self._stop.is_set():
            self._count_death(process)

    def _start(self) -> ModelProcess:
        if self._spec.address.path:
            # Who connects between a death and the next start must be refused, not left waiting.
            Path(self._spec.address.path).unlink(missing_ok=True)
        try:
            return ModelProcess(self._spec, self._output)
        except OSError as error:
            raise Unserved(f"The model's process cannot be started: {error}.") from error

    def _make_ready(self, process: ModelProcess) -> None:
        if not self._await_ready(process):
            return
        agreement = self._test_contract()
        self._reporter.ready(
            Serving(
                address=self._spec.address,
                pid=process.pid,
                restarts=self._restarts,
                values=agreement.values,
                largest_difference=agreement.largest,
            )
        )

    def _await_ready(self, process: ModelProcess) -> bool:
        """Wait until the process answers; False if it died on a restart or was told to stop."""
        while process.alive and not self._stop.is_set():
            try:
                if ask(self._spec.address, "GET", "/v2/health/ready", timeout_s=5.0).status == 200:
                    return True
            except (OSError, http.client.HTTPException):
                pass  # not yet listening; a process that never does runs into the limit below
            if process.lived_s > self._spec.ready_timeout_s:
                raise Unserved(
                    f"The model was not ready within {self._spec.ready_timeout_s:g} s of its start."
                )
            self._stop.wait(POLL_S)
        if not self._stop.is_set() and self._restarts == 0:
            process.stop()
            raise Unserved(f"The model could not be started: {process.describe_end()}.")
        return False

    def _test_contract(self) -> Agreement:
        """Ask for the recorded example and compare the answer with the recorded one."""
        spec = self._spec
        try:
            example = read_signature(f"{spec.contract}/signature.json").example
            expected = read_json(f"{spec.contract}/{contract.FILE_NAME}")
            path = f"/v2/models/{spec.name}/infer"
            body = msgspec.json.encode(example)
            answer = ask(spec.address, "POST", path, body=body, timeout_s=spec.ready_timeout_s)
            if answer.status != 200:
                raise ContractBroken(f"status {answer.status}: {answer.body[:500].decode(errors='replace')}")
            return contract.compare(expected, msgspec.json.decode(answer.body))
        except (BadSignature, ContractBroken) as error:
            raise Unserved(f"The contract test failed: {error}.") from error
        except (OSError, http.client.HTTPException, msgspec.DecodeError) as error:
            raise Unserved(f"The contract test got no answer: {error!r}.") from error

    def _count_death(self, process: ModelProcess) -> None:
        reason = process.describe_end()
        self._deaths = 1 if process.lived_s >= self._spec.stable_s else self._deaths + 1
        if self._deaths > self._spec.max_deaths:
            raise Unserved(f"The model died {self._deaths} times in a row, the last time because {reason}.")
        self._restarts += 1
        self._reporter.restarted(self._restarts, reason)
        self._stop.wait(min(MAX_BACKOFF_S, self._spec.backoff_s * 2 ** (self._deaths - 1)))


class StatusFile:
    """A reporter that keeps what it hears in a JSON file, replaced at each change."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._write({"state": "starting"})

    def ready(self, serving: Serving) -> None:
        self._write({"state": "ready", **msgspec.to_builtins(serving)})

    def restarted(self, restarts: int, reason: str) -> None:
        self._write({"state": "restarting", "restarts": restarts, "reason": reason})

    def failed(self, reason: str) -> None:
        self._write({"state": "failed", "reason": reason})

    def stopped(self) -> None:
        """Note the end that was asked for."""
        self._write({"state": "stopped"})

    def _write(self, status: dict[str, object]) -> None:
        partial = self._path.with_name(f".{self._path.name}.{os.getpid()}.partial")
        partial.write_bytes(msgspec.json.encode({**status, "supervisor_pid": os.getpid(), "at": time.time()}))
        partial.replace(self._path)


def main() -> int:
    """Serve what a JSON file says, until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m relive.serving.supervise")
    parser.add_argument("spec", type=Path, help="JSON file with the fields of ServeSpec")
    parser.add_argument("--status", type=Path, required=True, help="JSON file to keep the state in")
    options = parser.parse_args()
    spec = msgspec.json.decode(options.spec.read_bytes(), type=ServeSpec)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    status = StatusFile(options.status)
    error = supervise(spec, status, stop=stop, output=_to_stdout)
    if not error:
        status.stopped()
    return 1 if error else 0


def _to_stdout(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
