"""A git repository around the files of a replay: programs ask git for their commit, and DVC needs one.

The record has the tree of a run and the name of its commit, not the commit itself. So the files are committed
anew, and a reference of git's own kind (`refs/replace`) says that this stands for the recorded commit:
`git rev-parse HEAD` gives the recorded one; status, log and diff work on what lies there. History, tags and
which changes were uncommitted are not there.
"""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from relive.core.recipe import Code

# Git keeps a second copy of each file; beyond this only the commit's name is there to be asked for.
MOST_BYTES: Final = 256 * 1024**2
_WITHIN_S: Final = 300.0
_NOBODY: Final = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "relive"), ("EMAIL", "relive@localhost"), ("DATE", "2000-01-01T00:00:00Z"))
}


def lay_repository(tree: Path, code: Code, size_bytes: int) -> str:
    """Make a repository at the root of a tree, whose HEAD is the recorded commit.

    Args:
        tree: The files as they were checked out; without `.git`.
        code: Names commit, branch and origin.
        size_bytes: Of all files together.

    Returns:
        Why there is none or only a part of it; empty if all went well. A replay can do without.
    """
    try:
        _git(tree, "init", "--quiet", "--template=")
        _name_head(tree, code)
        if size_bytes > MOST_BYTES:
            return "the files are too large to be put into a repository of git's again"
        _git(tree, "add", "--all", "--force")
        made = _git(tree, "commit-tree", _git(tree, "write-tree"), "-m", "As it was recorded")
        _git(tree, "update-ref", f"refs/replace/{code.commit}", made)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", b"") or str(error).encode()
        return f"git could not make a repository: {said.decode(errors='replace').strip()}"
    return ""


def _name_head(tree: Path, code: Code) -> None:
    head = tree / ".git"
    if code.branch and _is_branch(tree, code.branch):
        reference = head / "refs/heads" / code.branch
        reference.parent.mkdir(parents=True, exist_ok=True)
        reference.write_text(f"{code.commit}\n")
        (head / "HEAD").write_text(f"ref: refs/heads/{code.branch}\n")
    else:
        (head / "HEAD").write_text(f"{code.commit}\n")
    if code.remote:
        _git(tree, "config", "remote.origin.url", code.remote)


def _is_branch(tree: Path, name: str) -> bool:
    try:
        _git(tree, "check-ref-format", f"refs/heads/{name}")
    except subprocess.CalledProcessError:
        return False
    return True


def _git(tree: Path, *words: str) -> str:
    """Run git as nobody in particular: no settings of a person or machine, no hooks."""
    done = subprocess.run(
        ["git", "-c", "core.autocrlf=false", "-c", "core.compression=0", "-c", "gc.auto=0", *words],
        cwd=tree,
        env=_environment(os.environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_WITHIN_S,
        check=True,
    )
    return done.stdout.decode().strip()


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in environ.items() if not name.startswith("GIT_")}
    return {**kept, **_NOBODY, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
