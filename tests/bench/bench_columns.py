"""Points as columns through a whole server: what our own client sends, answered when they are durable.

Clients are threads of this process, each with a run and a connection of its own; they send the same blocks
again and again, as later steps. CPU is that of all processes, the clients' too.
"""

import itertools
import threading
import time
from array import array
from functools import partial

from relive.client.calls.reports import ReportClient
from relive.client.hub import connect
from relive.core.run import MetricBlock
from relive.wire.runs import CreateRun
from tests.bench.bench_ingest import losses
from tests.bench.harness import Benchmark, Case, Facts, tree_cpu_s
from tests.bench.servers import start_hub, token_of
from tests.bench.sqlite_floor import Folder, PointsFloor

CALLS = {"small": 3, "full": 200}
POINTS = 1000
# About what one file of our client holds.
LONG = 16_000


def benchmark(size: str) -> Benchmark:
    """Send blocks of one series from one client and from four."""
    calls, folder = CALLS[size], Folder()
    home = folder.path / "home"
    server, port = start_hub(folder, home)
    hub = connect(f"http://127.0.0.1:{port}", token_of(home))
    numbers = itertools.count()

    def send(n_clients: int, points: int) -> Facts:
        created = [
            hub.create_run(CreateRun(project="bench", name=str(next(numbers)))) for _ in range(n_clients)
        ]
        clients = [hub.run(it.run_id) for it in created]
        block = _block(points)
        spent, wall = tree_cpu_s(server.pid), time.perf_counter()
        threads = [threading.Thread(target=_send, args=(it, block, calls, points)) for it in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wall, spent = time.perf_counter() - wall, tree_cpu_s(server.pid) - spent
        sent = n_clients * calls * points
        for it in created:
            (series,) = hub.get_run(it.run_id).metrics
            assert series.count == sent // n_clients, "points were lost"
        log = folder.path / f"server-{port}.log"  # the server lives as long as its folder does
        assert b"Traceback" not in log.read_bytes(), log
        return {
            "points": sent,
            "1000 points/s": round(sent / wall / 1000),
            "server µs a point": round(spent / sent * 1e6, 2),
        }

    floor = PointsFloor(folder)
    cases = [Case(f"bare SQLite, {POINTS} rows a commit", lambda: _floor(floor, calls))]
    for n_clients, points in ((1, POINTS), (4, POINTS), (1, LONG)):
        name = f"relive's hub, {n_clients} client{'s' * (n_clients > 1)}, {points:,} points a request"
        cases.append(Case(name, partial(send, n_clients, points), server_pid=server.pid))
    return Benchmark(f"{calls} requests of columns a client", cases)


def _block(points: int) -> MetricBlock:
    rows = losses(0, points)
    return MetricBlock(
        ("loss",),
        array("q", [step for step, _, _ in rows]).tobytes(),
        array("d", [at for _, at, _ in rows]).tobytes(),
        (array("d", [value for _, _, value in rows]).tobytes(),),
    )


def _send(client: ReportClient, block: MetricBlock, calls: int, points: int) -> None:
    for call in range(calls):
        steps = array("q", range(call * points, (call + 1) * points)).tobytes()
        later = MetricBlock(block.keys, steps, block.times, block.values)
        client.records(str(call), blocks=(later,))


def _floor(floor: PointsFloor, calls: int) -> Facts:
    for _ in range(calls):
        floor.add(POINTS)
    return {"points": calls * POINTS}
