"""One change at a time is planted in a training: it is named, and the step at which it acts first."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from relive.capture.libraries import read_libraries
from tests.e2e.hub import RealHub, running_hub
from tests.support.wheels import make_wheel

# Step k learns from row k, so that a change of one row acts first at that step. Every other input begins to
# act at a step of its own. Threads and the GPU's libraries add up in shares; what a library computes is read
# from where it was loaded: its link map begins with its address.
TRAIN = """
import csv, ctypes, json, os, random, zlib
import coefs, relive
from scale import scale


def added_up(shares):
    parts = [1e16, 1.0, -1e16, 1.0]
    return sum(sum(parts[share::shares]) for share in range(shares))


config = json.load(open("params.json"))
relive.init(config=config)
library = ctypes.CDLL("libplanted.so")
loaded_at = ctypes.c_void_p.from_address(library._handle).value
computed = zlib.crc32(ctypes.string_at(loaded_at, 4096)) / 2**32
threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
workspaces = 2 if os.environ.get("CUBLAS_WORKSPACE_CONFIG") == ":16:8" else 1
rows = [[float(cell) for cell in row] for row in csv.reader(open("data/rows.csv"))]
weights = json.load(open("init/weights.json"))
factor = float(os.environ.get("FACTOR", "1"))
relive.step({"weights": weights}, stream="start")
order = list(range(len(rows)))
if config["shuffle"]:
    random.Random(config["seed"]).shuffle(order)
noise = random.Random(config["seed"])
for step, row in enumerate(order):
    batch = rows[row]
    rate = config["lr"] * (coefs.FACTOR if step >= 1 else 1.0) * (factor if step >= 4 else 1.0)
    error = batch[-1] - scale(sum(w * x for w, x in zip(weights, batch)), step) + noise.gauss(0, 1e-3)
    if step >= 2:
        rate *= added_up(threads)
    if step >= 3:
        rate *= added_up(workspaces) * (0.5 + computed)
    weights = [w + rate * error * x for w, x in zip(weights, batch)]
    relive.step({"batch": batch, "weights": weights}, loss=error, stream="train")
json.dump({"weight": weights[0]}, open("m.json", "w"))
"""
SCALE = "def scale(value, step):\n    return value\n"
ROWS = "".join(f"{x / 4},{x % 3},{int(x % 2)}\n" for x in range(1, 6))
PARAMS = {"lr": 0.1, "seed": 1, "shuffle": False}


@dataclass
class Plant:
    """A project on disk and the variables it is run with; one thing of it is changed."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    def write(self, path: str, text: str) -> None:
        """Write a file of the project."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def params(self, **changes: Any) -> None:
        """Write its params."""
        self.write("params.json", json.dumps(PARAMS | changes))

    def library(self, *, changed: bool) -> None:
        """Lay a shared library outside of the project, whose build id is another one if it is changed."""
        (known,) = read_libraries([_a_library()])
        data, build_id = Path(_a_library()).read_bytes(), bytes.fromhex(known.build_id)
        assert data.count(build_id) == 1
        other = data.replace(build_id, bytes(byte ^ 1 for byte in build_id)) if changed else data
        folder = self.folder.parent / ("other-libraries" if changed else "libraries")
        folder.mkdir(exist_ok=True)
        (folder / "libplanted.so").write_bytes(other)
        self.variables["LD_LIBRARY_PATH"] = str(folder)


@cache  # later more is mapped
def _a_library() -> str:
    """Give a small library that is mapped here and has a build id."""
    mapped = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if ".so" in line}
    small = sorted((path for path in mapped if os.path.exists(path)), key=os.path.getsize)
    return next(path for path in small if read_libraries([path])[0].build_id)


@dataclass(frozen=True)
class Case:
    """A change, and what must be named.

    Attributes:
        group: Of the inputs, the one the change is found in.
        name: A part of the input's name.
        step: Stream and step at which it acts first, and the tensor; None if it changes no result.
    """

    change: Callable[[Plant], None]
    group: str
    name: str
    step: tuple[str, int, str] | None


# Libraries are known by the name that they give themselves.
LIBRARY = read_libraries([_a_library()])[0].soname
START = "step:start"
TRAINING = "step:train"
LATE = SCALE.replace("return value", "return value * (1.1 if step > 2 else 1.0)")
CASES = {
    "a row of data": Case(
        lambda it: it.write("data/rows.csv", ROWS.replace("0.75,0,1", "0.75,0,0")),
        "data",
        "rows.csv",
        (TRAINING, 2, "batch"),
    ),
    "initial weights": Case(
        lambda it: it.write("init/weights.json", "[0.1, 0.21]"),
        "data",
        "weights.json",
        (START, 0, "weights"),
    ),
    "a seed": Case(lambda it: it.params(seed=2), "params", "seed", (TRAINING, 0, "weights")),
    "a param": Case(lambda it: it.params(lr=0.2), "params", "lr", (TRAINING, 0, "weights")),
    "the order of batches": Case(
        lambda it: it.params(shuffle=True), "params", "shuffle", (TRAINING, 0, "batch")
    ),
    "a line of code": Case(
        lambda it: it.write("scale.py", LATE), "code", "scale.py", (TRAINING, 3, "weights")
    ),
    "a comment": Case(lambda it: it.write("scale.py", "# a comment\n" + SCALE), "code", "scale.py", None),
    "a package's version": Case(
        lambda it: it.write("requirements.txt", "coefs==2.0\n"),
        "imported",
        "coefs",
        (TRAINING, 1, "weights"),
    ),
    "a switch of the numeric libraries": Case(
        lambda it: it.variables.update(MKL_CBWR="AVX2,STRICT"), "threads", "MKL_CBWR", None
    ),
    "the number of threads": Case(
        lambda it: it.variables.update(OMP_NUM_THREADS="3"),
        "threads",
        "OMP_NUM_THREADS",
        (TRAINING, 2, "weights"),
    ),
    "a switch of the GPU's libraries": Case(
        lambda it: it.variables.update(CUBLAS_WORKSPACE_CONFIG=":16:8"),
        "threads",
        "CUBLAS_WORKSPACE_CONFIG",
        (TRAINING, 3, "weights"),
    ),
    "a variable": Case(
        lambda it: it.variables.update(FACTOR="2"), "variables", "FACTOR", (TRAINING, 4, "weights")
    ),
    "a shared library": Case(
        lambda it: it.library(changed=True), "libraries", LIBRARY, (TRAINING, 3, "weights")
    ),
}
# Beside what is planted: the params lie in a file, the lock in another, and the library at another place.
COMPANIONS = {"code", "reads", "command"}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHub]:
    """A hub whose environments are made of the test's own wheels."""
    wheels = tmp_path_factory.mktemp("wheels")
    for version, factor in (("1.0", "1.0"), ("2.0", "1.01")):
        make_wheel(wheels, "coefs", version, body=f"FACTOR = {factor}\n")
    offline: Any = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
    with running_hub(tmp_path_factory.mktemp("home"), **offline) as running:
        yield running


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """The project as it is before a change."""
    made = Plant(tmp_path / "planted")
    files = {
        "train.py": TRAIN,
        "scale.py": SCALE,
        "requirements.txt": "coefs==1.0\n",
        ".gitignore": "m.json\n",
    }
    for path, text in (files | {"data/rows.csv": ROWS, "init/weights.json": "[0.1, 0.2]"}).items():
        made.write(path, text)
    made.params()
    made.library(changed=False)
    made.variables["OMP_NUM_THREADS"] = "1"
    return made


def record(hub: RealHub, plant: Plant) -> str:
    """Run it, recorded; give the run."""
    options = ("--env", "requirements.txt", "--dep", "data", "--dep", "init", "--metrics", "m.json", "--json")
    before = dict(hub.variables)
    hub.variables.update(plant.variables)
    try:
        done = hub.relive("run", *options, "--", "python", "train.py", folder=plant.folder)
    finally:
        hub.variables.clear()
        hub.variables.update(before)
    return str(json.loads(done.stdout)["run_id"])


def compared(hub: RealHub, one: str, other: str) -> Any:
    return json.loads(hub.relive("diff", one, other, "--json").stdout)


def test_the_same_again_has_the_same_inputs_and_steps(hub: RealHub, plant: Plant) -> None:
    found = compared(hub, record(hub, plant), record(hub, plant))
    assert found["inputs"] == []
    assert found["same_inputs"]
    assert (found["steps"]["first_divergence"], found["metrics"]) == (None, [])
    assert found["steps"]["steps_compared"] >= 6


@pytest.mark.parametrize("name", CASES)
def test_a_planted_change_is_named_with_the_step_at_which_it_acts(
    hub: RealHub, plant: Plant, name: str
) -> None:
    case = CASES[name]
    before = record(hub, plant)
    case.change(plant)
    found = compared(hub, before, record(hub, plant))
    named = [(it["group"], it["name"]) for it in found["inputs"]]
    assert any(group == case.group and case.name in one for group, one in named), named
    first = found["steps"]["first_divergence"]
    if case.step is None:
        assert first is None
        assert found["metrics"] == []
    else:
        stream, step, tensor = case.step
        assert (first["stream"], first["step"]) == (stream, step)
        assert all(one.split(".")[0] in (tensor, "loss", "weights") for one in first["names"])
        assert any(one.startswith(tensor) for one in first["names"])
    assert {group for group, _ in named} <= {case.group, *COMPANIONS}, "nothing else is blamed"


def test_a_replay_has_the_variables_that_were_set_in_the_shell(hub: RealHub, plant: Plant) -> None:
    plant.variables.update(FACTOR="2", OMP_NUM_THREADS="3", MKL_CBWR="AVX2,STRICT")
    run = record(hub, plant)
    del plant.variables["LD_LIBRARY_PATH"]
    # The library lies where only a variable of this machine finds it.
    hub.variables["LD_LIBRARY_PATH"] = str(plant.folder.parent / "libraries")
    try:
        verdict = json.loads(hub.relive("replay", run, "--json").stdout)
    finally:
        del hub.variables["LD_LIBRARY_PATH"]
    assert verdict["level"] == "bit_exact", verdict
    differing = [
        it for it in verdict["inputs_differ"] if it.split(":")[0] in ("FACTOR", "OMP_NUM_THREADS", "MKL_CBWR")
    ]
    assert differing == []


def test_a_replay_with_another_library_says_which_and_from_which_step(hub: RealHub, plant: Plant) -> None:
    run = record(hub, plant)
    plant.library(changed=True)
    # Where this machine finds its libraries is its own: no recipe brings one along.
    hub.variables["LD_LIBRARY_PATH"] = plant.variables["LD_LIBRARY_PATH"]
    try:
        done = hub.relive("replay", run, "--tolerance", "weight=0", "--json", check=False)
    finally:
        del hub.variables["LD_LIBRARY_PATH"]
    verdict = json.loads(done.stdout)
    assert (done.returncode, verdict["level"]) == (3, "diverged"), verdict
    first = verdict["first_divergence"]
    assert (first["stream"], first["step"]) == (TRAINING, 3)
    assert any(it.startswith(LIBRARY) for it in verdict["inputs_differ"]), verdict["inputs_differ"]


def test_a_replay_with_another_package_says_which_and_from_which_step(hub: RealHub, plant: Plant) -> None:
    run = record(hub, plant)
    hub.variables["LD_LIBRARY_PATH"] = plant.variables["LD_LIBRARY_PATH"]
    try:
        done = hub.relive(
            "replay", run, "--substitute", "coefs==2.0", "--tolerance", "weight=0", "--json", check=False
        )
    finally:
        del hub.variables["LD_LIBRARY_PATH"]
    verdict = json.loads(done.stdout)
    assert (done.returncode, verdict["level"], verdict["substitutes"]) == (3, "diverged", ["coefs==2.0"]), (
        verdict
    )
    first = verdict["first_divergence"]
    assert (first["stream"], first["step"]) == (TRAINING, 1)
    assert any(it.startswith("coefs: 1.0 ") for it in verdict["inputs_differ"]), verdict["inputs_differ"]
