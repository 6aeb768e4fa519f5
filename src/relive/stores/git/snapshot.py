"""A commit's tree as a manifest in the blob store.

Which digest a git blob has is remembered beside the repository: the next commit costs only what changed.
"""

import time
from collections import deque
from collections.abc import Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

from relive.core.artifact import Manifest, ManifestEntry
from relive.core.digest import Digest
from relive.errors import InvalidManifest
from relive.ports.blobs import BlobInfo, BlobStore
from relive.ports.repositories import GitBlob, Snapshot, TreeEntry
from relive.stores.git import objects
from relive.stores.git.digests import DigestCache, Known

_LFS_POINTER: Final = b"version https://git-lfs.github.com/spec/"
_LFS_LONGEST: Final = 1024
_IN_MEMORY_BYTES: Final = 1024 * 1024
_THREADS: Final = 8  # each waits for a disk's flush or an object store's reply most of the time
# A blob younger than a day is safe from gc; this leaves hours until the manifest is written down.
_YOUNG_S: Final = 20 * 3600.0
_NAMED_AT_MOST: Final = 10


def is_lfs_pointer(first: bytes) -> bool:
    """Tell by its first bytes whether a file is only a pointer to content that Git LFS keeps elsewhere."""
    return first.startswith(_LFS_POINTER)


def take(repository: Path, commit: str, blobs: BlobStore) -> Snapshot:
    """Store a commit's tree and give its manifest; see `Repositories.snapshot`."""
    entries = list(objects.tree(repository, commit))
    files = [entry for entry in entries if entry.is_file]
    stored = _store_files(repository, {entry.oid: entry.size_bytes for entry in files}, blobs)
    links = [entry for entry in entries if entry.is_link]
    kept, left_out = _possible([*(_file(entry, stored) for entry in files), *_links(repository, links)])
    manifest = Manifest.of(kept)
    submodules = {entry.path: entry.oid for entry in entries if entry.is_submodule}
    pointers = [entry.path for entry in files if stored[entry.oid].is_lfs_pointer]
    return Snapshot(
        manifest_digest=blobs.put(manifest.to_bytes()).digest,
        manifest=manifest,
        warnings=(*_about_pointers(pointers), *_about_submodules(submodules), *left_out),
        submodules=submodules,
    )


def _store_files(repository: Path, sizes: dict[str, int], blobs: BlobStore) -> dict[str, Known]:
    """Make sure that the store has the blobs with these ids; gives what is known of each."""
    cache = DigestCache(repository / "relive-digests")
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="snapshot") as pool:
        remembered = cache.load(sizes)
        infos = pool.map(lambda known: blobs.find(known.digest), remembered.values())
        there = {
            oid: known
            for (oid, known), info in zip(remembered.items(), infos, strict=True)
            if _can_stay(known, sizes[oid], info)
        }
        for oid, known in _read_and_put(repository, sizes.keys() - there.keys(), blobs, pool):
            cache.add(oid, known)
            there[oid] = known
    return there


def _can_stay(known: Known, size_bytes: int, info: BlobInfo | None) -> bool:
    is_whole = info is not None and info.size_bytes == known.size_bytes == size_bytes
    return is_whole and info is not None and info.stored_at > time.time() - _YOUNG_S


def _read_and_put(
    repository: Path, oids: Collection[str], blobs: BlobStore, pool: ThreadPoolExecutor
) -> Iterator[tuple[str, Known]]:
    """Bring blobs from git into the store: small ones several at once, large ones in pieces."""
    under_way: deque[tuple[str, bytes, Future[BlobInfo]]] = deque()

    def finish() -> tuple[str, Known]:
        oid, first, future = under_way.popleft()
        return oid, _known(future.result(), first)

    for blob in objects.blobs(repository, sorted(oids)):
        if blob.size_bytes <= _IN_MEMORY_BYTES:
            data = b"".join(blob.chunks)
            under_way.append((blob.oid, data[:_LFS_LONGEST], pool.submit(blobs.put, data)))
        else:
            yield blob.oid, _known(_put_large(blob, blobs), b"")
        if len(under_way) > 2 * _THREADS:
            yield finish()
    while under_way:
        yield finish()


def _put_large(blob: GitBlob, blobs: BlobStore) -> BlobInfo:
    with blobs.writer(size_hint=blob.size_bytes) as writer:
        for chunk in blob.chunks:
            writer.write(chunk)
        return writer.commit()


def _known(info: BlobInfo, first: bytes) -> Known:
    is_pointer = info.size_bytes <= _LFS_LONGEST and is_lfs_pointer(first)
    return Known(digest=info.digest, size_bytes=info.size_bytes, is_lfs_pointer=is_pointer)


def _file(entry: TreeEntry, stored: dict[str, Known]) -> ManifestEntry:
    digest: Digest = stored[entry.oid].digest
    return ManifestEntry(entry.path, digest, entry.size_bytes, executable=entry.executable)


def _links(repository: Path, links: list[TreeEntry]) -> Iterator[ManifestEntry]:
    targets = objects.blobs(repository, [entry.oid for entry in links])
    for entry, blob in zip(links, targets, strict=True):
        # A target longer than a path can be is cut: what is left is still too long to be accepted.
        target = next(blob.chunks, b"")[: _IN_MEMORY_BYTES // 64]
        yield ManifestEntry(entry.path, link=target.decode(errors="surrogateescape"))


def _possible(entries: list[ManifestEntry]) -> tuple[list[ManifestEntry], list[str]]:
    """Part the entries that can be laid out in a folder anywhere from sentences about the others."""
    kept, left_out = [], []
    for entry in entries:
        try:
            Manifest((entry,))
        except InvalidManifest as error:
            name = ascii(entry.path)
            left_out.append(f"{name} was left out: {error.field} is {error.value!a}, wanted: {error.wanted}.")
        else:
            kept.append(entry)
    return kept, left_out


def _about_pointers(paths: list[str]) -> Iterator[str]:
    if paths:
        yield (
            f"Git LFS keeps the content of {_named(paths)} elsewhere: a stage sees only the pointer. "
            "Let a stage fetch the data into its outs; data sets of their own come later."
        )


def _about_submodules(submodules: dict[str, str]) -> Iterator[str]:
    if submodules:
        yield (
            f"Submodules are not checked out: {_named(list(submodules))}. "
            "A stage that needs their files must fetch them, or they must be part of the repository."
        )


def _named(paths: list[str]) -> str:
    more = len(paths) - _NAMED_AT_MOST
    names = ", ".join(
        ascii(path)[1:-1] if not path.isprintable() else path for path in paths[:_NAMED_AT_MOST]
    )
    return f"{names} and {more} more" if more > 0 else names
