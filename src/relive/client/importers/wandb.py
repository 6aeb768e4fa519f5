"""Offline runs of W&B: the folders `offline-run-…` and `run-…` below `wandb/`."""

import math
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from relive.capture.hooks.values import flat
from relive.client.importers.foreign import ForeignRun
from relive.client.importers.mlflow_files import UNFINISHED, lay_tree
from relive.core.run import Metric, RunStatus
from relive.errors import NotFound
from relive.formats.wandb_file import WandbRun, read_rows, read_run

# What W&B writes beside what was logged.
_WORDS: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_OWN: Final = ("_step", "_timestamp", "_runtime", "_wandb")


class WandbFolder:
    """The runs below a folder.

    Args:
        folder: `wandb`, or the folder that holds it, or one run's.

    Raises:
        NotFound: There are none.
    """

    def __init__(self, folder: Path) -> None:
        self.name = "wandb"
        self._files = sorted(
            path for path in folder.rglob("*.wandb") if path.is_file() and not path.is_symlink()
        )
        if not self._files:
            raise NotFound(kind="W&B run", name=str(folder), hint="name the folder wandb/ of offline runs")

    def runs(self) -> Iterator[ForeignRun]:
        """Give every run, in the order in which they began."""
        for path in self._files:
            if "latest-run" not in path.parts:
                yield _foreign(path, read_run(path))


def _foreign(path: Path, run: WandbRun) -> ForeignRun:
    rows = [row.at for row in read_rows(path) if row.at is not None]
    files = path.parent / "files"
    output = files / "output.log"
    named = {"wandb.group": run.group, "wandb.job_type": run.job_type, "mlflow.note.content": run.notes}
    status, reason = RunStatus.KILLED, UNFINISHED
    if run.exit_code is not None:
        status, reason = (RunStatus.FAILED if run.exit_code else RunStatus.FINISHED), ""
    return ForeignRun(
        key=run.run_id or path.stem,
        name=run.name or run.run_id,
        experiment=run.project,
        status=status,
        reason=reason,
        started_at=run.started_at,
        ended_at=max(rows, default=run.started_at),
        params=dict(flat(run.config)),
        tags={
            **{name: text for name, text in named.items() if text},
            **dict.fromkeys(run.tags, "true"),
            **{f"summary.{name}": str(value) for name, value in flat(run.summary) if _is_text(value)},
        },
        metrics=partial(_metrics, path, run.started_at or 0.0),
        lay_files=partial(lay_tree, files),
        log=output.read_bytes() if output.is_file() else b"",
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value not in _WORDS


def _metrics(path: Path, began: float) -> Iterator[Metric]:
    samples = 0
    for row in read_rows(path):
        if row.kind == "system":
            yield from _numbers(
                {f"system/{name}": it for name, it in row.values.items()}, samples, row.at or began
            )
            samples += 1
        else:
            logged = {name: it for name, it in row.values.items() if name not in _OWN}
            step = row.values.get("_step", 0)
            yield from _numbers(logged, int(step), row.at or began)


def _numbers(values: Mapping[str, Any], step: int, at: float) -> Iterator[Metric]:
    for name, value in flat(values, separator="/"):
        # Python's JSON has words for what is no number in JSON; every other text is no metric.
        number = _WORDS.get(value) if isinstance(value, str) else value
        if isinstance(number, int | float):
            yield Metric(name[:250], float(number), step, at)
