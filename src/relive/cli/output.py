"""How commands speak: tables and sentences for people, JSON for programs."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from relive.errors import ReliveError

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def json_option(command: Any) -> Any:
    """Give a command the option `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")(command)


def print_json(value: Any) -> None:
    """Print a value as JSON; NaN and infinities in the words of Python's json."""
    click.echo(json.dumps(msgspec.to_builtins(value), indent=2, ensure_ascii=False))


def print_error(error: ReliveError) -> None:
    """Print an error: what happened, what was expected, what to do; as JSON if the command prints JSON."""
    if "--json" in sys.argv:
        click.echo(json.dumps({"error": error.code, "message": str(error)}, ensure_ascii=False), err=True)
        return
    first, *rest = str(error).splitlines()
    err.print(f"[bold red]✗[/] {escape(first)}")
    for line in rest:
        err.print(escape(line))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print rows under their columns' names, or the sentence for none; an empty sentence prints nothing."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    count = 0
    for row in rows:
        table.add_row(*(escape("" if cell is None else str(cell)) for cell in row))
        count += 1
    if count:
        out.print(table)
    elif empty:
        out.print(escape(empty))


def escape(text: str) -> str:
    """Give text that rich prints as it is; what a run wrote must not be read as markup."""
    return text.replace("[", r"\[")


def ago(at: float | None, now: float) -> str:
    """Say how long ago something was, in one unit."""
    if at is None:
        return ""
    seconds = max(0.0, now - at)
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def duration(seconds: float | None) -> str:
    """Say a duration in one or two units."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def number(value: float) -> str:
    """Write a number: whole ones exactly, others with five digits."""
    return str(int(value)) if abs(value) < 1e15 and value == int(value) else f"{value:.5g}"
