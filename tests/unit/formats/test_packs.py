"""What is packed comes back, whatever the order and however often; what is no layout is refused."""

import io
import os
import random
from collections.abc import Callable

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from relive.core.digest import canonical_json
from relive.errors import InvalidInput
from relive.formats import packs
from relive.formats.chunks import LARGEST, SMALLEST, cut
from relive.formats.compression import compress, decompress
from relive.formats.layout import Layout, Reference, pack_digests
from relive.formats.packs import Packer, digest_of_raw, hash_piece, open_frame

FILES = st.lists(st.binary(min_size=1, max_size=400), min_size=1, max_size=30)


class Store:
    """Packs by their digest, and a way to read pieces of a layout."""

    def __init__(self) -> None:
        self.packs: dict[str, bytes] = {}

    def send(self, pack: memoryview) -> Callable[[], str]:
        digest = digest_of_raw(blake3(pack).digest())
        self.packs[digest] = bytes(pack)
        return lambda: digest

    def pack(self, files: list[bytes], base: Layout | None = None) -> Layout:
        """Pack files, each a piece; gives the layout as it is read again."""
        packer = Packer(base or Layout(), self.send)
        for data in files:
            packer.add(hash_piece(data), data)
        for data in files:
            if hash_piece(data) in packer.sparse():
                packer.again(hash_piece(data), data)
        self.added = packer
        return Layout.from_bytes(packer.finish().to_bytes())

    def read(self, layout: Layout, piece: bytes) -> bytes:
        place = layout.pieces[piece]
        frame = layout.frames[place.frame]
        pack = self.packs[layout.packs[frame.pack].digest]
        opened = open_frame(frame, pack[frame.offset : frame.offset + frame.stored_bytes])
        return bytes(opened[place.offset : place.offset + place.size_bytes])


@pytest.fixture
def small(monkeypatch):
    """Frames and packs so small that a few files fill several."""
    monkeypatch.setattr(packs, "FRAME_BYTES", 300)
    monkeypatch.setattr(packs, "PACK_BYTES", 1000)


class TestPacks:
    @given(versions=st.lists(FILES, min_size=1, max_size=4))
    @settings(deadline=None)
    def test_every_version_reads_as_it_was(self, versions):
        store, layout, kept = Store(), Layout(), []
        for files in versions:
            layout = store.pack(files, layout)
            kept.append((layout, files))
        for layout, files in kept:
            assert {piece: store.read(layout, piece) for piece in layout.pieces} == {
                hash_piece(data): data for data in files
            }

    def test_several_packs_and_frames(self, small):
        files = [os.urandom(100) for _ in range(40)]
        store = Store()
        layout = store.pack(files)
        assert len(layout.packs) > 2
        assert len(layout.frames) > 9
        assert [store.read(layout, hash_piece(data)) for data in files] == files
        assert pack_digests(layout.to_bytes()) == set(store.packs)

    def test_the_same_files_make_the_same_packs(self, small):
        files = [os.urandom(100) for _ in range(40)]
        one, two = Store(), Store()
        assert one.pack(files).to_bytes() == two.pack(files).to_bytes()
        assert one.packs == two.packs

    def test_what_did_not_change_is_not_packed_again(self, small):
        files = [os.urandom(100) for _ in range(40)]
        store = Store()
        first = store.pack(files)
        n_packs = len(store.packs)
        second = store.pack([*files[:-1], b"new"], first)
        assert len(store.packs) == n_packs + 1
        assert store.added.added_bytes < 50
        assert hash_piece(files[-1]) not in second.pieces

    def test_packs_of_which_little_is_left_are_let_go(self, small):
        files = [os.urandom(100) for _ in range(40)]
        store = Store()
        first = store.pack(files)
        left = files[::10]
        second = store.pack(left, first)
        assert not {pack.digest for pack in second.packs} & {pack.digest for pack in first.packs}
        assert [store.read(second, hash_piece(data)) for data in left] == left

    @settings(max_examples=50)
    @given(files=FILES, more=FILES, data=st.data())
    def test_what_was_lost_is_packed_again_and_what_is_there_is_not(self, files, more, data):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(packs, "FRAME_BYTES", 300)
            patch.setattr(packs, "PACK_BYTES", 1000)
            store = Store()
            first = store.pack(files)
            digests = sorted(store.packs)
            gone = data.draw(st.sets(st.sampled_from(digests)))
            for digest in gone:
                del store.packs[digest]
            left = first.without(gone)
            assert {piece: store.read(left, piece) for piece in left.pieces} == {
                hash_piece(it): it for it in files if hash_piece(it) in left.pieces
            }
            second = store.pack([*files, *more], left)
        assert all(store.read(second, hash_piece(it)) == it for it in [*files, *more])
        assert {pack.digest for pack in second.packs} <= store.packs.keys()

    def test_a_file_of_which_one_piece_is_lost_is_not_had(self, small):
        store = Store()
        pieces = [os.urandom(900) for _ in range(4)]
        packer = Packer(Layout(), store.send)
        for piece in pieces:
            packer.add(hash_piece(piece), piece)
        packer.close_file(b"f" * 32, tuple(map(hash_piece, pieces)))
        layout = packer.finish()
        assert layout.without(frozenset()) is layout
        lost = layout.without({layout.packs[0].digest})
        assert layout.has(b"f" * 32)
        assert not lost.has(b"f" * 32)
        assert lost.pieces_of(b"f" * 32) is None
        assert len(lost.pieces) < len(pieces)
        assert lost.packs == layout.packs

    def test_text_is_compressed_and_noise_is_not(self):
        text, noise = b"the same words again and again\n" * 4000, os.urandom(120_000)
        store = Store()
        layout = store.pack([text])
        assert layout.frames[0].stored_bytes < len(text) / 20
        assert store.pack([noise]).frames[0].stored_bytes == len(noise)

    def test_a_pack_is_not_taken_for_a_document(self):
        store = Store()
        store.pack([b'{"entries":["blake3:' + b"a" * 64])
        assert not next(iter(store.packs.values())).startswith(b'{"')

    def test_a_file_of_pieces_and_one_that_is_elsewhere(self):
        pieces = [os.urandom(50) for _ in range(3)]
        packer = Packer(Layout(), Store().send)
        for data in pieces:
            packer.add(hash_piece(data), data)
        names = tuple(hash_piece(data) for data in (*pieces, pieces[0]))
        packer.close_file(b"f" * 32, names)
        reference = Reference(url="https://example.org/a", size_bytes=9, etag='"x"')
        packer.refer(b"r" * 32, reference)
        layout = Layout.from_bytes(packer.finish().to_bytes())
        assert layout.pieces_of(b"f" * 32) == names
        assert layout.references == {b"r" * 32: reference}
        assert layout.has(b"r" * 32)
        assert not layout.has(b"x" * 32)
        again = Packer(layout, Store().send)
        again.keep(b"f" * 32)
        again.keep(b"r" * 32)
        kept = again.finish()
        assert kept.pieces_of(b"f" * 32) == names
        assert kept.references == layout.references


class TestLayout:
    @given(st.binary(max_size=200))
    def test_noise_is_refused(self, data):
        with pytest.raises(InvalidInput, match="layout"):
            Layout.from_bytes(data)

    @given(st.integers(0, 10_000), st.integers(0, 255))
    @settings(deadline=None)
    def test_a_damaged_one_is_refused_or_reads_inside_itself(self, at, byte):
        data = bytearray(Store().pack([b"a" * 10, b"b" * 20]).to_bytes())
        data[at % len(data)] = byte
        try:
            layout = Layout.from_bytes(bytes(data))
        except InvalidInput:
            return
        for place in layout.pieces.values():
            frame = layout.frames[place.frame]
            assert place.offset + place.size_bytes <= frame.size_bytes
            assert frame.offset + frame.stored_bytes <= layout.packs[frame.pack].size_bytes

    def test_a_bomb_is_refused_unread(self):
        packed = compress(b"\0" * 100_000_000)
        counts = {"files": 0, "frames": 1, "parts": 0, "pieces": 0}
        header = canonical_json({"format": "relive.layout/1", "packs": [], **counts})
        with pytest.raises(InvalidInput):
            Layout.from_bytes(header + b"\n" + packed)

    def test_what_is_too_long_is_not_decompressed(self):
        with pytest.raises(InvalidInput, match="exactly 9"):
            decompress(compress(b"0123456789"), 9)
        with pytest.raises(InvalidInput, match="exactly 11"):
            decompress(compress(b"0123456789"), 11)
        with pytest.raises(InvalidInput, match="Zstandard"):
            decompress(b"no", 9)


class TestCutting:
    @pytest.mark.parametrize(
        "size", [0, 1, SMALLEST, LARGEST, 3 * LARGEST + 7, 17 * LARGEST, 40 * LARGEST + 1]
    )
    def test_the_pieces_are_the_file(self, size):
        data = random.Random(size).randbytes(size)
        windows, pieces = bytearray(), []
        for window, cuts in cut(io.BytesIO(data)):
            windows += window
            pieces += [bytes(piece) for piece in cuts]
        assert bytes(windows) == data
        assert b"".join(pieces) == data
        assert all(0 < len(piece) <= LARGEST for piece in pieces)
        assert all(len(piece) >= SMALLEST for piece in pieces[:-1])

    def test_an_insertion_changes_the_pieces_around_it_alone(self):
        data = random.Random(1).randbytes(40 * LARGEST)
        edited = data[: 20 * LARGEST] + b"x" * 1000 + data[20 * LARGEST :]
        before, after = (
            {bytes(piece) for _, cuts in cut(io.BytesIO(it)) for piece in [bytes(one) for one in cuts]}
            for it in (data, edited)
        )
        assert sum(map(len, after - before)) < 3 * LARGEST
