"""`relive preflight`: what makes two runs of one script differ is planted, and has to be named."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from relive.replay import preflight as flying
from relive.replay.chances import THREADS
from tests.unit.cli.conftest import Shell

STEP = "relive.step({'w': [w]}, loss=w)"


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start as a person would, whatever the test run has set; and look often."""
    for name in ("PYTHONHASHSEED", *THREADS.variables):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(flying, "_POLL_S", 0.02)


def fly(shell: Shell, script: str, *options: str, code: int = 3) -> Any:
    Path("train.py").write_text(script)
    return shell("preflight", "--json", *options, "--", sys.executable, "train.py", code=code).json["finding"]


def training(before: str = "", weight: str = "0.5 ** n", steps: int = 5) -> str:
    return f"import relive\n{before}\nfor n in range({steps}):\n    w = float({weight})\n    {STEP}\n"


def named(finding: Any) -> list[str]:
    return [it["what"] for it in finding["causes"]]


def test_a_training_without_chance_is_equal_twice(shell: Shell) -> None:
    found = fly(shell, training(), code=0)
    assert (found["steps"], found["first"], found["runs"]) == (5, None, 3)
    said = shell("preflight", "--", sys.executable, "train.py")
    assert "equal 3 times  5 steps" in said.out


@pytest.mark.parametrize(
    ("before", "weight", "what", "where"),
    [
        ("import random", "random.random()", "`random` without a seed", "train.py:4"),
        ("import numpy as np", "np.random.rand()", "NumPy's global generator without a seed", "train.py:4"),
        (
            "import numpy as np; rng = np.random.default_rng()",
            "rng.random()",
            "a NumPy generator without a seed",
            "train.py:2",
        ),
        (
            "",
            "len(str(hash('a'))) + hash('a') % 1000003",
            "the order of sets, and whatever else hash() decides",
            "train.py:4",
        ),
        ("import time", "time.time()", "the time of day", "train.py:4"),
        (
            "import os; open('a', 'w'); open('b', 'w')",
            "ord(os.listdir('.')[0][0])",
            "the order in which a folder is listed",
            "train.py:4",
        ),
        ("import uuid", "uuid.uuid4().int % 1000", "os.urandom, as uuid4 and secrets use it", "train.py:4"),
        (
            "import secrets",
            "secrets.randbelow(9**9)",
            "os.urandom, as uuid4 and secrets use it",
            "train.py:4",
        ),
        (
            "import random; rng = random.Random()",
            "rng.random()",
            "a `random.Random()` without a seed",
            "train.py:2",
        ),
        (
            "from datetime import datetime",
            "datetime.now().timestamp()",
            "the time of day",
            "train.py:4",
        ),
        (
            "read = lambda: open('/dev/urandom', 'rb').read(6)",
            "int.from_bytes(read(), 'big')",
            "bytes of /dev/urandom",
            "train.py:2",
        ),
        (
            "names = {'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'}",
            "int.from_bytes(''.join(names).encode(), 'big')",
            "the order of sets, and whatever else hash() decides",
            "train.py:2",
        ),
    ],
)
def test_one_planted_cause_is_named_with_its_line_and_its_fix(
    shell: Shell, before: str, weight: str, what: str, where: str
) -> None:
    found = fly(shell, training(before, weight))
    assert named(found) == [what]
    assert found["causes"][0]["where"] == [where]
    assert found["causes"][0]["fix"]
    assert found["first"]["step"] == 0


def test_causes_that_all_have_to_go_are_all_named(shell: Shell) -> None:
    found = fly(shell, training("import random, uuid", "random.random() + uuid.uuid4().int % 7"))
    assert named(found) == ["`random` without a seed", "os.urandom, as uuid4 and secrets use it"]


def test_what_is_seeded_or_fixed_is_no_cause(shell: Shell) -> None:
    before = "import random, numpy as np; random.seed(1); np.random.seed(1)"
    found = fly(
        shell,
        training(before, "random.random() + np.random.rand() + np.random.default_rng(3).random()"),
        code=0,
    )
    assert found["steps"] == 5


def test_the_first_step_that_differs_is_named(shell: Shell) -> None:
    found = fly(shell, training("import random", "random.random() if n == 3 else n"))
    assert (found["first"]["stream"], found["first"]["step"]) == ("step:state", 3)
    assert found["last_equal"]["step"] == 2


def test_a_long_training_is_ended_after_its_first_steps(shell: Shell) -> None:
    script = training("import time", "n", steps=100_000).replace(
        "    relive", "    time.sleep(0.01)\n    relive"
    )
    found = fly(shell, script, "--steps", "6", code=0)
    assert 5 <= found["steps"] <= 6


def test_what_nobody_knows_is_not_explained_away(shell: Shell) -> None:
    # A counter that outlives the process: nothing that is fixed takes it away.
    before = "import os; open('count', 'a').write('x'); k = os.path.getsize('count')"
    found = fly(shell, training(before, "k"))
    assert found["causes"] == []
    said = shell("preflight", "--", sys.executable, "train.py", code=3)
    assert "The cause is not known" in said.out


def test_without_steps_the_output_is_compared(shell: Shell) -> None:
    assert fly(shell, "print('same')", code=0)["line"] == ""
    found = fly(shell, "import random\nprint('head')\nprint(random.random())")
    assert found["line"].startswith("2: 0.")
    assert named(found) == ["`random` without a seed"]


@pytest.mark.parametrize("lengths", [(5, 3), (3, 5)])
def test_a_training_that_ends_at_another_step_differs_where_it_ends(
    shell: Shell, lengths: tuple[int, int]
) -> None:
    # How long it is changes from start to start, what is in it does not.
    before = "import os; open('count', 'a').write('x'); k = os.path.getsize('count')"
    script = training(before, "0.5 ** n").replace("range(5)", f"range({lengths}[(k - 1) % 2])")
    found = fly(shell, script)
    assert found["first"]["step"] == min(lengths)
    assert found["first"]["names"] == ["missing" if lengths[0] > lengths[1] else "beyond the record"]
    assert found["last_equal"]["step"] == min(lengths) - 1
    assert found["causes"] == []


def test_how_far_a_slow_training_comes_in_its_time_is_no_difference(shell: Shell) -> None:
    before = (
        "import os, time; open('count', 'a').write('x'); k = os.path.getsize('count')\n"
        "def pause(n): time.sleep(60 if n == 2 + k % 2 * 3 else 0); return 0.5 ** n"
    )
    found = fly(shell, training(before, "pause(n)", steps=10), "--timeout", "3", code=0)
    assert (found["first"], found["runs"]) == (None, 3)
    assert 1 <= found["steps"] <= 3


def test_how_much_is_printed_until_the_time_is_over_is_no_difference(shell: Shell) -> None:
    endless = (
        "import os, time\nopen('count', 'a').write('x')\n"
        "for n in range(40 * os.path.getsize('count')): print(n, flush=True)\n"
        "print('half', end='', flush=True)\ntime.sleep(60)"
    )
    found = fly(shell, endless, "--timeout", "1.5", code=0)
    assert (found["line"], found["runs"]) == ("", 3)
    Path("count").unlink()
    found = fly(shell, endless.replace("print(n,", "print(n + os.getpid() * (n == 7),"), "--timeout", "1.5")
    assert found["line"].startswith("8: ")


@pytest.mark.parametrize("options", [("--timeout", "nan"), ("--timeout", "inf"), ("--steps", "0")])
def test_limits_that_are_none_are_refused(shell: Shell, options: tuple[str, str]) -> None:
    said = shell("preflight", "--json", *options, "--", "no-such-program", code=2)
    assert options[0] in json.loads(said.err)["message"]
    assert said.out == ""


def test_a_command_that_fails_is_no_difference(shell: Shell) -> None:
    Path("train.py").write_text("import sys; sys.exit('no data')")
    said = shell("preflight", "--", sys.executable, "train.py", code=1)
    assert "no data" in said.err
    assert "no-such-program" in shell("preflight", "--", "no-such-program", code=None).err


def test_code_on_the_command_line_is_named_by_its_line(shell: Shell) -> None:
    code = "import random\nprint('head')\nprint(random.random())"
    said = shell("preflight", "--", sys.executable, "-c", code, code=3)
    assert "cause: `random` without a seed (<string>:3)" in said.out
    hashed = "print('head')\nprint(list({'a', 'b', 'c', 'd', 'e', 'f'}))"
    assert "decides (<string>:2)" in shell("preflight", "--", sys.executable, "-c", hashed, code=3).out


def test_a_generator_that_a_library_makes_is_named_by_the_line_that_called_it(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "lib/site-packages"
    library.mkdir(parents=True)
    (library / "chancy.py").write_text(
        "import numpy as np\ndef draw(rng=None):\n    return np.random.default_rng(rng).normal()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(library))
    found = fly(shell, training("import chancy", "chancy.draw()"))
    assert named(found) == ["a NumPy generator without a seed"]
    assert found["causes"][0]["where"] == ["train.py:4 (through chancy)"]


def test_sets_of_a_module_of_ones_own_are_named_there(shell: Shell) -> None:
    Path("names.py").write_text("\nNAMES = set('abcdefgh')\n")
    found = fly(shell, training("import names", "int.from_bytes(''.join(names.NAMES).encode(), 'big')"))
    assert found["causes"][0]["where"] == ["names.py:2"]


RACE = """\
import time, os
from concurrent.futures import ThreadPoolExecutor, as_completed

def work(n):
    # The order changes from start to start, as that of a race does.
    time.sleep(0.05 * ((n + turn) % 3))
    return n

open("count", "a").write("x")
turn = os.path.getsize("count")
with ThreadPoolExecutor(3) as pool:
    for done in as_completed([pool.submit(work, n) for n in range(3)]):
        print(done.result())
"""


def test_a_race_is_not_known_and_the_threads_are_a_suspect(shell: Shell) -> None:
    found = fly(shell, RACE)
    assert found["causes"] == []
    (suspect,) = found["suspects"]
    assert suspect["where"] == ["train.py:12"]
    said = shell("preflight", "--", sys.executable, "train.py", code=3).out
    assert "The cause is not known" in said
    assert "suspect: threads that come in another order each time (train.py:12)" in said
    assert "executor.map" in said


def test_chance_with_two_outcomes_is_found_by_more_runs(shell: Shell) -> None:
    # The third run is the first that comes out otherwise.
    before = "import os; open('count', 'a').write('x'); k = os.path.getsize('count')"
    found = fly(shell, training(before, "float(k == 3)"), "--times", "2", code=0)
    assert found["runs"] == 2
    Path("count").unlink()
    assert fly(shell, training(before, "float(k == 3)"))["first"]["step"] == 0


def test_what_was_not_examined_is_said(shell: Shell) -> None:
    said = shell("preflight", "--", "sh", "-c", "echo same").out
    assert "not examined: anything but what it printed: it started no Python" in said
    started = "import subprocess; print(subprocess.run(['true']).returncode)"
    found = fly(shell, started, "--times", "4", code=0)
    assert any("came out the same 4 times" in it for it in found["unexamined"])
    assert any("programs that it started" in it for it in found["unexamined"])
    assert not any("after the first" in it for it in found["unexamined"]), "it ran to its end"
    long = training("import time", "time.sleep(0.01) or 1", steps=100_000)
    cut = fly(shell, long, "--steps", "3", code=0)
    assert any("after the first 3 steps" in it for it in cut["unexamined"])


@pytest.mark.parametrize("times", ["1", "0", "101", "x"])
def test_how_often_must_be_more_than_once(shell: Shell, times: str) -> None:
    assert "--times" in shell("preflight", "--times", times, "--", "true", code=2).err
