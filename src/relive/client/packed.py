"""Reading a version of a data set: its pieces, out of parts of packs that are fetched as they are needed."""

import posixpath
import threading
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, Self

from relive.client.beside import find_beside
from relive.client.calls.datasets import DatasetCalls
from relive.core.artifact import Manifest, ManifestEntry
from relive.core.dataset import DatasetVersion
from relive.errors import BlobCorrupt, InvalidInput, NotFound
from relive.formats.hashing import Bytes
from relive.formats.layout import Frame, Layout, Reference
from relive.formats.packs import digest_of_raw, hash_piece, open_frame, raw

# Frames that lie closer together than this are fetched in one go.
_GAP_BYTES: Final = 512 * 1024
_KEPT_FRAMES: Final = 16
_KEPT_PACKS: Final = 3
# What a sweep gave stays as it is until so many more blocks were asked for: then its memory is used again.
KEPT_BLOCKS: Final = 4


class PackedVersion:
    """A version, and how to get at its bytes; may be used from several threads.

    Args:
        hub: Where it is kept.
        version: Which one.
    """

    def __init__(self, hub: DatasetCalls, version: DatasetVersion) -> None:
        self.hub = hub
        self.version = version
        self.beside = find_beside(hub.transport)
        self._manifest: Manifest | None = None
        self._layout: Layout | None = None
        self._frames: OrderedDict[int, Bytes] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def manifest(self) -> Manifest:
        """Its files."""
        if self._manifest is None:
            self._manifest = self.hub.dataset_manifest(self.version)
        return self._manifest

    @property
    def layout(self) -> Layout:
        """Where its bytes lie."""
        if self._layout is None:
            self._layout = self.hub.dataset_layout(self.version)
        return self._layout

    def entry(self, path: str) -> ManifestEntry:
        """Give a file, or what a link in the version leads to.

        Raises:
            NotFound: It has none at this path.
        """
        return find_entry(self.manifest, path, self.version.ref)

    def pieces_of(self, entry: ManifestEntry) -> tuple[bytes, ...]:
        """Name the pieces of a file, in order; none of an empty one, nor of one that others keep.

        Raises:
            BlobCorrupt: The layout does not have it.
        """
        if not entry.size_bytes or self.reference_of(entry) is not None:
            return ()
        pieces = self.layout.pieces_of(raw(entry.digest))
        if pieces is None:
            raise BlobCorrupt(digest=entry.digest, actual="no known place")
        return pieces

    def reference_of(self, entry: ManifestEntry) -> Reference | None:
        """Say where a file is kept, if others keep it."""
        references = self.layout.references
        return references.get(raw(entry.digest)) if references and entry.size_bytes else None

    def read(self, piece: bytes) -> Bytes:
        """Give a piece, verified.

        Raises:
            BlobCorrupt: What came is something else.
        """
        place = self.layout.pieces[piece]
        data = memoryview(self._frame(place.frame))[place.offset : place.offset + place.size_bytes]
        if (actual := hash_piece(data)) != piece:
            raise BlobCorrupt(digest=digest_of_raw(piece), actual=digest_of_raw(actual))
        return data

    def _frame(self, number: int) -> Bytes:
        with self._lock:
            if number in self._frames:
                self._frames.move_to_end(number)
                return self._frames[number]
        frame = self.layout.frames[number]
        stored = fetch(self, frame.pack, frame.offset, frame.offset + frame.stored_bytes)
        opened = _open(self.layout, frame, stored)
        with self._lock:
            self._frames[number] = opened
            while len(self._frames) > _KEPT_FRAMES:
                self._frames.popitem(last=False)
        return opened


class Sweep:
    """Gives pieces in the order in which they lie, with the next pack on its way meanwhile.

    A context manager, for one thread.

    Args:
        source: The version.
        pieces: Every piece that will be asked for, in this order; one may come several times.
    """

    def __init__(self, source: PackedVersion, pieces: Iterable[bytes]) -> None:
        self._source = source
        layout = source.layout
        wanted: dict[int, dict[int, None]] = {}
        for piece in pieces:
            number = layout.pieces[piece].frame
            wanted.setdefault(layout.frames[number].pack, {})[number] = None
        self._wanted = wanted
        self._order = list(wanted)
        self._packs: OrderedDict[int, Future[Mapping[int, Bytes]]] = OrderedDict()
        self._opened: tuple[int, Bytes] = (-1, b"")
        # New memory for each frame would cost as much as to copy it.
        self._buffers = deque([memoryview(b"")] * KEPT_BLOCKS)
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="packs")

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop fetching."""
        self._threads.shutdown(cancel_futures=True)

    def read(self, piece: bytes) -> memoryview:
        """Give a piece, not verified: whoever writes a file verifies all of it; see `KEPT_BLOCKS`."""
        place = self._source.layout.pieces[piece]
        return self._frame(place.frame)[place.offset : place.offset + place.size_bytes]

    def blocks(self, pieces: Iterable[bytes]) -> Iterator[memoryview]:
        """Give pieces, those that lie one after the other as one; not verified; see `KEPT_BLOCKS`."""
        known = self._source.layout.pieces
        frame, start, end, held = -1, 0, 0, memoryview(b"")
        for piece in pieces:
            place = known[piece]
            if (place.frame, place.offset) != (frame, end):
                if end > start:
                    yield held[start:end]
                frame, start, held = place.frame, place.offset, self._frame(place.frame)
            end = place.offset + place.size_bytes
        if end > start:
            yield held[start:end]

    def _frame(self, number: int) -> memoryview:
        if self._opened[0] != number:
            frame = self._source.layout.frames[number]
            self._opened = (number, _open(self._source.layout, frame, self._stored(number, frame)))
        return memoryview(self._opened[1])

    def _stored(self, number: int, frame: Frame) -> Bytes:
        beside = self._source.beside
        if beside is None:
            return self._pack(frame.pack)[number]
        # From a file, frame by frame: the system reads ahead, and little memory is used again and again.
        self._buffers.rotate()
        if len(self._buffers[0]) < frame.stored_bytes:
            self._buffers[0] = memoryview(bytearray(frame.stored_bytes))
        stored = self._buffers[0][: frame.stored_bytes]
        if beside.read_into(self._source.layout.packs[frame.pack].digest, frame.offset, stored):
            return stored
        return fetch(self._source, frame.pack, frame.offset, frame.offset + frame.stored_bytes)

    def _pack(self, number: int) -> Mapping[int, Bytes]:
        future = self._ask(number)
        self._packs.move_to_end(number)
        following = self._order.index(number) + 1
        if following < len(self._order):
            self._ask(self._order[following])
        while len(self._packs) > _KEPT_PACKS:
            self._packs.popitem(last=False)
        return future.result()

    def _ask(self, number: int) -> "Future[Mapping[int, Bytes]]":
        if number not in self._packs:
            self._packs[number] = self._threads.submit(self._fetch, number)
        return self._packs[number]

    def _fetch(self, number: int) -> Mapping[int, Bytes]:
        """Fetch the frames of a pack that are wanted, with few calls."""
        frames = self._source.layout.frames
        wanted = sorted(self._wanted[number], key=lambda it: frames[it].offset)
        found: dict[int, Bytes] = {}
        for some in _runs(wanted, self._source.layout):
            start = frames[some[0]].offset
            end = frames[some[-1]].offset + frames[some[-1]].stored_bytes
            data = memoryview(fetch(self._source, number, start, end))
            for it in some:
                at = frames[it].offset - start
                found[it] = data[at : at + frames[it].stored_bytes]
        return found


def fetch(source: PackedVersion, pack: int, start: int, end: int) -> bytes:
    """Give a part of a pack.

    Raises:
        BlobCorrupt: It is shorter than the layout says.
    """
    named = source.layout.packs[pack]
    near = source.beside.read(named.digest, start, end) if source.beside is not None else None
    data = near if near is not None else source.hub.read_pack(source.version, named.digest, start, end)
    if len(data) != end - start:
        raise BlobCorrupt(digest=named.digest, actual=f"{len(data)} bytes instead of {end - start}")
    return data


def _open(layout: Layout, frame: Frame, stored: Bytes) -> Bytes:
    try:
        return open_frame(frame, stored)
    except InvalidInput as error:
        actual = f"something that cannot be unpacked ({error.wanted})"
        raise BlobCorrupt(digest=layout.packs[frame.pack].digest, actual=actual) from error


def find_entry(manifest: Manifest, path: str, what: str) -> ManifestEntry:
    """Give the file at a path, following links inside the tree.

    Raises:
        NotFound: There is none.
    """
    found = manifest.find(path)
    for _ in range(40):  # as many as Linux follows
        if found is None or found.link is None:
            break
        found = manifest.find(posixpath.normpath(posixpath.join(posixpath.dirname(found.path), found.link)))
    if found is None or found.link is not None:
        raise NotFound(kind=f"file of {what}", name=path, hint=f"relive data files {what}")
    return found


def _runs(numbers: list[int], layout: Layout) -> Iterator[list[int]]:
    """Cut a list of frames where they lie too far apart."""
    some: list[int] = []
    for number in numbers:
        if some:
            last = layout.frames[some[-1]]
            if layout.frames[number].offset - last.offset - last.stored_bytes > _GAP_BYTES:
                yield some
                some = []
        some.append(number)
    if some:
        yield some
