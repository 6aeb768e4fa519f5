"""Adds compute under a name, if jobs could run there and would find the hub; takes away what none uses."""

from urllib.parse import urlsplit

from relive.core.ids import check_name
from relive.core.job import JobState, Pool
from relive.errors import Conflict, InvalidInput, NotFound
from relive.executors.registry import open_executor
from relive.services.context import Services

LOCAL = "local"
_HERE = frozenset({"127.0.0.1", "localhost", "::1"})


def add_pool(services: Services, pool: Pool) -> Pool:
    """Keep a pool whose cluster answers and fits.

    Raises:
        InvalidName, InvalidInput: Its name, its executor or its config is wrong.
        PoolUnreachable, PoolUnfit: Its cluster says so.
        Conflict: The name is taken, or its jobs could not reach the hub.
    """
    check_name("pool", pool.name)
    executor = open_executor(pool, services.place.data_dir)
    try:
        executor.check()
    finally:
        executor.close()
    hub, cluster = services.place.public_url, str(pool.config.get("address", ""))
    if cluster and _is_here(hub) and not _is_here(cluster):
        raise Conflict(
            subject=f"pool {pool.name!r}",
            reason=f"its jobs would look for the hub at {hub}, where only this machine finds it",
            hint="start the hub with an address that the cluster reaches: relive up --public-url URL",
        )
    return services.store.create_pool(pool)


def remove_pool(services: Services, name: str) -> None:
    """Take a pool away.

    Raises:
        InvalidInput: It is the hub's own machine.
        NotFound: There is none of this name.
        Conflict: Jobs wait for it or run on it: without it nobody could ask how they are, or stop them.
    """
    if name == LOCAL:
        raise InvalidInput(field="pool", value=name, wanted="another than this machine's own")
    jobs = services.store.list_jobs(states=(JobState.QUEUED, JobState.RUNNING), pool=name)
    if jobs:
        raise Conflict(
            subject=f"pool {name!r}",
            reason=f"{len(jobs)} of its jobs wait or run",
            hint="wait for them, or cancel their pipelines: relive pipeline cancel",
        )
    if not services.store.delete_pool(name):
        raise NotFound(kind="pool", name=name, hint="relive pool list")


def _is_here(url: str) -> bool:
    return urlsplit(url).hostname in _HERE
