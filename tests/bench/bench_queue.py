"""The queue: a job put, claimed and ended, beside a bare lease table."""

from relive.core.job import JobKind, JobState
from relive.testing.stores_samples import a_job
from tests.bench.harness import Benchmark, Case
from tests.bench.sqlite_floor import Folder, QueueFloor

JOBS = {"small": 10, "full": 500}


def benchmark(size: str) -> Benchmark:
    """Put jobs, then claim and end each; what is acknowledged is on the disk in each case."""
    jobs, folder = JOBS[size], Folder()
    floor, store = QueueFloor(folder), folder.store()

    def bare() -> None:
        for _ in range(jobs):
            floor.put()
        for _ in range(jobs):
            floor.work()

    def queued() -> None:
        for _ in range(jobs):
            store.put(a_job())
        for _ in range(jobs):
            job = store.claim("bench", pools=["local"], kinds=[JobKind.STAGE], lease_s=30.0)
            assert job is not None
            store.finish(job.id, job.fence, JobState.DONE, result={})

    return Benchmark(
        f"{jobs} jobs through SQLite", [Case("bare lease table", bare), Case("JobQueue", queued)]
    )
