"""Processes that the blob contract starts, kills and measures: `python -m relive.testing.blob_processes`.

They import neither pytest nor Hypothesis, so that a hundred of them are cheap.
"""

import json
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from relive.core.digest import Digest
from relive.formats.hashing import blake3_digest
from relive.ports.blobs import BlobStore
from relive.stores.blobs.registry import open_store

_PIECE_BYTES = 1024 * 1024


def sample_blobs(seed: int) -> Iterator[bytes]:
    """Give random bytes without end, the same for the same seed: mostly small, some empty, some large."""
    draws = random.Random(seed)
    while True:
        yield draws.randbytes(draws.choice([0, 1, 100, 4096, 65_537, 1_000_000]))


def commit_in_pieces(store: BlobStore, data: bytes) -> Digest:
    """Store bytes in three writes, so that there are moments in between."""
    third = len(data) // 3 + 1
    with store.writer() as writer:
        for start in range(0, len(data), third):
            writer.write(data[start : start + third])
        return writer.commit().digest


def write_on(store: BlobStore, seed: int) -> None:
    """Commit blobs until this process is killed, and print each digest after its commit returned."""
    for data in sample_blobs(seed):
        _tell(commit_in_pieces(store, data))


def write_some(store: BlobStore, seed: int, n_blobs: int) -> None:
    """Wait for a line on standard input, then commit this many blobs."""
    blobs = sample_blobs(seed)
    _tell("ready")
    sys.stdin.readline()
    for _ in range(n_blobs):
        data = next(blobs)
        if commit_in_pieces(store, data) != blake3_digest(data):
            raise SystemExit("a commit gave another digest")


def stream(store: BlobStore, size_bytes: int) -> None:
    """Write and read one large blob, and print how much the memory of this process grew meanwhile."""
    # So that what is needed once, such as the client's threads, does not count.
    store.read(store.put(b"warm").digest)
    before = _peak_bytes()
    piece = random.Random(0).randbytes(_PIECE_BYTES)
    with store.writer(size_hint=size_bytes) as writer:
        for start in range(0, size_bytes, _PIECE_BYTES):
            writer.write(piece[: size_bytes - start])
        info = writer.commit()
    written = _peak_bytes()
    n_read = sum(len(chunk) for chunk in store.iter_chunks(info.digest))
    with store.open(info.digest) as file:
        while chunk := file.read(_PIECE_BYTES):
            n_read += len(chunk)
    grown = {"writing": written - before, "reading": _peak_bytes() - written, "n_read": n_read}
    _tell(json.dumps({**grown, "digest": info.digest}))


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _peak_bytes() -> int:
    # Not getrusage: its peak begins with that of the process that started this one.
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def main(what: str, url: str, *numbers: str) -> None:
    """Do one of the above to the store of a URL."""
    tasks: dict[str, Callable[..., None]] = {"write_on": write_on, "write_some": write_some, "stream": stream}
    tasks[what](open_store(url), *(int(number) for number in numbers))


if __name__ == "__main__":
    main(*sys.argv[1:])
