"""`relive preflight`: whether a training comes out the same twice, asked before hours are spent on it."""

import math
from pathlib import Path

import click

from relive.cli.output import err, escape, json_option, out, plural, print_json
from relive.errors import InvalidInput
from relive.replay.preflight import Finding, Preflight

_DIFFERS = 3


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option(
    "--steps", type=click.IntRange(1), default=20, show_default=True, help="Compare so many first steps."
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0, min_open=True),
    default=300.0,
    show_default=True,
    help="Seconds after which each run is ended.",
)
@click.option(
    "--times",
    type=click.IntRange(2, 100),
    default=3,
    show_default=True,
    help="Runs of each state before it is taken for equal.",
)
@json_option
def preflight(command: tuple[str, ...], steps: int, timeout_s: float, times: int, as_json: bool) -> None:
    """Run the first steps of COMMAND again and again, and name what makes them differ and how to fix it.

    It is started here, as a plain start would be, and ended once the steps are recorded; no hub is needed.
    What it writes in its first steps, it writes. Where two runs differ it is started again, with everything
    taken away that lets chance in (seeds, hash seed, order of listings, clock, entropy of the system,
    threads, GPU algorithms), then with each of them let in alone. A cause is named with its lines; what was
    only seen and cannot be taken away, such as threads of its own, is a suspect. What was not examined is
    said in every case. A script without recorded steps runs to its end, and its output is compared.

    Each state is run --times times, until a run differs: chance with two outcomes comes out the same twice
    in half of all cases, three times in a quarter.

    \b
    Exit codes: 0 the steps are equal, 3 they differ, 1 the command failed.

    \b
    Examples:
      relive preflight -- python train.py
      relive preflight --steps 100 --timeout 600 --times 5 -- python train.py --lr 0.1
    """
    if not math.isfinite(timeout_s):
        raise InvalidInput(field="--timeout", value=timeout_s, wanted="a number of seconds")
    told = (lambda said: None) if as_json else _tell
    flight = Preflight(command, Path.cwd(), steps=steps, timeout_s=timeout_s, times=times, told=told)
    found = flight.find()
    if as_json:
        print_json({"equal": found.is_equal, "finding": found})
    else:
        _print(found, times)
        for said in found.unexamined:
            out.print(escape(f"not examined: {said}"))
    raise SystemExit(0 if found.is_equal else _DIFFERS)


def _tell(said: str) -> None:
    err.print(f"  {said} …")


def _print(found: Finding, times: int) -> None:
    if found.is_equal:
        compared = plural(found.steps, "step") if found.steps else "its output (no step was recorded)"
        out.print(f"[bold green]≡ equal {times} times[/]  {compared}")
        return
    if found.first is not None:
        first = found.first
        out.print(
            escape(f"differs first in {first.stream}, step {first.step}: {', '.join(first.names)}"),
        )
    else:
        out.print(escape(f"differs first in line {found.line}"))
    for word, listed in (("cause", found.causes), ("suspect", found.suspects)):
        for cause in listed:
            where = f" ({', '.join(cause.where)})" if cause.where else ""
            out.print(escape(f"{word}: {cause.what}{where}"))
            out.print(escape(f"  fix: {cause.fix}"))
    if not found.causes:
        out.print("The cause is not known: it differs with everything fixed that is known to let chance in.")
    out.print(f"[bold red]≠ differs[/]  found in {plural(found.runs, 'run')}")
