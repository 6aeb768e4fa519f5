"""`relive replay --drill` as typed: what differs in one step of two runs is planted, and has to be named."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Shell

# It can be moved from outside the recipe, and by its arguments.
TRAIN = """\
import os, sys, time
import relive

def read(name):
    try:
        with open(os.path.join({beside!r}, name)) as file:
            return float(file.read())
    except FileNotFoundError:
        return 0.0

rate = float(sys.argv[1])
weights = [1.0]
for step in range(40):
    if read("crash") and step == 3:
        sys.exit("planted")
    chance = time.time_ns() % 997 if read("chance") and step >= 6 else 0.0
    loss = weights[0] + chance
    weights = [weights[0] * (rate if step >= 7 else 0.5) + read("push")]
    relive.step({{"weights": weights}}, loss=loss)
    time.sleep(read("pause"))
"""


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    """Give the folder out of which the script is moved."""
    folder = tmp_path / "beside"
    folder.mkdir()
    return folder


@pytest.fixture
def run_id(relive: Shell, beside: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make a run to look into."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    Path("train.py").write_text(TRAIN.format(beside=str(beside)))
    Path("requirements.txt").write_text("")
    subprocess.run(["git", "init", "-q"], check=True)
    return recorded(relive, "0.5")


def recorded(relive: Shell, rate: str) -> str:
    command = ("--env", "requirements.txt", "--", "python", "train.py", rate)
    return str(relive("run", "--json", "--project", "demo", *command).json["run_id"])


def drilled(relive: Shell, run_id: str, *options: str, code: int = 0) -> Any:
    return relive("replay", run_id, "--json", *options, code=code).json


def test_two_equal_sides_agree_and_are_ended_behind_the_step(
    relive: Shell, run_id: str, beside: Path
) -> None:
    (beside / "pause").write_text("0.1")
    found = drilled(relive, run_id, "--drill", "5")
    assert (found["clock"], found["first"]) == ({"stream": "step:state", "step": 5, "until": 6}, None)
    assert [(side["operations"], side["is_whole"], side["parts"]) for side in found["sides"]] == [
        (3, True, None),
        (3, True, None),
    ]
    ended = relive("show", found["sides"][1]["run_id"], "--json").json["detail"]["run"]
    assert (ended["status"], ended["name"].partition(" of ")[0]) == ("killed", "drill"), "not run to its end"
    said = relive("replay", run_id, "--drill", "step:state@5")
    assert "both agree in every operation, and with the record" in said.out


def test_what_another_run_does_otherwise_is_named_with_its_line(relive: Shell, run_id: str) -> None:
    other = recorded(relive, "0.25")
    found = drilled(relive, run_id, "--drill", "7", "--against", other, code=3)
    first = found["first"]
    assert (first["one"]["op"], first["one"]["at"]) == ("step:state step 7", "train.py:19")
    assert first["names"] == ["weights.0"], "the loss of this step was still the same"
    assert (first["index"], found["earlier"]) == (1, None)
    said = relive("replay", run_id, "--drill", "7", "--against", other, code=3)
    assert "first in operation 1: step:state step 7 (train.py:19)" in said.out
    assert "differs: weights.0" in said.out


def test_what_differs_from_an_earlier_step_on_is_sent_there(relive: Shell, run_id: str) -> None:
    other = recorded(relive, "0.25")
    found = drilled(relive, run_id, "--drill", "12", "--against", other, code=3)
    assert found["first"]["index"] == 0
    # Weights are digested now and then only; the loss of the next step tells in any case.
    assert found["earlier"]["stream"] == "step:state"
    assert found["earlier"]["step"] in (7, 8)
    said = relive("replay", run_id, "--drill", "12", "--against", other, code=3)
    assert "the two part before this step: look there with --drill step:state@" in said.out


def test_chance_within_the_step_is_found_between_two_copies(relive: Shell, run_id: str, beside: Path) -> None:
    (beside / "chance").write_text("1")
    found = drilled(relive, run_id, "--drill", "6", code=3)
    assert (found["first"]["one"]["op"], found["first"]["names"]) == ("step:state step 6", ["loss"])


def test_two_that_agree_with_each_other_only_are_said_to_part_from_the_record(
    relive: Shell, run_id: str, beside: Path
) -> None:
    (beside / "push").write_text("0.5")
    found = drilled(relive, run_id, "--drill", "4")
    assert found["first"] is None
    assert [side["parts"]["step"] for side in found["sides"]] == [0, 0]
    assert "part from the record together" in " ".join(relive("replay", run_id, "--drill", "4").out.split())


def test_a_side_that_fails_is_no_difference(relive: Shell, run_id: str, beside: Path) -> None:
    (beside / "crash").write_text("1")
    found = drilled(relive, run_id, "--drill", "9", code=1)
    assert len(found["sides"]) == 1, "there is nothing to lay beside it"
    assert found["sides"][0]["failure"]
    assert found["first"] is None
    assert "drill" in relive("replay", run_id, "--drill", "9", code=1).err


@pytest.mark.parametrize("asked", ["40", "x", "loss@3", "step:state@", "-1", "9" * 20])
def test_a_step_that_was_not_recorded_is_refused_before_the_start(
    relive: Shell, run_id: str, asked: str
) -> None:
    said = relive("replay", run_id, f"--drill={asked}", code=2)
    assert "step:state 0..39" in said.err


@pytest.mark.parametrize(
    "options",
    [
        ("--drill", "1", "--steps", "0..1"),
        ("--drill", "1", "--pool", "local"),
        ("--drill", "1", "--tolerance", "loss=1"),
        ("--against", "abc"),
        ("--steps", "0..1", "--tolerance", "loss=1"),
    ],
)
def test_what_does_not_go_together_is_refused(relive: Shell, options: tuple[str, ...]) -> None:
    assert "Usage" in relive("replay", "abc", *options, code=2).err
