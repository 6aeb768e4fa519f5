"""What every store promises of events, of groups of calls, and of threads."""

import threading
from collections.abc import Callable
from functools import partial

import pytest

from relive.core.event import Event
from relive.core.run import Metric
from relive.errors import Conflict, NotFound
from relive.ports.stores import Store
from relive.testing.stores_samples import (
    START,
    ManualClock,
    a_job,
    a_pipeline,
    a_project,
    a_revision,
    a_run,
)

PATIENCE_S = 120.0


def run_threads(*works: Callable[[], None]) -> None:
    """Run each in a thread of its own, to the end; raises what the first of them raised."""
    errors: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  # raised again below, in the test's thread
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), "a thread hangs"
    if errors:
        raise errors[0]


class _Stop(Exception):
    """Ends a group in the middle."""


def _do_and_stop(*calls: Callable[[], object]) -> None:
    for call in calls:
        call()
    raise _Stop


class EventContract:
    """Promises of `EventStore`."""

    def test_events_are_numbered_in_order(self, store: Store, clock: ManualClock) -> None:
        first = store.record_event(
            Event(kind="push", actor="ann", subject="project:1", facts={"ref": ["x", None]})
        )
        clock.advance(-100)
        second = store.record_event(Event(kind="push", actor="ann", subject="project:1"))
        assert first.id < second.id
        assert (first.at, second.at) == (START, START - 100)
        assert store.list_events() == [first, second]
        assert store.list_events(newest_first=True, limit=1) == [second]
        assert store.list_events(after=first.id) == [second]

    def test_the_given_time_is_kept(self, store: Store) -> None:
        assert store.record_event(Event(kind="k", actor="a", subject="s", at=7.5)).at == 7.5

    def test_each_filter_narrows(self, store: Store) -> None:
        for number in range(8):
            kind, subject, project = (
                f"{name}{number >> bit & 1}" for bit, name in enumerate(("k", "s", "p"))
            )
            store.record_event(Event(kind=kind, actor="a", subject=subject, project=project))
        assert len(store.list_events(kind="k0")) == 4
        assert len(store.list_events(subject="s1", project="p0")) == 2
        assert len(store.list_events(kind="k1", subject="s1", project="p1")) == 1
        assert store.list_events(kind="none") == []

    def test_a_reader_that_follows_misses_no_event(self, store: Store) -> None:
        """Numbers become visible in their order, though groups and single events come from many threads."""
        writers, each = 4, 25
        seen: list[int] = []
        done = threading.Event()

        def write(number: int) -> None:
            for step in range(each):
                event = Event(kind="k", actor=str(number), subject="s")
                if step % 2:
                    store.record_event(event)
                else:
                    with store.transaction():
                        store.set_meta(f"key{number}", str(step))
                        store.record_event(event)
                        store.set_meta("shared", str(step))

        def follow() -> None:
            while True:
                last_look = done.is_set()
                seen.extend(event.id for event in store.list_events(after=seen[-1] if seen else 0))
                if last_look:
                    return

        follower = threading.Thread(target=follow, daemon=True)
        follower.start()
        try:
            run_threads(*(partial(write, number) for number in range(writers)))
        finally:
            done.set()
            follower.join(PATIENCE_S)
        assert seen == [event.id for event in store.list_events(limit=1000)]
        assert len(seen) == writers * each


class TransactionContract:
    """Promises of `Store.transaction`, and of calls from many threads."""

    def test_a_group_is_kept_whole(self, store: Store) -> None:
        with store.transaction():
            project = store.create_project("demo")
            store.set_meta("key", project.id)
            assert store.get_meta("key") == project.id  # it sees what it wrote
        assert store.get_meta("key") == store.get_project("demo").id

    def test_a_group_that_fails_leaves_nothing(self, store: Store) -> None:
        with pytest.raises(_Stop), store.transaction():
            _do_and_stop(lambda: store.create_project("demo"), lambda: store.put(a_job()))
        assert store.list_projects() == []
        assert store.list_jobs() == []

    def test_a_failed_call_inside_a_group_undoes_itself_alone(self, store: Store) -> None:
        a_project(store)
        with store.transaction():
            store.set_meta("before", "1")
            with pytest.raises(Conflict):
                store.create_project("demo")
            with pytest.raises(NotFound):
                store.get_run("0" * 32)
            store.set_meta("after", "1")
        assert (store.get_meta("before"), store.get_meta("after")) == ("1", "1")

    def test_a_group_joins_the_one_around_it(self, store: Store) -> None:
        def inner() -> None:
            with store.transaction():
                store.set_meta("inner", "1")

        with pytest.raises(_Stop), store.transaction():
            _do_and_stop(inner)
        assert store.get_meta("inner") is None
        with store.transaction():
            store.set_meta("outer", "1")
            with pytest.raises(_Stop), store.transaction():
                _do_and_stop(lambda: store.set_meta("inner", "1"))
        assert (store.get_meta("outer"), store.get_meta("inner")) == ("1", None)

    def test_another_thread_sees_a_group_at_its_end(self, store: Store) -> None:
        wrote, looked = threading.Event(), threading.Event()
        seen: list[str | None] = []

        def write() -> None:
            with store.transaction():
                store.set_meta("key", "1")
                wrote.set()
                assert looked.wait(PATIENCE_S)

        def look() -> None:
            assert wrote.wait(PATIENCE_S)
            seen.append(store.get_meta("key"))
            looked.set()

        run_threads(write, look)
        assert seen == [None]
        assert store.get_meta("key") == "1"

    def test_many_threads_lose_nothing(self, store: Store) -> None:
        threads, each = 8, 6
        runs = [a_run(store), a_run(store)]

        def work(number: int) -> None:
            for step in range(each):
                a_pipeline(store)
                points = [Metric("x", float(number), step, float(key)) for key in range(5)]
                for run in runs:
                    store.record_metrics(run.id, points, batch=f"{number}.{step}")
                    store.record_metrics(run.id, points, batch=f"{number}.{step}")
                with store.transaction():
                    store.set_tags(runs[number % 2].id, {f"{number}.{step}": "1"})
                    store.record_event(Event(kind="k", actor="a", subject="s"))

        run_threads(*(partial(work, number) for number in range(threads)))
        numbers = [pipeline.number for pipeline in store.list_pipelines(limit=1000)]
        assert sorted(numbers) == list(range(1, threads * each + 1))
        assert [summary.count for summary in store.list_metrics([run.id for run in runs])] == [
            threads * each * 5
        ] * 2
        assert all(len(store.get_series(run.id, "x")) == threads * each * 5 for run in runs)
        assert sum(len(tags) for tags in store.list_tags([run.id for run in runs]).values()) == threads * each
        assert len(store.list_events(limit=1000)) == threads * each

    def test_threads_that_group_the_same_things_in_another_order_all_end(self, store: Store) -> None:
        jobs = [a_job() for _ in range(2)]
        runs = [a_run(store, job_id=job.id, fence=1) for job in jobs]
        for job in jobs:
            store.put(job)
            store.claim("owner", pools=["local"], kinds=[job.kind], lease_s=60)
        endpoint = store.ensure_endpoint(a_project(store).id, "e", "digits")
        revision = a_revision(store, endpoint)

        def grouped(order: int) -> None:
            for step in range(10):
                with store.transaction():
                    for index in (order, 1 - order):
                        store.set_run(runs[index].id, fence=1, reason=str(step))
                        store.route(endpoint.id, live=str(step), previous="")
                        store.set_revision(revision.id, address=str(step))

        def single(index: int) -> None:
            for step in range(20):
                store.record_metrics(runs[index].id, [Metric("x", 1.0, step)], fence=1)
                store.renew(jobs[index].id, 1, lease_s=60)
                store.set_revision(revision.id, address=str(-step))

        run_threads(partial(grouped, 0), partial(grouped, 1), partial(single, 0), partial(single, 1))
        assert [summary.count for summary in store.list_metrics([run.id for run in runs])] == [20, 20]
        assert store.routing_version() == 2 * 10 * 2 * 2 + 2 * 20
