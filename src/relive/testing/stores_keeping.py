"""What every store promises about deleting for good, and about what must stay."""

import pytest

from relive.core.access import Scope, Token
from relive.core.event import Event
from relive.core.job import JobKind
from relive.core.run import Artifact, Input, Metric, RunKind, RunStatus
from relive.core.stored_file import StoredFile
from relive.core.trace import Span, Trace
from relive.errors import NotFound
from relive.ports.housekeeping import Deleted
from relive.ports.stores import Store
from relive.testing.stores_logged_models import a_logged_model
from relive.testing.stores_samples import (
    START,
    ManualClock,
    a_job,
    a_pipeline,
    a_project,
    a_run,
    a_version,
    stage_of,
)

DIGESTS = [f"blake3:{number:064x}" for number in range(5)]
A, B, C, D, E = DIGESTS


def digests_in(store: Store) -> set[str]:
    """Give all digests that the store refers to."""
    return set().union(*store.list_digests())


class KeepingContract:
    """Promises of `KeepingStore`."""

    def test_a_purged_run_leaves_nothing(self, store: Store) -> None:
        run, other = a_run(store), a_run(store)
        for it in (run, other):
            store.record_metrics(it.id, [Metric("x", 1.0, step) for step in range(30)], batch="b")
            store.record_params(it.id, {"lr": 0.1})
            store.set_tags(it.id, {"a": "b"})
            store.record_artifact(Artifact(run_id=it.id, path="m", manifest=A, size_bytes=1, files=1))
            store.record_inputs([Input(run_id=it.id, path="d", manifest=B, origin="file")])
            store.append_log(it.id, b"hello", offset=0)
            store.set_run(it.id, status=RunStatus.FINISHED)
        while store.pack_metrics():
            pass
        store.set_run(run.id, deleted_at=START)
        assert store.list_deleted(before=START) == Deleted((), ())
        assert store.list_deleted(before=START + 1) == Deleted((run.id,), ())
        assert store.purge_run(run.id)
        with pytest.raises(NotFound):
            store.purge_run(run.id)
        assert store.list_deleted(before=START + 1) == Deleted((), ())
        assert store.list_metrics([run.id]) == []
        assert store.list_artifacts(run.id) == []
        assert store.list_inputs(run.id) == []
        assert len(store.get_points(run.id, "x")) == 0
        assert store.list_params([run.id]) == store.list_tags([run.id]) == {}
        assert store.read_log(run.id) == b""
        assert len(store.get_points(other.id, "x")) == 30
        assert store.list_params([other.id]) == {other.id: {"lr": 0.1}}

    def test_a_run_that_was_not_deleted_stays(self, store: Store) -> None:
        run = a_run(store)
        assert not store.purge_run(run.id)
        assert store.get_run(run.id) == run

    def test_what_a_version_or_a_stage_names_stays(self, store: Store) -> None:
        made, staged = a_run(store), a_run(store)
        a_version(store, run_id=made.id)
        stage = stage_of(a_pipeline(store), run_id=staged.id)
        store.create_stages([stage])
        working = a_run(store, job_id="a job that has not ended")
        for run in (made, staged, working):
            store.set_run(run.id, deleted_at=START - 1)
            assert not store.purge_run(run.id)
        assert store.list_deleted(before=START) == Deleted((), ())
        store.set_run(working.id, status=RunStatus.LOST)
        assert store.list_deleted(before=START) == Deleted((working.id,), ())

    def test_an_experiment_goes_when_its_runs_have_gone(self, store: Store) -> None:
        project = a_project(store)
        experiment = store.ensure_experiment(project.id, "old")
        run = a_run(store, experiment_id=experiment.id)
        store.set_run(run.id, deleted_at=START - 1)
        assert not store.purge_experiment(experiment.id)
        store.delete_experiment(experiment.id)
        assert not store.purge_experiment(experiment.id)
        assert store.purge_run(run.id)
        assert store.list_deleted(before=START + 1).experiments == (experiment.id,)
        assert store.purge_experiment(experiment.id)
        assert store.find_experiment("old", project.id) is None

    def test_an_experiment_takes_its_traces_and_their_files_along(self, store: Store) -> None:
        project = a_project(store)
        gone, stays = (store.ensure_experiment(project.id, name).id for name in ("gone", "stays"))
        for experiment_id in (gone, stays):
            trace = Trace(id=f"tr-{experiment_id}", experiment_id=experiment_id, started_ms=1)
            store.create_trace(trace)
            store.record_spans([Span(trace_id=trace.id, id="1", started_ns=1, content="{}")])
            store.record_file(StoredFile(path=f"{experiment_id}/traces/{trace.id}/a", digest=A, size_bytes=1))
        models = [
            a_logged_model(store, experiment_id=gone, name=name).id
            for name in ("versioned", "named", "unused")
        ]
        for model_id in models:
            store.record_file(StoredFile(path=f"{gone}/models/{model_id}/a", digest=B, size_bytes=1))
        a_version(store, logged_model_id=models[0])
        a_version(store, source=f"mlflow-artifacts:/{gone}/models/{models[1]}/artifacts")
        store.delete_experiment(gone)
        assert store.purge_experiment(gone)
        assert [trace.id for trace in store.list_traces([f"tr-{gone}", f"tr-{stays}"])] == [f"tr-{stays}"]
        assert list(store.list_spans([f"tr-{gone}", f"tr-{stays}"])) == [f"tr-{stays}"]
        left = {file.path for file in store.list_files("")}
        assert left == {
            f"{stays}/traces/tr-{stays}/a",
            *(f"{gone}/models/{model_id}/a" for model_id in models[:2]),
        }

    def test_a_digest_is_found_wherever_it_stands(self, store: Store) -> None:
        run = a_run(store, recipe=A)
        store.set_tags(run.id, {"note": f"see {B}."})
        store.put(a_job(payload={"lock": {"digest": C}}))
        store.record_event(
            Event(kind="x", actor="ann", subject="y", facts={"list": [D, D.replace("3:", "2:")]})
        )
        assert digests_in(store) == {A, B, C, D}

    def test_a_pin_and_a_deletion_never_meet(self, store: Store, clock: ManualClock) -> None:
        assert store.pin_blobs([A, B, A]) == set()
        assert store.doom_blobs([B, C]) == {C}
        assert store.pin_blobs([B, C, D]) == {C}
        assert store.pin_blobs([]) == set()
        clock.advance(10.0)
        store.pin_blobs([A])
        store.release_blobs(before=clock.now)
        assert store.pin_blobs([C]) == set()
        assert store.doom_blobs([A, B, D]) == {B, D}

    def test_the_oldest_open_work_is_known(self, store: Store, clock: ManualClock) -> None:
        since = START - 1
        assert store.oldest_open(since=since) is None
        job = a_job()
        store.put(job)
        clock.advance(5.0)
        a_pipeline(store)
        assert store.oldest_open(since=since) == START
        assert store.oldest_open(since=START) == START + 5.0
        store.request_cancel(job.id)
        assert store.oldest_open(since=since) == START + 5.0
        a_run(store, created_at=START + 3.0)
        a_run(store, kind=RunKind.CLIENT, created_at=START + 1.0)
        store.put(a_job(kind=JobKind.SERVE, created_at=START))
        assert store.oldest_open(since=since) == START + 3.0

    def test_what_expired_goes(self, store: Store, clock: ManualClock) -> None:
        for name, expires_at in (("old", START - 5), ("young", START + 5), ("for ever", None)):
            store.create_token(
                Token(id=name, scope=Scope.MEMBER, subject="user:ann", expires_at=expires_at), "digest"
            )
        run = a_run(store)
        store.record_metrics(run.id, [Metric("x", 1.0)], batch="b1")
        clock.advance(100.0)
        store.record_metrics(run.id, [Metric("x", 2.0)], batch="b2")
        assert store.delete_expired(tokens_before=START + 1, batches_before=START + 1) == 2
        assert {token.id for token in store.list_tokens()} == {"young", "for ever"}
        store.record_metrics(run.id, [Metric("x", 3.0)], batch="b2")
        assert store.list_metrics([run.id])[0].count == 2

    def test_logs_of_runs_that_others_took_over_go(self, store: Store) -> None:
        done = {"status": RunStatus.LOST, "log": A, "log_bytes": 7, "ended_at": START}
        lost, kept = a_run(store, **done, superseded_by="x"), a_run(store, **done)
        assert store.drop_superseded_logs(before=START) == 0
        assert store.drop_superseded_logs(before=START + 1) == 1
        assert (store.get_run(lost.id).log, store.get_run(kept.id).log) == ("", A)

    def test_room_is_given_back(self, store: Store) -> None:
        store.tidy()
        assert store.compact() == 0
        assert store.give_back(most_bytes=1 << 20) >= 0
