"""`relive replay` as typed: runs of a real command are made again from their recipes, and judged."""

import json
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from relive.cli import replay_pool
from relive.cli.replay import lines_of_inputs
from relive.core.access import Scope
from relive.core.determinism import Determinism, switches
from relive.core.job import JobKind
from relive.formats.locks import read_lock
from relive.replay import job as replaying
from relive.runner.order import Order
from relive.services.accounts import create_job_token
from tests.support.bench import Bench
from tests.support.live import LiveHub
from tests.support.wheels import make_wheel
from tests.unit.cli.conftest import Shell

# Its outcome can be moved from outside the recipe, which is how these tests plant what a replay has to find.
TRAIN = """\
import json, os, sys, time
import relive

def read(name, default):
    try:
        with open(os.path.join({beside!r}, name)) as file:
            return float(file.read())
    except FileNotFoundError:
        return default

if read("crash", 0):
    sys.exit("planted")
weight = 1.0
for step in range(int(read("length", 12))):
    weight = weight * 0.5 + (read("push", 0.0) if step == 7 else 0.0)
    relive.step({{"weight": [weight]}}, loss=weight)
    time.sleep(read("pause", 0.0))
with open("metrics.json", "w") as file:
    chance = time.time_ns() % 9973 / 1e6 if "chance" in sys.argv else 0.0
    json.dump({{"accuracy": 0.5 + read("noise", 0.0) + chance}}, file)
"""


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    """Give the folder out of which the script is moved."""
    folder = tmp_path / "beside"
    folder.mkdir()
    return folder


@pytest.fixture
def run_id(relive: Shell, beside: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make a run that can be replayed."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    Path("train.py").write_text(TRAIN.format(beside=str(beside)))
    Path("requirements.txt").write_text("")
    subprocess.run(["git", "init", "-q"], check=True)
    return recorded(relive)


def recorded(relive: Shell, *arguments: str) -> str:
    command = ("--env", "requirements.txt", "--metrics", "metrics.json", "--", "python", "train.py")
    run = relive("run", "--json", "--project", "demo", *command, *arguments).json
    Path("metrics.json").unlink()  # else it lies there as a file of the next run's code
    return str(run["run_id"])


def plant(beside: Path, **values: float) -> None:
    for name, value in values.items():
        (beside / name).write_text(str(value))


def replayed(relive: Shell, run_id: str, *options: str, code: int | None = 0) -> Any:
    return relive("replay", run_id, "--json", *options, code=code).json


def test_a_run_is_made_again_and_the_verdict_is_kept(relive: Shell, run_id: str) -> None:
    verdict = replayed(relive, run_id)
    assert (verdict["level"], verdict["steps_compared"]) == ("bit_exact", 12)
    assert (verdict["by"], verdict["equal_inputs"]) == ("ada", True)
    assert "cores" in verdict["machine"]
    shown = relive("show", run_id)
    assert "≡ bit-exact" in shown.out
    assert "by ada" in shown.out


def test_the_first_step_that_differs_is_named_with_the_last_one_that_did_not(
    relive: Shell, run_id: str, beside: Path
) -> None:
    plant(beside, push=0.25)
    verdict = replayed(relive, run_id, code=0)
    assert verdict["level"] == "within_tolerance"
    assert verdict["first_divergence"]["step"] == 7
    assert verdict["last_equal"]["step"] in (6, 7)


def test_it_can_end_at_the_first_step_that_differs(relive: Shell, run_id: str, beside: Path) -> None:
    plant(beside, push=0.25, length=2000, pause=0.05)
    verdict = replayed(relive, run_id, "--until-divergence", code=3)
    assert verdict["level"] == "diverged"
    assert (verdict["first_divergence"]["step"], verdict["metrics"]) == (7, [])
    assert "ended there" in verdict["reason"]


def test_only_the_asked_steps_are_judged(relive: Shell, run_id: str, beside: Path) -> None:
    plant(beside, push=0.25, pause=0.05, length=2000)
    verdict = replayed(relive, run_id, "--steps", "0..5")
    assert (verdict["level"], verdict["window"]) == ("bit_exact", {"first": 0, "last": 5})
    assert "steps 0 to 5, and nothing else" in verdict["reason"]
    assert replayed(relive, run_id, "--steps", "6..9", code=3)["first_divergence"]["step"] == 7
    # What was said of a few steps does not stand for the run.
    assert "bit-exact" not in relive("show", run_id).out


def test_a_replay_that_crashes_is_unresolved_and_never_different(
    relive: Shell, run_id: str, beside: Path
) -> None:
    plant(beside, crash=1)
    verdict = replayed(relive, run_id, code=1)
    assert verdict["level"] == "unresolved"
    assert "planted" in verdict["reason"]
    assert replayed(relive, run_id, "--until-divergence", code=1)["level"] == "unresolved"
    assert replayed(relive, run_id, "--steps", "0..3", code=1)["level"] == "unresolved"


def test_a_tolerance_can_be_asked_for(relive: Shell, run_id: str, beside: Path) -> None:
    plant(beside, noise=0.015)
    assert replayed(relive, run_id)["level"] == "within_tolerance"
    strict = replayed(relive, run_id, "--tolerance", "accuracy=1%", code=3)
    assert strict["level"] == "diverged"
    assert strict["metrics"][0]["basis"] == "as asked"
    said = relive("replay", run_id, "--tolerance", "acc=1%", code=2)
    assert "accuracy" in said.err


def test_the_noise_of_repeats_and_earlier_replays_is_the_limit(relive: Shell, run_id: str) -> None:
    first = recorded(relive, "chance")
    recorded(relive, "chance")  # nobody called it a replay, but its recipe is the same
    assert replayed(relive, first, code=None)["metrics"][0]["basis"] == "a few points"
    (metric,) = replayed(relive, first, code=None)["metrics"]
    assert metric["basis"].startswith("noise of 3 runs with equal inputs: mean 0.50")
    assert (metric["noise"]["n"], metric["relative"]) == (3, False)
    assert 0 < metric["limit"] == pytest.approx(9.925 * metric["noise"]["sd"] * 2**0.5)


def test_a_replay_with_other_inputs_tells_nothing_about_noise(
    relive: Shell, run_id: str, beside: Path
) -> None:
    plant(beside, noise=0.001)
    for _ in range(3):
        verdict = replayed(relive, run_id)
        assert (verdict["equal_inputs"], verdict["metrics"][0]["basis"]) == (False, "a few points")


def test_where_nothing_ever_differed_the_usual_points_hold_and_it_is_said(relive: Shell, run_id: str) -> None:
    for _ in range(2):
        assert replayed(relive, run_id)["level"] == "bit_exact"
    (metric,) = replayed(relive, run_id)["metrics"]
    assert (metric["basis"], metric["noise"]) == ("a few points", {"n": 3, "mean": 0.5, "sd": 0.0})


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--steps", "5..2"), "A..B"),
        (("--steps", "x"), "A..B"),
        (("--steps", "100..200"), "0..11"),
        (("--steps", "-1..2"), "A..B"),
        (("--steps", f"0..{'9' * 5000}"), "A..B"),
        (("--steps", "٠..٣"), "A..B"),
        (("--schedule", "7d", "--until-divergence"), "whole and as recorded"),
        (("--schedule", "7d", "--tolerance", "accuracy=1"), "whole and as recorded"),
        (("--tolerance", "nothing=1"), "accuracy"),
        (("--substitute", "some other"), "PACKAGE==VERSION"),
        (("--tolerance", "accuracy"), "METRIC=0.01"),
        (("--tolerance", "accuracy=-1"), "METRIC=0.01"),
        (("--tolerance", "accuracy=nan%"), "METRIC=0.01"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    relive: Shell, run_id: str, options: tuple[str, ...], told: str
) -> None:
    refused = relive("replay", run_id, *options, code=2)
    assert (told in refused.err, refused.out) == (True, "")
    as_json = json.loads(relive("replay", run_id, "--json", *options, code=2).err)
    assert told in as_json["message"]
    assert as_json["error"] in ("invalid_input", "usage")
    assert len(relive("runs", "--json").json) == 1, "nothing was started"


def test_a_window_far_beyond_the_record_is_kept_with_its_verdict(relive: Shell, run_id: str) -> None:
    verdict = replayed(relive, run_id, "--steps", f"3..{10**15 - 1}")
    assert (verdict["level"], verdict["steps_compared"]) == ("bit_exact", 9)
    assert relive("show", run_id, "--json").json["detail"]["verdicts"][0]["window"]["last"] == 10**15 - 1


@pytest.mark.parametrize("target", ["", "@", "digits@", "@champion"])
def test_a_target_with_an_empty_part_is_said_to_be_none(relive: Shell, target: str) -> None:
    assert "NAME@ALIAS" in relive("replay", target, code=2).err
    assert json.loads(relive("replay", target, "--json", code=2).err)["facts"]["field"] == "target"


def test_a_run_that_is_not_there_or_not_finished_is_not_replayed(
    relive: Shell, run_id: str, bench: Bench
) -> None:
    assert json.loads(relive("replay", "0" * 32, "--json", code=1).err)["error"] == "not_found"
    assert json.loads(relive("replay", "nobody@champion", "--json", code=1).err)["error"] == "not_found"
    running = bench.by_hand().run_id
    refused = json.loads(relive("replay", running, "--json", code=1).err)
    assert refused["error"] == "cannot_replay"
    assert "only finished runs" in refused["message"]
    assert bench.services.store.list_verdicts(run_id) == []


def test_a_metric_that_is_no_number_any_more_is_told_as_json(
    relive: Shell, run_id: str, beside: Path
) -> None:
    plant(beside, noise=float("nan"))
    (metric,) = replayed(relive, run_id, code=3)["metrics"]
    assert (metric["ok"], metric["recorded"], metric["difference"]) == (False, 0.5, None)
    said = relive("replay", run_id, code=3).out
    assert "≠ diverged" in said
    assert "of files that were of no commit" in said


def test_a_wheel_that_is_lost_is_said_before_the_start_and_another_can_be_accepted(
    relive: Shell, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = tmp_path / "index"
    for version in ("1.0", "2.0"):
        make_wheel(index, "thing", version)
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    Path("requirements.txt").write_text("thing==1.0\n")
    Path("train.py").write_text("import json, thing; json.dump({'v': 1}, open('metrics.json', 'w'))")
    subprocess.run(["git", "init", "-q"], check=True)
    run_id = recorded(relive)
    (index / "thing-1.0-py3-none-any.whl").unlink()
    assert replayed(relive, run_id)["level"] == "bit_exact"  # no index is asked
    lose_wheels(bench, tmp_path, relive("show", run_id, "--json").json)
    before = len(relive("runs", "--json").json)
    refused = relive("replay", run_id, code=1)
    assert "thing-1.0-py3-none-any.whl" in refused.err
    assert "--substitute thing==1.0" in refused.err
    assert len(relive("runs", "--json").json) == before, "nothing was started"
    verdict = replayed(relive, run_id, "--substitute", "thing==2.0")
    assert (verdict["level"], verdict["substitutes"]) == ("bit_exact", ["thing==2.0"])
    assert any(it.startswith("thing: 1.0 ") and "→ 2.0 " in it for it in verdict["inputs_differ"])
    assert "accepted: thing==2.0" in relive("show", run_id).out


def lose_wheels(bench: Bench, tmp_path: Path, shown: Any) -> None:
    """Have nobody keep the wheels of a run any more."""
    lock = read_lock(bench.services.blobs.read(shown["recipe"]["declared"]["environment"]))
    for package in lock.packages:
        bench.services.blobs.delete(package.blob)
    shutil.rmtree(tmp_path / "cache")


def test_a_pool_replays_as_this_machine_does(
    relive: Shell, run_id: str, bench: Bench, live: LiveHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work_it(store: Any) -> None:
        job = store.claim("test", pools=("local",), kinds=(JobKind.REPLAY,), lease_s=60)
        token = create_job_token(bench.services, job, Scope.RUNNER)
        assert replaying._work(Order(hub=live.url, job=job.id, fence=job.fence, token=token)) == 0

    waiting = SimpleNamespace(sleep=lambda _: work_it(bench.services.store))
    monkeypatch.setattr(replay_pool, "time", waiting)
    said = relive("replay", run_id, "--pool", "local")
    assert "≡ bit-exact" in said.out
    assert "is placed on pool local" in said.err
    (verdict,) = relive("show", run_id, "--json").json["detail"]["verdicts"]
    assert (verdict["by"], verdict["steps_compared"]) == ("ada", 12)
    copy = relive("show", verdict["replay_run_id"], "--json").json["detail"]["run"]
    assert (copy["status"], copy["replay_of"], copy["exit_code"]) == ("finished", run_id, 0)
    refused = relive("replay", run_id, "--pool", "none", code=1)
    assert "none" in refused.err
    assert relive("replay", run_id, "--pool", "local", "--steps", "0..3", code=2).err


def test_a_project_is_told_how_often_its_champions_are_replayed(relive: Shell, run_id: str) -> None:
    assert "every 7d on pool local" in relive("replay", "demo", "--schedule", "7d").out
    assert relive("replay", "demo", "--schedule", "12h", "--json").json["every_s"] == 43200
    assert "not made again" in relive("replay", "demo", "--schedule", "off").out
    for never_meant in ("often", "0d", "-1d", "7", "1.5d", "9" * 400 + "d", ""):
        assert "12h, 7d" in relive("replay", "demo", "--schedule", never_meant, code=2).err
    assert relive("replay", "nobody", "--schedule", "7d", code=1).err


def test_what_a_portable_run_was_pinned_to_is_part_of_its_recipe_and_of_a_replay(
    relive: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in switches(Determinism.PORTABLE):
        monkeypatch.delenv(name, raising=False)
    script = (
        "import json, os; json.dump({'pinned': os.environ['MKL_CBWR'] == 'AVX2,STRICT'}, open('m.json', 'w'))"
    )
    Path("train.py").write_text(script)
    Path("requirements.txt").write_text("")
    subprocess.run(["git", "init", "-q"], check=True)
    options = ("--determinism", "portable", "--env", "requirements.txt", "--metrics", "m.json")
    run = relive("run", "--json", "--project", "demo", *options, "--", "python", "train.py").json
    shown = relive("show", run["run_id"], "--json").json
    assert shown["recipe"]["declared"]["env"].items() >= switches(Determinism.PORTABLE).items()
    assert [it["last"] for it in shown["detail"]["metrics"]] == [1.0]
    assert replayed(relive, run["run_id"])["level"] == "bit_exact"


def test_the_libraries_of_another_package_do_not_hide_what_else_differs() -> None:
    libraries = [f"_part{n}.cpython-311-x86_64-linux-gnu.so: {n} → {n + 1}" for n in range(50)]
    packages = ["numpy: 1.0 → 2.0", "PYTHONHASHSEED: 0 → 1"]
    assert lines_of_inputs([packages[0], *libraries, packages[1]]) == [
        "input differs: numpy: 1.0 → 2.0",
        "input differs: PYTHONHASHSEED: 0 → 1",
        f"inputs differ: 50 loaded libraries, the first is {libraries[0]}",
    ]
    assert lines_of_inputs(["libm.so.6: a → b"]) == ["input differs: libm.so.6: a → b"]
    assert lines_of_inputs([f"p{n}: 1 → 2" for n in range(23)])[-2:] == [
        "input differs: p19: 1 → 2",
        "and 3 more, which --json names",
    ]
