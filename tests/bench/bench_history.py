"""The whole history of one long series through a whole server: as columns, and as MLflow's JSON.

`RELIVE_BENCH_MLFLOW=/path/to/mlflow` adds MLflow's own server with SQLite and one worker, asked in the same
words; its points are put in behind its back. CPU is that of all processes; our own client makes arrays of
what it gets, the others' answers are only received.
"""

import http.client
import json
import os
import sqlite3
from array import array
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

from relive.client.hub import connect
from relive.core.run import MetricBlock
from relive.wire.runs import CreateRun
from tests.bench.bench_ingest import losses
from tests.bench.harness import Benchmark, Case, Facts, tree_cpu_s
from tests.bench.servers import API, PATIENCE_S, ask, start_hub, start_mlflow, token_of
from tests.bench.sqlite_floor import Folder

POINTS = {"small": 2000, "full": 1_000_000}
A_BATCH = 10_000


def benchmark(size: str) -> Benchmark:
    """Ask for a series as columns, for a chart of it, and for it as JSON."""
    points, folder = POINTS[size], Folder()
    home = folder.path / "home"
    server, port = start_hub(folder, home)
    hub = connect(f"http://127.0.0.1:{port}", token_of(home))
    created = hub.create_run(CreateRun(project="bench"))
    for first in range(0, points, A_BATCH):
        rows = losses(first, min(A_BATCH, points - first))
        columns = [
            array(kind, column).tobytes() for kind, column in zip("qdd", zip(*rows, strict=True), strict=True)
        ]
        block = MetricBlock(("loss",), columns[0], columns[1], (columns[2],))
        hub.run(created.run_id).records(str(first), blocks=(block,))

    def whole() -> Facts:
        spent = tree_cpu_s(server.pid)
        found = hub.get_points(created.run_id, "loss")
        assert len(found) == points
        return _facts(points, tree_cpu_s(server.pid) - spent)

    def chart() -> Facts:
        spent = tree_cpu_s(server.pid)
        assert len(hub.get_points(created.run_id, "loss", max_points=500)) <= 500
        return _facts(points, tree_cpu_s(server.pid) - spent)

    asked = _asking(folder, port, created.run_id, server.pid, points, hub.transport._headers)
    cases = [
        Case("relive, as columns", whole, server_pid=server.pid),
        Case("relive, a chart of 500 points", chart, server_pid=server.pid),
        Case("relive, as MLflow's JSON", asked, server_pid=server.pid),
    ]
    if mlflow := os.environ.get("RELIVE_BENCH_MLFLOW"):
        # A tenth: all of them can take it minutes.
        cases.append(_mlflow(folder, mlflow, points // 10))
    return Benchmark(f"the history of {points:,} points", cases)


def _mlflow(folder: Folder, mlflow: str, points: int) -> Case:
    database = folder.path / "mlflow.db"
    server, port = start_mlflow(folder, mlflow, database)
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)) as connection:
        run_id = ask(connection, "runs/create", b'{"experiment_id": "0"}')["run"]["info"]["run_id"]
    _fill(database, run_id, points)
    return Case(
        f"MLflow's server, JSON of {points:,} points",
        _asking(folder, port, run_id, server.pid, points, {}),
        server_pid=server.pid,
    )


def _fill(database: Path, run_id: str, points: int) -> None:
    statement = (
        "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES ('loss', ?, ?, ?, ?, 0)"
    )
    with closing(sqlite3.connect(database, timeout=PATIENCE_S)) as connection, connection:
        for first in range(0, points, A_BATCH):
            rows = losses(first, min(A_BATCH, points - first))
            connection.executemany(
                statement, [(value, int(at * 1000), run_id, step) for step, at, value in rows]
            )


def _asking(
    folder: Folder, port: int, run_id: str, server_pid: int, points: int, headers: dict[str, str]
) -> Callable[[], Facts]:
    query = urlencode({"run_id": run_id, "metric_key": "loss"})
    json_only = {name: value for name, value in headers.items() if name == "Authorization"}

    def run() -> Facts:
        spent, found = tree_cpu_s(server_pid), b""
        token = ""
        n_points = 0
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)) as connection:
            while True:
                connection.request("GET", f"{API}/metrics/get-history?{query}{token}", headers=json_only)
                found = connection.getresponse().read()
                n_points += found.count(b'"timestamp"')
                tail = found[-200:].partition(b'"next_page_token":')[2]
                if not tail:
                    break
                token = "&" + urlencode({"page_token": json.loads(tail.rstrip(b"} \n"))})
        if n_points != points:
            log = (folder.path / f"server-{port}.log").read_text()
            raise RuntimeError(f"{n_points} of {points} points: {found[:300]!r}\n{log[-2000:]}")
        return _facts(points, tree_cpu_s(server_pid) - spent)

    return run


def _facts(points: int, spent: float) -> Facts:
    return {
        "points": points,
        "server CPU s": round(spent, 3),
        "server µs a point": round(spent / points * 1e6, 2),
    }
