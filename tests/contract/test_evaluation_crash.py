"""Records for evaluation on their way when the hub is killed: a call is kept whole, or not at all."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.contract.databases import BACKENDS, fresh_url, opened
from tests.support.bench import quick_folder

ROOT = Path(__file__).resolve().parents[2]
A_CALL = 150
# What every call has among its records: they are merged each time.
SHARED = 20
CODE = """
import json, os, sys
from pathlib import Path
from relive.core.access import Caller, Scope
from relive.services.mlflow import evaluation
from relive.wire.mlflow import evaluation as wire
from tests.support.bench import open_bench
ann, (folder, url, a_call, shared) = Caller(name="ann", scope=Scope.MEMBER), sys.argv[1:]
with open_bench(Path(folder), url) as bench:
    made = evaluation.create_dataset(bench.services, wire.CreateEvaluationDataset(name="q"), ann)
    for n in range(10**6):
        records = [{"inputs": {"shared": i}, "expectations": {"n": n}} for i in range(int(shared))]
        records += [{"inputs": {"n": n, "i": i}} for i in range(int(a_call))]
        sent = wire.UpsertEvaluationRecords(records=json.dumps(records), dataset_id=made["dataset_id"])
        evaluation.upsert_records(bench.services, sent, ann)
        os.write(1, b"%s %d\\n" % (made["dataset_id"].encode(), n))
"""


@pytest.mark.parametrize("pause_s", [0.0, 0.005, 0.02, 0.06])
@pytest.mark.parametrize("backend", BACKENDS)
def test_killed_at_any_moment_each_call_is_whole(
    request: pytest.FixtureRequest, tmp_path: Path, backend: str, pause_s: float
) -> None:
    url = fresh_url(backend, request, tmp_path)
    with quick_folder() as folder:
        child = subprocess.Popen(
            [sys.executable, "-c", CODE, str(folder), url, str(A_CALL), str(SHARED)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        dataset_id, first = child.stdout.readline().split()
        assert first == "0"
        time.sleep(pause_s)
        child.send_signal(signal.SIGKILL)
        out, _ = child.communicate(timeout=60)
    said = int(["x 0", *out.split("\n")[:-1]][-1].split()[1])
    with opened(url) as store:
        dataset = store.get_evaluation_dataset(dataset_id)
        records = store.list_evaluation_records(dataset_id, limit=10**6)
    calls, rest = divmod(len(records) - SHARED, A_CALL)
    assert (rest, dataset.records) == (0, len(records))
    assert calls > said
    shared = {record.expectations for record in records[:SHARED]}
    assert shared == {f'{{"n": {calls - 1}}}'}
    assert [record.number for record in records] == list(range(1, len(records) + 1))
