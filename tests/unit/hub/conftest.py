"""Hubs on a real port: see `tests.support.live`."""

from collections.abc import Iterator

import pytest

from tests.support.bench import Bench, open_bench, quick_folder
from tests.support.live import LiveHub, served


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A hub's services on real stores, with one project and an empty repository beside it."""
    with quick_folder() as folder, open_bench(folder) as made:
        yield made


@pytest.fixture
def live(bench: Bench) -> Iterator[LiveHub]:
    """A hub that answers, over the services of the bench."""
    with served(bench.services) as hub:
        yield hub
