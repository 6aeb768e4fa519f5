"""`relive why`: which inputs make one run's result out of another's, found by re-running."""

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NoReturn

import click

from relive.capture.hardware import read_hardware
from relive.cli.output import err, escape, json_option, number, out, plural, print_json, print_table
from relive.cli.why_pool import why_on_pool
from relive.client.hub import connect
from relive.core.causes import Cause, Tried, WhyReport, WhyStatus
from relive.replay.answers import keep_answer
from relive.replay.diff import Side, load_side
from relive.replay.plan import make_plan
from relive.replay.room import room_for
from relive.replay.trials import Question, line_of_end, line_of_start
from relive.replay.why import Why
from relive.wire.runs import PlacedWhy

_SHOWN: Final = 12
_WIDTH: Final = 40
_EXIT: Final = {WhyStatus.FOUND: 0, WhyStatus.NO_DIFFERENCE: 0, WhyStatus.WITHIN_NOISE: 0}
_WORDS: Final = {
    WhyStatus.FOUND: "[bold green]found[/]",
    WhyStatus.NO_DIFFERENCE: "[bold]no difference[/]",
    WhyStatus.WITHIN_NOISE: "[bold]within the noise[/]",
    WhyStatus.UNEXPLAINED: "[bold yellow]unexplained[/]",
    WhyStatus.NOT_REPRODUCED: "[bold yellow]not reproduced[/]",
    WhyStatus.STOPPED: "[bold yellow]stopped[/]",
}


@click.command()
@click.argument("before")
@click.argument("after")
@click.option("--metric", default="", help="Explain this metric alone; default: the whole result.")
@click.option("--max-runs", type=click.IntRange(min=0), help="Start no more runs than this.")
@click.option(
    "--parallel",
    "--jobs",
    "parallel",
    type=click.IntRange(1, 64),
    help="Runs at a time; default: as many as cores and memory carry by what the two runs used.",
)
@click.option(
    "--ahead", is_flag=True, help="Make runs that may not be needed rather than have less at a time."
)
@click.option(
    "--shares",
    type=click.IntRange(min=0),
    default=12,
    show_default=True,
    help="Most runs that sharing the effect out among the causes may take.",
)
@click.option("--pool", default="", help="Try there, not on this machine; the hub searches.")
@click.option("--dry-run", is_flag=True, help="Run nothing: say what would be tried, and what is cleared.")
@json_option
def why(
    before: str,
    after: str,
    metric: str,
    max_runs: int | None,
    parallel: int | None,
    ahead: bool,
    shares: int,
    pool: str,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Find the smallest set of inputs that makes AFTER's result out of BEFORE's, by re-running, and prove it.

    BEFORE and AFTER are runs (ids or their beginnings) or model versions: NAME@ALIAS, NAME@NUMBER. Both are
    reproduced first. Then BEFORE is run with some of AFTER's inputs, until those are found without which the
    result is not AFTER's. Each run is kept by the hub and never made twice: after Ctrl-C the same command
    goes on. Runs that are needed in any case are made side by side; with --ahead others as well. A run that
    fails is no difference. Last, each metric's difference is shared out among the causes.

    With --pool each of these runs is a job on that pool, as many at a time as it has slots, at most eight.
    The hub searches, and goes on if this machine goes away; Ctrl-C ends the search and what it runs. A run
    that is lost with its machine is made again.

    \b
    Exit codes: 0 found, or nothing to explain; 1 not explained, not reproduced, or stopped.

    \b
    Examples:
      relive why 7f3a 91c2 --dry-run
      relive why digits@1 digits@champion --metric accuracy
      relive why 7f3a 91c2 --max-runs 20 --parallel 4 --ahead --json
      relive why 7f3a 91c2 --pool gpu-small
    """
    hub = connect(retry_for_s=60.0)
    if pool and dry_run:
        raise click.UsageError("--dry-run runs nothing, so that it needs no --pool.")
    request = PlacedWhy(
        after=after,
        pool=pool,
        metric=metric,
        max_runs=max_runs,
        parallel=parallel or 0,
        ahead=ahead,
        shares=shares,
    )
    if pool:
        _end(*why_on_pool(hub, before, request, is_quiet=as_json), as_json=as_json)
    plans = [make_plan(hub, target) for target in (before, after)]
    one, other = (load_side(hub, plan.run_id, plan.instead) for plan in plans)
    asked = Why(hub, one, other, _question(request, one, other), Told(is_quiet=as_json))
    if dry_run:
        _show_plan(asked, as_json=as_json)
        return
    with _interrupts(asked):
        report = asked.answer()
    _end(report, keep_answer(report, one.detail.project, hub).url, as_json=as_json)


def _question(asked: PlacedWhy, one: Side, other: Side) -> Question:
    """Give what is asked on this machine: as many runs at a time as it has room for, if nobody said."""
    uses = [side.detail.run.usage for side in (one, other)]
    return Question(
        metric=asked.metric,
        max_runs=asked.max_runs,
        parallel=asked.parallel or room_for(uses, read_hardware()),
        ahead=asked.ahead,
        most_for_shares=asked.shares,
    )


def _end(report: WhyReport, url: str, *, as_json: bool) -> NoReturn:
    """Print the answer and leave with its exit code."""
    if as_json:
        print_json({"url": url, "report": report})
    else:
        _print(report, url)
    raise SystemExit(_EXIT.get(report.status, 1))


class Told:
    """Tells on standard error how the search goes on, a line a run."""

    def __init__(self, *, is_quiet: bool = False) -> None:
        self._is_quiet = is_quiet
        self._lock = threading.Lock()

    def note(self, sentence: str) -> None:
        """Say a sentence."""
        self._say(escape(sentence))

    def trying(self, names: Sequence[str], number: int, at_most: int) -> None:
        """Say what is being run."""
        self._say(escape(line_of_start(names, number, at_most)))

    def tried(self, it: Tried) -> None:
        """Say what came out."""
        self._say(escape(line_of_end(it)))

    def _say(self, line: str) -> None:
        if not self._is_quiet:
            with self._lock:
                err.print(line)


@contextmanager
def _interrupts(asked: Why) -> Iterator[None]:
    """Let Ctrl-C end the runs and the report be made all the same; a second one gives that up."""

    def stop(*_: Any) -> None:
        if asked.trials.variants.is_stopped:
            raise KeyboardInterrupt
        asked.trials.variants.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number_, handler in before.items():
            signal.signal(number_, handler)


def _show_plan(asked: Why, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "facts": [
                    {
                        "name": it.name,
                        "group": it.group.name.lower(),
                        "before": it.before,
                        "after": it.after,
                        "cleared": it.cleared,
                    }
                    for it in asked.trials.swaps
                ],
                "uncontrolled": asked.uncontrolled,
            }
        )
        return
    print_table(
        ("INPUT", "KIND", "BEFORE", "AFTER", ""),
        (
            (
                it.name,
                it.group.label,
                _short(it.before),
                _short(it.after),
                f"cleared: {it.cleared}" if it.cleared else "",
            )
            for it in asked.trials.swaps
        ),
        empty="No input differs that can be exchanged.",
    )
    _print_uncontrolled(asked.uncontrolled)
    n_cleared = sum(bool(it.cleared) for it in asked.trials.swaps)
    n_suspects = len(asked.trials.swaps) - n_cleared
    out.print(f"{plural(n_suspects, 'input')} would be tried, {n_cleared} cleared for free")


def _print(report: WhyReport, url: str) -> None:
    out.print(f"{_WORDS[report.status]}  {escape(report.reason)}")
    if report.compared:
        out.print(f"compared: {escape(report.compared)}")
    shared = [it for it in report.metrics if all(it.key in cause.shares for cause in report.causes)]
    _print_causes(report.causes, [it.key for it in shared] if report.causes else [])
    print_table(
        ("METRIC", "BEFORE", "AFTER", "DIFFERENCE"),
        (
            (
                it.key,
                "absent" if it.before is None else number(it.before),
                "absent" if it.after is None else number(it.after),
                "" if it.before is None or it.after is None else f"{it.after - it.before:+.3g}",
            )
            for it in report.metrics
        ),
        empty="",
    )
    if report.suspects:
        out.print(f"still suspected: {escape(', '.join(report.suspects[:_SHOWN]))}")
    for it in report.cleared[:_SHOWN]:
        out.print(f"cleared: {escape(it.name)} ({escape(it.reason)})")
    _print_uncontrolled(report.uncontrolled)
    for note in report.notes:
        out.print(f"note: {escape(note)}")
    reproductions, search, shares = (report.runs(it) for it in ("reproduction", "search", "shares"))
    reused = report.runs(reused=True)
    out.print(
        f"{plural(search, 'run')} to search, {reproductions} to reproduce both, {shares} to share out, "
        f"{reused} known before" + (f"; {report.missing} more would share it out" if report.missing else "")
    )
    out.print(url)


def _print_causes(causes: Sequence[Cause], keys: list[str]) -> None:
    print_table(
        ("CAUSE", "KIND", "BEFORE", "AFTER", "WITHOUT IT", *(f"ITS PART OF {key}" for key in keys)),
        (
            (
                it.name,
                it.group,
                _short(it.before),
                _short(it.after),
                it.without,
                *(f"{it.shares[key]:+.3g}" for key in keys),
            )
            for it in causes
        ),
        empty="",
    )


def _print_uncontrolled(names: Sequence[str]) -> None:
    if names:
        out.print(f"differs, and cannot be exchanged here: {escape(', '.join(names[:_SHOWN]))}")


def _short(value: str) -> str:
    """Give a value as it fits into a column; of a digest its first digits name it."""
    if not value:
        return "absent"
    line = value[7:19] if value.startswith("blake3:") else " ".join(value.split())
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…"
