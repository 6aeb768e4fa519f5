"""What goes wrong in one place stops nothing in another, and nothing goes on for ever."""

from typing import Any

import pytest

from relive.core.pipeline import Action, PipelineStatus, StageStatus
from relive.errors import Conflict, StoreFull
from relive.services import registry, scheduling
from relive.services.view import PipelineView
from tests.support.bench import Bench

ONE = """
version: 1
stages:
  train: {cmd: python train.py, deps: [train.py], outs: [model/], metrics: [metrics.json]}
"""
GATED = (
    ONE
    + """
  gate: {needs: [train], gates: [{metric: accuracy, min: 0.9}]}
  register: {needs: [gate], register: {model: digits, artifact: model/}}
"""
)


def trained(bench: Bench) -> Any:
    """Push, train well, and let the rest follow; gives the pipeline."""
    pipeline = bench.start({"relive.yaml": GATED, "train.py": "1"})
    bench.finish(bench.stages(pipeline)["train"], outs={"model/m": b"m"}, accuracy=0.95)
    return pipeline


def refused(*_args: Any, **_options: Any) -> None:
    """Refuse as nothing that passes by itself would."""
    raise Conflict(subject="alias champion", reason="it may not move")


def test_a_version_that_cannot_be_promoted_fails_its_stage(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "move_alias", refused)
    pipeline = trained(bench)
    stage = bench.stages(pipeline)["register"]
    assert stage.status is StageStatus.FAILED
    assert "it may not move" in stage.reason
    assert bench.again(pipeline).status is PipelineStatus.FAILED
    assert bench.services.store.get_version("digits", "1").status == "candidate"


def test_an_action_that_is_refused_for_good_fails_its_stage(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(scheduling._START, Action.GATE, refused)
    pipeline = trained(bench)
    assert bench.stages(pipeline)["gate"].status is StageStatus.FAILED
    assert bench.again(pipeline).status.is_final


def test_an_action_that_meets_a_full_disk_waits(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: Any) -> None:
        raise StoreFull(where="the hub", needed_bytes=1, free_bytes=0)

    with monkeypatch.context() as patch:
        patch.setitem(scheduling._START, Action.GATE, full)
        pipeline = trained(bench)
        assert bench.stages(pipeline)["gate"].status is StageStatus.WAITING
    bench.tick()
    assert bench.again(pipeline).status is PipelineStatus.SUCCEEDED


def test_a_defect_that_one_pipeline_meets_stops_no_other(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = bench.push({"relive.yaml": ONE, "train.py": "1"})
    good = bench.push({"train.py": "2"})
    settle = scheduling.settle_promotions

    def fails_for_one(services: Any, view: PipelineView) -> bool:
        if view.pipeline.id == broken.id:
            raise KeyError("a defect")
        return settle(services, view)

    monkeypatch.setattr(scheduling, "settle_promotions", fails_for_one)
    bench.tick()
    bench.resolve_environment(good)
    stage = bench.stages(good)["train"]
    assert stage.status is StageStatus.QUEUED
    assert stage.job_id in [launch.job_id for launch in bench.executor.launched]


@pytest.mark.parametrize("cached", [False, True])
def test_a_pool_that_nobody_has_fails_the_stage_that_wants_it(bench: Bench, cached: bool) -> None:
    if cached:  # the environment is there, so that the stage itself meets it
        bench.start({"relive.yaml": ONE, "train.py": "1"})
    wanted = ONE.replace("outs:", "resources: {pool: nowhere}, outs:")
    pipeline = bench.push({"relive.yaml": wanted, "train.py": "2"})
    bench.tick()
    failed = [stage for stage in bench.stages(pipeline).values() if stage.status is StageStatus.FAILED]
    assert [("nowhere" in stage.reason, "relive pool list" in stage.reason) for stage in failed] == [
        (True, True)
    ]
    assert bench.again(pipeline).status is PipelineStatus.FAILED
