"""`relive why` against a real hub: planted causes are named and proven, and no run is made twice."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.hub import RealHub, running_hub, wait_for
from tests.support.planted import Project

# A script that reads eight params and adds up those that matter.
SUM = """
import json
p = json.load(open("params.json"))
assert p["b"] == 0 or p["g"] == 1, "b needs g"
json.dump({"sum": p["c"] + 2 * p["f"] + 4 * p["d"] * p["h"]}, open("m.json", "w"))
"""
NOISY = """
import json, os
p = json.load(open("params.json"))
json.dump({"score": p["c"] + int.from_bytes(os.urandom(2)) / 1e7}, open("m.json", "w"))
"""
# c and f act from the first step, d only behind step 40.
SLOW = """
import json, time
import relive
p = json.load(open("params.json"))
w = 0.0
for step in range(60):
    w += 0.1 * (1 + p["c"]) + 0.01 * p["f"] + (p["d"] if step > 40 else 0)
    relive.step({"w": [w]}, stream="net")
    time.sleep(0.1)
json.dump({"w": w}, open("m.json", "w"))
"""
KEYS = "abcdefgh"
CODE = """
import json
import textwrap

RATE = 0.5
ROUNDS = 3
TITLE = "first"


def scale(x):
    return x * RATE


def shown(total):
    return textwrap.shorten(f"{TITLE}: {total}", 40)


total = 0.0
for step in range(ROUNDS):
    total += scale(step + 1)
print(shown(total))
json.dump({"sum": total}, open("m.json", "w"))
"""
# Changed in seven places, of which the second alone acts; two need each other.
CHANGED = (
    ("import textwrap", "import textwrap, math"),
    ("RATE = 0.5", "RATE = 0.75"),
    ('TITLE = "first"', 'TITLE = "second"'),
    ("return x * RATE", "return RATE * x"),
    ('total}", 40', 'total}", 50'),
    ("total = 0.0", "total = 0.0  # a float"),
    ("print(shown(total))", "print(shown(math.floor(total)))"),
)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHub]:
    """A hub whose environments are made of the test's own wheels."""
    wheels = tmp_path_factory.mktemp("wheels")
    offline: Any = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
    with running_hub(tmp_path_factory.mktemp("home"), **offline) as running:
        yield running


def recorded(hub: RealHub, folder: Path, project: str, *command: str) -> str:
    """Record a run; give its id."""
    done = hub.relive("run", "--project", project, "--json", *command, folder=folder)
    return str(json.loads(done.stdout)["run_id"])


def two_runs(hub: RealHub, folder: Path, project: str, script: str = SUM) -> tuple[str, str]:
    """Record a script with all params 0, and with all of them 1."""
    folder.mkdir()
    (folder / "train.py").write_text(script)
    (folder / "requirements.txt").write_text("")
    found = []
    for value in (0, 1):
        (folder / "params.json").write_text(json.dumps(dict.fromkeys(KEYS, value)))
        command = ("--env", "requirements.txt", "--metrics", "m.json", "--", "python", "train.py")
        found.append(recorded(hub, folder, project, *command))
    return found[0], found[1]


def why(hub: RealHub, *args: str, code: int = 0) -> Any:
    """Ask, and give the report."""
    done = hub.relive("why", *args, "--json", check=False)
    assert done.returncode == code, done.stderr
    said = json.loads(done.stdout)
    return said.get("report", said)


def runs_of(hub: RealHub, project: str) -> int:
    """Count the variants that the hub keeps."""
    kept = hub.client().list_runs(project=project, filter="attributes.kind = 'replay'", limit=200)
    return len(kept)


def made(report: Any, phase: str) -> int:
    return sum(it["phase"] == phase and not it["reused"] for it in report["tried"])


def took_s(hub: RealHub, run_id: str) -> float:
    usage = hub.client().get_run(run_id).run.usage
    assert usage is not None
    return usage.wall_s


def names(report: Any, what: str = "causes") -> list[str]:
    return [it["name"] for it in report[what]]


@pytest.fixture(scope="module")
def planted(hub: RealHub, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Two runs that differ in data, params, packages, code and command; three of these matter."""
    folder = tmp_path_factory.mktemp("planted")
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    project = Project(folder, Path(hub.variables["PIP_FIND_LINKS"]))
    first = recorded(hub, folder, "planted", *project.before())
    return first, recorded(hub, folder, "planted", *project.after())


def test_a_dry_run_says_what_would_be_tried(hub: RealHub, planted: tuple[str, str]) -> None:
    said = why(hub, *planted, "--dry-run")
    cleared = {it["name"]: it["cleared"] for it in said["facts"] if it["cleared"]}
    assert cleared == {
        "train.py": "same syntax tree",
        "requirements.txt": "relive reads it, not the command",
        "tools": "neither run imported it",
    }
    tried = [it["name"] for it in said["facts"] if not it["cleared"]]
    assert tried[:2] == ["data/extra.csv", "data/train.csv"]
    assert tried[2:6] == ["--verbose", "params.json:lr", "params.json:seed", "params.json:title"]
    assert tried[6:] == ["coefs", "padding", "features.py:1-5", "notes.md"]
    assert runs_of(hub, "planted") == 0


def test_names_the_planted_causes_and_shares_the_effect_out(hub: RealHub, planted: tuple[str, str]) -> None:
    report = why(hub, *planted)
    assert report["status"] == "found"
    assert names(report) == ["data/train.csv", "params.json:lr", "coefs"]
    assert [(it["before"], it["after"]) for it in report["causes"][1:]] == [("0.1", "0.07"), ("1.0", "2.0")]
    assert {it["without"] for it in report["causes"]} == {"otherwise"}
    assert "notes.md" in names(report, "cleared")
    assert made(report, "reproduction") == 2
    assert made(report, "search") <= 12
    assert made(report, "shares") <= 3
    for metric in report["metrics"]:
        parts = sum(it["shares"][metric["key"]] for it in report["causes"])
        assert parts == pytest.approx(metric["after"] - metric["before"])
    _runs_nothing_twice(hub, planted, report)


def _runs_nothing_twice(hub: RealHub, planted: tuple[str, str], first: Any) -> None:
    before = runs_of(hub, "planted")
    again = why(hub, *planted)
    assert names(again) == names(first)
    assert all(it["reused"] for it in again["tried"])
    # Another question about the same two: most of its answers are known.
    metric = why(hub, *planted, "--metric", "error")
    assert names(metric) == names(first)
    assert runs_of(hub, "planted") == before + sum(not it["reused"] for it in metric["tried"])


def test_finds_what_acts_only_together_and_takes_no_crash_for_a_difference(
    hub: RealHub, tmp_path: Path
) -> None:
    pair = two_runs(hub, tmp_path / "p", "together")
    report = why(hub, *pair)
    # b fails without g, and neither matters; d acts only with h.
    assert names(report) == ["params.json:c", "params.json:d", "params.json:f", "params.json:h"]
    parts = {it["name"][-1]: it["shares"]["sum"] for it in report["causes"]}
    assert parts == pytest.approx({"c": 1.0, "f": 2.0, "d": 2.0, "h": 2.0})
    failed = [it for it in report["tried"] if it["outcome"] == "failed"]
    assert all("b needs g" in it["reason"] for it in failed)


def test_names_the_lines_of_the_code_that_act(hub: RealHub, tmp_path: Path) -> None:
    after = CODE
    for old, new in CHANGED:
        assert old in after
        after = after.replace(old, new)
    (tmp_path / "requirements.txt").write_text("")
    runs = []
    for script in (CODE, after):
        (tmp_path / "train.py").write_text(script)
        command = ("--env", "requirements.txt", "--metrics", "m.json", "--", "python", "train.py")
        runs.append(recorded(hub, tmp_path, "lines", *command))
    report = why(hub, *runs)
    assert names(report) == ["train.py:5"]
    (cause,) = report["causes"]
    assert (cause["before"], cause["after"]) == ("RATE = 0.5", "RATE = 0.75")
    assert names(report, "cleared") == ["train.py:18"]
    assert made(report, "search") <= 5
    assert all(it["outcome"] != "failed" for it in report["tried"])


def test_stops_at_the_most_runs_and_goes_on_from_there(hub: RealHub, tmp_path: Path) -> None:
    pair = two_runs(hub, tmp_path / "p", "bounded")
    stopped = why(hub, *pair, "--max-runs", "5", code=1)
    assert stopped["status"] == "stopped"
    assert stopped["suspects"]
    assert runs_of(hub, "bounded") == 5
    report = why(hub, *pair, "--parallel", "2")
    assert report["status"] == "found"
    assert sum(it["reused"] for it in report["tried"]) >= 3
    distinct = {tuple(it["names"]) for it in (*stopped["tried"], *report["tried"])}
    assert runs_of(hub, "bounded") == len(distinct)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_goes_on_after_it_was_ended_in_the_middle(
    hub: RealHub, tmp_path: Path, number: signal.Signals
) -> None:
    project = f"ended-{number.name.lower()}"
    pair = two_runs(hub, tmp_path / "p", project)
    asked = subprocess.Popen(
        [sys.executable, "-m", "relive.cli", "why", *pair, "--parallel", "1"],
        env=hub.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: runs_of(hub, project) == 5)
    asked.send_signal(number)
    out, _ = asked.communicate(timeout=60)
    if number is signal.SIGINT:
        assert asked.returncode == 1
        assert out.startswith("stopped")
    report = why(hub, *pair)
    assert report["status"] == "found"
    assert sum(it["reused"] for it in report["tried"]) == 4
    # Only the run that was in the middle is made again.
    assert runs_of(hub, project) == len(report["tried"]) + 1


def test_repeats_tell_the_noise_of_what_does_not_reproduce_itself(hub: RealHub, tmp_path: Path) -> None:
    report = why(hub, *two_runs(hub, tmp_path / "p", "noisy", NOISY))
    assert (report["status"], names(report)) == ("found", ["params.json:c"])
    (metric,) = report["metrics"]
    assert 0 < metric["noise"] < 0.1
    assert any("bit by bit" in note for note in report["notes"])
    quiet = why(hub, *two_runs(hub, tmp_path / "q", "quiet", NOISY.replace('p["c"]', "0")))
    assert (quiet["status"], quiet["causes"]) == ("within_noise", [])


def test_runs_end_where_the_two_part_and_whole_ones_prove_it(hub: RealHub, tmp_path: Path) -> None:
    report = why(hub, *two_runs(hub, tmp_path / "p", "slow", SLOW), "--parallel", "4", "--ahead")
    # A beginning does not show what acts late: whole runs find it from there.
    assert names(report) == ["params.json:c", "params.json:d", "params.json:f"]
    assert "1 final state" in report["compared"] or "1 metric" in report["compared"]
    early = [it for it in report["tried"] if it["until"] is not None]
    assert len(early) >= 3
    assert {it["until"] for it in early} == {0}
    longest = max(took_s(hub, it["run_id"]) for it in early)
    shortest = min(took_s(hub, it["run_id"]) for it in report["tried"] if it["metrics"])
    assert longest < shortest
    proof = [it for it in report["tried"] if it["names"] == names(report)]
    assert [it["until"] for it in proof] == [None]


def test_the_answer_is_kept_as_a_run(hub: RealHub, tmp_path: Path) -> None:
    pair = two_runs(hub, tmp_path / "p", "kept", SUM.replace("2 * p", "0 * p"))
    done = hub.relive("why", *pair)
    assert "params.json:c" in done.stdout
    client = hub.client()
    (kept,) = client.list_runs(project="kept", filter=f"tags.`relive.why.after` = '{pair[1]}'")
    assert done.stdout.rstrip().endswith(f"/r/{kept.id}")
    detail = client.get_run(kept.id)
    assert {it.key: it.last for it in detail.metrics}["causes"] == 3
    assert [it.path for it in detail.artifacts] == ["why.json"]


def test_equal_runs_have_nothing_to_explain(hub: RealHub, tmp_path: Path) -> None:
    pair = two_runs(hub, tmp_path / "p", "equal", SUM.replace("p[", "0 * p["))
    report = why(hub, *pair)
    assert (report["status"], report["reason"]) == (
        "no_difference",
        "Both came out the same here: 1 metric.",
    )
    alone = why(hub, pair[0], pair[0], code=1)
    assert (alone["status"], alone["reason"]) == ("unexplained", "No input differs that can be exchanged.")
