"""Models and folders that several serving tests use."""

from pathlib import Path

import pytest

from tests.unit.serving.models import Registered, iris_classifier, iris_rows, register


@pytest.fixture(scope="session")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Registered:
    """A registered scikit-learn classifier of iris flowers (trained in 0.1 s, once a worker)."""
    folder = tmp_path_factory.mktemp("iris")
    return register(iris_classifier(folder), iris_rows(folder / "rows.csv"), folder / "contract")


@pytest.fixture
def sockets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose path is short enough for unix sockets, which a test's own may not be."""
    return tmp_path_factory.mktemp("s")
