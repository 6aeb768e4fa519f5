"""However much is logged, the hub stays small: points, series, files in parts; and all of it is there.

With RELIVE_SLOW=1 the sizes are those of a bad day: ten million points, a file of 5 GB.
"""

import hashlib
import json
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import pytest

from relive.core.run import Metric
from relive.wire.runs import CreateRun
from tests.e2e.hub import RealHub
from tests.e2e.test_crashes_memory import IS_SLOW, MIB, SLACK_BYTES, hub_process, resident, watched

POINTS = 10_000_000 if IS_SLOW else 300_000
SERIES = 10_000
BATCH = 20_000
PART_MIB = 256 if IS_SLOW else 24
PARTS = 20 if IS_SLOW else 6
PATIENCE_S = 600.0


def new_run(hub: RealHub) -> str:
    """Make a run."""
    return hub.client().create_run(CreateRun(project="large")).run_id


@contextmanager
def open_answer(hub: RealHub, method: str, path: str, message: Any = None) -> Iterator[HTTPResponse]:
    """Ask as the admin; gives the answer to be read."""
    token = json.loads((hub.home / "tokens.json").read_text())["tokens"][hub.address]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    with closing(HTTPConnection("127.0.0.1", hub.port, timeout=PATIENCE_S)) as connection:
        connection.request(method, path, None if message is None else json.dumps(message), headers)
        answer = connection.getresponse()
        assert answer.status == 200, answer.read(1000)
        yield answer


def ask(hub: RealHub, path: str, message: Any) -> Any:
    """Send a message and read what comes back."""
    with open_answer(hub, "POST", path, message) as answer:
        return json.loads(answer.read())


@pytest.mark.timeout(1800)
def test_a_series_of_many_points_goes_in_and_out_in_little_memory(hub: RealHub) -> None:
    client, run, pid = hub.client(), new_run(hub), hub_process(hub)
    before = resident(pid)
    with watched(pid) as peaks:
        for first in range(0, POINTS, BATCH):
            points = tuple(
                Metric("loss", step / 7, step, 1.8e9 + step) for step in range(first, first + BATCH)
            )
            client.run(run).records(str(first), points)
        assert [row.count for row in client.get_run(run).metrics] == [POINTS]
        assert list(client.get_points(run, "loss").steps) == list(range(POINTS))
        assert len(client.get_points(run, "loss", max_points=1000)) <= 1000
        query = f"run_id={run}&metric_key=loss"
        n_points = 0
        with open_answer(hub, "GET", f"/api/2.0/mlflow/metrics/get-history?{query}") as answer:
            while piece := answer.read(MIB):
                n_points += piece.count(b'"step"')  # one cut in two by a piece is missed
        assert POINTS * 0.999 < n_points <= POINTS
        query = f"run_ids={run}&metric_key=loss&max_results=100"
        with open_answer(hub, "GET", f"/api/2.0/mlflow/metrics/get-history-bulk-interval?{query}") as answer:
            sampled = [point["step"] for point in json.loads(answer.read())["metrics"]]
        assert (len(sampled), sampled[0], sampled[-1]) == (100, 0, POINTS - 1)
    # A page of our own protocol holds a million points, 24 bytes each, and its copy on the way out.
    assert peaks.bytes[pid] - before < SLACK_BYTES + (160 * MIB if IS_SLOW else 0)


def test_ten_thousand_series_in_one_run(hub: RealHub) -> None:
    run = new_run(hub)
    for step in range(2):
        for first in range(0, SERIES, 1000):
            metrics = [
                {"key": f"layer/{number}/grad", "value": number * step, "step": step, "timestamp": 1}
                for number in range(first, first + 1000)
            ]
            message = {"run_id": run, "metrics": metrics}
            ask(hub, "/api/2.0/mlflow/runs/log-batch", message)
    found = hub.client().get_run(run).metrics
    assert (len(found), sum(row.count for row in found)) == (SERIES, 2 * SERIES)
    with open_answer(hub, "GET", f"/api/2.0/mlflow/runs/get?run_id={run}") as answer:
        assert len(json.loads(answer.read())["run"]["data"]["metrics"]) == SERIES
    with open_answer(hub, "GET", f"/r/{run}") as answer:
        assert len(answer.read()) < MIB


def part_of(number: int) -> Iterator[bytes]:
    """Give the bytes of a part, a MiB at a time."""
    for place in range(PART_MIB):
        yield b"%08d%08d" % (number, place) * (MIB // 16)


def send_part(url: str, number: int, *, cut_off: bool) -> str:
    """Send a part, or the first half of it; gives its etag."""
    host, _, path = url.removeprefix("http://").partition("/")
    name, _, port = host.partition(":")
    head = f"PUT /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {PART_MIB * MIB}\r\n\r\n"
    with socket.create_connection((name, int(port)), timeout=PATIENCE_S) as connection:
        connection.sendall(head.encode())
        for place, piece in enumerate(part_of(number)):
            if cut_off and place == PART_MIB // 2:
                return ""
            connection.sendall(piece)
        answer = HTTPResponse(connection)
        answer.begin()
        assert answer.status == 200, answer.read()
        return answer.headers["etag"]


@pytest.mark.timeout(1800)
def test_a_large_file_in_parts_survives_connections_that_break(hub: RealHub) -> None:
    run, pid, before = new_run(hub), hub_process(hub), resident(hub_process(hub))
    experiment = hub.client().get_run(run).run.experiment_id
    folder = f"{experiment}/{run}/artifacts/big"
    mpu = "/api/2.0/mlflow-artifacts/mpu"
    whole = hashlib.sha256()
    with watched(pid) as peaks:
        begun = ask(hub, f"{mpu}/create/{folder}", {"path": "big/w.bin", "num_parts": PARTS})
        parts = []
        for sent in begun["credentials"]:
            number = sent["part_number"]
            if number % 3 == 0:
                send_part(sent["url"], number, cut_off=True)
            etag = send_part(sent["url"], number, cut_off=False)
            parts.append({"part_number": number, "etag": etag, "url": sent["url"]})
            for piece in part_of(number):
                whole.update(piece)
        done = {"path": "big/w.bin", "upload_id": begun["upload_id"], "parts": parts}
        ask(hub, f"{mpu}/complete/{folder}", done)
        kept, size = hashlib.sha256(), 0
        with open_answer(hub, "GET", f"/api/2.0/mlflow-artifacts/artifacts/{folder}/w.bin") as answer:
            while piece := answer.read(MIB):
                kept.update(piece)
                size += len(piece)
    assert (size, kept.digest()) == (PARTS * PART_MIB * MIB, whole.digest())
    assert peaks.bytes[pid] - before < SLACK_BYTES
