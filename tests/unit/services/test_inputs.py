"""Which bytes a stage gets: deps that several stages write, folders that the commit shares with them."""

from relive.core.pipeline import StageStatus
from tests.unit.services.conftest import Bench

SEVERAL = """
version: 1
stages:
  left: {cmd: "left", deps: [left.py], outs: [data/left.csv]}
  right: {cmd: "right", deps: [right.py], outs: [data/right.csv]}
  train: {cmd: "train", deps: [data/], outs: [model/]}
"""
MATRIX = """
version: 1
stages:
  train:
    matrix: {seed: [1, 2]}
    cmd: python train.py ${{ matrix.seed }}
    deps: [train.py]
    outs: [model/]
    metrics: [m.json]
  pick: {needs: [train], select: {from: train, metric: accuracy, mode: max}}
  report: {needs: [pick], cmd: cat model/m}
"""
GATED = """
version: 1
stages:
  train: {cmd: "train", deps: [train.py], outs: [model/], metrics: [m.json], gates: [{metric: a, min: 0.5}]}
  after: {needs: [train], cmd: "after"}
"""


def test_a_folder_gathers_what_the_commit_and_every_stage_put_there(bench: Bench) -> None:
    files = {"relive.yaml": SEVERAL, "left.py": "", "right.py": "", "data/fixed.csv": "1"}
    pipeline = bench.push(files)
    bench.tick()
    bench.resolve_environment(pipeline)
    bench.finish(bench.stages(pipeline)["left"], outs={"data/left.csv": b"l"})
    assert bench.stages(pipeline)["train"].status is StageStatus.WAITING
    bench.finish(bench.stages(pipeline)["right"], outs={"data/right.csv": b"r"})
    train = bench.stages(pipeline)["train"]
    _, work = bench.running(train)
    (data,) = work.deps
    manifest = bench.manifest(data.manifest)
    assert [entry.path for entry in manifest.entries] == ["data/fixed.csv", "data/left.csv", "data/right.csv"]
    assert data.origin == "stage:left+stage:right"
    made_by = {item.source_run_id for item in bench.services.store.list_inputs(train.run_id)}
    assert made_by == {bench.stages(pipeline)[key].run_id for key in ("left", "right")}


def test_a_stage_after_a_select_gets_the_outs_of_the_run_that_was_picked(bench: Bench) -> None:
    pipeline = bench.push({"relive.yaml": MATRIX, "train.py": ""})
    bench.tick()
    bench.resolve_environment(pipeline)
    bench.finish(bench.stages(pipeline)["train[seed=1]"], outs={"model/m": b"one"}, accuracy=0.9)
    bench.finish(bench.stages(pipeline)["train[seed=2]"], outs={"model/m": b"two"}, accuracy=0.8)
    stages = bench.stages(pipeline)
    assert stages["pick"].result["key"] == "train[seed=1]"
    _, work = bench.running(stages["report"])
    model = next(dep for dep in work.deps if dep.path.startswith("model"))
    (entry,) = bench.manifest(model.manifest).entries
    assert bench.services.blobs.read(entry.digest) == b"one"


def test_a_stage_after_a_gate_gets_the_outs_of_the_stage_that_was_judged(bench: Bench) -> None:
    pipeline = bench.push({"relive.yaml": GATED, "train.py": ""})
    bench.tick()
    bench.resolve_environment(pipeline)
    bench.finish(bench.stages(pipeline)["train"], outs={"model/m": b"one"}, a=0.9)
    _, work = bench.running(bench.stages(pipeline)["after"])
    assert [dep.origin for dep in work.deps] == ["code", "stage:train"]


def test_a_dep_that_is_nowhere_fails_the_stage_and_says_what_to_do(bench: Bench) -> None:
    text = "version: 1\nstages: {train: {cmd: x, deps: [nowhere.csv]}}\n"
    pipeline = bench.push({"relive.yaml": text})
    bench.tick()
    bench.resolve_environment(pipeline)
    stage = bench.stages(pipeline)["train"]
    assert stage.status is StageStatus.FAILED
    assert "nowhere.csv" in stage.reason
    assert "commit it" in stage.reason
