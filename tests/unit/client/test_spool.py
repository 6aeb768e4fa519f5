"""Runs kept on this machine until the hub has them: nothing lost, nothing twice, whenever sending stops."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relive.capture.hooks.run import Run
from relive.capture.hooks.spool import Spool
from relive.client.hub import HubClient
from relive.client.shipping import ship
from relive.client.spool import (
    LocalRun,
    is_running,
    open_spool,
    pending,
    process_started,
    queued_bytes,
    read_local_run,
)
from relive.client.transport import Transport
from relive.core.run import Metric, RunKind, RunStatus
from relive.errors import HubRefused, HubUnreachable
from relive.formats.trajectory import decode_trajectory
from tests.support.fake_hub import FakeHub, JobState, running_hub


@pytest.fixture
def hub(tmp_path):
    with running_hub(tmp_path / "hub") as running:
        yield running


@pytest.fixture
def root(tmp_path):
    return tmp_path / "home" / "spool"


def client(hub: FakeHub) -> HubClient:
    return HubClient(Transport(hub.url))


def new_run(root: Path, *, alive: bool = False, **fields: Any) -> tuple[Path, Run]:
    """Open a run of a process that has ended, or of this one."""
    who = {"pid": os.getpid(), "process_started": process_started(os.getpid()) if alive else "another"}
    folder = open_spool(LocalRun(**{"project": "digits", **who, **fields}), root)
    return folder, Run(Spool(str(folder)))


def only(hub: FakeHub) -> JobState:
    (state,) = [state for state in hub.jobs.values() if state.created is not None]
    return state


def values(state: JobState) -> list[tuple[str, int, float]]:
    return [(it.key, it.step, it.value) for it in state.metrics]


def test_everything_of_a_run_that_ended_reaches_the_hub_and_the_folder_goes(hub, root, tmp_path):
    folder, run = new_run(root, name="first", command="python train.py", commit="c" * 40, branch="main")
    (tmp_path / "model").mkdir()
    (tmp_path / "model/weights.bin").write_bytes(b"weights")
    (tmp_path / "model/deep").mkdir()
    (tmp_path / "model/deep/a.txt").write_text("a")
    run.config.update({"lr": 0.1, "model": {"depth": 2}})
    run.set_tags({"who": "me"})
    for step in range(3):
        run.log({"loss": 1.0 / (step + 1)}, step=step)
        run.step([float(step)], loss=step)
    run.log_artifact(tmp_path / "model")
    run.log_artifact(tmp_path / "model/weights.bin", name="w.bin")
    run.finish()
    shipment = ship(client(hub), folder)
    assert shipment.finished
    assert shipment.queued_bytes == 0
    assert not folder.exists()
    assert pending(root) == []
    state = only(hub)
    assert state.created is not None
    assert (state.created.project, state.created.name, state.created.kind) == (
        "digits",
        "first",
        RunKind.CLIENT,
    )
    assert (state.created.commit, state.created.branch, state.created.command) == (
        "c" * 40,
        "main",
        "python train.py",
    )
    assert values(state) == [("loss", 0, 1.0), ("loss", 1, 0.5), ("loss", 2, 1 / 3)]
    assert state.params == {"lr": 0.1, "model.depth": 2}
    assert state.tags == {"who": "me"}
    assert state.report.status == RunStatus.FINISHED
    assert [it.stream for it in decode_trajectory(hub.read(state.report.trajectory)).steps] == [
        "step:state"
    ] * 3
    by_path = {it.path: it for it in state.report.artifacts}
    assert hub.tree(by_path["model"].manifest) == {"deep/a.txt": b"a", "weights.bin": b"weights"}
    assert hub.tree(by_path["w.bin"].manifest) == {"weights.bin": b"weights"}
    assert by_path["model"].size_bytes == 8


def test_a_running_run_is_sent_so_far_and_stays_open(hub, root):
    folder, run = new_run(root, alive=True)
    run.log({"a": 1})
    shipment = ship(client(hub), folder)
    assert not shipment.finished
    assert (shipment.queued_bytes, queued_bytes(folder)) == (0, 0)
    run.log({"a": 2})
    assert queued_bytes(folder) > 0
    ship(client(hub), folder)
    state = only(hub)
    assert values(state) == [("a", 0, 1.0), ("a", 1, 2.0)]
    assert state.report is None
    run.finish("failed")
    assert ship(client(hub), folder).finished
    assert only(hub).report.status == RunStatus.FAILED


def test_a_run_whose_process_was_killed_is_sent_and_ended_as_killed(hub, root):
    folder, run = new_run(root)
    run.log({"a": 1})
    assert ship(client(hub), folder).finished
    state = only(hub)
    assert values(state) == [("a", 0, 1.0)]
    assert state.report.status == RunStatus.KILLED
    assert "without finishing" in state.report.reason


def test_a_hub_that_is_away_leaves_everything_where_it_is(hub, root):
    folder, run = new_run(root)
    run.log({"a": 1})
    hub.go_away()
    with pytest.raises(HubUnreachable):
        ship(client(hub), folder)
    assert pending(root) == [folder]
    assert queued_bytes(folder) > 0
    hub.come_back()
    assert ship(client(hub), folder).finished
    assert values(only(hub)) == [("a", 0, 1.0)]


def test_a_hub_that_refuses_leaves_everything_where_it_is(hub, root):
    folder, run = new_run(root)
    run.log({"a": 1})
    hub.failures = [400]
    with pytest.raises(HubRefused):
        ship(client(hub), folder)
    assert pending(root) == [folder]


class Cut(Exception):
    """Sending was cut off here."""


class Cutting:
    """A hub behind a line that is cut before or after the nth message; like kill -9 of the sender."""

    def __init__(self, hub: HubClient, messages: int, *, after: bool) -> None:
        self._hub = hub
        self._left = messages
        self._after = after

    def _pass(self, send: Any) -> Any:
        self._left -= 1
        if self._left < 0 and not self._after:
            raise Cut
        result = send()
        if self._left < 0:
            raise Cut
        return result

    def create_run(self, request: Any) -> Any:
        return self._pass(lambda: self._hub.create_run(request))

    def run(self, run_id: str) -> Any:
        outer, reports = self, self._hub.run(run_id)

        class Reports:
            def records(self, *args: Any) -> None:
                outer._pass(lambda: reports.records(*args))

            def finish(self, report: Any) -> None:
                outer._pass(lambda: reports.finish(report))

            def heartbeat(self) -> Any:
                return reports.heartbeat()

        return Reports()

    @property
    def blobs(self) -> Any:
        return self._hub.blobs


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.integers(0, 30)), max_size=5))
def test_wherever_sending_is_cut_every_record_arrives_once(tmp_path_factory, cuts):
    folder_of_test = tmp_path_factory.mktemp("cut")
    with running_hub(folder_of_test / "hub") as hub:
        folder, run = new_run(folder_of_test / "spool")
        logged = 0
        for messages, after, more in cuts:
            for _ in range(more):
                run.log({"i": logged}, step=logged)
                logged += 1
            if not folder.exists():
                break
            try:
                ship(Cutting(client(hub), messages, after=after), folder)
            except Cut:
                continue
        # A run that was cut off right after its creation is made a second time; the first stays empty.
        if folder.exists():
            sent = logged
            ship(client(hub), folder)
        else:
            sent = logged - (more if cuts else 0)
        arrived = sorted(it.step for state in hub.jobs.values() for it in state.metrics)
        assert arrived[: len(set(arrived))] == sorted(set(arrived)), "a record arrived twice"
        assert set(range(min(sent, logged))) <= set(arrived)


def test_a_batch_that_the_hub_took_and_we_did_not_hear_of_is_not_sent_as_another(hub, root):
    folder, run = new_run(root, alive=True)
    run.log({"a": 1})
    with pytest.raises(Cut):
        ship(Cutting(client(hub), 1, after=True), folder)  # the run was made, the batch taken, then cut
    run.log({"a": 2})  # would change what the batch holds
    ship(client(hub), folder)
    assert values(only(hub)) == [("a", 0, 1.0), ("a", 1, 2.0)]
    assert len(only(hub).batches) == 2


def test_two_senders_at_once_do_not_send_twice(hub, root):
    folder, run = new_run(root)
    for number in range(200):
        run.log({"i": number})
    run.finish()
    code = (
        "import sys\nfrom pathlib import Path\nfrom relive.client.hub import HubClient\n"
        "from relive.client.shipping import ship\nfrom relive.client.transport import Transport\n"
        "print(ship(HubClient(Transport(sys.argv[1])), Path(sys.argv[2])).finished)"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code, hub.url, str(folder)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    said = [child.communicate(timeout=120)[0].strip() for child in children]
    assert [child.returncode for child in children] == [0, 0, 0]
    assert said.count("True") == 1
    assert len(only(hub).metrics) == 200


def test_a_large_run_goes_in_several_batches(hub, root, monkeypatch):
    monkeypatch.setattr("relive.client.shipping.BATCH_BYTES", 10_000)
    folder, run = new_run(root)
    for number in range(1000):
        run.log({"i": number})
    ship(client(hub), folder)
    state = only(hub)
    assert [it.step for it in state.metrics] == list(range(1000))
    assert len(state.batches) > 3
    assert isinstance(state.metrics[0], Metric)


def test_artifacts_that_are_gone_or_large_folders_with_links(hub, root, tmp_path):
    folder, run = new_run(root)
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots/a.png").write_bytes(b"png")
    (tmp_path / "plots/link.png").symlink_to("a.png")
    (tmp_path / "gone.bin").write_bytes(b"x")
    run.log_artifact(tmp_path / "plots")
    run.log_artifact(tmp_path / "gone.bin")
    (tmp_path / "gone.bin").unlink()
    run.finish()
    ship(client(hub), folder)
    (plots,) = only(hub).report.artifacts
    assert plots.path == "plots"
    assert hub.tree(plots.manifest) == {"a.png": b"png", "link.png": b"png"}


def test_pending_runs_are_listed_oldest_first_and_broken_folders_are_not(root):
    assert pending(root) == []
    first, _ = new_run(root)
    (root / "00000000-broken").mkdir()
    (root / "a file").write_text("x")
    second, _ = new_run(root)
    assert pending(root) == sorted([first, second])


def test_a_run_whose_description_is_damaged_is_still_sent(hub, root):
    folder, run = new_run(root)
    run.log({"a": 1})
    (folder / "run.json").write_text("broken")
    assert read_local_run(folder).project == "recovered"
    assert ship(client(hub), folder).finished
    assert values(only(hub)) == [("a", 0, 1.0)]


def test_a_process_is_known_by_more_than_its_number():
    assert process_started(os.getpid()) == process_started(os.getpid())
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    name = process_started(child.pid)
    assert name
    assert name != process_started(os.getpid())
    run = LocalRun(project="p", pid=child.pid, process_started=name)
    assert is_running(run)
    child.communicate(timeout=60)
    assert process_started(child.pid) == ""
    assert not is_running(run)
    assert not is_running(LocalRun(project="p", pid=os.getpid(), process_started="1:1"))


def test_the_spool_is_for_this_user_only(root):
    new_run(root)
    assert root.stat().st_mode & 0o077 == 0
