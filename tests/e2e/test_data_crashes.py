"""Data that is added and got while everything dies: nothing half is named, and done again it is whole."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from relive.formats.manifest_io import list_tree, read_manifest
from tests.conftest import require
from tests.e2e.hub import PATIENCE_S, RealHub, running_hub
from tests.postgres import find_binaries, running_server
from tests.s3 import CREDENTIALS, fresh_url, running_moto

# Files of both kinds: some are cut, many share packs; packs for several seconds on a busy machine.
LARGE, SMALL = 6, 400
KILLS = 5


@pytest.fixture(params=["sqlite on a disk", "postgresql on S3"])
def hub(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RealHub]:
    """A hub, on both kinds of stores."""
    with ExitStack() as stack:
        options: tuple[str, ...] = ()
        if request.param == "postgresql on S3":
            binaries = find_binaries()
            require(
                binaries is not None, "PostgreSQL is not installed (Debian, Ubuntu: apt install postgresql)"
            )
            assert binaries is not None
            for name, value in CREDENTIALS.items():
                monkeypatch.setenv(name, value)
            server = stack.enter_context(running_server(binaries))
            bucket = stack.enter_context(running_moto(tmp_path))
            options = ("--db", server(), "--store", fresh_url(bucket))
        yield stack.enter_context(running_hub(tmp_path / "home", *options))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Data that takes some time."""
    root = tmp_path / "data"
    root.mkdir()
    for number in range(LARGE):
        (root / f"large{number}").write_bytes(os.urandom(12_000_000))
    for number in range(SMALL):
        (root / f"small{number}").write_bytes(os.urandom(5_000))
    return root


def begin(hub: RealHub, *args: str) -> subprocess.Popen[bytes]:
    """Start a command."""
    command = [sys.executable, "-m", "relive.cli", "data", *args]
    return subprocess.Popen(
        command, env=hub.env, cwd=hub.home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def kill_after(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Kill a command, unless it has ended by then."""
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
        process.wait(timeout=PATIENCE_S)


def same(one: Path, two: Path) -> bool:
    """Tell whether two folders hold the same."""
    return read_manifest(one, list_tree(one)) == read_manifest(two, list_tree(two))


def took(hub: RealHub, *args: str) -> float:
    """Run a command to its end; gives the seconds it took."""
    began = time.monotonic()
    hub.relive("data", *args)
    return time.monotonic() - began


def test_a_killed_client_names_nothing_half(hub: RealHub, folder: Path, tmp_path: Path) -> None:
    chance = random.Random(7)
    long = took(hub, "add", str(folder), "--name", "measured")
    for number in range(KILLS):
        (folder / f"large{number}").write_bytes(os.urandom(12_000_000))
        kill_after(begin(hub, "add", str(folder), "--name", "d"), chance.uniform(0.2, long))
        for detail in hub.client().list_datasets():
            for version in detail.versions:
                hub.relive("data", "verify", version.ref)
    hub.relive("data", "add", str(folder), "--name", "d")
    out = tmp_path / "out"
    for _ in range(KILLS):
        kill_after(begin(hub, "get", "d", "--to", str(out)), chance.uniform(0.2, long))
        for path in list_tree(out) if out.exists() else ():
            if not path.startswith(".relive-partial/"):
                assert (out / path).read_bytes() == (folder / path).read_bytes()
    hub.relive("data", "get", "d", "--to", str(out))
    assert same(out, folder)


def test_a_killed_hub_names_nothing_half(hub: RealHub, folder: Path, tmp_path: Path) -> None:
    chance = random.Random(8)
    for number in range(3):
        (folder / f"large{number}").write_bytes(os.urandom(12_000_000))
        adding = begin(hub, "add", str(folder), "--name", "d")
        time.sleep(chance.uniform(0.3, 2.0))
        hub.kill()
        adding.wait(timeout=PATIENCE_S)
        hub.start()
        for detail in hub.client().list_datasets():
            for version in detail.versions:
                hub.relive("data", "verify", version.ref)
    hub.relive("data", "add", str(folder), "--name", "d")
    getting = begin(hub, "get", "d", "--to", str(tmp_path / "out"))
    time.sleep(0.8)
    hub.kill()
    getting.wait(timeout=PATIENCE_S)
    hub.start()
    hub.relive("data", "get", "d", "--to", str(tmp_path / "out"))
    assert same(tmp_path / "out", folder)


def test_two_that_add_at_once_both_get_a_version(hub: RealHub, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "alone").write_bytes(os.urandom(3_000_000))
    commands = [begin(hub, "add", str(path), "--name", "d") for path in (folder, other, folder)]
    assert [command.wait(timeout=PATIENCE_S) for command in commands] == [0, 0, 0]
    versions = hub.client().get_dataset("d").versions
    assert [it.number for it in versions] == list(range(len(versions), 0, -1))
    assert {it.files for it in versions} == {1, LARGE + SMALL}
    for version in versions:
        hub.relive("data", "verify", version.ref)
