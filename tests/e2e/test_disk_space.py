"""Room is made on a hub that works: what is needed stays, and points are the same when they were packed."""

import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from relive.core.run import Metric, RunStatus
from relive.wire.jobs import StageReport
from relive.wire.runs import CreateRun
from tests.e2e.hub import RealHub, make_repository, running_hub, wait_for
from tests.e2e.tiny import infer, tiny

MODEL = "kept"
DAY_S = 86400.0
STEPS = 6000


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHub]:
    """A hub that serves a model which a push made."""
    with running_hub(tmp_path_factory.mktemp("home")) as running:
        repository = make_repository(running, running.home / MODEL, tiny(MODEL, weight=2.0))
        repository.push()
        assert infer(running, MODEL) == [6.0]
        yield running


def rows_left(hub: RealHub) -> int:
    """Count the points that lie in rows."""
    with closing(sqlite3.connect(hub.home / "hub" / "relive.db")) as database:
        count: int = database.execute("SELECT count(*) FROM metric_points").fetchone()[0]
        return count


def test_a_collection_leaves_what_a_model_needs_and_deletes_what_nobody_does(hub: RealHub) -> None:
    client = hub.client()
    lost = client.blobs.put_bytes(b"nobody refers to me")
    at = time.time() - 3 * DAY_S
    for path in (hub.home / "hub" / "blobs").rglob("*"):
        if path.is_file():
            os.utime(path, (at, at))
    report = json.loads(hub.relive("gc", "--json").stdout)
    # The client was told a moment ago whether its blob is there.
    assert (report["pinned"], report["deleted"]) == (1, 0)
    with closing(sqlite3.connect(hub.home / "hub" / "relive.db")) as database:
        database.execute("DELETE FROM blob_pins")
        database.commit()
    report = json.loads(hub.relive("gc", "--json").stdout)
    assert (report["pinned"], report["deleted"]) == (0, 1)
    assert client.blobs.missing([lost]) == {lost}
    assert infer(hub, MODEL) == [6.0]
    hub.relive("model", "verify", f"{MODEL}@champion")
    run = client.get_version(MODEL, "champion").run_id
    assert client.get_recipe(run).declared.command
    assert hub.relive("logs", run).stdout
    hub.relive("replay", f"{MODEL}@champion")


def test_points_are_packed_behind_the_scenes_and_a_killed_hub_goes_on(hub: RealHub) -> None:
    client = hub.client()
    created = client.create_run(CreateRun(project=MODEL))
    points = tuple(Metric("loss", 1.0 / (step + 1), step, 1.8e9 + step) for step in range(STEPS))
    client.run(created.run_id).records("1", metrics=points)
    before = client.get_points(created.run_id, "loss")
    hub.kill()
    hub.start()
    client.run(created.run_id).records("2", metrics=points)
    client.run(created.run_id).finish(StageReport(status=RunStatus.FINISHED, fence=0))
    wait_for(lambda: rows_left(hub) < STEPS // 100)
    after = hub.client().get_points(created.run_id, "loss")
    assert (after.steps, after.times, after.values) == (before.steps, before.times, before.values)
    (summary,) = hub.client().get_run(created.run_id).metrics
    assert summary.count == STEPS
