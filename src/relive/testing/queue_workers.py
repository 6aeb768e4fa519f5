"""Workers of a queue as processes that can be killed: what a runner does to the store, without the work.

Each claims jobs and ends them as the hub does: the run, an event and the job's end in one group. On the way
it kills itself now and then, as kill -9 would, at points that a kill from outside seldom hits.

`python -m relive.testing.queue_workers URL` starts none; it forks one for each line `SEED` on its standard
input and answers with its process id. Forking saves each of them the second that its imports take.
"""

import os
import random
import signal
import sys
import time
from collections.abc import Callable

from relive.core.event import Event
from relive.core.job import Job, JobKind, JobState
from relive.core.run import Metric, Run, RunKind, RunStatus
from relive.errors import DatabaseBusy, Superseded
from relive.ports.stores import Store
from relive.testing.stores_samples import new_id

LEASE_S = 1.0
LONGEST_WORK_S = 0.06
POINTS = 5
DEATH_RATE = 0.02

DONE = "job.done"
REFUSED = "job.refused"


class Worker:
    """One process's work.

    Args:
        store: A store of its own; no connection is shared with another process.
        seed: Makes its pauses and deaths differ from others'.
        death_rate: How likely it kills itself at each point where it could.
    """

    def __init__(self, store: Store, seed: int, *, death_rate: float = DEATH_RATE) -> None:
        """Be ready to work."""
        self.store = store
        self.owner = f"{os.getpid()} {seed}"
        self._dice = random.Random(seed)
        self._death_rate = death_rate

    def work_for_ever(self) -> None:
        """Claim one job after another; only a kill ends it."""
        while True:
            try:
                worked = self.work_once()
                self.store.lose_expired()
            except DatabaseBusy:
                continue  # a stopped process held it; what was refused left no trace
            if not worked:
                time.sleep(0.02)

    def work_once(self) -> bool:
        """Do the next job, if there is one."""
        job = self.store.claim(self.owner, pools=["local"], kinds=[JobKind.STAGE], lease_s=LEASE_S)
        if job is None:
            return False
        self._may_die()
        try:
            self._do(job)
        except Superseded:
            self.store.record_event(
                Event(kind=REFUSED, actor=self.owner, subject=f"job:{job.id}", facts={"fence": job.fence})
            )
        return True

    def _do(self, job: Job) -> None:
        store, experiment = self.store, self.store.list_experiments()[0]
        run = Run(
            id=new_id(),
            project_id=experiment.project_id,
            experiment_id=experiment.id,
            name=job.id,
            kind=RunKind.STAGE,
            status=RunStatus.RUNNING,
            job_id=job.id,
            fence=job.fence,
        )
        store.create_run(run)
        self._may_die()
        time.sleep(self._dice.uniform(0, LONGEST_WORK_S))
        points = [Metric("acc", float(step), step) for step in range(POINTS)]
        store.record_metrics(run.id, points, fence=job.fence, batch="all")
        self._may_die()
        with store.transaction():
            store.set_run(run.id, fence=job.fence, status=RunStatus.FINISHED)
            self._may_die()
            store.record_event(
                Event(kind=DONE, actor=self.owner, subject=f"job:{job.id}", facts={"fence": job.fence})
            )
            self._may_die()
            store.finish(job.id, job.fence, JobState.DONE, result={"fence": job.fence, "run": run.id})
            self._may_die()
        self._may_die()

    def _may_die(self) -> None:
        if self._dice.random() < self._death_rate:
            os.kill(os.getpid(), signal.SIGKILL)


def fork_workers(open_store: Callable[[], Store]) -> None:
    """Fork a worker for each seed on standard input; end when it is closed, and take all of them along."""
    # Nobody waits for a child before the end, so that no process id is used again while someone may kill it.
    children: list[int] = []
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            sys.stdin.close()
            Worker(open_store(), int(line)).work_for_ever()
        children.append(child)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
