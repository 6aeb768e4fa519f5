"""What services ask of the search for runs and experiments; its promises are those of `ports.stores`."""

from enum import StrEnum
from typing import Final, Protocol

import msgspec

from relive.core.project import Experiment
from relive.core.run import Run
from relive.core.search import Condition, Order

PAGE_TOKEN: Final = "page token"
"""The field that `InvalidInput` names if a search cannot go on behind `after`."""


class View(StrEnum):
    """Which lifecycles are looked at."""

    ACTIVE = "active"
    DELETED = "deleted"
    ALL = "all"


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """What is searched for.

    Attributes:
        condition: See `core.search`; None for everything.
        orders: What to sort by. What has no value follows what has one, NaN between them; what is equal in
            all of them is sorted by id.
        project_id: Only of this project; empty for all.
        experiment_ids: Only runs of these; None for all.
        text: Only runs with these beginnings of words; see `stores.RunFilter`.
        after: Where the page before ended, as it said; empty for the first page.
    """

    condition: Condition | None = None
    orders: tuple[Order, ...] = ()
    project_id: str = ""
    experiment_ids: tuple[str, ...] | None = None
    text: str = ""
    view: View = View.ACTIVE
    limit: int = 100
    after: str = ""


class RunPage(msgspec.Struct, frozen=True):
    """Some runs; `next` continues behind them, empty at the end."""

    runs: tuple[Run, ...]
    next: str = ""


class ExperimentPage(msgspec.Struct, frozen=True):
    """Some experiments; `next` continues behind them, empty at the end."""

    experiments: tuple[Experiment, ...]
    next: str = ""


class SearchStore(Protocol):
    """Search by conditions, in any order.

    A page costs what the first costs, however far behind it is: it begins after a place in the order, not
    after a number of rows. So what comes and goes between two pages moves none of the others.
    """

    def search_runs(self, search: Search) -> RunPage:
        """Give a page of runs; raises `InvalidInput` for an `after` that is none, or of another order."""
        ...

    def search_experiments(self, search: Search) -> ExperimentPage:
        """Give a page of experiments; raises as `search_runs`."""
        ...
