"""A process killed anywhere while it purges and collects: what stays is whole, what goes goes in the end."""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from relive.core.artifact import Manifest, ManifestEntry
from relive.core.run import Artifact, Metric, RunStatus
from relive.core.trace import Span, Trace
from relive.services.context import Services
from relive.testing.stores_samples import a_run
from tests.contract.databases import fresh_url
from tests.contract.killed_in_collecting import services_of

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 120.0
N_TRACES = 5
# Each death starts an interpreter, which costs a second.
STRIDE = 2 if os.environ.get("RELIVE_SLOW") == "1" else 25


@pytest.fixture(params=["sqlite on a disk", "postgresql on a disk", "sqlite on S3"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """Give the addresses of an empty database and an empty blob store."""
    database, _, kind = request.param.partition(" on ")
    bucket: Callable[[], str] = request.getfixturevalue("moto_url") if kind == "S3" else lambda: ""
    return fresh_url(database, request, tmp_path), bucket() or str(tmp_path / "blobs")


def collect_and_die(database: str, blobs: str, folder: Path, n_steps: int) -> bool:
    """Let a process collect until its Nth step; tells whether it came to its end."""
    command = [sys.executable, "-m", "tests.contract.killed_in_collecting", database, blobs, str(folder)]
    done = subprocess.run(
        [*command, str(n_steps)], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == (0 if "whole" in done.stdout else -9), done.stderr
    return done.returncode == 0


def a_run_with_all(services: Services, name: str) -> tuple[str, set[str]]:
    """Make a run with points, packed and not, and an artifact; gives it and the digests of its blobs."""
    store = services.store
    run = a_run(store)
    store.record_metrics(run.id, [Metric("x", step / 3, step, 1.0) for step in range(100)])
    store.record_params(run.id, {"lr": 0.1})
    data = services.blobs.put(f"{name}'s".encode() * 9)
    entry = ManifestEntry(path="w", digest=data.digest, size_bytes=data.size_bytes)
    manifest = services.blobs.put(Manifest((entry,)).to_bytes())
    store.record_artifact(Artifact(run_id=run.id, path="w", manifest=manifest.digest, size_bytes=9, files=1))
    store.set_run(run.id, status=RunStatus.FINISHED)
    while store.pack_metrics():
        pass
    store.record_metrics(run.id, [Metric("x", 0.5, step, 2.0) for step in range(5)])
    return run.id, {data.digest, manifest.digest}


def a_deleted_experiment_of_traces(services: Services) -> str:
    """Make an experiment with traces of two spans each, and delete it; gives its id."""
    store = services.store
    experiment = store.ensure_experiment(store.list_projects()[0].id, "traced").id
    for number in range(N_TRACES):
        trace = Trace(id=f"tr-{number}", experiment_id=experiment, started_ms=number)
        store.create_trace(trace)
        store.record_spans([Span(trace_id=trace.id, id=it, started_ns=1, content="{}") for it in "ab"])
    store.delete_experiment(experiment)
    return experiment


def test_killed_before_any_step_nothing_that_is_needed_goes(stores: tuple[str, str], tmp_path: Path) -> None:
    database, blobs = stores
    (tmp_path / "hub").mkdir()
    services = services_of(database, blobs, tmp_path / "hub")
    with closing(services.store):
        die_and_look(services, partial(collect_and_die, database, blobs, tmp_path / "hub"))
    assert not list((tmp_path / "hub").glob("gc-*"))


def die_and_look(services: Services, collect: Callable[[int], bool]) -> None:
    """Let processes die at one step after the other, until one comes to its end."""
    store = services.store
    kept, needed = a_run_with_all(services, "kept")
    gone, lost = a_run_with_all(services, "gone")
    lost |= {services.blobs.put(b"nobody's %d" % number).digest for number in range(5)}
    store.set_run(gone, deleted_at=1.0)
    traced = a_deleted_experiment_of_traces(services)
    before = store.get_points(kept, "x")
    n_steps = deaths = 0
    while not collect(n_steps):
        deaths += 1
        n_steps += STRIDE
        assert store.get_points(kept, "x") == before
        for digest in needed:
            services.blobs.verify(digest)
        # A run is there with all that it has, or not at all.
        points = {105} if store.find_run(gone) is not None else {0}
        assert {len(store.get_points(gone, "x"))} == points
        # So is a trace.
        left = store.list_old_traces(traced, up_to_ms=9, limit=None)
        assert store.count_spans([f"tr-{n}" for n in range(N_TRACES)]) == {trace.id: 2 for trace in left}
    assert deaths >= 3
    assert store.find_run(gone) is None
    assert store.list_old_traces(traced, up_to_ms=9, limit=None) == []
    assert {blob.digest for blob in services.blobs.list()} == needed
    assert [row.count for row in store.list_metrics([kept, gone])] == [105]
    # Nothing is left that says that a blob is to go.
    assert store.pin_blobs(sorted(needed | lost)) == set()
