"""`relive import`: take over runs from other trackers."""

from pathlib import Path
from typing import Any

import click
import msgspec

from relive.cli.output import Group, err, escape, json_option, out, plural, print_json
from relive.cli.repository import current_project
from relive.client.copies import Copied, bring_copies
from relive.client.hub import connect
from relive.client.importers.folder import ExportedFolder
from relive.client.importers.foreign import Source
from relive.client.importers.mlflow_files import open_files
from relive.client.importers.mlflow_server import MlflowServer
from relive.client.importers.receive import Received, receive
from relive.client.importers.tensorboard import TensorboardFolder
from relive.client.importers.wandb import WandbFolder
from relive.errors import NotFound
from relive.replay.archived import is_archive, open_archive, receive_archive

_PATH = click.Path(exists=True, path_type=Path)


def _options(command: Any) -> Any:
    """Give a command what every import takes."""
    project = click.option("--project", default="", help="Where the runs go; default: this repository's.")
    return project(json_option(command))


class _Import(Group):
    """A group that takes a file for what `relive export --self-contained` wrote."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and is_archive(args[0]):
            return "relive", self.commands["relive"], args
        return super().resolve_command(ctx, args)


@click.group(name="import", cls=_Import)
def import_command() -> None:
    """Take over runs from other trackers; done again, it adds what is new.

    \b
    Example:
      relive import digits.zip      what `relive export --self-contained` wrote
    """


@import_command.command()
@click.argument("place")
@click.option("--token", default="", help="For the server.")
@_options
def mlflow(place: str, token: str, project: str, as_json: bool) -> None:
    """Take over the runs of an MLflow server (its URL), a folder mlruns, or a file mlflow.db.

    Params, tags, every point, times and artifacts are kept; models stay artifacts of their runs.

    \b
    Examples:
      relive import mlflow http://localhost:5000
      relive import mlflow ./mlruns --project digits
    """
    is_url = place.startswith(("http://", "https://"))
    _receive(MlflowServer(place, token) if is_url else open_files(Path(place)), project, as_json=as_json)


@import_command.command()
@click.argument("folder", type=_PATH)
@_options
def tensorboard(folder: Path, project: str, as_json: bool) -> None:
    """Take over the event files below a FOLDER: scalars, media, hyperparameters.

    \b
    Example:
      relive import tensorboard ./runs
    """
    _receive(TensorboardFolder(folder), project, as_json=as_json)


@import_command.command()
@click.argument("folder", type=_PATH)
@_options
def wandb(folder: Path, project: str, as_json: bool) -> None:
    """Take over offline runs of W&B: a FOLDER wandb/, or that of one run.

    \b
    Example:
      relive import wandb ./wandb
    """
    _receive(WandbFolder(folder), project, as_json=as_json)


@import_command.command()
@click.argument("folder", type=_PATH)
@_options
def relive(folder: Path, project: str, as_json: bool) -> None:
    """Take over what `relive export` wrote to a FOLDER or, self-contained, to a file, without loss.

    Of a file, code, data and wheels come with the run: this hub can replay it. Traces and data sets for
    evaluation keep their ids; those that another project of the hub has stay there.

    \b
    Examples:
      relive import relive ./digits-runs
      relive import digits.zip
    """
    if folder.is_file():
        project = project or str(open_archive(folder).document["run"]["project"])
        _tell(receive_archive(connect(), folder, project, said=_say), project, as_json=as_json)
    else:
        _receive_folder(folder, project, as_json=as_json)


def _receive(source: Source, project: str, *, as_json: bool) -> None:
    project = project or _project(source)
    _tell(receive(connect(), source, project, said=_say), project, as_json=as_json)


def _receive_folder(folder: Path, project: str, *, as_json: bool) -> None:
    source, hub = ExportedFolder(folder), connect()
    project = project or _project(source)
    received = receive(hub, source, project, said=_say)
    copied = bring_copies(hub, folder, project, {run.key: run.run_id for run in received})
    _tell(received, project, as_json=as_json, copied=copied)


def _tell(received: list[Received], project: str, *, as_json: bool, copied: Copied | None = None) -> None:
    lost = [run for run in received if not run.is_whole]
    if as_json:
        beside = {} if copied is None else msgspec.to_builtins(copied)
        print_json({"project": project, "runs": received} | beside)
    else:
        sent, stored = sum(run.sent for run in received), sum(run.stored for run in received)
        runs, points = plural(len(received), "run"), plural(sent, "point")
        out.print(f"{runs} in project {escape(project)}: {points} sent, {stored:,} stored.")
        _say_copied(copied or Copied())
    if lost:
        names = ", ".join(run.name for run in lost[:5])
        raise click.ClickException(f"The hub has fewer points than were sent, of {names}.")


def _say_copied(copied: Copied) -> None:
    if copied.traces:
        out.print(f"{plural(copied.traces, 'trace')} brought.")
    if copied.datasets:
        out.print(f"{plural(copied.datasets, 'data set')} for evaluation brought.")
    if copied.elsewhere:
        names = ", ".join(copied.elsewhere[:5])
        said = f"{len(copied.elsewhere):,} stay in another project of this hub: {names}"
        err.print(f"[yellow]![/] {escape(said)}")


def _project(source: Source) -> str:
    try:
        return current_project()
    except NotFound:
        return source.name


def _say(run: Received) -> None:
    files = f", {plural(run.artifacts, 'artifact')}" if run.artifacts else ""
    same = f" ({run.repeated:,} of them repeated)" if run.repeated else ""
    points = f"{run.sent:,} points sent{same}, {run.stored:,} stored"
    err.print(f"{run.run_id[:8]} {escape(run.name)}: {points}{files}")
    if run.note:
        err.print(f"  [yellow]![/] {escape(run.note)}")
