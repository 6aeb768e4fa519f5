"""Two pipelines of one branch that overlap: the later push has the say, whichever ends first."""

from typing import Any

import pytest
from msgspec.structs import replace

from relive.core.endpoint import RevisionState
from relive.core.pipeline import Pipeline, PipelineStatus, Stage, StageStatus
from relive.services.context import Services
from relive.services.endpoints import note_routed
from relive.services.ids import new_id
from relive.services.pipelines import start
from relive.services.pushes import Push, record_push
from relive.services.scheduling import cancel_pipeline
from relive.services.stages import deploy
from relive.services.succession import find_later_deployment
from relive.services.view import PipelineView, load_view
from relive.wire.hub import StartPipeline
from tests.support.bench import Bench

pytestmark = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)

FILE = """
version: 1
stages:
  train: {cmd: python train.py, deps: [train.py], outs: [model/, rows.csv]}
  register: {needs: [train], register: {model: digits, artifact: model/, example: rows.csv}}
  deploy: {needs: [register], deploy: {endpoint: digits}}
"""


def begun(bench: Bench, script: str) -> Pipeline:
    """Push a script, and leave its pipeline in the middle of its training."""
    return bench.start({"relive.yaml": FILE, "train.py": script})


def trained(bench: Bench, pipeline: Pipeline) -> Pipeline:
    """Finish the training, describe the model, and leave the pipeline at its deployment."""
    train = bench.stages(pipeline)["train"]
    if not train.status.is_final:
        bench.finish(train, outs={"model/m": pipeline.commit.encode(), "rows.csv": b"x\n1\n"})
    if bench.stages(pipeline)["register"].status is StageStatus.QUEUED:
        bench.describe(bench.stages(pipeline)["register"])
    return bench.again(pipeline)


def deployed(bench: Bench, pipeline: Pipeline) -> Pipeline:
    """Say as its process that the pipeline's revision is ready, and as the router that it is asked."""
    bench.ready(str(bench.stages(pipeline)["deploy"].result["revision_id"]))
    store = bench.services.store
    note_routed(bench.services, [store.get_revision(store.get_endpoint("digits").live)])
    bench.tick()
    return bench.again(pipeline)


def served(bench: Bench) -> tuple[int, int]:
    """Give the version that has the traffic, and the champion."""
    store = bench.services.store
    live = store.get_revision(store.get_endpoint("digits").live)
    return int(live.facts["version"]), store.get_version("digits", "champion").version


def test_a_pipeline_that_ends_after_one_of_a_later_push_changes_nothing(bench: Bench) -> None:
    older, newer = begun(bench, "1"), begun(bench, "2")
    assert deployed(bench, trained(bench, newer)).status is PipelineStatus.SUCCEEDED
    before = served(bench)

    assert trained(bench, older).status is PipelineStatus.SUCCEEDED
    assert served(bench) == before == (1, 1)
    stages = bench.stages(older)
    assert stages["deploy"].status is StageStatus.SKIPPED
    assert stages["deploy"].reason == (
        "pipeline #2 of a later push has deployed to it; to deploy this one all the same: "
        "relive deploy digits@2 digits"
    )
    assert "champion stays where pipeline #2 of a later push has moved it" in stages["register"].reason
    assert bench.services.store.get_version("digits", "2").status == "promoted"  # its gates did pass
    assert [facts["version"] for _, facts in bench.events("alias.moved")] == [1]


def test_it_waits_while_the_later_one_is_being_deployed(bench: Bench) -> None:
    older, newer = begun(bench, "1"), begun(bench, "2")
    trained(bench, newer)
    trained(bench, older)
    stage = bench.stages(older)["deploy"]
    assert stage.status is StageStatus.WAITING
    assert stage.reason == "waits for pipeline #2 of a later push, which is being deployed"
    deployed(bench, newer)
    assert bench.again(older).status is PipelineStatus.SUCCEEDED
    assert bench.stages(older)["deploy"].status is StageStatus.SKIPPED
    assert served(bench) == (1, 1)


def test_it_deploys_if_the_later_one_does_not_come_to_it(bench: Bench) -> None:
    older, newer = begun(bench, "1"), begun(bench, "2")
    trained(bench, newer)
    trained(bench, older)
    cancel_pipeline(bench.services, newer.id, by="ada")
    bench.tick()
    stage = bench.stages(older)["deploy"]
    assert (stage.status, stage.reason) == (StageStatus.RUNNING, "")
    assert deployed(bench, older).status is PipelineStatus.SUCCEEDED
    assert bench.stages(older)["deploy"].status is StageStatus.SUCCEEDED
    assert served(bench)[0] == 2


def test_what_another_hub_begins_in_between_is_yielded_to(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    older, newer = begun(bench, "1"), begun(bench, "2")
    begin, store = deploy._begin, bench.services.store
    left: list[Stage] = []

    def overtaken(services: Services, view: PipelineView, *rest: Any) -> None:
        if view.pipeline.id == older.id and not left:  # this hub has looked, and now comes another
            other = bench.stages(newer)["deploy"]
            store.set_stage(other.id, status=StageStatus.RUNNING)
            begin(services, view, *rest)
            left.append(bench.stages(older)["deploy"])
            store.set_stage(other.id, status=StageStatus.WAITING)
        else:
            begin(services, view, *rest)

    monkeypatch.setattr(deploy, "_begin", overtaken)
    trained(bench, older)
    assert [(stage.status, "revision_id" in stage.result) for stage in left] == [(StageStatus.WAITING, False)]


def test_a_revert_is_served_though_the_push_before_is_ready_after_it(bench: Bench) -> None:
    deployed(bench, trained(bench, begun(bench, "1")))
    older = begun(bench, "2")
    trained(bench, older)
    revert = begun(bench, "1")
    trained(bench, revert)
    slow = str(bench.stages(older)["deploy"].result["revision_id"])
    assert deployed(bench, revert).status is PipelineStatus.SUCCEEDED
    assert bench.services.store.get_revision(slow).state is RevisionState.STOPPED
    assert bench.again(older).status is PipelineStatus.SUCCEEDED
    assert bench.stages(older)["deploy"].status is StageStatus.SKIPPED
    assert served(bench) == (1, 1)


def test_the_latest_of_many_is_found_page_by_page(bench: Bench) -> None:
    older, newer = begun(bench, "1"), begun(bench, "2")
    deployed(bench, trained(bench, newer))
    for number in range(3, 110):  # of pushes that came to nothing
        bench.services.store.create_pipeline(replace(newer, id=new_id(), number=number))
    view = load_view(bench.services, older.id)
    found = find_later_deployment(bench.services, view, "digits")
    assert found is not None
    assert (found[0].number, found[1]) == (2, True)


def test_a_version_given_back_to_a_later_push_keeps_alias_and_traffic(bench: Bench) -> None:
    deployed(bench, trained(bench, begun(bench, "1")))
    older, newer = begun(bench, "2"), begun(bench, "1")
    assert trained(bench, newer).status is PipelineStatus.SUCCEEDED
    trained(bench, older)
    assert bench.stages(older)["deploy"].status is StageStatus.SKIPPED
    assert served(bench) == (1, 1)


def test_who_repeats_an_older_commit_by_hand_gets_it(bench: Bench) -> None:
    older, newer = begun(bench, "1"), begun(bench, "2")
    deployed(bench, trained(bench, newer))
    trained(bench, older)
    bench.services.wake()
    again = start(bench.services, StartPipeline(project=bench.project.name, rerun_of=older.id), by="ada")
    pipeline = bench.plan(bench.services.store.get_job(again.id))
    bench.tick()
    trained(bench, pipeline)
    assert deployed(bench, pipeline).status is PipelineStatus.SUCCEEDED
    assert served(bench) == (2, 2)


def test_numbers_tell_the_order_of_the_pushes_whichever_is_planned_first(bench: Bench) -> None:
    first, second = (
        record_push(bench.services, bench.project, [push], actor="ada")[0] for push in two_pushes(bench)
    )
    store = bench.services.store
    held = store.claim("a hub that dies", pools=("hub",), kinds=(first.kind,), lease_s=60)
    assert held is not None
    assert held.id == first.id
    assert bench.plan(second).number == 2
    store.release(held.id, held.fence)
    assert bench.plan(first).number == 1


def test_a_push_whose_hook_comes_late_is_the_older_one(bench: Bench) -> None:
    first, second = two_pushes(bench)
    (job,) = record_push(bench.services, bench.project, [second], actor="ada")
    newer = bench.plan(job)
    (job,) = record_push(bench.services, bench.project, [first], actor="ada")
    older = bench.plan(job)
    assert (newer.number, older.number) == (1, 2)
    bench.tick()
    bench.resolve_environment(newer)
    bench.resolve_environment(older)
    deployed(bench, trained(bench, newer))
    trained(bench, older)
    assert bench.stages(older)["deploy"].status is StageStatus.SKIPPED
    assert served(bench) == (1, 1)


def test_a_push_that_was_found_before_its_hook_came_is_not_planned_again(bench: Bench) -> None:
    first, second = two_pushes(bench)
    told = [record_push(bench.services, bench.project, [push], actor="ada")[0] for push in (first, second)]
    (again,) = record_push(bench.services, bench.project, [first], actor="ada")
    assert again.id == told[0].id


def two_pushes(bench: Bench) -> tuple[Push, Push]:
    """Move the branch twice, and tell nobody."""
    one = bench.commit({"relive.yaml": FILE, "train.py": "1"})
    two = bench.commit({"relive.yaml": FILE, "train.py": "2"})
    ref = "refs/heads/main"
    return Push(ref=ref, old="", new=one), Push(ref=ref, old=one, new=two)
