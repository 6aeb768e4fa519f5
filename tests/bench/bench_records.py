"""Recording metrics, a thousand points a call, beside bare SQLite."""

from itertools import count

from relive.core.run import Metric
from relive.testing.stores_samples import a_run
from tests.bench.harness import Benchmark, Case, Facts
from tests.bench.sqlite_floor import Folder, PointsFloor

CALLS = {"small": 3, "full": 100}
POINTS = 1000


def benchmark(size: str) -> Benchmark:
    """Write batches of points of one series, and of ten; what is acknowledged is on the disk in each case."""
    calls, folder = CALLS[size], Folder()
    floor, store = PointsFloor(folder), folder.store()
    run, numbers = a_run(store), count()

    def bare() -> Facts:
        for _ in range(calls):
            floor.add(POINTS)
        return {"points": calls * POINTS}

    def recorded(n_keys: int) -> Facts:
        for _ in range(calls):
            batch = next(numbers)
            first = batch * POINTS
            points = [Metric(f"m{step % n_keys}", 0.5, first + step, 1.8e9 + step) for step in range(POINTS)]
            store.record_metrics(run.id, points, batch=str(batch))
        return {"points": calls * POINTS}

    return Benchmark(
        f"{calls} batches of {POINTS} points into SQLite",
        [
            Case("bare SQLite", bare),
            Case("record_metrics, 1 series", lambda: recorded(1)),
            Case("record_metrics, 10 series", lambda: recorded(10)),
        ],
    )
