"""The metadata by which other tools know an archive for the record of a run: an RO-Crate."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from relive.client import exporting
from relive.core.recipe import Recipe
from relive.core.run import Artifact
from relive.formats.rocrate import METADATA, Crate, metadata_of
from relive.replay.standalone.contents import DOCUMENT
from relive.wire.hub import RunDetail

# What is said of the members that are neither inputs nor results.
_FILES: Final = {
    "index.html": "What is claimed, what was found, what is not known; for people",
    DOCUMENT: "What is in the archive, with the SHA-256 of each member",
    "record/steps.jsonl": "The recorded steps, a JSON line each",
}
_FOLDERS: Final = {
    "code/": "The exact tree that ran",
    "wheels/": "Every package of the environment",
    "provenance/": "Signed statements: in-toto with SLSA provenance in DSSE envelopes",
    "keys/": "Public keys that the statements are verified with",
    "record/": "What the run recorded, as relive export writes it",
    "python/": "The interpreter",
}


def write_crate(root: Path, detail: RunDetail, recipe: Recipe, document: dict[str, Any]) -> None:
    """Write the metadata of an archive into its folder.

    Args:
        document: What `archive.json` will say, without its members.
    """
    declared = recipe.declared
    inputs = [
        (given, f"data/{number}" if it["entries"] and not it["referenced"] else "")
        for number, (given, it) in enumerate(zip(declared.data, document["inputs"], strict=True))
    ]
    crate = Crate(
        run=detail.run,
        project=detail.project,
        command=declared.command,
        params=declared.params,
        metrics=detail.metrics,
        inputs=tuple(inputs),
        results=tuple((it, place) for it, place in kept_outs(detail) if (root / place).is_dir()),
        files={name: told for name, told in _FILES.items() if (root / name).is_file() or name == DOCUMENT},
        folders={name: told for name, told in _FOLDERS.items() if (root / name).is_dir()},
    )
    (root / METADATA).write_bytes(msgspec.json.format(msgspec.json.encode(metadata_of(crate))))


def kept_outs(detail: RunDetail) -> Iterator[tuple[Artifact, str]]:
    """Give what a run wrote, and the folder of its archive that holds it."""
    for number, artifact in enumerate(detail.artifacts):
        yield artifact, f"record/runs/{detail.run.id}/{exporting.folder_of(number, artifact)}"
