"""Joins services to the stores, executors and keys that this hub was asked to run on."""

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from relive import __version__, settings
from relive.core.access import Scope
from relive.core.job import Pool
from relive.executors.registry import open_executor
from relive.hub.config import HubConfig
from relive.hub.keys import FileSigner
from relive.hub.sending import HttpSender
from relive.hub.vault import FileVault
from relive.ports.blobs import OpenOptions
from relive.ports.executors import Executor
from relive.ports.stores import Store
from relive.services.accounts import create_user_token, ensure_user
from relive.services.context import HubPlace, Services
from relive.services.housekeeping import Retention
from relive.services.ids import new_id
from relive.stores.blobs.registry import open_store as open_blobs
from relive.stores.git.repositories import GitRepositories
from relive.stores.sql.store import open_store

ADMIN = "admin"
LOCAL_POOL = "local"

_MIB = 1 << 20


def build_services(config: HubConfig) -> Services:
    """Open everything a hub stands on; what is missing is made.

    Raises:
        StoreUnavailable: The blob store cannot be used.
        DatabaseUnreachable: The database does not answer.
    """
    config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = open_store(config.database_url)
    reserve = settings.get_int("RELIVE_RESERVE_MIB") * _MIB
    spool = config.data_dir / "spool"
    spool.mkdir(exist_ok=True)
    blobs = open_blobs(config.store_url, OpenOptions(reserve_bytes=reserve, spool=str(spool)))
    ensure_local_pool(store, config.slots)
    return Services(
        store=store,
        blobs=blobs,
        repositories=open_repositories(config),
        signer=FileSigner(config.data_dir / "keys"),
        vault=open_vault(config),
        sender=HttpSender(anywhere=settings.get("RELIVE_WEBHOOK_PRIVATE") == "1"),
        executor_of=executor_lookup(store, config.data_dir),
        place=HubPlace(
            owner=f"{socket.gethostname()}:{os.getpid()}:{new_id()[:8]}",
            data_dir=config.data_dir,
            local_url=config.local_url,
            public_url=config.url,
            version=__version__,
            lease_s=float(settings.get_int("RELIVE_LEASE_S")),
            silence_s=float(max(0, settings.get_int("RELIVE_SILENCE_S"))),
            slots=config.slots,
        ),
    )


def open_vault(config: HubConfig) -> FileVault:
    """Give what encrypts secrets."""
    return FileVault(config.data_dir / "keys" / "secrets.key")


def open_repositories(config: HubConfig) -> GitRepositories:
    """Give the projects' bare repositories, with the limit that pushes have."""
    limit = settings.get_int("RELIVE_PUSH_LIMIT_MIB") * _MIB
    return GitRepositories(config.data_dir / "git", push_limit_bytes=limit)


def retention() -> Retention:
    """Say how long this hub keeps what nobody sees any more."""
    return Retention(
        deleted_days=settings.get_int("RELIVE_KEEP_DELETED_DAYS"),
        jobs_days=settings.get_int("RELIVE_KEEP_JOBS_DAYS"),
        logs_days=settings.get_int("RELIVE_KEEP_LOGS_DAYS"),
    )


def ensure_local_pool(store: Store, slots: int) -> None:
    """See that this machine is a pool, with the slots that were asked for."""
    known = {pool.name: pool for pool in store.list_pools()}
    if LOCAL_POOL in known and known[LOCAL_POOL].slots == slots:
        return
    if LOCAL_POOL in known:
        store.delete_pool(LOCAL_POOL)
    store.create_pool(Pool(name=LOCAL_POOL, executor="local", slots=slots))


def ensure_admin_token(services: Services, known: str, is_good: Callable[[str], bool]) -> str:
    """Give a token of the admin: the one this machine already holds if it is good, else a new one."""
    if known and is_good(known):
        return known
    admin = ensure_user(services, ADMIN, Scope.ADMIN)
    label = f"relive up at {services.place.local_url} ({socket.gethostname()})"
    return create_user_token(services, admin, label=label[:200])


def executor_lookup(store: Store, data_dir: Path) -> Callable[[str], Executor]:
    """Give a function from a pool's name to its executor; one is opened anew when its pool changes."""
    opened: dict[str, tuple[Pool, Executor]] = {}
    lock = threading.Lock()

    def find(name: str) -> Executor:
        pool = store.get_pool(name)
        with lock:
            kept = opened.get(name)
            if kept is None or kept[0] != pool:
                opened[name] = (pool, open_executor(pool, data_dir))
            return opened[name][1]

    return find
