"""What every store promises of its queue: leases with fencing, cancellation, named locks, pools."""

import math
from collections.abc import Sequence
from typing import Any

import pytest

from relive.core.job import Job, JobKind, JobState, Pool
from relive.errors import Conflict, InvalidInput, NotFound, Superseded
from relive.ports.stores import Store
from relive.testing.stores_samples import START, ManualClock, a_job, new_id

LEASE_S = 10.0


def put(store: Store, **attributes: Any) -> Job:
    """Queue a job with these attributes."""
    job = store.put(a_job(**attributes))
    assert job is not None
    return job


def claim(
    store: Store,
    owner: str = "one",
    *,
    pools: Sequence[str] = ("local",),
    kinds: Sequence[JobKind] = tuple(JobKind),
    lease_s: float = LEASE_S,
) -> Job | None:
    """Claim the next job of a pool."""
    return store.claim(owner, pools=pools, kinds=kinds, lease_s=lease_s)


def claimed(store: Store, owner: str = "one", **options: Any) -> Job:
    """Claim the next job; there is one."""
    job = claim(store, owner, **options)
    assert job is not None
    return job


class ClaimContract:
    """Promises of `JobQueue` about who gets which job, and when."""

    def test_a_job_comes_back_as_it_was_put(self, store: Store) -> None:
        job = put(store, payload={"work": {"n": [1, None]}}, priority=3, max_attempts=7, subject="stage:1")
        assert store.get_job(job.id) == job
        assert (job.state, job.created_at, job.fence) == (JobState.QUEUED, START, 0)
        with pytest.raises(NotFound):
            store.get_job(new_id())

    def test_a_job_is_put_fresh_whatever_it_says(self, store: Store) -> None:
        job = put(store, state=JobState.DONE, fence=5, attempt=2, lease_owner="x", cancel_requested=True)
        assert (job.state, job.fence, job.attempt, job.lease_owner) == (JobState.QUEUED, 0, 0, "")
        assert claimed(store).id == job.id

    def test_a_unique_key_queues_once_for_ever(self, store: Store) -> None:
        first = store.put(a_job(), unique="push 1")
        assert first is not None
        assert store.put(a_job(), unique="push 1") is None
        store.finish(first.id, claimed(store).fence, JobState.DONE, result={})
        assert store.put(a_job(), unique="push 1") is None
        assert store.put(a_job(), unique="push 2") is not None
        assert store.put(a_job()) is not None
        assert store.put(a_job()) is not None

    def test_an_id_is_queued_once(self, store: Store) -> None:
        job = put(store)
        with pytest.raises(Conflict):
            store.put(job)

    def test_a_claim_holds_a_lease_and_a_fence(self, store: Store, clock: ManualClock) -> None:
        job = put(store)
        clock.advance(1)
        held = claimed(store, "one")
        assert held.id == job.id
        assert (held.state, held.fence, held.attempt, held.lease_owner) == (JobState.RUNNING, 1, 1, "one")
        assert (held.started_at, held.lease_until) == (START + 1, START + 1 + LEASE_S)
        assert store.get_job(job.id) == held
        assert claim(store, "two") is None

    def test_the_highest_priority_goes_first_then_the_first_put(
        self, store: Store, clock: ManualClock
    ) -> None:
        wanted = {}
        for name, priority in (("c", 0), ("a", 5), ("d", 0), ("b", 5), ("e", -1)):
            wanted[put(store, priority=priority).id] = name
            clock.advance(-1)  # arrival counts, not the clock
        assert [wanted[claimed(store).id] for _ in range(5)] == list("abcde")

    def test_pools_and_kinds_are_honoured(self, store: Store) -> None:
        stage = put(store, kind=JobKind.STAGE, pool="gpu")
        plan = put(store, kind=JobKind.PLAN, pool="hub")
        assert claim(store, pools=["gpu"], kinds=[JobKind.PLAN]) is None
        assert claim(store, pools=[], kinds=[JobKind.PLAN]) is None
        assert claim(store, pools=["hub"], kinds=[]) is None
        assert claimed(store, pools=["local", "hub"], kinds=[JobKind.STAGE, JobKind.PLAN]).id == plan.id
        assert claimed(store, pools=["gpu"], kinds=[JobKind.STAGE]).id == stage.id

    def test_a_job_waits_for_its_time(self, store: Store, clock: ManualClock) -> None:
        put(store, run_after=START + 5, priority=9)
        soon = put(store)
        assert claimed(store).id == soon.id
        assert claim(store) is None
        clock.advance(5)
        assert claim(store) is not None

    def test_an_expired_lease_is_claimed_again_with_a_higher_fence(
        self, store: Store, clock: ManualClock
    ) -> None:
        job = put(store, max_attempts=2)
        first = claimed(store)
        store.set_handle(job.id, first.fence, {"pid": 1})
        clock.advance(LEASE_S - 0.001)
        assert claim(store) is None
        clock.advance(0.001)
        second = claimed(store, "two")
        assert (second.id, second.fence, second.attempt, second.handle) == (job.id, 2, 2, {})

    def test_an_expired_job_keeps_its_place_among_the_waiting(self, store: Store, clock: ManualClock) -> None:
        first = put(store)
        claimed(store)
        second, urgent = put(store), put(store, priority=1)
        clock.advance(LEASE_S)
        assert [claimed(store).id for _ in range(3)] == [urgent.id, first.id, second.id]

    def test_without_attempts_left_it_is_lost(self, store: Store, clock: ManualClock) -> None:
        job = put(store, max_attempts=1)
        claimed(store)
        assert store.lose_expired() == []
        clock.advance(LEASE_S)
        assert claim(store) is None
        lost = store.lose_expired()
        assert [(it.id, it.state, it.ended_at) for it in lost] == [(job.id, JobState.LOST, START + LEASE_S)]
        assert "silent" in lost[0].error
        assert store.get_job(job.id) == lost[0]
        assert store.lose_expired() == []

    def test_with_attempts_left_it_is_not_lost(self, store: Store, clock: ManualClock) -> None:
        put(store, max_attempts=2)
        claimed(store)
        clock.advance(LEASE_S)
        assert store.lose_expired() == []
        assert claimed(store).attempt == 2

    def test_jobs_are_listed_newest_first(self, store: Store) -> None:
        one = put(store, kind=JobKind.PLAN, pool="hub", subject="project:1")
        two, three = put(store), put(store, subject="stage:1")
        running = claimed(store)
        assert running.id == two.id
        assert [it.id for it in store.list_jobs()] == [three.id, two.id, one.id]
        assert store.list_jobs(states=[JobState.RUNNING]) == [running]
        assert store.list_jobs(states=[JobState.QUEUED, JobState.RUNNING], kinds=[JobKind.PLAN]) == [one]
        assert store.list_jobs(pool="hub") == [one]
        assert store.list_jobs(subject="stage:1") == [three]
        assert store.list_jobs(limit=1) == [three]

    @pytest.mark.parametrize("lease_s", [0.0, -1.0, math.nan, math.inf])
    def test_a_lease_without_an_end_or_a_length_is_refused(self, store: Store, lease_s: float) -> None:
        put(store)
        with pytest.raises(InvalidInput, match="lease_s"):
            claim(store, lease_s=lease_s)
        held = claimed(store)
        with pytest.raises(InvalidInput, match="lease_s"):
            store.renew(held.id, held.fence, lease_s=lease_s)
        with pytest.raises(InvalidInput, match="lease_s"):
            store.hold_lock("scheduler", "one", lease_s=lease_s)


class LeaseContract:
    """Promises of `JobQueue` about what the holder of a claim may do, and nobody else."""

    def test_a_renewed_lease_is_not_claimed(self, store: Store, clock: ManualClock) -> None:
        put(store)
        held = claimed(store)
        clock.advance(LEASE_S - 1)
        assert store.renew(held.id, held.fence, lease_s=LEASE_S).lease_until == clock.now + LEASE_S
        clock.advance(LEASE_S - 1)
        assert claim(store, "two") is None

    def test_an_expired_lease_that_nobody_took_can_be_renewed(self, store: Store, clock: ManualClock) -> None:
        put(store)
        held = claimed(store)
        clock.advance(10 * LEASE_S)
        assert store.renew(held.id, held.fence, lease_s=LEASE_S).state is JobState.RUNNING
        assert claim(store, "two") is None

    def test_a_job_ends_once(self, store: Store, clock: ManualClock) -> None:
        put(store)
        held = claimed(store)
        clock.advance(2)
        done = store.finish(held.id, held.fence, JobState.DONE, result={"acc": 0.9}, error="")
        assert (done.state, done.result, done.ended_at) == (JobState.DONE, {"acc": 0.9}, START + 2)
        for state in (JobState.DONE, JobState.FAILED):
            with pytest.raises(Superseded, match="done"):
                store.finish(held.id, held.fence, state, result={"acc": 0.1})
        assert store.get_job(held.id) == done
        clock.advance(LEASE_S)
        assert claim(store) is None
        assert store.lose_expired() == []

    @pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING])
    def test_a_job_does_not_end_unfinished(self, store: Store, state: JobState) -> None:
        put(store)
        held = claimed(store)
        with pytest.raises(InvalidInput, match="state"):
            store.finish(held.id, held.fence, state, result={})

    def test_a_stale_worker_is_refused_everything(self, store: Store, clock: ManualClock) -> None:
        put(store)
        stale = claimed(store, "one")
        clock.advance(LEASE_S)
        held = claimed(store, "two")
        for write in self._writes(store, stale.id):
            with pytest.raises(Superseded, match="fence 1"):
                write(stale.fence)
            with pytest.raises(Superseded, match="fence 9"):
                write(9)
        assert store.get_job(held.id) == held
        assert store.finish(held.id, held.fence, JobState.DONE, result={}).state is JobState.DONE

    def test_an_unclaimed_job_has_no_holder(self, store: Store) -> None:
        job = put(store)
        for write in self._writes(store, job.id):
            with pytest.raises(Superseded, match="queued"):
                write(0)
        assert store.get_job(job.id) == job
        for write in self._writes(store, new_id()):
            with pytest.raises(NotFound):
                write(1)

    def test_a_released_job_is_claimed_again_later(self, store: Store, clock: ManualClock) -> None:
        put(store, max_attempts=1)
        held = claimed(store)
        back = store.release(held.id, held.fence, delay_s=5, error="no room")
        assert (back.state, back.run_after, back.error) == (JobState.QUEUED, START + 5, "no room")
        assert claim(store) is None
        with pytest.raises(Superseded):
            store.renew(held.id, held.fence, lease_s=LEASE_S)
        clock.advance(5)
        again = claimed(store)
        assert (again.fence, again.attempt) == (2, 2)

    def test_a_handle_is_kept(self, store: Store) -> None:
        put(store)
        held = claimed(store)
        store.set_handle(held.id, held.fence, {"pid": 7, "boot": "x"})
        assert store.get_job(held.id).handle == {"pid": 7, "boot": "x"}

    def test_a_queued_job_is_cancelled_at_once(self, store: Store, clock: ManualClock) -> None:
        job = put(store)
        clock.advance(1)
        cancelled = store.request_cancel(job.id)
        assert (cancelled.state, cancelled.ended_at) == (JobState.CANCELLED, START + 1)
        assert claim(store) is None
        assert store.request_cancel(job.id) == cancelled
        with pytest.raises(NotFound):
            store.request_cancel(new_id())

    def test_a_running_job_is_asked_to_end(self, store: Store) -> None:
        put(store)
        held = claimed(store)
        assert store.request_cancel(held.id).state is JobState.RUNNING
        assert store.renew(held.id, held.fence, lease_s=LEASE_S).cancel_requested
        done = store.finish(held.id, held.fence, JobState.DONE, result={})
        assert store.request_cancel(held.id) == done

    def test_a_cancelled_job_is_not_given_to_another(self, store: Store, clock: ManualClock) -> None:
        one, two = put(store), put(store)
        for _ in range(2):
            claimed(store)
        for job in (one, two):
            store.request_cancel(job.id)
        assert store.release(one.id, 1).state is JobState.CANCELLED
        clock.advance(LEASE_S)
        assert claim(store) is None
        assert [(it.id, it.state) for it in store.lose_expired()] == [(two.id, JobState.CANCELLED)]

    @staticmethod
    def _writes(store: Store, job_id: str) -> list[Any]:
        return [
            lambda fence: store.renew(job_id, fence, lease_s=LEASE_S),
            lambda fence: store.set_handle(job_id, fence, {"late": 1}),
            lambda fence: store.release(job_id, fence),
            lambda fence: store.finish(job_id, fence, JobState.DONE, result={"late": 1}),
        ]


class SetBackClockContract:
    """A clock that is set back makes nothing be lost, done twice, or wait for long."""

    BACK_S = 3600.0

    def test_a_live_worker_keeps_its_job(self, store: Store, clock: ManualClock) -> None:
        put(store)
        held = claimed(store)
        clock.advance(-self.BACK_S)
        assert claim(store, "two") is None
        assert store.lose_expired() == []
        assert store.renew(held.id, held.fence, lease_s=LEASE_S).lease_until == clock.now + LEASE_S
        clock.advance(LEASE_S - 1)
        assert claim(store, "two") is None
        assert store.finish(held.id, held.fence, JobState.DONE, result={}).state is JobState.DONE

    @pytest.mark.parametrize("max_attempts", [1, 2])
    def test_a_dead_workers_job_waits_one_lease_only(
        self, store: Store, clock: ManualClock, max_attempts: int
    ) -> None:
        put(store, max_attempts=max_attempts)
        held = claimed(store)
        clock.advance(-self.BACK_S)
        assert store.lose_expired() == []
        clock.advance(LEASE_S - 0.5)
        assert (store.lose_expired(), claim(store)) == ([], None)
        clock.advance(1)
        if max_attempts == 1:
            assert [it.id for it in store.lose_expired()] == [held.id]
        else:
            assert claimed(store).fence == held.fence + 1

    def test_a_lock_waits_one_lease_only(self, store: Store, clock: ManualClock) -> None:
        assert store.hold_lock("scheduler", "one", lease_s=LEASE_S)
        clock.advance(-self.BACK_S)
        assert not store.hold_lock("scheduler", "two", lease_s=LEASE_S)
        clock.advance(LEASE_S)
        assert store.hold_lock("scheduler", "two", lease_s=LEASE_S)


class LockContract:
    """Promises of `JobQueue` about named locks and pools."""

    def test_a_lock_has_one_holder(self, store: Store, clock: ManualClock) -> None:
        assert store.hold_lock("scheduler", "one", lease_s=LEASE_S)
        assert not store.hold_lock("scheduler", "two", lease_s=LEASE_S)
        assert store.hold_lock("other", "two", lease_s=LEASE_S)
        clock.advance(LEASE_S - 1)
        assert store.hold_lock("scheduler", "one", lease_s=LEASE_S)
        clock.advance(LEASE_S - 1)
        assert not store.hold_lock("scheduler", "two", lease_s=LEASE_S)
        clock.advance(1)
        assert store.hold_lock("scheduler", "two", lease_s=LEASE_S)
        assert not store.hold_lock("scheduler", "one", lease_s=LEASE_S)

    def test_only_its_holder_frees_a_lock(self, store: Store) -> None:
        assert store.hold_lock("scheduler", "one", lease_s=LEASE_S)
        store.free_lock("scheduler", "two")
        assert not store.hold_lock("scheduler", "two", lease_s=LEASE_S)
        store.free_lock("scheduler", "one")
        assert store.hold_lock("scheduler", "two", lease_s=LEASE_S)

    def test_pools_are_kept_by_name(self, store: Store) -> None:
        ray = store.create_pool(Pool(name="ray", executor="ray", config={"address": "http://x"}, slots=8))
        local = store.create_pool(Pool(name="local", executor="local"))
        assert store.list_pools() == [local, ray]
        assert store.get_pool("ray") == ray
        with pytest.raises(Conflict, match="ray"):
            store.create_pool(Pool(name="ray", executor="local"))
        assert store.delete_pool("ray")
        assert not store.delete_pool("ray")
        with pytest.raises(NotFound):
            store.get_pool("ray")
