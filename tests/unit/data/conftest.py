"""A real hub on a port of its own, and folders to add."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from relive.client.hub import HubClient
from relive.client.transport import Transport
from relive.data.add import Added, Wish, add
from relive.data.scan import place_of
from tests.support.bench import Bench, open_bench, quick_folder
from tests.support.live import LiveHub, served


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own."""
    monkeypatch.setenv("RELIVE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A hub's services on real stores."""
    with quick_folder() as folder, open_bench(folder) as made:
        yield made


@pytest.fixture
def live(bench: Bench) -> Iterator[LiveHub]:
    """A hub that answers."""
    with served(bench.services) as hub:
        yield hub


@pytest.fixture
def hub(live: LiveHub) -> HubClient:
    """A client of it."""
    return HubClient(Transport(live.url, live.admin))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a large file, small ones, an empty one, a program, and links."""
    root = tmp_path / "in"
    (root / "sub").mkdir(parents=True)
    (root / "big.bin").write_bytes(os.urandom(9_000_000))
    (root / "rows.csv").write_text("id,name\n" + "".join(f"{n},name {n}\n" for n in range(1000)))
    (root / "sub/small.txt").write_text("hello\n")
    (root / "sub/same.txt").write_text("hello\n")
    (root / "empty").touch()
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    (root / "link").symlink_to("sub/small.txt")
    age()
    return root


def age() -> None:
    """Wait until the stamps of files are believed: their change time cannot be set."""
    time.sleep(0.15)


def add_it(hub: HubClient, path: Path, name: str = "d", message: str = "", **more: str) -> Added:
    """Add a folder or file without a profile."""
    wish = Wish(name=name, project="demo", message=message, **more)
    return add(hub, place_of(path), wish, profile=lambda manifest: {})
