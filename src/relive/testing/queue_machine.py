"""The queue against a model of it that is too simple to be wrong: any calls in any order, the clock included.

The model is one process, one thread and one list; what the store must add to it is that it stays true with
many of each, which the crash tests show.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from relive.core.job import Job, JobKind, JobState
from relive.errors import Superseded
from relive.ports.stores import Store
from relive.testing.stores_samples import START, ManualClock, a_job

POOLS = ("local", "gpu")
SLACK_S = 1.0
# Whole seconds: sums of them are exact, so the model's times can be compared with the store's.
SECONDS = st.integers(0, 30).map(float)
LEASES = st.integers(1, 20).map(float)


@dataclass(frozen=True)
class ModelJob:
    """What is known of one job."""

    id: str
    pool: str
    priority: int
    max_attempts: int
    run_after: float
    state: JobState = JobState.QUEUED
    attempt: int = 0
    fence: int = 0
    lease_until: float = 0.0
    lease_s: float = 0.0
    cancel: bool = False

    def claimable(self, now: float) -> bool:
        """Tell whether a worker may take it."""
        if self.state is JobState.QUEUED:
            return self.run_after <= now
        is_free = self.attempt < self.max_attempts and not self.cancel
        return self.state is JobState.RUNNING and is_free and self.lease_until <= now

    def held_with(self, fence: int) -> bool:
        """Tell whether a worker with this fence holds it."""
        return self.state is JobState.RUNNING and self.fence == fence


@dataclass
class ModelQueue:
    """All jobs in the order of their arrival, and every end that was accepted."""

    jobs: dict[str, ModelJob] = field(default_factory=dict)
    unique: set[str] = field(default_factory=set)
    ends: dict[str, int] = field(default_factory=dict)

    def change(self, job_id: str, **changes: Any) -> None:
        """Change one job."""
        self.jobs[job_id] = replace(self.jobs[job_id], **changes)

    def next(self, pools: list[str], now: float) -> ModelJob | None:
        """Give the job that a worker of these pools gets."""
        ready = [job for job in self.jobs.values() if job.pool in pools and job.claimable(now)]
        return max(ready, key=lambda job: job.priority, default=None)  # of equals the first

    def lose_expired(self, now: float) -> set[str]:
        """End what nobody will take again, and shorten leases that a clock set back made too long."""
        lost = set()
        for job in list(self.jobs.values()):
            if job.state is not JobState.RUNNING:
                continue
            if job.lease_until > now + job.lease_s + SLACK_S:
                self.change(job.id, lease_until=now + job.lease_s)
            elif job.lease_until <= now and (job.cancel or job.attempt >= job.max_attempts):
                self.change(job.id, state=JobState.CANCELLED if job.cancel else JobState.LOST)
                lost.add(job.id)
        return lost


class QueueMachine(RuleBasedStateMachine):
    """Calls of the queue and of its model, side by side."""

    jobs = Bundle("jobs")
    make_store: Callable[[ManualClock], Store]

    def __init__(self) -> None:
        """Wait for a store."""
        super().__init__()
        self.clock = ManualClock()
        self.model = ModelQueue()

    @initialize()
    def begin(self) -> None:
        """Take an empty store."""
        self.store = type(self).make_store(self.clock)

    @rule(
        target=jobs,
        pool=st.sampled_from(POOLS),
        priority=st.integers(-1, 1),
        max_attempts=st.integers(1, 3),
        delay_s=SECONDS,
        unique=st.none() | st.sampled_from("ab"),
    )
    def put(self, pool: str, priority: int, max_attempts: int, delay_s: float, unique: str | None) -> str:
        """Queue a job, unless its key was used before."""
        run_after = self.clock.now + delay_s
        job = a_job(pool=pool, priority=priority, max_attempts=max_attempts, run_after=run_after)
        put = self.store.put(job, unique=unique)
        assert (put is None) == (unique in self.model.unique)
        if put is not None:
            self.model.jobs[job.id] = ModelJob(job.id, pool, priority, max_attempts, run_after)
        if unique is not None:
            self.model.unique.add(unique)
        return job.id

    @rule(pools=st.lists(st.sampled_from(POOLS), unique=True), lease_s=LEASES)
    def claim(self, pools: list[str], lease_s: float) -> None:
        """Take the job that is next."""
        now = self.clock.now
        expected = self.model.next(pools, now)
        got = self.store.claim("worker", pools=pools, kinds=[JobKind.STAGE], lease_s=lease_s)
        assert (got and got.id) == (expected and expected.id)
        if expected is not None:
            self.model.change(
                expected.id,
                state=JobState.RUNNING,
                attempt=expected.attempt + 1,
                fence=expected.fence + 1,
                lease_until=now + lease_s,
                lease_s=lease_s,
            )

    @rule(job_id=jobs, stale=st.integers(0, 2), lease_s=LEASES)
    def renew(self, job_id: str, stale: int, lease_s: float) -> None:
        """Hold a lease longer."""

        def call(fence: int) -> Job:
            return self.store.renew(job_id, fence, lease_s=lease_s)

        until = self.clock.now + lease_s
        self._as_holder(job_id, stale, call, {"lease_until": until, "lease_s": lease_s})

    @rule(job_id=jobs, stale=st.integers(0, 2), state=st.sampled_from([JobState.DONE, JobState.FAILED]))
    def finish(self, job_id: str, stale: int, state: JobState) -> None:
        """End a job, once."""

        def call(fence: int) -> Job:
            return self.store.finish(job_id, fence, state, result={"fence": fence})

        if self._as_holder(job_id, stale, call, {"state": state}):
            self.model.ends[job_id] = self.model.ends.get(job_id, 0) + 1

    @rule(job_id=jobs, stale=st.integers(0, 2), delay_s=SECONDS)
    def release(self, job_id: str, stale: int, delay_s: float) -> None:
        """Give a job back."""
        job = self.model.jobs.get(job_id)
        state = JobState.CANCELLED if job is not None and job.cancel else JobState.QUEUED

        def call(fence: int) -> Job:
            return self.store.release(job_id, fence, delay_s=delay_s)

        self._as_holder(job_id, stale, call, {"state": state, "run_after": self.clock.now + delay_s})

    @rule(job_id=jobs)
    def cancel(self, job_id: str) -> None:
        """Ask for a job's end."""
        job = self.model.jobs.get(job_id)
        if job is None or job.state.is_final:
            return
        self.store.request_cancel(job_id)
        state = JobState.CANCELLED if job.state is JobState.QUEUED else job.state
        self.model.change(job_id, cancel=True, state=state)

    @rule()
    def lose_expired(self) -> None:
        """Let the scheduler look for silent workers."""
        assert {job.id for job in self.store.lose_expired()} == self.model.lose_expired(self.clock.now)

    @rule(seconds=st.integers(-60, 60).map(float))
    def move_the_clock(self, seconds: float) -> None:
        """Let time pass, or be set back."""
        self.clock.advance(seconds)

    @invariant()
    def same(self) -> None:
        """The store and the model agree, and no job has ended twice."""
        if not self.model.jobs:
            return
        found = {job.id: _seen(job) for job in self.store.list_jobs()}
        assert found == {job.id: _expected(job) for job in self.model.jobs.values()}
        assert all(count == 1 for count in self.model.ends.values())

    def teardown(self) -> None:
        """However it went, nothing is left running for ever."""
        if not self.model.jobs:
            return
        self.clock.now = max(self.clock.now, START) + 10_000.0
        while (job := self.store.claim("last", pools=POOLS, kinds=[JobKind.STAGE], lease_s=1.0)) is not None:
            self.store.finish(job.id, job.fence, JobState.DONE, result={})
        self.store.lose_expired()
        assert all(job.state.is_final for job in self.store.list_jobs())

    def _as_holder(
        self, job_id: str, stale: int, call: Callable[[int], Job], changes: dict[str, Any]
    ) -> bool:
        """Call with the job's fence or one that is older; tells whether it was accepted, as it should be."""
        job = self.model.jobs.get(job_id)
        if job is None:
            return False
        fence = job.fence - stale
        try:
            call(fence)
        except Superseded:
            assert not job.held_with(fence)
            return False
        assert job.held_with(fence)
        self.model.change(job_id, **changes)
        return True


def _seen(job: Job) -> tuple[object, ...]:
    until = job.lease_until if job.state is JobState.RUNNING else None
    return job.state, job.attempt, job.fence, job.cancel_requested, until


def _expected(job: ModelJob) -> tuple[object, ...]:
    until = job.lease_until if job.state is JobState.RUNNING else None
    return job.state, job.attempt, job.fence, job.cancel, until


def run_queue_machine(make_store: Callable[[ManualClock], Store], *, examples: int, steps: int) -> None:
    """Hold a store's queue to the model.

    Args:
        make_store: Gives an empty store that keeps time by the given clock.
        examples: Sequences of calls.
        steps: Calls in each.
    """
    machine = type("Machine", (QueueMachine,), {"make_store": staticmethod(make_store)})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=examples, stateful_step_count=steps, deadline=None)
    )
