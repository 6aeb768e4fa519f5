"""`relive init`: make a repository ready to be pushed."""

import re
import subprocess
import sys
from pathlib import Path

import click

from relive.cli.detect import detect, render
from relive.cli.output import escape, json_option, out, print_json
from relive.cli.repository import REMOTE, git, work_tree
from relive.client.hub import connect
from relive.core.ids import check_name
from relive.formats.pipeline_file import parse_pipeline
from relive.wire.hub import ProjectDetail

FILE = "relive.yaml"


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path), default=".")
@click.option(
    "--project", default="", help="The project's name; default: that in relive.yaml, else the folder's."
)
@click.option("--force", is_flag=True, help="Write relive.yaml anew, even if there is one.")
@json_option
def init(folder: Path, project: str, force: bool, as_json: bool) -> None:
    """Make a repository ready: write relive.yaml, create the project, add the git remote.

    The file is fitted to what the folder holds; nothing is committed or pushed. The token for the hub goes
    to git through a credential helper: it never stands in an address or in .git/config.

    \b
    Examples:
      relive init
      relive init --project churn ../churn-model
    """
    root = work_tree(folder) or _make_repository(folder)
    name = check_name("project", project or _name_of(root))
    hub = connect()
    branch = git("symbolic-ref", "--short", "HEAD", folder=root, check=False) or "main"
    detail = hub.create_project(name, default_branch=branch)
    wrote = force or not (root / FILE).exists()
    if wrote:
        (root / FILE).write_text(render(detect(root), name))
    _add_remote(root, detail)
    if as_json:
        print_json({"project": name, "file": str(root / FILE), "wrote_file": wrote, "remote": detail.git_url})
        return
    out.print(escape(f"{'wrote' if wrote else 'kept '}  {FILE}"))
    out.print(escape(f"remote {REMOTE} → {detail.git_url}"))
    out.print(
        "next:  "
        + ("git add relive.yaml && git commit -m 'Add the pipeline' && " if wrote else "")
        + "git push relive "
        + branch
    )


def _make_repository(folder: Path) -> Path:
    git("init", "--quiet", "--initial-branch=main", folder=folder)
    return folder.absolute()


def _name_of(root: Path) -> str:
    file = root / FILE
    if file.exists() and (named := parse_pipeline(file.read_bytes(), path=FILE).project):
        return named
    return re.sub(r"[^A-Za-z0-9._-]+", "-", root.name).strip("-._") or "project"


def _add_remote(root: Path, detail: ProjectDetail) -> None:
    known = git("remote", folder=root).split()
    git("remote", "set-url" if REMOTE in known else "add", REMOTE, detail.git_url, folder=root)
    base = detail.git_url.rsplit("/git/", 1)[0]
    # The helper asks this machine's token file; an empty first value forgets helpers that would store it.
    key = f"credential.{base}.helper"
    subprocess.run(["git", "config", "--unset-all", key], cwd=root, check=False)
    git("config", "--add", key, "", folder=root)
    git("config", "--add", key, f"!{_quoted(sys.executable)} -m relive.cli git-credential", folder=root)
    git("config", f"credential.{base}.useHttpPath", "false", folder=root)


def _quoted(path: str) -> str:
    return "'" + path.replace("'", "'\\''") + "'"
