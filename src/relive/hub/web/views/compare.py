"""Runs side by side: only what differs, and what it did."""

from collections.abc import Mapping, Sequence

import msgspec

from relive.core.ids import short_id
from relive.core.run import MetricSummary
from relive.errors import InvalidInput
from relive.hub.web.views.columns import Cell, metric_cell, param_cell
from relive.hub.web.views.recipe import groups_of
from relive.hub.web.views.runs import RunLine, run_line, run_lines
from relive.services.context import Services

MOST_RUNS = 50
_MOST_CHARTS = 12
_COLOURS = 10
_ABSENT = Cell("–", "not there", False)


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
    """Facts of one kind; `same` counts those that are left out because they are equal."""

    name: str
    facts: tuple[Fact, ...]
    same: int


class ComparePage(msgspec.Struct, frozen=True, kw_only=True):
    """The comparison.

    Attributes:
        sections: Metrics, params, inputs.
        charts: Keys that at least one run has as a series.
        show_all: Whether equal facts are shown too.
        recent: Runs to choose from, where fewer than two were given.
    """

    project: str
    runs: tuple[Compared, ...]
    ids: str
    sections: tuple[Section, ...]
    charts: tuple[str, ...]
    show_all: bool
    recent: tuple[RunLine, ...]


def get_compare(
    services: Services, project_name: str, run_ids: Sequence[str], *, show_all: bool = False
) -> ComparePage:
    """Compare runs of a project.

    Raises:
        NotFound: There is no such project, or no such run.
        InvalidInput: More runs than can be told apart.
    """
    store = services.store
    project = store.get_project(project_name)
    if len(run_ids) > MOST_RUNS:
        raise InvalidInput(field="runs", value=len(run_ids), wanted=f"at most {MOST_RUNS} runs")
    runs = [store.get_run(run_id) for run_id in dict.fromkeys(run_ids)]
    ids = [run.id for run in runs]
    metrics = store.list_metrics(ids)
    lines = [run_line(services, run) for run in runs]
    return ComparePage(
        project=project.name,
        runs=tuple(_compared(line, index, ids) for index, line in enumerate(lines)),
        ids=",".join(ids),
        sections=_sections(services, ids, metrics, show_all=show_all) if len(runs) > 1 else (),
        charts=_charts(metrics),
        show_all=show_all,
        recent=run_lines(services, store.list_runs(project_id=project.id, limit=12)) if len(runs) < 2 else (),
    )


def _compared(line: RunLine, index: int, ids: Sequence[str]) -> Compared:
    rest = ",".join(short_id(other) for other in ids if other != line.id)
    return Compared(line=line, colour=index % _COLOURS, dash=index // _COLOURS, without=rest)


def _sections(
    services: Services, ids: Sequence[str], metrics: Sequence[MetricSummary], *, show_all: bool
) -> tuple[Section, ...]:
    last = {run_id: {m.key: metric_cell(m.last) for m in metrics if m.run_id == run_id} for run_id in ids}
    params = services.store.list_params(ids)
    cells = {run_id: {k: param_cell(v) for k, v in params.get(run_id, {}).items()} for run_id in ids}
    inputs = {run_id: _inputs(services, run_id) for run_id in ids}
    found = (
        _section("Metrics", ids, last, show_all=True),
        _section("Params", ids, cells, show_all=show_all),
        _section("Inputs", ids, inputs, show_all=show_all),
    )
    return tuple(section for section in found if section.facts or section.same)


def _section(
    name: str, ids: Sequence[str], values: Mapping[str, Mapping[str, Cell]], *, show_all: bool
) -> Section:
    keys = sorted({key for run_id in ids for key in values[run_id]})
    facts = [_fact(key, [values[run_id].get(key, _ABSENT) for run_id in ids]) for key in keys]
    shown = [fact for fact in facts if fact.differs or show_all]
    return Section(name=name, facts=tuple(shown), same=len(facts) - len(shown))


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


def _charts(metrics: Sequence[MetricSummary]) -> tuple[str, ...]:
    return tuple(sorted({item.key for item in metrics if item.count > 1})[:_MOST_CHARTS])
