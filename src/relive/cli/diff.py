"""`relive diff`: two runs input by input."""

import itertools
from typing import Final

import click

from relive.cli.output import escape, json_option, number, out, plural, print_json, print_table
from relive.client.hub import connect
from relive.core.compare import parted
from relive.core.diff import RunDiff
from relive.core.facts import Difference, FactGroup
from relive.core.ids import short_id
from relive.replay.diff import code_diff, diff_runs, load_side

_SHOWN: Final = 12
_WIDTH: Final = 48
_GROUPS: Final = {group.name.lower(): group for group in FactGroup}


@click.command()
@click.argument("before")
@click.argument("after")
@click.option("--group", "groups", multiple=True, type=click.Choice(list(_GROUPS)), help="Only these inputs.")
@click.option("--code", is_flag=True, help="Show the code's difference line by line instead.")
@click.option("--all", "show_all", is_flag=True, help=f"Show more than {_SHOWN} differences of a group.")
@json_option
def diff(before: str, after: str, groups: tuple[str, ...], code: bool, show_all: bool, as_json: bool) -> None:
    """Compare what went into two runs, input by input, and how far their results are apart.

    BEFORE and AFTER are runs (ids or their beginnings) or model versions: NAME@ALIAS, NAME@NUMBER. The groups
    stand in the order in which a difference most often explains another result: data, params, command,
    imported packages, code, and so on.

    \b
    Examples:
      relive diff 7f3a 91c2
      relive diff digits@1 digits@champion --code
      relive diff 7f3a 91c2 --group data --group imported --json
    """
    hub = connect()
    one, other = load_side(hub, before), load_side(hub, after)
    if code:
        for line in code_diff(one, other, hub):
            click.echo(line)
        return
    found = diff_runs(one, other, hub)
    wanted = {_GROUPS[name] for name in groups} or set(FactGroup)
    inputs = tuple(it for it in found.inputs if it.group in wanted)
    if as_json:
        print_json(_plain(found, inputs))
        return
    _print(found, inputs, show_all=show_all)


def _plain(found: RunDiff, inputs: tuple[Difference, ...]) -> dict[str, object]:
    """Give the groups by name: their numbers only say an order."""
    return {
        "before": found.before,
        "after": found.after,
        "same_inputs": found.same_inputs,
        "inputs": [
            {"group": it.group.name.lower(), "name": it.name, "before": it.before, "after": it.after}
            for it in inputs
        ],
        "metrics": found.metrics,
        "steps": found.steps,
    }


def _print(found: RunDiff, inputs: tuple[Difference, ...], *, show_all: bool) -> None:
    out.print(f"before     {short_id(found.before)}")
    out.print(f"after      {short_id(found.after)}")
    print_table(
        ("METRIC", "BEFORE", "AFTER", "DIFFERENCE"),
        (
            (
                it.key,
                "absent" if it.before is None else number(it.before),
                "absent" if it.after is None else number(it.after),
                "" if it.before is None or it.after is None else f"{it.after - it.before:+.3g}",
            )
            for it in found.metrics
        ),
        empty="Every metric is equal.",
    )
    if found.steps is not None:
        out.print(escape(parted(found.steps)))
    for group, members in itertools.groupby(inputs, key=lambda it: it.group):
        listed = list(members)
        out.print(f"\n[bold]{escape(group.label)}[/]  {plural(len(listed), 'difference')}")
        for it in listed if show_all else listed[:_SHOWN]:
            out.print(escape(f"  {it.name}: {_short(it.before)} → {_short(it.after)}"))
        if len(listed) > _SHOWN and not show_all:
            out.print(f"  and {len(listed) - _SHOWN} more: --all shows them")
    if not inputs:
        told = "declared inputs are equal" if found.same_inputs else "no input of these groups differs"
        out.print(f"\nNothing differs: {told}.")


def _short(value: str | None) -> str:
    """Give a value as it fits on a line; of a digest its first digits name it."""
    if value is None:
        return "absent"
    if value.startswith("blake3:"):
        return value[7:19]
    value = value.partition(" sha256:")[0].partition(" record:")[0] or value
    line = " ".join(value.split())
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…"
