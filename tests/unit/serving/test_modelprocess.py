"""A model's process gets what it needs and no more, and its output is bounded."""

import signal
import sys
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.core.endpoint import Address
from relive.serving import modelprocess
from relive.serving.modelprocess import ModelProcess, OutputBudget, ServeSpec, command, ending, environment
from tests.unit.serving.processes import eventually, is_alive


def spec(tmp_path: Any, **more: Any) -> Any:
    return ServeSpec(
        python=sys.executable,
        bundle="/bundle",
        model=str(tmp_path),
        contract="/contract",
        name="digits",
        version="7",
        address=Address(path="/run/m"),
        **more,
    )


def script(monkeypatch: Any, source: Any) -> Any:
    """Let a process run a script instead of the serving agent."""
    monkeypatch.setattr(modelprocess, "command", lambda _: [sys.executable, "-c", source])


def test_the_command_says_everything(tmp_path):
    line = command(spec(tmp_path, loader="own:build", code="/code", prefix=("bwrap", "--")))
    assert line[:5] == ["bwrap", "--", sys.executable, "/bundle", "serve"]
    for pair in (("--uds", "/run/m"), ("--loader", "own:build"), ("--code", "/code"), ("--name", "digits")):
        assert line[line.index(pair[0]) + 1] == pair[1]
    assert "--die-with-parent" in line


def test_a_tcp_address_becomes_host_and_port(tmp_path):
    changed = ServeSpec(
        **{
            **{f: getattr(spec(tmp_path), f) for f in ServeSpec.__struct_fields__},
            "address": Address(host="::1", port=80),
        }
    )
    assert command(changed)[-4:] == ["--host", "::1", "--port", "80"]


def test_no_token_and_no_setting_reaches_the_model(tmp_path, monkeypatch):
    monkeypatch.setenv("RELIVE_TOKEN", "secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    given_to = environment(spec(tmp_path, env={"MODE": "x"}))
    assert "secret" not in given_to.values()
    assert given_to["OMP_NUM_THREADS"] == "2"
    assert given_to["MODE"] == "x"
    assert set(given_to) <= {*modelprocess.PASSED_ON, "PYTHONUNBUFFERED", "MODE"}


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (3, "ended with exit code 3"),
        (-signal.SIGSEGV, "killed by SIGSEGV"),
        (-signal.SIGKILL, "killed by SIGKILL (out of memory?)"),
    ],
)
def test_an_end_is_told_in_words(code, said):
    assert said in ending(code)


def test_what_a_process_printed_last_is_told_with_its_end(tmp_path, monkeypatch):
    script(monkeypatch, "import sys; print('loading'); sys.exit('no weights')")
    output: list[bytes] = []
    process = ModelProcess(spec(tmp_path), output.append)
    eventually("it has ended", lambda: not process.alive)
    process.stop()
    assert (
        process.describe_end()
        == "the model's process ended with exit code 1, having printed:\nloading\nno weights"
    )
    assert b"".join(output) == b"loading\nno weights\n"


GRANDCHILD = """
import signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
time.sleep(600)
"""


def test_stopping_ends_all_that_the_process_started(tmp_path, monkeypatch):
    script(monkeypatch, GRANDCHILD)
    output: list[bytes] = []
    process = ModelProcess(spec(tmp_path), output.append)
    grandchild = int(eventually("it has started another", lambda: b"".join(output).strip()))
    assert is_alive(grandchild)
    process.stop()
    assert not process.alive
    eventually("the grandchild has ended", lambda: not is_alive(grandchild))


def test_a_process_that_does_not_end_is_killed(tmp_path, monkeypatch):
    script(
        monkeypatch,
        "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)",
    )
    output: list[bytes] = []
    process = ModelProcess(spec(tmp_path, drain_s=-4.9), output.append)
    eventually("it runs", lambda: b"up" in b"".join(output))
    process.stop()
    assert not process.alive
    assert b"did not end in time and is killed" in b"".join(output)


def test_a_flood_of_output_is_bounded_and_counted(tmp_path, monkeypatch):
    script(
        monkeypatch, "import sys\nfor _ in range(3000): sys.stdout.write('x' * 9999 + '\\n')\nprint('end')"
    )
    output: list[bytes] = []
    process = ModelProcess(spec(tmp_path), output.append)
    eventually("it has ended", lambda: not process.alive)
    process.stop()
    kept = b"".join(output)
    assert len(kept) < 10 * modelprocess.BURST_BYTES
    assert b"bytes of output were left out]" in kept
    assert process.describe_end().endswith("end")


@given(st.lists(st.binary(max_size=50), max_size=30))
def test_the_budget_lets_through_the_burst_and_counts_the_rest(pieces):
    budget = OutputBudget(burst_bytes=100, bytes_per_s=0.0)
    passed = b"".join(budget.admit(piece) for piece in pieces)
    assert sum(len(piece) for piece in pieces if piece) >= len(passed) - 60 * len(pieces)
    assert budget.dropped_bytes <= sum(map(len, pieces))
    total = sum(map(len, pieces))
    if total <= 100:
        assert passed == b"".join(pieces)
        assert budget.dropped_bytes == 0


def test_the_budget_refills_with_time(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    budget = OutputBudget(burst_bytes=10, bytes_per_s=5.0)
    assert budget.admit(b"0123456789") == b"0123456789"
    assert budget.admit(b"abc") == b""
    now[0] = 1.0
    assert budget.admit(b"de") == b"\n[3 bytes of output were left out]\nde"
