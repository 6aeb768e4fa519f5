"""Picking files of a version by what people type."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from relive.core.artifact import Manifest, ManifestEntry
from relive.errors import NotFound


def pick_files(manifest: Manifest, wanted: Sequence[str], what: str) -> Manifest:
    """Give the part of a manifest that these name: files, folders, or globs of whole paths; all without any.

    Args:
        manifest: Of all files.
        wanted: `train/a.png`, `train/`, `train/*.png`.
        what: Names the version in an error.

    Raises:
        NotFound: One of them names nothing.
        InvalidManifest: A link in the part leads out of it.
    """
    if not wanted:
        return manifest
    picked: dict[str, ManifestEntry] = {}
    for one in wanted:
        named = one.strip("/")
        found = [it for it in manifest.entries if _fits(it.path, named)]
        if not found:
            raise NotFound(kind=f"file of {what}", name=one, hint=f"relive data files {what}")
        picked |= {it.path: it for it in found}
    return Manifest.of(picked.values())


def _fits(path: str, named: str) -> bool:
    return path == named or path.startswith(f"{named}/") or fnmatchcase(path, named)


def pick_folder(manifest: Manifest, folder: str, what: str) -> Sequence[ManifestEntry]:
    """Give what lies below a folder, at any depth; everything for an empty name.

    Raises:
        NotFound: There is no such folder.
    """
    if not folder:
        return manifest.entries
    found = [entry for entry in manifest.entries if entry.path.startswith(f"{folder}/")]
    if not found:
        raise NotFound(kind=f"folder of {what}", name=folder)
    return found
