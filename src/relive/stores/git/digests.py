"""Remembers which digest a git blob has: a text file that is only ever appended to.

A line is `OID DIGEST SIZE KIND`. One that a killed process left torn does not fit the form and is passed
over; what is lost by that is only read again.
"""

import os
import re
from collections.abc import Container
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from relive.core.digest import Digest

_LINE: Final = re.compile(
    r"(?P<oid>[0-9a-f]{40}|[0-9a-f]{64}) (?P<digest>blake3:[0-9a-f]{64}) "
    r"(?P<size>\d{1,18}) (?P<kind>file|lfs)\n"
)


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What a git blob's bytes are."""

    digest: Digest
    size_bytes: int
    is_lfs_pointer: bool


class DigestCache:
    """The digests of a repository's blobs; several processes may share the file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self, wanted: Container[str]) -> dict[str, Known]:
        """Give what is remembered of these blobs; the rest of the file is read past, not kept."""
        found = {}
        with (
            suppress(FileNotFoundError),
            open(self._path, encoding="ascii", errors="replace", newline="\n") as lines,
        ):
            for line in lines:
                match = _LINE.fullmatch(line)
                if match and match["oid"] in wanted:
                    found[match["oid"]] = Known(
                        digest=match["digest"],
                        size_bytes=int(match["size"]),
                        is_lfs_pointer=match["kind"] == "lfs",
                    )
        return found

    def add(self, oid: str, known: Known) -> None:
        """Remember a blob; only to be called when the store has it."""
        kind = "lfs" if known.is_lfs_pointer else "file"
        line = f"{oid} {known.digest} {known.size_bytes} {kind}\n"
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # The break in front ends a line that another process left torn; one write is one append.
            os.write(file, f"\n{line}".encode())
        finally:
            os.close(file)
