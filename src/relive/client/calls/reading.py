"""The calls that read runs, and those that judge them."""

from collections.abc import Iterator
from typing import TypedDict, Unpack

import msgspec

from relive.client.calls.base import Calls
from relive.client.transport import path_of
from relive.core.recipe import Recipe
from relive.core.run import Metric, Run
from relive.core.series import Points, join
from relive.core.trajectory import Verdict
from relive.errors import NotFound
from relive.formats.series import from_plain
from relive.wire.hub import RunDetail, SetTags
from relive.wire.runs import PlacedReplay, PlacedWhy, SeriesPage


class RunNarrowing(TypedDict, total=False):
    """What narrows a list of runs besides a filter.

    `text` is beginnings of words of a run's name, stage, commit or id; `offset` leaves out so many.
    """

    status: str
    text: str
    offset: int


class RunReadingCalls(Calls):
    """Calls that read runs; a run is named by its id or an unambiguous beginning of it."""

    def list_runs(
        self,
        *,
        project: str = "",
        filter: str = "",  # noqa: A002 - the word that the command line and the API have for it
        order: str = "",
        limit: int = 50,
        **narrow: Unpack[RunNarrowing],
    ) -> list[Run]:
        """List runs that fit a filter, in an order; see the reference, Search.

        Raises:
            HubRefused: The filter or the order cannot be read; its facts say at which character.
        """
        query = {"project": project or None, "filter": filter or None, "order": order or None}
        words = {name: value or None for name, value in narrow.items()}
        return self.transport.get(path_of("runs"), list[Run], query | words | {"limit": limit})

    def get_run(self, run_id: str) -> RunDetail:
        """Give a run and what it recorded."""
        return self.transport.get(path_of("runs", run_id), RunDetail)

    def get_series(self, run_id: str, key: str, *, max_points: int = 0) -> list[Metric]:
        """Give a metric's series."""
        query = {"key": key, "max_points": max_points or None}
        return self.transport.get(path_of("runs", run_id, "metrics"), list[Metric], query)

    def get_points(self, run_id: str, key: str, *, max_points: int = 0) -> Points:
        """Give a metric's series as columns, whole or reduced: a million points in a fraction of a second."""
        path = path_of("runs", run_id, "metrics", key)
        page = self.transport.get(path, SeriesPage, {"max_points": max_points or None})
        found = [_points_of(page)]
        while page.following is not None:
            page = self.transport.get(path, SeriesPage, {"start": page.following})
            found.append(_points_of(page))
        return found[0] if len(found) == 1 else join(found)

    def read_log(self, run_id: str, *, start: int = 0) -> Iterator[bytes]:
        """Give a run's log from a byte on, as far as the hub has it."""
        yield from self.transport.stream(f"{path_of('runs', run_id, 'log')}?start={start}")

    def get_recipe(self, run_id: str) -> Recipe:
        """Give the document of all inputs.

        Raises:
            NotFound: The run has not ended.
        """
        data = b"".join(self.transport.stream(path_of("runs", run_id, "recipe")))
        recipe = msgspec.json.decode(data, type=Recipe | None)
        if recipe is None:
            raise NotFound(kind="recipe of run", name=run_id, hint="a recipe is closed when its run ends")
        return recipe

    def cancel_run(self, run_id: str) -> Run:
        """Ask a run to end."""
        return self.transport.post(path_of("runs", run_id, "cancel"), None, Run)

    def set_tags(self, run_id: str, tags: dict[str, str]) -> None:
        """Set tags of a run."""
        self.transport.post(path_of("runs", run_id, "tags"), SetTags(tags=tags), type(None), repeatable=True)

    def place_replay(self, run_id: str, request: PlacedReplay) -> Run:
        """Queue a replay on a pool, and give the run that it will be."""
        return self.transport.post(path_of("runs", run_id, "replay"), request, Run)

    def place_why(self, run_id: str, request: PlacedWhy) -> Run:
        """Ask on a pool why another run came out differently, and give the run that will hold the answer."""
        return self.transport.post(path_of("runs", run_id, "why"), request, Run)

    def record_verdict(self, verdict: Verdict) -> Verdict:
        """Keep what a replay showed."""
        return self.transport.post(path_of("runs", verdict.run_id, "verdicts"), verdict, Verdict)


def _points_of(page: SeriesPage) -> Points:
    return from_plain(steps=page.steps, times=page.times, values=page.values)
