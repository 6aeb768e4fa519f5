"""Data in versions: the list of data sets, and one version with its files, tables and lineage."""

from typing import Any, Final

import msgspec

from relive.core.artifact import Manifest
from relive.core.dataset import DatasetVersion
from relive.core.ids import short_id
from relive.core.picking import pick_folder
from relive.services import datasets
from relive.services.context import Services
from relive.wire.datasets import VersionDetail

_MOST_LISTED: Final = 500
_MOST_VERSIONS: Final = 100
_MOST_FILES: Final = 200
_MOST_COLUMNS: Final = 60


class DatasetLine(msgspec.Struct, frozen=True, kw_only=True):
    """A data set and its newest version in one row."""

    name: str
    project: str
    newest: DatasetVersion | None


class RunLink(msgspec.Struct, frozen=True, kw_only=True):
    """A run of the lineage; `path` is where the data lay for it."""

    id: str
    short: str
    name: str
    path: str = ""


class FileLine(msgspec.Struct, frozen=True, kw_only=True):
    """A file or a folder of the one that is shown; `files` is 0 for a file."""

    name: str
    path: str
    size_bytes: int
    files: int = 0
    digest: str = ""
    link: str = ""


class VersionPage(msgspec.Struct, frozen=True, kw_only=True):
    """A version: where it came from, what is in it, and who read it."""

    version: DatasetVersion
    project: str
    versions: tuple[DatasetVersion, ...]
    folder: str
    lines: tuple[FileLine, ...]
    more: int
    tables: tuple[dict[str, Any], ...]
    made_by: RunLink | None
    reads: tuple[RunLink, ...]


def list_datasets(services: Services) -> list[DatasetLine]:
    """Give data sets by name."""
    found = datasets.list_datasets(services, "", limit=_MOST_LISTED)
    return [
        DatasetLine(name=it.dataset.name, project=it.project, newest=next(iter(it.versions), None))
        for it in found
    ]


def get_version(services: Services, name: str, ref: str, *, folder: str = "") -> VersionPage:
    """Give a version, and what lies in one of its folders.

    Raises:
        NotFound: There is no such version, or no such folder in it.
    """
    version = datasets.get_version(services, name, ref)
    detail = datasets.version_detail(services, version)
    manifest = Manifest.from_bytes(services.blobs.read(version.digest))
    lines = _lines(manifest, folder.strip("/"), version.ref)
    dataset = datasets.get_dataset(services, name)
    return VersionPage(
        version=version,
        project=detail.project,
        versions=tuple(services.store.list_dataset_versions(dataset.id, limit=_MOST_VERSIONS)),
        folder=folder.strip("/"),
        lines=tuple(lines[:_MOST_FILES]),
        more=max(0, len(lines) - _MOST_FILES),
        tables=tuple(_shortened(table) for table in version.profile.get("tables", ())),
        made_by=_maker(detail),
        reads=_readers(services, detail),
    )


def _lines(manifest: Manifest, folder: str, what: str) -> list[FileLine]:
    """Give what lies directly in a folder, folders first."""
    prefix = f"{folder}/" if folder else ""
    folders: dict[str, list[int]] = {}
    files: list[FileLine] = []
    for entry in pick_folder(manifest, folder, what):
        name, slash, _ = entry.path[len(prefix) :].partition("/")
        if slash:
            folders.setdefault(name, []).append(entry.size_bytes)
        else:
            files.append(
                FileLine(
                    name=name,
                    path=entry.path,
                    size_bytes=entry.size_bytes,
                    digest=entry.digest,
                    link=entry.link or "",
                )
            )
    rows = (
        FileLine(name=name, path=f"{prefix}{name}", size_bytes=sum(sizes), files=len(sizes))
        for name, sizes in folders.items()
    )
    return [*rows, *files]


def _shortened(table: dict[str, Any]) -> dict[str, Any]:
    return {**table, "columns": table.get("columns", [])[:_MOST_COLUMNS]}


def _maker(detail: VersionDetail) -> RunLink | None:
    run = detail.made_by
    return None if run is None else RunLink(id=run.id, short=short_id(run.id), name=run.name)


def _readers(services: Services, detail: VersionDetail) -> tuple[RunLink, ...]:
    runs = {read.run_id: services.store.find_run(read.run_id) for read in detail.reads}
    return tuple(
        RunLink(id=run.id, short=short_id(run.id), name=run.name, path=read.path)
        for read in detail.reads
        if (run := runs[read.run_id]) is not None
    )
