"""What the recorder's lines mean: which files a run read that nobody had declared."""

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from relive.capture.recorder.borders import (
    UNDECLARED,
    Belongs,
    Borders,
    is_a_tool_s_own,
    lies_in_any,
    program_roots,
)
from relive.capture.secrets import secret_file
from relive.core.recipe import UndeclaredRead
from relive.formats.manifest_io import HashCache

MOST_READS: Final = 1000
# Hashing what nobody declared must not take longer than the run.
_MOST_BYTES: Final = 32 * 1024**3


@dataclass
class Opened:
    """The recorder's lines, put together.

    Attributes:
        reads: Path to size, time of change (ns) and inode before it was read first.
        made: Paths that were not there before they were written.
        written: Paths that were opened to be written.
        programs: That were started.
        addresses: That were connected to, "HOST:PORT".
        refused: Paths and addresses that a hermetic run was not given.
        folders: Of which not each file was written down any more.
        unavailable: Why the kernel would not have it; empty if it did.
        begun: How many trees began.
        ended: How many of them were recorded to their end.
        blind: Why something was not seen.
        is_leaky: Whether opens may have gone past: io_uring was used, or lines found no room.
    """

    reads: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)
    written: set[str] = field(default_factory=set)
    programs: set[str] = field(default_factory=set)
    addresses: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    unavailable: str = ""
    begun: int = 0
    ended: int = 0
    blind: set[str] = field(default_factory=set)
    is_leaky: bool = False

    @property
    def is_whole(self) -> bool:
        """Tell whether every open was seen."""
        is_gap = self.unavailable or self.blind or self.is_leaky
        return self.begun > 0 and self.begun == self.ended and not is_gap


def read_opened(path: Path) -> Opened:
    """Read what the recorder wrote; nothing if it wrote nothing. A line that was cut off is a gap."""
    found = Opened()
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return found
    for line in lines:
        try:
            _take(found, _decoded(line))
        except (msgspec.DecodeError, KeyError, TypeError, ValueError):
            found.is_leaky = True
    return found


def _decoded(line: bytes) -> dict[str, Any]:
    # A path that is no UTF-8 holds half surrogates, which only the slower decoder takes.
    found: dict[str, Any] = json.loads(line) if b"\\ud" in line else msgspec.json.decode(line)
    return found


def printable(path: str) -> str:
    """Give a path as text that can be stored, also one whose bytes are no UTF-8."""
    return path.encode(errors="surrogateescape").decode(errors="backslashreplace")


def _take(found: Opened, line: dict[str, Any]) -> None:
    if line.get("folder"):
        found.folders.add(str(line.get("r") or line["w"]))
    elif "r" in line:
        size, changed, inode = line["s"]
        found.reads[line["r"]] = (size, changed, inode)
    elif "w" in line:
        found.written.add(line["w"])
        if line.get("new"):
            found.made.add(line["w"])
    elif "begin" in line:
        found.begun += 1
    elif "end" in line:
        found.ended += 1
        found.is_leaky = found.is_leaky or bool(line.get("dropped"))
    elif not _take_word(found, line):
        found.is_leaky = True


def _take_word(found: Opened, line: dict[str, Any]) -> bool:
    """Take a line that holds one word; tell whether it was one."""
    for key, words in (("x", found.programs), ("c", found.addresses), ("no", found.refused)):
        if key in line:
            words.add(line[key])
            return True
    if "blind" in line:
        found.blind.add(printable(str(line["blind"])))
    elif "unavailable" in line:
        found.unavailable = str(line["unavailable"])
    return "blind" in line or "unavailable" in line


def find_undeclared(
    opened: Opened, borders: Borders, hashes: HashCache, lines: Mapping[str, str] | None = None
) -> list[UndeclaredRead]:
    """Find the files that were read and not declared, by path, each with a digest over its bytes now.

    `lines` gives the line of the program that opened a file, by the file's real path.
    At most `MOST_READS` are given, and some tens of GB digested. One that has changed since has no digest:
    what was read is not known any more; nor has one that by its name holds a secret, which could be guessed.
    """
    roots = program_roots(opened.programs, keep_out=(str(borders.tree), os.path.expanduser("~")))
    found: list[UndeclaredRead] = []
    room = _MOST_BYTES
    for path, stamp in sorted(opened.reads.items()):
        is_refused = path in opened.refused
        belongs = _of_refused(path, borders) if is_refused else borders.of(path, stamp[1], opened.made)
        # A script of the tree that was started is an input like one that was read.
        is_program = path in opened.programs and belongs is Belongs.OUTSIDE
        is_known = belongs not in UNDECLARED or is_program or lies_in_any(path, roots)
        if (is_known or is_a_tool_s_own(path)) and not is_refused:
            continue
        if len(found) == MOST_READS:
            break
        shown = printable(borders.shown(path))
        is_wanted = stamp[0] <= room and not secret_file(shown)
        digest = _digest(path, stamp, hashes) if is_wanted else ""
        room -= stamp[0] if is_wanted else 0
        line = (lines or {}).get(os.path.realpath(path), "")
        read = UndeclaredRead(path=shown, size_bytes=stamp[0], digest=digest, belongs=belongs, line=line)
        found.append(read)
    return found


def _of_refused(path: str, borders: Borders) -> Belongs:
    """Say what a refused file is: not the run's own, whatever became of it and whatever led to it."""
    found = borders.of(os.path.realpath(path), 0, ())
    return found if found in UNDECLARED else Belongs.OUTSIDE


def _digest(path: str, stamp: tuple[int, int, int], hashes: HashCache) -> str:
    try:
        found = os.stat(path)
        if (found.st_size, found.st_ctime_ns, found.st_ino) != stamp:
            return ""
        return hashes.digest_of(Path(path))[0]
    except OSError:
        return ""


def file_time_ns(folder: Path) -> int:
    """Give the time as file systems stamp it, by a file that is made in a folder.

    Their clock stands still for some milliseconds: what was there before is stamped no later than this, and
    what a command makes, which takes longer to start, is stamped after it.
    """
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        return os.stat(file.name).st_ctime_ns
