r"""Where the bytes of a data set lie: files of pieces, pieces in frames, frames in packs.

A *piece* is a small file, or what a large one was cut into; it is known by the BLAKE3 of its bytes. A
*frame* is about a megabyte of pieces, compressed together where that pays. A *pack* is a blob of frames. The
layout is a blob too: one line of JSON, which names every pack, and columns behind it.

    {"files":…,"format":"relive.layout/1", …}\n
    Zstandard of: frames (pack, offset, stored bytes, bytes) · pieces (digest) · pieces (frame, offset, bytes)
                  · files (digest, number of pieces) · pieces of the files, one after the other

All numbers are 32 bits, little-endian. A file that is a piece itself is not among the files.
"""

import struct
import sys
from array import array
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from typing import Any, Final, NamedTuple

import msgspec

from relive.core.digest import Digest, canonical_json, is_digest
from relive.errors import InvalidInput
from relive.formats.compression import compress, decompress

# Bounds of what is read; what is written stays far below.
LARGEST_FRAME: Final = 16 * 1024 * 1024
LARGEST_PACK: Final = 256 * 1024 * 1024
_LARGEST_COLUMNS: Final = 1 << 30
_FORMAT: Final = "relive.layout/1"
_FRAME: Final = struct.Struct("<4I")
_HASH_BYTES: Final = 32


class Pack(NamedTuple):
    """A blob of frames."""

    digest: Digest
    size_bytes: int


class Frame(NamedTuple):
    """A run of pieces in a pack; compressed if it is stored in fewer bytes than it has."""

    pack: int
    offset: int
    stored_bytes: int
    size_bytes: int


class Place(NamedTuple):
    """Where a piece lies."""

    frame: int
    offset: int
    size_bytes: int


class Reference(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Bytes that others keep.

    Attributes:
        etag: What the server called these bytes when they were read; empty if nothing.
        version: Id of the object's version in its bucket; empty if it has none.
    """

    url: str
    size_bytes: int
    etag: str = ""
    version: str = ""


class Layout(msgspec.Struct, kw_only=True):
    """Where every byte of a version lies.

    Attributes:
        pieces: BLAKE3 of the piece → where it lies.
        files: BLAKE3 of a file that was cut → its pieces, in order.
        references: BLAKE3 of a file that is kept elsewhere → where.
    """

    packs: list[Pack] = []
    frames: list[Frame] = []
    pieces: dict[bytes, Place] = {}
    files: dict[bytes, tuple[bytes, ...]] = {}
    references: dict[bytes, Reference] = {}

    def pieces_of(self, file: bytes) -> tuple[bytes, ...] | None:
        """Give the pieces that a file is made of; None if this layout does not have it."""
        return (file,) if file in self.pieces else self.files.get(file)

    def has(self, file: bytes) -> bool:
        """Tell whether a file's bytes are known to lie somewhere."""
        return file in self.pieces or file in self.files or file in self.references

    def without(self, gone: AbstractSet[Digest]) -> "Layout":
        """Give what lies in packs other than these; packs and frames keep their numbers."""
        if not gone:
            return self
        lost = {number for number, frame in enumerate(self.frames) if self.packs[frame.pack].digest in gone}
        pieces = {piece: place for piece, place in self.pieces.items() if place.frame not in lost}
        files = {file: parts for file, parts in self.files.items() if all(it in pieces for it in parts)}
        return msgspec.structs.replace(self, pieces=pieces, files=files)

    def to_bytes(self) -> bytes:
        """Write it."""
        index = {piece: number for number, piece in enumerate(self.pieces)}
        columns = bytearray()
        columns += _words(number for frame in self.frames for number in frame)
        columns += b"".join(self.pieces)
        columns += _words(number for place in self.pieces.values() for number in place)
        for file, pieces in self.files.items():
            columns += file + struct.pack("<I", len(pieces))
        columns += _words(index[piece] for pieces in self.files.values() for piece in pieces)
        header = _Header(
            packs=tuple((pack.digest, pack.size_bytes) for pack in self.packs),
            frames=len(self.frames),
            pieces=len(self.pieces),
            files=len(self.files),
            parts=sum(map(len, self.files.values())),
            references={file.hex(): it for file, it in sorted(self.references.items())},
        )
        return canonical_json(header) + b"\n" + compress(columns)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Layout":
        """Read what `to_bytes` wrote.

        Raises:
            InvalidInput: It is something else, or it points outside of itself.
        """
        try:
            line, _, packed = data.partition(b"\n")
            header = msgspec.json.decode(line, type=_Header)
            if not 0 <= header.columns_bytes <= _LARGEST_COLUMNS:
                raise ValueError(f"columns of {header.columns_bytes} bytes")
            return _read(header, memoryview(decompress(packed, header.columns_bytes)))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError, struct.error) as error:
            raise _no_layout(data, error) from error
        except InvalidInput as error:
            raise _no_layout(data, error) from error


class _Header(msgspec.Struct, frozen=True, kw_only=True, tag_field="format", tag=_FORMAT):
    packs: tuple[tuple[Digest, int], ...]
    frames: int
    pieces: int
    files: int
    parts: int
    references: dict[str, Reference] = {}

    @property
    def columns_bytes(self) -> int:
        if min(self.frames, self.pieces, self.files, self.parts) < 0:
            raise ValueError("a negative number of rows")
        a_piece, a_file = _HASH_BYTES + 12, _HASH_BYTES + 4
        return _FRAME.size * self.frames + a_piece * self.pieces + a_file * self.files + 4 * self.parts


def pack_digests(data: bytes) -> frozenset[Digest]:
    """Give the packs that a layout names, without reading the rest of it.

    Raises:
        InvalidInput: It is no layout.
    """
    try:
        header = msgspec.json.decode(data.partition(b"\n")[0], type=_Header)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _no_layout(data, error) from error
    return frozenset(digest for digest, _ in header.packs)


def _read(header: _Header, columns: memoryview) -> Layout:
    packs = [_checked_pack(*pack) for pack in header.packs]
    at = _FRAME.size * header.frames
    frames = [_checked_frame(Frame(*row), packs) for row in _FRAME.iter_unpack(columns[:at])]
    hashes = [bytes(columns[start : start + _HASH_BYTES]) for start in _steps(at, header.pieces)]
    at += _HASH_BYTES * header.pieces
    places = map(Place._make, struct.iter_unpack("<3I", columns[at : at + 12 * header.pieces]))
    pieces = {hash_: _checked_place(place, frames) for hash_, place in zip(hashes, places, strict=True)}
    if len(pieces) != header.pieces:
        raise ValueError("a piece that is there twice")
    at += 12 * header.pieces
    rows = list(struct.iter_unpack("<32sI", columns[at : at + 36 * header.files]))
    parts = _numbers(columns[at + 36 * header.files :])
    if sum(count for _, count in rows) != len(parts) or any(part >= len(hashes) for part in parts):
        raise ValueError("files of pieces that are not there")
    files, start = {}, 0
    for file, count in rows:
        files[file] = tuple(hashes[part] for part in parts[start : start + count])
        start += count
    references = {bytes.fromhex(file): it for file, it in header.references.items()}
    return Layout(packs=packs, frames=frames, pieces=pieces, files=files, references=references)


def _steps(start: int, count: int) -> Iterable[int]:
    return range(start, start + count * _HASH_BYTES, _HASH_BYTES)


def _checked_pack(digest: str, size_bytes: int) -> Pack:
    if not is_digest(digest) or not 0 < size_bytes <= LARGEST_PACK:
        raise ValueError(f"a pack {digest!r} of {size_bytes} bytes")
    return Pack(digest, size_bytes)


def _checked_frame(frame: Frame, packs: list[Pack]) -> Frame:
    fits = frame.pack < len(packs) and frame.offset + frame.stored_bytes <= packs[frame.pack].size_bytes
    if not fits or not frame.stored_bytes <= frame.size_bytes <= LARGEST_FRAME:
        raise ValueError(f"a frame outside its pack: {frame}")
    return frame


def _checked_place(place: Place, frames: list[Frame]) -> Place:
    if place.frame >= len(frames) or place.offset + place.size_bytes > frames[place.frame].size_bytes:
        raise ValueError(f"a piece outside its frame: {place}")
    return place


def _words(numbers: Iterator[int]) -> bytes:
    words = array("I", numbers)
    if sys.byteorder == "big":
        words.byteswap()
    return words.tobytes()


def _numbers(data: memoryview) -> "array[int]":
    words = array("I", bytes(data))
    if sys.byteorder == "big":
        words.byteswap()
    return words


def _no_layout(data: bytes, error: Any) -> InvalidInput:
    reason = error.wanted if isinstance(error, InvalidInput) else error
    return InvalidInput(field="layout", value=data[:80], wanted=f"the layout of a data set ({reason})")
