"""What a script logged, when it is killed, when the disk is full, when the power goes: real processes."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from relive.client.sender import Keeper
from relive.client.spool import pending
from relive.formats.spool import read_spool, spool_files
from tests.conftest import require
from tests.contract.disks import is_mountable, small_disk

MIB = 2**20
# Nothing is recorded but what the script logs: on a slow machine a look at it would be counted, too.
QUIET = {"RELIVE_MODE": "offline", "RELIVE_CONSOLE": "0", "RELIVE_SYSTEM_METRICS_S": "0"}


def start(home: Path, code: str) -> "subprocess.Popen[str]":
    """Start a script that keeps what it logs in this home."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("RELIVE_")}
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env={**inherited, **QUIET, "RELIVE_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def steps(home: Path, key: str = "i") -> list[int]:
    (spool,) = pending(home / "spool")
    return [it.step for it in read_spool(spool).metrics if it.key == key]


@pytest.mark.parametrize("pause_s", [0.0, 0.003, 0.01, 0.05])
def test_killed_at_any_moment_everything_is_there_for_which_log_has_returned(tmp_path, pause_s):
    child = start(
        tmp_path,
        "import os, relive\nrun = relive.init()\nout = os.dup(1)\n"
        "for i in range(10**9):\n"
        "    run.log({'i': i, 'x': 0.5}, step=i)\n"
        "    if i % 100 == 0: os.write(out, b'%d\\n' % i)\n",
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "0\n"
    time.sleep(pause_s)
    child.send_signal(signal.SIGKILL)
    out, _ = child.communicate(timeout=60)
    said = int(["0", *out.split("\n")[:-1]][-1])
    kept = steps(tmp_path)
    assert kept == list(range(len(kept)))
    assert len(kept) > said


def test_threads_and_forks_at_once_lose_nothing_and_repeat_nothing(tmp_path):
    child = start(
        tmp_path,
        "import os, threading, relive\nrun = relive.init()\n"
        "def log(name):\n    for i in range(3000): run.log({name: i}, step=i)\n"
        "threads = [threading.Thread(target=log, args=(f't{n}',)) for n in range(3)]\n"
        "for it in threads: it.start()\n"
        "pids = []\n"
        "for n in range(4):\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n        log(f'c{n}'); os._exit(0)\n"
        "    pids.append(pid)\n"
        "for it in threads: it.join()\n"
        "print([os.waitpid(pid, 0)[1] for pid in pids])\n",
    )
    out, err = child.communicate(timeout=200)
    assert (child.returncode, out) == (0, "[0, 0, 0, 0]\n"), err
    for name in ("t0", "t1", "t2", "c0", "c1", "c2", "c3"):
        assert sorted(steps(tmp_path, name)) == list(range(3000)), name


def test_a_full_disk_ends_no_training_and_what_is_lost_is_counted(tmp_path):
    require(is_mountable(tmp_path / "try"), "no tmpfs can be mounted: neither root nor user namespaces")
    with small_disk(tmp_path / "disk", 3 * MIB) as disk:
        child = start(
            disk,
            "import relive\nrun = relive.init()\n"
            "for i in range(200_000): run.log({'i': i}, step=i)\n"
            "relive.finish()\nprint('trained')\n",
        )
        out, err = child.communicate(timeout=200)
        assert (child.returncode, out) == (0, "trained\n"), err
        assert err.count("the disk takes no more of this run") == 1
        (lost,) = re.findall(r"(\d+) records of this run could not be written", err)
        kept = steps(disk)
    assert len(set(kept)) == len(kept)
    # The record of the run's end is lost with the others.
    assert len(kept) + int(lost) == 200_001
    assert len(kept) > 40_000


def test_what_is_logged_is_flushed_to_the_disk_within_a_second(tmp_path):
    child = start(
        tmp_path,
        "import os, sys, time\nreal = os.fdatasync\n"
        "def fdatasync(fd):\n    real(fd); print('flushed', os.readlink(f'/proc/self/fd/{fd}'), flush=True)\n"
        "os.fdatasync = fdatasync\n"
        "import relive\nrun = relive.init()\n"
        "for i in range(3):\n    run.log({'i': i}, step=i); time.sleep(0.7)\n"
        "print('end', flush=True)\nos._exit(0)\n",
    )
    out, err = child.communicate(timeout=120)
    lines = out.splitlines()
    assert lines[-1] == "end", err
    assert sum(line.startswith("flushed") and line.endswith(".points") for line in lines) >= 3


def test_the_keeper_flushes_what_has_grown_and_nothing_else(tmp_path, monkeypatch):
    flushed: list[str] = []

    def note(path: Path) -> bool:
        flushed.append(path.name)
        return True

    monkeypatch.setattr("relive.client.sender.flush", note)
    keeper = Keeper(tmp_path)
    (tmp_path / "a.jsonl").write_text("one\n")
    keeper.sync()
    keeper.sync()
    (tmp_path / "a.jsonl").write_text("one\ntwo\n")
    (tmp_path / "console.log").write_text("x")
    keeper.sync()
    assert flushed == ["a.jsonl", "a.jsonl", "console.log"]
    assert spool_files(tmp_path) == ["a.jsonl"]
