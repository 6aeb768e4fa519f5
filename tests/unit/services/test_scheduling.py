"""The tick, stage by stage, without any process."""

import msgspec
import pytest

from relive.core.job import JobState
from relive.core.pipeline import PipelineStatus, StageStatus
from relive.core.run import FailureReason, RunStatus
from relive.errors import Superseded
from relive.services import jobs as job_calls
from relive.services.pipelines import start, why
from relive.services.planning import plan_commit
from relive.services.scheduling import cancel_pipeline
from relive.wire.hub import StartPipeline
from relive.wire.jobs import Heartbeat, Records
from tests.support.bench import Bench

# Every test of the tick on both databases: what it does is what their transactions let it do.
pytestmark = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)

TWO = """
version: 1
stages:
  prepare: {cmd: python prepare.py, deps: [prepare.py], outs: [data/]}
  train: {cmd: python train.py, deps: [train.py, data/], outs: [model/], metrics: [metrics.json]}
"""
GATED = (
    TWO
    + """
  gate: {needs: [train], gates: [{metric: accuracy, min: 0.9}, {metric: accuracy, vs: champion}]}
  register: {needs: [gate], register: {model: digits, artifact: model/}}
"""
)
FILES = {"relive.yaml": TWO, "prepare.py": "1", "train.py": "1"}


def through_prepare(bench: Bench, files: dict[str, str]) -> str:
    """Push and finish the first stage; gives the pipeline's id."""
    pipeline = bench.push(files)
    bench.tick()
    bench.resolve_environment(pipeline)
    stage = bench.stages(pipeline)["prepare"]
    if not stage.status.is_final:
        bench.finish(stage, outs={"data/rows.csv": b"1,2\n"})
    return pipeline.id


def test_stages_start_in_the_order_of_what_they_read(bench: Bench) -> None:
    pipeline = bench.push(FILES)
    bench.tick()
    assert bench.stages(pipeline)["prepare"].status is StageStatus.WAITING  # no environment yet
    bench.resolve_environment(pipeline)
    stages = bench.stages(pipeline)
    assert stages["prepare"].status is StageStatus.QUEUED
    assert stages["train"].status is StageStatus.WAITING
    bench.finish(stages["prepare"], outs={"data/rows.csv": b"1,2\n"})
    train = bench.stages(pipeline)["train"]
    assert train.status is StageStatus.QUEUED
    _, work = bench.running(train)
    assert {dep.path: dep.origin for dep in work.deps} == {"train.py": "code", "data": "stage:prepare"}


def test_a_stage_whose_inputs_are_the_same_links_the_earlier_run(bench: Bench) -> None:
    first = bench.services.store.get_pipeline(through_prepare(bench, FILES))
    bench.finish(bench.stages(first)["train"], outs={"model/m": b"m"}, accuracy=0.95)
    assert bench.services.store.get_pipeline(first.id).status is PipelineStatus.SUCCEEDED
    second = bench.push(FILES | {"README": "more"})
    bench.tick()
    stages, before = bench.stages(second), bench.stages(first)
    assert {key: stage.status for key, stage in stages.items()} == dict.fromkeys(stages, StageStatus.CACHED)
    assert stages["train"].run_id == before["train"].run_id
    assert bench.services.store.get_pipeline(second.id).status is PipelineStatus.SUCCEEDED


def test_a_changed_dep_runs_its_stage_again_and_why_says_so(bench: Bench) -> None:
    first = bench.services.store.get_pipeline(through_prepare(bench, FILES))
    bench.finish(bench.stages(first)["train"], outs={"model/m": b"m"})
    second = bench.push(FILES | {"train.py": "2"})
    bench.tick()
    stages = bench.stages(second)
    assert stages["prepare"].status is StageStatus.CACHED
    assert stages["train"].status is StageStatus.QUEUED
    (explained,) = why(bench.services, "digits:2", stage="train")
    assert explained.compared_with == 1
    assert any("train.py" in change for change in explained.changes)


def test_a_stage_that_failed_stops_what_builds_on_it(bench: Bench) -> None:
    pipeline = bench.push(FILES)
    bench.tick()
    bench.resolve_environment(pipeline)
    bench.fail(bench.stages(pipeline)["prepare"], FailureReason.FAILURE, "exit code 1")
    stages = bench.stages(pipeline)
    assert stages["prepare"].status is StageStatus.FAILED
    assert stages["train"].status is StageStatus.SKIPPED
    assert "prepare" in stages["train"].reason
    assert bench.services.store.get_pipeline(pipeline.id).status is PipelineStatus.FAILED


def test_a_lost_worker_is_replaced_and_its_late_report_refused(bench: Bench) -> None:
    pipeline = bench.push(FILES)
    bench.tick()
    bench.resolve_environment(pipeline)
    stage = bench.stages(pipeline)["prepare"]
    job, _ = bench.running(stage)
    bench.executor.states[job.id] = "gone"
    bench.tick()
    again = bench.stages(pipeline)["prepare"]
    assert again.attempts == 2
    assert again.job_id != job.id
    lost = bench.services.store.get_run(stage.run_id)
    assert (lost.status, lost.superseded_by) == (RunStatus.LOST, again.run_id)
    with pytest.raises(Superseded):
        bench.finish(stage, outs={"data/rows.csv": b"late"})
    assert bench.services.store.list_artifacts(stage.run_id) == []
    kinds = [event.kind for event in bench.services.store.list_events(limit=1000)]
    assert "job.superseded" in kinds


def test_a_worker_lost_again_and_again_fails_the_stage(bench: Bench) -> None:
    pipeline = bench.push(FILES)
    bench.tick()
    bench.resolve_environment(pipeline)
    for _ in range(3):
        bench.executor.states[bench.stages(pipeline)["prepare"].job_id] = "ended"
        bench.tick()
    stage = bench.stages(pipeline)["prepare"]
    assert (stage.status, stage.attempts) == (StageStatus.FAILED, 3)


def test_an_old_fence_can_neither_renew_nor_record(bench: Bench) -> None:
    pipeline = bench.push(FILES)
    bench.tick()
    bench.resolve_environment(pipeline)
    job, _ = bench.running(bench.stages(pipeline)["prepare"])
    with pytest.raises(Superseded):
        job_calls.renew(bench.services, job.id, Heartbeat(fence=job.fence + 1).fence)
    with pytest.raises(Superseded):
        job_calls.record(bench.services, job.id, Records(fence=job.fence - 1, batch="a", params={"x": 1}))


def test_a_failed_gate_stops_before_registering(bench: Bench) -> None:
    files = FILES | {"relive.yaml": GATED}
    pipeline = bench.services.store.get_pipeline(through_prepare(bench, files))
    bench.finish(bench.stages(pipeline)["train"], outs={"model/m": b"m"}, accuracy=0.5)
    stages = bench.stages(pipeline)
    assert stages["gate"].status is StageStatus.FAILED
    assert "0.5 < 0.9" in stages["gate"].reason
    assert bench.services.store.get_pipeline(pipeline.id).status is PipelineStatus.GATED
    assert bench.services.store.list_models() == []


def test_a_metric_that_is_missing_fails_its_gate_by_name(bench: Bench) -> None:
    files = FILES | {"relive.yaml": GATED}
    pipeline = bench.services.store.get_pipeline(through_prepare(bench, files))
    bench.finish(bench.stages(pipeline)["train"], outs={"model/m": b"m"}, acuracy=0.99)
    reason = bench.stages(pipeline)["gate"].reason
    assert "accuracy" in reason
    assert "acuracy" in reason


def test_a_passed_gate_registers_signs_and_promotes(bench: Bench) -> None:
    files = FILES | {"relive.yaml": GATED}
    pipeline = bench.services.store.get_pipeline(through_prepare(bench, files))
    bench.finish(bench.stages(pipeline)["train"], outs={"model/m": b"m"}, accuracy=0.95)
    store = bench.services.store
    version = store.get_version("digits", "champion")
    assert (version.version, version.status, version.facts["metrics"]) == (1, "promoted", {"accuracy": 0.95})
    payload = msgspec.json.decode(bench.services.signer.verify(bench.services.blobs.read(version.provenance)))
    assert payload["subject"][0] == {"name": "digits@1", "digest": {"sha256": version.sha256}}
    assert store.get_pipeline(pipeline.id).status is PipelineStatus.SUCCEEDED


def test_another_branch_registers_a_candidate_and_moves_no_alias(bench: Bench) -> None:
    pipeline = bench.push(FILES | {"relive.yaml": GATED}, branch="try")
    bench.tick()
    bench.resolve_environment(pipeline)
    bench.finish(bench.stages(pipeline)["prepare"], outs={"data/rows.csv": b"1"})
    bench.finish(bench.stages(pipeline)["train"], outs={"model/m": b"m"}, accuracy=0.95)
    (version,) = bench.services.store.list_versions("digits")
    assert version.status == "candidate"
    assert bench.services.store.find_alias("digits", "champion") is None


@pytest.mark.parametrize("reader", ["main", "other"])
def test_what_a_branch_cached_is_not_used_by_another(bench: Bench, reader: str) -> None:
    writer = bench.push(FILES, branch="try")
    bench.tick()
    bench.resolve_environment(writer)
    bench.finish(bench.stages(writer)["prepare"], outs={"data/rows.csv": b"planted"})
    pipeline = bench.push(FILES, branch=reader)
    bench.tick()
    assert bench.stages(pipeline)["environment"].status is StageStatus.QUEUED  # nor is its lock trusted
    bench.resolve_environment(pipeline)
    assert bench.stages(pipeline)["prepare"].status is StageStatus.QUEUED


def test_what_the_protected_branch_cached_serves_all(bench: Bench) -> None:
    main = bench.push(FILES)
    bench.tick()
    bench.resolve_environment(main)
    bench.finish(bench.stages(main)["prepare"], outs={"data/rows.csv": b"1"})
    other = bench.push(FILES, branch="try")
    bench.tick()
    stages = bench.stages(other)
    assert stages["environment"].status is stages["prepare"].status is StageStatus.CACHED


def test_cancelling_ends_what_waits_and_asks_what_runs(bench: Bench) -> None:
    pipeline = bench.push(FILES)
    bench.tick()
    bench.resolve_environment(pipeline)
    stage = bench.stages(pipeline)["prepare"]
    bench.begin(stage)
    cancel_pipeline(bench.services, pipeline.id, by="ada")
    job, _ = bench.running(stage)
    assert job_calls.renew(bench.services, job.id, job.fence).cancel
    bench.fail(bench.stages(pipeline)["prepare"], FailureReason.CANCELLED, "cancelled")
    assert bench.services.store.get_pipeline(pipeline.id).status is PipelineStatus.CANCELLED
    assert bench.services.store.get_run(stage.run_id).status is RunStatus.KILLED


def test_a_rerun_from_a_stage_takes_nothing_after_it_from_the_cache(bench: Bench) -> None:
    first = bench.services.store.get_pipeline(through_prepare(bench, FILES))
    bench.finish(bench.stages(first)["train"], outs={"model/m": b"m"})
    request = StartPipeline(project="digits", rerun_of=first.id, from_stage="train")
    started = start(bench.services, request, by="ada")
    second = bench.plan(bench.services.store.get_job(started.id))
    bench.tick()
    stages = bench.stages(second)
    assert stages["prepare"].status is StageStatus.CACHED
    assert stages["train"].status is StageStatus.QUEUED


def test_a_plan_taken_up_again_after_a_crash_makes_no_second_pipeline(bench: Bench) -> None:
    pipeline = bench.push(FILES)
    job = bench.services.store.get_job(pipeline.id)
    assert plan_commit(bench.services, job) == bench.services.store.get_pipeline(pipeline.id)
    assert len(bench.services.store.list_pipelines()) == 1


def test_a_broken_file_makes_a_failed_pipeline_with_its_message(bench: Bench) -> None:
    pipeline = bench.push({"relive.yaml": "version: 1\nstages: {train: {cmd: x, out: [a]}}\n"})
    assert pipeline.status is PipelineStatus.FAILED
    assert "stages.train.out" in pipeline.error


def test_a_finished_job_is_done_and_its_run_closed(bench: Bench) -> None:
    pipeline = bench.services.store.get_pipeline(through_prepare(bench, FILES))
    stage = bench.stages(pipeline)["prepare"]
    assert bench.services.store.get_job(stage.job_id).state is JobState.DONE
    run = bench.services.store.get_run(stage.run_id)
    assert run.status is RunStatus.FINISHED
    assert run.recipe
