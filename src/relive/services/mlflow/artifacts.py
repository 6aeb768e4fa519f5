"""Files that MLflow's clients store: with a run, with a logged model, or under an address of their own."""

from collections.abc import Iterable
from typing import Any

from relive import settings
from relive.core.access import Caller, Scope
from relive.core.artifact import Manifest, ManifestEntry
from relive.core.run import Artifact, Run
from relive.core.stored_file import StoredFile
from relive.errors import Conflict, ReliveError
from relive.ports.blobs import BlobInfo
from relive.services.context import Services
from relive.services.inputs import keep_manifest, load_manifest
from relive.services.mlflow.faults import MlflowFault, invalid, missing
from relive.services.mlflow.places import UPLOADS, Place, check_writer, safe_path
from relive.services.mlflow.rights import maker_name, require_maker
from relive.services.runs import may_write

_ARTIFACT = "artifact"
_PRESIGNED_S = 3600.0


def record_file(services: Services, caller: Caller, place: Place, blob: BlobInfo) -> None:
    """Keep a file that a client stored.

    Raises:
        AccessDenied: The caller may not write there.
        MlflowFault: There is a folder of this name, or a file where its folder would be.
        InvalidManifest: The path cannot be a file's.
    """
    check_writer(services, caller, place)
    if place.run is not None:
        record_artifact(services, may_write(services, caller, place.run.id), place.path, blob)
        return
    Manifest((ManifestEntry(path=place.path, digest=blob.digest, size_bytes=blob.size_bytes),))
    file = StoredFile(
        path=place.address,
        digest=blob.digest,
        size_bytes=blob.size_bytes,
        created_by=maker_name(caller),
    )
    with services.store.transaction():
        if (other := services.store.find_overlapping_file(file.path)) is not None:
            raise _no_room(file.path, other.path)
        services.store.record_file(file)


def record_artifact(services: Services, run: Run, path: str, blob: BlobInfo) -> None:
    """Keep one file of a run.

    Raises:
        MlflowFault: There is a folder of this name, or a file where its folder would be.
    """
    entry = ManifestEntry(path=path, digest=blob.digest, size_bytes=blob.size_bytes)
    artifact = Artifact(
        run_id=run.id,
        path=path,
        manifest=keep_manifest(services, Manifest((entry,))),
        size_bytes=blob.size_bytes,
        files=1,
        kind=_ARTIFACT,
    )
    with services.store.transaction():
        other = services.store.find_overlapping_artifact(run.id, path)
        # An artifact of many files, as relive's own client makes them, is a folder that may get more.
        if other is not None and other.kind == _ARTIFACT and (other.files == 1 or other.path > path):
            raise _no_room(path, other.path)
        services.store.record_artifact(artifact, fence=run.fence or None)


def delete_files(services: Services, caller: Caller, place: Place) -> None:
    """Delete a file, or a folder with all that lies in it; nothing if there is nothing.

    Raises:
        AccessDenied: The caller may not write there, or a file in the folder is another's.
        Conflict: It is an out of a stage, which the run's record is made of.
    """
    check_writer(services, caller, place)
    if place.run is None:
        with services.store.transaction():
            if place.is_loose:
                _check_makers(services, caller, place)
            services.store.delete_files(place.address)
        return
    inside = f"{place.path}/"
    of_run = services.store.list_artifacts(place.run.id)
    named = [it for it in of_run if not place.path or it.path == place.path or it.path.startswith(inside)]
    if any(it.kind != _ARTIFACT for it in named):
        raise Conflict(subject=place.path, reason="it is an out of the run, which its record is made of")
    services.store.delete_artifacts(place.run.id, [it.path for it in named])


def _check_makers(services: Services, caller: Caller, place: Place) -> None:
    """Refuse whoever would delete another's file with a folder: many have files below it."""
    if caller.scope not in (Scope.ADMIN, Scope.MEMBER):
        for maker in {file.created_by for file in services.store.list_files(place.address)}:
            require_maker(caller, maker, "delete a folder")


def list_artifacts(services: Services, run_id: str, folder: str) -> list[dict[str, Any]]:
    """List what lies directly in a folder of a run's artifacts, as MLflow does.

    Raises:
        MlflowFault: The folder is not within the run.
    """
    folder = safe_path(folder)
    found: dict[str, int] = {}
    for artifact in services.store.list_artifacts(run_id):
        if artifact.kind == _ARTIFACT and artifact.files == 1:
            # What a client stored is a file a manifest: a run may hold thousands, which need not be read.
            found[artifact.path] = artifact.size_bytes
        else:
            found |= _sizes(load_manifest(services, artifact.manifest).entries)
    return _listed(found, folder)


def list_folder(services: Services, place: Place) -> list[dict[str, Any]]:
    """List what lies directly in the folder of a place, as MLflow does; nothing if it is a file, or not."""
    if place.run is not None:
        return list_artifacts(services, place.run.id, place.path)
    if place.version is not None:
        return _listed(_sizes(load_manifest(services, place.version.manifest).entries), place.path)
    return _listed(_sizes(_entries_of_files(services, place)), place.path)


def open_file(services: Services, place: Place) -> BlobInfo:
    """Give the blob of a stored file.

    Raises:
        MlflowFault: There is none, or it is a folder.
    """
    if place.run is not None:
        digest = _find_in_run(services, place.run.id, place.path)
    elif place.version is not None:
        entry = load_manifest(services, place.version.manifest).find(place.path)
        digest = entry.digest if entry is not None else ""
    else:
        file = services.store.find_file(place.address)
        digest = file.digest if file is not None else ""
    if digest:
        return services.blobs.get(digest)
    raise _no_file(services, place)


def presigns(services: Services) -> bool:
    """Tell whether clients get signed addresses: the store can give them, and the hub's owner lets it."""
    return services.blobs.can_presign and settings.get("RELIVE_PRESIGN") == "on"


def presign_file(services: Services, place: Place) -> dict[str, Any]:
    """Give a signed address of a stored file, for an hour, and the file's size.

    Raises:
        MlflowFault: There is no such file, or no address is given.
    """
    if not presigns(services):
        message = "Multipart download is not supported for the current artifact repository"
        raise MlflowFault(error_code="NOT_IMPLEMENTED", message=message)
    info = open_file(services, place)
    address = services.blobs.presign(info.digest, lifetime_s=_PRESIGNED_S)
    return {"url": address, "headers": {}, "file_size": info.size_bytes}


def manifest_of(services: Services, place: Place) -> Manifest:
    """Give what lies in the folder of a place, with paths relative to it; empty if there is nothing."""
    if place.run is not None:
        entries: Iterable[ManifestEntry] = _entries_of_run(services, place.run.id)
    elif place.version is not None:
        entries = load_manifest(services, place.version.manifest).entries
    else:
        entries = _entries_of_files(services, place)
    return Manifest.of(entries).subtree(place.path)


def _no_room(path: str, other: str) -> ReliveError:
    return invalid(f"Artifact '{path}' cannot be stored beside '{other}': one would be the other's folder")


def _no_file(services: Services, place: Place) -> ReliveError:
    if list_folder(services, place):
        return invalid(f"Artifact path refers to a directory, not a file: '{place.address}'")
    return missing(f"No such artifact: '{place.address}'")


def _find_in_run(services: Services, run_id: str, path: str) -> str:
    artifacts = services.store.list_artifacts(run_id)
    # The artifact of this very path first: a run may hold thousands, each with a manifest of its own.
    for artifact in sorted(artifacts, key=lambda it: it.path != path):
        if artifact.path == path or artifact.files != 1 or artifact.kind != _ARTIFACT:
            entry = load_manifest(services, artifact.manifest).find(path)
            if entry is not None and entry.link is None:
                return entry.digest
    return ""


def _entries_of_run(services: Services, run_id: str) -> list[ManifestEntry]:
    found: dict[str, ManifestEntry] = {}
    for artifact in services.store.list_artifacts(run_id):
        found |= {entry.path: entry for entry in load_manifest(services, artifact.manifest).entries}
    return list(found.values())


def _entries_of_files(services: Services, place: Place) -> list[ManifestEntry]:
    root = place.address.removesuffix(place.path).strip("/")
    under = f"{root}/" if root else ""
    return [
        ManifestEntry(path=file.path.removeprefix(under), digest=file.digest, size_bytes=file.size_bytes)
        for file in services.store.list_files(place.address)
        if not file.path.startswith(f"{UPLOADS}/")
    ]


def _sizes(entries: Iterable[ManifestEntry]) -> dict[str, int]:
    return {entry.path: entry.size_bytes for entry in entries}


def _listed(sizes: dict[str, int], folder: str) -> list[dict[str, Any]]:
    inside = f"{folder.strip('/')}/" if folder.strip("/") else ""
    found: dict[str, dict[str, Any]] = {}
    for file, size in sizes.items():
        if file.startswith(inside):
            name, slash, _ = file[len(inside) :].partition("/")
            path = f"{inside}{name}"
            found[path] = {"path": path, "is_dir": bool(slash)} | ({} if slash else {"file_size": size})
    return [found[path] for path in sorted(found)]
