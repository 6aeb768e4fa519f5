"""Runs in groups of one param, tag or attribute, with a metric summed up in each."""

import msgspec

from relive.core.search import Comparison, Field, Side, filter_text
from relive.errors import InvalidInput
from relive.hub.web.views.asked import Asked, read_field
from relive.hub.web.views.columns import Cell, metric_cell
from relive.hub.web.words import clip
from relive.ports.run_tables import RunGroup
from relive.ports.search import Search
from relive.services.context import Services

_MOST = 100


class GroupLine(msgspec.Struct, frozen=True, kw_only=True):
    """One group; `query` leads to its runs, None if no filter can name them."""

    value: str
    runs: int
    measured: int
    mean: Cell
    min: Cell
    max: Cell
    query: dict[str, object] | None


class Groups(msgspec.Struct, frozen=True, kw_only=True):
    """The groups; `problem` says why there are none."""

    by: str
    metric: str
    lines: tuple[GroupLine, ...] = ()
    is_cut: bool = False
    problem: str = ""


def get_groups(services: Services, search: Search, asked: Asked) -> Groups:
    """Give the groups of what a search finds."""
    name = asked.group if "." in asked.group else f"attributes.{asked.group}"
    field = read_field(name)
    metric = asked.by.removeprefix("metrics.")
    if field is not None and field == Field(Side.ATTRIBUTE, "status"):
        field = Field(Side.ATTRIBUTE, "state")
    try:
        if field is None:
            raise InvalidInput(field="what to group by", value=asked.group, wanted="params.KEY or tags.KEY")
        found = services.store.group_runs(search, field, metric=metric, limit=_MOST + 1)
    except InvalidInput as error:
        return Groups(by=asked.group, metric=metric, problem=f"{error.what()} Expected: {error.wanted}.")
    lines = tuple(_line(asked, field, group) for group in found[:_MOST])
    return Groups(by=asked.group, metric=metric, lines=lines, is_cut=len(found) > _MOST)


def _line(asked: Asked, field: Field, group: RunGroup) -> GroupLine:
    return GroupLine(
        value="not set" if group.value is None else clip(group.value, 120) or "(empty)",
        runs=group.runs,
        measured=group.measured,
        mean=metric_cell(group.mean),
        min=metric_cell(group.min),
        max=metric_cell(group.max),
        query=_query(asked, field, group.value),
    )


def _query(asked: Asked, field: Field, value: str | None) -> dict[str, object] | None:
    if value is None:
        found = Comparison(field, "IS NULL") if field.side is not Side.ATTRIBUTE else None
    else:
        found = Comparison(field, "=", value)
    if found is None:
        return None
    try:
        return asked.fresh(of=filter_text(found), group="", by="")
    except InvalidInput:
        # It holds quotes of every kind.
        return None
