"""The harness measures what it says, and every benchmark still runs in its small size.

No assertion is about how long something took.
"""

import os
import subprocess
import sys
import time
from functools import partial

import pytest

from tests.bench.__main__ import names, run
from tests.bench.harness import Benchmark, Case, Measured, measure, table, tree_cpu_s

PATIENCE_S = 120.0


def test_cases_run_in_turn_after_a_run_that_does_not_count():
    order: list[str] = []
    cases = [Case(name, partial(order.append, name)) for name in ("a", "b")]
    results = measure(Benchmark("order", cases), rounds=2)
    assert order == ["a", "b", "a", "b", "b", "a"]
    assert [(it.name, len(it.wall_s), len(it.cpu_s)) for it in results] == [("a", 2, 2), ("b", 2, 2)]


def test_facts_of_the_last_round_are_kept():
    results = measure(Benchmark("facts", [Case("a", lambda: {"bytes": 7})]), rounds=1)
    assert results[0].facts == {"bytes": 7}


def test_the_table_says_ratios_of_medians_to_the_first_row():
    results = [
        Measured("floor", wall_s=[0.1, 0.2, 0.3], cpu_s=[0.002, 0.001, 0.0015]),
        Measured("ours", wall_s=[0.5, 0.4, 0.3], cpu_s=[0.0003, 0.0003, 0.0001], facts={"bytes": 10}),
    ]
    assert table("work", results) == (
        "### work\n\n"
        "| case | wall median (min) | × wall | CPU median (min) | × CPU | bytes |\n"
        "| --- | --- | --- | --- | --- | --- |\n"
        "| floor | 200 ms (100 ms) | 1.00 | 1.5 ms (1 ms) | 1.00 |  |\n"
        "| ours | 400 ms (300 ms) | 2.00 | 300 µs (100 µs) | 0.20 | 10 |\n"
    )


def test_a_baseline_without_cost_gives_no_ratio():
    assert "| a | 0 µs (0 µs) | - | 0 µs (0 µs) | - |" in table("nothing", [Measured("a", [0.0], [0.0])])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_cpu_time_of_a_grandchild_counts():
    burn = "import time\nwhile time.process_time() < 0.3: pass\nprint('done', flush=True); input()"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n"
        used = tree_cpu_s(process.pid)
        process.communicate("\n", timeout=PATIENCE_S)
    assert used >= 0.25
    assert tree_cpu_s(process.pid) == 0.0


def test_the_cpu_time_of_a_server_counts():
    server = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        case = Case("serve", lambda: _wait_for_cpu(server.pid, 0.2), server_pid=server.pid)
        result = measure(Benchmark("server", [case]), rounds=1)[0]
    finally:
        server.kill()
        server.wait(PATIENCE_S)
    assert result.cpu_s[0] >= 0.15


@pytest.mark.bench
@pytest.mark.parametrize("name", names())
def test_every_benchmark_runs(name):
    lines = run(name, size="small", rounds=1).splitlines()
    assert len(lines) >= 6, "a heading and at least two cases to compare"


def _wait_for_cpu(pid: int, seconds: float) -> None:
    enough, deadline = tree_cpu_s(pid) + seconds, time.monotonic() + PATIENCE_S
    while tree_cpu_s(pid) < enough and time.monotonic() < deadline:
        os.sched_yield()
