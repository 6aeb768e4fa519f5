"""Storing many small blobs on a local disk, each acknowledged when it is durable."""

import os
from pathlib import Path

from blake3 import blake3

from relive.stores.blobs.local import LocalBlobStore
from tests.bench.bench_blobs import in_new_folder
from tests.bench.harness import Benchmark, Case

SIZES = {"small": 50, "full": 2000}
BLOB_BYTES = 4096


def benchmark(size: str) -> Benchmark:
    """Compare a file for each blob, flushed with its name, with a commit for each."""
    blobs = [os.urandom(BLOB_BYTES) for _ in range(SIZES[size])]

    def plain(folder: Path) -> None:
        """Write, hash, flush, rename, flush the folder: what durability costs without any bookkeeping."""
        descriptor = os.open(folder, os.O_RDONLY)
        for data in blobs:
            part = folder / "part"
            with part.open("wb", buffering=0) as file:
                file.write(data)
                os.fsync(file.fileno())
            part.replace(folder / blake3(data).hexdigest())
            os.fsync(descriptor)
        os.close(descriptor)

    def store(folder: Path) -> None:
        opened = LocalBlobStore(folder)
        for data in blobs:
            opened.put(data)

    return Benchmark(
        f"{len(blobs)} blobs of {BLOB_BYTES} bytes",
        [
            Case("write + BLAKE3 + fsync + rename + fsync of the folder", in_new_folder(plain)),
            Case("LocalBlobStore", in_new_folder(store)),
        ],
    )
