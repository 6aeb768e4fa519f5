"""`relive run`: record a command from outside."""

import os
from pathlib import Path
from typing import NoReturn

import click

from relive.cli.output import duration, err, escape, number, print_json
from relive.cli.repository import current_project
from relive.client.hub import connect
from relive.core.determinism import Determinism
from relive.core.ids import short_id
from relive.core.pipeline import EnvSpec
from relive.core.run import RunStatus
from relive.errors import NotFound
from relive.runner.local import HandResult, HandRun, run_here
from relive.runner.results import Expected


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--project", default="", help="Default: this repository's project, else the folder's name.")
@click.option("--experiment", default="", help="Default: the project's own.")
@click.option("--name", default="", help="For people; default: made from the id.")
@click.option("--dep", "deps", multiple=True, help="A file or folder it reads; digested before and after.")
@click.option("--out", "outs", multiple=True, help="A file or folder it writes; kept.")
@click.option("--metrics", multiple=True, help="A file it writes metrics to.")
@click.option(
    "--env", "lock", default="", help="Build its environment from this lock file, so that it can be replayed."
)
@click.option("--hermetic", is_flag=True, help="Refuse what is neither code, --dep, environment nor its own.")
@click.option("--network", is_flag=True, help="Let a hermetic run reach more than the hub.")
@click.option(
    "--determinism",
    type=click.Choice([it.value for it in Determinism]),
    default=Determinism.MACHINE.value,
    show_default=True,
    help="Where it is to come out the same; portable pins instructions and one thread.",
)
@click.option(
    "--checkpoints",
    type=click.IntRange(min=1),
    metavar="N",
    envvar="RELIVE_CHECKPOINTS",
    help="Keep the state of a PyTorch training every N steps, for `relive replay --spot-check`.",
)
@click.option("--timeout", "timeout_s", type=float, help="Seconds after which it is ended.")
@click.option("--pass-exit-code", is_flag=True, help="Exit with the command's own code instead of 1.")
@click.option("--json", "as_json", is_flag=True, help="Print the run as JSON at the end, to standard output.")
def run(
    command: tuple[str, ...],
    project: str,
    experiment: str,
    name: str,
    deps: tuple[str, ...],
    outs: tuple[str, ...],
    metrics: tuple[str, ...],
    lock: str,
    hermetic: bool,
    network: bool,
    determinism: str,
    checkpoints: int | None,
    timeout_s: float | None,
    pass_exit_code: bool,
    as_json: bool,
) -> None:
    """Run a command and record it: code as it lies here, environment, machine, data, metrics, result.

    The command is not touched. Uncommitted and untracked files are recorded; files on the secret list never.
    Within a run it makes a run below that one, with a record of its own.

    \b
    Examples:
      relive run -- python train.py
      relive run --dep data/ --out model/ --metrics metrics.json -- python train.py --lr 0.1
      relive run --env requirements.txt -- python train.py
      relive run --hermetic --dep data/ -- python train.py
      relive run --determinism portable -- python train.py
      relive run --checkpoints 500 -- python train.py
    """
    asked = HandRun(
        command=command,
        folder=Path.cwd(),
        project=project or _project(),
        experiment=experiment,
        name=name,
        deps=deps,
        expected=Expected(outs=outs, metrics_files=metrics),
        env=EnvSpec(lock=lock) if lock else None,
        timeout_s=timeout_s,
        hermetic=hermetic,
        network=network,
        determinism=Determinism(determinism),
        checkpoints=checkpoints or 0,
    )
    hub = connect()
    # Once, without patience: who has just typed a command wants to hear now that there is no hub.
    hub.get_info()
    result = run_here(asked, hub, echo=not as_json)
    _end(result, pass_exit_code=pass_exit_code, as_json=as_json)


def _end(result: HandResult, *, pass_exit_code: bool, as_json: bool) -> NoReturn:
    if as_json:
        # The token in `result.run` is the command's own and must not end in anybody's log.
        print_json({"run_id": result.run.run_id, "url": result.run.url, "report": result.report})
    else:
        _print(result)
    raise SystemExit(_exit_code(result, pass_exit_code))


def _project() -> str:
    """Give the project of the run that this one is within, whose token writes no other, else the folder's."""
    if within := os.environ.get("RELIVE_PROJECT"):
        return within
    try:
        return current_project()
    except NotFound:
        return Path.cwd().name


def _print(result: HandResult) -> None:
    report = result.report
    mark = "[green]●[/]" if report.status is RunStatus.FINISHED else "[red]✗[/]"
    took = duration(report.usage.wall_s) if report.usage else ""
    line = f"run {short_id(result.run.run_id)} {report.status.value}"
    err.print(f"{mark} {line}  {took}  {escape(report.reason)}".rstrip())
    for metric in report.metrics[:10]:
        err.print(f"  {escape(metric.key)} {number(metric.value)}")
    err.print(f"  {result.run.url}")


def _exit_code(result: HandResult, pass_exit_code: bool) -> int:
    report = result.report
    if report.status is RunStatus.FINISHED:
        return 0
    if report.failure is not None and report.failure.value == "timeout":
        return 124
    return report.exit_code or 1 if pass_exit_code else 1
