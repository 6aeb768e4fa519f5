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
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from weakref import finalize

from relive.core.run import Metric, RunStatus
from relive.testing.stores_samples import a_run
from tests.bench.harness import Benchmark, Case, Facts, tree_cpu_s
from tests.bench.sqlite_floor import Folder, PointsFloor

CALLS = {"small": 3, "full": 100}
POINTS = 1000
START = 1.8e9
PATIENCE_S = 120.0
API = "/api/2.0/mlflow"


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
    port, home = _free_port(), folder.path / "home"
    environment = os.environ | {"RELIVE_HOME": str(home), "RELIVE_LOG_LEVEL": "warning"}
    command = [sys.executable, "-m", "relive.cli", "up", "--port", str(port), "--auth", "local"]
    server = _started(folder, [*command, "--data", str(home / "hub")], port, environment)
    return Case("relive's hub, log-batch", _asking(folder, port, calls, server.pid), server_pid=server.pid)


def _mlflow(folder: Folder, calls: int, mlflow: str) -> Case:
    port = _free_port()
    where = ["--backend-store-uri", f"sqlite:///{folder.path / 'mlflow.db'}"]
    where += ["--artifacts-destination", str(folder.path / "mlflow-artifacts")]
    command = [mlflow, "server", *where, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    server = _started(folder, command, port, dict(os.environ))
    return Case("MLflow's server, log-batch", _asking(folder, port, calls, server.pid), server_pid=server.pid)


def _asking(folder: Folder, port: int, calls: int, server_pid: int) -> Callable[[], Facts]:
    bodies = [_metrics(call) for call in range(calls)]

    def run() -> Facts:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)) as connection:
            made = _ask(connection, "runs/create", b'{"experiment_id": "0"}')
            run_id = made["run"]["info"]["run_id"]
            before = tree_cpu_s(server_pid)
            for body in bodies:
                _ask(connection, "runs/log-batch", b'{"run_id": "' + run_id.encode() + b'", ' + body)
            spent = tree_cpu_s(server_pid) - before
            _ask(connection, "runs/update", json.dumps({"run_id": run_id, "status": "FINISHED"}).encode())
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


def _ask(connection: http.client.HTTPConnection, call: str, body: bytes) -> dict[str, Any]:
    connection.request("POST", f"{API}/{call}", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    answer = response.read()
    if response.status != 200:
        raise RuntimeError(f"{call}: {response.status} {answer[:500]!r}")
    read: dict[str, Any] = json.loads(answer)
    return read


def _started(
    folder: Folder, command: list[str], port: int, environment: dict[str, str]
) -> "subprocess.Popen[bytes]":
    """Start a server that ends with the benchmark, and wait until it answers."""
    with open(folder.path / f"server-{port}.log", "wb") as log:
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
        )
    finalize(folder, _stop, server)
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
        except OSError:
            time.sleep(0.1)
            continue
        return server
    raise RuntimeError(f"{command[0]} did not start:\n{Path(log.name).read_text()[-2000:]}")


def _stop(server: "subprocess.Popen[bytes]") -> None:
    server.terminate()
    try:
        server.wait(timeout=20)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _per_point(calls: int, **totals: float) -> Facts:
    return {"points": calls * POINTS} | {
        f"{name} a point": round(total / calls / POINTS, 1) for name, total in totals.items()
    }
