"""Points sent while everything dies: each that was acknowledged is there, and each is there once.

Two clients speak MLflow's protocol, two our own; each sends a batch until it is acknowledged, then the next
one, as their libraries do. What is sent and what is stored is counted in the end.
"""

import http.client
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event

import pytest

from relive.core.run import Metric, RunStatus
from relive.errors import HubRefused, HubUnreachable, StoreFull
from relive.wire.runs import CreateRun
from tests.conftest import require
from tests.e2e import slow
from tests.e2e.hub import RealHub, running_hub, wait_for
from tests.e2e.invariants import facts_of
from tests.postgres import PostgresServer, find_binaries, running_server

ROUNDS = 25 if os.environ.get("RELIVE_SLOW") == "1" else 4
POINTS = 1000
START = 1_800_000_000.0
KEYS = ("loss", "acc")


@dataclass
class Sent:
    """What a client has sent: so many points of each key, all acknowledged.

    Attributes:
        answers: How often what came back.
    """

    run_id: str
    count: int = 0
    answers: Counter[str] = field(default_factory=Counter)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL server that may be stopped."""
    binaries = find_binaries()
    require(binaries is not None, "PostgreSQL is not installed (Debian, Ubuntu: apt install postgresql)")
    assert binaries is not None
    with running_server(binaries) as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def own_hub(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RealHub]:
    """A hub of this test's own, on either database."""
    options = () if request.param == "sqlite" else ("--db", request.getfixturevalue("server")())
    with running_hub(tmp_path / "home", *options) as running:
        yield running


def points_of(first: int) -> list[tuple[str, float, int, float]]:
    """Give the points of a batch: key, value, step, time; the clock runs back, and some values are none."""
    return [
        (key, float("nan") if step % 97 == 0 else step / 7, step, START - step)
        for step in range(first, first + POINTS // len(KEYS))
        for key in KEYS
    ]


def through_mlflow(hub: RealHub, sent: Sent, stop: Event) -> Sent:
    """Send as MLflow's client does."""
    while not stop.is_set():
        metrics = [
            {"key": key, "value": str(value), "step": step, "timestamp": int(at * 1000)}
            for key, value, step, at in points_of(sent.count)
        ]
        message = {"run_id": sent.run_id, "metrics": metrics}
        until_taken(sent, partial(_status_of, hub, message))
    return sent


def _status_of(hub: RealHub, message: object) -> int:
    return ask(hub, "runs/log-batch", message)[0]


def through_ours(hub: RealHub, sent: Sent, stop: Event) -> Sent:
    """Send as our own client does: batches with names."""
    reports = hub.client(retry_for_s=0.0).run(sent.run_id)
    while not stop.is_set():
        metrics = tuple(Metric(key, value, step, at) for key, value, step, at in points_of(sent.count))

        def send(metrics: tuple[Metric, ...] = metrics) -> int:
            try:
                reports.records(f"from {sent.count}", metrics)
            except HubRefused as refused:
                return refused.status
            except StoreFull:
                return 507
            return 200

        until_taken(sent, send)
    return sent


def until_taken(sent: Sent, send: Callable[[], int]) -> None:
    """Send a batch until the hub has it; nothing but "later" and a connection that breaks may come before."""
    while True:
        try:
            status = send()
        except (OSError, http.client.HTTPException, HubUnreachable):
            sent.answers["none"] += 1
        else:
            sent.answers[str(status)] += 1
            assert status in (200, 503, 507), sent.answers
            if status == 200:
                sent.count += POINTS // len(KEYS)
                return
        time.sleep(0.05)


def ask(hub: RealHub, call: str, message: object) -> tuple[int, dict[str, dict[str, dict[str, str]]]]:
    """Ask one of MLflow's calls, over a connection of its own."""
    with closing(http.client.HTTPConnection("127.0.0.1", hub.port, timeout=60)) as connection:
        body = json.dumps(message).encode()
        token = json.loads((hub.home / "tokens.json").read_text())["tokens"][hub.address]
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        connection.request("POST", f"/api/2.0/mlflow/{call}", body, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())


@contextmanager
def four_clients(hub: RealHub) -> Iterator[list["Future[Sent]"]]:
    """Let four clients send while the block goes on."""
    stop, client = Event(), hub.client()
    runs = [client.create_run(CreateRun(project="ingest")).run_id for _ in range(4)]
    ways = (through_mlflow, through_mlflow, through_ours, through_ours)
    with ThreadPoolExecutor(4) as pool:
        try:
            yield [pool.submit(way, hub, Sent(run), stop) for way, run in zip(ways, runs, strict=True)]
        finally:
            stop.set()


def assert_stored(hub: RealHub, sent: Sent) -> None:
    """Sent is stored: each step of each series once, and counted so."""
    client = hub.client()
    detail = client.get_run(sent.run_id)
    assert {it.key: it.count for it in detail.metrics} == dict.fromkeys(KEYS, sent.count), sent
    for key in KEYS:
        points = client.get_points(sent.run_id, key)
        assert list(points.steps) == list(range(sent.count)), key


def test_a_hub_killed_again_and_again_loses_no_acknowledged_point(own_hub: RealHub) -> None:
    dice = random.Random(1)
    with four_clients(own_hub) as clients:
        for _ in range(ROUNDS):
            time.sleep(dice.uniform(0.3, 1.5))
            own_hub.kill()
            own_hub.start()
        time.sleep(1.0)
    for client in clients:
        sent = client.result()
        assert sent.answers["none"] >= 1
        assert sent.count >= ROUNDS * POINTS // len(KEYS)
        assert_stored(own_hub, sent)
        ask(own_hub, "runs/update", {"run_id": sent.run_id, "status": "FINISHED"})
    with facts_of(own_hub) as facts:
        while facts.store.pack_metrics():
            pass
    for client in clients:
        assert_stored(own_hub, client.result())
    assert "Traceback" not in own_hub.log()


def test_a_database_started_again_under_load_is_told_as_busy_and_loses_nothing(
    server: PostgresServer, tmp_path: Path
) -> None:
    with running_hub(tmp_path / "home", "--db", server()) as hub:
        process = hub.process
        with four_clients(hub) as clients:
            for _ in range(2):
                time.sleep(1.0)
                server.stop()
                time.sleep(1.0)
                server.start_again()
            time.sleep(2.0)
        for client in clients:
            sent = client.result()
            # Never a broken connection, never a defect.
            assert set(sent.answers) == {"200", "503"}, sent.answers
            assert_stored(hub, sent)
        assert hub.process is process
        assert process is not None
        assert process.poll() is None
        assert "Traceback" not in hub.log()


def test_a_slow_disk_makes_clients_wait_and_loses_nothing(tmp_path: Path) -> None:
    with running_hub(tmp_path / "home", program=(slow.__file__, "0.3")) as hub:
        with four_clients(hub) as clients:
            for _ in range(10):
                hub.client(retry_for_s=0.0).list_projects()  # reading waits for nobody
                time.sleep(0.5)
        for client in clients:
            sent = client.result()
            assert set(sent.answers) == {"200"}, sent.answers
            assert_stored(hub, sent)


TRAINER = """\
import os, time, relive
run = relive.init(project="trainer")
for i in range(10**9):
    run.log({"i": i}, step=i)
    if i % 1000 == 0:
        time.sleep(0.01)
        os.write(1, b"%d\\n" % i)
"""


def test_a_trainer_and_its_hub_killed_lose_nothing_that_was_logged(tmp_path: Path) -> None:
    with running_hub(tmp_path / "home") as hub:
        trainer = subprocess.Popen(
            [sys.executable, "-c", TRAINER],
            env={**hub.env, "RELIVE_CONSOLE": "0", "RELIVE_SYSTEM_METRICS_S": "0"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for(lambda: any(it.project.name == "trainer" for it in hub.client().list_projects()))
            time.sleep(2.0)
            hub.kill()
            time.sleep(0.3)
        finally:
            trainer.kill()
            out, _ = trainer.communicate(timeout=60)
        said = int(out.split(b"\n")[-2])
        hub.start()
        hub.relive("sync")
        (run,) = hub.client().list_runs(project="trainer")
        assert run.status is RunStatus.KILLED
        steps = list(hub.client().get_points(run.id, "i").steps)
        assert steps == list(range(len(steps)))
        assert len(steps) > said > 0
