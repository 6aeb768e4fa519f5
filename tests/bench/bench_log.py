"""What one call of `log` costs a training, and all CPU until its numbers are durable in the hub.

The loop does nothing but log. Beside appending to a list; and beside other trackers where
RELIVE_BENCH_PEERS names pythons that have them, as `wandb=/path/bin/python,mlflow=/path/bin/python`.
"""

import atexit
import json
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from tests.bench.harness import Benchmark, Case, Facts, tree_cpu_s
from tests.e2e.hub import RealHub

STEPS = {"small": 2000, "full": 100_000}
LIMIT_S = 600
LOOP = Path(__file__).with_name("logged_loop.py")


def benchmark(size: str) -> Benchmark:
    """Log one scalar and ten at each step, into a list and into a hub."""
    steps = STEPS[size]
    folder = tempfile.TemporaryDirectory(prefix="relive-bench-")
    hub = RealHub(Path(folder.name) / "home")
    hub.start()
    atexit.register(folder.cleanup)
    atexit.register(hub.stop)
    assert hub.process is not None
    pid = hub.process.pid
    loop = partial(_loop, hub, steps)
    cases = [
        Case("list.append, 1 scalar", partial(loop, "append", 1)),
        Case("relive, 1 scalar", partial(loop, "relive", 1), server_pid=pid),
        Case("relive, 10 scalars", partial(loop, "relive", 10), server_pid=pid),
    ]
    for name, python in _peers():
        few = min(steps, 5000)
        cases += [
            Case(f"{name}, {n} scalar{'s' * (n > 1)}", partial(_loop, hub, few, name, n, python))
            for n in (1, 10)
        ]
    return Benchmark(f"{steps} steps logged", cases)


def _peers() -> list[tuple[str, str]]:
    named = os.environ.get("RELIVE_BENCH_PEERS", "")
    return [(name, python) for name, _, python in (it.partition("=") for it in named.split(",") if it)]


def _loop(hub: RealHub, steps: int, way: str, scalars: int, python: str = sys.executable) -> Facts:
    assert hub.process is not None
    before = tree_cpu_s(hub.process.pid)
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [python, str(LOOP), way, str(steps), str(scalars)],
            env={**hub.env, "RELIVE_HUB": hub.address},
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
            timeout=LIMIT_S,
        )
    said = json.loads(done.stdout.splitlines()[-1])
    hub_cpu_s = tree_cpu_s(hub.process.pid) - before if way == "relive" else 0.0
    return {
        "call µs": round(said["call µs"], 2),
        "p99 µs": round(said["p99 µs"], 2),
        "CPU µs a step": round((said["cpu_s"] + hub_cpu_s) / steps * 1e6, 2),
        "of it hub": round(hub_cpu_s / steps * 1e6, 2),
    }
