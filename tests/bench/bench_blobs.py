"""Storing one large blob on a local disk, beside the least that could be called storing it."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from blake3 import blake3

from relive.stores.blobs.local import LocalBlobStore
from tests.bench.harness import Benchmark, Case, Facts

SIZES = {"small": 8, "full": 256}  # MiB
PIECE = os.urandom(2**20)


def benchmark(size: str) -> Benchmark:
    """Compare writing, hashing and flushing a file with committing a blob, once and again."""
    n_mib = SIZES[size]

    def plain(folder: Path) -> None:
        """Write a file that another process could see torn, and whose name a power cut may take."""
        hasher = blake3()
        with (folder / "blob").open("wb", buffering=0) as file:
            for _ in range(n_mib):
                file.write(PIECE)
                hasher.update(PIECE)
            os.fsync(file.fileno())

    def store(folder: Path) -> None:
        _commit(LocalBlobStore(folder / "blobs"), n_mib)

    def store_twice(folder: Path) -> None:
        blobs = LocalBlobStore(folder / "blobs")
        _commit(blobs, n_mib)
        _commit(blobs, n_mib)

    return Benchmark(
        f"one blob of {n_mib} MiB",
        [
            Case("write + BLAKE3 + fsync", in_new_folder(plain)),
            Case("LocalBlobStore", in_new_folder(store)),
            Case("LocalBlobStore, the same twice", in_new_folder(store_twice)),
        ],
    )


def in_new_folder(work: Callable[[Path], None]) -> Callable[[], Facts]:
    """Make work to be done in an empty folder of its own; says how much it left there."""

    def run() -> Facts:
        with tempfile.TemporaryDirectory() as folder:
            work(Path(folder))
            files = [path for path in Path(folder).rglob("*") if path.is_file()]
            return {"bytes kept": sum(path.stat().st_size for path in files)}

    return run


def _commit(blobs: LocalBlobStore, n_mib: int) -> None:
    with blobs.writer(size_hint=n_mib * 2**20) as writer:
        for _ in range(n_mib):
            writer.write(PIECE)
        writer.commit()
