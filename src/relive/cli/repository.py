"""The git repository a command stands in, and the project its remote names."""

import subprocess
from pathlib import Path

from relive.errors import NotFound

REMOTE = "relive"


def git(*args: str, folder: Path | None = None, check: bool = True) -> str:
    """Run git and give what it printed, without the last line break.

    Raises:
        NotFound: git is not installed.
        subprocess.CalledProcessError: It failed, and `check` was asked for.
    """
    try:
        done = subprocess.run(["git", *args], cwd=folder, capture_output=True, text=True, check=check)
    except FileNotFoundError as error:
        raise NotFound(kind="program", name="git", hint="install git") from error
    return done.stdout.rstrip("\n")


def work_tree(folder: Path | None = None) -> Path | None:
    """Give the root of the repository that holds a folder, or None."""
    top = git("rev-parse", "--show-toplevel", folder=folder, check=False)
    return Path(top) if top else None


def current_project() -> str:
    """Give the project that this repository's remote names.

    Raises:
        NotFound: There is no repository here, or it has no remote of the hub.
    """
    name = remote_project()
    if not name:
        hint = "relive init    (or name the project)"
        raise NotFound(kind="git remote of this folder", name=REMOTE, hint=hint)
    return name


def remote_project() -> str:
    """Give the project that this repository's remote names; empty outside of one, or without a remote."""
    url = git("remote", "get-url", REMOTE, check=False)
    return url.rstrip("/").rsplit("/", 1)[-1].removesuffix(".git")
