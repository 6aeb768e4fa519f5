"""The wheels of environments: fetched or built once, verified whenever they changed, kept by their SHA-256.

`cache/wheels/SHA256/FILENAME` on this machine; in the hub's blob store for every other machine and for the
day on which no index has them any more.
"""

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from packaging.pylock import PackageVcs
from packaging.utils import canonicalize_name, parse_wheel_filename

from relive import settings
from relive.client.blobs import BlobClient
from relive.core.recipe import LockedPackage
from relive.errors import BlobNotFound, EnvironmentFailed
from relive.formats.hashing import hash_file
from relive.formats.manifest_io import HashCache
from relive.runner.environment.resolve import Chosen, Resolution, local_path
from relive.runner.environment.sources import bring_source, filename_of, is_wheel, verify
from relive.runner.environment.uv import run_uv

_AT_ONCE: Final = 4

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True)
class Wheel:
    """A wheel that lies on this machine, and what is known of it."""

    package: LockedPackage
    path: Path


class WheelStore:
    """The wheels kept on this machine, with the hub's behind them; may be used from several threads.

    Args:
        blobs: The hub's blob store; None to do without.
        folder: Where they are kept; None for this user's cache.
    """

    def __init__(self, blobs: BlobClient | None = None, folder: Path | None = None) -> None:
        self._blobs = blobs
        self._folder = folder or Path(settings.cache()) / "wheels"
        self._hashes = HashCache(self._folder / "hashes.msgpack")

    def gather(self, resolution: Resolution) -> list[Wheel]:
        """Bring every package of a resolution here as a wheel: verified, and built where it has none.

        Raises:
            EnvironmentFailed: One cannot be had, is not what the lock says, or cannot be built.
        """
        return _in_parallel(lambda chosen: self._gather_one(chosen, resolution), resolution.packages)

    def keep(self, wheels: Iterable[Wheel]) -> list[Wheel]:
        """Store wheels in the hub, and give them with the digests of their blobs.

        Raises:
            StoreFull: The hub has no room.
        """
        blobs = self._blobs
        if blobs is None:
            return list(wheels)

        def keep_one(wheel: Wheel) -> Wheel:
            digest = blobs.put_file(wheel.path)
            return Wheel(msgspec.structs.replace(wheel.package, blob=digest), wheel.path)

        return _in_parallel(keep_one, wheels)

    def bring(self, packages: Iterable[LockedPackage], *, source: str) -> list[Wheel]:
        """Bring the wheels of an environment lock here, from this machine or from the hub.

        Raises:
            EnvironmentFailed: One is kept nowhere, or is damaged.
        """
        found = _in_parallel(lambda package: self._bring_one(package, source), packages)
        self._hashes.save()
        return found

    def has(self, package: LockedPackage) -> bool:
        """Tell whether a wheel lies on this machine, and is what it was."""
        return self._find(package.sha256, package.filename) is not None

    def _gather_one(self, chosen: Chosen, resolution: Resolution) -> Wheel:
        filename = filename_of(chosen)
        if not is_wheel(filename):
            return self._build(chosen, resolution)
        origin = "path" if local_path(chosen.source, resolution.folder) is not None else "index"
        for allowed in chosen.allowed:
            kept = self._find(allowed.removeprefix("sha256:"), filename)
            if kept is not None:
                return _describe(kept, origin)
        with self._incoming() as folder:
            return self._take(bring_source(chosen, resolution, folder), origin)

    def _bring_one(self, package: LockedPackage, source: str) -> Wheel:
        kept = self._known(package) if package.blob else self._find(package.sha256, package.filename)
        if kept is not None:
            return Wheel(package, kept)
        lost = EnvironmentFailed(
            source=source,
            reason=f"the wheel {package.filename} (sha256 {package.sha256[:12]}…) is kept neither on this "
            "machine nor in the hub",
            hint="run the pipeline again, which resolves the environment anew",
        )
        if not package.blob or self._blobs is None:
            raise lost
        with self._incoming() as folder:
            file = folder / package.filename
            try:
                self._blobs.get_file(package.blob, file)
            except BlobNotFound as error:
                raise lost from error
            verify(file, frozenset({f"sha256:{package.sha256}"}), source=source)
            return Wheel(package, self._take(file, package.origin).path)

    def _build(self, chosen: Chosen, resolution: Resolution) -> Wheel:
        """Build a wheel. The wheel is what is kept: a second build may give other bytes."""
        what = f"{chosen.name} {chosen.version}".strip()
        with self._incoming() as folder:
            project = bring_source(chosen, resolution, folder)
            out = folder / "built"
            command = ["build", "--wheel", "--python", str(resolution.interpreter.path)]
            try:
                run_uv(
                    [*command, "--out-dir", str(out), str(project)], source=resolution.source, folder=folder
                )
            except EnvironmentFailed as error:
                reason = f"{what} has no wheel for this machine, and building one failed:\n{error.reason}"
                raise EnvironmentFailed(source=resolution.source, reason=reason) from error
            wheel = next(out.glob("*.whl"))
            return self._take(wheel, "vcs" if isinstance(chosen.source, PackageVcs) else "built")

    def _find(self, sha256: str, filename: str) -> Path | None:
        """Give a kept wheel, if it is still what it was."""
        path = self._folder / sha256 / filename
        try:
            return path if hash_file(path, sha256=True).sha256 == sha256 else None
        except FileNotFoundError:
            return None

    def _known(self, package: LockedPackage) -> Path | None:
        """Give a kept wheel as `_find` does; one whose stamp has not changed is not read again."""
        path = self._folder / package.sha256 / package.filename
        try:
            return path if self._hashes.digest_of(path)[0] == package.blob else None
        except FileNotFoundError:
            return None

    def _take(self, file: Path, origin: str) -> Wheel:
        """Move a verified wheel to its place."""
        wheel = _describe(file, origin)
        place = self._folder / wheel.package.sha256 / file.name
        place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(file, place)
        return Wheel(wheel.package, place)

    @contextmanager
    def _incoming(self) -> Iterator[Path]:
        """Give a folder for a wheel on its way in, on the same file system as its place."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".incoming-", dir=self._folder) as folder:
            yield Path(folder)


def _describe(path: Path, origin: str) -> Wheel:
    """Hash a wheel; what the lock said of it counts for nothing here."""
    hashed = hash_file(path, sha256=True)
    name, version, _, _ = parse_wheel_filename(path.name)
    package = LockedPackage(
        name=canonicalize_name(name),
        version=str(version),
        filename=path.name,
        sha256=str(hashed.sha256),
        size_bytes=hashed.size_bytes,
        origin=origin,
    )
    return Wheel(package, path)


def _in_parallel(work: Callable[[A], B], items: Iterable[A]) -> list[B]:
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="wheels") as threads:
        futures = [threads.submit(work, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            threads.shutdown(cancel_futures=True)  # one that failed fails all: begin no others
            raise
