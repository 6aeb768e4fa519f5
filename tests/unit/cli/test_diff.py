"""`relive diff` against a hub on a real port."""

import pytest

from relive.core.pipeline import Pipeline
from tests.support.bench import Bench
from tests.unit.cli.conftest import Shell

FILE = """
version: 1
stages:
  train: {cmd: "python train.py", deps: [train.py, data.csv], outs: [model/], metrics: [m.json]}
"""


def trained(bench: Bench, script: str, rows: str, accuracy: float) -> Pipeline:
    """Push and finish a training."""
    pipeline = bench.start({"relive.yaml": FILE, "train.py": script, "data.csv": rows})
    bench.finish(bench.stages(pipeline)["train"], outs={"model/m": script.encode()}, accuracy=accuracy)
    return bench.again(pipeline)


@pytest.fixture
def runs(bench: Bench) -> tuple[str, str]:
    """Two runs: one line of code and one row of data apart."""
    first = trained(bench, "a = 1\nb = 2\n", "1,2\n", 0.5)
    second = trained(bench, "a = 1\nb = 3\n", "1,3\n", 0.75)
    one, other = (bench.stages(pipeline)["train"].run_id for pipeline in (first, second))
    return one, other


def test_what_differs_is_told_with_the_metrics(relive: Shell, runs: tuple[str, str]) -> None:
    said = relive("diff", runs[0][:8], runs[1][:8])
    assert said.lines[:2] == [f"before     {runs[0][:8]}", f"after      {runs[1][:8]}"]
    assert said.lines[3].split() == ["accuracy", "0.5", "0.75", "+0.25"]
    assert "code  2 differences" in said.lines
    (line,) = [line for line in said.lines if line.startswith("  train.py: ")]
    assert " → " in line


def test_as_json_every_value_is_whole(relive: Shell, runs: tuple[str, str]) -> None:
    found = relive("diff", *runs, "--json").json
    assert (found["before"], found["after"], found["same_inputs"]) == (*runs, False)
    assert found["metrics"] == [{"key": "accuracy", "before": 0.5, "after": 0.75}]
    code = [it for it in found["inputs"] if it["group"] == "code"]
    assert [it["name"] for it in code] == ["data.csv", "train.py"]
    assert all(it["before"].startswith("blake3:") for it in code)


def test_groups_narrow_it_down(relive: Shell, runs: tuple[str, str]) -> None:
    found = relive("diff", *runs, "--group", "packages", "--group", "hardware", "--json").json
    assert found["inputs"] == []
    assert (
        "Nothing differs: no input of these groups differs." in relive("diff", *runs, "--group", "reads").out
    )
    assert "'nonsense' is not one of" in relive("diff", *runs, "--group", "nonsense", code=2).err


def test_the_code_is_shown_line_by_line(relive: Shell, runs: tuple[str, str]) -> None:
    lines = relive("diff", *runs, "--code").lines
    assert lines[:3] == ["--- a/data.csv", "+++ b/data.csv", "@@ -1 +1 @@"]
    assert lines[-4:] == ["@@ -1,2 +1,2 @@", " a = 1", "-b = 2", "+b = 3"]


def test_a_binary_file_is_only_named(relive: Shell, bench: Bench) -> None:
    first = trained(bench, "a\n", "1\n", 0.5)
    (bench.work / "data.csv").write_bytes(b"\xff\xfe")
    pipeline = bench.start({"train.py": "a\n"})
    bench.finish(bench.stages(pipeline)["train"], accuracy=0.5)
    one, other = (bench.stages(it)["train"].run_id for it in (first, pipeline))
    assert relive("diff", one, other, "--code").lines == ["a/data.csv and b/data.csv differ"]


def test_a_run_does_not_differ_from_itself(relive: Shell, runs: tuple[str, str]) -> None:
    said = relive("diff", runs[0], runs[0])
    assert "Every metric is equal." in said.out
    assert said.lines[-1] == "Nothing differs: declared inputs are equal."


def test_a_run_without_a_recipe_says_so(relive: Shell, bench: Bench, runs: tuple[str, str]) -> None:
    running = bench.by_hand().run_id
    said = relive("diff", runs[0], running, code=1)
    assert "recipe of run" in said.err
    assert "a recipe is closed when its run ends" in said.err
    assert relive("diff", runs[0], "f" * 32, code=1).err
