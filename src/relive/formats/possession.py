"""The proof that somebody has the bytes that a digest names, where knowing the digest is not enough.

A run's command may not read another project's blobs. If it could name them as its own version's, it could
read them as that. So it says what only who has the bytes can: their hash under a key of its run's own.
"""

from collections.abc import Iterable
from typing import Final

from blake3 import blake3

_CONTEXT: Final = "relive data set: possession of a blob, of one run"


def prove(run_id: str, data: Iterable[bytes | memoryview]) -> str:
    """Give the proof that a run has these bytes, in hex; of no use to another run."""
    key = blake3(run_id.encode(), derive_key_context=_CONTEXT).digest()
    hasher = blake3(key=key)
    for part in data:
        hasher.update(part)
    return hasher.hexdigest()
