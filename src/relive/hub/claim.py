"""One hub a data folder: whoever comes second is told who is there, instead of working on the same rows.

Hubs on one PostgreSQL may share the folder; SQLite has one hub. The lock is the kernel's, so a killed hub
leaves none behind. What stands in the file is for people.

    run/hub.lock    address and pid of the hub that started last
"""

import contextlib
import fcntl
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import msgspec

from relive.errors import Conflict
from relive.hub.config import HubConfig

_log = logging.getLogger(__name__)


class _Holder(msgspec.Struct, frozen=True):
    address: str = "an unknown address"
    pid: int = 0


@contextlib.contextmanager
def claimed(config: HubConfig) -> Iterator[None]:
    """Hold the data folder while a hub runs on it.

    Raises:
        Conflict: Another hub serves it, and one of the two works on SQLite.
    """
    path = config.data_dir / "run" / "hub.lock"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    shares = not config.database_url.startswith("sqlite")
    # Python's descriptors are not inherited, so no job that outlives the hub keeps the lock.
    with open(path, "a+b") as file:
        alone = _lock(file, fcntl.LOCK_EX)
        if not alone and not (shares and _lock(file, fcntl.LOCK_SH)):
            raise _served(config, path)
        if alone and shares:
            _lock(file, fcntl.LOCK_SH)
        elif shares:
            _log.warning("another hub shares this data folder: %s", _said(path))
        file.truncate(0)
        file.write(msgspec.json.encode(_Holder(config.local_url, os.getpid())))
        file.flush()
        yield


def _lock(file: IO[bytes], how: int) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _served(config: HubConfig, path: Path) -> Conflict:
    return Conflict(
        subject=f"data folder {config.data_dir}",
        reason=_said(path),
        hint="end that hub first, or take another folder: relive up --data FOLDER",
    )


def _said(path: Path) -> str:
    try:
        holder = msgspec.json.decode(path.read_bytes(), type=_Holder)
    except msgspec.MsgspecError:
        holder = _Holder()  # it is being written
    return f"it is served by pid {holder.pid} at {holder.address}"
