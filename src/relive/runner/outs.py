"""What a run leaves: its declared outs, plots and reports, and what its script named as artifacts."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from relive.client.blobs import BlobClient
from relive.core.artifact import Manifest
from relive.core.run import Artifact
from relive.errors import InvalidInput, StoreFull
from relive.formats.manifest_io import HashCache, list_tree, read_manifest
from relive.formats.spool_records import SpooledArtifact

_SHOWN: Final = 4


@dataclass(frozen=True)
class Found:
    """One output that is there: its name, what it is, and its files below `root`."""

    path: str
    kind: str
    root: Path
    manifest: Manifest


def missing_outs(workdir: Path, outs: Iterable[str]) -> str:
    """Say which declared outs were not written and what lies where they were expected; empty if none is."""
    sentences = []
    for out in outs:
        path = workdir / out
        if path.exists():
            continue
        folder = path.parent
        while not folder.is_dir():
            folder = folder.parent
        names = sorted(f"{it.name}/" if it.is_dir() else it.name for it in folder.iterdir())
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        there = ", ".join(names[:_SHOWN]) + more if names else "nothing"
        where = os.path.relpath(folder, workdir)
        place = "the working folder" if where == "." else f"{where}/"
        sentences.append(f"out {out} was not written; {place} holds {there}")
    return "; ".join(sentences)


def read_outs(workdir: Path, paths: Iterable[str], kind: str, hashes: HashCache) -> list[Found]:
    """Hash outputs that lie in the working folder; their manifests' paths are relative to it.

    Raises:
        NotFound: One is not there.
        InvalidInput: One holds what cannot be kept: a socket, a link that leads out of the working folder.
        InvalidManifest: A name in one cannot be kept.
    """
    found = []
    for path in paths:
        names = list(list_tree(workdir, path.rstrip("/")))
        _refuse_outside(workdir, names)
        found.append(Found(path, kind, workdir, read_manifest(workdir, names, hashes)))
    return found


def read_logged(artifact: SpooledArtifact, hashes: HashCache) -> Found:
    """Hash what the script named as an artifact, wherever it lies: the command could have read it, too.

    Raises:
        NotFound: It is gone.
        InvalidInput: It holds what cannot be kept.
    """
    path = Path(artifact.path)
    inside = read_manifest(path.parent, list_tree(path.parent, path.name), hashes)
    return Found(artifact.name, "artifact", path.parent, inside)


def require_room(workdir: Path, paths: Iterable[str], limit_bytes: int | None) -> None:
    """Refuse outputs that are larger than allowed, before any byte of them is hashed or sent.

    Raises:
        StoreFull: They are.
    """
    if limit_bytes is None:
        return
    needed = sum(_size_bytes(workdir / path) for path in paths)
    if needed > limit_bytes:
        raise StoreFull(
            where="the hub", needed_bytes=needed, free_bytes=limit_bytes, limit="quota of this run"
        )


def _size_bytes(path: Path) -> int:
    """Give the size of a file, or of all files in a folder; what is gone meanwhile counts nothing."""
    if not path.is_dir():
        return path.stat().st_size if path.is_file() else 0
    with os.scandir(path) as entries:
        return sum(_size_bytes(Path(entry.path)) for entry in entries if not _leads_to_folder(entry))


def _leads_to_folder(entry: "os.DirEntry[str]") -> bool:
    return entry.is_symlink() and entry.is_dir()


def keep(found: Iterable[Found], run_id: str, blobs: BlobClient) -> tuple[Artifact, ...]:
    """Store outputs in the hub, and give them as artifacts of the run.

    Raises:
        StoreFull: The hub has no room.
    """
    kept = []
    for it in found:
        blobs.put_files(it.root, it.manifest)
        manifest = _renamed(it) if it.kind == "artifact" else it.manifest
        kept.append(
            Artifact(
                run_id=run_id,
                path=it.path,
                manifest=blobs.put_manifest(manifest),
                size_bytes=manifest.size_bytes,
                files=manifest.n_files,
                kind=it.kind,
            )
        )
    return tuple(kept)


def _renamed(found: Found) -> Manifest:
    """Put the name that the script gave in the place of the name on disk."""
    entries = found.manifest.entries
    own_name = entries[0].path.partition("/")[0] if entries else ""
    name = found.path.strip("/")
    return Manifest.of(
        msgspec.structs.replace(entry, path=name + entry.path[len(own_name) :]) for entry in entries
    )


def _refuse_outside(root: Path, names: Iterable[str]) -> None:
    """Refuse what really lies elsewhere: another machine would not have it, and nobody declared it."""
    border = os.path.realpath(root)
    for name in names:
        real = os.path.realpath(root / name)
        if real != border and not real.startswith(f"{border}{os.sep}"):
            raise InvalidInput(
                field=name, value=real, wanted="a file in the working folder, not a link out of it"
            )
