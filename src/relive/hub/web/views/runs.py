"""The table of runs: which one is best, and why."""

from collections.abc import Sequence
from urllib.parse import parse_qsl, urlencode

import msgspec

from relive.core.run import Run, RunStatus
from relive.core.saved_view import SavedView
from relive.core.search import Field, Side
from relive.errors import InvalidFilter, InvalidInput
from relive.hub.web.markdown import first_line
from relive.hub.web.marks import RUNS, Mark
from relive.hub.web.views.asked import PAGE, Asked, read_search
from relive.hub.web.views.columns import Cell, Choice, Column, cells_of, choices_of, columns_of, head, uses_on
from relive.hub.web.views.groups import Groups, get_groups
from relive.hub.web.views.verdicts import mark_of, verdicts_of
from relive.hub.web.words import MOST_COUNTED, clip, count
from relive.ports.search import RunPage
from relive.services.context import Services
from relive.services.curating import NOTE

_NOTE = Field(Side.TAG, NOTE)
# Where no run is shown, these tell what could be asked for.
_LOOKED_AT = 20
_DONE = {"tagged": "{} tagged", "deleted": "{} deleted", "restored": "{} restored"}


class RunLine(msgspec.Struct, frozen=True, kw_only=True):
    """A run in one row."""

    id: str
    name: str
    url: str
    mark: Mark
    verdict: Mark
    kind: str
    stage: str
    commit: str
    actor: str
    at: float
    took_s: float | None
    reason: str


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the table; `note` is the first line of what people wrote about it."""

    line: RunLine
    cells: tuple[Cell, ...]
    note: str
    ticked: bool


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with the filter; `before`, `wrong`, `after` are its parts, empty if no place is known."""

    sentence: str
    before: str = ""
    wrong: str = ""
    after: str = ""


class RunsPage(msgspec.Struct, frozen=True, kw_only=True):
    """The table.

    Attributes:
        total: How many runs match; None where only their beginning was read.
        all_runs: How many the project has, counted up to `words.MOST_COUNTED`.
        first: Number of the first row, from 1.
        next: Where the next page begins; empty if this is the last.
        heads: The fixed columns' sort links.
        views: What was saved; `view` the one that is open, if it is.
        is_changed: Whether the open one has been changed since it was opened.
        others: Ticked runs that are not on this page.
        newest: When the newest run of the project was made, for asking what came since.
        done: What was just done.
    """

    project: str
    asked: Asked
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    choices: tuple[Choice, ...]
    heads: dict[str, Column]
    total: int | None
    all_runs: int
    first: int
    next: str
    problem: Problem | None
    groups: Groups | None
    views: tuple[SavedView, ...]
    view: SavedView | None
    is_changed: bool
    others: tuple[str, ...]
    newest: float
    done: str
    git_url: str


def get_runs(services: Services, project_name: str, asked: Asked) -> RunsPage:
    """Give one page of the table, or the groups of what it would show.

    Raises:
        NotFound: There is no such project.
    """
    store = services.store
    project = store.get_project(project_name)
    found, problem = _search(services, project.id, asked)
    runs, ids = found.runs, [run.id for run in found.runs]
    newest = store.list_runs(project_id=project.id, limit=_LOOKED_AT)
    uses = uses_on(services, ids or [run.id for run in newest])
    columns = columns_of(asked, uses)
    fields = [field for field, _ in columns]
    all_runs = store.count_runs(project_id=project.id, most=MOST_COUNTED)
    views = store.list_views(project.id)
    view = next((it for it in views if it.name == asked.view), None)
    return RunsPage(
        project=project.name,
        asked=asked,
        columns=tuple(column for _, column in columns),
        rows=_rows(services, asked, runs, fields),
        choices=choices_of(services, project.id, asked, fields, uses),
        heads={name: head(name, name, "run", asked.sort) for name in ("name", "status", "created_at")},
        total=_total(asked, all_runs, found),
        all_runs=all_runs,
        first=asked.n + 1,
        next=found.next,
        problem=problem,
        groups=_groups(services, project.id, asked) if not problem else None,
        views=tuple(views),
        view=view,
        is_changed=view is not None and view.query != saved_query(asked),
        others=tuple(run_id for run_id in asked.sel if run_id not in ids),
        newest=newest[0].created_at if newest else 0.0,
        done=_done(asked.did),
        git_url=f"{services.place.public_url}/git/{project.name}.git",
    )


def count_found(services: Services, project_name: str, asked: Asked) -> str:
    """Say how many runs match; of very many only that they are.

    Raises:
        NotFound: There is no such project.
        InvalidInput: The filter cannot be read.
    """
    project = services.store.get_project(project_name)
    found = services.store.count_found(read_search(asked, project.id), most=MOST_COUNTED)
    return f"more than {MOST_COUNTED:,} runs" if found > MOST_COUNTED else count(found, "run")


def count_new(services: Services, project_name: str, since: float) -> int:
    """Tell how many runs were made since a moment, at most a page of them."""
    project = services.store.get_project(project_name)
    newest = services.store.list_runs(project_id=project.id, limit=PAGE)
    return sum(run.created_at > since for run in newest)


def saved_query(asked: Asked) -> str:
    """Write what a view keeps of an address: not what is ticked, nor the page."""
    kept = asked.fresh(sel=(), view="")
    return urlencode(sorted(kept.items()))


def opened_query(view: SavedView) -> dict[str, str]:
    """Read what a view keeps."""
    return dict(parse_qsl(view.query)) | {"view": view.name}


def run_lines(services: Services, runs: Sequence[Run]) -> tuple[RunLine, ...]:
    """Give runs as rows."""
    verdicts, now = verdicts_of(services, runs), services.store.now()
    return tuple(_line(run, mark_of(verdicts[run.id]), now) for run in runs)


def _line(run: Run, verdict: Mark, now: float) -> RunLine:
    end = run.ended_at or (now if run.status is RunStatus.RUNNING else None)
    return RunLine(
        id=run.id,
        name=run.name,
        url=f"/r/{run.id}",
        mark=RUNS[run.status],
        verdict=verdict,
        kind=run.kind.value,
        stage=run.stage,
        commit=run.commit,
        actor=run.actor,
        at=run.created_at,
        took_s=None if end is None or run.started_at is None else max(0.0, end - run.started_at),
        reason=run.reason.splitlines()[0] if run.reason else "",
    )


def _search(services: Services, project_id: str, asked: Asked) -> tuple[RunPage, Problem | None]:
    try:
        search = read_search(asked, project_id)
    except InvalidInput as error:
        return RunPage(()), _problem(error)
    if asked.group:
        return RunPage(()), None
    try:
        return services.store.search_runs(search), None
    except InvalidInput as error:
        if not asked.after:
            return RunPage(()), _problem(error)
        # A link to a page of another order shows the first of this one.
        return services.store.search_runs(msgspec.structs.replace(search, after="")), None


def _problem(error: InvalidInput) -> Problem:
    if not isinstance(error, InvalidFilter):
        return Problem(sentence=f"{error.what()} Expected: {error.wanted}.")
    text, at = str(error.value), min(error.at, len(str(error.value)))
    end = next((place for place in range(at + 1, len(text)) if text[place].isspace()), len(text))
    return Problem(sentence=error.sentence, before=text[:at], wrong=text[at:end] or "…", after=text[end:])


def _groups(services: Services, project_id: str, asked: Asked) -> Groups | None:
    return get_groups(services, read_search(asked, project_id), asked) if asked.group else None


def _rows(services: Services, asked: Asked, runs: Sequence[Run], fields: Sequence[Field]) -> tuple[Row, ...]:
    store = services.store
    cells = store.list_cells([run.id for run in runs], [*fields, _NOTE])
    names = {}
    if Field(Side.ATTRIBUTE, "experiment") in fields and runs:
        names = {it.id: it.name for it in store.list_experiments(runs[0].project_id)}
    return tuple(
        Row(
            line=line,
            cells=cells_of(run, fields, cells, names),
            note=clip(first_line(cells.get((run.id, _NOTE), "")), 60),
            ticked=run.id in asked.sel,
        )
        for run, line in zip(runs, run_lines(services, runs), strict=True)
    )


def _total(asked: Asked, all_runs: int, found: RunPage) -> int | None:
    """Tell how many runs match, where that is known without counting them."""
    if not (asked.q or asked.of or asked.deleted):
        return all_runs if all_runs <= MOST_COUNTED else None
    return None if found.next else asked.n + len(found.runs)


def _done(did: str) -> str:
    what, _, number = did.partition(":")
    return _DONE[what].format(count(int(number), "run")) if what in _DONE and number.isdigit() else ""
