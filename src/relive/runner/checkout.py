"""A job's files: exactly the tree of its commit, with the outs of earlier stages laid over it."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from relive import settings
from relive.client.blobs import BlobClient
from relive.client.calls.datasets import DatasetCalls
from relive.client.laying import lay
from relive.client.packed import PackedVersion
from relive.core.artifact import Manifest
from relive.core.digest import Digest
from relive.core.paths import ROOT, overlap
from relive.core.recipe import DataInput
from relive.errors import InvalidInput, StoreFull

# The origin of an input that is a version of a data set begins with this.
_DATASET: Final = "dataset:"


def checkout(blobs: BlobClient, code: Digest, target: Path) -> Manifest:
    """Lay out the tree of a code manifest in an empty folder.

    Raises:
        BlobNotFound: The hub lacks a part of it.
        StoreFull: It does not fit on this machine's disk.
    """
    manifest = blobs.fetch_manifest(code)
    require_disk(target, manifest.size_bytes)
    return blobs.materialise(manifest, target)


def working_folder(tree: Path, workdir: str) -> Path:
    """Give the folder in which commands run, made if the commit has no file in it.

    Raises:
        InvalidInput: It leads out of the tree.
    """
    folder = Path(os.path.realpath(tree / workdir))
    if not folder.is_relative_to(os.path.realpath(tree)):
        raise InvalidInput(field="workdir", value=workdir, wanted="a folder inside the repository")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def lay_inputs(blobs: BlobClient, deps: Iterable[DataInput], folder: Path) -> dict[str, Digest]:
    """Bring declared inputs into a checkout; give the digest of each of their files.

    Those with origin "code" came with the checkout; the others are laid over it, whatever their order.

    Raises:
        BlobNotFound: The hub lacks one.
        StoreFull: They do not fit on this machine's disk.
    """
    expected: dict[str, Digest] = {}
    for dep in sorted(deps, key=lambda dep: dep.origin != "code"):
        manifest = blobs.fetch_manifest(dep.manifest)
        if dep.origin != "code":
            require_disk(folder, manifest.size_bytes)
            if dep.origin.startswith(_DATASET):
                _lay_dataset(blobs, dep.origin.removeprefix(_DATASET), manifest, folder)
            else:
                blobs.materialise(manifest, folder)
        expected |= {entry.path: entry.digest for entry in manifest.entries if entry.link is None}
    return expected


def _lay_dataset(blobs: BlobClient, ref: str, manifest: Manifest, folder: Path) -> None:
    """Bring a version of a data set, whose files lie in packs."""
    hub = DatasetCalls(blobs.transport)
    lay(PackedVersion(hub, hub.get_dataset_version(ref).version), manifest, folder)


def clear_outputs(tree: Path, outputs: Iterable[str], inputs: Iterable[DataInput]) -> None:
    """Remove what the commit has in the place of an output, so that only what the run writes is found there.

    An output that is an input of its own as well, such as a model that is trained further, stays.
    """
    named = [dep.path for dep in inputs if dep.path != ROOT]
    for output in outputs:
        place = tree / output
        if any(overlap(output, path) for path in named):
            continue
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)


def require_disk(folder: Path, needed_bytes: int) -> None:
    """Refuse to write what would fill this machine's disk.

    Raises:
        StoreFull: Less than the reserve would be left.
    """
    existing = folder
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    reserve = settings.get_int("RELIVE_RESERVE_MIB") * 1024 * 1024
    if needed_bytes + reserve > free:
        raise StoreFull(where=str(existing), needed_bytes=needed_bytes, free_bytes=max(0, free - reserve))
