"""The table of runs: which one is best, and why.

All of its state is in the address: what it narrows by, its order, its columns, its page and what is ticked.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from relive.core.run import MetricSummary, Run, RunKind, RunStatus
from relive.errors import InvalidInput
from relive.hub.web.marks import RUNS, Mark
from relive.hub.web.views.verdicts import mark_of, verdicts_on
from relive.hub.web.words import exact, number
from relive.ports.stores import RunFilter
from relive.services.context import Services

PAGE = 50
_DEFAULT_METRICS, _DEFAULT_PARAMS = 3, 4
_MOST_COLUMNS = 24
# What a run itself can be ordered by, as the store names it.
_ORDERS = ("name", "status", "kind", "created_at", "started_at", "ended_at")
_STATUSES = tuple(status.value for status in RunStatus)
_KINDS = tuple(kind.value for kind in RunKind)


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


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The state in the address.

    Attributes:
        q: Words, and `status:failed`, `kind:stage`, `stage:train`.
        sort: Attribute or "metrics.KEY", "-" before it for descending.
        cols: Columns asked for: "metrics.KEY" and "params.KEY"; empty for those that say most.
        sel: Runs that are ticked.
        page: From 1.
    """

    q: str = ""
    sort: str = "-created_at"
    cols: tuple[str, ...] = ()
    sel: tuple[str, ...] = ()
    page: int = 1

    def query(self, **changes: Any) -> dict[str, Any]:
        """Give the state as a query, with some of it changed; defaults are left out."""
        state = {key: getattr(self, key) for key in self.__struct_fields__} | changes
        default = {"sort": "-created_at", "page": 1}
        return {
            key: ",".join(value) if isinstance(value, tuple) else value
            for key, value in state.items()
            if value and value != default.get(key)
        }


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A column of values.

    Attributes:
        sort: Order that a click on its head asks for; empty if it cannot be sorted by.
        sorted: "ascending", "descending" or "".
    """

    id: str
    name: str
    kind: str
    sort: str
    sorted: str


class Cell(msgspec.Struct, frozen=True):
    """A value: shortly, exactly, and whether it is a number."""

    text: str
    exact: str
    numeric: bool


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the table."""

    line: RunLine
    cells: tuple[Cell, ...]
    ticked: bool


class Choice(msgspec.Struct, frozen=True):
    """A column that could be shown."""

    id: str
    name: str
    kind: str
    shown: bool


class RunsPage(msgspec.Struct, frozen=True, kw_only=True):
    """The table.

    Attributes:
        total: How many runs match; None where only their beginning was read.
        first: Number of the first row, from 1.
        heads: The fixed columns' sort links: column to (order, "ascending" or so).
        problem: What was wrong with the filter, else empty.
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
    has_next: bool
    problem: str
    git_url: str


def read_asked(query: Mapping[str, str]) -> Asked:
    """Read the state from an address; what makes no sense is left out."""
    page = query.get("page", "1")
    return Asked(
        q=query.get("q", "").strip()[:300],
        sort=query.get("sort", "")[:300] or "-created_at",
        cols=_names(query.get("cols", ""))[:_MOST_COLUMNS],
        sel=_names(query.get("sel", ""))[:50],
        page=max(1, int(page)) if page.isdigit() and len(page) < 7 else 1,
    )


def read_filter(text: str) -> RunFilter:
    """Read the filter box: `status:failed kind:stage stage:train`, everything else is words.

    Raises:
        InvalidInput: A known word has a value it cannot have.
    """
    found: RunFilter = {}
    words = []
    for part in text.split():
        key, colon, value = part.partition(":")
        if colon and key == "status":
            found["status"] = _one_of(key, value, _STATUSES)
        elif colon and key == "kind":
            found["kind"] = _one_of(key, value, _KINDS)
        else:
            words.append(value if colon and key in ("stage", "commit", "name") else part)
    if words:
        found["text"] = " ".join(words)
    return found


def get_runs(services: Services, project_name: str, asked: Asked) -> RunsPage:
    """Give one page of the table.

    Raises:
        NotFound: There is no such project.
    """
    store = services.store
    project = store.get_project(project_name)
    problem = ""
    try:
        narrow = read_filter(asked.q)
    except InvalidInput as error:
        narrow, problem = {}, f"{error.what()} Expected: {error.wanted}."
    order = asked.sort if _is_order(asked.sort) else "-created_at"
    offset = (asked.page - 1) * PAGE
    found: list[Run] = []
    if not problem:
        here: RunFilter = {**narrow, "project_id": project.id}
        found = store.list_runs(order=order, limit=PAGE + 1, offset=offset, **here)
    runs = found[:PAGE]
    ids = [run.id for run in runs]
    metrics, params = store.list_metrics(ids), store.list_params(ids)
    all_runs = store.count_runs(project_id=project.id)
    columns = _columns(asked, metrics, params)
    return RunsPage(
        project=project.name,
        asked=asked,
        columns=columns,
        rows=_rows(services, asked, runs, columns, metrics, params),
        choices=_choices(columns, metrics, params),
        heads={name: _head(name, name, "run", asked.sort) for name in ("name", "status", "created_at")},
        total=_total(services, project.id, narrow, all_runs, offset, found),
        all_runs=all_runs,
        first=offset + 1,
        has_next=len(found) > PAGE,
        problem=problem,
        git_url=f"{services.place.public_url}/git/{project.name}.git",
    )


def run_lines(services: Services, runs: Sequence[Run]) -> tuple[RunLine, ...]:
    """Give runs as rows."""
    return tuple(run_line(services, run) for run in runs)


def run_line(services: Services, run: Run) -> RunLine:
    """Give a run as a row."""
    end = run.ended_at or (services.store.now() if run.status is RunStatus.RUNNING else None)
    return RunLine(
        id=run.id,
        name=run.name,
        url=f"/r/{run.id}",
        mark=RUNS[run.status],
        verdict=mark_of(verdicts_on(services, run)),
        kind=run.kind.value,
        stage=run.stage,
        commit=run.commit,
        actor=run.actor,
        at=run.created_at,
        took_s=None if end is None or run.started_at is None else max(0.0, end - run.started_at),
        reason=run.reason.splitlines()[0] if run.reason else "",
    )


def metric_cell(value: float | None) -> Cell:
    """Give a metric's value as a cell."""
    return Cell("–", "not recorded", True) if value is None else Cell(number(value), exact(value), True)


def param_cell(value: Any) -> Cell:
    """Give a param's value as a cell."""
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return Cell("–", "not set", False) if value is None else Cell(number(value), exact(value), numeric)


def _columns(
    asked: Asked, metrics: Sequence[MetricSummary], params: Mapping[str, dict[str, Any]]
) -> tuple[Column, ...]:
    ids = asked.cols or _telling(metrics, params)
    return tuple(_column(name, asked.sort) for name in ids if name.startswith(("metrics.", "params.")))


def _telling(metrics: Sequence[MetricSummary], params: Mapping[str, dict[str, Any]]) -> tuple[str, ...]:
    """Choose the columns that say most: the metrics most runs have, the params that differ between runs."""
    there = Counter(item.key for item in metrics)
    chosen = sorted(there, key=lambda key: (-there[key], key))[:_DEFAULT_METRICS]
    values: dict[str, set[str]] = {}
    for run in params.values():
        for key, value in run.items():
            values.setdefault(key, set()).add(repr(value))
    differing = [key for key, seen in sorted(values.items()) if len(seen) > 1]
    return (*(f"metrics.{key}" for key in chosen), *(f"params.{key}" for key in differing[:_DEFAULT_PARAMS]))


def _column(name: str, sort: str) -> Column:
    kind, _, key = name.partition(".")
    return _head(name, key, "metric" if kind == "metrics" else "param", sort)


def _head(name: str, label: str, kind: str, sort: str) -> Column:
    down = sort == f"-{name}"
    best_first = name if down else f"-{name}"
    return Column(
        id=name,
        name=label,
        kind=kind,
        sort="" if kind == "param" else best_first,
        sorted="descending" if down else "ascending" if sort == name else "",
    )


def _rows(
    services: Services,
    asked: Asked,
    runs: Sequence[Run],
    columns: Sequence[Column],
    metrics: Sequence[MetricSummary],
    params: Mapping[str, dict[str, Any]],
) -> tuple[Row, ...]:
    last = {(item.run_id, item.key): item.last for item in metrics}

    def cell(run: Run, column: Column) -> Cell:
        if column.kind == "metric":
            return metric_cell(last.get((run.id, column.name)))
        return param_cell(params.get(run.id, {}).get(column.name))

    return tuple(
        Row(
            line=run_line(services, run),
            cells=tuple(cell(run, column) for column in columns),
            ticked=run.id in asked.sel,
        )
        for run in runs
    )


def _choices(
    columns: Sequence[Column], metrics: Sequence[MetricSummary], params: Mapping[str, dict[str, Any]]
) -> tuple[Choice, ...]:
    shown = {column.id for column in columns}
    names = {f"metrics.{item.key}" for item in metrics}
    names |= {f"params.{key}" for run in params.values() for key in run}
    return tuple(
        Choice(
            name, name.partition(".")[2], "metric" if name.startswith("metrics.") else "param", name in shown
        )
        for name in sorted(names | shown)
    )


def _total(
    services: Services, project_id: str, narrow: RunFilter, all_runs: int, offset: int, found: Sequence[Run]
) -> int | None:
    """Tell how many runs match, where that is known without reading them all."""
    if not narrow:
        return all_runs
    if set(narrow) == {"status"}:
        return services.store.count_runs(project_id=project_id, status=narrow["status"])
    return offset + len(found) if len(found) <= PAGE and (found or not offset) else None


def _is_order(sort: str) -> bool:
    name = sort.removeprefix("-")
    return name in _ORDERS or (name.startswith("metrics.") and len(name) > len("metrics."))


def _one_of(key: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise InvalidInput(field=f"{key}:", value=value, wanted=", ".join(allowed))
    return value


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part for part in text.split(",") if part))
