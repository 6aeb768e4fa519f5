"""Clients of an endpoint lose nothing by a new revision, and by a killed model only until it is back."""

import json
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from relive.core.endpoint import Address, Route, RoutingTable, Target, encode_table
from relive.serving.bundle import build_bundle
from relive.serving.modelprocess import ServeSpec
from relive.serving.probe import ask
from tests.unit.serving.models import Registered, iris_classifier, iris_rows, register
from tests.unit.serving.processes import (
    DEADLINE_S,
    Process,
    answer_on,
    connect,
    eventually,
    get,
    router_command,
    running,
)

BODY = json.dumps({"instances": [[5.0, 3.5, 1.4, 0.2]]}).encode()
REQUEST = b"POST /endpoints/iris/invocations HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (
    len(BODY),
    BODY,
)


@dataclass
class Revision:
    """A supervised model and its status file."""

    number: int
    address: Address
    process: Process
    status_file: Path

    def status(self) -> dict[str, object]:
        """Give what the supervisor says last."""
        content: dict[str, object] = (
            json.loads(self.status_file.read_text()) if self.status_file.exists() else {}
        )
        return content


@dataclass
class Stage:
    """An endpoint in a folder: its router, its table, and the means to start revisions."""

    folder: Path
    sockets: Path
    registered: Registered
    bundle: Path
    router: Address
    stack: ExitStack
    version: int = field(default=0)

    def start(self, number: int) -> Revision:
        """Start a revision and wait until it is ready."""
        spec = ServeSpec(
            python=sys.executable,
            bundle=str(self.bundle),
            model=str(self.registered.model),
            contract=str(self.registered.contract),
            name="iris",
            version=str(number),
            address=Address(path=str(self.sockets / f"r{number}")),
            backoff_s=0.05,
        )
        (self.folder / f"{number}.json").write_bytes(msgspec.json.encode(spec))
        status = self.folder / f"{number}.status"
        command = [
            sys.executable,
            "-m",
            "relive.serving.supervise",
            str(self.folder / f"{number}.json"),
            "--status",
            str(status),
        ]
        revision = Revision(number, spec.address, self.stack.enter_context(running(command)), status)
        eventually("the revision is ready", lambda: revision.status().get("state") == "ready")
        return revision

    def route_to(self, revision: Revision) -> None:
        """Give the endpoint's traffic to a revision, as the hub does."""
        self.version += 1
        target = Target(
            revision=revision.number,
            model="iris",
            version=str(revision.number),
            address=str(revision.address),
        )
        table = RoutingTable(version=self.version, endpoints={"iris": Route(stable=target)})
        (self.folder / "partial").write_bytes(encode_table(table))
        (self.folder / "partial").replace(self.folder / "table.json")


@pytest.fixture
def stage(tmp_path, tmp_path_factory) -> Iterator[Stage]:
    registered = register(iris_classifier(tmp_path), iris_rows(tmp_path / "rows.csv"), tmp_path / "contract")
    with ExitStack() as stack:
        router = stack.enter_context(running(router_command(tmp_path / "table.json"))).announced()
        bundle = build_bundle(tmp_path / "bundle")
        yield Stage(tmp_path, tmp_path_factory.mktemp("s"), registered, bundle, router, stack)


@dataclass
class Load:
    """Clients that ask one after another; what they got, by status and revision.

    Each stops after its number of requests, or sooner once `enough` is set.
    """

    enough: threading.Event = field(default_factory=threading.Event)
    answers: Counter[tuple[int, str]] = field(default_factory=Counter)
    bodies: set[bytes] = field(default_factory=set)
    without_retry_after: int = 0
    broken: list[BaseException] = field(default_factory=list)

    @property
    def total(self) -> int:
        """How many answers have come."""
        return sum(self.answers.values())

    def run(self, router: Address, requests: int) -> None:
        """Send so many requests on one kept connection."""
        try:
            with connect(router) as plain:
                for _ in range(requests):
                    if self.enough.is_set():
                        return
                    plain.sendall(REQUEST)
                    status, headers, body = answer_on(plain)
                    self.answers[status, headers.get("x-relive-revision", "")] += 1
                    if status == 200:
                        self.bodies.add(body)
                    elif headers.get("retry-after") != "1":
                        self.without_retry_after += 1
        except BaseException as error:
            self.broken.append(error)
            raise


@contextmanager
def load(router: Address, *, clients: int, requests: int) -> Iterator[Load]:
    """Keep an endpoint busy during a block, and wait for all answers at its end."""
    made = Load()
    threads = [threading.Thread(target=made.run, args=(router, requests)) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield made
    finally:
        for thread in threads:
            thread.join(2 * DEADLINE_S)
    assert made.broken == []


def test_a_new_revision_takes_over_without_a_lost_request(stage):
    first, second = stage.start(1), stage.start(2)
    stage.route_to(first)
    eventually("the endpoint answers", lambda: get(stage.router, "/v2/models/iris/ready").status == 200)
    with load(stage.router, clients=4, requests=2000) as made:
        eventually("the first is busy", lambda: made.total > 60)
        stage.route_to(second)
        eventually("the second is busy", lambda: made.answers[200, "2"] > 20)
        # Sooner than the hub would: what is on its way to the first must still be answered.
        first.process.popen.send_signal(signal.SIGTERM)
        assert first.process.popen.wait(DEADLINE_S) == 0
        made.enough.set()
    assert set(made.answers) == {(200, "1"), (200, "2")}
    assert made.bodies == {b'{"predictions":[0]}'}


def test_a_revision_that_drains_while_it_has_the_traffic_breaks_no_answer(stage):
    revision = stage.start(1)
    stage.route_to(revision)
    eventually("the endpoint answers", lambda: get(stage.router, "/v2/models/iris/ready").status == 200)
    with load(stage.router, clients=4, requests=2000) as made:
        eventually("it is busy", lambda: made.total > 40)
        revision.process.popen.send_signal(signal.SIGTERM)
        eventually("it is down", lambda: made.answers[503, "1"] > 4)
        made.enough.set()
    assert {status for status, _ in made.answers} == {200, 503}
    assert made.without_retry_after == 0
    assert made.bodies == {b'{"predictions":[0]}'}


def test_a_killed_model_means_503_until_it_is_back(stage):
    revision = stage.start(1)
    stage.route_to(revision)
    eventually("the endpoint answers", lambda: get(stage.router, "/v2/models/iris/ready").status == 200)
    with load(stage.router, clients=2, requests=2000) as made:
        eventually("it is busy", lambda: made.total > 30)
        # The supervisor is held back, so that it is down for as long as the test wants.
        revision.process.popen.send_signal(signal.SIGSTOP)
        os.kill(int(str(revision.status()["pid"])), signal.SIGKILL)
        eventually("it is down", lambda: made.answers[503, "1"] > 4)
        made.enough.set()
    revision.process.popen.send_signal(signal.SIGCONT)
    assert {status for status, _ in made.answers} == {200, 503}
    assert made.without_retry_after == 0

    def recovered() -> bool:
        return (
            ask(stage.router, "POST", "/endpoints/iris/invocations", body=BODY, timeout_s=DEADLINE_S).status
            == 200
        )

    eventually("it is back", recovered)
    eventually("its supervisor says so", lambda: revision.status().get("restarts") == 1)


def test_rollback_is_a_table_with_the_old_revision(stage):
    first, second = stage.start(1), stage.start(2)
    for revision in (first, second, first):
        stage.route_to(revision)

        def answered_by(number: int = revision.number) -> bool:
            with connect(stage.router) as plain:
                plain.sendall(REQUEST)
                return answer_on(plain)[1].get("x-relive-revision") == str(number)

        eventually("the revision has the traffic", answered_by)


def test_the_router_goes_on_when_its_table_is_gone(stage):
    revision = stage.start(1)
    stage.route_to(revision)
    eventually("the endpoint answers", lambda: get(stage.router, "/v2/models/iris/ready").status == 200)
    (stage.folder / "table.json").unlink()
    with load(stage.router, clients=1, requests=20) as made:
        pass
    assert made.answers == {(200, "1"): 20}
