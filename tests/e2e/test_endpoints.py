"""Endpoints outlive what is killed around them: the model's process, its job, the router, the hub."""

import http.client
import os
import signal
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from relive.core.endpoint import Revision, RevisionState
from relive.core.job import Job, JobKind, JobState
from relive.core.pipeline import PipelineStatus, StageStatus
from tests.e2e.hub import RealHub, Repository, make_repository, running_hub, wait_for
from tests.e2e.invariants import assert_sound, await_rest, facts_of
from tests.e2e.tiny import LOADER, Gate, ask, infer, tiny, waiting_loader

MODEL = "served"
PATH = f"/v2/models/{MODEL}/infer"
BODY = {"inputs": [{"name": "input-0", "shape": [1, 1], "datatype": "FP64", "data": [3.0]}]}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHub]:
    """A hub with an endpoint of two revisions, which answer 6 and, now, 9."""
    with running_hub(tmp_path_factory.mktemp("home")) as running:
        repository = make_repository(running, running.home / MODEL, tiny(MODEL, weight=2.0))
        repository.push()
        repository.commit(tiny(MODEL, weight=3.0))
        repository.push()
        assert infer(running, MODEL) == [9.0]
        yield running


def test_a_killed_model_is_started_again_and_says_503_with_retry_after_meanwhile(hub: RealHub) -> None:
    before = live(hub)
    supervisor = serve_job(hub, before).handle["pid"]
    os.kill(supervisor, signal.SIGSTOP)  # so that "meanwhile" lasts until we have looked
    try:
        os.kill(before.facts["pid"], signal.SIGKILL)
        wait_for(lambda: ask(hub, MODEL).status == 503)
        answer = ask(hub, MODEL)
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert MODEL in answer.json()["error"]
    finally:
        os.kill(supervisor, signal.SIGCONT)
    await_answer(hub)
    wait_for(lambda: live(hub).facts["pid"] != before.facts["pid"])
    after = live(hub)
    assert (after.state, after.id, after.job_id) == (RevisionState.READY, before.id, before.job_id)
    assert after.restarts > 0


def test_a_serve_job_that_is_told_to_end_while_no_hub_is_there_ends(hub: RealHub) -> None:
    revision = live(hub)
    supervisor = serve_job(hub, revision).handle["pid"]
    hub.kill()
    os.kill(supervisor, signal.SIGTERM)
    wait_for(lambda: not (is_running(revision.facts["pid"]) or is_running(supervisor)))
    hub.start()
    await_answer(hub)


def test_a_killed_serve_job_takes_its_model_with_it_and_both_are_replaced(hub: RealHub) -> None:
    before = live(hub)
    hub.kill()  # so that nobody replaces them before we have looked
    with facts_of(hub) as facts:
        job = facts.store.get_job(before.job_id)
    os.kill(job.handle["pid"], signal.SIGKILL)
    wait_for(lambda: not Path(f"/proc/{before.facts['pid']}").exists())
    answer, _ = ask_router(hub)
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    hub.start()
    await_answer(hub)
    after = live(hub)
    assert (after.state, after.id) == (RevisionState.READY, before.id)
    assert after.job_id != before.job_id
    assert_sound(hub)


def test_a_killed_router_is_started_again(hub: RealHub) -> None:
    before = router(hub)
    os.kill(before, signal.SIGKILL)
    seen = []

    def answers() -> bool:
        answer = ask(hub, MODEL)
        seen.append((answer.status, answer.headers.get("retry-after")))
        return answer.status == 200 and router(hub) != before

    wait_for(answers)
    assert set(seen) <= {(200, None), (503, "1")}


def test_a_killed_hub_is_not_missed_by_who_asks_the_router_and_adopts_everything(hub: RealHub) -> None:
    before, routing = live(hub), router(hub)
    hub.kill()
    for _ in range(20):
        answer, body = ask_router(hub)
        assert (answer.status, msgspec.json.decode(body)["outputs"][0]["data"]) == (200, [9.0])
    hub.start()
    assert infer(hub, MODEL) == [9.0]
    after = live(hub)
    assert (after.facts["pid"], after.job_id) == (before.facts["pid"], before.job_id)
    assert router(hub) == routing
    assert serve_job(hub, after).state is JobState.RUNNING


def test_a_router_that_nobody_wrote_down_is_found_by_its_socket(hub: RealHub) -> None:
    """As after a hub that was killed between starting it and noting its process."""
    before = router(hub)
    hub.kill()
    mark = hub.home / "hub/serving/router.pid"
    mark.unlink()
    hub.start()
    wait_for(mark.exists)
    assert router(hub) == before
    assert infer(hub, MODEL) == [9.0]


def test_a_rollback_under_load_fails_no_request_and_is_followed_at_once(hub: RealHub) -> None:
    stop = threading.Event()

    def load() -> Counter[tuple[int, float]]:
        seen: Counter[tuple[int, float]] = Counter()
        while not stop.is_set():
            answer = ask(hub, MODEL)
            seen[answer.status, answer.json()["outputs"][0]["data"][0]] += 1
        return seen

    with ThreadPoolExecutor(3) as pool:
        loads = [pool.submit(load) for _ in range(3)]
        try:
            for expected in ([6.0], [9.0], [6.0], [9.0]):
                if expected == [6.0]:
                    hub.client().roll_back(MODEL)
                else:
                    hub.client().deploy_version(MODEL, MODEL, "2")  # forward to what kept running
                wait_for(lambda expected=expected: infer(hub, MODEL) == expected, every_s=0.01)  # type: ignore[misc]
        finally:
            stop.set()
    seen = sum((it.result() for it in loads), Counter[tuple[int, float]]())
    assert set(seen) == {(200, 6.0), (200, 9.0)}
    assert_sound(hub)


def test_a_hub_killed_while_a_model_loads_finds_it_ready_and_moves_the_traffic(
    hub: RealHub, place: Path
) -> None:
    gate = Gate(place / "gate")
    repository = deploy_waiting(hub, place / "loads", gate)
    command = gate.await_start()
    hub.kill()
    gate.open()
    hub.start()
    await_rest(hub, "loads", pipelines=1)
    assert_sound(hub)
    assert repository.pipeline(1).pipeline.status is PipelineStatus.SUCCEEDED
    assert infer(hub, "loads") == [6.0]
    assert gate.starts() == [command]
    hub.client().delete_endpoint("loads")


def test_a_slow_revision_does_not_take_the_traffic_from_a_newer_one(hub: RealHub, place: Path) -> None:
    gate = Gate(place / "gate")
    repository = deploy_waiting(hub, place / "slow", gate)
    loading = gate.await_start()
    repository.commit(tiny("slow", weight=5.0) | {"loader.py": LOADER})
    repository.push()
    assert infer(hub, "slow") == [15.0]
    await_rest(hub, "slow", pipelines=2)
    wait_for(lambda: not Path(f"/proc/{loading}").exists())
    assert_sound(hub)
    last = repository.pipeline(1).stages[-1]
    assert last.status is StageStatus.SKIPPED
    assert "newer" in last.reason
    assert infer(hub, "slow") == [15.0]
    hub.client().delete_endpoint("slow")


def test_a_pipeline_cancelled_while_it_deploys_leaves_no_process_behind(hub: RealHub, place: Path) -> None:
    gate = Gate(place / "gate")
    repository = deploy_waiting(hub, place / "stopped", gate)
    loading = gate.await_start()
    hub.relive("pipeline", "cancel", "stopped:1")
    await_rest(hub, "stopped", pipelines=1)
    wait_for(lambda: not Path(f"/proc/{loading}").exists())
    assert repository.pipeline(1).pipeline.status is PipelineStatus.CANCELLED
    (revision,) = hub.client().get_endpoint("stopped").revisions
    assert revision.state is RevisionState.STOPPED
    hub.client().delete_endpoint("stopped")


def test_an_endpoint_deleted_while_it_is_deployed_ends_the_pipeline(hub: RealHub, place: Path) -> None:
    gate = Gate(place / "gate")
    repository = deploy_waiting(hub, place / "deleted", gate)
    loading = gate.await_start()
    hub.client().delete_endpoint("deleted")
    await_rest(hub, "deleted", pipelines=1)
    wait_for(lambda: not Path(f"/proc/{loading}").exists())
    last = repository.pipeline(1).stages[-1]
    assert last.status is StageStatus.FAILED
    assert "deleted" in last.reason


def test_a_version_that_does_not_start_leaves_the_traffic_where_it_is(hub: RealHub, place: Path) -> None:
    repository = make_repository(hub, place / "bad", tiny("bad", weight=4.0))
    repository.push()
    marker = place / "described"
    broken = f"import os\nif os.path.exists({str(marker)!r}): raise SystemExit('no such GPU')\n"
    broken += f"open({str(marker)!r}, 'w').close()\n"
    repository.commit({"loader.py": broken + LOADER, "train.py": tiny("bad", weight=7.0)["train.py"]})
    said = repository.push()
    assert "never became ready, traffic stays" in said
    assert "no such GPU" in said
    assert infer(hub, "bad") == [12.0]
    hub.client().delete_endpoint("bad")


def deploy_waiting(hub: RealHub, folder: Path, gate: Gate) -> Repository:
    """Push a project whose model, once described, waits at a gate while it is loaded to be served."""
    files = tiny(folder.name) | {"loader.py": waiting_loader(gate)}
    repository = make_repository(hub, folder, files)
    repository.push("-o", "nowait")
    return repository


def live(hub: RealHub) -> Revision:
    """Give the revision that has the traffic."""
    with facts_of(hub) as facts:
        return facts.store.get_revision(facts.store.get_endpoint(MODEL).live)


def serve_job(hub: RealHub, revision: Revision) -> Job:
    """Give the job that keeps a revision's process."""
    with facts_of(hub) as facts:
        job = facts.store.get_job(revision.job_id)
    assert job.kind is JobKind.SERVE
    return job


def is_running(pid: int) -> bool:
    """Tell whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def router(hub: RealHub) -> int:
    """Give the router's process."""
    pid: int = msgspec.json.decode((hub.home / "hub/serving/router.pid").read_bytes())["pid"]
    return pid


class RouterConnection(http.client.HTTPConnection):
    """HTTP past the hub: to the router's own socket."""

    def __init__(self, hub: RealHub) -> None:
        super().__init__("localhost", timeout=60.0)
        self._path = str(hub.home / "hub/serving/router.sock")

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


def ask_router(hub: RealHub) -> tuple[http.client.HTTPResponse, bytes]:
    """Ask the endpoint past the hub."""
    with closing(RouterConnection(hub)) as connection:
        connection.request("POST", PATH, msgspec.json.encode(BODY), {"content-type": "application/json"})
        response = connection.getresponse()
        return response, response.read()


def await_answer(hub: RealHub) -> None:
    """Wait until the endpoint answers well; until then it says 503 and nothing else."""

    def answers() -> bool:
        status = ask(hub, MODEL).status
        assert status in (200, 503)
        return status == 200

    wait_for(answers)
