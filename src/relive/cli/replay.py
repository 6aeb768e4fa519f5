"""`relive replay`: make a run again from its recipe alone, and judge the copy."""

import sys

import click

from relive.cli.output import escape, json_option, number, out, plural, print_json, print_table
from relive.client.hub import connect
from relive.core.ids import short_id
from relive.core.trajectory import Verdict, VerdictLevel
from relive.errors import CommandFailed
from relive.replay.execute import execute
from relive.replay.plan import ReplayPlan, make_plan
from relive.replay.report import judge_replay

_EXIT = {
    VerdictLevel.BIT_EXACT: 0,
    VerdictLevel.WITHIN_TOLERANCE: 0,
    VerdictLevel.UNRESOLVED: 1,
    VerdictLevel.DIVERGED: 3,
    VerdictLevel.NOT_COMPARABLE: 3,
}
_WORDS = {
    VerdictLevel.BIT_EXACT: "[bold green]≡ bit-exact[/]",
    VerdictLevel.WITHIN_TOLERANCE: "[bold green]≈ within tolerance[/]",
    VerdictLevel.DIVERGED: "[bold red]≠ diverged[/]",
    VerdictLevel.UNRESOLVED: "[bold yellow]? unresolved[/]",
    VerdictLevel.NOT_COMPARABLE: "[bold yellow]? not comparable[/]",
}


@click.command()
@click.argument("target")
@click.option("--quiet", is_flag=True, help="Do not show what the command prints.")
@json_option
def replay(target: str, quiet: bool, as_json: bool) -> None:
    """Make a run or a model again from its recipe alone, in an empty place, and judge the copy.

    TARGET is a run's id (or its beginning), or a model version: NAME@ALIAS, NAME@NUMBER. Code, data and
    wheels come from the hub by their digests; no package index is asked. A metric is within tolerance if it
    differs by at most 2 percentage points where both values lie in [0, 1], else by at most 2 %.

    \b
    Exit codes: 0 bit-exact or within tolerance, 3 diverged or not comparable, 1 the replay itself failed.

    \b
    Examples:
      relive replay digits@champion
      relive replay 7f3a --json
    """
    hub = connect(retry_for_s=60.0)
    plan = make_plan(hub, target)
    if not as_json:
        _announce(plan)
    echo = None if quiet or as_json else _show
    repeated = execute(plan, hub, echo=echo)
    verdict = judge_replay(plan, repeated, hub)
    if as_json:
        print_json(verdict)
    else:
        _print(verdict, repeated.url)
    if verdict.level is VerdictLevel.UNRESOLVED and not as_json:
        raise CommandFailed(command="relive replay", exit_code=1, reason=verdict.reason)
    raise SystemExit(_EXIT[verdict.level])


def _announce(plan: ReplayPlan) -> None:
    run = plan.detail.run
    name = f"{plan.model}, " if plan.model else ""
    out.print(escape(f"replaying {name}run {short_id(run.id)} ({run.name}) of commit {short_id(run.commit)}"))
    packages = plural(len(plan.lock.packages) if plan.lock else 0, "package")
    python = f"Python {plan.lock.python}, " if plan.lock else ""
    steps = f", {plural(len(plan.trajectory.steps), 'recorded step')}" if plan.trajectory else ""
    inputs = plural(len(plan.recipe.declared.data), "input")
    out.print(f"  {python}{packages} from kept wheels, {inputs}{steps}")


def _print(verdict: Verdict, url: str) -> None:
    print_table(
        ("METRIC", "RECORDED", "REPLAYED", "DIFFERENCE", "LIMIT"),
        (
            (
                item.key,
                _value(item.recorded),
                _value(item.replayed),
                "" if item.difference is None else f"{item.difference:.3g}",
                "" if item.limit is None else f"{item.limit:g}{' relative' if item.relative else ''}",
            )
            for item in verdict.metrics
        ),
        empty="",
    )
    for path, word in verdict.outs.items():
        out.print(f"out {escape(path)}: {word}")
    if verdict.first_divergence is not None:
        first = verdict.first_divergence
        out.print(escape(f"first difference: {first.stream}, step {first.step}, in {', '.join(first.names)}"))
    for difference in verdict.inputs_differ[:20]:
        out.print(f"input differs: {escape(difference)}")
    out.print(f"{_WORDS[verdict.level]}  {escape(verdict.reason)}")
    out.print(url)


def _value(value: float | None) -> str:
    return "absent" if value is None else number(value)


def _show(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
