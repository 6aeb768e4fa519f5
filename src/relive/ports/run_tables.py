"""What a table of runs asks of the store besides the runs themselves."""

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from relive.core.search import Field, Side
from relive.ports.search import Search


class RunGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Runs that have one value in common.

    Attributes:
        value: As text, as people see it; None for those that have none.
        runs: How many.
        measured: How many of them have the metric, as a number.
    """

    value: str | None
    runs: int
    measured: int = 0
    mean: float | None = None
    min: float | None = None
    max: float | None = None


class KeyUse(msgspec.Struct, frozen=True):
    """A key that some of several runs have; `differs` if not all that have it have the same value."""

    key: str
    runs: int
    differs: bool


class RunTableStore(Protocol):
    """Counts, groups and single cells."""

    def count_found(self, search: Search, *, most: int = 10_000) -> int:
        """Count the runs that a search finds, up to `most` + 1."""
        ...

    def group_runs(self, search: Search, by: Field, *, metric: str = "", limit: int = 100) -> list[RunGroup]:
        """Group what a search finds, the largest group first; `metric`'s last values are summed up in each.

        Raises:
            InvalidInput: Runs cannot be grouped by this.
        """
        ...

    def list_key_uses(self, run_ids: Sequence[str], side: Side, *, limit: int = 50) -> list[KeyUse]:
        """Give keys of these runs: first those whose values differ, then those that most of them have."""
        ...

    def list_cells(self, run_ids: Sequence[str], fields: Sequence[Field]) -> dict[tuple[str, Field], Any]:
        """Give single values: a metric's last, a param, a tag; what a run does not have is absent."""
        ...
