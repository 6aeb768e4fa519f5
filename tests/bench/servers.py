"""Whole servers for benchmarks: relive's hub, and MLflow's where it is installed, asked over HTTP."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from weakref import finalize

from tests.bench.sqlite_floor import Folder

API = "/api/2.0/mlflow"
PATIENCE_S = 120.0

Started = tuple["subprocess.Popen[bytes]", int]


def start_hub(folder: Folder, home: Path) -> Started:
    """Start a hub that keeps its data below `home`, in hub/; gives it and its port."""
    port = _free_port()
    environment = os.environ | {"RELIVE_HOME": str(home), "RELIVE_LOG_LEVEL": "warning"}
    command = [sys.executable, "-m", "relive.cli", "up", "--port", str(port), "--auth", "local"]
    return _start(folder, [*command, "--data", str(home / "hub")], port, environment), port


def token_of(home: Path) -> str:
    """Give the admin's token of a hub that keeps its data below `home`; it writes it at its start."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            found: dict[str, str] = json.loads((home / "tokens.json").read_bytes())["tokens"]
            return next(iter(found.values()))
        except (FileNotFoundError, StopIteration, ValueError):
            time.sleep(0.1)
    raise RuntimeError(f"no token in {home}")


def start_mlflow(folder: Folder, mlflow: str, database: Path, *, workers: int = 1) -> Started:
    """Start MLflow's server with SQLite; gives it and its port.

    Args:
        workers: How many; 0 for as many as it starts by itself.
    """
    port = _free_port()
    where = ["--backend-store-uri", f"sqlite:///{database}"]
    where += ["--artifacts-destination", str(folder.path / "mlflow-artifacts")]
    command = [mlflow, "server", *where, "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", str(workers)] if workers else []
    return _start(folder, command, port, dict(os.environ)), port


def ask(connection: http.client.HTTPConnection, call: str, body: bytes) -> dict[str, Any]:
    """Ask one of MLflow's calls and give its answer."""
    connection.request("POST", f"{API}/{call}", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    answer = response.read()
    if response.status != 200:
        raise RuntimeError(f"{call}: {response.status} {answer[:500]!r}")
    read: dict[str, Any] = json.loads(answer)
    return read


def _start(
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
