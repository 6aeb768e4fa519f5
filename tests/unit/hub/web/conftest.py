"""A hub with the whole story, for tests of views that only look."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from relive.services.context import Services
from tests.support.site import Site, served
from tests.support.story import full_hub


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the whole story: telling it takes seconds, so it is told once."""
    folder = tmp_path_factory.mktemp("story") / "hub"
    _, services = full_hub(folder, now=time.time())
    services.store.close()
    return folder


@pytest.fixture(scope="session")
def site(story: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The story, served."""
    with served(tmp_path_factory.mktemp("site") / "hub", copy_of=story) as found:
        yield found


@pytest.fixture(scope="session")
def services(site: Site) -> Services:
    """The services of the served story."""
    return site.services
