"""A question to a model's process ends: by its answer, its time, or the end of its job."""

import sys
import threading
from pathlib import Path

import pytest

from relive.runner.lease import Lease, Over
from relive.serving.ask import ModelFailed, ask

FLOOD = "import sys\nfor n in range(200_000): print('line', n)\nsys.exit(3)"
STUBBORN = """\
import subprocess, time
subprocess.Popen(["sleep", "300"])
print("loading", flush=True)
time.sleep(300)
"""


class NoReports:
    """The hub of a claim that is never renewed here."""


@pytest.fixture
def lease() -> Lease:
    return Lease(NoReports())  # type: ignore[arg-type]  # nothing is renewed: the thread is not started


def asked(code: str, lease: Lease, folder: Path, *, timeout_s: float = 60.0) -> None:
    argv = (sys.executable, "-c", code)
    ask(argv, folder, {"PATH": "/usr/bin:/bin"}, lease, timeout_s=timeout_s, log=folder / "log")


def test_an_answer_is_an_answer(lease: Lease, tmp_path: Path) -> None:
    asked("open('out', 'w').write('1')", lease, tmp_path)
    assert (tmp_path / "out").read_text() == "1"


def test_a_failure_says_its_last_lines_and_a_flood_costs_little_room(lease: Lease, tmp_path: Path) -> None:
    with pytest.raises(ModelFailed) as raised:
        asked(FLOOD, lease, tmp_path)
    assert str(raised.value).splitlines()[-1] == "line 199999"
    assert sum(file.stat().st_size for file in (tmp_path / "log").iterdir()) < 200_000


def test_a_silent_failure_says_how_it_ended(lease: Lease, tmp_path: Path) -> None:
    with pytest.raises(ModelFailed, match="signal 9"):
        asked("import os; os.kill(os.getpid(), 9)", lease, tmp_path)


def test_one_that_takes_too_long_is_ended_with_its_children(lease: Lease, tmp_path: Path) -> None:
    with pytest.raises(ModelFailed, match=r"no answer within 1 s\. loading"):
        asked(STUBBORN, lease, tmp_path, timeout_s=1.0)


def test_the_end_of_the_claim_ends_the_question(lease: Lease, tmp_path: Path) -> None:
    threading.Timer(0.5, lease.lose, (Over.CANCELLED,)).start()
    with pytest.raises(ModelFailed):
        asked(STUBBORN, lease, tmp_path)
