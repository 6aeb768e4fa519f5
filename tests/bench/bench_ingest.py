"""Points through a whole server, a thousand a request, answered when they are durable.

The series are losses of one run with the times of its steps. `RELIVE_BENCH_MLFLOW=/path/to/mlflow` adds
MLflow's own server with SQLite and one worker, asked in the same words. CPU is that of all processes, the
client's too, which sends bodies that were made before. Bytes are what the databases' used pages grew by.
"""

import http.client
import json
import math
import os
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from relive.core.run import Metric, RunStatus
from relive.testing.stores_samples import a_run
from tests.bench.harness import Benchmark, Case, Facts, tree_cpu_s
from tests.bench.servers import PATIENCE_S, ask, start_hub, start_mlflow
from tests.bench.sqlite_floor import Folder, PointsFloor

CALLS = {"small": 3, "full": 100}
POINTS = 1000
START = 1.8e9


def benchmark(size: str) -> Benchmark:
    """Send the same points to each."""
    calls, folder = CALLS[size], Folder()
    cases = [_floor(folder, calls), _store(folder, calls), _hub(folder, calls)]
    if mlflow := os.environ.get("RELIVE_BENCH_MLFLOW"):
        cases.append(_mlflow(folder, calls, mlflow))
    return Benchmark(f"{calls} requests of {POINTS} points", cases)


def losses(first: int, count: int) -> list[tuple[int, float, float]]:
    """Give step, time and value: twenty steps a second with their jitter, and a loss with its noise."""
    dice = random.Random(first)
    return [
        (step, START + step / 20 + dice.random() / 100, 2 * math.exp(-step / 5e4) + dice.gauss(0, 0.05))
        for step in range(first, first + count)
    ]


def used_bytes(database: Path) -> int:
    """Give the pages of a database that hold something."""
    with closing(sqlite3.connect(database)) as connection:
        numbers = [
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        ]
    return int((numbers[0] - numbers[1]) * numbers[2])


def _floor(folder: Folder, calls: int) -> Case:
    floor = PointsFloor(folder)

    def run() -> Facts:
        database = folder.path / "floor.db"
        before = used_bytes(database)
        for _ in range(calls):
            floor.add(POINTS)
        return _per_point(calls, bytes=used_bytes(database) - before)

    return Case("bare SQLite, a row a point", run)


def _store(folder: Folder, calls: int) -> Case:
    store = folder.store()

    def run() -> Facts:
        database = folder.path / "relive.db"
        before = used_bytes(database)
        run = a_run(store)
        for call in range(calls):
            points = losses(call * POINTS, POINTS)
            store.record_metrics(run.id, [Metric("loss", value, step, at) for step, at, value in points])
        store.set_run(run.id, status=RunStatus.FINISHED)
        while store.pack_metrics():
            pass
        return _per_point(calls, bytes=used_bytes(database) - before)

    return Case("relive's store, recorded and packed", run)


def _hub(folder: Folder, calls: int) -> Case:
    server, port = start_hub(folder, folder.path / "home")
    return Case("relive's hub, log-batch", _asking(folder, port, calls, server.pid), server_pid=server.pid)


def _mlflow(folder: Folder, calls: int, mlflow: str) -> Case:
    server, port = start_mlflow(folder, mlflow, folder.path / "mlflow.db")
    return Case("MLflow's server, log-batch", _asking(folder, port, calls, server.pid), server_pid=server.pid)


def _asking(folder: Folder, port: int, calls: int, server_pid: int) -> Callable[[], Facts]:
    bodies = [_metrics(call) for call in range(calls)]

    def run() -> Facts:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)) as connection:
            made = ask(connection, "runs/create", b'{"experiment_id": "0"}')
            run_id = made["run"]["info"]["run_id"]
            before = tree_cpu_s(server_pid)
            for body in bodies:
                ask(connection, "runs/log-batch", b'{"run_id": "' + run_id.encode() + b'", ' + body)
            spent = tree_cpu_s(server_pid) - before
            ask(connection, "runs/update", json.dumps({"run_id": run_id, "status": "FINISHED"}).encode())
        log = folder.path / f"server-{port}.log"  # the server lives as long as its folder does
        if b"Traceback" in log.read_bytes():
            raise RuntimeError(f"the server failed:\n{log.read_text()[-2000:]}")
        return {"server µs a point": round(spent / calls / POINTS * 1e6, 2), "points": calls * POINTS}

    return run


def _metrics(call: int) -> bytes:
    """Give the rest of a request, after the run's id."""
    metrics = [
        {"key": "loss", "value": value, "timestamp": int(at * 1000), "step": step}
        for step, at, value in losses(call * POINTS, POINTS)
    ]
    return json.dumps({"metrics": metrics}).encode()[1:]


def _per_point(calls: int, **totals: float) -> Facts:
    return {"points": calls * POINTS} | {
        f"{name} a point": round(total / calls / POINTS, 1) for name, total in totals.items()
    }
