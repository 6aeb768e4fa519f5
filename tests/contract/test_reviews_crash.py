"""A queue on its way to change when the hub is killed: what is changed together is changed whole."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from relive.ports.review import Within
from tests.contract.databases import BACKENDS, fresh_url, opened
from tests.support.bench import quick_folder

ROOT = Path(__file__).resolve().parents[2]
TRACES = 50
CODE = """
import os, sys
from pathlib import Path
from relive.core.access import Caller, Scope
from relive.core.trace import Trace
from relive.services.mlflow import labels, review_items, reviews
from relive.wire.mlflow import review as wire
from tests.support.bench import open_bench
ann, (folder, url, traces) = Caller(name="ann", scope=Scope.MEMBER), sys.argv[1:]
with open_bench(Path(folder), url) as bench:
    services = bench.services
    asked = [
        wire.CreateLabelSchema(
            experiment_id="0", name=f"q{n}", type=1, input=wire.LabelInput(text=wire.TextInput())
        )
        for n in range(2)
    ]
    made = [labels.create_schema(services, each, ann) for each in asked]
    ids = tuple(f"tr-{n}" for n in range(int(traces)))
    for id_ in ids:
        services.store.create_trace(Trace(id=id_, experiment_id=made[0]["experiment_id"], started_ms=1))
    changed, filled = (
        reviews.create_queue(services, wire.CreateReviewQueue("0", name, queue_type=2), ann)["queue_id"]
        for name in ("turn -1", "filled")
    )
    for n in range(10**6):
        change = wire.UpdateReviewQueue(
            queue_id=changed, name=f"turn {n}", update_users=True, users=(f"user{n}", f"second{n}"),
            update_schema_ids=True, schema_ids=(made[n % 2]["schema_id"],),
        )
        reviews.update_queue(services, change, ann)
        review_items.add_items(services, wire.AddReviewItems(queue_id=filled, item_ids=ids), ann)
        os.write(1, b"%d %s\\n" % (n, made[n % 2]["schema_id"].encode()))
        review_items.remove_items(services, wire.RemoveReviewItems(queue_id=filled, item_ids=ids), ann)
"""


@pytest.mark.parametrize("pause_s", [0.0, 0.005, 0.02])
@pytest.mark.parametrize("backend", BACKENDS)
def test_killed_at_any_moment_each_change_is_whole(
    request: pytest.FixtureRequest, tmp_path: Path, backend: str, pause_s: float
) -> None:
    url = fresh_url(backend, request, tmp_path)
    with quick_folder() as folder:
        child = subprocess.Popen(
            [sys.executable, "-c", CODE, str(folder), url, str(TRACES)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        first = child.stdout.readline()
        time.sleep(pause_s)
        child.send_signal(signal.SIGKILL)
        out, _ = child.communicate(timeout=60)
    asked = [line.split()[1] for line in [first, *out.split("\n")[:-1]]]
    with opened(url) as store:
        (queue,) = [it for it in store.list_review_queues(Within()) if it.name.startswith("turn ")]
        (filled,) = [it for it in store.list_review_queues(Within()) if it.name == "filled"]
        turn = int(queue.name.removeprefix("turn "))
        assert turn in (len(asked) - 1, len(asked))
        assert store.list_review_users([queue.id]) == {queue.id: [f"second{turn}", f"user{turn}"]}
        if turn < len(asked):
            assert queue.schema_ids == (asked[turn],)
        assert len(store.list_review_items(filled.id)) in (0, TRACES)
