"""Write runs into a folder that anyone can read, and that `relive import relive` reads back.

    DIR/
      relive-export.json         what this is, and in which version
      runs/ID/run.json           attributes, params, tags, artifacts
      runs/ID/metrics.parquet    key, step, time (seconds since the epoch), value; every point
      runs/ID/artifacts/N-NAME/  the files of the run's artifact N, counted from 0 as `run.json` lists them
      runs/ID/log.txt            what it printed
      runs/ID/recipe.json, trajectory.json    the documents of a replay, if there are any

A run's folder is written beside and then takes its name: what is there is whole, and an export that was cut
off goes on where it stopped.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from relive.core.artifact import Manifest
from relive.core.run import Artifact, Input, Run
from relive.core.series import Points
from relive.core.trajectory import Verdict
from relive.formats.parquet import DOUBLE, INT64, ROWS_A_GROUP, TEXT, ParquetWriter
from relive.wire.hub import RunDetail

FORMAT: Final = "relive.export/1"
COLUMNS: Final = {"key": TEXT, "step": INT64, "time": DOUBLE, "value": DOUBLE}
DOCUMENTS: Final = ("recipe", "trajectory")


class ExportedRun(msgspec.Struct, frozen=True, kw_only=True):
    """What `run.json` says.

    Attributes:
        points: How many rows the metrics have.
    """

    format: str = FORMAT
    project: str
    experiment: str
    run: Run
    params: dict[str, Any] = {}
    tags: dict[str, str] = {}
    artifacts: tuple[Artifact, ...] = ()
    inputs: tuple[Input, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    points: int = 0


class Blobs(Protocol):
    """Where bytes are."""

    def get_bytes(self, digest: str) -> bytes:
        """Give a blob."""

    def materialise(self, manifest: Manifest | str, target: Path) -> Manifest:
        """Lay a tree out."""


class Hub(Protocol):
    """The hub as an export needs it; `client.hub.HubClient` is one."""

    def each_run(self, project: str) -> Iterator[Run]:
        """Give every run of a project."""

    def get_run(self, run_id: str) -> RunDetail:
        """Give a run."""

    def get_points(self, run_id: str, key: str) -> Points:
        """Give a series."""

    def read_log(self, run_id: str) -> Iterator[bytes]:
        """Give what it printed."""

    @property
    def blobs(self) -> Blobs:
        """The blob store."""


def export(
    hub: Hub, run_ids: Iterator[str], target: Path, said: Callable[[ExportedRun], None] = lambda run: None
) -> int:
    """Write runs into a folder; those that are there already are left as they are.

    Args:
        said: Called after each run that was written.

    Returns:
        How many were written.

    Raises:
        HubUnreachable, HubRefused: As the calls have it.
        OSError: The folder cannot be written.
    """
    folder = target / "runs"
    folder.mkdir(parents=True, exist_ok=True)
    (target / "relive-export.json").write_text(f'{{"format": "{FORMAT}"}}\n')
    count = 0
    for run_id in run_ids:
        place = folder / run_id
        if not place.exists():
            said(_export_one(hub, run_id, place))
            count += 1
    return count


def _export_one(hub: Hub, run_id: str, place: Path) -> ExportedRun:
    partial = Path(tempfile.mkdtemp(dir=place.parent, prefix=".partial-"))
    try:
        detail = hub.get_run(run_id)
        exported = ExportedRun(
            project=detail.project,
            experiment=detail.experiment,
            inputs=detail.inputs,
            verdicts=detail.verdicts,
            run=detail.run,
            params=detail.params,
            tags=detail.tags,
            artifacts=detail.artifacts,
            points=_write_metrics(hub, detail, partial / "metrics.parquet"),
        )
        for number, artifact in enumerate(detail.artifacts):
            hub.blobs.materialise(artifact.manifest, partial / folder_of(number, artifact))
        _write_documents(hub, detail.run, partial)
        text = msgspec.json.format(msgspec.json.encode(exported), indent=2)
        (partial / "run.json").write_bytes(text)
        partial.chmod(0o755)
        os.rename(partial, place)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return exported


def folder_of(number: int, artifact: Artifact) -> str:
    """Name the folder of a run's artifact, for people: the number alone tells it apart."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", artifact.path).strip(".-")[:60]
    return f"artifacts/{number}-{name}"


def _write_metrics(hub: Hub, detail: RunDetail, path: Path) -> int:
    count = 0
    with open(path, "wb") as file:
        writer = ParquetWriter(file, COLUMNS)
        for series in detail.metrics:
            points = hub.get_points(detail.run.id, series.key)
            for start in range(0, len(points), ROWS_A_GROUP):
                part = points.part(start, start + ROWS_A_GROUP)
                keys = [series.key] * len(part)
                writer.write({"key": keys, "step": part.steps, "time": part.times, "value": part.values})
                count += len(part)
        writer.close()
    return count


def _write_documents(hub: Hub, run: Run, folder: Path) -> None:
    if run.log_bytes:
        with open(folder / "log.txt", "wb") as file:
            file.writelines(hub.read_log(run.id))
    for name in DOCUMENTS:
        digest = getattr(run, name)
        if digest:
            (folder / f"{name}.json").write_bytes(hub.blobs.get_bytes(digest))
