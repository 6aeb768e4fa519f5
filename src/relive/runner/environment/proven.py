"""Prove that an environment holds what its wheels hold: byte by byte once, then by the stamps of its files.

Files are installed as hard links out of a cache, so one that was written to in any environment is another in
all of them. A link has the inode, size and time of change of what it leads to, and a write changes the last.
"""

import base64
import csv
import hashlib
import io
import os
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from relive.runner.environment.wheels import Wheel

_AT_ONCE: Final = 4
_SCHEMES: Final = ("purelib", "platlib")


def is_proven(prefix: Path, mark: Path) -> bool:
    """Tell whether an environment's files are those that `prove` found to be right."""
    try:
        return mark.read_text(encoding="ascii") == _stamps_of(prefix)
    except OSError:
        return False


def prove(prefix: Path, wheels: Iterable[Wheel], mark: Path) -> list[str]:
    """Compare each installed file with what its wheel says of it.

    Args:
        prefix: The environment, just made of these wheels.
        wheels: Verified.
        mark: Remembers that all was right.

    Returns:
        The names of packages of which a file is another, or gone; none if all is right.
    """
    site = next((prefix / "lib").glob("python*/site-packages"))
    stamps = _stamps_of(prefix)
    said = _said_by(wheels)
    parts = [list(said.items())[start::_AT_ONCE] for start in range(_AT_ONCE)]
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        wrong = {name for part in threads.map(lambda part: _wrong(site, part), parts) for name in part}
    if not wrong:
        _write(mark, stamps)
    return sorted(wrong)


def _stamps_of(prefix: Path) -> str:
    """Give a digest over the stamps of all linked files; those that were made for this place have none."""
    lines = sorted(
        f"{path}\0{found.st_ino}\0{found.st_size}\0{found.st_mtime_ns}\n"
        for path, found in _files(str(prefix))
        if found.st_nlink > 1
    )
    text = "".join(lines).encode(errors="surrogateescape")
    return hashlib.sha256(sys.version.encode() + text).hexdigest()


def _files(prefix: str) -> Iterator[tuple[str, os.stat_result]]:
    waiting = [prefix]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    yield entry.path[len(prefix) :], entry.stat(follow_symlinks=False)


def _said_by(wheels: Iterable[Wheel]) -> dict[str, dict[str, str]]:
    """Give for each path digest → package; packages that share a path overwrite one another."""
    said: dict[str, dict[str, str]] = {}
    for wheel in wheels:
        for path, digest in _recorded(wheel.path):
            said.setdefault(path, {})[digest] = wheel.package.name
    return said


def _wrong(site: Path, files: Iterable[tuple[str, dict[str, str]]]) -> set[str]:
    wrong = (said for path, said in files if not any(_has_digest(site / path, digest) for digest in said))
    return {name for said in wrong for name in said.values()}


def _recorded(wheel: Path) -> Iterator[tuple[str, str]]:
    """Give the files that a wheel puts below site-packages, each with its digest as RECORD writes it."""
    with zipfile.ZipFile(wheel) as opened:
        records = (name for name in opened.namelist() if name.endswith(".dist-info/RECORD"))
        record = next(name for name in records if name.count("/") == 1)
        for path, digest, *_ in filter(None, csv.reader(io.StringIO(opened.read(record).decode()))):
            first, *inside = path.split("/", 2)
            if first.endswith(".data") and inside:
                # Programs get another first line, and data and headers lie elsewhere.
                if inside[0] in _SCHEMES:
                    yield inside[1], digest
            elif digest:
                yield path, digest


def _has_digest(path: Path, digest: str) -> bool:
    name, _, wanted = digest.partition("=")
    try:
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, name).digest()
    except (OSError, ValueError):
        return False
    return base64.urlsafe_b64encode(found).rstrip(b"=").decode() == wanted.rstrip("=")


def _write(mark: Path, text: str) -> None:
    mark.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=mark.parent, prefix=".mark.", delete=False) as file:
        file.write(text)
    os.replace(file.name, mark)
