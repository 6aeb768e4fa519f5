"""What every executor must do: subclass `ExecutorContract`, say how an executor is made, run pytest."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, TypeAlias

import msgspec
import pytest

from relive.ports.executors import Executor, Launch, ProcessState

SECRETS = {
    "RELIVE_SECRET_KEY": "suite-secret-key",
    "RELIVE_TOKEN": "suite-token",
    "RELIVE_DB": "postgresql://suite-password@host/db",
    "RELIVE_STORE": "s3://suite-store",
    "AWS_SECRET_ACCESS_KEY": "suite-aws",
    "DATABASE_URL": "postgresql://suite-other@host/db",
    "UV_PUBLISH_TOKEN": "suite-publish",
}
"""What a hub's environment may hold and no job's process may see."""

TOKEN = "suite-runner-token"

MakeExecutor: TypeAlias = Callable[[], Executor]
Probes: TypeAlias = Callable[..., dict[str, Any]]
"""Launches a probe by what it is to do; `job_id` and `fence` may be given."""


class ExecutorContract:
    """The promises of `relive.ports.executors.Executor`, as tests.

    A subclass gives the fixture `make_executor`, and may set the numbers.

    Attributes:
        patience_s: How long anything may take, on the slowest machine.
        look_every_s: Pause between two questions; for an executor whose answers cost a cluster something.
        knows_exit_codes: Whether the executor that launched a process always learns its exit code.
    """

    patience_s: ClassVar[float] = 120.0
    look_every_s: ClassVar[float] = 0.02
    knows_exit_codes: ClassVar[bool] = True

    @pytest.fixture
    def make_executor(self) -> MakeExecutor:
        """Give a function that opens the same executor anew, as a hub does that was started again."""
        raise NotImplementedError("a subclass says how an executor is made")

    @pytest.fixture
    def executor(self, make_executor: MakeExecutor, monkeypatch: pytest.MonkeyPatch) -> Iterator[Executor]:
        """Give an executor of a hub that has secrets in its environment."""
        for name, value in SECRETS.items():
            monkeypatch.setenv(name, value)
        executor = make_executor()
        yield executor
        executor.close()

    @pytest.fixture
    def launch(self, executor: Executor) -> Iterator[Probes]:
        """Give a function that launches a probe and gives its handle as a database gives it back."""
        handles: list[dict[str, Any]] = []

        def launch(what: str, *, job_id: str = "", fence: int = 1) -> dict[str, Any]:
            handles.append(
                msgspec.json.decode(msgspec.json.encode(executor.launch(request(what, job_id, fence))))
            )
            return handles[-1]

        yield launch
        for handle in handles:
            executor.stop(handle, grace_s=0.0)

    def test_a_process_gets_its_line_and_then_the_end_of_its_input(
        self, executor: Executor, launch: Probes
    ) -> None:
        handle = launch("exit/0", job_id="a" * 32, fence=7)
        self.wait_for_end(executor, handle)
        got = said(executor.output(handle), "line: ")
        line = {"hub": "probe:exit/0", "job": "a" * 32, "fence": 7, "token": TOKEN}
        assert got == {"line": line, "rest": ""}

    @pytest.mark.parametrize("code", [0, 1, 42])
    def test_an_exit_code_is_known(self, executor: Executor, launch: Probes, code: int) -> None:
        state = self.wait_for_end(executor, launch(f"exit/{code}"))
        assert state.state == "ended"
        if self.knows_exit_codes:
            assert state.exit_code == code

    def test_a_process_that_dies_by_a_signal_has_ended(self, executor: Executor, launch: Probes) -> None:
        state = self.wait_for_end(executor, launch("signal/9"))
        assert state.state == "ended"
        if self.knows_exit_codes:
            assert state.exit_code not in (0, None)
            assert "9" in state.detail

    def test_a_process_is_alive_until_it_is_stopped_and_may_say_goodbye(
        self, executor: Executor, launch: Probes
    ) -> None:
        handle = launch("work")
        self.wait_for_output(executor, handle, "working")
        assert executor.poll(handle).state == "alive"
        executor.stop(handle, grace_s=self.patience_s)
        assert executor.poll(handle).state == "ended"
        assert "stopped" in executor.output(handle)

    def test_a_process_that_does_not_want_to_stop_is_ended(self, executor: Executor, launch: Probes) -> None:
        handle = launch("stubborn")
        self.wait_for_output(executor, handle, "working")
        executor.stop(handle, grace_s=0.2)
        assert executor.poll(handle).state == "ended"

    def test_stopping_what_has_ended_does_nothing(self, executor: Executor, launch: Probes) -> None:
        handle = launch("exit/3")
        before = self.wait_for_end(executor, handle)
        executor.stop(handle)
        executor.stop(handle)
        assert executor.poll(handle) == before

    def test_another_executor_finds_reads_and_stops_the_process(
        self, executor: Executor, launch: Probes, make_executor: MakeExecutor
    ) -> None:
        handle = launch("work")
        self.wait_for_output(executor, handle, "working")
        executor.close()
        later = make_executor()
        assert later.poll(handle).state == "alive"
        assert "working" in later.output(handle)
        later.stop(handle, grace_s=self.patience_s)
        assert later.poll(handle).state == "ended"
        later.close()

    def test_a_claim_is_launched_once(
        self, executor: Executor, launch: Probes, make_executor: MakeExecutor
    ) -> None:
        first = launch("work", job_id="b" * 32, fence=1)
        assert launch("work", job_id="b" * 32, fence=1) == first
        later = make_executor()
        assert later.launch(request("work", "b" * 32, 1)) == first
        later.close()
        executor.stop(first, grace_s=self.patience_s)
        assert launch("work", job_id="b" * 32, fence=1) == first
        assert executor.poll(first).state == "ended"

    def test_a_later_claim_of_the_job_is_another_process(self, executor: Executor, launch: Probes) -> None:
        first = launch("work", job_id="c" * 32, fence=1)
        second = launch("work", job_id="c" * 32, fence=2)
        self.wait_for_output(executor, first, "working")
        self.wait_for_output(executor, second, "working")
        executor.stop(first, grace_s=self.patience_s)
        assert executor.poll(second).state == "alive"
        assert said(executor.output(second), "line: ")["line"]["fence"] == 2

    def test_no_secret_of_the_hub_reaches_the_process_and_its_token_is_hidden(
        self, executor: Executor, launch: Probes
    ) -> None:
        handle = launch("facts")
        self.wait_for_end(executor, handle)
        facts = said(executor.output(handle), "facts: ")
        seen = json.dumps([facts["environment"], facts["argv"], handle])
        assert [secret for secret in (*SECRETS.values(), TOKEN) if secret in seen] == []
        assert [name for name in SECRETS if name in facts["environment"]] == []

    def test_output_is_the_end_of_what_was_printed(self, executor: Executor, launch: Probes) -> None:
        handle = launch("print/500000")
        self.wait_for_output(executor, handle, "working")
        end = executor.output(handle, limit_bytes=1000)
        assert 500 < len(end) <= 1000
        assert "the end" in end

    def test_threads_may_ask_at_once(self, executor: Executor, launch: Probes) -> None:
        handles = [launch(f"exit/{code}") for code in range(4)]
        for code, handle in enumerate(handles):
            state = self.wait_for_end(executor, handle)
            assert state.exit_code == code or not self.knows_exit_codes

    def wait_for_end(self, executor: Executor, handle: dict[str, Any]) -> ProcessState:
        """Wait until a process has ended, and give its state."""
        deadline = time.monotonic() + self.patience_s
        while (state := executor.poll(handle)).state not in ("ended", "gone"):
            assert time.monotonic() < deadline, f"still {state}"
            time.sleep(self.look_every_s)
        return state

    def wait_for_output(self, executor: Executor, handle: dict[str, Any], text: str) -> str:
        """Wait until a process has printed something, and give all it has printed."""
        deadline = time.monotonic() + self.patience_s
        while text not in (printed := executor.output(handle)):
            assert time.monotonic() < deadline, f"{text!r} is not in {printed!r}"
            time.sleep(self.look_every_s)
        return printed


def request(what: str, job_id: str = "", fence: int = 1) -> Launch:
    """Ask for a probe that does something."""
    return Launch(
        job_id=job_id or uuid.uuid4().hex,
        fence=fence,
        module="relive.testing.executor_probe",
        hub_url=f"probe:{what}",
        token=TOKEN,
        name=f"suite {what}",
    )


def said(output: str, beginning: str) -> dict[str, Any]:
    """Read the document of the printed line with this beginning."""
    (line,) = [line for line in output.splitlines() if line.startswith(beginning)]
    document: dict[str, Any] = json.loads(line.removeprefix(beginning))
    return document
