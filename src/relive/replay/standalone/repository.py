"""A git repository around the files, whose HEAD is the recorded commit: programs ask git for it.

As `relive.runner.repository` makes one, which says what it holds and what not; a test holds the two together.
"""

import os
import subprocess
from pathlib import Path
from typing import Any, Final

MOST_BYTES: Final = 256 * 1024**2
_WITHIN_S: Final = 300.0
_NOBODY: Final = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "relive"), ("EMAIL", "relive@localhost"), ("DATE", "2000-01-01T00:00:00Z"))
}


def lay_repository(tree: Path, repository: dict[str, Any]) -> str:
    """Make a repository at the root of a tree.

    Args:
        tree: The files of the code; without `.git`.
        repository: Its commit, branch and remote; nothing for a run that lay in none.

    Returns:
        Why there is none or only a part of it; empty if all went well. A replay can do without.
    """
    if not repository:
        return ""
    try:
        _git(tree, "init", "--quiet", "--template=")
        _name_head(tree, repository)
        if _size_bytes(tree) > MOST_BYTES:
            return "the files are too large to be put into a repository of git's again"
        _git(tree, "add", "--all", "--force")
        made = _git(tree, "commit-tree", _git(tree, "write-tree"), "-m", "As it was recorded")
        _git(tree, "update-ref", f"refs/replace/{repository['commit']}", made)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", b"") or str(error).encode()
        return f"git could not make a repository: {said.decode(errors='replace').strip()}"
    return ""


def _name_head(tree: Path, repository: dict[str, Any]) -> None:
    head, branch = tree / ".git", repository["branch"]
    if branch and _is_branch(tree, branch):
        reference = head / "refs/heads" / branch
        reference.parent.mkdir(parents=True, exist_ok=True)
        reference.write_text(f"{repository['commit']}\n")
        (head / "HEAD").write_text(f"ref: refs/heads/{branch}\n")
    else:
        (head / "HEAD").write_text(f"{repository['commit']}\n")
    if repository["remote"]:
        _git(tree, "config", "remote.origin.url", repository["remote"])


def _is_branch(tree: Path, name: str) -> bool:
    try:
        _git(tree, "check-ref-format", f"refs/heads/{name}")
    except subprocess.CalledProcessError:
        return False
    return True


def _size_bytes(tree: Path) -> int:
    places = (Path(folder) / name for folder, _, names in os.walk(tree) for name in names)
    return sum(place.lstat().st_size for place in places)


def _git(tree: Path, *words: str) -> str:
    """Run git as nobody in particular: no settings of a person or machine, no hooks."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(
        ["git", "-c", "core.autocrlf=false", "-c", "core.compression=0", "-c", "gc.auto=0", *words],
        cwd=tree,
        env={**kept, **_NOBODY, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_WITHIN_S,
        check=True,
    )
    return done.stdout.decode().strip()
