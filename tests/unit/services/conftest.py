"""A bench for each test: see `tests.support.bench`."""

from collections.abc import Iterator

import pytest

from tests.contract.databases import empty
from tests.support.bench import Bench, open_bench, quick_folder

__all__ = ["Bench", "bench", "database", "postgresql_database"]


@pytest.fixture(scope="session")
def postgresql_database(postgres_url) -> str:
    """One PostgreSQL database for all these tests: making the tables takes longer than most of them."""
    url: str = postgres_url()
    with quick_folder() as folder, open_bench(folder, url):
        return url


@pytest.fixture
def database(request: pytest.FixtureRequest) -> str:
    """Give the URL of an empty database; empty for SQLite, unless a test is parametrised for both."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return ""
    url: str = request.getfixturevalue("postgresql_database")
    empty(url)
    return url


@pytest.fixture
def bench(database: str) -> Iterator[Bench]:
    """A hub's services on real stores, with one project and an empty repository beside it."""
    with quick_folder() as folder, open_bench(folder, database) as made:
        yield made
