"""The drill inside a real Python: what happens around one step is written down, and nothing else changes."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from relive.replay.operations import Kind, Process, first_difference, read_operations
from tests.conftest import require

HAS_TORCH = importlib.util.find_spec("torch") is not None

STEPS = """
import relive
for step in range(8):
    relive.step({"w": [float(step)]}, loss=step / 4)
"""

SKLEARN = """
import numpy as np
from sklearn.linear_model import LogisticRegression
rng = np.random.default_rng(0)
X = rng.normal(size=(80, 4)); y = (X[:, 0] > 0).astype(int)
model = LogisticRegression(C=PLANT).fit(X, y)
"""

TORCH = """
import ctypes, torch
from torch import nn
torch.manual_seed(0); torch.set_num_threads(1)
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 2))
optimizer = torch.optim.Adam(model.parameters(), 0.01)
data = torch.utils.data.TensorDataset(torch.randn(64, 8), torch.randint(0, 2, (64,)))
step = 0
for epoch in range(3):
    for X, y in torch.utils.data.DataLoader(data, 16, shuffle=True):
        PLANT
        optimizer.zero_grad(); loss = nn.functional.cross_entropy(model(X), y); loss.backward()
        optimizer.step(); step += 1
print(loss.item())
"""


def asked(monkeypatch: pytest.MonkeyPatch, stream: str, step: int) -> None:
    document = {"stream": stream, "step": step, "until": step + 1}
    monkeypatch.setenv("RELIVE_DRILL", json.dumps(document))


def operations(record: Any, spool: Path, script: str, plant: str = "pass") -> tuple[Process, ...]:
    done = record(script.replace("PLANT", plant))
    assert (done.returncode, done.spool.notes, done.spool.damaged) == (0, (), 0), done.stderr
    return read_operations(spool)


def test_the_steps_around_the_one_that_is_asked_for_are_written(record, spool_folder, monkeypatch):
    asked(monkeypatch, "step:state", 5)
    (process,) = operations(record, spool_folder, STEPS)
    names = [it.name for it in process.operations]
    assert (names, process.end) == ([f"step:state step {n}" for n in (4, 5, 6)], "step")
    assert process.operations[1].at == "script.py:4"
    assert process.operations[1].outputs["loss"] == (5 / 4).hex()


def test_what_makes_the_first_steps_begins_with_the_process(record, spool_folder, monkeypatch):
    asked(monkeypatch, "step:state", 1)
    (process,) = operations(record, spool_folder, STEPS)
    assert [it.name for it in process.operations] == [f"step:state step {n}" for n in (0, 1, 2)]


def test_a_stream_that_never_comes_so_far_leaves_nothing(record, spool_folder, monkeypatch):
    asked(monkeypatch, "step:state", 12)
    assert operations(record, spool_folder, STEPS) == ()


def test_a_drill_that_cannot_be_read_is_noted_and_the_program_runs(record, spool_folder, monkeypatch):
    monkeypatch.setenv("RELIVE_DRILL", "[]")
    done = record(STEPS)
    assert done.returncode == 0
    assert done.spool.notes[0].startswith("RELIVE_DRILL: TypeError")


def test_a_fit_of_scikit_learn_is_told_with_its_line(record, spool_folder, monkeypatch):
    asked(monkeypatch, "fit:LogisticRegression#0", 1)
    one = operations(record, spool_folder, SKLEARN, "1.0")
    found = first_difference(one, operations(record, spool_folder, SKLEARN, "0.5"))
    assert found is not None
    shown = found.shown
    assert (shown.name, shown.at) == ("fit:LogisticRegression#0 step 0", "script.py:6")
    assert found.names == ("param C",)


@pytest.fixture
def torch_operations(record, spool_folder, monkeypatch) -> Any:
    """Give a function that trains with something planted and gives the operations around step 6."""
    require(HAS_TORCH, "PyTorch is not installed (pip install torch)")
    asked(monkeypatch, "weights:Adam#0", 6)
    return lambda plant="pass": operations(record, spool_folder, TORCH, plant)


def test_two_equal_trainings_do_the_same_operations(torch_operations, record, monkeypatch):
    one, other = torch_operations(), torch_operations()
    assert first_difference(one, other) is None
    names = [it.name for it in one[0].operations]
    assert {"aten.addmm.default", "aten.bernoulli_.float", "weights:Adam#0 step 6"} <= set(names)
    assert any(it.node == "AddmmBackward0" for it in one[0].operations), "the backward pass is seen as well"
    assert sum(name.startswith("weights") for name in names) == 3
    drilled = record(TORCH.replace("PLANT", "pass")).stdout
    monkeypatch.delenv("RELIVE_DRILL")
    assert record(TORCH.replace("PLANT", "pass")).stdout == drilled, "looking on changes no bit"


@pytest.mark.parametrize(
    ("plant", "kind", "name"),
    [
        ("if step == 5: torch.rand(1)", Kind.ANOTHER, "aten.rand.default"),
        ("if step == 5: torch.random.manual_seed(9)", Kind.RANDOM, "aten.bernoulli_.float"),
        ("if step == 5: X = X[:8]; y = y[:8]", Kind.ANOTHER, "aten.slice.Tensor"),
        ("if step == 5: ctypes.memset(X.data_ptr(), 0, 4)", Kind.INPUTS, "aten.addmm.default"),
        ("if step == 5: optimizer.param_groups[0]['lr'] = 0.02", Kind.ARGUMENTS, "aten."),
    ],
)
def test_the_operation_in_which_a_plant_acts_first_is_named(torch_operations, plant, kind, name):
    found = first_difference(torch_operations(), torch_operations(plant))
    assert found is not None
    assert found.kind is kind
    assert (found.other or found.shown).name.startswith(name)
    assert found.shown.at.startswith("script.py:")
