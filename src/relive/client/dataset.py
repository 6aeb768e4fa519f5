"""`relive.dataset("sales@v3")`: a version's files, read over the network as they are needed, unmounted."""

import io
from bisect import bisect_right
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, Final

from relive.client.hub import connect
from relive.client.laying import lay
from relive.client.packed import PackedVersion
from relive.client.referenced import ReferencedFile
from relive.core.artifact import Manifest, ManifestEntry
from relive.core.dataset import DatasetVersion
from relive.core.picking import pick_files
from relive.errors import InvalidInput
from relive.formats.packs import raw

# Read ahead by text and CSV readers, which ask for little at a time.
_BUFFER_BYTES: Final = 1024 * 1024
_READ_TAG: Final = "relive.dataset."


class DatasetFile(io.RawIOBase):
    """A file of a version, to be read and sought in; each piece that comes is checked.

    For one thread at a time; several files of one version may be read by several threads.
    """

    def __init__(self, source: PackedVersion, entry: ManifestEntry) -> None:
        self._source = source
        self.name = entry.path
        self.size = entry.size_bytes
        self._pieces = source.pieces_of(entry)
        self._starts = _starts(source, self._pieces)
        self._at = 0

    def readable(self) -> bool:
        """Say yes."""
        return True

    def seekable(self) -> bool:
        """Say yes."""
        return True

    def tell(self) -> int:
        """Give the place that is read next."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place, which may lie behind the end.

        Raises:
            ValueError: It lies before the beginning.
        """
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        if start + offset < 0:
            raise ValueError(f"no place before the beginning: {start + offset}")
        self._at = start + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Read what one piece has of it.

        Raises:
            BlobCorrupt: What came is not what the version holds.
            HubUnreachable: The hub does not answer.
        """
        view = memoryview(buffer).cast("B")
        if self._at >= self.size or not view:
            return 0
        number = bisect_right(self._starts, self._at) - 1
        piece = memoryview(self._source.read(self._pieces[number]))
        part = piece[self._at - self._starts[number] :][: len(view)]
        view[: len(part)] = part
        self._at += len(part)
        return len(part)


class OpenDataset:
    """A version of a data set that can be read.

    Args:
        source: Where its bytes come from.
    """

    def __init__(self, source: PackedVersion) -> None:
        self._source = source

    def __repr__(self) -> str:
        return f"<dataset {self.version.ref}, {self.version.files} files>"

    @property
    def version(self) -> DatasetVersion:
        """What is known of it."""
        return self._source.version

    def files(self, *patterns: str) -> list[str]:
        """List its files' paths, or those that globs, files or folders name.

        Raises:
            NotFound: One of them names nothing.
        """
        chosen = pick_files(self._source.manifest, patterns, self.version.ref)
        return [entry.path for entry in chosen.entries]

    @property
    def manifest(self) -> Manifest:
        """All of its files with digests, sizes and links."""
        return self._source.manifest

    def entry(self, path: str) -> ManifestEntry:
        """Give what is known of a file, or of the one that a link leads to.

        Raises:
            NotFound: It has none at this path.
        """
        return self._source.entry(path)

    def size(self, path: str) -> int:
        """Give a file's size in bytes."""
        return self.entry(path).size_bytes

    def open(self, path: str, mode: str = "rb", encoding: str = "utf-8") -> IO[Any]:
        """Open a file to read: "rb" for bytes that can be sought in, "r" for text.

        Raises:
            NotFound: It has none at this path.
            InvalidInput: Another mode: a version never changes.
        """
        if mode not in ("rb", "r", "rt"):
            raise InvalidInput(field="mode", value=mode, wanted="'rb' or 'r': a version never changes")
        buffered = io.BufferedReader(self.raw(path), _BUFFER_BYTES)
        return buffered if mode == "rb" else io.TextIOWrapper(buffered, encoding=encoding)

    def raw(self, path: str) -> io.RawIOBase:
        """Open a file to read and seek in without a buffer; it has its `size` in bytes.

        Raises:
            NotFound: It has none at this path.
        """
        return _raw_file(self._source, self.entry(path))

    def read(self, path: str) -> bytes:
        """Give a file's bytes."""
        with self.open(path) as file:
            return bytes(file.read())

    def get(self, target: str | Path, *patterns: str) -> Manifest:
        """Write its files, or some of them, into a folder; what is there already is not fetched again."""
        chosen = pick_files(self._source.manifest, patterns, self.version.ref)
        lay(self._source, chosen, Path(target))
        return chosen


def dataset(ref: str, *, hub: str = "", token: str = "") -> OpenDataset:
    """Open a version of a data set, such as `sales@v3`, `sales@latest` or `sales`.

    Args:
        ref: Its name.
        hub: Address of the hub; empty for the one of this machine or of the last login.
        token: For the hub; empty for the one kept for it.

    Raises:
        InvalidInput: The name has another form.
        HubRefused: There is no such version.
        HubUnknown, HubUnreachable: There is no hub.
    """
    client = connect(hub, token, retry_for_s=30.0)
    return OpenDataset(PackedVersion(client, client.get_dataset_version(ref).version))


def read_tags(found: OpenDataset) -> dict[str, str]:
    """Give the tag by which a run says that it reads a version; the hub makes lineage of it."""
    return {f"{_READ_TAG}{found.version.ref}": found.version.digest}


def _raw_file(source: PackedVersion, entry: ManifestEntry) -> io.RawIOBase:
    reference = source.reference_of(entry)
    if reference is None:
        return DatasetFile(source, entry)
    return ReferencedFile(entry.path, raw(entry.digest), reference)


def _starts(source: PackedVersion, pieces: Iterable[bytes]) -> list[int]:
    starts, at = [], 0
    for piece in pieces:
        starts.append(at)
        at += source.layout.pieces[piece].size_bytes
    return starts
