"""What the recorder writes down, and how much it keeps in mind."""

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from relive.capture.recorder import looking
from relive.capture.recorder.borders import Borders
from relive.capture.recorder.gate import Gate
from relive.capture.recorder.looking import Look, Record
from relive.capture.recorder.seccomp import Calls, calls


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "opened.jsonl"


@pytest.fixture
def record(file: Path) -> Iterator[Record]:
    out = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    yield Record(out)
    os.close(out)


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_bytes().splitlines()]


def test_each_thing_is_written_once(record: Record, file: Path) -> None:
    for _ in range(3):
        record.once("x", "/bin/sh", {"x": "/bin/sh"})
    assert lines(file) == [{"x": "/bin/sh"}]


def test_of_too_many_paths_only_folders_are_kept_and_of_too_many_of_these_none(
    record: Record, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "_MOST_PATHS", 2)
    for folder in "abcd":
        for name in "12":
            record.once("r", f"/{folder}/{name}", {"r": f"/{folder}/{name}"})
    assert lines(file) == [
        {"r": "/a/1"},
        {"r": "/a/2"},
        {"folder": True, "r": "/b"},
        {"folder": True, "r": "/c"},
    ]
    assert record.dropped == 2  # so that nobody takes it for the whole
    for number in range(9):
        record.ask((b"/%d" % number, os.O_RDONLY))
    assert len(record.asked) == 2


def test_a_full_disk_is_counted_and_does_not_raise() -> None:
    full = Record(os.open("/dev/full", os.O_WRONLY))
    full.write({"begin": True})
    assert full.dropped == 1
    os.close(full._out)


def refused(*_: object) -> bytes:
    """Read memory as Yama lets a stranger."""
    raise PermissionError(1, "Operation not permitted")


def test_what_cannot_be_looked_at_is_said_and_what_has_ended_is_not(
    record: Record, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = calls()
    assert known is not None
    look = Look(record, known)
    look.note(2**22 + 1, known.openat, [0, 4096, 0, 0, 0, 0])  # no process has this number
    assert lines(file) == []
    monkeypatch.setattr(look, "_read", refused)
    look.note(os.getpid(), known.openat, [0, 4096, 0, 0, 0, 0])
    assert lines(file) == [{"blind": "looking at a process: Operation not permitted"}]


def test_a_name_that_each_process_has_of_its_own_is_that_processs(tmp_path: Path) -> None:
    place = tmp_path / "rows.csv"
    place.write_text("1")
    with place.open() as opened:
        for name in ("/proc/self/fd", "/proc/thread-self/fd", "/dev/fd"):
            found = looking._path(os.getpid(), f"{name}/{opened.fileno()}".encode())
            assert found == str(place)
    assert looking._path(1, b"/dev/stdio/../x") == "/dev/x"


def test_what_another_process_has_open_is_the_file_itself(tmp_path: Path) -> None:
    place = tmp_path / "rows.csv"
    place.write_text("1")
    pid = os.getpid()
    with place.open() as opened:
        for name in (f"/proc/{pid}/fd/{opened.fileno()}", f"/proc/{pid}/root{place}", f"/proc/{pid}/cwd/x"):
            found = looking._path(1, name.encode())
            assert found == str(Path.cwd() / "x" if "cwd" in name else place)
        assert looking._path(1, f"/proc/{pid}/maps".encode()) == f"/proc/{pid}/maps"
        assert looking._path(1, b"/proc/cpuinfo") == "/proc/cpuinfo"


class Held(Gate):
    """A gate of which only what it is told is of interest."""

    def __init__(self, tree: Path) -> None:
        borders = Borders(tree=tree, commit=frozenset(), declared=(), environment=(), began_at_ns=2**62)
        super().__init__(borders, (), frozenset(), network=False)


@pytest.mark.parametrize(
    ("call", "flags", "is_emptied"),
    [
        ("openat", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, True),
        ("openat", os.O_RDWR | os.O_TRUNC, True),
        ("openat", os.O_WRONLY | os.O_APPEND, False),
        ("openat", os.O_WRONLY | os.O_CREAT, False),
        ("creat", 0, True),
    ],
)
def test_what_is_begun_anew_is_known_by_its_inode(tmp_path, record, monkeypatch, call, flags, is_emptied):
    known = Calls(
        0,
        0,
        open=1,
        creat=2,
        openat=3,
        openat2=4,
        execve=5,
        execveat=6,
        connect=7,
        io_uring_setup=8,
        socket=9,
    )
    file = tmp_path / "rows.csv"
    file.write_text("1")
    held = Held(tmp_path)
    look = Look(record, known, held)
    monkeypatch.setattr(look, "_text", lambda pid, pointer: os.fsencode(file))
    arguments = [0, 0, flags] if call == "openat" else [0, 0]
    assert look.note(os.getpid(), getattr(known, call), arguments) == 0
    found = os.stat(file)
    assert held.emptied == ({(found.st_dev, found.st_ino)} if is_emptied else set())


def test_a_file_that_may_not_be_read_is_told_as_read_also_where_it_is_to_be_written(
    tmp_path: Path, record: Record, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database outside is opened for both: the run has to fail with its name."""
    known = calls()
    assert known is not None
    (tmp_path / "tree").mkdir()
    outside = tmp_path / "t.db"
    outside.write_text("1")
    look = Look(record, known, Held(tmp_path / "tree"))
    monkeypatch.setattr(look, "_text", lambda pid, pointer: os.fsencode(outside))
    assert look.note(os.getpid(), known.openat, [0, 0, os.O_RDWR]) == errno.EACCES
    assert [next(iter(line)) for line in lines(file)] == ["r", "no"]
    outside.unlink()
    assert look.note(os.getpid(), known.openat, [0, 0, os.O_WRONLY | os.O_CREAT]) == errno.EACCES


def test_a_program_of_32_bits_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    for name, first in (
        ("narrow", b"\x7fELF\x01"),
        ("wide", b"\x7fELF\x02"),
        ("script", b"#!"),
        ("empty", b""),
    ):
        (tmp_path / name).write_bytes(first)
    found = {name for name in os.listdir(tmp_path) if looking._is_narrow(str(tmp_path / name))}
    assert found == {"narrow"}
    assert not looking._is_narrow(str(tmp_path / "none"))
