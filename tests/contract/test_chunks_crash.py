"""A process killed anywhere while it packs: every point is there once, and the next one goes on."""

import subprocess
import sys
from pathlib import Path

import pytest

from relive.core.run import Metric, RunStatus
from relive.core.series import Points
from relive.stores.sql.store import SqlStore
from relive.testing.stores_samples import a_run
from tests.contract.databases import BACKENDS, fresh_url, opened

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0
LATE = 50


def pack_and_die(url: str, n_statements: int) -> bool:
    """Let a process pack until its Nth statement; tells whether it came to its end."""
    command = [sys.executable, "-m", "tests.contract.killed_in_packing", url, str(n_statements)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == (0 if "whole" in done.stdout else -9), done.stderr
    return done.returncode == 0


def rows(points: Points) -> list[tuple[int, float, float]]:
    """Give points as rows."""
    return list(zip(points.steps, points.times, points.values, strict=True))


def a_packed_run_with_more(store: SqlStore) -> tuple[str, list[tuple[int, float, float]]]:
    """Make a run with a chunk, rows behind it and rows that come between its points."""
    run = a_run(store)
    store.record_metrics(run.id, [Metric("x", 0.5 * step, 2 * step, 1.0) for step in range(200)])
    store.set_run(run.id, status=RunStatus.FINISHED)
    while store.pack_metrics():
        pass
    more = [Metric("x", -1.0, 2 * step + 1, 1.0) for step in range(LATE)]
    more += [Metric("x", 1.0, step, 1.0) for step in range(1000, 1100)]
    more += [Metric("y", 1.0, step, 1.0) for step in range(100)]
    store.record_metrics(run.id, more)
    return run.id, rows(store.get_points(run.id, "x"))


@pytest.mark.parametrize("backend", BACKENDS)
def test_killed_before_any_statement_no_point_is_lost_or_doubled(request, tmp_path, backend):
    url = fresh_url(backend, request, tmp_path)
    with opened(url, durable=True) as store:
        run_id, expected = a_packed_run_with_more(store)
        assert len(expected) == 200 + LATE + 100
        n_statements = deaths = 0
        while not pack_and_die(url, n_statements):
            deaths += 1
            assert rows(store.get_points(run_id, "x")) == expected
            assert len(store.get_points(run_id, "y")) == 100
            # Each death leaves the work of all transactions before it done, so that fewer are left.
            n_statements += 3
        assert deaths >= 3
        assert rows(store.get_points(run_id, "x")) == expected
        assert [summary.count for summary in store.list_metrics([run_id])] == [len(expected), 100]
        assert not store.pack_metrics()
