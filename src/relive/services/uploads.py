"""Large blobs that come in parts: whoever is cut off asks what is here, and sends the rest."""

from typing import Final

from relive.core.digest import Digest, parse_digest
from relive.errors import BlobNotFound, Conflict
from relive.ports.blobs import BlobInfo, BlobWriter
from relive.services.collecting import find_missing
from relive.services.context import Services
from relive.wire.blobs import UploadState

_NAMED_AT_MOST: Final = 2000  # parts in one answer


def adopt(services: Services, digest: Digest, name: str) -> BlobInfo:
    """Make a part that a client wrote into the store's folder a blob; one that is here is given as it is.

    Raises:
        BlobNotFound: There is no such part, or the store has no folder that clients can write into.
        InvalidDigest, InvalidInput: The digest is none, or the name is no part's.
        StoreFull: There is no room.
    """
    if not find_missing(services, [digest]):
        return services.blobs.get(digest)
    if services.blobs.inbox is None:
        raise BlobNotFound(kind="part", name=name)
    return services.blobs.inbox.take(name, digest)


def begin(services: Services, digest: Digest, size_bytes: int, owner: str) -> UploadState:
    """Say how far an upload is; a blob that is here, or comes, stays for a day at least.

    Raises:
        InvalidDigest, InvalidInput: The digest is none, or there is no such size.
        StoreFull: There is no room for what is missing.
    """
    if not find_missing(services, [digest]):
        return UploadState(is_stored=True)
    upload = services.blobs.upload(digest, size_bytes, owner=owner)
    return UploadState(
        is_finishing=upload.is_committing,
        part_bytes=upload.part_bytes,
        missing=tuple(upload.missing()[:_NAMED_AT_MOST]),
    )


def part(
    services: Services, digest: Digest, size_bytes: int, owner: str, *, number: int, expected: Digest
) -> BlobWriter:
    """Begin a part of an upload, whose bytes hash to `expected`.

    Raises:
        Conflict: The blob is here already.
        InvalidDigest, InvalidInput: A digest is none, or there is no such size or part.
        StoreFull: There is no room for what is missing.
    """
    if services.blobs.find(parse_digest(digest)) is not None:
        raise Conflict(subject=f"the upload of {digest}", reason="the blob is here already")
    upload = services.blobs.upload(digest, size_bytes, owner=owner)
    return upload.part(number, expected=parse_digest(expected))


def finish(services: Services, digest: Digest, size_bytes: int, owner: str) -> BlobInfo:
    """Make the parts the blob; one that is here is given as it is.

    Raises:
        Conflict: A part is missing, or they are being put together already.
        BlobDigestMismatch: Together they are something else.
        StoreFull: There is no room.
    """
    if not find_missing(services, [digest]):
        return services.blobs.get(digest)
    return services.blobs.upload(digest, size_bytes, owner=owner).commit()
