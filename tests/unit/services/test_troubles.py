"""What goes wrong in one place stops nothing in another, and nothing goes on for ever."""

from typing import Any

import pytest

from relive.core.digest import canonical_json
from relive.core.pipeline import Action, PipelineStatus, StageStatus
from relive.core.recipe import EnvironmentLock, LockedPackage
from relive.errors import Conflict, StoreFull
from relive.services import jobs, registry, scheduling
from relive.services.pipelines import start
from relive.services.view import PipelineView
from relive.wire.hub import StartPipeline
from relive.wire.jobs import EnvironmentReport
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
    settle = registry.settle_promotions

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


def outs_of(bench: Bench, run_id: str) -> tuple[str, str]:
    """Give the digests of the manifest and of the file of a run's only out."""
    (artifact,) = bench.services.store.list_artifacts(run_id)
    (entry,) = bench.manifest(artifact.manifest).entries
    return artifact.manifest, entry.digest


@pytest.mark.parametrize("lost", [0, 1], ids=["manifest", "file"])
def test_an_earlier_run_whose_out_is_lost_is_made_again(bench: Bench, lost: int) -> None:
    first = bench.start({"relive.yaml": ONE, "train.py": "1"})
    bench.finish(bench.stages(first)["train"], outs={"model/m": b"m"})
    bench.services.blobs.delete(outs_of(bench, bench.stages(first)["train"].run_id)[lost])
    second = bench.start({})
    stage = bench.stages(second)["train"]
    assert stage.status is StageStatus.QUEUED
    bench.finish(stage, outs={"model/m": b"m"})
    third = bench.start({})
    assert bench.stages(third)["train"].status is StageStatus.CACHED


@pytest.mark.parametrize("lost", ["lock", "wheel"])
def test_an_environment_of_which_something_is_lost_is_resolved_again(bench: Bench, lost: str) -> None:
    pipeline = bench.push({"relive.yaml": ONE, "train.py": "1"})
    bench.tick()
    wheel = bench.services.blobs.put(b"wheel").digest
    package = LockedPackage(
        name="a", version="1", filename="a-1.whl", sha256="0" * 64, size_bytes=5, blob=wheel
    )
    lock = EnvironmentLock(
        python="3.11.7", implementation="cpython", platform="linux_x86_64", source="", packages=(package,)
    )
    kept = bench.services.blobs.put(canonical_json(lock)).digest
    job = bench.services.store.get_job(bench.stages(pipeline)["environment"].job_id)
    jobs.finish(bench.services, job.id, EnvironmentReport(fence=job.fence, lock=kept, packages=1))
    bench.tick()
    again = bench.push({})
    bench.tick()
    assert bench.stages(again)["environment"].status is StageStatus.CACHED
    bench.services.blobs.delete(kept if lost == "lock" else wheel)
    last = bench.push({})
    bench.tick()
    assert bench.stages(last)["environment"].status is StageStatus.QUEUED


def test_a_tag_with_a_branchs_name_is_not_taken_for_it(bench: Bench) -> None:
    main = bench.push({"relive.yaml": ONE, "train.py": "1"})
    bench.commit({"train.py": "2"}, branch="try")
    bare = str(bench.services.place.data_dir / "git" / "digits.git")
    bench.git("-c", "core.hooksPath=/dev/null", "push", "-q", bare, "HEAD:refs/tags/main")
    started = start(bench.services, StartPipeline(project="digits", rev="main"), by="mia")
    again = bench.plan(bench.services.store.get_job(started.id))
    assert (again.ref, again.commit) == ("refs/heads/main", main.commit)
