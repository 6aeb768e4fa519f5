"""Purges and collects, and kills itself with -9 just before its Nth statement or deleted file.

`python -m tests.contract.killed_in_collecting DATABASE BLOBS FOLDER N` prints "whole" if N lies beyond.
"""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from sqlalchemy import event

from relive.hub.keys import FileSigner
from relive.hub.sending import HttpSender
from relive.hub.vault import FileVault
from relive.ports.executors import Executor
from relive.services import collecting, trace_removal
from relive.services.context import HubPlace, Services
from relive.stores.blobs.registry import open_store as open_blobs
from relive.stores.git.repositories import GitRepositories
from relive.stores.sql.store import open_store


def services_of(database: str, blobs: str, folder: Path) -> Services:
    """Give a hub's services on these stores, without a hub."""

    def no_executor(pool: str) -> Executor:
        raise AssertionError(f"nothing is placed on {pool}")

    return Services(
        store=open_store(database),
        blobs=open_blobs(blobs),
        repositories=GitRepositories(folder / "git"),
        signer=FileSigner(folder / "keys"),
        vault=FileVault(folder / "keys" / "secrets.key"),
        sender=HttpSender(),
        executor_of=no_executor,
        place=HubPlace(
            owner=f"process {os.getpid()}",
            data_dir=folder,
            local_url="http://127.0.0.1:1",
            public_url="http://hub",
            version="0",
        ),
    )


def main(database: str, blobs: str, folder: str, n_steps: int) -> None:
    """Collect to the end, or die on the way."""
    left = n_steps

    def count(*_args: Any) -> None:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    services = services_of(database, blobs, Path(folder))
    engine = services.store._db.engine  # type: ignore[attr-defined]
    # As if a day had gone by, and as if those that died before had died long ago.
    collecting.DAY_S = -60.0  # type: ignore[misc]
    trace_removal.TRACES_A_STEP = 2  # type: ignore[misc]
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM locks")
    event.listen(engine, "before_cursor_execute", count)
    event.listen(engine, "commit", count)
    sys.addaudithook(lambda name, _args: count() if name == "os.remove" else None)
    for _ in collecting.collect(services, deleted_before=time.time() + 60):
        pass
    print("whole", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
