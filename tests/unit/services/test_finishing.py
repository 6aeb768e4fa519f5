"""The end of a run: whose it is, and what a cancellation that came before it means."""

from relive.core.access import Scope
from relive.core.pipeline import StageStatus
from relive.core.run import Artifact, FailureReason, Input, RunStatus
from relive.services import runs
from relive.services.accounts import authenticate
from relive.services.scheduling import cancel_pipeline
from relive.wire.jobs import StageReport
from tests.support.bench import Bench

TWICE = """
version: 1
stages:
  train:
    cmd: python train.py
    deps: [train.py]
    outs: [model/]
    retry: {max: 2, when: [failure, worker_lost]}
"""
FILES = {"relive.yaml": TWICE, "train.py": "1"}


def test_a_report_writes_its_own_run_alone(bench: Bench) -> None:
    pipeline = bench.start(FILES)
    stage = bench.stages(pipeline)["train"]
    bench.finish(stage, outs={"model/m": b"good"})
    store = bench.services.store
    made = store.list_artifacts(stage.run_id)
    created = bench.by_hand()
    caller = authenticate(bench.services, created.token)
    assert caller.scope is Scope.COMMAND
    bad = Artifact(
        run_id=stage.run_id, path="model/", manifest=bench.keep({"model/m": b"bad"}), size_bytes=3, files=1
    )
    read = Input(run_id=stage.run_id, path="x", manifest=bad.manifest, origin="file")
    report = StageReport(fence=0, status=RunStatus.FINISHED, artifacts=(bad,), inputs=(read,))
    runs.finish(bench.services, runs.may_write(bench.services, caller, created.run_id), report)
    assert store.list_artifacts(stage.run_id) == made
    assert [item.path for item in store.list_inputs(stage.run_id)] == ["train.py"]
    assert [it.manifest for it in store.list_artifacts(created.run_id)] == [bad.manifest]
    assert [item.path for item in store.list_inputs(created.run_id)] == ["x"]


def test_what_a_parser_gave_becomes_params_and_what_was_logged_stays(bench: Bench) -> None:
    store, created = bench.services.store, bench.by_hand()
    caller = authenticate(bench.services, created.token)
    store.record_params(created.run_id, {"lr": 0.2})
    parsed = {"lr": 0.1, "epochs": 3}
    report = StageReport(fence=0, status=RunStatus.FINISHED, params={"seed": 1}, parsed={"seed": 2, **parsed})
    runs.finish(bench.services, runs.may_write(bench.services, caller, created.run_id), report)
    assert store.list_params([created.run_id])[created.run_id] == {"lr": 0.2, "epochs": 3, "seed": 1}


def test_a_stage_that_failed_as_it_was_cancelled_is_not_tried_again(bench: Bench) -> None:
    pipeline = bench.start(FILES)
    stage = bench.stages(pipeline)["train"]
    bench.begin(stage)
    cancel_pipeline(bench.services, pipeline.id, by="ada")
    bench.fail(stage, FailureReason.FAILURE, "exit code 1")
    ended = bench.stages(pipeline)["train"]
    assert (ended.status, ended.reason) == (StageStatus.CANCELLED, "exit code 1")
    assert bench.services.store.get_run(stage.run_id).failure is FailureReason.FAILURE
    assert bench.again(pipeline).status.is_final


def test_a_stage_that_ended_well_before_it_heard_of_its_cancelling_has_ended_well(bench: Bench) -> None:
    pipeline = bench.start(FILES)
    stage = bench.stages(pipeline)["train"]
    cancel_pipeline(bench.services, pipeline.id, by="ada")
    bench.finish(stage, outs={"model/m": b"m"})
    assert bench.stages(pipeline)["train"].status is StageStatus.SUCCEEDED


def test_without_a_cancellation_a_failure_is_tried_again(bench: Bench) -> None:
    pipeline = bench.start(FILES)
    stage = bench.stages(pipeline)["train"]
    bench.fail(stage, FailureReason.FAILURE)
    again = bench.stages(pipeline)["train"]
    assert (again.status, again.attempts) == (StageStatus.QUEUED, 2)
