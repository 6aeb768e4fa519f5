"""What is said about blobs, under `/api/v1/blobs`.

    POST missing     MissingBlobs → MissingBlobsReply   which of these the hub lacks; the others are pinned
    PUT  {digest}    the bytes; the hub hashes them and refuses others
    GET  {digest}    the bytes
    POST {digest}/adopt   GivenPart   the bytes lie in the store's folder already, written by its own user

A large file goes in parts, so that a cut connection costs one of them:

    POST {digest}/upload            BeginUpload → UploadState   how far it is; the answer pins the blob
    PUT  {digest}/upload/{number}   the part's bytes; as query the file's `size_bytes` and the digest `part`
    POST {digest}/upload/finish     BeginUpload → the blob; the hub hashes all parts together

Parts are kept for a week after the last of them came, apart for each sender, by the hub process that took
them. The bytes themselves are no messages: they travel as they are, in pieces.
"""

import msgspec


class MissingBlobs(msgspec.Struct, frozen=True):
    """Digests that the sender is about to refer to."""

    digests: tuple[str, ...]


class MissingBlobsReply(msgspec.Struct, frozen=True):
    """Those of them that have to be sent first."""

    missing: tuple[str, ...]


class GivenPart(msgspec.Struct, frozen=True):
    """Names a file that the sender wrote into the store's folder; see `formats.blob_folder`."""

    name: str


class BeginUpload(msgspec.Struct, frozen=True):
    """Says how large the file is that comes in parts."""

    size_bytes: int


class UploadState(msgspec.Struct, frozen=True, kw_only=True):
    """How far an upload is.

    Attributes:
        is_stored: The blob is there; nothing has to be sent.
        is_finishing: Its parts are being put together; ask again.
        part_bytes: The size of every part but the last.
        missing: Numbers of parts to be sent, from 0; of very many the first.
    """

    is_stored: bool = False
    is_finishing: bool = False
    part_bytes: int = 0
    missing: tuple[int, ...] = ()
