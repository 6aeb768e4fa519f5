"""A push whose training is cached: version and revision stay as they are, and so does the way back."""

import pytest

from relive.core.endpoint import Endpoint
from relive.core.pipeline import Pipeline, PipelineStatus, StageStatus
from relive.services.endpoints import note_routed, roll_back
from relive.services.registry import move_alias
from tests.support.bench import Bench

# What may be given back is decided inside transactions.
pytestmark = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)

FILE = """
version: 1
stages:
  train: {{cmd: python train.py, deps: [train.py], outs: [model/, rows.csv], metrics: [metrics.json]}}
  gate: {{needs: [train], gates: [{{metric: accuracy, min: {least}}}]}}
  register: {{needs: [train], register: {{model: digits, artifact: model/, example: rows.csv}}}}
  deploy: {{needs: [register], deploy: {{endpoint: digits}}}}
"""


def pushed(bench: Bench, script: str, *, least: float = 0.5, branch: str = "main") -> Pipeline:
    """Push a script, and do what the runners of its pipeline would; its accuracy is 0.7."""
    files = {"relive.yaml": FILE.format(least=least), "train.py": script}
    pipeline = bench.start(files, branch=branch)
    train = bench.stages(pipeline)["train"]
    if not train.status.is_final:
        bench.finish(train, outs={"model/m": script.encode(), "rows.csv": b"x\n1\n"}, accuracy=0.7)
    if bench.stages(pipeline)["register"].status is StageStatus.QUEUED:
        bench.describe(bench.stages(pipeline)["register"])
    deploy = bench.stages(pipeline)["deploy"]
    if deploy.status is StageStatus.RUNNING:
        bench.ready(str(deploy.result["revision_id"]))
        route(bench)
    return bench.again(pipeline)


def route(bench: Bench) -> None:
    """Say as the router that it sends requests to what is live."""
    note_routed(bench.services, [bench.services.store.get_revision(endpoint_of(bench).live)])
    bench.tick()


def endpoint_of(bench: Bench) -> Endpoint:
    """Read the endpoint again."""
    return bench.services.store.get_endpoint("digits")


def served(bench: Bench) -> list[int]:
    """Give the versions of the live revision and of the one behind it."""
    store, endpoint = bench.services.store, endpoint_of(bench)
    return [store.get_revision(it).facts["version"] for it in (endpoint.live, endpoint.previous) if it]


def test_pushing_the_same_training_again_gives_back_version_and_revision(bench: Bench) -> None:
    pushed(bench, "1")
    pushed(bench, "2")
    before = endpoint_of(bench)
    again = pushed(bench, "2")
    assert again.status is PipelineStatus.SUCCEEDED
    store, stages = bench.services.store, bench.stages(again)
    assert [version.version for version in store.list_versions("digits")] == [2, 1]
    run = store.get_version("digits", "2").run_id
    assert stages["register"].reason == f"digits v2, already registered from run {run[:8]}"
    assert stages["deploy"].reason == "revision 2 (digits v2) is live already and has the traffic"
    assert endpoint_of(bench) == before
    assert served(bench) == [2, 1]
    assert [facts["version"] for _, facts in bench.events("model.registered")] == [1, 2]
    assert [facts["version"] for _, facts in bench.events("alias.moved")] == [1, 2]


def test_going_back_to_an_earlier_training_promotes_its_version_again(bench: Bench) -> None:
    pushed(bench, "1")
    pushed(bench, "2")
    again = pushed(bench, "1")
    assert again.status is PipelineStatus.SUCCEEDED
    assert bench.services.store.get_version("digits", "champion").version == 1
    assert served(bench) == [1, 2]


def test_the_alias_follows_once_and_then_obeys_the_person(bench: Bench) -> None:
    pushed(bench, "1")
    pushed(bench, "2")
    pushed(bench, "1")
    move_alias(bench.services, "digits", "champion", 2, by="ada")
    bench.tick()
    assert bench.services.store.get_version("digits", "champion").version == 2


def test_a_push_after_a_rollback_goes_forward_to_the_process_that_still_runs(bench: Bench) -> None:
    pushed(bench, "1")
    pushed(bench, "2")
    roll_back(bench.services, "digits", by="ada")
    again = pushed(bench, "2")
    assert (
        bench.stages(again)["deploy"].reason == "revision 2 (digits v2) was kept running and has the traffic"
    )
    assert served(bench) == [2, 1]
    assert bench.services.store.get_version("digits", "champion").version == 2


def test_what_was_rejected_is_registered_and_judged_anew(bench: Bench) -> None:
    first = pushed(bench, "1", least=0.9)
    assert first.status is PipelineStatus.GATED
    second = pushed(bench, "1", least=0.6)
    assert second.status is PipelineStatus.SUCCEEDED
    found = bench.services.store.list_versions("digits")
    assert [(version.version, version.status) for version in found] == [(2, "promoted"), (1, "rejected")]
    assert [version.pipeline_id for version in found] == [second.id, first.id]


def test_a_stricter_gate_does_not_take_back_what_was_promoted(bench: Bench) -> None:
    pushed(bench, "1")
    assert pushed(bench, "1", least=0.9).status is PipelineStatus.GATED
    assert bench.services.store.get_version("digits", "champion").status == "promoted"
    assert served(bench) == [1]


def test_another_branch_gives_back_its_candidate(bench: Bench) -> None:
    pushed(bench, "1", branch="try")
    pushed(bench, "1", branch="try")
    (version,) = bench.services.store.list_versions("digits")
    assert (version.version, version.status) == (1, "candidate")
    assert bench.services.store.find_alias("digits", "champion") is None
