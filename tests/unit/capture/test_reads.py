"""What the recorder's lines mean."""

import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from relive.capture.recorder import reads
from relive.capture.recorder.borders import Belongs, Borders, environment_folders, program_roots
from relive.capture.recorder.reads import Opened, file_time_ns, find_undeclared, read_opened
from relive.capture.recorder.seccomp import calls, filter_program
from relive.core.recipe import UndeclaredRead
from relive.formats.manifest_io import HashCache

BEGAN_NS = 1_000_000_000_000
BEFORE = (4, BEGAN_NS - 1_000_000_000, 7)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "tree").mkdir()
    return tmp_path / "tree"


def borders(tree: Path, **changes) -> Borders:
    known: dict[str, Any] = {
        "tree": tree,
        "commit": frozenset({"train.py", "helper.py", "data/a.csv"}),
        "declared": ("train.py", "data"),
        "environment": ("/env",),
        "began_at_ns": BEGAN_NS,
    }
    return Borders(**(known | changes))


@pytest.mark.parametrize(
    ("path", "belongs"),
    [
        ("train.py", Belongs.DECLARED),
        ("data/a.csv", Belongs.DECLARED),
        ("data/more/b.csv", Belongs.DECLARED),
        ("helper.py", Belongs.COMMIT),
        ("secret.env", Belongs.IGNORED),
        ("database/x", Belongs.IGNORED),
        ("model/weights", Belongs.IGNORED),  # left by an earlier run: it would not be there in a replay
        (".git/HEAD", Belongs.OWN),
        ("pkg/__pycache__/x.pyc", Belongs.OWN),
        ("/env/lib/x.py", Belongs.ENVIRONMENT),
        ("/environment/x.py", Belongs.OUTSIDE),
        ("/usr/lib/libc.so.6", Belongs.SYSTEM),
        ("/proc/cpuinfo", Belongs.SYSTEM),
        ("/srv/data.parquet", Belongs.OUTSIDE),
        ("/dev/null", Belongs.SYSTEM),
        ("/dev/shm/data.bin", Belongs.OUTSIDE),
        ("/run/media/ann/disk/data.csv", Belongs.OUTSIDE),
        ("/usr/local/lib/libx.so", Belongs.SYSTEM),
        ("/var/cache/fontconfig/x-le64.cache-8", Belongs.SYSTEM),
        ("/var/lib/dpkg/status", Belongs.SYSTEM),
        ("/var/lib/postgresql/base", Belongs.OUTSIDE),
        ("/var/data.csv", Belongs.OUTSIDE),
        ("/usr/local/data/x.csv", Belongs.OUTSIDE),
    ],
)
def test_a_file_belongs_where_it_lies(tree: Path, path: str, belongs: Belongs) -> None:
    assert borders(tree).of(str(tree / path), BEFORE[1], ()) is belongs


def test_without_deps_all_of_the_code_is_declared(tree: Path) -> None:
    known = borders(tree, declared=(".",))
    assert known.of(str(tree / "helper.py"), BEFORE[1], ()) is Belongs.DECLARED
    assert known.of(str(tree / "ignored.csv"), BEFORE[1], ()) is Belongs.IGNORED


def test_what_the_run_made_is_its_own(tree: Path) -> None:
    made = {"/srv/made"}
    assert borders(tree).of("/srv/made", BEFORE[1], made) is Belongs.OWN
    renamed = BEGAN_NS + 5  # made under another name, then renamed
    assert borders(tree).of("/srv/renamed", renamed, ()) is Belongs.OWN


def test_a_link_is_what_it_leads_to(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.csv").write_text("1")
    (tree / "data").mkdir()
    (tree / "data/link.csv").symlink_to(tmp_path / "elsewhere.csv")
    assert borders(tree).of(str(tree / "data/link.csv"), BEFORE[1], ()) is Belongs.OUTSIDE


def test_an_undeclared_read_has_the_digest_of_what_was_read(tree: Path) -> None:
    kept, changed = tree / "kept.csv", tree / "changed.csv"
    reads = {}
    for path in (kept, changed):
        path.write_text("1,2\n")
        found = path.stat()
        reads[str(path)] = (found.st_size, found.st_ctime_ns, found.st_ino)
    changed.write_text("1,2\n3,4\n")
    known = borders(tree, began_at_ns=kept.stat().st_ctime_ns + 10**10)
    one, other = find_undeclared(Opened(reads=reads), known, HashCache())
    assert (one.path, one.digest, one.size_bytes) == ("changed.csv", "", 4)
    assert (other.path, other.belongs) == ("kept.csv", "ignored")
    assert other.digest == HashCache().digest_of(kept)[0]


def test_a_refused_file_is_told_whatever_became_of_it(tree: Path, tmp_path: Path) -> None:
    """Removed and made anew, with a new date, through a link of the run's own: it was refused."""
    (tree / "rows.csv").write_text("1")
    own = tmp_path / "own"
    own.mkdir()
    (own / "link").symlink_to(tree / "rows.csv")
    (own / "moved").write_text("1")
    late = (1, BEGAN_NS + 1, 7)
    paths = [str(tree / "helper.py"), str(own / "link"), str(own / "moved")]
    opened = Opened(reads=dict.fromkeys(paths, late), made={paths[0]}, refused=set(paths))
    known = borders(tree, environment=(str(own),))
    found = find_undeclared(opened, known, HashCache(tmp_path / "hashes"))
    assert sorted((read.path, str(read.belongs)) for read in found) == [
        (paths[2], "outside"),
        ("helper.py", "commit"),
        ("rows.csv", "ignored"),
    ]
    assert all(read.hint for read in found)


def test_a_link_of_the_tree_that_leads_out_is_shown_as_what_it_leads_to(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("1")
    (tree / "data").mkdir()
    (tree / "data/link").symlink_to(tmp_path / "rows.csv")
    (tmp_path / "alias").symlink_to(tmp_path / "rows.csv")
    (tmp_path / "inside").symlink_to(tree / "train.py")
    known = borders(tree)
    assert known.shown(str(tree / "data/link")) == str(tmp_path / "rows.csv")
    assert known.shown(str(tmp_path / "alias")) == str(tmp_path / "alias")
    assert known.shown(str(tmp_path / "inside")) == "train.py"


def test_a_secret_is_named_and_not_digested(tree: Path) -> None:
    known = borders(tree, began_at_ns=2**62)
    reads = {}
    for name in (".env", "rows.csv"):
        (tree / name).write_text("PIN=1234")
        found = (tree / name).stat()
        reads[str(tree / name)] = (found.st_size, found.st_ctime_ns, found.st_ino)
    one, other = find_undeclared(Opened(reads=reads), known, HashCache())
    assert (one.path, one.digest) == (".env", "")
    assert other.digest


def test_a_path_that_is_no_text_is_read_and_can_be_stored(tree: Path) -> None:
    path = os.fsdecode(os.fsencode(tree) + b"/n\xff.csv")
    Path(path).write_text("1")
    found = os.stat(path)
    line = {"r": path, "s": [found.st_size, found.st_ctime_ns, found.st_ino]}
    file = tree / "opened.jsonl"
    file.write_text('{"begin": true}\n' + json.dumps(line) + '\n{"end": 1, "dropped": 0}\n')
    opened = read_opened(file)
    assert opened.is_whole
    (read,) = find_undeclared(opened, borders(tree, began_at_ns=2**62), HashCache())
    assert (read.path, bool(read.digest)) == ("n\\xff.csv", True)
    assert msgspec.json.decode(msgspec.json.encode(read), type=UndeclaredRead) == read


def test_what_was_not_seen_is_said(tmp_path: Path) -> None:
    file = tmp_path / "opened.jsonl"
    file.write_text('{"begin": true}\n{"blind": "looking: denied"}\n{"end": 1, "dropped": 0}\n')
    assert not read_opened(file).is_whole
    assert read_opened(file).blind == {"looking: denied"}


def test_programs_and_what_lies_beside_them_are_no_data(tree: Path) -> None:
    reads = {"/opt/tool/lib/x.conf": BEFORE, "/opt/tool/bin/tool": BEFORE, "/opt/data/x.csv": BEFORE}
    found = find_undeclared(Opened(reads=reads, programs={"/opt/tool/bin/tool"}), borders(tree), HashCache())
    assert [read.path for read in found] == ["/opt/data/x.csv"]


def test_a_programs_folder_is_never_one_with_the_code_or_the_home_in_it() -> None:
    programs = {"/people/ann/bin/x", "/bin/sh", "/srv/tree/bin/y", "/opt/tool/shims/z", "/opt/run.sh"}
    roots = program_roots(programs, keep_out=("/srv/tree/src", "/people/ann"))
    assert {root.rpartition("/")[0] for root in roots} == {"/opt/tool"}
    assert {"/opt/tool/shims", "/opt/tool/lib"} < roots


def test_data_beside_a_program_is_data(tree: Path) -> None:
    seen = {"/mnt/project/train.csv": BEFORE, "/mnt/project/lib/x.so": BEFORE}
    opened = Opened(reads=seen, programs={"/mnt/project/bin/fetch"})
    assert [read.path for read in find_undeclared(opened, borders(tree), HashCache())] == [
        "/mnt/project/train.csv"
    ]


def test_what_tools_note_for_themselves_is_no_data(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("UV_CACHE_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/people/ann")
    notes = (
        ".cache/matplotlib/fontlist-v390.json",
        ".cache/fontconfig/a.cache-9",
        ".gitconfig",
        ".config/git/x",
        ".config/dvc/config",
        "project/.dvc/tmp/rwlock",
        "project/.dvc/cache/runs/ab/abcd/ef",
    )
    data = (
        "/people/ann/.cache/huggingface/a.bin",
        "/people/ann/.gitconfig.csv",
        "/people/ann/.keras/keras.json",
        "/people/ann/project/.dvc/cache/files/md5/ab/cdef",
        "/people/ann/project/dvc/tmp/a.csv",
    )
    elsewhere = ("/.dockerenv", "/var/tmp/dvc/repo/1/lock")
    seen = dict.fromkeys((*(f"/people/ann/{note}" for note in notes), *elsewhere, *data), BEFORE)
    found = find_undeclared(Opened(reads=seen), borders(tree, began_at_ns=2**62), HashCache())
    assert [read.path for read in found] == sorted(data)


def test_what_uv_keeps_for_itself_is_no_data(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", "/people/ann/uv")
    lock = f"{tempfile.gettempdir()}/uv-636a3a74e27c399a.lock"
    seen = dict.fromkeys((lock, "/people/ann/uv/a/METADATA", "/people/ann/uvdata.csv"), BEFORE)
    found = find_undeclared(Opened(reads=seen), borders(tree), HashCache())
    assert [read.path for read in found] == ["/people/ann/uvdata.csv"]
    monkeypatch.delenv("UV_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/people/ann")
    assert len(find_undeclared(Opened(reads=seen), borders(tree), HashCache())) == 1


def test_only_so_many_bytes_are_digested(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reads, "_MOST_BYTES", 10)
    opened = Opened()
    for name, size in (("a", 6), ("b", 6), ("c", 4)):
        (tree / name).write_bytes(bytes(size))
        found = (tree / name).stat()
        opened.reads[str(tree / name)] = (found.st_size, found.st_ctime_ns, found.st_ino)
    found_reads = find_undeclared(opened, borders(tree, began_at_ns=2**62), HashCache())
    assert [(read.path, bool(read.digest)) for read in found_reads] == [
        ("a", True),
        ("b", False),
        ("c", True),
    ]


def test_the_time_of_files_is_between_what_was_there_and_what_comes(tmp_path: Path) -> None:
    (tmp_path / "before").write_text("")
    began = file_time_ns(tmp_path)
    assert (tmp_path / "before").stat().st_ctime_ns <= began
    time.sleep(0.02)  # a command takes longer to start
    (tmp_path / "after").write_text("")
    assert (tmp_path / "after").stat().st_ctime_ns > began


def test_the_interpreter_below_an_environment_is_its_own(tmp_path: Path) -> None:
    base, venv = tmp_path / "python/bin", tmp_path / "venv/bin"
    base.mkdir(parents=True)
    venv.mkdir(parents=True)
    (base / "python").write_text("")
    (venv / "python").symlink_to(base / "python")
    folders = environment_folders([tmp_path / "venv"], tmp_path / "agent")
    assert set(folders) == {str(tmp_path / name) for name in ("venv", "python", "agent")}


def test_lines_are_put_together_and_gaps_are_seen(tmp_path: Path) -> None:
    lines = [
        {"begin": True},
        {"r": "/a", "s": [1, 2, 3]},
        {"w": "/b", "new": True},
        {"w": "/c"},
        {"x": "/bin/sh"},
        {"c": "10.0.0.1:443"},
        {"end": 5, "dropped": 0},
    ]
    file = tmp_path / "opened.jsonl"
    text = "".join(json.dumps(line) + "\n" for line in lines)
    file.write_text(text)
    opened = read_opened(file)
    assert opened.is_whole
    assert (opened.reads, opened.made) == ({"/a": (1, 2, 3)}, {"/b"})
    assert (opened.programs, opened.addresses) == ({"/bin/sh"}, {"10.0.0.1:443"})
    for gap in ('{"begin": true}\n', '{"uring": true}\n', '{"r": "/cut', '{"end": 9, "dropped": 2}\n'):
        file.write_text(text + gap)
        assert not read_opened(file).is_whole, gap
    assert not read_opened(tmp_path / "none").is_whole
    file.write_text('{"unavailable": "Operation not permitted"}\n')
    assert read_opened(file).unavailable == "Operation not permitted"


def test_a_filter_asks_for_each_watched_call_and_lets_all_others_go() -> None:
    known = calls()
    assert known is not None
    watched = known.watched
    assert known.socket in watched, "a run within this one may be hermetic"
    code = filter_program(known.architecture, watched)
    assert run_filter(code, known.architecture, known.openat) == 0x7FC00000
    assert {run_filter(code, known.architecture, number) for number in watched} == {0x7FC00000}
    others = set(range(500)) - set(watched)
    assert {run_filter(code, known.architecture, number) for number in others} == {0x7FFF0000}
    assert run_filter(code, 0x40000003, known.openat) == 0x7FFF0000  # a 32-bit program


def run_filter(code: bytes, architecture: int, number: int) -> int:
    """Do what the kernel does with a filter of loads, equal-jumps and returns."""
    at, loaded = 0, 0
    while True:
        opcode = int.from_bytes(code[at : at + 2], "little")
        equal, other, operand = code[at + 2], code[at + 3], int.from_bytes(code[at + 4 : at + 8], "little")
        at += 8
        if opcode == 0x06:
            return operand
        if opcode == 0x20:
            loaded = {0: number, 4: architecture}[operand]
        else:
            at += 8 * (equal if loaded == operand else other)
