"""Revisions, who has the traffic, and what keeps them alive: every step follows from the rows."""

import msgspec
import pytest

from relive.core.endpoint import Revision, RevisionState
from relive.core.job import Job, JobKind, JobState
from relive.errors import Conflict, InvalidName, NotFound
from relive.services import endpoints
from relive.services import jobs as job_calls
from relive.services.endpoints import deploy_version, move_traffic, retire, roll_back
from relive.services.registry import move_alias
from relive.wire.jobs import Progress, ServeReport, ServeWork
from tests.support.bench import Bench


def revision_of(bench: Bench, number: int, endpoint: str = "digits") -> Revision:
    """Read a revision again."""
    found = bench.services.store.list_revisions(bench.services.store.get_endpoint(endpoint).id)
    return next(revision for revision in found if revision.number == number)


def job_of(bench: Bench, revision: Revision) -> Job:
    """Give the job that serves a revision."""
    return bench.services.store.get_job(revision.job_id)


def lose(bench: Bench, revision: Revision) -> None:
    """Let a revision's process die."""
    bench.executor.states[revision.job_id] = "gone"
    bench.tick()


def states(bench: Bench, endpoint: str = "digits") -> dict[int, str]:
    """Give each revision's state by its number."""
    found = bench.services.store.list_revisions(bench.services.store.get_endpoint(endpoint).id)
    return {revision.number: revision.state.value for revision in found}


def test_a_version_without_an_example_is_not_served(bench: Bench) -> None:
    version = msgspec.structs.replace(bench.version(), contract="")
    with pytest.raises(Conflict, match="without an example") as caught:
        deploy_version(bench.services, "digits", version, by="ada")
    assert "register: {example: rows.csv}" in str(caught.value)
    assert bench.services.store.list_revisions() == []


@pytest.mark.parametrize("name", ["", "a b", "../etc", "a/b", "x" * 64])
def test_a_word_that_is_no_name_is_no_endpoint(bench: Bench, name: str) -> None:
    with pytest.raises(InvalidName):
        deploy_version(bench.services, name, bench.version(), by="ada")


def test_an_endpoint_serves_one_model(bench: Bench) -> None:
    deploy_version(bench.services, "digits", bench.version(), by="ada")
    with pytest.raises(Conflict, match="it serves model 'digits'"):
        deploy_version(bench.services, "digits", bench.version("other"), by="ada")


def test_a_revision_gets_a_job_with_all_it_needs_to_be_served(bench: Bench) -> None:
    version = bench.version()
    revision = deploy_version(bench.services, "digits", version, by="ada")
    assert revision.state is RevisionState.PENDING
    bench.tick()
    revision = revision_of(bench, 1)
    job = job_of(bench, revision)
    assert revision.state is RevisionState.STARTING
    assert (job.kind, job.state, job.subject) == (JobKind.SERVE, JobState.RUNNING, f"revision:{revision.id}")
    work = msgspec.convert(job.payload["work"], ServeWork)
    assert (work.endpoint, work.model_name, work.version) == ("digits", "digits", 1)
    assert (work.model, work.contract) == (version.manifest, version.contract)
    assert [launch.module for launch in bench.executor.launched] == ["relive.serving.job"]


def test_the_traffic_moves_when_the_revision_is_ready_and_not_before(bench: Bench) -> None:
    revision = deploy_version(bench.services, "digits", bench.version(), by="ada")
    bench.tick()
    assert bench.services.store.get_endpoint("digits").live == ""
    bench.ready(revision.id)
    assert bench.services.store.get_endpoint("digits").live == revision.id
    ((_, facts),) = bench.events("endpoint.deployed")
    assert (facts["endpoint"], facts["revision"], facts["version"]) == ("digits", 1, 1)


def test_the_one_before_stays_up_and_the_one_before_that_is_stopped(bench: Bench) -> None:
    for _ in range(3):
        bench.deployed(bench.version())
    endpoint = bench.services.store.get_endpoint("digits")
    assert (endpoint.live, endpoint.previous) == (revision_of(bench, 3).id, revision_of(bench, 2).id)
    assert states(bench) == {1: "stopped", 2: "ready", 3: "ready"}
    assert job_of(bench, revision_of(bench, 1)).cancel_requested


def test_an_older_one_that_becomes_ready_late_gets_no_traffic(bench: Bench) -> None:
    slow = deploy_version(bench.services, "digits", bench.version(), by="ada")
    bench.tick()
    bench.deployed(bench.version())
    assert revision_of(bench, 1).state is RevisionState.STOPPED
    endpoint, late = bench.services.store.get_endpoint("digits"), bench.services.store.get_revision(slow.id)
    with pytest.raises(Conflict, match=r"revision 1 of digits: it is stopped, not ready"):
        move_traffic(bench.services, endpoint, late, by="ada")


def test_of_two_that_are_ready_the_newer_one_has_the_traffic(bench: Bench) -> None:
    store = bench.services.store
    old = deploy_version(bench.services, "digits", bench.version(), by="ada")
    new = deploy_version(bench.services, "digits", bench.version(), by="ada")
    bench.tick()
    for revision in (new, old):
        job = job_of(bench, store.get_revision(revision.id))
        job_calls.progress(bench.services, job.id, Progress(fence=job.fence, phase="ready", facts={}))
    bench.tick()
    endpoint = store.get_endpoint("digits")
    assert endpoint.live == new.id
    with pytest.raises(Conflict, match="newer"):
        move_traffic(
            bench.services, endpoint, store.set_revision(old.id, state=RevisionState.READY) or old, by="ada"
        )


def test_moving_to_what_has_the_traffic_changes_nothing(bench: Bench) -> None:
    live = bench.deployed(bench.version())
    endpoint = bench.services.store.get_endpoint("digits")
    assert move_traffic(bench.services, endpoint, live, by="ada") == endpoint
    assert len(bench.events("endpoint.deployed")) == 1


def test_a_rollback_gives_the_traffic_back_and_the_alias_follows(bench: Bench) -> None:
    first, second = bench.version(), bench.version()
    bench.deployed(first)
    bench.deployed(second)
    move_alias(bench.services, "digits", "champion", 2, by="ada")
    move_alias(bench.services, "digits", "oldest", 1, by="ada")
    routed = roll_back(bench.services, "digits", by="ben")
    assert (routed.live, routed.previous) == (revision_of(bench, 1).id, revision_of(bench, 2).id)
    store = bench.services.store
    assert {alias.alias: alias.version for alias in store.list_aliases("digits")} == {
        "champion": 1,
        "oldest": 1,
    }
    assert states(bench) == {1: "ready", 2: "ready"}


def test_a_second_rollback_does_not_go_forward_again(bench: Bench) -> None:
    first, second = bench.version(), bench.version()
    bench.deployed(first)
    bench.deployed(second)
    routed = roll_back(bench.services, "digits", by="ben")
    with pytest.raises(Conflict, match=r"rolled back from digits@2 to digits@1 already") as caught:
        roll_back(bench.services, "digits", by="ben")
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("relive deploy digits@2 digits ")
    assert bench.services.store.get_endpoint("digits") == routed


def test_going_forward_again_takes_the_process_that_still_runs(bench: Bench) -> None:
    first, second = bench.version(), bench.version()
    bench.deployed(first)
    kept = bench.deployed(second)
    roll_back(bench.services, "digits", by="ben")
    assert deploy_version(bench.services, "digits", second, by="ben").id == kept.id
    endpoint = bench.services.store.get_endpoint("digits")
    assert (endpoint.live, endpoint.previous) == (kept.id, revision_of(bench, 1).id)
    assert roll_back(bench.services, "digits", by="ben").live == revision_of(bench, 1).id


def test_after_a_rollback_and_a_new_version_the_way_back_passes_over_the_bad_one(bench: Bench) -> None:
    first, bad = bench.version(), bench.version()
    bench.deployed(first)
    bench.deployed(bad)
    roll_back(bench.services, "digits", by="ben")
    bench.deployed(bench.version())
    assert states(bench) == {1: "ready", 2: "stopped", 3: "ready"}
    assert roll_back(bench.services, "digits", by="ben").live == revision_of(bench, 1).id


def test_what_is_live_keeps_its_revision(bench: Bench) -> None:
    first, second = bench.version(), bench.version()
    bench.deployed(first)
    live = bench.deployed(second)
    before = bench.services.store.get_endpoint("digits")
    assert deploy_version(bench.services, "digits", second, by="ada").id == live.id
    assert bench.services.store.get_endpoint("digits") == before
    assert states(bench) == {1: "ready", 2: "ready"}
    assert len(bench.events("endpoint.deployed")) == 2


def test_the_same_version_twice_on_its_way_leaves_another_version_to_roll_back_to(bench: Bench) -> None:
    bench.deployed(bench.version())
    version = bench.version()
    twice = [deploy_version(bench.services, "digits", version, by="ada") for _ in range(2)]
    bench.tick()
    for revision in twice:
        bench.ready(revision.id)
    endpoint = bench.services.store.get_endpoint("digits")
    assert (endpoint.live, endpoint.previous) == (twice[1].id, revision_of(bench, 1).id)


def test_what_is_live_is_deployed_anew_behind_another_on_its_way(bench: Bench) -> None:
    version = bench.version()
    bench.deployed(version)
    deploy_version(bench.services, "digits", bench.version(), by="ada")
    assert deploy_version(bench.services, "digits", version, by="ada").number == 3


def test_there_is_nothing_to_roll_back_to_at_first(bench: Bench) -> None:
    bench.deployed(bench.version())
    with pytest.raises(Conflict, match="no revision before"):
        roll_back(bench.services, "digits", by="ada")
    with pytest.raises(NotFound, match="nowhere"):
        roll_back(bench.services, "nowhere", by="ada")


def test_a_rollback_to_a_process_that_is_down_is_refused(bench: Bench) -> None:
    for _ in range(2):
        bench.deployed(bench.version())
    lose(bench, revision_of(bench, 1))
    before = bench.services.store.get_endpoint("digits")
    with pytest.raises(Conflict, match="revision 1 is starting"):
        roll_back(bench.services, "digits", by="ada")
    assert bench.services.store.get_endpoint("digits") == before


def test_a_lost_process_is_started_again(bench: Bench) -> None:
    bench.deployed(bench.version())
    before = revision_of(bench, 1)
    lose(bench, before)
    after = revision_of(bench, 1)
    assert after.job_id != before.job_id
    assert (after.state, after.restarts) == (RevisionState.STARTING, 1)
    bench.ready(after.id, "unix:/nowhere/second")
    assert (revision_of(bench, 1).state, revision_of(bench, 1).address) == ("ready", "unix:/nowhere/second")
    assert bench.services.store.get_endpoint("digits").live == after.id


def test_one_that_is_lost_again_and_again_before_it_was_ever_ready_is_given_up(bench: Bench) -> None:
    deploy_version(bench.services, "digits", bench.version(), by="ada")
    bench.tick()
    for _ in range(6):
        lose(bench, revision_of(bench, 1))
    given_up = revision_of(bench, 1)
    assert given_up.state is RevisionState.FAILED
    assert "lost 5 times" in given_up.error


def test_one_that_served_is_never_given_up(bench: Bench) -> None:
    bench.deployed(bench.version())
    for _ in range(7):
        lose(bench, revision_of(bench, 1))
        bench.services.store.list_jobs(states=(JobState.QUEUED,))
    assert revision_of(bench, 1).state is RevisionState.STARTING


def test_one_that_fails_its_contract_test_says_why(bench: Bench) -> None:
    revision = deploy_version(bench.services, "digits", bench.version(), by="ada")
    bench.tick()
    job = job_of(bench, revision_of(bench, 1))
    job_calls.finish(
        bench.services, job.id, ServeReport(fence=job.fence, error="row 3: expected 1, predicted 7")
    )
    bench.tick()
    failed = bench.services.store.get_revision(revision.id)
    assert (failed.state, failed.error) == (RevisionState.FAILED, "row 3: expected 1, predicted 7")
    assert bench.services.store.get_endpoint("digits").live == ""


def test_a_restart_within_the_process_is_counted_and_told(bench: Bench) -> None:
    revision = bench.deployed(bench.version())
    job = job_of(bench, revision)
    message = Progress(fence=job.fence, phase="restarted", message="killed by 9", facts={"restarts": 3})
    job_calls.progress(bench.services, job.id, message)
    told = revision_of(bench, 1)
    assert (told.restarts, told.error, told.state) == (3, "killed by 9", RevisionState.READY)


def test_a_stopped_revision_is_not_brought_back_by_its_ending_process(bench: Bench) -> None:
    revision = bench.deployed(bench.version())
    job = job_of(bench, revision)
    retire(bench.services, revision)
    job_calls.progress(bench.services, job.id, Progress(fence=job.fence, phase="ready", facts={}))
    assert revision_of(bench, 1).state is RevisionState.STOPPED
    assert job_calls.renew(bench.services, job.id, job.fence).cancel


def test_a_deleted_endpoint_leaves_nothing_that_runs(bench: Bench) -> None:
    for _ in range(2):
        bench.deployed(bench.version())
    jobs = [revision_of(bench, 1).job_id, revision_of(bench, 2).job_id]
    endpoints.delete_endpoint(bench.services, "digits", by="ada")
    bench.tick()
    assert all(bench.services.store.get_job(job_id).cancel_requested for job_id in jobs)
    with pytest.raises(NotFound):
        bench.services.store.get_endpoint("digits")
    assert [facts for _, facts in bench.events("endpoint.deleted")] == [{"endpoint": "digits"}]
    again = deploy_version(bench.services, "digits", bench.version(), by="ada")
    bench.tick()
    bench.ready(again.id)
    assert bench.services.store.get_endpoint("digits").live == again.id


def test_an_abandoned_revision_is_stopped_unless_it_has_or_had_the_traffic(bench: Bench) -> None:
    first = bench.deployed(bench.version())
    second = bench.deployed(bench.version())
    waiting = deploy_version(bench.services, "digits", bench.version(), by="ada")
    bench.tick()
    for revision in (first, second, waiting):
        endpoints.abandon(bench.services, revision.id)
    assert states(bench) == {1: "ready", 2: "ready", 3: "stopped"}


def test_one_endpoints_lost_blob_does_not_stop_the_others(bench: Bench) -> None:
    broken, good = bench.version("broken"), bench.version("good")
    recipe = bench.services.store.get_run(broken.run_id).recipe
    bench.services.store.set_run(good.run_id, recipe=bench.recipe("another"))
    bench.services.blobs.delete(recipe)
    deploy_version(bench.services, "broken", broken, by="ada")
    deploy_version(bench.services, "good", good, by="ada")
    bench.tick()
    assert states(bench, "broken") == {1: "failed"}
    assert recipe in revision_of(bench, 1, "broken").error
    assert states(bench, "good") == {1: "starting"}
    assert len(bench.executor.launched) == 1
