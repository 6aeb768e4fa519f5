"""What every store promises of runs: found by a short id, listed in any order, guarded by fences."""

from typing import Any

import pytest

from relive.core.job import JobState
from relive.core.run import Artifact, FailureReason, Input, Metric, ResourceUse, RunKind, RunStatus
from relive.errors import Ambiguous, Conflict, InvalidInput, NotFound, Superseded
from relive.ports.stores import Store
from relive.testing.stores_samples import START, ManualClock, a_job, a_project, a_run, new_id


class RunContract:
    """Promises of `RunStore` about runs themselves."""

    def test_a_run_comes_back_as_it_was(self, store: Store) -> None:
        run = a_run(
            store,
            name="Ünï — 训练",
            failure=FailureReason.OOM,
            exit_code=-9,
            tainted=True,
            usage=ResourceUse(1.5, 0.25, 2**40),
            command="python train.py\n--lr 0.1",
            ended_at=START + 1,
        )
        assert run.created_at == START
        assert store.get_run(run.id) == run
        assert type(run.tainted) is bool

    def test_the_given_time_of_creation_is_kept(self, store: Store) -> None:
        assert a_run(store, created_at=5.5).created_at == 5.5

    def test_a_run_is_found_by_the_beginning_of_its_id(self, store: Store) -> None:
        one = a_run(store, id="ab" + "1" * 30)
        two = a_run(store, id="ab" + "2" * 30)
        assert store.get_run("ab1") == one
        assert store.get_run("ab2") == two
        with pytest.raises(Ambiguous) as caught:
            store.get_run("ab")
        assert caught.value.candidates == (one.id, two.id)

    @pytest.mark.parametrize("name", ["", "cd", "zz", "ab%", "g" * 32, "0" * 40])
    def test_what_no_run_begins_with_is_not_found(self, store: Store, name: str) -> None:
        a_run(store, id="ab" + "1" * 30)
        with pytest.raises(NotFound):
            store.get_run(name)

    def test_a_deleted_run_is_found_by_its_whole_id_and_listed_only_if_asked_for(self, store: Store) -> None:
        kept, gone = a_run(store, id="ab" + "1" * 30), a_run(store, id="ab" + "2" * 30)
        deleted = store.set_run(gone.id, deleted_at=START)
        assert store.get_run("ab") == kept
        assert store.get_run(gone.id) == store.find_run(gone.id) == deleted
        assert store.find_run("ab") is None
        for order in ("-created_at", "-ended_at", "name", "metrics.loss"):
            assert store.list_runs(order=order) == [kept]
            assert store.list_runs(order=order, deleted=True) == [deleted]
            assert store.list_runs(order=order, status="running", text="run") == [kept]
        assert store.count_runs() == store.count_runs(status="running") == 1
        store.set_run(gone.id, deleted_at=None)
        assert len(store.list_runs()) == 2

    def test_an_id_is_used_once(self, store: Store) -> None:
        run = a_run(store)
        with pytest.raises(Conflict):
            a_run(store, id=run.id, name="another")
        assert store.get_run(run.id).name == "a run"

    def test_a_run_changes_where_it_may(self, store: Store) -> None:
        run = a_run(store)
        changed = store.set_run(run.id, status=RunStatus.FAILED, exit_code=1, usage=ResourceUse(1.0, 2.0, 3))
        assert (changed.status, changed.exit_code) == (RunStatus.FAILED, 1)
        assert store.get_run(run.id) == changed
        assert store.set_run(run.id) == changed

    @pytest.mark.parametrize(
        ("changes", "named"),
        [
            ({"id": "x"}, "id"),
            ({"nonsense": 1}, "nonsense"),
            ({"status": "sleeping"}, "sleeping"),
            ({"usage": ResourceUse(float("nan"), 0.0, 0)}, "nan"),
            ({"exit_code": 2**70}, "too large|out of range"),
            ({"reason": "a\0b"}, "NUL"),
            ({"reason": "\ud800"}, "UTF-8"),
        ],
    )
    def test_what_cannot_be_kept_is_refused_by_name(
        self, store: Store, changes: dict[str, Any], named: str
    ) -> None:
        run = a_run(store)
        with pytest.raises(InvalidInput, match=named):
            store.set_run(run.id, **changes)
        assert store.get_run(run.id) == run

    def test_an_unknown_run_cannot_change(self, store: Store) -> None:
        with pytest.raises(NotFound):
            store.set_run(new_id(), status=RunStatus.FAILED)


class RunListContract:
    """Promises of `RunStore.list_runs` and `count_runs`."""

    def test_runs_that_fell_silent_are_known(self, store: Store) -> None:
        running = {"status": RunStatus.RUNNING}
        silent = a_run(store, heard_at=START - 100, **running)
        a_run(store, heard_at=START - 50, **running)
        beyond = a_run(store, heard_at=START + 50, **running)
        a_run(store, **running)
        a_run(store, heard_at=START - 100, status=RunStatus.FINISHED)
        found = store.list_silent_runs(before=START - 50, after=START + 30)
        assert {run.id for run in found} == {silent.id, beyond.id}
        store.set_run(silent.id, heard_at=START)
        assert store.list_silent_runs(before=START - 50, after=START + 60) == []

    def test_newest_first_and_paged(self, store: Store, clock: ManualClock) -> None:
        ids = []
        for _ in range(5):
            ids.append(a_run(store).id)
            clock.advance(1)
        listed = [run.id for run in store.list_runs(limit=2)]
        assert listed + [run.id for run in store.list_runs(limit=9, offset=2)] == ids[::-1]
        assert [run.id for run in store.list_runs(order="created_at", limit=2)] == ids[:2]

    def test_each_filter_narrows(self, store: Store) -> None:
        other = a_project(store, "other")
        wanted = a_run(
            store,
            project_id=other.id,
            kind=RunKind.REPLAY,
            status=RunStatus.LOST,
            pipeline_id="p",
            stage_id="s",
            replay_of="r",
        )
        a_run(store)
        assert store.list_runs(project_id=other.id) == [wanted]
        assert store.list_runs(experiment_id=wanted.experiment_id) == [wanted]
        assert store.list_runs(pipeline_id="p") == [wanted]
        assert store.list_runs(stage_id="s") == [wanted]
        assert store.list_runs(kind="replay") == [wanted]
        assert store.list_runs(status="lost") == [wanted]
        assert store.list_runs(replay_of="r") == [wanted]
        assert store.list_runs(replay_of="r", status="running") == []
        assert len(store.list_runs(status=None)) == 2

    def test_runs_are_counted(self, store: Store) -> None:
        other = a_project(store, "other")
        for status in (RunStatus.RUNNING, RunStatus.FAILED, RunStatus.FAILED):
            a_run(store, status=status)
        a_run(store, project_id=other.id)
        assert store.count_runs() == 4
        assert store.count_runs(status="failed") == 2
        assert store.count_runs(project_id=other.id, status="running") == 1
        assert store.count_runs(project_id=new_id()) == 0
        assert [store.count_runs(most=most) for most in (0, 1, 3, 4, 9)] == [1, 2, 4, 4, 4]

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("brave", True),
            ("BRA ott", True),
            ("otter-7", True),
            ("train", True),
            ("abcd12", True),
            ("ave", False),
            ("brave wolf", False),
            ("100% _", False),
            ("%", True),
            ("", True),
        ],
    )
    def test_text_is_the_beginnings_of_words(self, store: Store, text: str, found: bool) -> None:
        a_run(store, name="Brave_Otter-7", stage="train[seed=1]", commit="abcd1234" * 5)
        assert bool(store.list_runs(text=text)) is found

    def test_a_renamed_run_is_found_by_its_new_name(self, store: Store) -> None:
        run = a_run(store, name="before")
        store.set_run(run.id, name="after")
        assert [it.id for it in store.list_runs(text="after")] == [run.id]
        assert store.list_runs(text="before") == []
        assert [it.id for it in store.list_runs(text=run.id[:12])] == [run.id]

    def test_by_a_metric_and_those_without_it_last(self, store: Store, clock: ManualClock) -> None:
        ids = {}
        for name, value in (("b", 2.0), ("nan", float("nan")), ("c", 3.0), ("none", None), ("a", 1.0)):
            ids[name] = a_run(store, name=name).id
            if value is not None:
                store.record_metrics(ids[name], [Metric("acc", 9.0, 0), Metric("acc", value, 1)])
            clock.advance(1)

        def page(order: str, offset: int = 0, limit: int = 9) -> list[str]:
            return [run.name for run in store.list_runs(order=order, offset=offset, limit=limit)]

        assert page("metrics.acc") == ["a", "b", "c", "none", "nan"]
        assert page("-metrics.acc") == ["c", "b", "a", "none", "nan"]
        whole = page("-metrics.acc")
        for limit in (1, 2, 3, 4):
            names = [name for offset in range(0, 5, limit) for name in page("-metrics.acc", offset, limit)]
            assert names == whole
        assert page("metrics.unknown") == ["a", "none", "c", "nan", "b"]

    def test_by_a_time_and_those_without_it_last(self, store: Store, clock: ManualClock) -> None:
        for name, ended_at in (("open", None), ("late", 20.0), ("soon", 10.0), ("newer", None)):
            a_run(store, name=name, ended_at=ended_at)
            clock.advance(1)
        ended = [run.name for run in store.list_runs(order="ended_at")]
        assert ended == ["soon", "late", "newer", "open"]
        assert [run.name for run in store.list_runs(order="-ended_at", limit=2, offset=1)] == [
            "soon",
            "newer",
        ]

    def test_by_name_as_bytes(self, store: Store) -> None:
        for name in ("b", "Z", "a", "ä"):
            a_run(store, name=name)
        assert [run.name for run in store.list_runs(order="name")] == ["Z", "a", "b", "ä"]

    @pytest.mark.parametrize("order", ["", "-", "secret", "metrics", "created_at; drop table runs"])
    def test_an_unknown_order_is_refused(self, store: Store, order: str) -> None:
        with pytest.raises(InvalidInput, match="order"):
            store.list_runs(order=order)

    def test_an_unknown_status_is_refused(self, store: Store) -> None:
        with pytest.raises(InvalidInput, match="sleeping"):
            store.list_runs(status="sleeping")


class FenceContract:
    """A write for a job's run carries that job's fence, and a stale one changes nothing."""

    def test_a_run_without_a_job_takes_its_own_fence_only(self, store: Store) -> None:
        run = a_run(store, fence=2)
        store.record_metrics(run.id, [Metric("acc", 1.0)], fence=2)
        with pytest.raises(Superseded, match="fence 1"):
            store.record_metrics(run.id, [Metric("acc", 2.0, 1)], fence=1)
        assert [point.value for point in store.get_series(run.id, "acc")] == [1.0]

    def test_before_its_job_is_queued_the_runs_fence_is_enough(self, store: Store) -> None:
        run = a_run(store, job_id=new_id(), fence=1)
        assert store.set_run(run.id, fence=1, reason="soon").reason == "soon"

    def test_every_write_of_a_stale_claim_is_refused(self, store: Store, clock: ManualClock) -> None:
        job = a_job()
        run = a_run(store, job_id=job.id, fence=1)
        store.put(job)
        store.claim("one", pools=["local"], kinds=[job.kind], lease_s=10)
        store.record_params(run.id, {"lr": 0.1}, fence=1)
        clock.advance(11)
        store.claim("two", pools=["local"], kinds=[job.kind], lease_s=10)
        for write in _writes(store, run.id):
            with pytest.raises(Superseded):
                write(1)
            with pytest.raises(Superseded):
                write(2)  # the claim that holds the job now, but this run is not its own
        assert store.get_run(run.id) == run
        assert store.list_tags([run.id]) == {}

    @pytest.mark.parametrize("state", [JobState.DONE, JobState.FAILED, JobState.CANCELLED, JobState.LOST])
    def test_after_its_job_nothing_is_written_with_its_fence(self, store: Store, state: JobState) -> None:
        job = a_job()
        run = a_run(store, job_id=job.id, fence=1)
        store.put(job)
        store.claim("one", pools=["local"], kinds=[job.kind], lease_s=10)
        assert store.set_run(run.id, fence=1, status=RunStatus.FINISHED).status is RunStatus.FINISHED
        store.finish(job.id, 1, state, result={})
        for write in _writes(store, run.id):
            with pytest.raises(Superseded, match="over"):
                write(1)
        assert store.get_run(run.id).status is RunStatus.FINISHED
        assert store.set_run(run.id, superseded_by="x").superseded_by == "x"  # the hub's own word

    def test_a_write_for_no_run_is_not_found(self, store: Store) -> None:
        for write in _writes(store, new_id()):
            with pytest.raises(NotFound):
                write(None)


def _writes(store: Store, run_id: str) -> list[Any]:
    artifact = Artifact(run_id=run_id, path="a", manifest="m", size_bytes=1, files=1)
    used = Input(run_id=run_id, path="i", manifest="m", origin="file")
    return [
        lambda fence: store.set_run(run_id, fence=fence, reason="late"),
        lambda fence: store.record_metrics(run_id, [Metric("late", 1.0)], fence=fence),
        lambda fence: store.record_params(run_id, {"late": 1}, fence=fence),
        lambda fence: store.set_tags(run_id, {"late": "1"}, fence=fence),
        lambda fence: store.record_artifact(artifact, fence=fence),
        lambda fence: store.record_inputs([used], fence=fence),
        lambda fence: store.append_log(run_id, b"late", offset=0, fence=fence),
    ]
