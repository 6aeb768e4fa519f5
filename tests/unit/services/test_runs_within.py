"""Runs that a run's own command makes: below it, in its project, with tokens that end when its own does."""

import pytest

from relive.core.access import Caller, Scope
from relive.core.run import RunStatus
from relive.errors import AccessDenied, NotLoggedIn
from relive.services import accounts, lineage, runs
from relive.wire.jobs import StageReport
from relive.wire.runs import CreatedRun
from tests.support.bench import Bench
from tests.support.live import served
from tests.unit.services.test_accounts import claimed, end


def caller_of(bench: Bench, made: CreatedRun) -> Caller:
    """Give the caller that a run's command is."""
    return accounts.authenticate(bench.services, made.token)


def test_a_command_makes_a_run_below_its_own_and_may_write_it(bench: Bench) -> None:
    outer = bench.by_hand(name="outer")
    command = caller_of(bench, outer)
    inner = bench.by_hand(command, name="inner")
    store = bench.services.store
    tags = store.list_tags([inner.run_id])[inner.run_id]
    assert tags == {runs.PARENT: outer.run_id, runs.MAKER: outer.run_id}
    run = runs.may_write(bench.services, command, inner.run_id)
    report = StageReport(fence=0, status=RunStatus.FINISHED, exit_code=0)
    assert runs.finish(bench.services, run, report).status is RunStatus.FINISHED
    assert store.get_run(outer.run_id).status is RunStatus.RUNNING, "its end is not the end of the outer one"


def test_the_command_of_a_run_within_writes_its_own_and_not_the_one_around_it(bench: Bench) -> None:
    outer = bench.by_hand()
    inner = bench.by_hand(caller_of(bench, outer))
    within = caller_of(bench, inner)
    assert (within.scope, within.run_id) == (Scope.COMMAND, inner.run_id)
    runs.may_write(bench.services, within, inner.run_id)
    with pytest.raises(AccessDenied, match="the run's own token"):
        runs.may_write(bench.services, within, outer.run_id)
    beside = bench.by_hand()
    with pytest.raises(AccessDenied):
        runs.may_write(bench.services, caller_of(bench, outer), beside.run_id)


def test_a_command_makes_no_run_in_another_project_and_no_project(bench: Bench) -> None:
    command = caller_of(bench, bench.by_hand())
    with pytest.raises(AccessDenied, match=f"its own project, {bench.project.name}"):
        bench.by_hand(command, project="other")
    assert "other" not in [project.name for project in bench.services.store.list_projects()]


def test_what_a_jobs_command_makes_ends_with_the_claim_of_the_job(bench: Bench) -> None:
    job = claimed(bench)
    stage = bench.by_hand()
    text = accounts.create_job_token(bench.services, job, Scope.COMMAND, run_id=stage.run_id)
    inner = bench.by_hand(accounts.authenticate(bench.services, text))
    assert caller_of(bench, inner).run_id == inner.run_id
    end(bench, job)
    with pytest.raises(NotLoggedIn):
        caller_of(bench, inner)


def test_the_lineage_of_either_names_the_other(bench: Bench) -> None:
    outer = bench.by_hand(name="outer")
    inner = bench.by_hand(caller_of(bench, outer), name="inner")
    deepest = bench.by_hand(caller_of(bench, inner), name="deepest")
    edge = (f"run:{outer.run_id}", f"run:{inner.run_id}")
    for run_id in (outer.run_id, inner.run_id, deepest.run_id):
        found = lineage.of_run(bench.services, run_id)
        assert edge in found.edges or run_id == deepest.run_id
    assert edge in lineage.of_run(bench.services, deepest.run_id).edges, "back over more than one hop"
    alone = lineage.of_run(bench.services, bench.by_hand().run_id)
    assert not [pair for pair in alone.edges if pair[0].startswith("run:")]


def test_a_command_stores_the_bytes_of_runs_within_and_reads_none(bench: Bench) -> None:
    token = bench.by_hand().token
    with served(bench.services) as live:
        made = live.ask("POST", "/api/v1/runs", {"project": bench.project.name}, token=token)
        assert made.status == 201
        digest = bench.services.blobs.put(b"hello").digest
        assert live.ask("POST", "/api/v1/blobs/missing", {"digests": [digest]}, token=token).status == 200
        assert live.ask("PUT", f"/api/v1/blobs/{digest}", body=b"hello", token=token).status == 201
        assert live.ask("GET", f"/api/v1/blobs/{digest}", token=token).status == 403
        refused = live.ask("POST", "/api/v1/runs", {"project": "other"}, token=token)
        assert refused.status == 403
        assert bench.project.name in refused.json["message"]


def test_a_command_names_no_run_of_another_project_as_the_one_it_repeats(bench: Bench) -> None:
    command = caller_of(bench, bench.by_hand())
    elsewhere = bench.by_hand(project="elsewhere")
    with pytest.raises(AccessDenied, match="something of its own project"):
        bench.by_hand(command, replay_of=elsewhere.run_id)
    repeated = bench.by_hand()
    again = bench.by_hand(command, replay_of=repeated.run_id)
    assert bench.services.store.get_run(again.run_id).replay_of == repeated.run_id


def test_a_key_gives_a_command_what_it_made_and_not_what_its_user_did(bench: Bench) -> None:
    command = caller_of(bench, bench.by_hand())
    bench.by_hand(key="of the user")
    with pytest.raises(AccessDenied, match="the run's own token"):
        bench.by_hand(command, key="of the user")
    made = bench.by_hand(command, key="its own")
    assert bench.by_hand(command, key="its own").run_id == made.run_id
