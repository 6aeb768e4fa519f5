"""A run as another tracker has it, in our words."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import msgspec

from relive.core.run import Metric, RunStatus


def no_metrics() -> Iterator[Metric]:
    """Give no metric."""
    return iter(())


def no_files(folder: Path) -> None:
    """Lay nothing out."""


class Tree(msgspec.Struct, frozen=True):
    """An artifact that lies on the disk already: what is below `root` is its content."""

    path: str
    kind: str
    root: Path


class ForeignRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run.

    Attributes:
        key: Names it within its source, for good: imported again, it is the same run.
        parent: Key of the run that it is a part of, if any.
        started_at, ended_at: Seconds since the epoch, UTC; None if it is not known.
        metrics: Gives every point, in the same order each time; may be called again.
        lay_files: Writes its artifacts into an empty folder; each name at the root is one.
        trees: Artifacts that need not be written.
        log: What it printed; may be empty.
        documents: Blobs of its report: recipe, trajectory.
        recipe_digest: Name of its set of inputs.
        note: What could not be taken over, and why.
    """

    key: str
    name: str = ""
    experiment: str = ""
    status: RunStatus = RunStatus.FINISHED
    reason: str = ""
    started_at: float | None = None
    ended_at: float | None = None
    parent: str = ""
    command: str = ""
    commit: str = ""
    params: dict[str, Any] = {}
    tags: dict[str, str] = {}
    metrics: Callable[[], Iterator[Metric]] = no_metrics
    lay_files: Callable[[Path], None] = no_files
    trees: tuple[Tree, ...] = ()
    log: bytes = b""
    documents: dict[str, bytes] = {}
    recipe_digest: str = ""
    note: str = ""


class Source(Protocol):
    """Where runs come from.

    Attributes:
        name: Of the source, part of the name of each of its runs: an address, or what it holds.
    """

    name: str

    def runs(self) -> Iterator[ForeignRun]:
        """Give every run.

        Raises:
            ReliveError, OSError: It cannot be read; says what.
        """
