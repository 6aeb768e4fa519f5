"""What a dashboard may answer, and what becomes of it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from relive.core.pipeline import Resources
from relive.errors import InvalidInput, InvalidName, LaunchFailed, PoolUnfit, PoolUnreachable
from relive.executors.ray import RayExecutor, _resources
from relive.executors.ray_dashboard import Dashboard
from relive.testing.executors import request
from tests.support.dashboard import Answers, answering

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
JOB = "a" * 32
HANDLE = {"job_id": JOB, "fence": 2}
DETAILS = f"GET /api/jobs/relive-{JOB}-2"


@pytest.fixture
def ray() -> Iterator[Answers]:
    """A server that claims to be Ray."""
    with answering() as answers:
        yield answers


@pytest.fixture
def executor(ray: Answers, tmp_path: Path) -> RayExecutor:
    """An executor that asks it."""
    return RayExecutor(tmp_path, ray.url)


def said_python(ray: Answers, version: str) -> None:
    ray.says("GET /api/v0/cluster_metadata", {"result": True, "data": {"pythonVersion": version}})


# --- whether it fits -------------------------------------------------------------------------------------


def test_a_cluster_that_fits_is_taken(ray):
    said_python(ray, f"{HERE}.99")
    Dashboard(ray.url + "/").check()
    assert ray.paths() == ["GET /api/version", "GET /api/v0/cluster_metadata"]


def test_a_cluster_that_does_not_tell_its_python_is_taken(ray):
    Dashboard(ray.url).check()


@pytest.mark.parametrize(("version", "start"), [("3.7.2", "3.7"), ("2.7", "2.7"), (f"{HERE}0.1", f"{HERE}0")])
def test_another_python_is_refused_with_both_versions(ray, version, start):
    said_python(ray, version)
    with pytest.raises(PoolUnfit) as raised:
        Dashboard(ray.url).check()
    assert f"Python {version}, the hub {HERE}" in raised.value.what()
    assert raised.value.to_do() == f"start the hub with Python {start}"


@pytest.mark.parametrize("version", ["3", "0", "", "x", "-4", "4.1"])
def test_another_api_is_refused(ray, version):
    ray.says("GET /api/version", {"version": version, "ray_version": "1.9"})
    with pytest.raises(PoolUnfit, match=r"Ray 1\.9 has version .* of the Jobs API, not 4"):
        Dashboard(ray.url).check()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        *((body, 200) for body in (b"", b"<html>", b"[]", b"{}", b'{"version": 4}', b"\xff")),
        (b"not here", 404),
    ],
)
def test_something_else_than_ray_is_called_so(ray, body, status):
    ray.says("GET /api/version", body, status)
    with pytest.raises(PoolUnreachable, match="no dashboard of Ray") as raised:
        Dashboard(ray.url).check()
    assert "8265" in (raised.value.to_do() or "")


@pytest.mark.parametrize("address", ["", "head", "head:8265", "ray://head:10001", "ftp://head"])
def test_an_address_that_is_not_http_is_refused(address, tmp_path):
    with pytest.raises(InvalidInput, match="dashboard"):
        RayExecutor(tmp_path, address)


# --- when it does not answer -----------------------------------------------------------------------------


def test_nobody_there_is_said_in_a_few_words():
    with answering() as gone:
        pass
    with pytest.raises(PoolUnreachable) as raised:
        Dashboard(gone.url).check()
    assert raised.value.what() == f"The cluster at {gone.url} does not answer: connection refused."


def test_a_hanging_cluster_is_left_alone_for_a_while(ray):
    dashboard = Dashboard(ray.url)
    ray.silent = True
    with pytest.raises(PoolUnreachable, match="timed out"):
        dashboard.call("GET", "/api/version", answer_s=0.3)
    asked = len(ray.asked)
    with pytest.raises(PoolUnreachable, match="timed out"):
        dashboard.check()
    assert len(ray.asked) == asked, "it was asked again at once"
    ray.silent = False
    dashboard._away_until = 0.0  # the while is over
    dashboard.check()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_connection_that_breaks_once_is_made_again(ray, method):
    dashboard = Dashboard(ray.url)
    ray.breaks = 1
    ray.says("POST /x", {})
    status, _ = dashboard.call("GET", "/api/version") if method == "GET" else dashboard.post("/x", {})
    assert status == 200
    assert len(ray.asked) == 2


def test_a_connection_that_breaks_again_is_given_up(ray):
    ray.breaks = 2
    with pytest.raises(PoolUnreachable):
        Dashboard(ray.url).check()
    assert len(ray.asked) == 2


@pytest.mark.parametrize("status", [401, 403])
def test_a_cluster_that_refuses_us_says_so_and_is_asked_again(ray, status):
    ray.says("GET /api/version", b"Unauthorized: Missing authentication token", status)
    dashboard = Dashboard(ray.url)
    for _ in range(2):
        with pytest.raises(PoolUnreachable, match=r"it refuses us .*Missing authentication") as raised:
            dashboard.check()
        assert "--token-file" in (raised.value.to_do() or "")
    assert len(ray.asked) == 2


def test_a_token_is_read_at_each_call_and_sent(ray, tmp_path):
    file = tmp_path / "token"
    dashboard = Dashboard(ray.url, str(file))
    for token in ("first", "second"):
        file.write_text(f"{token}\n")
        dashboard.call("GET", "/api/version")
        assert ray.asked[-1][1]["Authorization"] == f"Bearer {token}"
    file.unlink()
    with pytest.raises(PoolUnreachable, match=r"its token: .*No such file"):
        dashboard.check()
    file.write_bytes(b"\xff")
    with pytest.raises(PoolUnreachable, match="its token"):
        dashboard.check()


# --- jobs ------------------------------------------------------------------------------------------------


def test_an_unknown_job_is_gone_and_an_unreachable_cluster_says_nothing_about_it(ray, executor):
    assert executor.poll(HANDLE).state == "gone"
    ray.says(DETAILS, b"Traceback\nKeyError: 'x'", 500)
    assert executor.poll(HANDLE).state == "unknown"
    assert "KeyError: 'x'" in executor.poll(HANDLE).detail
    ray.says(DETAILS, b"{}")
    assert executor.poll(HANDLE).state == "unknown"


@pytest.mark.parametrize(
    ("details", "state", "code", "detail"),
    [
        (
            {"status": "PENDING", "message": "Job has not started yet.\nMore"},
            "waiting",
            None,
            "Job has not st",
        ),
        ({"status": "RUNNING", "message": None}, "alive", None, ""),
        ({"status": "SUCCEEDED", "driver_exit_code": 0}, "ended", 0, "it ended with exit code 0"),
        ({"status": "FAILED", "driver_exit_code": 3}, "ended", 3, "it ended with exit code 3"),
        ({"status": "FAILED", "driver_exit_code": -9}, "ended", -9, "it was ended by signal 9"),
        ({"status": "STOPPED"}, "ended", None, "stopped"),
        (
            {"status": "FAILED", "message": "Failed.\nIt died because its node did."},
            "ended",
            None,
            "It died bec",
        ),
        ({"status": "FAILED", "message": "x" * 100_000}, "ended", None, "x" * 500),
    ],
)
def test_what_ray_says_of_a_job_becomes_a_state_and_a_line(ray, executor, details, state, code, detail):
    ray.says(DETAILS, details)
    found = executor.poll(HANDLE)
    assert (found.state, found.exit_code) == (state, code)
    assert found.detail.startswith(detail)
    assert len(found.detail) <= 500


def test_a_job_that_ray_refuses_is_not_launched(ray, executor):
    ray.says(f"GET /api/packages/gcs/{executor._bundle.name}", {})
    ray.says("POST /api/jobs/", b"Traceback\nValueError: no room", 400)
    with pytest.raises(LaunchFailed, match="ValueError: no room"):
        executor.launch(request("work", JOB, 2))


def test_a_job_that_ray_knows_already_is_launched(ray, executor):
    ray.says(f"GET /api/packages/gcs/{executor._bundle.name}", {})
    ray.says("POST /api/jobs/", b"ValueError: exists already", 400)
    ray.says(DETAILS, {"status": "RUNNING"})
    assert executor.launch(request("work", JOB, 2)) == {**HANDLE, "submission": f"relive-{JOB}-2"}


def test_the_package_is_sent_whenever_ray_has_dropped_it(ray, executor):
    path = f"/api/packages/gcs/{executor._bundle.name}"
    ray.says("POST /api/jobs/", {})
    ray.says(f"PUT {path}", {})
    executor.launch(request("work", JOB, 2))
    ray.says(f"GET {path}", {})
    executor.launch(request("work", JOB, 3))
    del ray.by_path[f"GET {path}"]
    executor.launch(request("work", JOB, 4))
    sent = [body for what, _, body in ray.asked if what.startswith("PUT")]
    assert len(sent) == 2
    assert sent[0] == sent[1]
    assert sent[0].startswith(b"PK")
    ray.says(f"PUT {path}", b"ValueError: too large", 500)
    with pytest.raises(LaunchFailed, match=r"did not take relive's runner: ValueError: too large"):
        executor.launch(request("work", JOB, 5))


def test_output_is_without_what_ray_writes_between(ray, executor):
    lines = [
        "2026-01-01 INFO job_manager.py:568 -- Runtime env is setting up.",
        "sh: 1: exec: python9: not found",
        f"Running entrypoint for job relive-{JOB}-2: exec python9 relive_start.py",
    ]
    ray.says(f"{DETAILS}/logs", {"logs": "\n".join(lines)})
    assert executor.output(HANDLE) == "sh: 1: exec: python9: not found\n"
    assert executor.output(HANDLE, limit_bytes=6) == "found\n"
    ray.says(f"{DETAILS}/logs", b"Traceback", 500)
    assert executor.output(HANDLE) == ""


@pytest.mark.parametrize("job", ["", "../x", "a/b", "a?b=c", "a#b"])
def test_no_other_path_is_asked_for_than_a_jobs(ray, executor, job):
    with pytest.raises(InvalidName):
        executor.poll({"job_id": job, "fence": 1})
    assert ray.asked == []


def test_a_kind_of_gpu_is_asked_for_in_rays_words():
    asked = _resources(Resources(cpu=2, gpu=1, gpu_type="A100", memory_bytes=5))
    assert asked == {
        "entrypoint_num_cpus": 2,
        "entrypoint_num_gpus": 1,
        "entrypoint_memory": 5,
        "entrypoint_resources": {"accelerator_type:A100": 0.001},
    }
    assert _resources(Resources()) == {"entrypoint_num_cpus": 1.0, "entrypoint_num_gpus": 0.0}
