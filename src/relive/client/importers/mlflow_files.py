"""MLflow's folder `mlruns`, and its SQLite file, read as they lie on the disk."""

import math
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import yaml

from relive.client.importers.foreign import ForeignRun, no_files
from relive.core.run import Metric, RunStatus
from relive.errors import InvalidInput, NotFound

UNFINISHED: Final = "It had not ended when it was imported."
PARENT: Final = "mlflow.parentRunId"
# As `meta.yaml` numbers them.
_WORDS: Final = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
_STATUSES: Final = {
    "FINISHED": RunStatus.FINISHED,
    "FAILED": RunStatus.FAILED,
    "KILLED": RunStatus.KILLED,
}
_DATABASES: Final = ("mlflow.db", "mlruns.db")


def status_of(word: Any) -> tuple[RunStatus, str]:
    """Give the status of MLflow's word or number, and why if it is not its own."""
    status = _STATUSES.get(str(_WORDS.get(word, word)))
    return (status, "") if status is not None else (RunStatus.KILLED, UNFINISHED)


def seconds(milliseconds: Any) -> float | None:
    """Give seconds of MLflow's milliseconds; None where it has none."""
    return int(milliseconds) / 1000 if milliseconds not in (None, "", 0, "0") else None


def open_files(path: Path) -> "MlflowFolder | MlflowDatabase":
    """Give the runs that lie in a folder `mlruns`, beside one, or in an SQLite file.

    Raises:
        NotFound: There are none.
    """
    candidates = [path] if path.is_file() else [path / name for name in _DATABASES]
    for database in candidates:
        if database.is_file():
            return MlflowDatabase(database)
    for folder in (path, path / "mlruns"):
        if any(folder.glob("*/meta.yaml")):
            return MlflowFolder(folder)
    raise NotFound(kind="MLflow data", name=str(path), hint="name a folder mlruns, or the file mlflow.db")


class MlflowFolder:
    """The runs of a folder `mlruns`; deleted ones are left out.

    Args:
        folder: It holds a folder for each experiment.
    """

    def __init__(self, folder: Path) -> None:
        self.name = "mlflow"
        self._folder = folder

    def runs(self) -> Iterator[ForeignRun]:
        """Give every run, by experiment."""
        for meta in sorted(self._folder.glob("*/meta.yaml")):
            experiment = _read_meta(meta)
            if experiment.get("lifecycle_stage", "active") != "active":
                continue
            for run in sorted(meta.parent.glob("*/meta.yaml")):
                facts = _read_meta(run)
                key = str(facts.get("run_id") or facts.get("run_uuid") or "")
                if key and facts.get("lifecycle_stage", "active") == "active":
                    yield self._run(key, run.parent, facts, str(experiment.get("name", "")))

    def _run(self, key: str, folder: Path, facts: dict[str, Any], experiment: str) -> ForeignRun:
        status, reason = status_of(facts.get("status"))
        tags = _read_texts(folder / "tags")
        artifacts = local_folder(str(facts.get("artifact_uri", "")))
        if artifacts is None or not artifacts.is_dir():
            artifacts = folder / "artifacts"  # the address may name the machine on which it was made
        return ForeignRun(
            key=key,
            name=str(facts.get("run_name") or tags.get("mlflow.runName", "")),
            experiment=experiment,
            status=status,
            reason=reason,
            started_at=seconds(facts.get("start_time")),
            ended_at=seconds(facts.get("end_time")),
            parent=tags.get(PARENT, ""),
            command=tags.get("mlflow.source.name", ""),
            commit=tags.get("mlflow.source.git.commit", ""),
            params=dict(_read_texts(folder / "params")),
            tags=tags,
            metrics=partial(_read_metrics, folder / "metrics"),
            lay_files=partial(lay_tree, artifacts),
        )


class MlflowDatabase:
    """The runs of MLflow's SQLite file; deleted ones are left out.

    Args:
        path: The file; it is only read.
    """

    def __init__(self, path: Path) -> None:
        self.name = "mlflow"
        self._path = path

    def runs(self) -> Iterator[ForeignRun]:
        """Give every run, by experiment."""
        query = (
            "SELECT r.*, e.name AS experiment FROM runs r JOIN experiments e USING (experiment_id)"
            " WHERE r.lifecycle_stage = 'active' AND e.lifecycle_stage = 'active'"
            " ORDER BY experiment_id, start_time, run_uuid"
        )
        for row in self._rows(query):
            yield self._run(row)

    def _run(self, row: dict[str, Any]) -> ForeignRun:
        key = row["run_uuid"]
        status, reason = status_of(row["status"])
        tags = self._texts("tags", key)
        uri = row["artifact_uri"] or ""
        artifacts = local_folder(uri, self._path.parent)
        return ForeignRun(
            key=key,
            name=row["name"] or tags.get("mlflow.runName", ""),
            experiment=row["experiment"],
            status=status,
            reason=reason,
            started_at=seconds(row["start_time"]),
            ended_at=seconds(row["end_time"]),
            parent=tags.get(PARENT, ""),
            command=tags.get("mlflow.source.name", ""),
            commit=tags.get("mlflow.source.git.commit", ""),
            params=dict(self._texts("params", key)),
            tags=tags,
            metrics=partial(self._metrics, key),
            lay_files=partial(lay_tree, artifacts) if artifacts else no_files,
            note="" if artifacts else f"its artifacts lie at {uri}, which is not on this machine",
        )

    def _metrics(self, key: str) -> Iterator[Metric]:
        query = "SELECT * FROM metrics WHERE run_uuid = ? ORDER BY key, timestamp, step, value"
        for row in self._rows(query, key):
            value = math.nan if row["is_nan"] else row["value"]
            yield Metric(row["key"], value, row["step"], row["timestamp"] / 1000)

    def _texts(self, table: str, key: str) -> dict[str, str]:
        rows = self._rows(f"SELECT key, value FROM {table} WHERE run_uuid = ? ORDER BY key", key)  # noqa: S608
        return {row["key"]: row["value"] or "" for row in rows}

    def _rows(self, query: str, *values: Any) -> Iterator[dict[str, Any]]:
        try:
            address = f"{self._path.absolute().as_uri()}?mode=ro"
            with closing(sqlite3.connect(address, uri=True)) as connection:
                connection.row_factory = sqlite3.Row
                for row in connection.execute(query, values):
                    yield dict(row)
        except sqlite3.Error as error:
            raise InvalidInput(
                field="database", value=str(self._path), wanted=f"MLflow's tables ({error})"
            ) from error


def local_folder(uri: str, beside: Path | None = None) -> Path | None:
    """Give the folder of an artifact address; None if it is not on this machine.

    Args:
        beside: Where MLflow's server ran; what went through it lies in `mlartifacts` there, if it was
            not told otherwise.
    """
    parts = urlsplit(uri)
    if parts.scheme == "mlflow-artifacts" and beside is not None:
        served = beside / "mlartifacts" / unquote(parts.path).lstrip("/")
        return served if (beside / "mlartifacts").is_dir() else None
    if parts.scheme not in ("", "file") or not parts.path:
        return None
    return Path(unquote(parts.path) if parts.scheme else uri)


def lay_tree(source: Path, folder: Path) -> None:
    """Lay a folder's files out in another: links to the same bytes where the disk can, else copies."""
    if source.is_dir():
        shutil.copytree(source, folder, dirs_exist_ok=True, copy_function=_link)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _read_meta(path: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidInput(field="file", value=str(path), wanted=f"MLflow's YAML ({error})") from error
    return found if isinstance(found, dict) else {}


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Give the files below a folder by their names, in which a slash is a folder."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.relative_to(folder).as_posix(), path


def _read_texts(folder: Path) -> dict[str, str]:
    return {name: path.read_text(errors="replace") for name, path in _files(folder)}


def _read_metrics(folder: Path) -> Iterator[Metric]:
    for name, path in _files(folder):
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                fields = line.split()
                try:
                    step = int(fields[2]) if len(fields) > 2 else 0
                    yield Metric(name, float(fields[1]), step, int(fields[0]) / 1000)
                except (ValueError, IndexError) as error:
                    where, wanted = f"{path}, line {number}", "a time, a value and a step"
                    raise InvalidInput(field=where, value=line.strip(), wanted=wanted) from error
