"""What is said about blobs, under `/api/v1/blobs`.

    POST missing     MissingBlobs → MissingBlobsReply   which of these the hub lacks; the others are pinned
    PUT  {digest}    the bytes; the hub hashes them and refuses others
    GET  {digest}    the bytes

The bytes themselves are no messages: they travel as they are, in pieces.
"""

import msgspec


class MissingBlobs(msgspec.Struct, frozen=True):
    """Digests that the sender is about to refer to."""

    digests: tuple[str, ...]


class MissingBlobsReply(msgspec.Struct, frozen=True):
    """Those of them that have to be sent first."""

    missing: tuple[str, ...]
