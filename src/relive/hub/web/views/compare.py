"""Runs side by side: only what differs, and what it did."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from relive.core.ids import short_id
from relive.core.run import MetricSummary
from relive.core.search import Field, Side
from relive.errors import InvalidInput
from relive.hub.web.views.asked import field_id
from relive.hub.web.views.columns import Cell, metric_cell, param_cell
from relive.hub.web.views.planes import Parallel, Scatter, parallel, scatter
from relive.hub.web.views.recipe import groups_of
from relive.hub.web.views.run import SYSTEM
from relive.hub.web.views.runs import RunLine, run_lines
from relive.services.context import Services

MOST_RUNS: Final = 50
_MOST_CHARTS = 12
_MOST_FACTS = 100
_MOST_AXES, _MOST_CHOICES = 10, 60
_COLOURS, _DASHES = 10, 5
_ABSENT = Cell("–", "not there", False)


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """How it is looked at.

    Attributes:
        show_all: Whether equal facts are shown too.
        axes: Ids of the axes of the parallel coordinates; empty for those that say most.
        sx: Id of what the scatter plot has from left to right.
        sy: Id of what it has from bottom to top.
        find: What a chart's key shall hold.
        first: Number of the first chart, from 0.
    """

    show_all: bool = False
    axes: tuple[str, ...] = ()
    sx: str = ""
    sy: str = ""
    find: str = ""
    first: int = 0


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the comparison; `colour` and `dash` are how its lines are drawn."""

    line: RunLine
    colour: int
    dash: int
    without: str


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was compared, with a cell a run."""

    name: str
    cells: tuple[Cell, ...]
    differs: bool


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """Facts of one kind; `same` counts those left out as equal, `more` those that are too many."""

    name: str
    facts: tuple[Fact, ...]
    same: int
    more: int


class ComparePage(msgspec.Struct, frozen=True, kw_only=True):
    """The comparison.

    Attributes:
        sections: Metrics, params, inputs.
        charts: Keys that at least one run has as a series, twelve of them; `total` is how many there are.
        choices: Id and name of what can be an axis.
        parallel: None if nothing differs that can be drawn.
        recent: Runs to choose from, where fewer than two were given.
    """

    project: str
    runs: tuple[Compared, ...]
    ids: str
    look: Look
    sections: tuple[Section, ...]
    charts: tuple[str, ...]
    total: int
    choices: tuple[tuple[str, str], ...]
    axes: tuple[str, ...]
    parallel: Parallel | None
    sx: str
    sy: str
    scatter: Scatter | None
    recent: tuple[RunLine, ...]

    def query(self, **changes: Any) -> dict[str, Any]:
        """Give the address's query, with some of it changed."""
        look = self.look
        state = {"runs": self.ids, "all": "1" if look.show_all else "", "axes": ",".join(look.axes)}
        return state | {"sx": look.sx, "sy": look.sy, "find": look.find, "first": look.first} | changes


def get_compare(
    services: Services, project_name: str, run_ids: Sequence[str], look: Look | None = None
) -> ComparePage:
    """Compare runs of a project.

    Raises:
        NotFound: There is no such project, or no such run.
        InvalidInput: More runs than can be told apart.
    """
    store, look = services.store, look or Look()
    project = store.get_project(project_name)
    if len(run_ids) > MOST_RUNS:
        raise InvalidInput(field="runs", value=len(run_ids), wanted=f"at most {MOST_RUNS} runs")
    runs = [store.get_run(run_id) for run_id in dict.fromkeys(run_ids)]
    ids = [run.id for run in runs]
    metrics, params = store.list_metrics(ids), store.list_params(ids)
    lines = run_lines(services, runs)
    keys = [key for key in _series_keys(metrics) if look.find.lower() in key.lower()]
    values = _values(ids, metrics, params) if len(runs) > 1 else {}
    names = [line.name for line in lines]
    axes, (sx, sy) = _axes(look, values), _sides(look, values)
    return ComparePage(
        project=project.name,
        runs=tuple(_compared(line, index, ids) for index, line in enumerate(lines)),
        ids=",".join(ids),
        look=look,
        sections=_sections(services, ids, metrics, params, look) if len(runs) > 1 else (),
        charts=tuple(keys[look.first : look.first + _MOST_CHARTS]),
        total=len(keys),
        choices=tuple((key, _name(key)) for key in list(values)[:_MOST_CHOICES]),
        axes=axes,
        parallel=parallel([(key, _name(key)) for key in axes], names, values) if len(axes) > 1 else None,
        sx=sx,
        sy=sy,
        scatter=scatter(_name(sx), _name(sy), names, values[sx], values[sy]) if sx and sy else None,
        recent=run_lines(services, store.list_runs(project_id=project.id, limit=12)) if len(runs) < 2 else (),
    )


def _compared(line: RunLine, index: int, ids: Sequence[str]) -> Compared:
    rest = ",".join(short_id(other) for other in ids if other != line.id)
    dash = index // _COLOURS % _DASHES
    return Compared(line=line, colour=index % _COLOURS, dash=dash, without=rest)


def _values(
    ids: Sequence[str], metrics: Sequence[MetricSummary], params: Mapping[str, dict[str, Any]]
) -> dict[str, list[Any]]:
    """Give a value a run of each param that differs and of each metric."""
    found: dict[str, list[Any]] = {}
    for key in sorted({key for run in params.values() for key in run}):
        values = [params.get(run_id, {}).get(key) for run_id in ids]
        if len({repr(value) for value in values}) > 1:
            found[field_id(Field(Side.PARAM, key))] = values
    last = {(item.run_id, item.key): item.last for item in metrics}
    for key in sorted({item.key for item in metrics if not item.key.startswith(SYSTEM)}):
        found[field_id(Field(Side.METRIC, key))] = [last.get((run_id, key)) for run_id in ids]
    return found


def _axes(look: Look, values: Mapping[str, list[Any]]) -> tuple[str, ...]:
    """Give the axes asked for, or params and behind them metrics."""
    asked = tuple(key for key in look.axes if key in values)[:_MOST_AXES]
    params, metrics = _params(values), _metrics(values)
    return asked or (*params[:5], *metrics[:3])


def _sides(look: Look, values: Mapping[str, list[Any]]) -> tuple[str, str]:
    params, metrics = _params(values), _metrics(values)
    across, up = [*params, *metrics], [*metrics, *params]
    sx = look.sx if look.sx in values else across[0] if across else ""
    sy = look.sy if look.sy in values else next((key for key in up if key != sx), "")
    return sx, sy


def _params(values: Mapping[str, list[Any]]) -> list[str]:
    return [key for key in values if key.startswith("params.")]


def _metrics(values: Mapping[str, list[Any]]) -> list[str]:
    return [key for key in values if key.startswith("metrics.")]


def _name(key: str) -> str:
    return key.partition(".")[2]


def _sections(
    services: Services,
    ids: Sequence[str],
    metrics: Sequence[MetricSummary],
    params: Mapping[str, dict[str, Any]],
    look: Look,
) -> tuple[Section, ...]:
    last: dict[str, dict[str, Cell]] = {run_id: {} for run_id in ids}
    for item in metrics:
        last[item.run_id][item.key] = metric_cell(item.last)
    cells = {run_id: {k: param_cell(v) for k, v in params.get(run_id, {}).items()} for run_id in ids}
    inputs = {run_id: _inputs(services, run_id) for run_id in ids}
    found = (
        _section("Metrics", ids, last, show_all=True),
        _section("Params", ids, cells, show_all=look.show_all),
        _section("Inputs", ids, inputs, show_all=look.show_all),
    )
    return tuple(section for section in found if section.facts or section.same)


def _section(
    name: str, ids: Sequence[str], values: Mapping[str, Mapping[str, Cell]], *, show_all: bool
) -> Section:
    keys = sorted({key for run_id in ids for key in values[run_id]})
    facts = [_fact(key, [values[run_id].get(key, _ABSENT) for run_id in ids]) for key in keys]
    shown = [fact for fact in facts if fact.differs or show_all]
    more = max(0, len(shown) - _MOST_FACTS)
    return Section(name=name, facts=tuple(shown[:_MOST_FACTS]), same=len(facts) - len(shown), more=more)


def _fact(name: str, cells: Sequence[Cell]) -> Fact:
    return Fact(name=name, cells=tuple(cells), differs=len({cell.exact for cell in cells}) > 1)


def _inputs(services: Services, run_id: str) -> dict[str, Cell]:
    groups, _ = groups_of(services, run_id)
    # Params have a section of their own.
    return {
        f"{group.name.lower()}: {item.name}": Cell(item.value[:80], item.identity or item.value, False)
        for group in groups
        if group.name != "Params"
        for item in group.items
    }


def _series_keys(metrics: Sequence[MetricSummary]) -> list[str]:
    """Give the keys of series, those of the machine last."""
    keys = {item.key for item in metrics if item.count > 1}
    return sorted(keys, key=lambda key: (key.startswith(SYSTEM), key))
