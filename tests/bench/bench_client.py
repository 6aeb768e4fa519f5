"""MLflow's own client, which sends a request a call and waits for its answer: what a logged metric costs.

`RELIVE_BENCH_MLFLOW=/path/to/mlflow` adds MLflow's own server with SQLite, as it starts by default and with
one worker. The client is the one beside that program, else the one installed here; its import does not count.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from weakref import finalize

from tests.bench.harness import Benchmark, Case, Facts, tree_cpu_s
from tests.bench.servers import Started, start_hub, start_mlflow
from tests.bench.sqlite_floor import Folder

CALLS = {"small": 20, "full": 500}
LOOP = Path(__file__).with_name("mlflow_loop.py")


def benchmark(size: str) -> Benchmark:
    """Log metrics one by one, to each server by a client of its own."""
    calls, folder, mlflow = CALLS[size], Folder(), os.environ.get("RELIVE_BENCH_MLFLOW")
    python = str(Path(mlflow).with_name("python")) if mlflow else sys.executable
    servers = {"relive": start_hub(folder, folder.path / "home")}
    servers["relive, again"] = servers["relive"]
    if mlflow:
        servers["MLflow's server, one worker"] = start_mlflow(folder, mlflow, folder.path / "one.db")
        servers["MLflow's server"] = start_mlflow(folder, mlflow, folder.path / "default.db", workers=0)
    cases = [
        Case(name, _logging(folder, python, server, calls), server_pid=server[0].pid)
        for name, server in servers.items()
    ]
    return Benchmark(f"{calls} metrics, logged one by one by MLflow's client", cases)


def _logging(folder: Folder, python: str, server: Started, calls: int) -> Callable[[], Facts]:
    process, port = server
    client = subprocess.Popen(
        [python, str(LOOP), f"http://127.0.0.1:{port}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    finalize(folder, _end, client)
    assert client.stdin is not None
    assert client.stdout is not None
    lines, answers = client.stdin, client.stdout

    def run() -> Facts:
        before = tree_cpu_s(process.pid)
        print(calls, file=lines, flush=True)
        said = json.loads(answers.readline())
        server_s = tree_cpu_s(process.pid) - before
        log = folder.path / f"server-{port}.log"  # the server and the client live as long as its folder does
        if b"Traceback" in log.read_bytes():
            raise RuntimeError(f"the server failed:\n{log.read_text()[-2000:]}")
        return {
            "p50 ms": round(said["p50 ms"], 2),
            "server ms a call": round(server_s / calls * 1e3, 2),
            "all CPU ms a call": round((server_s + said["client_s"]) / calls * 1e3, 2),
        }

    return run


def _end(client: "subprocess.Popen[str]") -> None:
    client.kill()
    client.communicate()  # closes its pipes, and waits for it
