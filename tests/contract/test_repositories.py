"""The projects' bare repositories: what `ports.repositories.Repositories` promises, with the real git."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relive.core.artifact import Manifest
from relive.errors import Conflict, GitFailed, InvalidInput, InvalidName, NotFound, StoreFull
from relive.formats.hashing import blake3_digest
from relive.ports.blobs import BlobInfo
from relive.ports.repositories import ARCHIVE, Repositories
from relive.stores.blobs.local import LocalBlobStore
from relive.stores.git import command, layout
from relive.stores.git.repositories import GitRepositories
from relive.stores.git.snapshot import is_lfs_pointer

PATIENCE_S = 90.0
SUBMODULE = "1" * 40
LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


class Work:
    """A work tree whose commits are pushed straight into a project's repository."""

    def __init__(self, folder: Path, bare: Path) -> None:
        self.folder, self.bare = folder, bare
        folder.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")

    def git(self, *args: str, stdin: bytes = b"") -> str:
        own = {"GIT_CONFIG_NOSYSTEM": "1", "HOME": str(self.folder), "LC_ALL": "C"}
        people = {
            f"GIT_{who}_{what}": value
            for who in ("AUTHOR", "COMMITTER")
            for what, value in (
                ("NAME", "Mia Ähre"),
                ("EMAIL", "mia@example.org"),
                ("DATE", "1700000000 +0200"),
            )
        }
        done = subprocess.run(
            ["git", *args],
            cwd=self.folder,
            env={**os.environ, **own, **people},
            input=stdin,
            capture_output=True,
            timeout=PATIENCE_S,
        )
        assert done.returncode == 0, f"git {args}: {done.stderr.decode()}"
        return done.stdout.decode(errors="surrogateescape").strip()

    def write(self, path: str, data: bytes = b"", *, mode: int = 0o644) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        file.chmod(mode)

    def submodule(self, path: str) -> None:
        """Add a submodule to the index; it lasts if its folder exists."""
        (self.folder / path).mkdir(parents=True)
        self.git("update-index", "--add", "--cacheinfo", f"160000,{SUBMODULE},{path}")

    def commit(self, title: str = "a commit") -> str:
        self.git("add", "--all")
        self.git("commit", "-q", "--allow-empty", "-m", title)
        self.git("push", "-q", "--force", str(self.bare), "HEAD:main")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repositories(tmp_path: Path) -> GitRepositories:
    repositories = GitRepositories(tmp_path / "git", protocols=("file",))
    repositories.ensure("demo")
    return repositories


@pytest.fixture
def work(tmp_path: Path, repositories: GitRepositories) -> Work:
    return Work(tmp_path / "work", repositories.path("demo"))


@pytest.fixture
def blobs(tmp_path: Path) -> LocalBlobStore:
    return LocalBlobStore(tmp_path / "blobs")


def test_it_keeps_the_port(repositories):
    port: Repositories = repositories
    assert port.exists("demo")
    assert not port.exists("other")


# --- making and mending ----------------------------------------------------------------------------------


def test_making_it_twice_changes_nothing(repositories, work):
    commit = work.commit()
    before = {
        path: path.stat().st_mtime_ns for path in repositories.path("demo").rglob("*") if path.is_file()
    }
    repositories.ensure("demo")
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert repositories.refs("demo") == {"refs/heads/main": commit}


def test_git_finds_nothing_wrong_with_what_was_made(repositories):
    assert command.run(["fsck", "--strict"], repositories.path("demo")) == b""
    assert command.run(["rev-parse", "--is-bare-repository"], repositories.path("demo")) == b"true\n"
    wanted = {
        "core.hookspath": str(repositories.hooks_folder),
        "receive.fsckobjects": "true",
        "receive.maxinputsize": str(100 * 2**20),
        "receive.advertisepushoptions": "true",
        "uploadpack.allowanysha1inwant": "true",
        "http.receivepack": "true",
    }
    for name, value in wanted.items():
        assert command.run(["config", name], repositories.path("demo")).decode().strip() == value


@pytest.mark.parametrize(
    "break_it",
    [
        lambda path: (path / "HEAD").unlink(),
        lambda path: (path / "HEAD").write_bytes(b""),
        lambda path: (path / "HEAD").write_bytes(b"\0" * 41),
        lambda path: (path / "config").unlink(),
        lambda path: (path / "config").write_bytes(b"\0" * 100),
        lambda path: (path / "config").write_text("[core]\n\thooksPath = elsewhere\n"),
        lambda path: (path / "refs/tags").rmdir(),
        lambda path: (path / "refs/heads/main.lock").touch(),
        lambda path: (path / "packed-refs.lock").touch(),
    ],
)
def test_what_is_broken_is_mended(repositories, work, break_it):
    commit = work.commit()
    break_it(repositories.path("demo"))
    repositories.ensure("demo")
    assert repositories.refs("demo") == {"refs/heads/main": commit}
    work.commit()
    assert command.run(["config", "core.bare"], repositories.path("demo")) == b"true\n"


def test_killed_at_any_call_the_next_one_makes_it_whole(tmp_path):
    script = Path(__file__).with_name("killed_in_ensure.py")
    for n_calls in range(0, 400, 3):
        root = tmp_path / str(n_calls)
        done = subprocess.run(
            [sys.executable, str(script), str(root), str(n_calls)], capture_output=True, timeout=PATIENCE_S
        )
        repositories = GitRepositories(root)
        repositories.ensure("demo")
        if n_calls % 15 == 0 or done.returncode == 0:
            assert command.run(["fsck"], repositories.path("demo")) == b""
        assert (repositories.path("demo") / "HEAD").read_text() == "ref: refs/heads/main\n"
        if done.returncode == 0:
            assert done.stdout == b"whole\n"
            break
    else:
        pytest.fail("ensure never came to its end")
    assert n_calls > 20, "nothing was interrupted"


def test_threads_that_make_it_at_once_agree(tmp_path):
    repositories = GitRepositories(tmp_path)
    errors = in_threads(8, lambda number: repositories.ensure("demo", default_branch="trunk"))
    assert errors == []
    assert (repositories.path("demo") / "HEAD").read_text() == "ref: refs/heads/trunk\n"
    assert command.run(["fsck"], repositories.path("demo")).splitlines() == []


def test_a_lock_that_somebody_holds_is_left_alone(repositories):
    lock = repositories.path("demo") / "refs/heads/main.lock"
    lock.touch()
    with layout.in_use(repositories.path("demo")):
        repositories.ensure("demo")
        assert lock.exists()
    repositories.ensure("demo")
    assert not lock.exists()


def test_the_mark_of_use_lives_as_long_as_the_process_that_was_given_it(repositories):
    path = repositories.path("demo")
    with layout.in_use(path) as mark:
        process = subprocess.Popen(["sleep", "1000"], pass_fds=[mark])
    try:
        with layout.alone(path) as alone:
            assert not alone
    finally:
        process.kill()
        process.wait()
    with layout.alone(path) as alone:
        assert alone


def test_the_default_branch_is_set_and_kept(repositories):
    repositories.ensure("other", default_branch="trunk")
    repositories.ensure("other")
    assert (repositories.path("other") / "HEAD").read_text() == "ref: refs/heads/trunk\n"
    repositories.ensure("other", default_branch="release/1.x")
    assert (repositories.path("other") / "HEAD").read_text() == "ref: refs/heads/release/1.x\n"


@pytest.mark.parametrize("name", ["", "..", "a..b", "-x", "a b", "x.lock", "a\nb", "a\0b", "@{", "/x", "x/"])
def test_what_cannot_be_a_branch_is_refused_and_nothing_written(repositories, name):
    with pytest.raises(InvalidName):
        repositories.ensure("demo", default_branch=name)
    assert (repositories.path("demo") / "HEAD").read_text() == "ref: refs/heads/main\n"


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "/etc", "-x", "a\0b", "a\n", "ä", "x" * 64])
def test_what_cannot_be_a_project_is_refused_everywhere(repositories, tmp_path, name):
    calls: list[Callable[[], Any]] = [
        lambda: repositories.ensure(name),
        lambda: repositories.exists(name),
        lambda: repositories.refs(name),
        lambda: repositories.resolve(name, "main"),
        lambda: repositories.tree(name, "main"),
    ]
    for call in calls:
        with pytest.raises(InvalidName):
            call()
    assert [path.name for path in (tmp_path / "git").iterdir()] == ["demo.git"]


def test_a_strange_root_and_its_hooks_folder_are_written_so_that_git_reads_them(tmp_path):
    repositories = GitRepositories(tmp_path / 'a "b" \\c; #d')
    repositories.ensure("demo")
    read = command.run(["config", "core.hooksPath"], repositories.path("demo")).decode()
    assert read == f"{repositories.hooks_folder}\n"


def test_nobody_elses_configuration_has_influence(repositories, work, tmp_path, monkeypatch):
    commit = work.commit()
    (tmp_path / ".gitconfig").write_text("[core]\n\tbare = nonsense\n")
    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / ".gitconfig"))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(tmp_path / "elsewhere"))
    assert repositories.refs("demo") == {"refs/heads/main": commit}


# --- reading ---------------------------------------------------------------------------------------------


def test_a_commit_is_found_by_branch_tag_and_beginning_of_its_id(repositories, work):
    commit = work.commit()
    work.git("tag", "-a", "v1", "-m", "annotated")
    work.git("push", "-q", str(work.bare), "v1", "HEAD:feature/x")
    for rev in ("main", "refs/heads/main", "v1", "feature/x", commit, commit[:8], "HEAD"):
        assert repositories.resolve("demo", rev) == commit
    assert repositories.refs("demo") == {
        "refs/heads/feature/x": commit,
        "refs/heads/main": commit,
        "refs/tags/v1": work.git("rev-parse", "v1"),
    }


@pytest.mark.parametrize(
    "rev",
    [
        "",
        "nope",
        "0" * 40,
        "-h",
        "--all",
        "main:train.py",
        "main^{tree}",
        "a\0b",
        "main\nmain",
        "^main",
        "main..main",
    ],
)
def test_what_names_no_commit_is_not_found(repositories, work, rev):
    work.write("train.py", b"1")
    work.commit()
    with pytest.raises(NotFound) as caught:
        repositories.resolve("demo", rev)
    assert "main" in str(caught.value)


def test_a_project_without_repository_is_not_found(repositories):
    for call in (
        lambda: repositories.refs("other"),
        lambda: repositories.resolve("other", "main"),
        lambda: list(repositories.read_blobs("other", [])),
        lambda: repositories.size_bytes("other"),
    ):
        with pytest.raises(NotFound):
            call()


def test_what_a_commit_says(repositories, work):
    first = work.commit("größer — 数\n\nwith a body\n")
    second = work.commit("two")
    info = repositories.commit_info("demo", second)
    assert (info.commit, info.title, info.parents) == (second, "two", (first,))
    assert (info.author_name, info.author_email, info.at) == ("Mia Ähre", "mia@example.org", 1700000000.0)
    assert [it.title for it in repositories.log("demo", "main")] == ["two", "größer — 数"]
    assert [it.commit for it in repositories.log("demo", "main", limit=1)] == [second]
    assert repositories.commit_info("demo", first).parents == ()


def test_history_that_was_rewritten_shows(repositories, work):
    first = work.commit("1")
    second = work.commit("2")
    assert repositories.is_ancestor("demo", first, second)
    assert repositories.is_ancestor("demo", first, first)
    assert not repositories.is_ancestor("demo", second, first)


def test_a_repository_goes_only_if_it_is_empty_and_not_in_use(repositories, work):
    repositories.remove("absent")
    with layout.in_use(repositories.path("demo")), pytest.raises(Conflict, match="in use"):
        repositories.remove("demo")
    repositories.remove("demo")
    assert not repositories.exists("demo")
    repositories.ensure("demo")
    work.commit()
    with pytest.raises(Conflict, match="holds commits"):
        repositories.remove("demo")
    assert repositories.refs("demo")


def test_the_commits_that_history_begins_with(repositories, work):
    assert repositories.roots("demo") == []
    first = work.commit("1")
    work.commit("2")
    assert repositories.roots("demo") == [first]
    work.git("checkout", "-q", "--orphan", "other")
    work.git("commit", "-q", "--allow-empty", "-m", "another beginning")
    work.git("push", "-q", str(work.bare), "HEAD:other")
    assert set(repositories.roots("demo")) == {first, work.git("rev-parse", "HEAD")}


def test_changed_files(repositories, work):
    work.write("same.py", b"1")
    work.write("gone.py", b"2")
    work.write("src/changed.py", b"3")
    first = work.commit()
    (work.folder / "gone.py").unlink()
    work.write("src/changed.py", b"4")
    work.write("new ü\n.py", b"5")
    second = work.commit()
    assert repositories.changed_files("demo", first, second) == ["gone.py", "new ü\n.py", "src/changed.py"]
    everything = ["new ü\n.py", "same.py", "src/changed.py"]
    assert repositories.changed_files("demo", "", second) == everything
    assert repositories.changed_files("demo", "0" * 40, second) == everything
    assert repositories.changed_files("demo", second, second) == []


def test_the_tree_names_files_programs_links_and_submodules(repositories, work):
    work.write("a/b/plain.txt", b"hello")
    work.write("run.sh", b"#!/bin/sh\n", mode=0o755)
    (work.folder / "link").symlink_to("a/b/plain.txt")
    work.submodule("vendor/lib")
    work.commit()

    found = {entry.path: entry for entry in repositories.tree("demo", "main")}
    assert list(found) == ["a/b/plain.txt", "link", "run.sh", "vendor/lib"]
    assert (found["a/b/plain.txt"].is_file, found["a/b/plain.txt"].size_bytes) == (True, 5)
    assert (found["run.sh"].executable, found["a/b/plain.txt"].executable) == (True, False)
    assert (found["link"].is_link, found["link"].is_file, found["link"].executable) == (True, False, False)
    assert (found["vendor/lib"].is_submodule, found["vendor/lib"].oid) == (True, SUBMODULE)


def test_a_tree_that_is_not_read_to_its_end_leaves_no_process(repositories, work):
    for number in range(2000):
        work.write(f"some/folder/with/a/long/name/{number}.txt", b"")
    work.commit()
    entries = repositories.tree("demo", "main")
    next(entries)
    entries.close()
    assert children() == set()


def test_a_file_is_read_if_it_is_regular_and_small_enough(repositories, work):
    work.write("relive.yaml", b"stages: {}\n")
    work.write("folder/x", b"")
    (work.folder / "link.yaml").symlink_to("relive.yaml")
    work.submodule("vendor")
    commit = work.commit()

    def read(path: str, limit_bytes: int = 1000) -> Any:
        return repositories.read_file("demo", commit, path, limit_bytes=limit_bytes)

    assert read("relive.yaml") == b"stages: {}\n"
    assert read("relive.yaml", 11) == b"stages: {}\n"
    for absent in (
        "nope",
        "",
        "relive.yaml/x",
        "*.yaml",
        "./relive.yaml",
        "folder/../relive.yaml",
        "../x",
        "/relive.yaml",
        "relive.yaml/",
        "a\0b",
        ":(top)relive.yaml",
    ):
        assert read(absent) is None
    with pytest.raises(InvalidInput, match="at most 10 bytes"):
        read("relive.yaml", 10)
    for other in ("link.yaml", "folder", "vendor"):
        with pytest.raises(InvalidInput, match="a regular file"):
            read(other)


def test_blobs_come_in_the_order_asked_and_need_not_be_read(repositories, work):
    contents = {f"{number}": os.urandom(number * 5000) for number in range(6)}
    for name, data in contents.items():
        work.write(name, data)
    work.commit()
    oids = {entry.path: entry.oid for entry in repositories.tree("demo", "main")}
    asked = ["5", "0", "3", "3", "1"]
    read = {}
    for name, blob in zip(asked, repositories.read_blobs("demo", [oids[it] for it in asked]), strict=True):
        assert (blob.oid, blob.size_bytes) == (oids[name], len(contents[name]))
        if name != "3":
            read[name] = b"".join(blob.chunks)
    assert read == {name: contents[name] for name in ("5", "0", "1")}


@pytest.mark.parametrize("oid", ["0" * 40, "nope", "main", "", "a\nb", "-x"])
def test_an_object_that_is_not_there_is_not_found(repositories, work, oid):
    work.commit()
    with pytest.raises(NotFound):
        list(repositories.read_blobs("demo", [oid]))


def test_a_large_blob_is_read_in_flat_memory(repositories, work):
    """In a process of its own, whose peak memory says it."""
    work.write("large.bin", b"\0" * 200 * 2**20)
    work.commit()
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from relive.stores.git.repositories import GitRepositories\n"
        "git = GitRepositories(Path(sys.argv[1]))\n"
        "(entry,) = git.tree('demo', 'main')\n"
        "(size,) = [sum(map(len, blob.chunks)) for blob in git.read_blobs('demo', [entry.oid])]\n"
        "(own,) = [line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')]\n"
        "print(size, own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(repositories.root)],
        capture_output=True,
        check=True,
        timeout=PATIENCE_S,
    )
    size, own_kib, git_kib = map(int, done.stdout.split())
    assert size == 200 * 2**20
    assert max(own_kib, git_kib) < 100 * 1024


def test_git_that_takes_too_long_is_ended_with_what_it_started(repositories):
    alias = f"alias.slow=!echo $$ > {repositories.root}/pid; sleep 1000"
    with pytest.raises(GitFailed, match="stopped after"):
        command.run(["-c", alias, "slow"], timeout_s=1.0)
    assert children() == set()
    pid = int((repositories.root / "pid").read_text())
    deadline = time.monotonic() + PATIENCE_S
    while Path(f"/proc/{pid}/stat").exists() and " Z " not in Path(f"/proc/{pid}/stat").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_git_says_is_in_the_error(repositories):
    with pytest.raises(GitFailed, match="not a git command"):
        command.run(["no-such-command"])


# --- snapshots -------------------------------------------------------------------------------------------


def test_a_snapshot_holds_every_byte_and_names_what_it_cannot_hold(repositories, work, blobs):
    work.write("src/train.py", b"print()\n", mode=0o755)
    work.write("same.py", b"print()\n")
    work.write("empty", b"")
    work.write("model.bin", LFS_POINTER)
    work.write("large.bin", os.urandom(3 * 2**20))
    (work.folder / "inside").symlink_to("src/train.py")
    (work.folder / "outside").symlink_to("/etc/passwd")
    work.submodule("vendor/lib")
    Path(os.fsdecode(os.fsencode(work.folder) + b"/\xff.txt")).write_bytes(b"x")
    commit = work.commit()

    snapshot = repositories.snapshot("demo", commit, blobs)
    manifest = snapshot.manifest
    assert [entry.path for entry in manifest.entries] == [
        *("empty", "inside", "large.bin", "model.bin", "same.py", "src/train.py")
    ]
    for entry in manifest.entries:
        if entry.link is None:
            data = (work.folder / entry.path).read_bytes()
            assert blobs.read(entry.digest) == data
            assert entry.size_bytes == len(data)
    train, inside = manifest.find("src/train.py"), manifest.find("inside")
    assert train is not None
    assert train.executable
    assert inside is not None
    assert inside.link == "src/train.py"
    assert Manifest.from_bytes(blobs.read(snapshot.manifest_digest)) == manifest
    assert snapshot.submodules == {"vendor/lib": SUBMODULE}
    assert [
        word for word in ("model.bin", "vendor/lib", "outside", "udcff.txt") if word in str(snapshot.warnings)
    ] == [*("model.bin", "vendor/lib", "outside", "udcff.txt")]
    for warning in snapshot.warnings:
        warning.encode()  # it must fit into a database
        assert warning.endswith((".", "PATH"))


def test_the_same_tree_gives_the_same_manifest_whatever_is_remembered(repositories, work, blobs, tmp_path):
    work.write("a.py", b"a")
    work.write("model.bin", LFS_POINTER)
    commit = work.commit()
    first = repositories.snapshot("demo", commit, blobs)
    assert repositories.snapshot("demo", commit, blobs) == first
    memory = repositories.path("demo") / "relive-digests"
    memory.unlink()
    assert repositories.snapshot("demo", commit, LocalBlobStore(tmp_path / "others")) == first


def test_only_what_is_new_is_read_from_git(repositories, work, blobs: LocalBlobStore, monkeypatch):
    for number in range(20):
        work.write(f"{number}.py", str(number).encode())
    repositories.snapshot("demo", work.commit(), blobs)
    work.write("3.py", b"changed")
    commit = work.commit()
    put: list[bytes] = []
    real = blobs.put

    def counted(data: bytes) -> BlobInfo:
        put.append(data)
        return real(data)

    monkeypatch.setattr(blobs, "put", counted)
    snapshot = repositories.snapshot("demo", commit, blobs)
    assert sorted(put) == sorted([b"changed", snapshot.manifest.to_bytes()])


def test_a_blob_that_the_store_lost_or_might_soon_delete_is_stored_again(repositories, work, blobs):
    work.write("lost.py", b"lost")
    work.write("old.py", b"old")
    commit = work.commit()
    snapshot = repositories.snapshot("demo", commit, blobs)
    blobs.delete(blake3_digest(b"lost"))
    old = blake3_digest(b"old")
    (path,) = [it for it in blobs.root.rglob("*") if it.name.endswith(old[-20:])]
    os.utime(path, (time.time() - 23.5 * 3600,) * 2)

    assert repositories.snapshot("demo", commit, blobs) == snapshot
    assert blobs.read(blake3_digest(b"lost")) == b"lost"
    assert blobs.get(old).stored_at > time.time() - 20 * 3600


@pytest.mark.parametrize("damage", ["torn", "junk", "wrong size", "empty", "zeros"])
def test_a_damaged_memory_only_costs_time(repositories, work, blobs, damage):
    for number in range(5):
        work.write(f"{number}.py", str(number).encode())
    commit = work.commit()
    snapshot = repositories.snapshot("demo", commit, blobs)
    memory = repositories.path("demo") / "relive-digests"
    text = memory.read_bytes()
    lines = {
        "torn": text[:-30],
        "junk": os.urandom(1000) + text,
        "wrong size": text.replace(b" 1 file", b" 2 file"),
        "empty": b"",
        "zeros": b"\0" * len(text),
    }
    memory.write_bytes(lines[damage])
    assert repositories.snapshot("demo", commit, blobs) == snapshot
    work.write("another.py", b"another")
    assert repositories.snapshot("demo", work.commit(), blobs).manifest.find("another.py")
    assert repositories.snapshot("demo", commit, blobs) == snapshot


def test_a_full_store_says_so_and_leaves_no_process(repositories, work, tmp_path):
    for number in range(50):
        work.write(f"{number}.bin", os.urandom(100_000))
    commit = work.commit()
    full = LocalBlobStore(tmp_path / "full", quota_bytes=1_000_000)
    with pytest.raises(StoreFull):
        repositories.snapshot("demo", commit, full)
    assert children() == set()
    assert repositories.snapshot("demo", commit, LocalBlobStore(tmp_path / "roomy")).manifest.n_files == 50


def test_several_snapshots_at_once_agree(repositories, work, blobs):
    for number in range(30):
        work.write(f"{number}.py", os.urandom(1000))
    commit = work.commit()
    found: list[str] = []
    errors = in_threads(
        4, lambda _: found.append(repositories.snapshot("demo", commit, blobs).manifest_digest)
    )
    assert errors == []
    assert len(set(found)) == 1


def test_an_empty_commit_has_an_empty_manifest(repositories, work, blobs):
    assert repositories.snapshot("demo", work.commit(), blobs).manifest == Manifest()


# The letter in front keeps away from `.`, `..` and what git refuses, such as `.git`.
names = st.text(st.characters(exclude_characters="/\0", codec="utf-8"), max_size=12).map("n{}".format)
trees = st.dictionaries(
    st.lists(names, min_size=1, max_size=3).map("/".join), st.binary(max_size=50), max_size=8
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=trees, executable=st.booleans())
def test_what_is_committed_is_what_the_manifest_says(repositories, work, blobs, tree, executable):
    files = {
        path: data for path, data in tree.items() if not any(other.startswith(f"{path}/") for other in tree)
    }
    index = b""
    for path, data in files.items():
        oid = work.git("hash-object", "-w", "--stdin", stdin=data)
        index += f"{'100755' if executable else '100644'} {oid}\t{path}\0".encode()
    work.git("read-tree", "--empty")
    work.git("update-index", "-z", "--index-info", stdin=index)
    commit = work.git("commit-tree", "-m", "x", work.git("write-tree"))
    work.git("push", "-q", "--force", str(work.bare), f"{commit}:refs/heads/main")

    manifest = repositories.snapshot("demo", commit, blobs).manifest
    assert {entry.path: blobs.read(entry.digest) for entry in manifest.entries} == files
    assert all(entry.executable == executable for entry in manifest.entries)


@pytest.mark.parametrize(
    ("data", "expected"),
    [(LFS_POINTER, True), (LFS_POINTER[:60], True), (b"", False), (b"version 2\n", False)],
)
def test_lfs_pointers_are_known_by_their_first_bytes(data, expected):
    assert is_lfs_pointer(data) is expected


# --- keeping and fetching --------------------------------------------------------------------------------


def test_archived_commits_stay_whatever_happens_to_refs_and_are_not_shown(repositories, work):
    commit = work.commit()
    repositories.archive("demo", [commit, "0" * 40, "1" * 40])
    work.git("checkout", "-q", "--orphan", "new")
    other = work.commit("other")
    command.run(["gc", "--quiet", "--prune=now"], repositories.path("demo"))

    assert repositories.refs("demo") == {"refs/heads/main": other}
    assert repositories.resolve("demo", commit) == commit
    assert work.git("ls-remote", str(work.bare)).count(ARCHIVE) == 0
    repositories.archive("demo", [commit])


def test_a_fetch_brings_refs_and_keeps_what_they_leave(repositories, work, tmp_path):
    mirror = GitRepositories(tmp_path / "mirror", protocols=("file",))
    mirror.ensure("copy")
    first = work.commit("1")
    url = f"file://{work.bare}"
    spec = ["+refs/heads/*:refs/heads/*"]
    assert mirror.fetch("copy", url, spec) == {"refs/heads/main": first}
    work.git("commit", "-q", "--amend", "--allow-empty", "-m", "rewritten")
    second = work.commit("2")
    assert mirror.fetch("copy", url, spec) == {"refs/heads/main": second}
    refs = command.run(["for-each-ref", "--format=%(refname)", ARCHIVE], mirror.path("copy")).decode().split()
    assert refs == [f"{ARCHIVE}{first}"]
    third = work.commit("3")
    assert mirror.fetch("copy", url, spec) == {"refs/heads/main": third}
    refs = command.run(["for-each-ref", "--format=%(refname)", ARCHIVE], mirror.path("copy")).decode().split()
    assert refs == [f"{ARCHIVE}{first}"]


def test_a_remote_is_listed_without_fetching(repositories, work):
    commit = work.commit()
    work.git("tag", "-a", "v1", "-m", "x")
    work.git("push", "-q", str(work.bare), "v1")
    assert repositories.ls_remote(f"file://{work.bare}") == {
        "HEAD": commit,
        "refs/heads/main": commit,
        "refs/tags/v1": work.git("rev-parse", "v1"),
    }


@pytest.mark.parametrize(
    "url", ["ext::sh -c 'touch ran'", "file:///", "--upload-pack=touch ran", "nope://x", ""]
)
def test_an_address_that_could_run_or_read_what_it_should_not_is_refused(tmp_path, url):
    strict = GitRepositories(tmp_path / "strict")
    strict.ensure("demo")
    with pytest.raises(GitFailed):
        strict.ls_remote(url)
    with pytest.raises(GitFailed):
        strict.fetch("demo", url, ["+refs/heads/*:refs/heads/*"])
    assert not list(tmp_path.rglob("ran"))


def test_a_remote_that_is_not_there_is_an_error_with_gits_words(repositories, tmp_path):
    with pytest.raises(GitFailed, match="does not appear to be a git repository"):
        repositories.fetch("demo", f"file://{tmp_path}/nowhere", ["+refs/heads/*:refs/heads/*"])


def test_maintenance_packs_and_loses_nothing(repositories, work, blobs):
    lost = work.commit("left by a force push")
    work.git("checkout", "-q", "--orphan", "new")
    work.write("a.py", b"a")
    commit = work.commit("kept")
    repositories.maintain("demo")
    repositories.maintain("demo")
    assert list((repositories.path("demo") / "objects/pack").glob("*.pack"))
    for each in (lost, commit):
        assert repositories.resolve("demo", each) == each
    assert repositories.snapshot("demo", commit, blobs).manifest.n_files == 1


def test_the_size_grows_with_what_is_pushed(repositories, work):
    before = repositories.size_bytes("demo")
    work.write("data.bin", os.urandom(1_000_000))
    work.commit()
    assert 900_000 < repositories.size_bytes("demo") - before < 2_000_000


def children() -> set[str]:
    """Give the git processes that this process has started and not ended."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        for pid in (task / "children").read_text().split():
            name = Path(f"/proc/{pid}/comm").read_text().strip()
            if name.startswith("git"):
                found.add(name)
    return found


def in_threads(count: int, work: Callable[[int], object]) -> list[Exception]:
    """Run so many at once; gives what they raised."""
    errors: list[Exception] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except Exception as error:  # noqa: BLE001  # to be shown by the test
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    return errors
