"""An archive as it lies on the disk: what it says of itself, and its members, each verified as it is read.

`archive.json` lists the SHA-256 of every other member; `DIGEST` of that file names all of the content. The
archive is not trusted to be honest about paths: what would leave the folder it is laid into is refused.
"""

import hashlib
import json
import os
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, Final

FORMAT: Final = "relive.archive/1"
DOCUMENT: Final = "archive.json"
_READ_BYTES: Final = 1 << 20
_LARGEST_DOCUMENT: Final = 1 << 28
# How an archive is written; what a byte that was changed makes of that is as many exceptions.
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_UNREADABLE: Final = (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, ValueError)


class ArchiveError(Exception):
    """The archive is damaged, or is none."""


class CannotMake(Exception):
    """This machine lacks something that the run needs; says what."""


class Archive:
    """An open archive.

    Args:
        path: The file.

    Raises:
        ArchiveError: It is no archive that this version can read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except _UNREADABLE as error:
            raise ArchiveError(f"{path} is no archive of a run: {error}") from error
        try:
            self._read_document()
        except BaseException:
            self.close()
            raise

    def _read_document(self) -> None:
        try:
            size = self._zip.getinfo(DOCUMENT).file_size
            data = self._zip.read(DOCUMENT) if size <= _LARGEST_DOCUMENT else b""
            self.document: dict[str, Any] = json.loads(data)
            found = self.document["format"]
            self.members: dict[str, str] = dict(self.document["members"])
        except (*_UNREADABLE, KeyError, TypeError) as error:
            raise ArchiveError(f"{self.path} is no archive of a run: {error}") from error
        if found != FORMAT:
            raise ArchiveError(f"{self.path} has the format {found}; this reads {FORMAT}")
        self.digest = hashlib.sha256(data).hexdigest()

    def close(self) -> None:
        """Close the file."""
        self._zip.close()

    def read(self, member: str) -> bytes:
        """Give a small member's bytes.

        Raises:
            ArchiveError: It is not there, or not what it was.
        """
        return b"".join(self._pieces(member))

    def extract(self, member: str, target: Path, *, executable: bool = False) -> None:
        """Write a member to a path, whose folders are made.

        Raises:
            ArchiveError: It is not there, or not what it was; then there is no file either.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target, "xb") as file:
            try:
                file.writelines(self._pieces(member))
            except BaseException:
                target.unlink()
                raise
        if executable:
            target.chmod(0o755)

    def extract_folder(self, prefix: str, target: Path) -> None:
        """Write every member below a folder, with paths relative to it.

        Raises:
            ArchiveError: One is not what it was, or would leave the target.
        """
        for member in self.below(prefix):
            self.extract(member, inside(target, member[len(prefix) :]))

    def below(self, prefix: str) -> list[str]:
        """Name the members whose names begin so."""
        return [name for name in self.members if name.startswith(prefix)]

    def lay(self, entries: Iterable[dict[str, Any]], target: Path) -> None:
        """Lay a tree out; what lies in its place is replaced.

        Raises:
            ArchiveError: A part of it is damaged, not in the archive, or would leave the target.
        """
        links = []
        for entry in entries:
            place = inside(target, entry["path"])
            if place.is_symlink() or place.is_file():
                place.unlink()
            if "link" in entry:
                inside(target, os.path.join(os.path.dirname(entry["path"]), entry["link"]))
                links.append((place, entry["link"]))
            elif not entry["member"]:
                raise ArchiveError(
                    f"{entry['path']} is not in the archive, only its digest {entry['sha256']}"
                )
            else:
                self.extract(entry["member"], place, executable=bool(entry.get("executable")))
        # Last: nothing may be written through a link.
        for place, link in links:
            place.parent.mkdir(parents=True, exist_ok=True)
            os.symlink(link, place)
        self._check_links([place for place, _ in links], target)

    def _check_links(self, links: list[Path], target: Path) -> None:
        """Remove links again that lead out one through the other: by their words alone each stays inside."""
        root = Path(os.path.realpath(target))
        wrong = [link for link in links if not Path(os.path.realpath(link)).is_relative_to(root)]
        if wrong:
            for link in links:
                link.unlink()
            raise ArchiveError(f"the link {str(wrong[0])!r} leads out of its folder")

    def damaged(self) -> list[str]:
        """Read all of it, and name what is not as it was, or not listed."""
        names = self._zip.namelist()
        wrong = [f"{name} is not listed" for name in names if not self._is_listed(name)]
        # Of two of one name each program may show another.
        wrong += [f"{name} is there {n} times" for name, n in Counter(names).items() if n > 1]
        for member in self.members:
            try:
                for _ in self._pieces(member):
                    continue
            except ArchiveError as error:
                wrong.append(str(error))
        return wrong

    def _is_listed(self, name: str) -> bool:
        return name == DOCUMENT or name in self.members

    def _pieces(self, member: str) -> Iterable[bytes]:
        digest = hashlib.sha256()
        try:
            with self._open(member) as file:
                while piece := file.read(_READ_BYTES):
                    digest.update(piece)
                    yield piece
        except _UNREADABLE as error:
            raise ArchiveError(f"{member} cannot be read: {error}") from error
        if digest.hexdigest() != self.members[member]:
            raise ArchiveError(f"{member} is not what it was: its SHA-256 differs")

    def _open(self, member: str) -> IO[bytes]:
        try:
            if member in self.members:
                info = self._zip.getinfo(member)
                if info.compress_type not in _METHODS:
                    raise ArchiveError(f"{member} is compressed in a way that is not known")
                return self._zip.open(info)
        except KeyError:
            raise ArchiveError(f"{member} is missing") from None
        raise ArchiveError(f"{member} is missing")


def inside(folder: Path, path: str) -> Path:
    """Give a path below a folder.

    Raises:
        ArchiveError: It leads out of it.
    """
    place = Path(os.path.normpath(folder / path))
    if "\0" in path or not place.is_relative_to(os.path.normpath(folder)):
        raise ArchiveError(f"{path!r} leads out of its folder")
    return place
