"""Columns of a table of runs: which are shown, which could be, and their cells.

A project may have ten thousand: only the page's own are looked at, and those whose name is asked for.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from relive.core.run import Run
from relive.core.search import Field, Side
from relive.hub.web.views.asked import Asked, field_id, read_field
from relive.hub.web.words import exact, moment, number
from relive.ports.run_tables import KeyUse
from relive.services.context import Services

_DEFAULT_METRICS, _DEFAULT_PARAMS = 3, 4
# So many keys of a kind are offered at once; the others are found by their name.
_OFFERED: Final = 30
# MLflow's clients keep what they know of a run in tags of their own; nobody wants to see them as columns.
_THEIRS: Final = ("mlflow.", "relive.")
_ATTRIBUTES: Final = ("actor", "kind", "stage", "command", "experiment", "ended_at", "id")
_KINDS: Final = {Side.METRIC: "metric", Side.PARAM: "param", Side.TAG: "tag", Side.ATTRIBUTE: "attribute"}
_UNSORTED: Final = {"experiment"}


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


class Choice(msgspec.Struct, frozen=True):
    """A column that could be shown."""

    id: str
    name: str
    kind: str
    shown: bool


def columns_of(asked: Asked, uses: Mapping[Side, Sequence[KeyUse]]) -> tuple[tuple[Field, Column], ...]:
    """Give the columns asked for, or those that say most: what most runs measured, what tells them apart."""
    fields = [field for name in asked.cols if (field := read_field(name)) is not None] or _telling(uses)
    return tuple(
        (field, head(field_id(field), field.key, _KINDS[field.side], asked.sort)) for field in fields
    )


def head(name: str, label: str, kind: str, sort: str) -> Column:
    """Give a column's head; metrics and times are sorted by their largest first, all else by the smallest."""
    key = name.removeprefix("attributes.")
    down, up = sort == f"-{key}", sort == key
    large_first = kind in ("metric", "run")
    first, other = (f"-{key}", key) if large_first else (key, f"-{key}")
    is_first = (down and large_first) or (up and not large_first)
    return Column(
        id=name,
        name=label,
        kind=kind,
        sort="" if key in _UNSORTED else other if is_first else first,
        sorted="descending" if down else "ascending" if up else "",
    )


def uses_on(services: Services, run_ids: Sequence[str]) -> dict[Side, list[KeyUse]]:
    """Give the keys of a page's runs, as many of each kind as are offered at once."""
    store = services.store
    found = {side: store.list_key_uses(run_ids, side, limit=_OFFERED) for side in (Side.METRIC, Side.PARAM)}
    tags = store.list_key_uses(run_ids, Side.TAG, limit=3 * _OFFERED)
    return found | {Side.TAG: [use for use in tags if not use.key.startswith(_THEIRS)][:_OFFERED]}


def choices_of(
    services: Services,
    project_id: str,
    asked: Asked,
    shown: Sequence[Field],
    uses: Mapping[Side, Sequence[KeyUse]],
) -> tuple[Choice, ...]:
    """Give what could be shown: what is, then the page's keys, or those of the project that hold a text."""
    offered: list[Field] = []
    for side in (Side.METRIC, Side.PARAM, Side.TAG):
        if asked.find:
            keys = services.store.list_keys(project_id, side, find=asked.find, limit=_OFFERED)
        else:
            keys = sorted(use.key for use in uses[side])
        offered += [Field(side, key) for key in keys]
    offered += [Field(Side.ATTRIBUTE, key) for key in _ATTRIBUTES if asked.find.lower() in key]
    every = dict.fromkeys([*shown, *offered])
    return tuple(Choice(field_id(it), it.key, _KINDS[it.side], it in shown) for it in every)


def cells_of(
    run: Run,
    fields: Sequence[Field],
    cells: Mapping[tuple[str, Field], Any],
    names: Mapping[str, str],
) -> tuple[Cell, ...]:
    """Give a row's cells.

    Args:
        run: Whose row.
        fields: The columns'.
        cells: What `RunTableStore.list_cells` gave.
        names: The names of experiments by their ids.
    """
    return tuple(_cell(run, field, cells.get((run.id, field)), names) for field in fields)


def metric_cell(value: float | None) -> Cell:
    """Give a metric's value as a cell."""
    return Cell("–", "not recorded", True) if value is None else Cell(number(value), exact(value), True)


def param_cell(value: Any) -> Cell:
    """Give a param's value as a cell."""
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return Cell("–", "not set", False) if value is None else Cell(number(value), exact(value), numeric)


def _cell(run: Run, field: Field, value: Any, names: Mapping[str, str]) -> Cell:
    if field.side is Side.METRIC:
        return metric_cell(value)
    if field.side is not Side.ATTRIBUTE:
        return param_cell(value)
    if field.key == "experiment":
        return param_cell(names.get(run.experiment_id))
    value = getattr(run, field.key, None) if field.key in Run.__struct_fields__ else None
    if field.key.endswith("_at"):
        return Cell(moment(value).removesuffix(" UTC"), moment(value), False)
    return param_cell(str(value) if value not in (None, "") else None)


def _telling(uses: Mapping[Side, Sequence[KeyUse]]) -> list[Field]:
    often = sorted(uses[Side.METRIC], key=lambda use: (-use.runs, use.key))
    plain = [use for use in often if not use.key.startswith("system/")]
    differing = sorted(use.key for use in uses[Side.PARAM] if use.differs)
    fields = [Field(Side.METRIC, use.key) for use in plain[:_DEFAULT_METRICS]]
    return fields + [Field(Side.PARAM, key) for key in differing[:_DEFAULT_PARAMS]]
