"""Send runs from elsewhere to the hub: once, however often and from wherever it was cut off.

A run's id in the hub is made of its key, a batch is named by the points it holds, and the hub takes two equal
points for one. So to import again adds what is new and changes nothing else.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import msgspec

from relive.client.importers.foreign import ForeignRun, Source
from relive.client.shipping import RunReports
from relive.core.artifact import Manifest
from relive.core.run import Artifact, Metric, RunKind
from relive.formats.manifest_io import list_tree, read_manifest
from relive.wire.hub import RunDetail
from relive.wire.jobs import StageReport
from relive.wire.runs import CreatedRun, CreateRun

POINTS_A_BATCH: Final = 20_000
# Where a run came from; also what a second import knows it by.
SOURCE_TAG: Final = "relive.source"
PARENT_TAG: Final = "mlflow.parentRunId"

T = TypeVar("T")


class Blobs(Protocol):
    """Where bytes are kept."""

    def put_bytes(self, data: bytes) -> str:
        """Keep bytes; gives their digest."""

    def put_tree(self, root: Path, manifest: Manifest) -> str:
        """Keep files, and the manifest that names them; gives its digest."""


class Hub(Protocol):
    """The hub as an import needs it; `client.hub.HubClient` is one."""

    def create_run(self, request: CreateRun) -> CreatedRun:
        """Make a run, or give the one that has its key."""

    def get_run(self, run_id: str) -> RunDetail:
        """Give a run and what it recorded."""

    def run(self, run_id: str) -> RunReports:
        """Speak for a run."""

    def set_tags(self, run_id: str, tags: dict[str, str]) -> None:
        """Set tags of a run."""

    @property
    def blobs(self) -> Blobs:
        """The hub's blob store."""


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one run.

    Attributes:
        sent: Points that the source has.
        repeated: Those among them that are equal to another in name, step, time and value: one at the hub.
        stored: Points that the hub has now.
    """

    key: str
    run_id: str
    name: str
    sent: int
    stored: int
    repeated: int = 0
    artifacts: int = 0
    size_bytes: int = 0
    note: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether the hub has everything that the source has."""
        return self.stored >= self.sent - self.repeated


def receive(
    hub: Hub, source: Source, project: str, *, said: Callable[[Received], None] = lambda received: None
) -> list[Received]:
    """Send every run of a source.

    Args:
        said: Called after each run.

    Raises:
        HubUnreachable, HubRefused: What was sent is kept; begin again.
        ReliveError, OSError: The source cannot be read.
    """
    found: dict[str, Received] = {}
    parents: dict[str, str] = {}
    for run in source.runs():
        received = found[run.key] = _receive_one(hub, source.name, project, run)
        if run.parent:
            parents[run.key] = run.parent
        said(received)
    for key, parent in parents.items():
        if parent in found:
            hub.set_tags(found[key].run_id, {PARENT_TAG: found[parent].run_id})
    return list(found.values())


def _receive_one(hub: Hub, source: str, project: str, run: ForeignRun) -> Received:
    created = hub.create_run(
        CreateRun(
            project=project,
            experiment=run.experiment,
            name=run.name,
            kind=RunKind.CLIENT,
            command=run.command,
            commit=run.commit,
            key=f"{source}#{run.key}",
            started_at=run.started_at,
        )
    )
    before = hub.get_run(created.run_id).run
    if before.status.is_final and before.status is not run.status:
        # It went on at its source since it was imported.
        hub.create_run(CreateRun(project=project, resume=created.run_id))
    reports = hub.run(created.run_id)
    reports.records("import", (), run.params, {SOURCE_TAG: f"{source}#{run.key}", **run.tags})
    sent = 0
    for batch in _batches(run.metrics(), POINTS_A_BATCH):
        reports.records(f"import:{sent}:{len(batch)}", tuple(batch))
        sent += len(batch)
    artifacts = _finish(hub, reports, created.run_id, run)
    stored = sum(series.count for series in hub.get_run(created.run_id).metrics)
    return Received(
        key=run.key,
        run_id=created.run_id,
        name=created.name,
        sent=sent,
        stored=stored,
        repeated=0 if stored == sent else _repeated(run.metrics()),
        artifacts=len(artifacts),
        size_bytes=sum(it.size_bytes for it in artifacts),
        note=run.note,
    )


def _finish(hub: Hub, reports: RunReports, run_id: str, run: ForeignRun) -> list[Artifact]:
    with tempfile.TemporaryDirectory(prefix="relive-import-") as folder:
        run.lay_files(Path(folder))
        artifacts = [_upload(hub, run_id, Path(folder), name) for name in sorted(os.listdir(folder))]
    for tree in run.trees:
        kept = _keep(hub, run_id, tree.path, tree.root)
        artifacts.append(msgspec.structs.replace(kept, kind=tree.kind))
    documents: dict[str, Any] = {name: hub.blobs.put_bytes(data) for name, data in run.documents.items()}
    if run.log:
        documents |= {"log": hub.blobs.put_bytes(run.log), "log_bytes": len(run.log)}
    report = StageReport(
        fence=0,
        status=run.status,
        reason=run.reason,
        ended_at=run.ended_at,
        artifacts=tuple(artifacts),
        recipe_digest=run.recipe_digest,
        **documents,
    )
    reports.finish(report)
    return artifacts


def _upload(hub: Hub, run_id: str, root: Path, name: str) -> Artifact:
    folder = root / name
    return _keep(hub, run_id, name, folder) if folder.is_dir() else _keep(hub, run_id, name, root, name)


def _keep(hub: Hub, run_id: str, path: str, root: Path, start: str = "") -> Artifact:
    manifest = read_manifest(root, sorted(list_tree(root, start)))
    return Artifact(
        run_id=run_id,
        path=path,
        manifest=hub.blobs.put_tree(root, manifest),
        size_bytes=manifest.size_bytes,
        files=manifest.n_files,
        kind="artifact",
    )


def _repeated(metrics: Iterator[Metric]) -> int:
    """Count points that are equal to one before them; NaN is equal to NaN here."""
    seen: set[tuple[Any, ...]] = set()
    count = 0
    for count, it in enumerate(metrics, 1):  # noqa: B007  (the last one is the count)
        seen.add((it.key, it.step, it.at, "nan" if it.value != it.value else it.value))
    return count - len(seen)


def _batches(items: Iterator[T], size: int) -> Iterator[list[T]]:
    while batch := list(islice(items, size)):
        yield batch
