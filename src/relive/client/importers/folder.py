"""What `relive export` wrote, read back without loss."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec

from relive.client.exporting import DOCUMENTS, FORMAT, ExportedRun, folder_of
from relive.client.importers.foreign import ForeignRun, Tree
from relive.client.importers.receive import PARENT_TAG
from relive.core.run import Metric, RunStatus
from relive.errors import InvalidInput, NotFound
from relive.formats.parquet import read_parquet


class ExportedFolder:
    """The runs of an export.

    Args:
        folder: What `relive export` was given.

    Raises:
        NotFound: It is no export.
    """

    def __init__(self, folder: Path) -> None:
        self.name = "relive"
        self._runs = folder / "runs"
        if not (folder / "relive-export.json").is_file():
            raise NotFound(kind="export", name=str(folder), hint="name the folder that `relive export` wrote")

    def runs(self) -> Iterator[ForeignRun]:
        """Give every run, oldest first."""
        found = [(_read(path), path.parent) for path in self._runs.glob("*/run.json")]
        for exported, folder in sorted(found, key=lambda it: (it[0].run.created_at, it[0].run.id)):
            yield _foreign(exported, folder)


def _read(path: Path) -> ExportedRun:
    try:
        exported = msgspec.json.decode(path.read_bytes(), type=ExportedRun)
    except msgspec.MsgspecError as error:
        raise InvalidInput(field="file", value=str(path), wanted=f"a run ({error})") from error
    if exported.format != FORMAT:
        raise InvalidInput(field=f"format of {path}", value=exported.format, wanted=FORMAT)
    return exported


def _foreign(exported: ExportedRun, folder: Path) -> ForeignRun:
    run = exported.run
    is_over = run.status.is_final
    return ForeignRun(
        key=run.id,
        name=run.name,
        experiment=exported.experiment,
        status=run.status if is_over else RunStatus.KILLED,
        reason=run.reason if is_over else "It had not ended when it was exported.",
        started_at=run.started_at,
        ended_at=run.ended_at,
        parent=exported.tags.get(PARENT_TAG, ""),
        command=run.command,
        commit=run.commit,
        params=exported.params,
        tags=exported.tags,
        metrics=partial(_metrics, folder / "metrics.parquet"),
        trees=tuple(
            Tree(it.path, it.kind, folder / folder_of(number, it))
            for number, it in enumerate(exported.artifacts)
        ),
        log=_bytes(folder / "log.txt"),
        documents={name: data for name in DOCUMENTS if (data := _bytes(folder / f"{name}.json"))},
        recipe_digest=run.recipe_digest,
    )


def _metrics(path: Path) -> Iterator[Metric]:
    for table in read_parquet(path):
        for row in zip(table["key"], table["value"], table["step"], table["time"], strict=True):
            yield Metric(*row)


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""
