"""Folders of processes: gone with them, and if they were killed, with the next start."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from relive.runner import scratch
from relive.runner.scratch import Scratch, sweep

MAKE = """
import sys, tempfile, time
from relive.runner.scratch import Scratch
made = Scratch.make(sys.argv[1])
(made.path / "tree/deep").mkdir(parents=True)
(made.path / "tree/deep/file").write_text("x")
(made.path / "link").symlink_to("/etc")
print(made.path, flush=True)
time.sleep(120)
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a temporary folder of the system's for this test alone."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    scratch._sweep_once.cache_clear()
    yield folder
    scratch._sweep_once.cache_clear()


def started(prefix: str) -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen([sys.executable, "-c", MAKE, prefix], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def killed(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=30)
    assert process.stdout is not None
    process.stdout.close()


@pytest.mark.parametrize("prefix", ["relive-replay-7f3a-", "relive-run-", "relive-why-", "relive-preflight-"])
def test_the_next_start_removes_what_a_killed_process_left_and_nothing_of_one_that_lives(
    root: Path, prefix: str
) -> None:
    dead, left = started(prefix)
    living, kept = started(prefix)
    try:
        killed(dead)
        assert left.is_dir()
        mine = Scratch.make(prefix)
        assert not left.exists()
        assert (kept / "tree/deep/file").read_text() == "x"
        mine.remove()
        assert sorted(root.iterdir()) == [kept]
    finally:
        killed(living)
    assert sweep(root) == [kept]
    assert list(root.iterdir()) == []


def test_what_is_left_on_purpose_or_is_nobodys_stays(root: Path, tmp_path: Path) -> None:
    left = Scratch.make("relive-run-")
    left.leave()
    (root / "relive-run-nobody").mkdir()
    (root / "relive-run-file").write_text("x")
    (tmp_path / "elsewhere").mkdir()
    (root / "relive-why-link").symlink_to(tmp_path / "elsewhere")
    (root / "other-thing").mkdir()
    before = sorted(root.iterdir())
    assert sweep(root) == []
    assert sorted(root.iterdir()) == before
    assert sweep(tmp_path / "absent") == []


@pytest.mark.parametrize("owner", ["", "{", "[]", '{"pid": "x", "started": ""}', '{"started": "a"}'])
def test_an_owner_that_cannot_be_read_is_not_judged(root: Path, owner: str) -> None:
    folder = root / "relive-run-odd"
    folder.mkdir()
    (folder / ".relive-owner").write_text(owner)
    assert sweep(root) == []
    assert folder.is_dir()


def test_one_of_another_user_is_left_alone(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process, left = started("relive-run-")
    killed(process)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert sweep(root) == []
    assert left.is_dir()


def test_one_that_lives_stays_where_locks_do_not_tell(root: Path) -> None:
    process, left = started("relive-run-")
    try:
        owner = json.loads((left / ".relive-owner").read_text())
        assert owner["pid"] == process.pid
        # As if the file system forgot the lock: another file of the same content holds none.
        (left / ".relive-owner").unlink()
        (left / ".relive-owner").write_text(json.dumps(owner))
        assert sweep(root) == []
        owner["started"] = "another boot:1"
        (left / ".relive-owner").write_text(json.dumps(owner))
        assert sweep(root) == [left], "that process number is another's now"
    finally:
        killed(process)


def test_two_that_come_at_once_do_not_disturb_one_another(root: Path) -> None:
    for _ in range(3):
        killed(started("relive-why-")[0])
    code = "import sys, pathlib; from relive.runner.scratch import sweep; sweep(pathlib.Path(sys.argv[1]))"
    both = [subprocess.Popen([sys.executable, "-c", code, str(root)], stderr=subprocess.PIPE) for _ in "ab"]
    for process in both:
        assert process.communicate(timeout=60)[1] == b""
    assert list(root.iterdir()) == []


def test_the_owner_goes_last(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process, left = started("relive-run-")
    killed(process)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(39, "Directory not empty")

    with monkeypatch.context() as patch:
        # As where a child of the killed process still writes.
        patch.setattr(shutil, "rmtree", refuse)
        assert sweep(root) == []
    assert (left / ".relive-owner").is_file(), "so that the next start tries again"
    assert sweep(root) == [left]
