"""The code of a run by hand, from real work trees: what is stored, what is only named, what is untouched."""

import os
import subprocess
from pathlib import Path

import pytest

from relive.capture import code as code_module
from relive.capture.code import CodeSnapshot, snapshot_code
from relive.capture.worktree import read_head, read_worktree
from relive.errors import GitFailed, InvalidInput
from relive.formats.hashing import hash_file
from relive.formats.manifest_io import read_manifest


@pytest.fixture(autouse=True)
def _own_git_settings(tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "protocol.file.allow=always"]
    done = subprocess.run(
        ["git", *identity, *words], cwd=folder, capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout.strip()


def write(path: Path, text: str = "x\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def repo(tmp_path):
    folder = tmp_path / "repo"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    write(folder / "train.py", "print(1)\n")
    write(folder / "src/model.py")
    write(folder / ".gitignore", "*.log\nout/\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "first")
    return folder


def paths(snapshot: CodeSnapshot) -> list[str]:
    return [file.path for file in snapshot.files]


def test_a_clean_work_tree_is_its_commit(repo):
    snapshot = snapshot_code(repo)
    assert paths(snapshot) == [".gitignore", "src/model.py", "train.py"]
    assert snapshot.commit == git(repo, "rev-parse", "HEAD")
    assert (snapshot.branch, snapshot.dirty, snapshot.workdir) == ("main", False, ".")
    assert snapshot.withheld == {}


def test_changed_staged_and_untracked_files_are_taken_as_they_lie_there(repo):
    write(repo / "train.py", "print('staged')\n")
    git(repo, "add", "train.py")
    write(repo / "train.py", "print('on disk')\n")
    write(repo / "staged.py")
    git(repo, "add", "staged.py")
    write(repo / "new dir/ünïcode.py")
    (repo / "src/model.py").unlink()
    snapshot = snapshot_code(repo)
    assert paths(snapshot) == [".gitignore", "new dir/ünïcode.py", "staged.py", "train.py"]
    assert snapshot.dirty
    (train,) = [file for file in snapshot.files if file.path == "train.py"]
    assert train.source.read_text() == "print('on disk')\n"
    manifest = read_manifest(snapshot.root, paths(snapshot))
    assert [entry.path for entry in manifest.entries] == paths(snapshot)
    assert snapshot.code("blake3:x").dirty


def test_staged_changed_and_new_files_are_told_apart(repo):
    write(repo / "train.py", "print(2)\n")
    git(repo, "add", "train.py")
    write(repo / "train.py", "print(3)\n")
    write(repo / "src/model.py", "y\n")
    write(repo / "new.py")
    write(repo / "added.py")
    git(repo, "add", "added.py")
    git(repo, "rm", "-q", "--cached", ".gitignore")
    found = snapshot_code(repo).uncommitted
    assert found.staged == (".gitignore", "added.py", "train.py")
    assert found.unstaged == ("src/model.py", "train.py")
    assert found.untracked == (".gitignore", "new.py")
    assert str(found).startswith("staged: .gitignore, added.py, train.py; unstaged: src/model.py, train.py; ")


def test_a_clean_tree_has_nothing_uncommitted_and_a_first_one_all_of_it(repo, tmp_path):
    assert str(snapshot_code(repo).uncommitted) == ""
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    git(fresh, "init", "-q")
    for number in range(101):
        write(fresh / f"{number:03d}.py")
    git(fresh, "add", "-A")
    found = snapshot_code(fresh).uncommitted
    assert found.unstaged == found.untracked == ()
    assert found.staged[0] == "000.py"
    assert found.staged[100:] == ("… 1 more",)


def test_only_a_changed_file_makes_it_dirty_not_its_times(repo):
    os.utime(repo / "train.py", (1, 1))
    assert not snapshot_code(repo).dirty
    write(repo / "train.py", "print(2)\n")
    assert snapshot_code(repo).dirty


def test_the_users_index_and_folder_are_untouched(repo):
    write(repo / "train.py", "print('staged')\n")
    git(repo, "add", "train.py")
    write(repo / "untracked.py")
    os.utime(repo / "src/model.py", (1, 1))  # git would refresh this entry
    index = (repo / ".git/index").read_bytes()
    before = sorted((path, path.lstat().st_mtime_ns) for path in repo.rglob("*"))
    snapshot_code(repo)
    assert (repo / ".git/index").read_bytes() == index
    assert sorted((path, path.lstat().st_mtime_ns) for path in repo.rglob("*")) == before


def test_a_folder_inside_a_work_tree_brings_the_whole_tree(repo):
    snapshot = snapshot_code(repo / "src")
    assert snapshot.root == repo
    assert snapshot.workdir == "src"
    assert "train.py" in paths(snapshot)


def test_ignored_files_and_secrets_are_named_and_never_stored(repo, tmp_path):
    write(repo / "run.log", "secret")
    write(repo / "out/model.bin")
    write(repo / ".env", "PASSWORD=1")
    write(repo / "deploy/server.pem")
    git(repo, "add", "-f", "deploy/server.pem")
    write(tmp_path / "home/.config/git/ignore", "*.private\n")
    write(repo / "notes.private")
    snapshot = snapshot_code(repo)
    assert paths(snapshot) == [".gitignore", "src/model.py", "train.py"]
    assert snapshot.withheld == {
        ".env": "name of a secret (.env)",
        "deploy/server.pem": "name of a secret (*.pem)",
        "notes.private": "ignored by git",
        "out": "ignored by git",
        "run.log": "ignored by git",
    }


def test_a_link_is_kept_inside_the_tree_and_named_when_it_leads_out(repo, tmp_path):
    write(tmp_path / "outside.txt", "secret")
    write(repo / ".env", "SECRET=1")
    (repo / "inside.py").symlink_to("src/model.py")
    (repo / "folder").symlink_to("src")
    (repo / "out1").symlink_to("../outside.txt")
    (repo / "out2").symlink_to(tmp_path / "outside.txt")
    (repo / "sly").symlink_to("src/../../outside.txt")
    (repo / "to_secret").symlink_to(".env")
    (repo / "to_link").symlink_to("to_secret")
    (repo / "dangling").symlink_to("absent")
    snapshot = snapshot_code(repo)
    links = {file.path: file.link for file in snapshot.files if file.link is not None}
    assert links == {"inside.py": "src/model.py", "folder": "src"}
    assert {"out1", "out2", "sly", "to_secret", "to_link", "dangling", ".env"} == snapshot.withheld.keys()
    # What stores the files must find nothing to follow.
    entries = read_manifest(snapshot.root, paths(snapshot)).entries
    assert {entry.path: entry.link for entry in entries if entry.link is not None} == links


def test_a_folder_that_became_a_link_is_not_followed(repo, tmp_path):
    write(tmp_path / "elsewhere/model.py", "other")
    (repo / "src/model.py").unlink()
    (repo / "src").rmdir()
    (repo / "src").symlink_to(tmp_path / "elsewhere")
    snapshot = snapshot_code(repo)
    assert paths(snapshot) == [".gitignore", "train.py"]
    assert "not followed" in snapshot.withheld["src"]


def test_large_untracked_files_are_digested_and_tracked_ones_stored(repo, monkeypatch):
    monkeypatch.setattr(code_module, "LARGEST_UNTRACKED_BYTES", 100)
    large = write(repo / "data.csv", "1" * 1000)
    write(repo / "tracked.csv", "2" * 1000)
    git(repo, "add", "tracked.csv")
    snapshot = snapshot_code(repo)
    assert "tracked.csv" in paths(snapshot)
    assert "data.csv" not in paths(snapshot)
    assert hash_file(large).digest in snapshot.withheld["data.csv"]
    assert snapshot.withheld["data.csv"].endswith("relive run --dep data.csv")


def test_pipes_nested_repositories_and_odd_names_are_named(repo):
    os.mkfifo(repo / "pipe")
    git(repo, "init", "-q", "nested")
    write(repo / "nested/file.py")
    (repo / os.fsdecode(b"odd-\xff.py")).write_text("x")
    snapshot = snapshot_code(repo)
    assert paths(snapshot) == [".gitignore", "src/model.py", "train.py"]
    # Git does not show pipes at all.
    assert snapshot.withheld == {
        "nested": "a git repository of its own",
        "odd-\\udcff.py": "its name is not UTF-8",
    }


def test_programs_are_marked(repo):
    (repo / "train.py").chmod(0o755)
    assert [file.executable for file in snapshot_code(repo).files] == [False, False, True]


def test_submodules_are_part_of_the_tree_at_their_own_commit(repo, tmp_path):
    library = tmp_path / "library"
    library.mkdir()
    git(library, "init", "-q", "-b", "main")
    write(library / "lib.py")
    git(library, "add", "-A")
    git(library, "commit", "-q", "-m", "lib")
    git(repo, "submodule", "add", "-q", str(library), "libs/one")
    git(repo, "commit", "-q", "-m", "with lib")
    snapshot = snapshot_code(repo)
    assert "libs/one/lib.py" in paths(snapshot)
    assert snapshot.submodules == {"libs/one": git(library, "rev-parse", "HEAD")}
    assert not snapshot.dirty
    write(repo / "libs/one/lib.py", "changed")
    assert snapshot_code(repo).dirty
    git(repo, "submodule", "deinit", "-f", "-q", "libs/one")
    left = snapshot_code(repo)
    assert left.withheld["libs/one"] == "submodule that is not checked out"
    assert left.submodules == snapshot.submodules


def test_the_origin_has_no_user_info_and_pushed_commits_are_known(repo, tmp_path):
    assert not snapshot_code(repo).pushed
    git(tmp_path, "init", "-q", "--bare", "origin.git")
    git(repo, "remote", "add", "origin", str(tmp_path / "origin.git"))
    git(repo, "push", "-q", "origin", "main")
    assert snapshot_code(repo).pushed
    git(repo, "remote", "set-url", "origin", "https://me:token@host.example/r.git")
    assert snapshot_code(repo).remote == "https://host.example/r.git"
    write(repo / "more.py")
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "-m", "second")
    assert not snapshot_code(repo).pushed


def test_a_repository_without_a_commit(tmp_path):
    folder = tmp_path / "fresh"
    folder.mkdir()
    git(folder, "init", "-q")
    write(folder / "train.py")
    snapshot = snapshot_code(folder)
    assert (snapshot.commit, snapshot.dirty, paths(snapshot)) == ("", True, ["train.py"])
    assert read_head(folder) == ("", "")


def test_a_detached_head_and_a_linked_work_tree(repo, tmp_path):
    git(repo, "worktree", "add", "-q", "--detach", str(tmp_path / "linked"))
    snapshot = snapshot_code(tmp_path / "linked")
    assert snapshot.branch == ""
    assert snapshot.commit == git(repo, "rev-parse", "HEAD")
    assert not snapshot.dirty
    assert read_head(tmp_path / "linked") == (snapshot.commit, "")
    assert read_head(repo) == (snapshot.commit, "main")


def test_files_in_a_merge_conflict_are_taken_once(repo):
    git(repo, "checkout", "-q", "-b", "other")
    write(repo / "train.py", "print('other')\n")
    git(repo, "commit", "-q", "-am", "other")
    git(repo, "checkout", "-q", "main")
    write(repo / "train.py", "print('main')\n")
    git(repo, "commit", "-q", "-am", "main")
    with pytest.raises(subprocess.CalledProcessError):
        git(repo, "merge", "-q", "other")
    snapshot = snapshot_code(repo)
    assert paths(snapshot).count("train.py") == 1
    assert snapshot.dirty


def test_programs_named_in_a_repositorys_settings_are_not_started(repo, tmp_path):
    trap = write(tmp_path / "trap.sh", f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    git(repo, "config", "core.fsmonitor", str(trap))
    git(repo, "config", "core.hooksPath", str(tmp_path))
    write(repo / "untracked.py")
    snapshot_code(repo)
    assert not (tmp_path / "sprung").exists()


def test_inside_a_hook_of_another_repository_the_folder_counts(repo, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert "train.py" in paths(snapshot_code(repo))


def test_a_damaged_index_is_an_error_that_names_the_tree(repo):
    (repo / ".git/index").write_bytes(b"broken")
    with pytest.raises(GitFailed, match="repo"):
        read_worktree(repo)


def test_outside_git_the_folder_is_the_tree_without_what_tools_make(tmp_path):
    folder = tmp_path / "plain"
    for name in ("train.py", "src/a.py", "src/__pycache__/a.pyc", "a.pyc", "node_modules/x.js", ".env"):
        write(folder / name)
    write(folder / "my-env/pyvenv.cfg")
    write(folder / "env/world.py")  # a package of that name, not an environment
    (folder / "link").symlink_to("src")
    snapshot = snapshot_code(folder)
    assert paths(snapshot) == ["env/world.py", "link", "src/a.py", "train.py"]
    assert snapshot.withheld == {
        ".env": "name of a secret (.env)",
        "my-env": "ignored by default",
        "node_modules": "ignored by default",
    }
    assert (snapshot.commit, snapshot.workdir) == ("", ".")


def test_a_folder_that_is_no_project_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(code_module, "MOST_FILES", 5)
    for number in range(6):
        write(tmp_path / f"plain/{number}.txt")
    with pytest.raises(InvalidInput, match="git init"):
        snapshot_code(tmp_path / "plain")
    with pytest.raises(InvalidInput):
        snapshot_code(tmp_path / "absent")


def test_a_machine_without_git_takes_the_folder(repo, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    snapshot = snapshot_code(repo)
    assert snapshot.commit == ""
    assert "train.py" in paths(snapshot)
    assert ".git" in snapshot.withheld
    assert read_head(repo) == ("", "")


def test_the_list_of_what_is_withheld_is_bounded(repo, monkeypatch):
    monkeypatch.setattr(code_module, "MOST_WITHHELD", 3)
    for number in range(6):
        write(repo / f"{number}.log")
    withheld = snapshot_code(repo).withheld
    assert len(withheld) == 4
    assert withheld["…"] == "3 more"


@pytest.mark.parametrize("is_git", [True, False])
def test_what_tools_make_of_the_code_is_no_part_of_it_and_not_even_named(tmp_path, is_git):
    (tmp_path / "train.py").write_text("x")
    if is_git:
        subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
        (tmp_path / ".gitignore").write_text(".mypy_cache\n")
    before = snapshot_code(tmp_path)
    for path in ("__pycache__/a.cpython-311.pyc", "pkg/__pycache__/b.pyc", ".mypy_cache/x", "old.pyc"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("y")
    after = snapshot_code(tmp_path)
    assert [file.path for file in after.files] == [file.path for file in before.files]
    assert after.withheld == before.withheld
