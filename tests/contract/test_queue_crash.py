"""Workers killed at any moment: every job's end is recorded exactly once, and none runs for ever.

How often a job is worked on is another matter: at least once, and once more after each death.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from relive.core.job import JobState
from relive.core.run import RunStatus
from relive.stores.sql.store import SqlStore
from relive.testing.queue_workers import DONE, LEASE_S, POINTS, REFUSED, Worker
from relive.testing.stores_events import run_threads
from relive.testing.stores_samples import a_job, a_project
from tests.contract.databases import BACKENDS, fresh_url, opened

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 240.0
WORKERS = 4
KILLS = 40


class Workers:
    """Worker processes, killed and replaced at random."""

    def __init__(self, forker: "subprocess.Popen[str]", seed: int) -> None:
        self._forker = forker
        self._dice = random.Random(seed)
        self._seeds = iter(range(seed * 1000, (seed + 1) * 1000))
        self.alive: list[int] = []

    def start(self) -> None:
        """Bring the number of living workers to what it should be."""
        self.alive = [pid for pid in self.alive if is_alive(pid)]
        while len(self.alive) < WORKERS:
            assert self._forker.stdin is not None
            assert self._forker.stdout is not None
            self._forker.stdin.write(f"{next(self._seeds)}\n")
            self._forker.stdin.flush()
            self.alive.append(int(self._forker.stdout.readline()))

    def kill_one(self) -> None:
        """End one of them, wherever it is."""
        os.kill(self.alive.pop(self._dice.randrange(len(self.alive))), signal.SIGKILL)

    def let_work(self) -> None:
        """Let some time pass: from none to a few jobs' length."""
        time.sleep(self._dice.uniform(0, 0.12))


def is_alive(pid: int) -> bool:
    """Tell whether a worker has not killed itself; the dead wait for their parent's end as zombies."""
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state != "Z"


@contextmanager
def workers(url: str, seed: int) -> Iterator[Workers]:
    """Give workers of a queue, none of them started; end all at the end."""
    command = [sys.executable, "-m", "tests.contract.queue_workers", url]
    forker = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Workers(forker, seed)
    finally:
        forker.communicate(timeout=PATIENCE_S)


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_end_is_recorded_once_however_the_workers_die(request, tmp_path, backend):
    url = fresh_url(backend, request, tmp_path)
    with opened(url, durable=True) as store:
        store.ensure_experiment(a_project(store).id, "default")
        with workers(url, seed=7) as crew:
            for _ in range(KILLS):
                crew.start()
                for max_attempts in (1000, 1000, 2):
                    store.put(a_job(max_attempts=max_attempts))
                crew.let_work()
                crew.kill_one()
            wait_until_all_ended(store, crew)
        assert_each_ended_once(store)
        assert_consistent(store)


def wait_until_all_ended(store: SqlStore, crew: Workers) -> None:
    """Let the workers finish what is left; some still kill themselves and are replaced."""
    deadline = time.monotonic() + PATIENCE_S
    unfinished = (JobState.QUEUED, JobState.RUNNING)
    while left := store.list_jobs(states=unfinished):
        assert time.monotonic() < deadline, f"{len(left)} jobs never end: {left[:3]}"
        crew.start()
        time.sleep(0.1)


def assert_each_ended_once(store: SqlStore) -> None:
    jobs = store.list_jobs(limit=10_000)
    assert len(jobs) == 3 * KILLS
    ends = Counter(event.subject for event in store.list_events(kind=DONE, limit=10_000))
    runs = {run.id: run for run in store.list_runs(limit=10_000)}
    finished = Counter(run.job_id for run in runs.values() if run.status is RunStatus.FINISHED)
    counts = {summary.run_id: summary.count for summary in store.list_metrics(list(runs))}
    for job in jobs:
        is_done = job.state is JobState.DONE
        assert is_done or (job.state is JobState.LOST and job.max_attempts == 2), job
        assert ends[f"job:{job.id}"] == finished[job.id] == int(is_done), job
        if is_done:
            run = runs[job.result["run"]]
            assert (job.result["fence"], run.fence, run.status) == (job.fence, job.fence, RunStatus.FINISHED)
            assert counts[run.id] == POINTS
    assert sum(job.attempt for job in jobs) > len(jobs), "nobody died at work: the test has shown nothing"


def assert_consistent(store: SqlStore) -> None:
    """Nothing is half written, whatever was being written when its writer died."""
    with store._db.engine.connect() as connection:
        if store._db.is_sqlite:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
            assert connection.exec_driver_sql("PRAGMA foreign_key_check").first() is None
        orphans = "SELECT count(*) FROM metric_points WHERE series_id NOT IN (SELECT id FROM metric_series)"
        assert connection.exec_driver_sql(orphans).scalar() == 0
        wrong = (
            "SELECT count(*) FROM metric_series s WHERE s.count <>"
            " (SELECT count(*) FROM metric_points p WHERE p.series_id = s.id)"
        )
        assert connection.exec_driver_sql(wrong).scalar() == 0


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_worker_that_sleeps_through_its_lease_is_refused_when_it_wakes(request, tmp_path, backend):
    url = fresh_url(backend, request, tmp_path)
    with opened(url, durable=True) as store:
        store.ensure_experiment(a_project(store).id, "default")
        with workers(url, seed=8) as crew:
            deadline = time.monotonic() + PATIENCE_S
            while not (refused := store.list_events(kind=REFUSED)):
                assert time.monotonic() < deadline, "no worker was ever caught at work"
                crew.start()
                store.put(a_job(max_attempts=1000))
                sleep_through_a_lease(store, crew)
            wait_until_all_ended(store, crew)
        for event in refused:
            job = store.get_job(event.subject.removeprefix("job:"))
            assert job.state is JobState.DONE
            assert event.facts["fence"] < job.fence == job.result["fence"]
        ends = Counter(event.subject for event in store.list_events(kind=DONE, limit=10_000))
        assert set(ends.values()) == {1}


def sleep_through_a_lease(store: SqlStore, crew: Workers) -> None:
    """Stop a worker that holds a job for longer than its lease, as a machine that sleeps does."""
    for job in store.list_jobs(states=[JobState.RUNNING]):
        pid = int(job.lease_owner.split()[0])
        if pid in crew.alive:
            os.kill(pid, signal.SIGSTOP)
            time.sleep(1.5 * LEASE_S)
            os.kill(pid, signal.SIGCONT)
            return


@pytest.mark.parametrize("backend", BACKENDS)
def test_two_hubs_with_many_threads_share_a_queue(request, tmp_path, backend):
    url = fresh_url(backend, request, tmp_path)
    with opened(url) as one, opened(url) as two:
        one.ensure_experiment(a_project(one).id, "default")
        jobs = [one.put(a_job()) for _ in range(60)]

        def work(store: SqlStore, seed: int) -> None:
            worker = Worker(store, seed, death_rate=0.0)
            while worker.work_once():
                pass

        run_threads(*(partial(work, store, seed) for seed, store in enumerate((one, two) * 4)))
        ended = one.list_jobs(states=[JobState.DONE])
        assert {job.id for job in ended} == {job.id for job in jobs if job is not None}
        ends = Counter(event.subject for event in one.list_events(kind=DONE, limit=1000))
        assert set(ends.values()) == {1}
        assert len({job.lease_owner for job in ended}) > 1
