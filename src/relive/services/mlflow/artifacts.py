"""Files that MLflow's clients store with a run."""

from typing import Any

from relive.core.artifact import Manifest, ManifestEntry
from relive.core.run import Artifact, Run
from relive.errors import InvalidInput
from relive.ports.blobs import BlobInfo
from relive.services.context import Services
from relive.services.inputs import keep_manifest
from relive.services.runs import find_file


def split_artifact_path(path: str) -> tuple[str, str]:
    """Split EXPERIMENT/RUN/artifacts/PATH into the run and the path.

    Raises:
        InvalidInput: It has another form.
    """
    parts = path.strip("/").split("/", 3)
    if len(parts) < 3 or parts[2] != "artifacts":
        raise InvalidInput(field="artifact path", value=path, wanted="EXPERIMENT/RUN/artifacts/PATH")
    return parts[1], parts[3] if len(parts) == 4 else ""


def record_artifact(services: Services, run: Run, path: str, blob: BlobInfo) -> None:
    """Keep one file that a client stored."""
    entry = ManifestEntry(path=path, digest=blob.digest, size_bytes=blob.size_bytes)
    artifact = Artifact(
        run_id=run.id,
        path=path,
        manifest=keep_manifest(services, Manifest((entry,))),
        size_bytes=blob.size_bytes,
        files=1,
        kind="artifact",
    )
    services.store.record_artifact(artifact, fence=run.fence or None)


def list_artifacts(services: Services, run_id: str, folder: str) -> list[dict[str, Any]]:
    """List what lies directly in a folder of a run's artifacts, as MLflow does."""
    inside = f"{folder.strip('/')}/" if folder.strip("/") else ""
    found: dict[str, dict[str, Any]] = {}
    for artifact in services.store.list_artifacts(run_id):
        if artifact.kind != "artifact" or not artifact.path.startswith(inside):
            continue
        name, slash, _ = artifact.path[len(inside) :].partition("/")
        path = f"{inside}{name}"
        found[path] = {"path": path, "is_dir": bool(slash)} | (
            {} if slash else {"file_size": artifact.size_bytes}
        )
    return [found[path] for path in sorted(found)]


def open_artifact(services: Services, run: Run, path: str) -> BlobInfo:
    """Give the blob of a stored file.

    Raises:
        NotFound: There is none.
    """
    return services.blobs.get(find_file(services, run.id, path))
