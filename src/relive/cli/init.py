"""`relive init`: make a repository ready to be pushed."""

import hashlib
import re
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import click

from relive.cli.detect import detect
from relive.cli.draft import render, seen
from relive.cli.output import err, escape, json_option, out, print_json
from relive.cli.repository import REMOTE, git, work_tree
from relive.client.hub import connect
from relive.core.ids import check_name, short_id
from relive.core.pipeline import PipelineSpec
from relive.errors import ReliveError
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

    The file is fitted to what the folder holds; nothing is committed or pushed. A folder that is no git
    repository becomes one. The remote decides which project a push goes to. The token for the hub goes
    to git through a credential helper: it never stands in an address or in .git/config.

    \b
    Examples:
      relive init
      relive init --project churn ../churn-model
    """
    root = work_tree(folder) or _make_repository(folder)
    # All that can fail on this side comes before the hub makes anything.
    before = _read(root, must_be_good=not force)
    kept = None if force else before
    name = check_name("project", project or (before and before.project) or _name_of(root))
    found = detect(root)
    hub = connect()
    branch = git("symbolic-ref", "--short", "HEAD", folder=root, check=False) or "main"
    if kept is None:
        (root / FILE).write_text(render(found, name))
    detail = hub.create_project(name, default_branch=branch)
    _add_remote(root, detail)
    if as_json:
        file = {"file": str(root / FILE), "wrote_file": kept is None}
        print_json({"project": name, **file, "remote": detail.git_url})
        return
    out.print(escape(f"project {name} → {detail.git_url}    (git remote {REMOTE})"))
    out.print(f"{'wrote' if kept is None else 'kept '}  {FILE}")
    for line in seen(found) if kept is None else ():
        out.print(escape(f"saw    {line}"))
    for line in _warnings(root, kept, detail):
        err.print(escape(f"note   {line}"))
    out.print(escape(f"next:  {_missing_commit(root)}git push {REMOTE} {branch}"))


def _make_repository(folder: Path) -> Path:
    git("init", "--quiet", "--initial-branch=main", folder=folder)
    err.print(escape(f"note   {folder.absolute()} was no git repository: git init made it one"))
    return folder.absolute()


def _read(root: Path, *, must_be_good: bool) -> PipelineSpec | None:
    file = root / FILE
    try:
        return parse_pipeline(file.read_bytes(), path=FILE) if file.exists() else None
    except ReliveError:
        if must_be_good:
            raise
        return None  # it is written anew


def _name_of(root: Path) -> str:
    """Make a project's name of the folder's; letters that names do not have lose their accents, or go."""
    plain = unicodedata.normalize("NFKD", root.name.replace("ß", "ss")).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-._")
    return name or f"repository-{hashlib.sha256(root.name.encode()).hexdigest()[:8]}"


def _warnings(root: Path, kept: PipelineSpec | None, detail: ProjectDetail) -> Iterator[str]:
    name = detail.project.name
    if kept is not None and kept.project not in ("", name):
        yield (
            f"{FILE} says `project: {kept.project}`, but the remote decides: pushes go to {name}. "
            "Change the file to agree."
        )
    ours = git("rev-list", "--max-parents=0", "HEAD", folder=root, check=False).split()
    is_shallow = git("rev-parse", "--is-shallow-repository", folder=root, check=False) == "true"
    if ours and detail.roots and not is_shallow and not set(ours) & set(detail.roots):
        yield (
            f"project {name} has another history (its first commit is {short_id(detail.roots[0])}), so a "
            "push will be refused. For a project of its own: relive init --project NAME"
        )


def _missing_commit(root: Path) -> str:
    """Give the command that is needed before a push; empty if relive.yaml is committed as it lies there."""
    if not git("rev-parse", "--verify", "--quiet", "HEAD", folder=root, check=False):
        return "git add --all && git commit -m 'First commit' && "
    if git("status", "--porcelain", "--ignored", "--", FILE, folder=root):
        return f"git add {FILE} && git commit -m 'Add the pipeline' && "
    return ""


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
