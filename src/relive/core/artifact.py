"""What an artifact is made of: a manifest, which says for each path the digest of its bytes.

A manifest is itself a blob: its digest is that of its canonical bytes, so it names the whole tree.
"""

import posixpath
import re
from bisect import bisect_left
from collections.abc import Iterable
from functools import cached_property
from typing import Any, Final, NoReturn, Self

import msgspec

from relive.core.digest import Digest, is_digest
from relive.errors import InvalidManifest

# What Linux can lay out in a folder: PATH_MAX and NAME_MAX, in bytes of UTF-8.
_LONGEST_PATH: Final = 4095
_LONGEST_NAME: Final = 255
# What nearly every path is; it needs none of the other questions, which take 20 times as long.
_ORDINARY: Final = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9_.-]*/)*[A-Za-z0-9_-][A-Za-z0-9_.-]*")


class ManifestEntry(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One file of a manifest, or one symbolic link.

    Attributes:
        path: Relative, with `/` between the names; no `.`, no `..`.
        digest: Of the file's bytes; empty for a link.
        size_bytes: Of the file; 0 for a link.
        executable: Whether the file is a program.
        link: Where a link points, relative to its own folder and inside the manifest; None for a file.
    """

    path: str
    digest: Digest = ""
    size_bytes: int = 0
    executable: bool = False
    link: str | None = None


class Manifest(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    dict=True,  # room for the cached properties
    tag_field="format",
    tag="relive.manifest/1",
):
    """A tree of files, as paths and digests; valid from the moment it exists.

    Attributes:
        entries: Sorted by path, each path once; a path that is a file is no folder.

    Raises:
        InvalidManifest: The entries cannot be laid out in an empty folder, or reach outside it.
    """

    entries: tuple[ManifestEntry, ...] = ()

    def __post_init__(self) -> None:
        last = ""
        for entry in self.entries:
            _check_path(entry.path)
            if entry.path == last:
                _refuse(entry.path, "each path once")
            if entry.path < last:
                _refuse(entry.path, f"entries sorted by path, but it comes after {last!r}")
            _check_content(entry)
            last = entry.path
        _check_no_file_is_a_folder(self._paths)

    @classmethod
    def of(cls, entries: Iterable[ManifestEntry]) -> Self:
        """Make a manifest of entries in any order.

        Raises:
            InvalidManifest: They cannot be laid out in an empty folder, or reach outside it.
        """
        return cls(entries=tuple(sorted(entries, key=lambda entry: entry.path)))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a manifest from its canonical bytes.

        Raises:
            InvalidManifest: The bytes are no manifest, or not in canonical form.
        """
        try:
            manifest = msgspec.json.decode(data, type=cls)
            canonical = manifest.to_bytes()
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidManifest(
                field="manifest", value=data[:80], wanted=f"a manifest ({error})"
            ) from error
        if canonical != data:
            # Else two byte strings, and so two digests, would name the same tree.
            raise InvalidManifest(field="manifest", value=data[:80], wanted="a manifest in canonical form")
        return manifest

    def to_bytes(self) -> bytes:
        """Write the canonical bytes, whose BLAKE3 is this manifest's digest.

        msgspec writes them ten times as fast as `canonical_json`, and the same for text, whole numbers and
        booleans, which a test holds.
        """
        return msgspec.json.encode(self, order="sorted")

    @cached_property
    def size_bytes(self) -> int:
        """Sum of the sizes of all files."""
        return sum(entry.size_bytes for entry in self.entries)

    @property
    def n_files(self) -> int:
        """Number of files and links."""
        return len(self.entries)

    @property
    def digests(self) -> frozenset[Digest]:
        """The blobs that this tree is made of."""
        return frozenset(entry.digest for entry in self.entries if entry.link is None)

    def find(self, path: str) -> ManifestEntry | None:
        """Give the entry with exactly this path, or None."""
        index = bisect_left(self._paths, path)
        return self.entries[index] if index < len(self.entries) and self._paths[index] == path else None

    def subtree(self, prefix: str) -> "Manifest":
        """Give what lies in a folder, with paths relative to it; empty if there is no such folder.

        Raises:
            InvalidManifest: A link in the folder points out of it.
        """
        folder = prefix.strip("/")
        if not folder:
            return self
        # "0" is the character after "/": between the two lies exactly what is in the folder.
        first, end = bisect_left(self._paths, f"{folder}/"), bisect_left(self._paths, f"{folder}0")
        inside = self.entries[first:end]
        return Manifest(
            tuple(msgspec.structs.replace(entry, path=entry.path[len(folder) + 1 :]) for entry in inside)
        )

    def below(self, folder: str) -> "Manifest":
        """Give the same tree as it lies in a folder; `.` leaves it as it is.

        Raises:
            InvalidManifest: A path becomes too long, or the folder's is none.
        """
        prefix = folder.strip("/")
        if prefix in ("", "."):
            return self
        return Manifest(tuple(msgspec.structs.replace(it, path=f"{prefix}/{it.path}") for it in self.entries))

    @cached_property
    def _paths(self) -> list[str]:
        return [entry.path for entry in self.entries]


def _check_path(path: str) -> None:
    if len(path) <= _LONGEST_NAME and _ORDINARY.fullmatch(path):
        return
    names = path.split("/")
    if not path or path.startswith("/") or "" in names or "." in names or ".." in names:
        _refuse(path, "a relative path without empty names, '.' and '..', such as 'data/train.csv'")
    _check_text(path, "path")
    if max(len(name.encode()) for name in names) > _LONGEST_NAME:
        _refuse(path, f"names of at most {_LONGEST_NAME} bytes")


def _check_content(entry: ManifestEntry) -> None:
    if entry.link is not None:
        _check_link(entry.path, entry.link)
        if entry.digest or entry.size_bytes or entry.executable:
            _refuse(entry.path, "a link without digest, size and executable flag")
    elif not is_digest(entry.digest):
        _refuse(
            entry.digest, "a digest: blake3: and 64 hexadecimal digits", field=f"digest of {entry.path!r}"
        )
    elif entry.size_bytes < 0:
        _refuse(entry.size_bytes, "0 bytes or more", field=f"size of {entry.path!r}")


def _check_link(path: str, target: str) -> None:
    """Refuse a link that could lead outside the folder the manifest is laid out in.

    `..` is allowed only in front: after a name it would climb from wherever another link leads.
    """
    _check_text(target, f"link {path!r}")
    names = target.split("/")
    n_up = next((index for index, name in enumerate(names) if name != ".."), len(names))
    climbs_late = ".." in names[n_up:]
    if not target or target.startswith("/") or climbs_late or n_up > path.count("/"):
        _refuse(target, "a relative path that stays inside the manifest", field=f"link {path!r}")


def _check_text(text: str, field: str) -> None:
    try:
        n_bytes = len(text.encode())
    except UnicodeEncodeError:
        _refuse(text, "a path in UTF-8; rename the file", field=field)
    if "\0" in text or n_bytes > _LONGEST_PATH:
        _refuse(text, f"at most {_LONGEST_PATH} bytes without the character NUL", field=field)


def _check_no_file_is_a_folder(paths: list[str]) -> None:
    folders: set[str] = set()
    for path in paths:
        folder = posixpath.dirname(path)
        while folder and folder not in folders:
            folders.add(folder)
            folder = posixpath.dirname(folder)
    for path in paths:
        if path in folders:
            _refuse(path, "a path that is either a file or a folder")


def _refuse(value: Any, wanted: str, *, field: str = "path") -> NoReturn:
    raise InvalidManifest(field=field, value=value, wanted=wanted)
