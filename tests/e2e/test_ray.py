"""A push whose stages run on a real Ray cluster, and what may happen to them there.

One cluster for all tests: a head that offers no processor, and a node; about a gigabyte. Each job costs Ray a
new process that imports it, two to five seconds, and each test has one to three of them.
"""

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import urllib3

from relive.core.job import Job, JobState
from relive.core.pipeline import PipelineStatus, Stage, StageStatus
from relive.core.run import RunStatus
from relive.executors.ray import RayExecutor
from tests.e2e.hub import RealHub, Repository, make_repository, wait_for
from tests.e2e.invariants import assert_sound
from tests.e2e.tiny import Gate, waiting
from tests.support.ray_cluster import RayCluster, running_cluster
from tests.support.wheels import make_wheel

pytestmark = [pytest.mark.xdist_group("ray"), pytest.mark.timeout(600)]

LEASE_S = 15
ON_RAY = "    resources: {pool: ray}\n"

PROJECT = """\
version: 1
env: {lock: requirements.txt}
stages:
  train:
    cmd: python train.py
    params: [params.yaml]
    outs: [model/]
    metrics: [metrics.json]
    resources: {pool: ray, cpu: 2, memory: 300MiB}
  use:
    cmd: python use.py
    deps: [model/]
    resources: {pool: ray, cpu: 0.5}
"""
TRAIN = """\
import json, os
import weights
os.makedirs("model", exist_ok=True)
with open("model/weight.txt", "w") as file:
    file.write(weights.VERSION)
with open("metrics.json", "w") as file:
    json.dump({"accuracy": 0.75}, file)
print("trained with", weights.VERSION, "on", os.environ["OMP_NUM_THREADS"], "threads", flush=True)
print("sees", sorted(name for name in os.environ if name.startswith("RAY_")), flush=True)
"""
USE = "print('weight', open('model/weight.txt').read())\n"


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    """A cluster of a head and a node; the tests are in its network, where no package index is."""
    with tempfile.TemporaryDirectory() as wheels:
        make_wheel(Path(wheels), "weights", "2.5")
        variables = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": wheels}
        with running_cluster(head_cpus=0, node_cpus=(4,), **variables) as running:
            yield running


@pytest.fixture(scope="module")
def hub(cluster: RayCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHub]:
    """A hub in the cluster's network, with the cluster as its pool `ray`."""
    home = tmp_path_factory.mktemp("home")
    hub = RealHub(home, variables={"RELIVE_CACHE": str(home / "cache"), "RELIVE_LEASE_S": str(LEASE_S)})
    # By another name than the hub's own, so that jobs which find it were told the public address.
    hub.options = ("--public-url", f"http://localhost:{hub.port}")
    try:
        hub.start()
        add_pool(hub, cluster, "ray")
        yield hub
    finally:
        hub.stop()


def add_pool(hub: RealHub, cluster: RayCluster, name: str, *options: str) -> None:
    """Add the cluster as a person does."""
    given = ("--ray", cluster.address, "--token-file", str(cluster.token_file))
    hub.relive("pool", "add", name, *given, *(options or ("--python", cluster.python)))


def stage_of(repository: Repository, key: str = "work", number: int = 1) -> Stage:
    """Give a stage as it stands."""
    found: list[Stage] = [it for it in repository.pipeline(number).stages if it.key == key]
    return found[0]


def job_of(hub: RealHub, stage: Stage) -> Job:
    """Give the job that a stage has now."""
    (job,) = [job for job in hub.client().list_jobs() if job.id == stage.job_id]
    return job


def log_of(hub: RealHub, stage: Stage) -> str:
    """Give the log of a stage's run as far as the hub has it."""
    return b"".join(hub.client().read_log(stage.run_id)).decode()


def start_waiting(hub: RealHub, place: Path, name: str, stage: str = ON_RAY) -> tuple[Repository, Gate]:
    """Push a project whose command runs on the cluster, and waits at a gate."""
    gate = Gate(place / "gate")
    repository = make_repository(hub, place / name, waiting(gate, stage=stage, after="print('went on')\n"))
    repository.push("-o", "nowait")
    wait_for(lambda: hub.client().list_pipelines(project=name))
    return repository, gate


def await_end(repository: Repository, number: int = 1) -> PipelineStatus:
    """Wait until a pipeline has ended."""
    wait_for(lambda: repository.pipeline(number).pipeline.status.is_final, timeout_s=300)
    status: PipelineStatus = repository.pipeline(number).pipeline.status
    return status


def has_succeeded(cluster: RayCluster, job_id: str) -> bool:
    """Tell whether Ray, too, knows by now that a job is done."""
    return bool(cluster.job(job_id)["status"] == "SUCCEEDED")


def test_a_push_trains_on_the_cluster(hub: RealHub, cluster: RayCluster, place: Path) -> None:
    files = {"relive.yaml": PROJECT, "requirements.txt": "weights>=2\n", "params.yaml": "depth: 3\n"}
    repository = make_repository(hub, place / "clustered", {**files, "train.py": TRAIN, "use.py": USE})
    told = repository.push()
    assert repository.pipeline(1).pipeline.status is PipelineStatus.SUCCEEDED, told

    trained, used = stage_of(repository, "train"), stage_of(repository, "use")
    assert "trained with 2.5 on 2 threads" in log_of(hub, trained)
    assert "sees []" in log_of(hub, trained)
    assert "weight 2.5" in log_of(hub, used)
    detail = hub.client().get_run(trained.run_id)
    assert [(it.key, it.last) for it in detail.metrics] == [("accuracy", 0.75)]
    assert detail.params == {"depth": 3}
    assert [it.path for it in detail.artifacts] == ["metrics.json", "model"]
    observed = hub.client().get_recipe(trained.run_id).observed
    assert observed is not None
    assert observed.hardware.cores > 0

    for key in ("environment", "train", "use"):
        wait_for(partial(has_succeeded, cluster, stage_of(repository, key).job_id))
    assert cluster.resources(trained.job_id) == {"CPU": 2.0, "memory": 300 * 2**20}
    assert cluster.resources(used.job_id) == {"CPU": 0.5}
    assert_sound(hub)


def test_what_runs_is_seen_live_and_its_ticket_is_good_for_nobody_else(
    hub: RealHub, cluster: RayCluster, place: Path
) -> None:
    repository, gate = start_waiting(hub, place, "lively")
    gate.await_start()
    wait_for(lambda: "waiting" in log_of(hub, stage_of(repository)))
    assert stage_of(repository).status is StageStatus.RUNNING

    job = job_of(hub, stage_of(repository))
    order = cluster.job(job.id)["runtime_env"]["env_vars"]["RELIVE_ORDER"]
    ticket = order.partition('"token":"')[2].partition('"')[0]
    assert ticket.startswith("rlt_")
    for as_token in (ticket, ticket.replace("rlt_", "rlv_")):
        spec = f"{hub.address}/api/v1/jobs/{job.id}/spec"
        headers = {"Authorization": f"Bearer {as_token}"}
        assert urllib3.request("GET", spec, headers=headers, retries=False).status == 401
    asked = {"ticket": ticket, "secret": "x" * 40}
    again = urllib3.request("POST", f"{hub.address}/api/v1/jobs/{job.id}/token", json=asked, retries=False)
    assert again.status == 401
    (event,) = hub.client().list_events(kind="job.ticket_replayed")
    assert (event.subject, event.facts["job"]) == (job.subject, job.id)

    gate.open()
    assert await_end(repository) is PipelineStatus.SUCCEEDED
    assert "went on" in log_of(hub, stage_of(repository))


def test_cancel_ends_all_of_a_command_on_its_node(hub: RealHub, cluster: RayCluster, place: Path) -> None:
    repository, gate = start_waiting(hub, place, "cancelled")
    gate.await_start()
    stage = stage_of(repository)
    mark = f"RELIVE_RUN_ID={stage.run_id}"
    assert cluster.processes(mark, "environ")
    hub.relive("pipeline", "cancel", "cancelled:1")
    assert await_end(repository) is PipelineStatus.CANCELLED
    assert hub.client().get_run(stage.run_id).run.status is RunStatus.KILLED
    wait_for(lambda: not cluster.processes(mark, "environ"))
    wait_for(lambda: cluster.job(stage.job_id)["status"] not in ("PENDING", "RUNNING"))


def test_a_job_waits_for_room_longer_than_a_lease_and_can_be_cancelled(
    hub: RealHub, cluster: RayCluster, place: Path
) -> None:
    repository, gate = start_waiting(hub, place, "patient", "    resources: {pool: ray, cpu: 100}\n")
    wait_for(lambda: "placed on pool ray" in stage_of(repository).reason)
    stage = stage_of(repository)
    assert stage.status is StageStatus.QUEUED

    def outlived_its_first_lease() -> bool:
        job = job_of(hub, stage)
        return job.lease_until > (job.started_at or 0.0) + 2 * LEASE_S

    wait_for(outlived_its_first_lease)
    hub.relive("pipeline", "cancel", "patient:1")
    assert await_end(repository) is PipelineStatus.CANCELLED
    job = job_of(hub, stage)
    assert (job.state, job.error) == (JobState.CANCELLED, "cancelled before it began")
    assert gate.starts() == []


def test_a_job_that_cannot_begin_says_why(hub: RealHub, cluster: RayCluster, place: Path) -> None:
    add_pool(hub, cluster, "wrong", "--python", "python3.nowhere")
    repository, _ = start_waiting(hub, place, "wrong", "    resources: {pool: wrong}\n")
    assert await_end(repository) is PipelineStatus.FAILED
    # Where its first command would run, its environment is made.
    stage = stage_of(repository, "environment")
    assert stage.attempts == 3
    assert "python3.nowhere" in stage.reason
    assert "not found" in stage.reason


def test_while_the_dashboard_hangs_jobs_go_on_and_new_ones_wait(
    hub: RealHub, cluster: RayCluster, place: Path
) -> None:
    repository, gate = start_waiting(hub, place, "steady")
    gate.await_start()
    stage = stage_of(repository)
    with cluster.frozen_dashboard():
        before = job_of(hub, stage).lease_until
        other, late = start_waiting(hub, place / "other", "late")
        wait_for(lambda: "waits for pool ray" in stage_of(other).reason)
        wait_for(lambda: job_of(hub, stage).lease_until > before + LEASE_S)
        gate.open()
        assert await_end(repository) is PipelineStatus.SUCCEEDED
        assert stage_of(other).status is StageStatus.QUEUED
    late.open()
    assert await_end(other) is PipelineStatus.SUCCEEDED
    assert [stage_of(it).attempts for it in (repository, other)] == [1, 1]


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ({"--ray": "http://127.0.0.1:9"}, 1, "does not answer: connection refused"),
        ({"--ray": "HUB", "--token-file": ""}, 1, "no dashboard of Ray"),
        ({"--ray": "ray://127.0.0.1:10001"}, 2, "the HTTP address of the cluster's dashboard"),
        ({"--ray": "http://10.0.0.1:8265"}, 1, "does not answer: network is unreachable"),
        ({"--token-file": ""}, 1, "name the file with its token"),
        ({"--token-file": "/nowhere/token"}, 1, "No such file"),
    ],
)
def test_a_pool_that_would_not_work_is_refused_with_the_reason(
    hub: RealHub, cluster: RayCluster, options: dict[str, str], code: int, said: str
) -> None:
    given: dict[str, Any] = {"--ray": cluster.address, "--token-file": str(cluster.token_file), **options}
    words = [word.replace("HUB", hub.address) for pair in given.items() for word in pair]
    done = hub.relive("pool", "add", "other", *words, check=False)
    assert done.returncode == code, done.stdout
    assert said in " ".join(done.stderr.split())
    assert [pool.name for pool in hub.client().list_pools() if pool.name == "other"] == []


def test_a_stage_whose_node_dies_is_tried_again_on_another(
    hub: RealHub, cluster: RayCluster, place: Path, tmp_path: Path
) -> None:
    repository, gate = start_waiting(hub, place, "moved")
    gate.await_start()
    first = stage_of(repository)
    node = cluster.job(first.job_id)["driver_node_id"]
    cluster.add_node(2)
    cluster.kill_node(node)
    wait_for(lambda: not cluster.processes(f"RELIVE_RUN_ID={first.run_id}", "environ"))
    gate.await_start(2)
    lost, now = hub.client().get_run(first.run_id).run, stage_of(repository)
    assert lost.status is RunStatus.LOST
    # A third try follows if Ray placed the second where it had not yet seen that nobody is.
    assert now.attempts in (2, 3)
    assert cluster.job(now.job_id)["driver_node_id"] not in ("", node)

    executor = RayExecutor(tmp_path, **cluster.config)
    handle = {"job_id": first.job_id, "fence": 1}
    wait_for(lambda: executor.poll(handle).state == "ended")
    assert "its node has died" in executor.poll(handle).detail
    assert executor.output(handle) == ""

    gate.open()
    assert await_end(repository) is PipelineStatus.SUCCEEDED
    assert_sound(hub)
