"""A supervised model is tested before it is called ready, comes back after a death, and ends when told."""

import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from relive.core.endpoint import Address
from relive.serving.bundle import build_bundle
from relive.serving.modelprocess import ServeSpec
from relive.serving.supervise import Serving, supervise
from tests.unit.serving.models import Registered, custom, iris_regressor
from tests.unit.serving.processes import DEADLINE_S, eventually, get, is_alive, post, running


@dataclass
class Notes:
    """A reporter that keeps what it hears."""

    served: list[Serving] = field(default_factory=list)
    deaths: list[tuple[int, str]] = field(default_factory=list)
    failure: str = ""

    def ready(self, serving: Serving) -> None:
        self.served.append(serving)

    def restarted(self, restarts: int, reason: str) -> None:
        self.deaths.append((restarts, reason))

    def failed(self, reason: str) -> None:
        self.failure = reason


@dataclass
class Supervision:
    """A supervisor at work in a thread of this process."""

    spec: ServeSpec
    notes: Notes
    stop: threading.Event
    thread: threading.Thread
    output: list[bytes]

    def serving(self, count: int = 1) -> Serving:
        """Wait until the model has been ready so often."""
        eventually(f"ready {count} times", lambda: len(self.notes.served) >= count or self.notes.failure)
        assert not self.notes.failure, self.notes.failure
        return self.notes.served[-1]

    def failure(self) -> str:
        """Wait until it gives up."""
        eventually("the supervisor gives up", lambda: self.notes.failure)
        self.thread.join(DEADLINE_S)
        return self.notes.failure


@contextmanager
def supervised(spec: ServeSpec) -> Iterator[Supervision]:
    notes, stop, output = Notes(), threading.Event(), list[bytes]()
    thread = threading.Thread(
        target=supervise, args=(spec, notes), kwargs={"stop": stop, "output": output.append}
    )
    thread.start()
    try:
        yield Supervision(spec, notes, stop, thread, output)
    finally:
        stop.set()
        thread.join(DEADLINE_S)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return build_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def spec_of(bundle, sockets):
    """Make the specification that serves a registered model."""

    def make(registered: Registered, **more: Any) -> ServeSpec:
        return ServeSpec(
            python=sys.executable,
            bundle=str(bundle),
            model=str(registered.model),
            contract=str(registered.contract),
            name="iris",
            version="1",
            address=Address(path=str(sockets / "m")),
            loader=registered.loader,
            code=registered.code,
            backoff_s=0.05,
            **more,
        )

    return make


def test_a_model_is_ready_after_its_contract_was_tested(iris, spec_of):
    with supervised(spec_of(iris)) as supervision:
        serving = supervision.serving()
        assert (serving.values, serving.largest_difference, serving.restarts) == (24, 0.0, 0)
        assert post(serving.address, "/invocations", {"instances": [[5, 3.5, 1.4, 0.2]]}).status == 200
    assert not supervision.notes.failure
    assert not is_alive(serving.pid)
    assert b"listening" in b"".join(supervision.output)


def test_a_killed_model_comes_back_and_is_tested_again(iris, spec_of):
    with supervised(spec_of(iris)) as supervision:
        first = supervision.serving()
        os.kill(first.pid, signal.SIGKILL)
        second = supervision.serving(2)
        assert second.pid != first.pid
        assert second.restarts == 1
        assert get(second.address, "/v2/health/ready").status == 200
    assert [count for count, _ in supervision.notes.deaths] == [1]
    assert "killed by SIGKILL (out of memory?)" in supervision.notes.deaths[0][1]


def test_a_model_that_dies_again_and_again_is_given_up(iris, spec_of):
    with supervised(spec_of(iris, max_deaths=2)) as supervision:
        for count in (1, 2, 3):
            os.kill(supervision.serving(count).pid, signal.SIGKILL)
        assert "died 3 times in a row, the last time because the model's process was killed by SIGKILL" in (
            supervision.failure()
        )
    assert [count for count, _ in supervision.notes.deaths] == [1, 2]


def test_a_long_life_ends_a_row_of_deaths(iris, spec_of):
    with supervised(spec_of(iris, max_deaths=1, stable_s=0.0)) as supervision:
        for count in (1, 2, 3):
            os.kill(supervision.serving(count).pid, signal.SIGKILL)
        assert supervision.serving(4).restarts == 3


def test_a_model_that_predicts_otherwise_never_becomes_ready(iris, tmp_path, spec_of):
    shutil.copytree(iris.contract, tmp_path / "contract")
    expected = json.loads((tmp_path / "contract/expected.json").read_text())
    expected["outputs"][1]["data"][4] += 1e-4
    (tmp_path / "contract/expected.json").write_text(json.dumps(expected))
    with supervised(spec_of(Registered(iris.model, tmp_path / "contract"))) as supervision:
        assert "The contract test failed: output 'probabilities', element 4" in supervision.failure()
    assert supervision.notes.served == []


def test_another_model_than_the_registered_one_never_becomes_ready(iris, tmp_path, spec_of):
    with supervised(spec_of(Registered(iris_regressor(tmp_path), iris.contract))) as supervision:
        assert supervision.failure()
    assert supervision.notes.served == []


def test_a_model_that_cannot_be_loaded_is_not_tried_again(iris, tmp_path, spec_of):
    model, code = custom(tmp_path, "def build(folder): raise ValueError('no weights here')")
    with supervised(spec_of(Registered(model, iris.contract, "own:build", code))) as supervision:
        failure = supervision.failure()
    assert "could not be started: the model's process ended with exit code 1" in failure
    assert "no weights here" in failure
    assert supervision.notes.deaths == []


def test_a_model_that_does_not_get_ready_in_time_is_stopped(iris, tmp_path, spec_of):
    model, code = custom(
        tmp_path, "import time\ndef build(folder): print('begun', flush=True); time.sleep(600)"
    )
    slow = Registered(model, iris.contract, "own:build", code)
    with supervised(spec_of(slow, ready_timeout_s=1.0)) as supervision:
        assert "not ready within 1 s" in supervision.failure()


def test_a_stop_while_the_model_loads_ends_it(iris, tmp_path, spec_of):
    model, code = custom(
        tmp_path, "import time\ndef build(folder): print('begun', flush=True); time.sleep(600)"
    )
    with supervised(spec_of(Registered(model, iris.contract, "own:build", code))) as supervision:
        eventually("loading has begun", lambda: b"begun" in b"".join(supervision.output))
    assert not supervision.notes.failure


def test_an_absent_interpreter_is_named(iris, spec_of):
    spec = msgspec.structs.replace(spec_of(iris), python="/absent/python")
    with supervised(spec) as supervision:
        assert "cannot be started" in supervision.failure()
        assert "/absent/python" in supervision.failure()


def test_a_dead_socket_in_the_way_is_replaced(iris, spec_of):
    spec = spec_of(iris)
    Path(spec.address.path).write_text("left by a crash")
    with supervised(spec) as supervision:
        assert supervision.serving().values == 24


@pytest.fixture
def command(iris, spec_of, tmp_path):
    """The command line of a supervisor with a status file."""
    (tmp_path / "spec.json").write_bytes(msgspec.json.encode(spec_of(iris)))
    status = tmp_path / "status.json"
    line = [
        sys.executable,
        "-m",
        "relive.serving.supervise",
        str(tmp_path / "spec.json"),
        "--status",
        str(status),
    ]
    return line, status


def state_of(status: Any) -> Any:
    return json.loads(status.read_text()) if status.exists() else {"state": ""}


def test_as_a_command_it_keeps_a_status_file_and_stops_on_sigterm(command):
    line, status = command
    with running(line) as process:
        eventually("ready", lambda: state_of(status)["state"] == "ready")
        pid = state_of(status)["pid"]
        os.kill(pid, signal.SIGKILL)
        eventually("ready again", lambda: state_of(status).get("restarts") == 1 and "pid" in state_of(status))
        assert process.end() == 0
    assert state_of(status)["state"] == "stopped"


def test_no_model_outlives_a_killed_supervisor(command):
    line, status = command
    with running(line) as process:
        eventually("ready", lambda: state_of(status)["state"] == "ready")
        process.popen.send_signal(signal.SIGKILL)
        pid = state_of(status)["pid"]
        eventually("the model's process has ended", lambda: not is_alive(pid))


def test_a_supervisor_outlives_who_started_it(command):
    line, status = command
    starter = (
        "import subprocess as s, sys; "
        "s.Popen(sys.argv[1:], start_new_session=True, stdout=s.DEVNULL, stderr=s.DEVNULL)"
    )
    with running([sys.executable, "-c", starter, *line]) as process:
        process.popen.wait(DEADLINE_S)
        eventually("ready", lambda: state_of(status)["state"] == "ready")
    supervisor = state_of(status)["supervisor_pid"]
    os.kill(supervisor, signal.SIGTERM)
    eventually("stopped", lambda: state_of(status)["state"] == "stopped")


def test_as_a_command_it_fails_with_1(command, iris):
    line, status = command
    spec = json.loads(Path(line[3]).read_text())
    Path(line[3]).write_text(json.dumps({**spec, "contract": "/absent"}))
    with running(line) as process:
        assert process.popen.wait(DEADLINE_S) == 1
    assert state_of(status)["state"] == "failed"
    assert "signature.json cannot be read" in state_of(status)["reason"]
