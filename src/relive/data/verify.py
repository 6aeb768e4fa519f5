"""Checking that the hub still has every byte of a version."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from blake3 import blake3

from relive.client.packed import PackedVersion, Sweep
from relive.client.referenced import stream_reference
from relive.core.artifact import ManifestEntry
from relive.core.digest import Digest
from relive.errors import BlobCorrupt, HubRefused, ReliveError
from relive.formats.packs import raw


class Damage(NamedTuple):
    """What was found: files with what is wrong, and the packs in which that lies."""

    problems: list[tuple[str, str]]
    packs: set[Digest]


def verify_pieces(source: PackedVersion, told: Callable[[int, int], None]) -> Damage:
    """Read every file of a version, and name those that are not what they should be.

    Args:
        source: The version.
        told: Called with how many files and bytes were read.

    Raises:
        HubUnreachable: The hub does not answer.
        HubRefused: It refuses; a pack that is gone is a problem of its files.
    """
    damage, done = Damage([], set()), 0
    files = [entry for entry in source.manifest.entries if entry.link is None]
    pieces = [piece for entry in files for piece in _known(source, entry)]
    with Sweep(source, pieces) as sweep:
        for number, entry in enumerate(files):
            problem = _check(source, sweep, entry)
            if problem:
                damage.problems.append((entry.path, problem))
                damage.packs.update(_damaged_packs(source, entry))
            done += entry.size_bytes
            told(number + 1, done)
    return damage


def _known(source: PackedVersion, entry: ManifestEntry) -> tuple[bytes, ...]:
    return (source.layout.pieces_of(raw(entry.digest)) or ()) if entry.size_bytes else ()


def _check(source: PackedVersion, sweep: Sweep, entry: ManifestEntry) -> str:
    hasher = blake3()
    try:
        reference = source.reference_of(entry)
        for data in stream_reference(raw(entry.digest), reference) if reference is not None else ():
            hasher.update(data)
        for piece in source.pieces_of(entry):
            hasher.update(sweep.read(piece))
    except HubRefused as error:
        if error.status != 404:
            raise
        return "its pack is gone"
    except ReliveError as error:
        return error.what()
    return "" if hasher.digest() == raw(entry.digest) else "its bytes are not what its digest says"


def _damaged_packs(source: PackedVersion, entry: ManifestEntry) -> Iterator[Digest]:
    """Name the packs whose pieces of a file are not what they should be."""
    for piece in _known(source, entry):
        layout = source.layout
        try:
            source.read(piece)
        except BlobCorrupt:
            yield layout.packs[layout.frames[layout.pieces[piece].frame].pack].digest
        except HubRefused as error:
            if error.status != 404:
                raise
