"""The probe in an interpreter of its own: what it notes, what it takes away, and what it leaves alone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from relive.capture.agent import agent_environment, install_agent
from relive.replay import probe


class World:
    """Starts scripts with the probe behind the recorder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._agent = install_agent(folder / "agent")
        (folder / "probe").mkdir()
        (folder / "probe/sitecustomize.py").write_bytes(Path(probe.__file__).read_bytes())
        (folder / "spool").mkdir()
        self.notes_file = folder / "notes"
        self.noise_file = folder / "noise"
        self.noise_file.write_bytes(bytes(range(100)))

    def run(self, script: str, *fixes: str, turned: bool = False) -> str:
        """Run a script; gives what it printed."""
        (self.folder / "script.py").write_text(script)
        told = {
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(self.folder / "probe"),
            "RELIVE_PROBE_FILE": str(self.notes_file),
            "RELIVE_PROBE_FIXES": ",".join(fixes),
            "RELIVE_PROBE_REVERSE": "1" if turned else "",
            "RELIVE_PROBE_NOISE": str(self.noise_file),
        }
        environ = agent_environment(self._agent, self.folder / "spool", told)
        command = [sys.executable, "script.py"]
        done = subprocess.run(
            command, cwd=self.folder, env=environ, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def notes(self) -> set[tuple[str, str]]:
        """Give what was noted so far."""
        lines = self.notes_file.read_text().splitlines() if self.notes_file.exists() else []
        return {(kind, where) for kind, where in map(json.loads, lines)}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_script_that_leaves_nothing_to_chance_is_not_noted(world: World) -> None:
    assert world.run("print(sum(range(10)))") == "45"
    assert world.notes() == {("python", "")}


@pytest.mark.parametrize(
    ("script", "kind", "fix"),
    [
        ("import random; print(random.random(), random.sample(range(99), 3))", "random", "random"),
        ("import os; print(os.urandom(8))", "entropy", "entropy"),
        ("import uuid; print(uuid.uuid4())", "entropy", "entropy"),
        ("import secrets; print(secrets.token_hex(4))", "entropy", "entropy"),
        ("import time; print(time.time(), time.time_ns())", "clock", "clock"),
        ("import time; print(time.ctime(), time.time_ns())", "clock", "clock"),
        ("import datetime; print(datetime.datetime.now(), datetime.datetime.utcnow())", "clock", "clock"),
        ("from datetime import datetime, timezone; print(datetime.now(timezone.utc))", "clock", "clock"),
        ("import random; print(random.Random().random())", "instance", "instance"),
        ("import os; print(os.getrandom(8))", "entropy", "entropy"),
        ("import os; print(os.read(os.open('/dev/urandom', os.O_RDONLY), 8))", "device", "device"),
        ("from pathlib import Path; print(Path('/dev/urandom').open('rb').read(8))", "device", "device"),
        ("import numpy as np; print(np.fromfile('/dev/urandom', np.uint8, 8))", "device", "device"),
        ("import numpy; print(numpy.random.default_rng().random())", "generator", "generator"),
        ("import numpy; print(numpy.random.normal())", "numpy", "numpy"),
    ],
)
def test_what_is_taken_away_is_the_same_twice_and_was_noted_with_its_line(
    world: World, script: str, kind: str, fix: str
) -> None:
    assert world.run(script) != world.run(script)
    assert (kind, "script.py:1") in world.notes()
    assert world.run(script, fix) == world.run(script, fix)


@pytest.mark.parametrize(
    "listing",
    ["os.listdir('d')", "[e.name for e in os.scandir('d')]", "[p.name for p in pathlib.Path('d').iterdir()]"],
)
def test_listings_are_turned_round_or_put_in_order(world: World, listing: str) -> None:
    (world.folder / "d").mkdir()
    for name in "bca":
        (world.folder / "d" / name).touch()
    script = f"import os, pathlib; print(''.join({listing}))"
    assert sorted(world.run(script)) == ["a", "b", "c"]
    assert world.run(script, turned=True) == "cba"
    assert world.run(script, "listing", turned=True) == "abc"
    assert ("listing", "script.py:1") in world.notes()


def test_an_open_listing_closes_as_ever(world: World) -> None:
    (world.folder / "d").mkdir()
    script = "import os\nwith os.scandir('d') as found:\n    print(list(found))\nos.scandir('d').close()"
    assert world.run(script) == "[]"


def test_a_seed_is_noted_so_that_its_generator_is_no_suspect(world: World) -> None:
    world.run("import random, numpy; random.seed(3); numpy.random.seed(3); random.random()")
    assert {("seeded random", ""), ("seeded numpy", ""), ("imports numpy", "")} <= world.notes()


def test_what_a_script_seeds_itself_stays_as_it_seeded_it(world: World) -> None:
    script = "import random, numpy; random.seed(3); rng = numpy.random.default_rng(3)\n"
    script += "print(random.random(), rng.random())"
    assert world.run(script) == world.run(script, "random", "numpy", "generator", "entropy", "clock")


def test_notes_that_cannot_be_written_do_not_stop_the_script(world: World) -> None:
    world.notes_file.mkdir()
    assert world.run("import random; random.random(); print('done')") == "done"


DATES = """
import copy, pickle
import datetime as dt
from datetime import datetime

class Mine(datetime):
    pass

now = datetime.now()
assert isinstance(now, datetime) and isinstance(dt.datetime(2020, 1, 1), datetime)
assert type(now) is type(datetime(2020, 1, 1)) is type(datetime.strptime("2020", "%Y"))
assert pickle.loads(pickle.dumps(now)) == now == copy.deepcopy(now)
aware = datetime(2020, 1, 2, tzinfo=dt.timezone.utc)
assert pickle.loads(pickle.dumps(aware)) == aware
assert issubclass(Mine, datetime) and isinstance(Mine(2020, 1, 1), datetime)
assert not isinstance(now, Mine) and type(Mine.now()) is Mine and type(Mine.today()) is Mine
assert datetime.combine(now.date(), now.time()) == now == datetime.fromisoformat(now.isoformat())
assert datetime.max > now > datetime.min and str(aware - aware) == "0:00:00"
assert abs((dt.datetime.now() - datetime.utcnow()).total_seconds()) < 86400
print("as ever")
"""


@pytest.mark.parametrize("fixes", [(), ("clock",)])
def test_dates_are_as_ever(world: World, fixes: tuple[str, ...]) -> None:
    assert world.run(DATES, *fixes) == "as ever"


def test_a_generator_with_a_seed_is_left_alone(world: World) -> None:
    script = "import random; print(random.Random(3).random(), random.SystemRandom().random() < 1)"
    assert world.run(script) == world.run(script, "instance")
    assert not any(kind == "instance" for kind, _ in world.notes())


def test_names_of_temporary_files_are_no_chance_of_the_script(world: World) -> None:
    world.run("import tempfile; tempfile.mkdtemp()")
    assert not any(kind == "instance" for kind, _ in world.notes())


def test_threads_and_programs_are_noted_where_they_start(world: World) -> None:
    world.run("import subprocess, threading\nthreading.Thread().start()\nsubprocess.run(['true'])")
    assert {("threads started", "script.py:2"), ("programs", "script.py:3")} <= world.notes()


def test_who_has_scikit_learn_draw_from_the_global_generator_is_named(world: World) -> None:
    package = world.folder / "sklearn/utils"
    package.mkdir(parents=True)
    (world.folder / "sklearn/__init__.py").touch()
    (package / "__init__.py").write_text("from sklearn.utils.validation import check_random_state\n")
    (package / "validation.py").write_text("def check_random_state(seed):\n    return seed\n")
    world.run("from sklearn.utils import check_random_state as check\ncheck(1)\ncheck(None)\n")
    assert [where for kind, where in world.notes() if kind == "numpy"] == ["script.py:3"]
