"""Writing packs: pieces go in one after the other, and come out as blobs and a layout."""

import mmap
from collections import deque
from collections.abc import Callable
from typing import Final

from blake3 import blake3

from relive.core.digest import PREFIX, Digest
from relive.formats.compression import compress, decompress
from relive.formats.hashing import Bytes
from relive.formats.layout import Frame, Layout, Pack, Place, Reference

FRAME_BYTES: Final = 1024 * 1024
PACK_BYTES: Final = 32 * 1024 * 1024
# A pack that is full has at most a frame too much, and a frame a piece.
_BUFFER_BYTES: Final = PACK_BYTES + 4 * FRAME_BYTES
# Packs that are being made or sent; each is held in memory.
_BUFFERS: Final = 3
# What no gzip, JPEG or random number is worth; looked at on a part of a frame first.
_WORTH: Final = 0.9
_SAMPLE_BYTES: Final = 64 * 1024
# A pack of which less is still wanted is not kept for that: what is wanted is packed again.
_LIVE_SHARE: Final = 0.5
# So that a pack is not taken for a document, which begins with `{"`.
_MAGIC: Final = b"relive.pack/1\n"


def raw(digest: Digest) -> bytes:
    """Give the 32 bytes that a digest stands for."""
    return bytes.fromhex(digest[len(PREFIX) :])


def digest_of_raw(hash_: bytes) -> Digest:
    """Give the digest of 32 bytes."""
    return PREFIX + hash_.hex()


def hash_piece(data: Bytes) -> bytes:
    """Give the 32 bytes that a piece is known by."""
    return blake3(data).digest()


def open_frame(frame: Frame, stored: Bytes) -> Bytes:
    """Give a frame's pieces from what is stored of it.

    Raises:
        InvalidInput: It is damaged.
    """
    return stored if frame.stored_bytes == frame.size_bytes else decompress(stored, frame.size_bytes)


Sent = Callable[[], Digest]
"""Waits until a pack is stored, and gives its digest."""


class Packer:
    """Makes the layout of a version, beside what an earlier one has stored already.

    The same pieces in the same order make the same packs, so that one which was cut off finds its packs in
    the store when it is done again. Not for two threads at once.

    Args:
        base: What is stored already.
        send: Stores a pack, which keeps its bytes until it is stored; may go on meanwhile.
    """

    def __init__(self, base: Layout, send: Callable[[memoryview], Sent]) -> None:
        self._base = base
        self._send = send
        self._kept: dict[bytes, None] = {}
        self._new = Layout(packs=[], frames=[], pieces={}, files={}, references={})
        self._in_frame: list[tuple[bytes, int, int]] = []
        # The pack is filled in place, and its memory used again: new memory costs as much as hashing.
        self._buffers: deque[tuple[memoryview, Sent]] = deque()
        self._pack = _buffer()
        self._frame_at = self._end = 0
        self._sent: list[Sent] = []
        self.added_bytes = 0

    def has(self, file: bytes) -> bool:
        """Tell whether a file need not be read: its bytes are stored, or are on their way."""
        return self._new.has(file) or self._base.has(file)

    def keep(self, file: bytes) -> None:
        """Take over a file that is stored already."""
        if self._new.has(file):
            return
        if (reference := self._base.references.get(file)) is not None:
            self._new.references[file] = reference
            return
        pieces = self._base.pieces_of(file)
        assert pieces is not None  # `has` said so
        if file not in self._base.pieces:
            self._new.files[file] = pieces
        self._kept.update(dict.fromkeys(pieces))

    def add(self, piece: bytes, data: Bytes) -> None:
        """Take a piece with its bytes; one that is stored already is taken over."""
        if piece in self._new.pieces:
            return
        if piece in self._base.pieces:
            self._kept[piece] = None
            return
        self._put(piece, data)

    def refer(self, file: bytes, reference: Reference) -> None:
        """Take a file that others keep."""
        self._new.references[file] = reference

    def close_file(self, file: bytes, pieces: tuple[bytes, ...]) -> None:
        """Say of what pieces a file is made that was cut."""
        if not self._new.has(file) and pieces != (file,):
            self._new.files[file] = pieces

    def sparse(self) -> set[bytes]:
        """Give what lies in packs of which the most is not wanted any more: `again` takes their bytes."""
        live = [0] * len(self._base.packs)
        pieces = [(piece, self._base.pieces[piece]) for piece in self._kept]
        frames = self._base.frames
        for _, place in pieces:
            frame = frames[place.frame]
            live[frame.pack] += place.size_bytes * frame.stored_bytes // max(1, frame.size_bytes)
        poor = {
            number
            for number, pack in enumerate(self._base.packs)
            if live[number] < pack.size_bytes * _LIVE_SHARE
        }
        return {piece for piece, place in pieces if frames[place.frame].pack in poor}

    def again(self, piece: bytes, data: Bytes) -> None:
        """Pack a piece anew that lies in a sparse pack."""
        if piece in self._kept:
            del self._kept[piece]
            self._put(piece, data)

    def finish(self) -> Layout:
        """Store what is left, and give the layout of all that was taken."""
        self._seal_frame()
        self._seal_pack()
        for number, sent in enumerate(self._sent):
            self._new.packs[number] = self._new.packs[number]._replace(digest=sent())
        self._take_kept()
        return self._new

    def _put(self, piece: bytes, data: Bytes) -> None:
        if not self._end:
            self._append(_MAGIC)
            self._frame_at = self._end
        start = self._end
        self._append(data)
        self._in_frame.append((piece, start - self._frame_at, self._end - start))
        self._new.pieces[piece] = Place(0, 0, 0)  # known from now on; its place when its frame is full
        if self._end - self._frame_at >= FRAME_BYTES:
            self._seal_frame()

    def _append(self, data: Bytes) -> None:
        size = memoryview(data).nbytes
        self._pack[self._end : self._end + size] = data
        self._end += size

    def _seal_frame(self) -> None:
        if not self._in_frame:
            return
        start, size = self._frame_at, self._end - self._frame_at
        packed = _packed(self._pack[start : self._end])
        if packed is not None:
            self._end = start
            self._append(packed)
        number = len(self._new.frames)
        self._new.frames.append(Frame(len(self._new.packs), start, self._end - start, size))
        for piece, offset, size_bytes in self._in_frame:
            self._new.pieces[piece] = Place(number, offset, size_bytes)
        self._in_frame, self._frame_at = [], self._end
        if self._end >= PACK_BYTES:
            self._seal_pack()

    def _seal_pack(self) -> None:
        if not self._end:
            return
        sent = self._send(self._pack[: self._end])
        self._sent.append(sent)
        self._new.packs.append(Pack("", self._end))
        self.added_bytes += self._end
        self._buffers.append((self._pack, sent))
        self._pack = self._free_buffer()
        self._frame_at = self._end = 0

    def _free_buffer(self) -> memoryview:
        if len(self._buffers) < _BUFFERS:
            return _buffer()
        buffer, sent = self._buffers.popleft()
        sent()
        return buffer

    def _take_kept(self) -> None:
        """Take over the packs and frames of what is kept, under new numbers."""
        base, new = self._base, self._new
        wanted = sorted({base.pieces[piece].frame for piece in self._kept})
        packs: dict[int, int] = {}
        frames: dict[int, int] = {}
        for number in wanted:
            frame = base.frames[number]
            if frame.pack not in packs:
                packs[frame.pack] = len(new.packs)
                new.packs.append(base.packs[frame.pack])
            frames[number] = len(new.frames)
            new.frames.append(frame._replace(pack=packs[frame.pack]))
        for piece in self._kept:
            place = base.pieces[piece]
            new.pieces[piece] = place._replace(frame=frames[place.frame])


def _buffer() -> memoryview:
    # Memory that is not touched takes no room: most packs of small data sets are far from full.
    return memoryview(mmap.mmap(-1, _BUFFER_BYTES))


def _packed(frame: memoryview) -> bytes | None:
    """Compress a frame; None if that does not save a tenth of it."""
    sample = frame[:_SAMPLE_BYTES]
    if len(compress(sample)) > _WORTH * len(sample):
        return None
    packed = compress(frame)
    return packed if len(packed) <= _WORTH * len(frame) else None
