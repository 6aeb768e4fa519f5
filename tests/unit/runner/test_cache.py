"""What was not used for long goes first; what a process needs stays."""

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from relive.runner import cache as module
from relive.runner.cache import list_entries, prune

DAY_S = 86400.0
NOW = time.time()


def put(cache: Path, kind: str, name: str, *, kib: int = 64, days: float = 0.0) -> Path:
    """Put something into the cache that was last used so many days ago."""
    path = cache / kind / name
    file = path if kind == "blobs" else path / "lib" / "a.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(os.urandom(kib * 1024))
    if kind == "envs":
        (path / "pyvenv.cfg").write_text("home = /usr/bin\n")
        (path / ".complete").write_text("CPython 3.11\n")
    for found in [file, *path.glob("*")]:
        os.utime(found, (NOW - days * DAY_S,) * 2)
    return path


def names(cache: Path) -> list[str]:
    """Name what lies in the cache, the longest unused first."""
    return [Path(entry.path).name for entry in list_entries(cache)]


def test_what_is_too_old_goes(tmp_path):
    put(tmp_path, "envs", "a" * 64, days=70)
    put(tmp_path, "envs", "b" * 64, days=50)
    put(tmp_path, "wheels", "c" * 64, days=61)
    put(tmp_path, "blobs", "dd/" + "d" * 64, days=1)
    assert names(tmp_path) == ["a" * 64, "c" * 64, "b" * 64, "d" * 64]
    assert prune(tmp_path, now=NOW, max_age_s=60 * DAY_S, max_bytes=1 << 30, dry_run=True).entries == 2
    assert len(names(tmp_path)) == 4
    done = prune(tmp_path, now=NOW, max_age_s=60 * DAY_S, max_bytes=1 << 30)
    assert done.entries == 2
    assert done.freed_bytes >= 2 * 64 * 1024
    assert names(tmp_path) == ["b" * 64, "d" * 64]


def test_then_the_longest_unused_until_the_rest_fits(tmp_path):
    for number in range(5):
        put(tmp_path, "blobs", f"aa/{number}", days=5 - number)
    done = prune(tmp_path, now=NOW, max_age_s=60 * DAY_S, max_bytes=2 * 65 * 1024)
    assert names(tmp_path) == ["3", "4"]
    assert done.kept_bytes == sum(entry.size_bytes for entry in list_entries(tmp_path))


def test_what_was_used_just_now_stays(tmp_path):
    put(tmp_path, "blobs", "aa/1")
    assert prune(tmp_path, now=NOW, max_age_s=0.0, max_bytes=0).entries == 0


def test_a_file_that_two_share_counts_once(tmp_path):
    one, two = put(tmp_path, "envs", "a" * 64, days=2), put(tmp_path, "envs", "b" * 64, days=1)
    (two / "lib" / "a.py").unlink()
    os.link(one / "lib" / "a.py", two / "lib" / "a.py")
    assert sum(entry.size_bytes for entry in list_entries(tmp_path)) < 2 * 64 * 1024


def test_an_environment_that_a_process_uses_stays(tmp_path):
    used, other = put(tmp_path, "envs", "a" * 64, days=99), put(tmp_path, "envs", "b" * 64, days=99)
    waiting = [sys.executable, "-c", "input()", str(used / "bin/python")]
    with subprocess.Popen(waiting, stdin=subprocess.PIPE) as process:
        try:
            assert prune(tmp_path, now=NOW, max_age_s=DAY_S, max_bytes=0).entries == 1
            assert (used.exists(), other.exists()) == (True, False)
        finally:
            process.communicate(b"\n")
    assert prune(tmp_path, now=NOW, max_age_s=DAY_S, max_bytes=0).entries == 1


def test_an_environment_that_is_being_built_stays(tmp_path):
    path = put(tmp_path, "envs", "a" * 64, days=99)
    with open(path.with_suffix(".lock"), "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert prune(tmp_path, now=NOW, max_age_s=DAY_S, max_bytes=0).entries == 0
    assert path.exists()


def test_what_uv_keeps_goes_through_uv(tmp_path, monkeypatch):
    asked: list[list[str]] = []
    monkeypatch.setattr(module, "run_uv", lambda arguments, **_options: asked.append(arguments))
    put(tmp_path, "uv", "archive-v0", days=99)
    assert prune(tmp_path, now=NOW, max_age_s=DAY_S, max_bytes=0).entries == 1
    assert asked == [["cache", "clean"]]


@pytest.mark.parametrize("content", [[], ["agent"]])
def test_an_empty_cache_has_nothing(tmp_path, content):
    for name in content:
        (tmp_path / name).mkdir()
    assert list_entries(tmp_path) == []
    assert prune(tmp_path / "none", now=NOW, max_age_s=0.0, max_bytes=0).entries == 0
