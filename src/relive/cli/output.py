"""How commands speak: tables and sentences for people, JSON for programs."""

import itertools
import json
import math
import re
import sys
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from relive.errors import HubRefused, ReliveError

if TYPE_CHECKING:
    from rich.console import Console

# All but tab and line break: a terminal would act on them.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

# What Rich would not print as it stands: markup, its escapes, and names of signs between colons.
_MARKED: Final = re.compile(r"[\[\\]|:\S+:")

# Longer than any sentence: click would end it with "...".
_WHOLE: Final = 1000


class Printer:
    """Prints sentences in Rich's markup.

    Rich is imported with the first that has any: to import it takes as long as many a command.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        self._stderr = stderr

    def print(self, *sentence: object, **options: Any) -> None:
        """Print a sentence, as `rich.console.Console.print` does."""
        text = sentence[0] if len(sentence) == 1 and not options else None
        if isinstance(text, str) and not _MARKED.search(text):
            click.echo(text, err=self._stderr)
        else:
            self._console.print(*sentence, **options)

    @cached_property
    def _console(self) -> "Console":
        from rich.console import Console

        return Console(stderr=self._stderr, highlight=False, soft_wrap=True)


out = Printer()
err = Printer(stderr=True)


class Group(click.Group):
    """A group that says of each command all of its first sentence, over as many lines as it takes."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands."""
        names = self.list_commands(ctx)
        found = [(name, command) for name in names if (command := self.get_command(ctx, name)) is not None]
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.get_short_help_str(_WHOLE)) for name, command in found])


def json_option(command: Any) -> Any:
    """Give a command the option `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")(command)


def print_json(value: Any) -> None:
    """Print a value as JSON, which has no NaN and no infinities: they become these words, as text."""
    plain = _finite(msgspec.to_builtins(value))
    click.echo(json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False))


def print_error(error: ReliveError) -> None:
    """Print an error: what happened, what was expected, what to do; as JSON if the command prints JSON."""
    if wants_json(sys.argv):
        click.echo(json.dumps(_as_json(error), ensure_ascii=False, default=str), err=True)
        return
    first, *rest = str(error).splitlines()
    err.print(f"[bold red]✗[/] {escape(first)}")
    for line in rest:
        err.print(escape(line))


def print_usage_error(error: click.ClickException) -> None:
    """Print what Click says of a command line; as JSON, in the form of every error, if it asks for JSON."""
    if not wants_json(sys.argv):
        error.show()
        return
    said = {"error": "usage", "message": error.format_message(), "facts": {}}
    click.echo(json.dumps(said, ensure_ascii=False), err=True)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, (list, tuple)) else value


def wants_json(argv: Sequence[str]) -> bool:
    """Tell whether a command line asks for JSON; what follows `--` is another program's."""
    return "--json" in itertools.takewhile(lambda word: word != "--", argv)


def _as_json(error: ReliveError) -> dict[str, Any]:
    # What the hub refused is told by the hub's own code and facts.
    if isinstance(error, HubRefused):
        return {"error": error.error_code, "message": str(error), "facts": error.details}
    return {"error": error.code, "message": str(error), "facts": error.facts()}


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print rows under their columns' names, or the sentence for none; an empty sentence prints nothing.

    A row is one line, however long: what a terminal breaks at its edge, a pipe gets whole.
    """
    from rich.cells import cell_len

    cells = [[_cell(cell) for cell in row] for row in rows]
    if not cells:
        if empty:
            out.print(escape(empty))
        return
    widths = [max(map(cell_len, column)) for column in zip(columns, *cells, strict=True)]
    out.print(f"[bold]{escape(_line(columns, widths))}[/]")
    for row in cells:
        out.print(escape(_line(row, widths)))


def _cell(value: object) -> str:
    return " ".join(_harmless("" if value is None else str(value)).split("\n"))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    from rich.cells import cell_len

    padded = (cell + " " * (width - cell_len(cell)) for cell, width in zip(cells, widths, strict=True))
    return "  ".join(padded).rstrip()


def escape(text: str) -> str:
    """Give text that is printed as it is: what a run wrote is no markup, and moves no cursor."""
    harmless = _harmless(text)
    if not _MARKED.search(harmless):
        return harmless
    from rich.markup import escape as escape_markup

    return escape_markup(harmless)


def _harmless(text: str) -> str:
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def plural(number: int, noun: str) -> str:
    """Write a number of things: "1 file", "3 files"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


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


def size(size_bytes: int) -> str:
    """Write a size in the unit that fits."""
    value = float(size_bytes)
    for unit in ("bytes", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"


def number(value: float) -> str:
    """Write a number: whole ones exactly, others with five digits."""
    return str(int(value)) if abs(value) < 1e15 and value == int(value) else f"{value:.5g}"
