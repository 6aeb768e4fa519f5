"""The hub's disk is full: writes are refused with 507, work waits, and goes on by itself when there is room.

The disk is a real tmpfs that only this test sees. The jobs' folders lie on it as well, as on a small machine.
"""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import urllib3

from relive.core.pipeline import PipelineStatus, StageStatus
from relive.errors import HubRefused, StoreFull
from tests.conftest import require
from tests.contract.disks import is_mountable, small_disk
from tests.e2e import inside
from tests.e2e.hub import RealHub, Repository, make_repository, running_hub, wait_for
from tests.e2e.invariants import assert_sound
from tests.e2e.test_crashes_ingest import assert_stored, four_clients
from tests.e2e.tiny import Gate, tiny, waiting

MIB = 1 << 20
DISK_MIB, RESERVE_MIB = 96, 24
LEASE_S = 4
BIG = "version: 1\nstages:\n  big:\n    cmd: head -c {size} /dev/urandom > big.bin\n    outs: [big.bin]\n"


@dataclass
class Cramped:
    """A hub whose data lies on a small disk.

    Attributes:
        disk: The disk, as we see it; the hub sees it at another path.
    """

    hub: RealHub
    disk: Path

    def fill(self, *, leave: int = 0) -> None:
        """Fill the disk to its last byte, then take back so much."""
        with open(self.disk / "filler", "wb", buffering=0) as file:
            for size in (MIB, 4096, 1):
                with suppress(OSError):
                    while file.write(bytes(size)):
                        pass
            file.truncate(max(0, file.tell() - leave))

    def free(self) -> None:
        """Give the room back."""
        (self.disk / "filler").unlink()

    def assert_sound(self) -> None:
        """Stop the hub and check what it has kept; SQLite follows no path into another's mounts."""
        self.hub.stop()
        copy = self.hub.home / "copy"
        shutil.copytree(self.disk / "hub", copy, ignore=shutil.ignore_patterns("jobs", "run", "serving"))
        assert_sound(RealHub(self.hub.home, ("--data", str(copy))))


@pytest.fixture
def cramped(tmp_path: Path) -> Iterator[Cramped]:
    """A hub on a disk of its own, with short leases."""
    require(is_mountable(tmp_path / "try"), "no tmpfs can be mounted: neither root nor user namespaces")
    variables = {"RELIVE_RESERVE_MIB": str(RESERVE_MIB), "RELIVE_LEASE_S": str(LEASE_S)}
    options = ("--data", str(tmp_path / "disk" / "hub"))
    with small_disk(tmp_path / "disk", DISK_MIB * MIB, n_files=20_000) as disk:
        program = (inside.__file__, disk.parts[2])  # /proc/PID/root/…
        with running_hub(tmp_path / "home", *options, program=program, **variables) as hub:
            yield Cramped(hub, disk)


def test_a_full_disk_refuses_writes_and_what_runs_finishes_when_there_is_room_again(
    cramped: Cramped, tmp_path: Path
) -> None:
    hub, gate = cramped.hub, Gate(tmp_path / "gate")
    repository = make_repository(hub, tmp_path / "full", waiting(gate, after="open('out.txt', 'w')\n"))
    repository.push("-o", "nowait")
    command = gate.await_start()
    run_id = repository.pipeline(1).stages[-1].run_id
    cramped.fill()

    with pytest.raises(StoreFull):
        hub.client().blobs.put_bytes(os.urandom(MIB))
    answer = create_projects(hub, "unlucky")
    assert (answer.status, answer.json()["code"], answer.headers["retry-after"]) == (507, "store_full", "5")
    assert hub.client().get_run(run_id).run.id == run_id  # what is kept can be read
    repository.commit({"large.txt": "x" * MIB})
    assert "error" in repository.push("-o", "nowait", check=False)

    gate.open()
    wait_for(lambda: not Path(f"/proc/{command}").exists())
    time.sleep(2 * LEASE_S)  # so that whoever were judged by its silence would be lost
    assert not repository.pipeline(1).pipeline.status.is_final

    cramped.free()
    await_end(repository, 1)
    stage = repository.pipeline(1).stages[-1]
    assert (stage.status, stage.attempts, gate.starts()) == (StageStatus.SUCCEEDED, 1, [command])
    repository.push()
    assert repository.pipeline(2).pipeline.status is PipelineStatus.SUCCEEDED
    cramped.assert_sound()


def test_points_that_find_no_room_are_taken_when_there_is_room_and_none_is_lost(cramped: Cramped) -> None:
    with four_clients(cramped.hub) as clients:
        time.sleep(1.0)
        cramped.fill()
        time.sleep(2.0)
        cramped.free()
        time.sleep(1.0)
    for client in clients:
        sent = client.result()
        assert set(sent.answers) == {"200", "507"}, sent.answers
        assert_stored(cramped.hub, sent)


def test_a_push_that_comes_while_the_disk_is_full_is_planned_when_there_is_room(
    cramped: Cramped, tmp_path: Path
) -> None:
    gate = Gate(tmp_path / "gate")
    gate.open()
    repository = make_repository(cramped.hub, tmp_path / "later", waiting(gate))
    cramped.fill(leave=MIB // 2)  # git finds room for a small pack; blobs keep away from the reserve
    repository.push("-o", "nowait", check=False)
    cramped.free()
    repository.push("-o", "nowait")
    await_end(repository, 1)
    assert repository.pipeline(1).pipeline.status is PipelineStatus.SUCCEEDED
    assert len(gate.starts()) == 1
    cramped.assert_sound()


def test_an_out_for_which_there_is_no_room_above_the_reserve_is_refused_before_the_disk_is_full(
    cramped: Cramped, tmp_path: Path
) -> None:
    repository = make_repository(cramped.hub, tmp_path / "big", {"relive.yaml": BIG.format(size=45 * MIB)})
    repository.push("-o", "nowait")
    wait_for(lambda: "waits for room: No room for" in reason(repository))
    assert shutil.disk_usage(cramped.disk).free > RESERVE_MIB * MIB
    cramped.hub.relive("pipeline", "cancel", "big:1")
    await_end(repository, 1)
    assert repository.pipeline(1).pipeline.status is PipelineStatus.CANCELLED
    repository.commit({"relive.yaml": BIG.format(size=4 * MIB)})
    repository.push()
    assert repository.pipeline(2).pipeline.status is PipelineStatus.SUCCEEDED
    cramped.assert_sound()


def test_an_environment_waits_for_room(cramped: Cramped, tmp_path: Path) -> None:
    repository = make_repository(cramped.hub, tmp_path / "wheels", tiny("wheels"))
    cramped.fill(leave=(RESERVE_MIB + 8) * MIB)  # for what git and SQLite need, not for NumPy's wheel
    repository.push("-o", "nowait")
    wait_for(lambda: "waits for room: No room for" in reason(repository, 0))
    cramped.free()
    await_end(repository, 1)
    assert repository.pipeline(1).pipeline.status is PipelineStatus.SUCCEEDED
    cramped.assert_sound()


def test_an_out_waits_for_room_and_is_kept_when_there_is_some(cramped: Cramped, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    out = "import os\nwith open('big.bin', 'wb') as file:\n    file.write(os.urandom(8 << 20))\n"
    files = waiting(gate, after=out, stage="    outs: [big.bin]\n")
    repository = make_repository(cramped.hub, tmp_path / "waits", files)
    repository.push("-o", "nowait")
    gate.await_start()
    cramped.fill(leave=(RESERVE_MIB + 4) * MIB)  # the command finds room, the hub none above its reserve
    gate.open()
    wait_for(lambda: "waits for room: No room for" in reason(repository))
    cramped.free()
    await_end(repository, 1)
    stage = repository.pipeline(1).stages[-1]
    assert (stage.status, stage.attempts, len(gate.starts())) == (StageStatus.SUCCEEDED, 1, 1)
    cramped.assert_sound()


def reason(repository: Repository, stage: int = -1) -> str:
    """Say what is told of a stage of the first pipeline; the last runs the command."""
    try:
        text: str = repository.pipeline(1).stages[stage].reason
    except HubRefused:
        return ""  # it is not planned yet
    return text


def await_end(repository: Repository, number: int) -> None:
    """Wait until a pipeline is there and has ended."""

    def has_ended() -> bool:
        try:
            return bool(repository.pipeline(number).pipeline.status.is_final)
        except HubRefused as error:
            if error.status != 404:
                raise
            return False

    wait_for(has_ended)


def create_projects(hub: RealHub, name: str) -> urllib3.BaseHTTPResponse:
    """Ask for projects until one is refused: a few rows still fit into the room that SQLite has taken."""
    tokens = hub.client().transport._headers
    for number in range(2000):
        answer = urllib3.request(
            "POST",
            f"{hub.address}/api/v1/projects",
            json={"name": f"{name}-{number}"},
            headers={"authorization": tokens["Authorization"]},
            retries=False,
        )
        if answer.status >= 300:
            return answer
    raise AssertionError("the disk is not full")
