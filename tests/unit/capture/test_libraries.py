"""Build ids and sonames from real libraries and from files that are none."""

import ctypes.util
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.capture.libraries import library_paths, process_libraries, read_libraries, read_library
from relive.core.recipe import LoadedLibrary
from relive.formats.hashing import hash_file
from tests.conftest import require

MAPS = """\
00400000-00452000 r-xp 00000000 08:02 173521      /usr/bin/python3
7f00-7f01 r--p 00000000 08:02 135522 /usr/lib/libm.so.6
7f01-7f02 r-xp 00001000 08:02 135522 /usr/lib/libm.so.6
7f02-7f03 r--p 00000000 00:00 0
7f03-7f04 rw-p 00000000 00:00 0 [heap]
7f04-7f05 r--s 00000000 00:01 5 /memfd:x (deleted)
7f05-7f06 r-xp 00000000 08:02 9 /opt/with space/_core.cpython-311-x86_64-linux-gnu.so
7f06-7f07 r-xp 00000000 08:02 9 /opt/lib/libgone.so.1 (deleted)
7f07-7f08 r--p 00000000 08:02 9 /usr/lib/locale/locale-archive
"""


def elf(*, wide: bool, little: bool, build_id: bytes, soname: bytes) -> bytes:
    """Write a library with nothing in it but its notes and its name."""
    order = "<" if little else ">"
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1 if little else 2, 1]) + bytes(9)
    header_size, entry_size = (64, 56) if wide else (52, 32)
    strings = b"\0" + soname + b"\0"
    note = struct.pack(f"{order}III", 4, len(build_id), 3) + b"GNU\0" + build_id
    other = struct.pack(f"{order}III", 4, 4, 1) + b"XYZ\0" + bytes(4)  # another note comes first
    notes = other + note
    word = "Q" if wide else "I"
    at_notes = header_size + 3 * entry_size
    at_dynamic = at_notes + len(notes)
    dynamic_size = 3 * struct.calcsize(f"{order}{word}{word}")
    at_strings = at_dynamic + dynamic_size
    base = 0x10000
    dynamic = b"".join(
        struct.pack(f"{order}{word}{word}", *pair) for pair in ((5, base + at_strings), (14, 1), (0, 0))
    )
    segments = [
        (1, 0, base, at_strings + len(strings)),
        (4, at_notes, base + at_notes, len(notes)),
        (2, at_dynamic, base + at_dynamic, dynamic_size),
    ]
    if wide:
        head = struct.pack(f"{order}HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 3, 0, 0, 0)
        table = b"".join(
            struct.pack(f"{order}IIQQQQQQ", kind, 4, offset, address, address, size, size, 4)
            for kind, offset, address, size in segments
        )
    else:
        head = struct.pack(f"{order}HHIIIIIHHHHHH", 3, 8, 1, 0, 52, 0, 0, 52, 32, 3, 0, 0, 0)
        table = b"".join(
            struct.pack(f"{order}IIIIIIII", kind, offset, address, address, size, size, 4, 4)
            for kind, offset, address, size in segments
        )
    return ident + head + table + notes + dynamic + strings


def test_the_libraries_of_a_memory_map_are_named_once():
    assert library_paths(MAPS.splitlines(keepends=True)) == (
        "/opt/lib/libgone.so.1 (deleted)",
        "/opt/with space/_core.cpython-311-x86_64-linux-gnu.so",
        "/usr/lib/libm.so.6",
    )


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("little", [True, False])
def test_every_kind_of_elf_file_is_read(tmp_path, wide, little):
    path = tmp_path / "x.so"
    path.write_bytes(elf(wide=wide, little=little, build_id=bytes(range(20)), soname=b"libx.so.7"))
    assert read_library(str(path)) == LoadedLibrary(
        path=str(path), soname="libx.so.7", build_id=bytes(range(20)).hex()
    )


def test_it_agrees_with_readelf_on_what_this_python_has_loaded():
    require(shutil.which("readelf") is not None, "readelf is not installed (apt install binutils)")
    libraries = [it for it in process_libraries(os.getpid()) if it.build_id][:25]
    assert libraries
    for library in libraries:
        done = subprocess.run(
            ["readelf", "-n", "-d", library.path], capture_output=True, text=True, timeout=60, check=True
        )
        assert f"Build ID: {library.build_id}" in done.stdout
        if "Library soname" in done.stdout:
            assert f"Library soname: [{library.soname}]" in done.stdout


def test_a_library_without_a_build_id_is_named_by_all_its_bytes(tmp_path):
    path = tmp_path / "plain.so"
    path.write_bytes(elf(wide=True, little=True, build_id=b"", soname=b"libplain.so"))
    found = read_library(str(path))
    assert found.build_id == ""
    assert found.soname == "libplain.so"
    assert found.sha256 == hash_file(path, sha256=True).sha256


def test_what_is_gone_or_no_file_keeps_its_name(tmp_path):
    os.mkfifo(tmp_path / "pipe.so")
    gone, pipe = read_libraries([str(tmp_path / "gone.so"), str(tmp_path / "pipe.so")])
    assert gone == LoadedLibrary(path=str(tmp_path / "gone.so"), soname="gone.so")
    assert pipe == LoadedLibrary(path=str(tmp_path / "pipe.so"), soname="pipe.so")


@given(st.binary(max_size=200), st.booleans())
def test_no_file_breaks_the_reader(tmp_path_factory, data, with_magic):
    path = tmp_path_factory.mktemp("elf") / "any.so"
    path.write_bytes((b"\x7fELF\x02\x01\x01" if with_magic else b"") + data)
    found = read_library(str(path))
    assert found.soname
    assert found.build_id or found.sha256


@given(st.data())
def test_no_damaged_library_breaks_the_reader(tmp_path_factory, data):
    whole = bytearray(elf(wide=True, little=True, build_id=bytes(20), soname=b"libx.so"))
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("elf") / "damaged.so"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    found = read_library(str(path))
    assert found.build_id or found.sha256


def test_a_running_process_of_ours_is_read_from_outside():
    child = subprocess.Popen(
        [sys.executable, "-c", "import _decimal, sys; print('ready', flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    names = [Path(it.path).name for it in process_libraries(child.pid)]
    child.communicate(timeout=60)
    assert any(name.startswith("_decimal") for name in names)
    libc = ctypes.util.find_library("c")
    assert libc is None or any(name.startswith("libc") for name in names)
    assert process_libraries(child.pid) == ()
