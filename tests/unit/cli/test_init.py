"""`relive init` on repositories as people have them."""

import subprocess
from pathlib import Path

import pytest

from tests.support.live import LiveHub
from tests.unit.cli.conftest import Shell

IDENTITY = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")


def git(folder: Path, *args: str) -> str:
    """Run git in a folder."""
    done = subprocess.run(
        ["git", *IDENTITY, *args], cwd=folder, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


def repository(folder: Path, text: str = "print(1)\n") -> Path:
    """Make a repository with one commit."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "train.py").write_text(text)
    commit(folder)
    return folder


def commit(folder: Path) -> None:
    """Commit all that lies there."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "change")


def next_step(said: str) -> str:
    """Give the command that is to be typed next."""
    (line,) = [line for line in said.splitlines() if line.startswith("next:")]
    return line.removeprefix("next:").strip()


COMMIT = "git add relive.yaml && git commit -m 'Add the pipeline' && git push relive main"


def test_the_file_must_be_committed_before_a_push(relive: Shell, tmp_path: Path) -> None:
    folder = repository(tmp_path / "wine")
    assert next_step(relive("init", str(folder)).out) == COMMIT
    assert next_step(relive("init", str(folder)).out) == COMMIT
    commit(folder)
    assert next_step(relive("init", str(folder)).out) == "git push relive main"
    (folder / "relive.yaml").write_text((folder / "relive.yaml").read_text() + "# more\n")
    assert next_step(relive("init", str(folder)).out) == COMMIT


def test_a_folder_without_a_repository_becomes_one_and_hears_of_it(relive: Shell, tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    said = relive("init", str(folder))
    assert f"{folder} was no git repository" in said.err
    assert next_step(said.out).startswith("git add --all && git commit -m 'First commit' && git push")


def test_what_was_seen_is_told_once(relive: Shell, tmp_path: Path) -> None:
    folder = repository(tmp_path / "wine", "import numpy\n")
    assert "saw    python train.py trains" in relive("init", str(folder)).lines
    assert "saw" not in relive("init", str(folder)).out


def test_another_history_under_the_same_name_is_noticed(relive: Shell, live: LiveHub, tmp_path: Path) -> None:
    first, second = repository(tmp_path / "a" / "wine"), repository(tmp_path / "b" / "wine", "print(2)\n")
    relive("init", str(first))
    # As a push leaves it; what carries it there is tried in tests/e2e.
    git(first, "push", "--quiet", str(live.services.place.data_dir / "git" / "wine.git"), "main")
    assert "history" not in relive("init", str(first)).err
    said = relive("init", str(second)).err
    root = git(first, "rev-list", "--max-parents=0", "HEAD")
    assert f"project wine has another history (its first commit is {root[:8]})" in said
    assert "relive init --project NAME" in said


def test_a_clone_that_is_behind_has_the_same_history(relive: Shell, live: LiveHub, tmp_path: Path) -> None:
    first = repository(tmp_path / "wine")
    relive("init", str(first))
    git(tmp_path, "clone", "--quiet", str(first), str(tmp_path / "clone"))
    (first / "more.py").write_text("")
    commit(first)
    git(first, "push", "--quiet", str(live.services.place.data_dir / "git" / "wine.git"), "main")
    assert "history" not in relive("init", str(tmp_path / "clone"), "--project", "wine").err


@pytest.mark.parametrize(
    ("folder", "project"),
    [
        ("qualité", "qualite"),
        ("churn model!", "churn-model"),
        ("Größe", "Grosse"),
        ("品質", "repository-82c7ca70"),
    ],
)
def test_the_projects_name_is_made_of_the_folders_and_said(
    relive: Shell, tmp_path: Path, folder: str, project: str
) -> None:
    said = relive("init", str(repository(tmp_path / folder)))
    assert said.out.startswith(f"project {project} → ")


def test_a_file_that_names_another_project_is_pointed_at(relive: Shell, tmp_path: Path) -> None:
    folder = repository(tmp_path / "wine")
    relive("init", str(folder))
    said = relive("init", str(folder), "--project", "cider")
    assert "relive.yaml says `project: wine`, but the remote decides: pushes go to cider" in said.err
    assert git(folder, "remote", "get-url", "relive").endswith("/git/cider.git")


def test_a_broken_file_leaves_no_project_behind(relive: Shell, tmp_path: Path) -> None:
    folder = repository(tmp_path / "wine")
    (folder / "relive.yaml").write_text("stages: [")
    before = relive("project", "list", "--json").json
    assert "not YAML" in relive("init", str(folder), "--project", "cider", code=None).err
    assert relive("project", "list", "--json").json == before
    relive("init", str(folder), "--project", "cider", "--force")
    assert (folder / "relive.yaml").read_text().startswith("# What a push of cider starts")


def test_a_project_made_by_mistake_can_be_deleted(relive: Shell, live: LiveHub, tmp_path: Path) -> None:
    relive("init", str(repository(tmp_path / "mistyped")))
    assert relive("project", "delete", "mistyped").out == "Project mistyped is gone.\n"
    assert not (live.services.place.data_dir / "git" / "mistyped.git").exists()
    assert "mistyped" not in relive("project", "list").out
    assert "no project 'mistyped'" in relive("project", "delete", "mistyped", code=1).err


def test_a_project_with_commits_is_kept(relive: Shell, live: LiveHub, tmp_path: Path) -> None:
    folder = repository(tmp_path / "wine")
    relive("init", str(folder))
    git(folder, "push", "--quiet", str(live.services.place.data_dir / "git" / "wine.git"), "main")
    assert "holds" in relive("project", "delete", "wine", code=1).err
    assert "wine" in relive("project", "list").out
