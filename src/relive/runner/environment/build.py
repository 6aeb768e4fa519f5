"""Environments as folders: resolved to a lock once, built from kept wheels alone, cached by their digest.

`cache/envs/DIGEST/` is complete if it holds the file `.complete`, which is written last; whatever else is
found there died in the middle and is built again. A lock file keeps two processes from building the same.
"""

import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from relive import settings
from relive.client.blobs import BlobClient
from relive.core.digest import Digest, hex_of
from relive.core.pipeline import EnvSpec
from relive.core.recipe import EnvironmentLock
from relive.errors import EnvironmentFailed
from relive.formats.locks import lock_bytes, lock_digest, read_lock
from relive.runner.environment.interpreters import Interpreter, find_interpreter
from relive.runner.environment.proven import is_proven, prove
from relive.runner.environment.resolve import resolve
from relive.runner.environment.uv import offline_environment, run_uv
from relive.runner.environment.wheels import Wheel, WheelStore

_log = logging.getLogger(__name__)

_COMPLETE: Final = ".complete"


def resolve_environment(
    tree: Path, env: EnvSpec, wheels: WheelStore, *, is_whole: bool = False
) -> EnvironmentLock:
    """Turn a lock file, or ranges, into exact wheels that are kept, so that no index is needed again.

    Args:
        tree: The checked-out tree.
        env: What was asked for.
        wheels: Where the wheels are kept.
        is_whole: Whether what is named is all there is to be: nothing that it needs is added.

    Raises:
        EnvironmentFailed: It cannot be resolved, a wheel cannot be had, or one is not what was locked.
        InvalidInput: The lock file's name says no kind that relive can read.
        StoreFull: The hub has no room for the wheels.
    """
    resolution = resolve(tree, env, is_whole=is_whole)
    kept = wheels.keep(wheels.gather(resolution))
    interpreter = resolution.interpreter
    return EnvironmentLock(
        python=interpreter.version,
        implementation=interpreter.implementation,
        platform=interpreter.platform,
        source=env.lock,
        packages=tuple(sorted((wheel.package for wheel in kept), key=lambda package: package.name)),
    )


def build_environment(lock: EnvironmentLock, wheels: WheelStore) -> Path:
    """Give the folder of an environment, building it if this machine does not have it whole.

    Raises:
        EnvironmentFailed: No interpreter fits, a wheel is kept nowhere, or installing failed.
    """
    folder = Path(settings.cache()) / "envs"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / hex_of(lock_digest(lock))
    if _is_complete(target):
        return target
    with _alone(target.with_suffix(".lock")):
        if not _is_complete(target):  # another process may have built it while we waited
            shutil.rmtree(target, ignore_errors=True)
            _build(lock, wheels, target, cache=None)
    return target


def build_own(lock: EnvironmentLock, wheels: WheelStore, target: Path) -> Path:
    """Build an environment in an empty place for one command, as a replay does: of links, where these hold.

    Each file is compared with its wheel, or has the stamps that it had when it was; if one is another, all
    is built from the wheels alone.

    Raises:
        EnvironmentFailed: No interpreter fits, a wheel is kept nowhere, or installing failed.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    found = _build(lock, wheels, target, cache=None)
    mark = Path(settings.cache()) / "envs" / f"{hex_of(lock_digest(lock))}.proven"
    if not found or is_proven(target, mark):
        return target
    wrong = prove(target, found, mark)
    if wrong:
        _log.warning("files of %s were changed in uv's cache on this machine: built anew", ", ".join(wrong))
        shutil.rmtree(target)
        _forget(wrong, target.parent)
        build_fresh(lock, wheels, target)
    return target


def _forget(names: list[str], folder: Path) -> None:
    """Take packages out of uv's cache; where that fails, the next environment is found wrong again."""
    try:
        run_uv(["cache", "clean", *names], source="uv's cache", folder=folder)
    except EnvironmentFailed as error:
        _log.warning("%s", error.what())


def build_fresh(lock: EnvironmentLock, wheels: WheelStore, target: Path) -> Path:
    """Build an environment in an empty place with nothing but its wheels.

    No cache of installed files is used: every byte comes out of a wheel that was verified just now.

    Raises:
        EnvironmentFailed: No interpreter fits, a wheel is kept nowhere, or installing failed.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".uv-", dir=target.parent) as cache:
        _build(lock, wheels, target, cache=Path(cache))
    return target


def keep_lock(lock: EnvironmentLock, blobs: BlobClient) -> Digest:
    """Store an environment lock in the hub, and give its digest."""
    return blobs.put_bytes(lock_bytes(lock))


def fetch_lock(digest: Digest, blobs: BlobClient) -> EnvironmentLock:
    """Fetch an environment lock from the hub.

    Raises:
        BlobNotFound: The hub does not have it.
    """
    return read_lock(blobs.get_bytes(digest))


def _build(lock: EnvironmentLock, wheels: WheelStore, target: Path, *, cache: Path | None) -> list[Wheel]:
    source = lock.source or "the interpreter alone"
    interpreter = _interpreter_of(lock, source)
    found = wheels.bring(lock.packages, source=source)
    variables = offline_environment(cache)
    create = ["venv", "--quiet", "--no-project", "--python", str(interpreter.path), str(target)]
    run_uv(create, source=source, folder=target.parent, environment=variables)
    if found:
        _install(found, target, variables, source)
    _write_complete(target, interpreter)
    return found


def _install(wheels: list[Wheel], target: Path, variables: dict[str, str], source: str) -> None:
    """Install exactly these wheels.

    Each is named by its version and found in its own folder: a wheel named by its path would be recorded as a
    local file (direct_url.json), and uv unpacks it once for all environments either way.
    """
    folders = "".join(f"--find-links {wheel.path.parent.as_uri()}\n" for wheel in wheels)
    pins = "".join(f"{wheel.package.name}=={wheel.package.version}\n" for wheel in wheels)
    with tempfile.NamedTemporaryFile("w", prefix="relive-wheels-", suffix=".txt") as listed:
        # Through a file: the paths of a thousand wheels are longer than a command line may be.
        listed.write(folders + pins)
        listed.flush()
        install = ["pip", "install", "--quiet", "--offline", "--no-index", "--no-deps", "--no-config"]
        where = ["--python", str(target / "bin/python"), "--requirements", listed.name]
        run_uv([*install, *where], source=source, folder=target, environment=variables)


def _interpreter_of(lock: EnvironmentLock, source: str) -> Interpreter:
    """Find a lock's interpreter: its exact version, else a patch release beside it, with the same wheels."""
    try:
        found = find_interpreter(lock.python, source=source)
    except EnvironmentFailed:
        found = find_interpreter(".".join(lock.python.split(".")[:2]), source=source)
    if found.implementation != lock.implementation or found.platform != lock.platform:
        raise EnvironmentFailed(
            source=source,
            reason=f"it is for {lock.implementation} on {lock.platform}, this machine has "
            f"{found.implementation} on {found.platform}",
            hint="run it on a pool with such machines",
        )
    return found


def _is_complete(target: Path) -> bool:
    # The interpreter behind the environment may have been removed since.
    return (target / _COMPLETE).is_file() and (target / "bin/python").exists()


def _write_complete(target: Path, interpreter: Interpreter) -> None:
    marker = target / f"{_COMPLETE}.new"
    with open(marker, "w", encoding="utf-8") as file:
        file.write(f"{interpreter.implementation} {interpreter.version}\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(marker, target / _COMPLETE)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with open(path, "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
