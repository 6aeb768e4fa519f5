"""Recording metrics, one point a call, beside bare SQLite: what a client that does not batch costs."""

from itertools import count

from relive.core.run import Metric
from relive.testing.stores_samples import a_run
from tests.bench.harness import Benchmark, Case
from tests.bench.sqlite_floor import Folder, PointsFloor

CALLS = {"small": 20, "full": 2000}


def benchmark(size: str) -> Benchmark:
    """Write points one by one, each durable before the next."""
    calls, folder = CALLS[size], Folder()
    floor, store = PointsFloor(folder), folder.store()
    run, steps = a_run(store), count()

    def bare() -> None:
        for _ in range(calls):
            floor.add(1)

    def recorded() -> None:
        for _ in range(calls):
            store.record_metrics(run.id, [Metric("loss", 0.5, next(steps), 1.8e9)])

    return Benchmark(
        f"{calls} single points into SQLite", [Case("bare SQLite", bare), Case("record_metrics", recorded)]
    )
