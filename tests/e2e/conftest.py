"""Hubs for the end-to-end tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.hub import RealHub, running_hub


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHub]:
    """One hub on SQLite and a local disk for all tests of a module: each start costs a second."""
    with running_hub(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder for this test's repositories."""
    return tmp_path
