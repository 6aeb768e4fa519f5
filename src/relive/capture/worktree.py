"""What git knows of a work tree, asked without changing anything in it.

Git works on a copy of the index, because even a question may refresh it; the configuration of system and
user is off, because it can start programs; of the user's, only the list of ignored files is taken over.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from relive.capture.secrets import without_user_info
from relive.errors import GitFailed

_TIMEOUT_S: Final = 300.0
_SUBMODULE: Final = "160000"
_QUIET: Final = (
    *("-c", "core.fsmonitor=false"),
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "core.quotePath=false"),
    # A mounted work tree may belong to someone else; what could start programs is switched off above.
    *("-c", "safe.directory=*"),
)


@dataclass(frozen=True)
class WorkTree:
    """A work tree as git sees it; paths are relative to its root.

    Attributes:
        commit: Empty before the first commit.
        branch: Empty if no branch is checked out.
        remote: Address of the origin without user info, empty if it has none.
        dirty: Tracked files differ from the commit, or there are untracked ones.
        staged: Files whose next commit would differ from this one.
        unstaged: Tracked files that differ from what is staged.
        pushed: Whether a branch of a remote, as last fetched or pushed, holds the commit.
        tracked: Files of the index; some may be gone from the folder.
        untracked: Files that are neither tracked nor ignored; with a `/` at the end, a repository inside.
        ignored: Files and whole folders that rules ignore.
        submodules: Path to the commit that the index asks for.
    """

    root: Path
    commit: str
    branch: str
    remote: str
    dirty: bool
    pushed: bool
    tracked: tuple[str, ...]
    untracked: tuple[str, ...]
    ignored: tuple[str, ...]
    submodules: dict[str, str] = field(default_factory=dict)
    staged: tuple[str, ...] = ()
    unstaged: tuple[str, ...] = ()


def find_root(folder: Path) -> Path | None:
    """Give the root of the work tree that a folder lies in, None if it lies in none or git is missing."""
    if shutil.which("git") is None:
        return None
    done = _run(folder, _environment(), "rev-parse", "--show-toplevel")
    text = os.fsdecode(done.stdout).removesuffix("\n")
    return Path(text) if done.returncode == 0 and text else None


def read_head(folder: Path) -> tuple[str, str]:
    """Give commit and branch of the work tree that a folder lies in; empty where there is none."""
    if shutil.which("git") is None:
        return "", ""
    done = _run(folder, _environment(), "rev-parse", "HEAD", "--abbrev-ref", "HEAD")
    lines = done.stdout.decode(errors="replace").splitlines()
    if done.returncode != 0 or len(lines) != 2:
        return "", ""
    return lines[0], "" if lines[1] == "HEAD" else lines[1]


def read_worktree(root: Path) -> WorkTree:
    """Ask git about a work tree.

    Raises:
        GitFailed: Git gave an error, or took too long.
    """
    with _private_index(root) as git:
        commit = git.line("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        tracked, submodules = _staged(git)
        untracked = git.names("ls-files", "-z", "--others", "--exclude-standard")
        differs = _differs(git, commit)
        staged, unstaged = _changed(git, commit) if differs else ((), ())
        return WorkTree(
            root=root,
            commit=commit,
            branch=git.line("symbolic-ref", "--quiet", "--short", "HEAD"),
            remote=without_user_info(git.line("config", "--get", "remote.origin.url")),
            dirty=bool(untracked) or differs,
            pushed=bool(commit) and _is_pushed(git, commit),
            tracked=tracked,
            untracked=untracked,
            ignored=git.names("ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory"),
            submodules=submodules,
            staged=staged,
            unstaged=unstaged,
        )


class _Git:
    """Git on one work tree with a private index."""

    def __init__(self, root: Path, environment: dict[str, str], excludes: str) -> None:
        self._root = root
        self._environment = environment
        self._options = ("-c", f"core.excludesFile={excludes}") if excludes else ()

    def run(self, *words: str) -> "subprocess.CompletedProcess[bytes]":
        """Run git, whatever its exit code says."""
        return _run(self._root, self._environment, *self._options, *words)

    def line(self, *words: str) -> str:
        """Give the one line that git answers, empty if it says that there is none."""
        return self.run(*words).stdout.decode(errors="replace").strip()

    def names(self, *words: str) -> tuple[str, ...]:
        """Give the names that git answers, separated by NUL."""
        done = self.run(*words)
        if done.returncode != 0:
            raise _failed(self._root, done.stderr.decode(errors="replace"))
        return tuple(os.fsdecode(name) for name in done.stdout.split(b"\0") if name)


@contextmanager
def _private_index(root: Path) -> Iterator[_Git]:
    environment = _environment()
    found = _run(root, environment, "rev-parse", "--git-path", "index")
    if found.returncode != 0:
        raise _failed(root, found.stderr.decode(errors="replace"))
    index = root / os.fsdecode(found.stdout).removesuffix("\n")
    with tempfile.TemporaryDirectory(prefix="relive-index-") as folder:
        private = Path(folder) / "index"
        if index.exists():
            # With its times: git compares them with those of the files to know which it must read again.
            shutil.copy2(index, private)
        yield _Git(root, {**environment, "GIT_INDEX_FILE": str(private)}, _excludes(root))


def _staged(git: _Git) -> tuple[tuple[str, ...], dict[str, str]]:
    tracked: dict[str, None] = {}
    submodules: dict[str, str] = {}
    for entry in git.names("ls-files", "-z", "--cached", "--stage"):
        facts, _, path = entry.partition("\t")
        mode, commit, _ = facts.split(" ")
        if mode == _SUBMODULE:
            submodules[path] = commit
        else:
            tracked[path] = None  # once, where a merge left several stages
    return tuple(tracked), submodules


def _differs(git: _Git, commit: str) -> bool:
    if not commit:
        return True
    git.run("update-index", "-q", "--refresh")
    return git.run("diff-index", "--quiet", commit, "--").returncode != 0


def _changed(git: _Git, commit: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Give what is staged, and what was changed without that; submodules tell of themselves."""
    names = ("-z", "--name-only", "--no-renames", "--ignore-submodules=all")
    ask = ("diff-index", "--cached", *names, commit, "--") if commit else ("ls-files", "-z")
    return git.names(*ask), git.names("diff-files", *names)


def _is_pushed(git: _Git, commit: str) -> bool:
    return bool(git.line("for-each-ref", "--count=1", f"--contains={commit}", "refs/remotes"))


def _excludes(root: Path) -> str:
    """Give the user's own list of ignored files: what people keep out of git everywhere, secrets among it."""
    environment = {**_environment(), "GIT_CONFIG_GLOBAL": ""}
    del environment["GIT_CONFIG_GLOBAL"]
    done = _run(root, environment, "config", "--get", "--type=path", "core.excludesFile")
    configured = os.fsdecode(done.stdout).removesuffix("\n")
    if configured:
        return configured
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    default = os.path.join(base, "git", "ignore")
    return default if os.path.isfile(default) else ""


def _environment() -> dict[str, str]:
    # Inside a git hook GIT_DIR and its like name another repository.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {
        **kept,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }


def _run(folder: Path, environment: dict[str, str], *words: str) -> "subprocess.CompletedProcess[bytes]":
    command = ["git", *_QUIET, *words]
    try:
        return subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _failed(folder, str(error)) from error


def _failed(folder: Path, reason: str) -> GitFailed:
    return GitFailed(action=f"read the work tree {folder}", reason=reason.strip()[:1000])
