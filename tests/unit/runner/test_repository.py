"""A replay's files lie in a repository whose HEAD is the recorded commit."""

import subprocess
from pathlib import Path

import pytest

from relive.core.recipe import Code
from relive.runner import repository
from relive.runner.repository import lay_repository

COMMIT = "3228f045f24a58dd6613a6d08402f2c761ebc714"


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    folder = tmp_path / "tree"
    (folder / "src").mkdir(parents=True)
    (folder / "src/train.py").write_text("print(1)\n")
    (folder / ".gitignore").write_text("*.log\n")
    (folder / "kept.log").write_text("tracked although it is ignored\n")
    return folder


def git(tree: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=tree, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def code(*, branch: str = "main", remote: str = "") -> Code:
    return Code(manifest="m", commit=COMMIT, branch=branch, remote=remote)


def test_programs_find_the_recorded_commit_and_a_clean_tree(tree: Path) -> None:
    assert lay_repository(tree, code(remote="https://git.example.org/a.git"), 100) == ""
    assert git(tree, "rev-parse", "HEAD") == COMMIT
    assert git(tree, "rev-parse", "--short", "HEAD") == COMMIT[:7]
    assert git(tree, "branch", "--show-current") == "main"
    assert git(tree, "status", "--porcelain") == ""
    assert git(tree, "log", "-1", "--format=%H %an") == f"{COMMIT} relive"
    assert git(tree, "describe", "--always", "--dirty") == COMMIT[:7]
    assert git(tree, "config", "remote.origin.url") == "https://git.example.org/a.git"
    assert git(tree / "src", "rev-parse", "--show-toplevel") == str(tree)
    assert "kept.log" in git(tree, "ls-files").splitlines()


def test_what_the_replay_changes_is_seen(tree: Path) -> None:
    lay_repository(tree, code(), 100)
    (tree / "src/train.py").write_text("print(2)\n")
    assert git(tree, "status", "--porcelain") == "M src/train.py"
    assert "+print(2)" in git(tree, "diff", "HEAD")


@pytest.mark.parametrize("branch", ["", "../../escape", "a..b", "-x/.lock"])
def test_without_a_branch_that_git_would_have_the_head_is_detached(tree: Path, branch: str) -> None:
    assert lay_repository(tree, code(branch=branch), 100) == ""
    assert (git(tree, "rev-parse", "HEAD"), git(tree, "branch", "--show-current")) == (COMMIT, "")


def test_two_trees_with_the_same_files_get_the_same_objects(tree: Path) -> None:
    lay_repository(tree, code(), 100)
    first = git(tree, "--no-replace-objects", "rev-parse", f"refs/replace/{COMMIT}")
    subprocess.run(["rm", "-r", ".git"], cwd=tree, check=True)
    lay_repository(tree, code(), 100)
    assert git(tree, "--no-replace-objects", "rev-parse", f"refs/replace/{COMMIT}") == first


def test_large_files_are_not_copied_and_the_commit_is_named_all_the_same(tree: Path) -> None:
    assert "too large" in lay_repository(tree, code(), repository.MOST_BYTES + 1)
    assert git(tree, "rev-parse", "HEAD") == COMMIT


def test_no_git_is_no_error(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tree))
    assert lay_repository(tree, code(), 100).startswith("git could not make a repository")
