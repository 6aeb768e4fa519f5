"""The store's contract, on SQLite and on PostgreSQL."""

from collections.abc import Iterator

import pytest

from relive.ports.stores import Store
from relive.testing.stores import QueueContract, StoreContract
from relive.testing.stores_samples import ManualClock
from tests.contract.databases import BACKENDS, empty, fresh_url, opened


@pytest.fixture(scope="module", params=BACKENDS)
def shared_url(request, tmp_path_factory):
    """Give a database that this module's tests use one after the other."""
    return fresh_url(request.param, request, tmp_path_factory.mktemp("store"))


@pytest.fixture
def clock() -> ManualClock:
    """Give the clock that the store keeps time by."""
    return ManualClock()


@pytest.fixture
def store(shared_url: str, clock: ManualClock, tmp_path) -> Iterator[Store]:
    """Give an empty store: a file of its own on SQLite, the shared database on PostgreSQL."""
    url = f"sqlite:///{tmp_path / 'relive.db'}" if shared_url.startswith("sqlite") else shared_url
    with opened(url, clock) as store:
        if url == shared_url:
            empty(url)
        yield store


class TestStore(StoreContract):
    """SqlStore keeps the contract of the store."""


class TestQueue(QueueContract):
    """SqlStore keeps the contract of the queue."""
