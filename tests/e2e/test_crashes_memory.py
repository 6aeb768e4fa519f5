"""What is large streams: hub and runner stay as small as they are, whatever a command prints or leaves.

With RELIVE_SLOW=1 the sizes are those of a bad day: 1 GB of output, an out of 5 GB.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from relive.client.transport import path_of
from relive.core.job import JobKind, JobState
from relive.core.pipeline import StageStatus
from tests.e2e.hub import RealHub, make_repository, wait_for
from tests.e2e.invariants import assert_sound, await_rest
from tests.e2e.tiny import Gate, waiting

IS_SLOW = os.environ.get("RELIVE_SLOW") == "1"
MIB = 1 << 20
FLOOD_BYTES = 1000 * MIB if IS_SLOW else 120 * MIB
OUT_BYTES = 5 << 30 if IS_SLOW else 300 * MIB
# What buffers, threads and the allocator may take; far below what would be held if anything were.
SLACK_BYTES = 96 * MIB
FLOOD = """\
import sys
line = b"x" * 99 + b"\\n"
for _ in range({size} // 100000):
    sys.stdout.buffer.write(line * 1000)
print("the last line")
"""
OUT = """\
with open("big.bin", "wb") as file:
    file.truncate({size})
"""


class Peaks:
    """The largest resident memory of processes since they began to be watched."""

    def __init__(self) -> None:
        self.bytes: dict[int, int] = {}

    def look(self, pid: int) -> None:
        """Read the kernel's own high-water mark."""
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return  # it ended; what it had before that is noted
        for line in status.splitlines():
            if line.startswith("VmHWM:"):
                self.bytes[pid] = int(line.split()[1]) * 1024


@contextmanager
def watched(*pids: int) -> Iterator[Peaks]:
    """Watch processes, some of which may end."""
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # forget the peak so far
    peaks, stop = Peaks(), threading.Event()

    def look_again_and_again() -> None:
        while not stop.wait(0.02):
            for pid in pids:
                peaks.look(pid)

    looking = threading.Thread(target=look_again_and_again)
    looking.start()
    try:
        yield peaks
    finally:
        stop.set()
        looking.join()
        for pid in pids:
            peaks.look(pid)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("what", ["flood", "out"])
def test_hub_and_runner_stay_small(hub: RealHub, place: Path, what: str) -> None:
    gate = Gate(place / "gate")
    after = FLOOD.format(size=FLOOD_BYTES) if what == "flood" else OUT.format(size=OUT_BYTES)
    stage = "    outs: [big.bin]\n" if what == "out" else ""
    repository = make_repository(hub, place / what, waiting(gate, after=after, stage=stage))
    repository.push("-o", "nowait")
    gate.await_start()
    pids = (hub_process(hub), runner(hub))
    before = [resident(pid) for pid in pids]
    with watched(*pids) as peaks:
        gate.open()
        wait_for(lambda: repository.pipeline(1).pipeline.status.is_final, timeout_s=1500)
    await_rest(hub, what, pipelines=1)
    assert_sound(hub)
    last = repository.pipeline(1).stages[-1]
    assert last.status is StageStatus.SUCCEEDED
    grown = [peaks.bytes[pid] - was for pid, was in zip(pids, before, strict=True)]
    assert max(grown) < SLACK_BYTES, [f"{size / MIB:.0f} MiB" for size in grown]
    if what == "flood":
        check_log(hub, last.run_id)
    else:
        check_out(hub, last.run_id)


def check_log(hub: RealHub, run_id: str) -> None:
    """The log is cut in the middle, and its length told."""
    run = hub.client().get_run(run_id).run
    assert run.log_bytes >= FLOOD_BYTES // 100_000 * 100_000
    kept = b"".join(hub.client().read_log(run_id))
    assert len(kept) < 34 * MIB
    assert kept.endswith(b"the last line\n")
    assert b"bytes are left out here" in kept


def check_out(hub: RealHub, run_id: str) -> None:
    """All of the out is there, and comes back in a stream."""
    (artifact,) = hub.client().get_run(run_id).artifacts
    assert artifact.size_bytes == OUT_BYTES
    manifest = hub.client().blobs.fetch_manifest(artifact.manifest)
    pid = hub_process(hub)
    before = resident(pid)
    with watched(pid) as peaks:
        pieces = hub.client().transport.stream(path_of("blobs", manifest.entries[0].digest))
        assert sum(len(piece) for piece in pieces) == OUT_BYTES
    assert peaks.bytes[pid] - before < SLACK_BYTES


def hub_process(hub: RealHub) -> int:
    """Give the hub's process."""
    assert hub.process is not None
    return hub.process.pid


def runner(hub: RealHub) -> int:
    """Give the process of the stage that runs."""
    running = [it for it in hub.client().list_jobs() if it.state is JobState.RUNNING]
    (job,) = [it for it in running if it.kind is JobKind.STAGE]
    pid: int = job.handle["pid"]
    return pid


def resident(pid: int) -> int:
    """Give a process's resident memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
