"""Shared libraries that a process really mapped, each named by its build id: what computed the numbers.

The build id is read from the ELF notes of the file, which costs a few reads; only a library without one is
hashed as a whole. Source: System V ABI, chapters 4 and 5 (program header, notes, dynamic section).
"""

import os
import stat
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from relive.capture.system_packages import packages_of
from relive.core.recipe import LoadedLibrary
from relive.formats.hashing import hash_file

_PT_LOAD: Final = 1
_PT_DYNAMIC: Final = 2
_PT_NOTE: Final = 4
_NT_GNU_BUILD_ID: Final = 3
_DT_STRTAB: Final = 5
_DT_SONAME: Final = 14
# Far above what linkers write: a damaged file must not make us read all of it.
_MOST_HEADERS: Final = 1000
_MOST_BYTES: Final = 1 << 20


class _NotElf(Exception):
    pass


def library_paths(maps: Iterable[str]) -> tuple[str, ...]:
    """Give the shared libraries that lines of `/proc/PID/maps` name, sorted."""
    fields = (line.rstrip("\n").split(None, 5) for line in maps)
    paths = {field[5] for field in fields if len(field) == 6 and field[5].startswith("/")}
    return tuple(sorted(path for path in paths if ".so" in os.path.basename(path)))


def read_libraries(paths: Iterable[str]) -> tuple[LoadedLibrary, ...]:
    """Identify libraries by path; one that cannot be read any more keeps only its name."""
    unique = sorted(set(paths))
    packages = packages_of(unique)
    return tuple(
        msgspec.structs.replace(read_library(path), package=packages.get(path, "")) for path in unique
    )


def read_library(path: str) -> LoadedLibrary:
    """Identify one library: soname and build id from the file, else the digest of its bytes.

    Args:
        path: As the process saw it; may end in " (deleted)".
    """
    name = os.path.basename(path)
    try:
        with _open_regular(path) as file:
            try:
                soname, build_id = _read_elf(file)
            except (_NotElf, struct.error):
                soname, build_id = "", ""
        sha256 = "" if build_id else hash_file(path, sha256=True).sha256 or ""
    except OSError:
        return LoadedLibrary(path=path, soname=name)
    return LoadedLibrary(path=path, soname=soname or name, build_id=build_id, sha256=sha256)


def _open_regular(path: str) -> BinaryIO:
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(f"{path} is no regular file")
    return os.fdopen(fd, "rb")


class _Elf:
    """The parts of an ELF file's header that say how to read the rest."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = os.fstat(file.fileno()).st_size
        ident = file.read(16)
        if len(ident) < 16 or ident[:4] != b"\x7fELF" or ident[4] not in (1, 2) or ident[5] not in (1, 2):
            raise _NotElf
        self.wide = ident[4] == 2
        self.order = "<" if ident[5] == 1 else ">"
        self.word = "Q" if self.wide else "I"
        # e_phoff lies behind type, machine, version and entry; e_phentsize and e_phnum further on.
        (self.header_offset,) = self.unpack(self.word, 32 if self.wide else 28)
        self.header_size, count = self.unpack("HH", 54 if self.wide else 42)
        self.count = min(count, _MOST_HEADERS)

    def read(self, offset: int, size: int) -> bytes:
        """Read a bounded piece of the file."""
        if offset > self._size:
            raise _NotElf  # a damaged file may name places far beyond its end
        self._file.seek(offset)
        return self._file.read(min(size, _MOST_BYTES))

    def unpack(self, form: str, offset: int) -> tuple[int, ...]:
        """Read numbers at a place of the file."""
        form = self.order + form
        return struct.unpack(form, self.read(offset, struct.calcsize(form)))

    def segments(self) -> list[tuple[int, int, int, int]]:
        """Give (type, file offset, address, size in the file) of each segment."""
        found = []
        for index in range(self.count):
            at = self.header_offset + index * self.header_size
            if self.wide:
                kind, _, offset, address, _, size = self.unpack("IIQQQQ", at)
            else:
                kind, offset, address, _, size = self.unpack("IIIII", at)
            found.append((kind, offset, address, size))
        return found


def _read_elf(file: BinaryIO) -> tuple[str, str]:
    elf = _Elf(file)
    segments = elf.segments()
    build_id = next(
        (
            found
            for kind, offset, _, size in segments
            if kind == _PT_NOTE and (found := _build_id(elf, elf.read(offset, size)))
        ),
        "",
    )
    return _soname(elf, segments), build_id


def _build_id(elf: _Elf, notes: bytes) -> str:
    at = 0
    while at + 12 <= len(notes):
        name_size, size, kind = struct.unpack_from(f"{elf.order}III", notes, at)
        begin = at + 12 + _padded(name_size)
        if kind == _NT_GNU_BUILD_ID and notes[at + 12 : at + 16] == b"GNU\0":
            return notes[begin : begin + size].hex()
        at = begin + _padded(size)
    return ""


def _padded(size: int) -> int:
    return (size + 3) & ~3


def _soname(elf: _Elf, segments: list[tuple[int, int, int, int]]) -> str:
    dynamic = next((elf.read(offset, size) for kind, offset, _, size in segments if kind == _PT_DYNAMIC), b"")
    form = f"{elf.order}{elf.word}{elf.word}"
    whole = len(dynamic) - len(dynamic) % struct.calcsize(form)
    entries = dict(struct.iter_unpack(form, dynamic[:whole]))
    if _DT_SONAME not in entries or _DT_STRTAB not in entries:
        return ""
    address = entries[_DT_STRTAB] + entries[_DT_SONAME]
    for kind, offset, begin, size in segments:
        if kind == _PT_LOAD and begin <= address < begin + size:
            text = elf.read(offset + address - begin, 256)
            return text.partition(b"\0")[0].decode("utf-8", "replace")
    return ""


def process_libraries(pid: int) -> tuple[LoadedLibrary, ...]:
    """Identify the libraries that a running process of ours has mapped now; nothing if it is gone."""
    try:
        maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ()
    return read_libraries(library_paths(maps.splitlines()))
