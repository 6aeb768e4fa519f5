"""Outs that are texts: whether two differ in nothing but when they were written."""

import time
from typing import Final

from relive.client.blobs import BlobClient
from relive.core.artifact import ManifestEntry
from relive.core.digest import Digest
from relive.core.moments import without_moments
from relive.core.run import Run
from relive.errors import BlobNotFound

# Texts are logs and reports: what is larger is data.
_MOST_BYTES: Final = 4 * 1024**2
_MOST_FILES: Final = 16


def same_but_times(pairs: tuple[tuple[Run, Digest], tuple[Run, Digest]], blobs: BlobClient) -> bool:
    """Tell whether all files of two outs are equal but for moments of their runs, which some name.

    Args:
        pairs: The recorded run and the replay, each with the digest of its out's manifest.
        blobs: Where the files are kept.
    """
    (one, mine), (other, theirs) = pairs
    try:
        trees = [{it.path: it for it in blobs.fetch_manifest(digest).entries} for digest in (mine, theirs)]
        if trees[0].keys() != trees[1].keys():
            return False
        differing = [(it, trees[1][path]) for path, it in trees[0].items() if it != trees[1][path]]
        if len(differing) > _MOST_FILES:
            return False
        return all(_same(_left(a, one, blobs), _left(b, other, blobs)) for a, b in differing)
    except BlobNotFound:
        return False


def _same(one: str | None, other: str | None) -> bool:
    return one is not None and one == other


def _left(entry: ManifestEntry, run: Run, blobs: BlobClient) -> str | None:
    """Give what is left of a text without the moments of its run; None if it is none or names none."""
    if entry.link is not None or entry.size_bytes > _MOST_BYTES or not (run.started_at and run.ended_at):
        return None
    try:
        text = blobs.get_bytes(entry.digest).decode()
    except UnicodeDecodeError:
        return None
    offset_s = float(time.localtime(run.ended_at).tm_gmtoff)
    left = without_moments(text, run.started_at, run.ended_at, offset_s)
    return left if left != text and "\0" not in text else None
