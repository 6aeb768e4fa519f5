"""What a runner may say: only what its own claim lets it, whatever its messages claim."""

import msgspec
import pytest

from relive.core.access import Scope
from relive.core.job import Job, JobKind
from relive.services.accounts import create_job_token
from tests.support.bench import Bench
from tests.support.live import MSGPACK, LiveHub

FILES = {
    "relive.yaml": "version: 1\nstages:\n  train: {cmd: python train.py, deps: [train.py]}\n",
    "train.py": "1",
}


@pytest.fixture
def job(bench: Bench) -> Job:
    """The job of a stage, claimed."""
    stage = bench.stages(bench.start(FILES))["train"]
    return bench.services.store.get_job(stage.job_id)


def reclaimed(bench: Bench, job: Job) -> Job:
    """Give the job back, and let another claim it."""
    bench.services.store.release(job.id, job.fence)
    claimed = bench.services.store.claim("there", pools=("local",), kinds=(JobKind.STAGE,), lease_s=60)
    assert claimed is not None
    assert (claimed.id, claimed.fence) == (job.id, job.fence + 1)
    return claimed


def say(live: LiveHub, job: Job, token: str, what: str, **message: object) -> int:
    """Send a message for a job; gives the status."""
    path = f"/api/v1/jobs/{job.id}/{what}"
    body = msgspec.msgpack.encode(message)
    return live.ask("POST", path, token=token, body=body, content_type=MSGPACK).status


def test_a_runner_gets_its_work_while_its_claim_holds(bench: Bench, live: LiveHub, job: Job) -> None:
    token = create_job_token(bench.services, job, Scope.RUNNER)
    answer = live.ask("GET", f"/api/v1/jobs/{job.id}/spec", token=token)
    assert (answer.status, answer.packed["stage"]) == (200, "train")
    reclaimed(bench, job)
    late = live.ask("GET", f"/api/v1/jobs/{job.id}/spec", token=token)
    assert (late.status, late.code) == (409, "superseded")  # else it had a command's token of the new claim


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("heartbeat", {}),
        ("progress", {"phase": "command"}),
        ("log", {"offset": 0, "data": b"late"}),
        ("records", {"batch": "1", "tags": {"late": "1"}}),
        ("finish", {"kind": "stage", "status": "finished"}),
    ],
)
def test_an_old_token_does_not_speak_for_the_new_claim(
    bench: Bench, live: LiveHub, job: Job, what: str, message: dict[str, object]
) -> None:
    token = create_job_token(bench.services, job, Scope.RUNNER)
    new = reclaimed(bench, job)
    before = bench.services.store.get_job(job.id)
    assert say(live, job, token, what, fence=new.fence, **message) == 409
    assert bench.services.store.get_job(job.id) == before
    assert say(live, job, create_job_token(bench.services, new, Scope.RUNNER), "heartbeat", fence=2) == 200
