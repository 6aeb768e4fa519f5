"""Adds compute under a name, after asking whether jobs could run there and would find the hub."""

from urllib.parse import urlsplit

from relive.core.ids import check_name
from relive.core.job import Pool
from relive.errors import Conflict
from relive.executors.registry import open_executor
from relive.services.context import Services

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


def _is_here(url: str) -> bool:
    return urlsplit(url).hostname in _HERE
