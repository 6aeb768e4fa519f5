"""Large files in parts: each part is kept as it comes, so that a cut connection costs one part.

Where the store is a bucket whose addresses may be given away, the parts go there and not through the hub; it
reads them when they are complete, for only what it has read itself has a digest.

Whoever holds an upload's id may store its parts, as with the signed addresses of a bucket: MLflow's clients
send no token with them. What becomes of the parts is asked with a token.
"""

from collections.abc import Mapping, Sequence

from relive.core.access import Caller
from relive.core.stored_file import StoredFile
from relive.errors import InvalidInput, NotFound
from relive.ports.blobs import BlobInfo
from relive.services.context import Services
from relive.services.ids import new_secret
from relive.services.mlflow.artifacts import presigns, record_file
from relive.services.mlflow.faults import invalid
from relive.services.mlflow.places import UPLOADS, Place, check_writer
from relive.services.mlflow.rights import maker_name, require_maker
from relive.wire.mlflow.files import Part

_MOST_PARTS = 10_000
_BEGUN = "begun"
# A large file over a slow line takes long; what is written later than its completion changes nothing.
_ADDRESSES_S = 6 * 3600.0


def begin_upload(services: Services, caller: Caller, place: Place, parts: int) -> str:
    """Begin a file in parts, and give the id under which they are stored.

    Raises:
        InvalidInput: So many parts are too many, or none.
        AccessDenied: The caller may not write there.
    """
    if not 0 < parts <= _MOST_PARTS:
        raise InvalidInput(field="num_parts", value=parts, wanted=f"1 to {_MOST_PARTS}")
    check_writer(services, caller, place)
    upload_id = new_secret()
    begun = StoredFile(
        path=f"{UPLOADS}/{upload_id}/{_BEGUN}", digest="", size_bytes=parts, created_by=maker_name(caller)
    )
    services.store.record_file(begun)
    return upload_id


def part_addresses(services: Services, upload_id: str, parts: int, hub: str) -> Sequence[str]:
    """Give the address of each part: in the bucket if clients may write there, else below that of the hub."""
    staging = services.blobs.staging
    if staging is not None and presigns(services):
        return staging.presign(upload_id, parts, lifetime_s=_ADDRESSES_S)
    return [f"{hub}/{upload_id}/{number}" for number in range(1, parts + 1)]


def check_upload(services: Services, upload_id: str, number: int) -> None:
    """Refuse a part of an upload that was not begun.

    Raises:
        NotFound: There is no such upload.
        InvalidInput: It has no such part.
    """
    parts = _begun(services, upload_id).size_bytes
    if not 0 < number <= parts:
        raise InvalidInput(field="part number", value=number, wanted=f"1 to {parts}")


def record_part(services: Services, upload_id: str, number: int, blob: BlobInfo) -> None:
    """Keep a part; one that comes twice takes its own place."""
    services.store.record_file(
        StoredFile(path=_part(upload_id, number), digest=blob.digest, size_bytes=blob.size_bytes)
    )


def complete_upload(
    services: Services, caller: Caller, place: Place, upload_id: str, parts: Sequence[Part]
) -> None:
    """Put the parts together and keep the file.

    Raises:
        NotFound: There is no such upload.
        MlflowFault: None is named, or a part is not there, or not the one that is meant.
    """
    check_writer(services, caller, place)
    require_maker(caller, _begun(services, upload_id).created_by, "complete an upload")
    if not parts:
        raise invalid(f"At least one part of upload {upload_id} must be named")
    named = sorted(parts, key=lambda it: it.part_number)
    if len({part.part_number for part in named}) != len(named):
        raise invalid(f"Each part of upload {upload_id} can be named once")
    staging = services.blobs.staging
    staged = staging.parts(upload_id) if staging is not None else {}
    if staging is not None and staged:
        _check_parts(upload_id, named, {number: part.etag for number, part in staged.items()})
        blob = staging.take(upload_id, [part.part_number for part in named])
    else:
        blob = _join(services, upload_id, named)
    record_file(services, caller, place, blob)
    _forget(services, upload_id)


def abort_upload(services: Services, caller: Caller, place: Place, upload_id: str) -> None:
    """Forget an upload and its parts.

    Raises:
        NotFound: There is no such upload.
        AccessDenied: It is another's.
    """
    check_writer(services, caller, place)
    require_maker(caller, _begun(services, upload_id).created_by, "abort an upload")
    _forget(services, upload_id)


def _join(services: Services, upload_id: str, named: Sequence[Part]) -> BlobInfo:
    """Put parts together that came through the hub, each of which is a blob."""
    files = {part.part_number: services.store.find_file(_part(upload_id, part.part_number)) for part in named}
    kept = {number: file for number, file in files.items() if file is not None}
    _check_parts(upload_id, named, {number: file.digest for number, file in kept.items()})
    blobs = services.blobs
    with blobs.writer(size_hint=sum(file.size_bytes for file in kept.values())) as writer:
        for file in kept.values():
            for data in blobs.iter_chunks(file.digest):
                writer.write(data)
        return writer.commit()


def _check_parts(upload_id: str, named: Sequence[Part], etags: Mapping[int, str]) -> None:
    for part in named:
        if part.etag.strip('"') != etags.get(part.part_number):
            raise invalid(f"Part {part.part_number} of upload {upload_id} was not stored as it is named")


def _forget(services: Services, upload_id: str) -> None:
    services.store.delete_files(f"{UPLOADS}/{upload_id}")
    if services.blobs.staging is not None:
        services.blobs.staging.drop(upload_id)


def _begun(services: Services, upload_id: str) -> StoredFile:
    found = services.store.find_file(f"{UPLOADS}/{upload_id}/{_BEGUN}") if "/" not in upload_id else None
    if found is None:
        raise NotFound(kind="upload", name=upload_id)
    return found


def _part(upload_id: str, number: int) -> str:
    return f"{UPLOADS}/{upload_id}/{number:05}"
