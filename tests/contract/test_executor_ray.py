"""Jobs on a Ray cluster: the contract, on a real one.

One cluster of one node for all of them: about 700 MB, and half a minute to start on a busy machine. Each job
costs Ray a new process that imports it, two to five seconds.
"""

from collections.abc import Callable, Iterator

import pytest

from relive.core.job import Pool
from relive.executors.registry import open_executor
from relive.ports.executors import Executor
from relive.testing.executors import ExecutorContract
from tests.support.ray_cluster import RayCluster, running_cluster

pytestmark = [pytest.mark.xdist_group("ray"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    """One cluster for all tests; the tests are in its network."""
    with running_cluster(head_cpus=8) as running:
        yield running


class TestRayExecutor(ExecutorContract):
    """The suite for every executor."""

    patience_s = 240.0
    look_every_s = 0.3

    @pytest.fixture
    def make_executor(
        self, cluster: RayCluster, tmp_path_factory: pytest.TempPathFactory
    ) -> Callable[[], Executor]:
        # One folder for all: the package that every job brings along is made once.
        folder = tmp_path_factory.getbasetemp() / "ray-hub"
        return lambda: open_executor(Pool(name="ray", executor="ray", config=cluster.config), folder)
