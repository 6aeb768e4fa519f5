"""Pages of runs through a whole server: filters, orders and a deep page, a hundred runs each.

Each round asks every page once. The first case is the baseline: the same hub with a tenth of the runs, so its
ratio says how flat search is. `RELIVE_BENCH_MLFLOW=/path/to/mlflow` adds MLflow's own server with SQLite and
one worker, with that tenth of the runs, asked in the same words: of all of them a page can take it minutes.
The databases are filled behind the servers' backs.
"""

import http.client
import json
import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from relive.core.project import Experiment
from relive.stores.sql.store import open_store
from tests.bench.harness import Benchmark, Case, Facts
from tests.bench.servers import PATIENCE_S, ask, start_hub, start_mlflow
from tests.bench.sqlite_floor import Folder

RUNS = {"small": 300, "full": 100_000}
PAGE = 100
START_MS = 1_800_000_000_000
KEYS = ("acc", "loss", "f1", "auc")
PAGES: dict[str, dict[str, Any]] = {
    "newest": {},
    "rare param": {"filter": "params.model = 'm7' AND metrics.acc > 0.5"},
    "rare metric": {"filter": "metrics.acc > 0.9995"},
    "common": {"filter": "tags.team = 'blue' AND metrics.acc > 0.1"},
    "by metric": {"order_by": ["metrics.acc DESC"]},
    "common by metric": {"filter": "tags.team = 'blue'", "order_by": ["metrics.loss ASC"]},
    "one run": {"filter": "attributes.run_name = 'run 250'"},
}
_DEEP = 20


def benchmark(size: str) -> Benchmark:
    """Fill servers with runs, and ask each for the same pages."""
    n_runs, folder = RUNS[size], Folder()
    cases = [_hub(folder, n_runs // 10), _hub(folder, n_runs)]
    if mlflow := os.environ.get("RELIVE_BENCH_MLFLOW"):
        cases.append(_mlflow(folder, n_runs // 10, mlflow))
    return Benchmark(f"{len(PAGES) + 1} pages of {PAGE} runs", cases)


def _hub(folder: Folder, n_runs: int) -> Case:
    home = folder.path / f"home-{n_runs}"
    server, port = start_hub(folder, home)
    database = home / "hub" / "relive.db"
    with closing(open_store(f"sqlite:///{database}")) as store:
        project = store.create_project("mlflow")
        store.create_experiment(Experiment(id="0", project_id=project.id, name="Default"), {})
    _fill(database, _relive_rows(n_runs, project.id))
    return Case(f"relive, {n_runs:,} runs", _asking(folder, port), server_pid=server.pid)


def _mlflow(folder: Folder, n_runs: int, mlflow: str) -> Case:
    database = folder.path / f"mlflow-{n_runs}.db"
    server, port = start_mlflow(folder, mlflow, database)
    _fill(database, _mlflow_rows(n_runs))
    return Case(f"MLflow, {n_runs:,} runs", _asking(folder, port), server_pid=server.pid)


def _asking(folder: Folder, port: int) -> Callable[[], Facts]:
    def run() -> Facts:
        took: dict[str, float] = {}
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)) as connection:
            newest = PAGES["newest"] | {"max_results": PAGE}
            for _ in range(_DEEP):
                answer, took["deep ms"] = _page(connection, newest)
                newest["page_token"] = answer.get("next_page_token", "")
                if not newest["page_token"]:
                    break
            for name, page in PAGES.items():
                _, took[f"{name} ms"] = _page(connection, page | {"max_results": PAGE})
        if b"Traceback" in (log := (folder.path / f"server-{port}.log")).read_bytes():
            raise RuntimeError(f"the server failed:\n{log.read_text()[-2000:]}")
        return {name: round(seconds * 1000, 1) for name, seconds in took.items()}

    return run


def _page(connection: http.client.HTTPConnection, page: dict[str, Any]) -> tuple[dict[str, Any], float]:
    start = time.perf_counter()
    answer = ask(connection, "runs/search", json.dumps({"experiment_ids": ["0"], **page}).encode())
    return answer, time.perf_counter() - start


# --- the same runs for each ------------------------------------------------------------------------------

Rows = Iterator[tuple[str, list[tuple[Any, ...]]]]


def _run(number: int) -> tuple[str, int, dict[str, float], dict[str, str], dict[str, str]]:
    """Give a run's id, its start in milliseconds, its metrics, params and tags."""
    dice = random.Random(number)
    params = {"model": f"m{dice.randrange(1000)}", "lr": str(dice.choice([0.1, 0.01])), "seed": str(number)}
    tags = {"team": dice.choice(["red", "blue"]), "mlflow.runName": f"run {number}"}
    metrics = {key: dice.random() for key in KEYS}
    return f"{dice.getrandbits(128):032x}", START_MS + number * 1000, metrics, params, tags


def _fill(database: Path, rows: Rows) -> None:
    with closing(sqlite3.connect(database, timeout=PATIENCE_S)) as connection, connection:
        for statement, values in rows:
            connection.executemany(statement, values)
        connection.execute("PRAGMA optimize")


def _into(table: str, columns: str) -> str:
    places = ", ".join("?" * len(columns.split()))
    return f"INSERT INTO {table} ({', '.join(columns.split())}) VALUES ({places})"


_RELIVE_RUN = "id project_id experiment_id name kind status created_at started_at ended_at"
_RELIVE_EMPTY = (
    'actor pipeline_id stage_id stage job_id command "commit" reason recipe recipe_digest trajectory log'
    " replay_of superseded_by"
)
_SERIES = "run_id key last last_step last_at first first_step first_at min max count"


def _relive_rows(n_runs: int, project_id: str) -> Rows:
    columns = f"{_RELIVE_RUN} {_RELIVE_EMPTY} fence log_bytes tainted"
    empty = ("",) * len(_RELIVE_EMPTY.split())
    for some in _some(n_runs):
        runs, series, params, tags = [], [], [], []
        for run_id, start, metrics, its_params, its_tags in map(_run, some):
            at, name = start / 1000, its_tags["mlflow.runName"]
            runs.append((run_id, project_id, "0", name, "client", "finished", at, at, at, *empty, 0, 0, 0))
            series += [(run_id, key, v, 0, at, v, 0, at, v, v, 1) for key, v in metrics.items()]
            params += [(run_id, key, json.dumps(value)) for key, value in its_params.items()]
            tags += [(run_id, key, value) for key, value in its_tags.items()]
        yield _into("runs", columns), runs
        yield _into("metric_series", _SERIES), series
        yield _into("params", "run_id key value"), params
        yield _into("tags", "run_id key value"), tags


def _mlflow_rows(n_runs: int) -> Rows:
    columns = "run_uuid name user_id status start_time end_time lifecycle_stage experiment_id artifact_uri"
    for some in _some(n_runs):
        runs, latest, params, tags = [], [], [], []
        for run_id, start, metrics, its_params, its_tags in map(_run, some):
            name = its_tags["mlflow.runName"]
            uri = f"mlflow-artifacts:/0/{run_id}/artifacts"
            runs.append((run_id, name, "me", "FINISHED", start, start, "active", 0, uri))
            latest += [(key, value, start, 0, 0, run_id) for key, value in metrics.items()]
            params += [(key, value, run_id) for key, value in its_params.items()]
            tags += [(key, value, run_id) for key, value in its_tags.items()]
        yield _into("runs", columns), runs
        yield _into("latest_metrics", "key value timestamp step is_nan run_uuid"), latest
        yield _into("params", "key value run_uuid"), params
        yield _into("tags", "key value run_uuid"), tags


def _some(n_runs: int) -> Iterator[range]:
    """Cut the numbers of the runs into pieces that need little memory."""
    for first in range(0, n_runs, 5000):
        yield range(first, min(n_runs, first + 5000))
