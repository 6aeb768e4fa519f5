"""The server and the client that tests of the git remote share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.hub.git.support import Client, Hub


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """A server of its own for each test, about half a second: tests look at all it has ever done."""
    folder = tmp_path / "hub"
    folder.mkdir()
    hub = Hub(folder).start()
    yield hub
    hub.kill()


@pytest.fixture
def client(tmp_path: Path) -> Client:
    """Give a repository with one commit."""
    client = Client(tmp_path / "client")
    client.commit("first")
    return client
