"""The states that a training saved on its way: kept as evidence of the run, and never why it fails."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from relive.capture.hooks.checkpoints import FOLDER, SUFFIX
from relive.capture.hooks.schedule import DIGEST_STEPS
from relive.client.blobs import BlobClient
from relive.core.run import Artifact
from relive.core.spots import KIND, VARIABLE
from relive.errors import InvalidInput, StoreFull
from relive.formats.manifest_io import HashCache, read_manifest
from relive.runner.outs import Found, keep

_NONE: Final = (
    "no checkpoint was kept: they are made of trainings in PyTorch (torch.optim) that come so far; the "
    "states of scikit-learn, XGBoost, LightGBM, CatBoost, Keras and JAX cannot be loaded in their middle"
)


def keep_states(
    spool: Path, environ: Mapping[str, str], run_id: str, blobs: BlobClient
) -> tuple[tuple[Artifact, ...], tuple[str, ...]]:
    """Store what was saved; give it as an artifact, and sentences about what is not there.

    Args:
        environ: What the command was given; without checkpoints asked for, or in a replay, there are none.

    Raises:
        HubUnreachable: The hub was away for longer than the transport's patience.
    """
    if not environ.get(VARIABLE) or environ.get(DIGEST_STEPS):
        return (), ()
    folder = spool / FOLDER
    names = sorted(it.name for it in folder.glob(f"*{SUFFIX}")) if folder.is_dir() else []
    if not names:
        return (), (_NONE,)
    try:
        manifest = read_manifest(spool, [f"{FOLDER}/{name}" for name in names], HashCache())
        return keep([Found(FOLDER, KIND, spool, manifest)], run_id, blobs), ()
    except (StoreFull, InvalidInput, OSError) as error:
        said = error.what() if isinstance(error, (StoreFull, InvalidInput)) else error.strerror
        return (), (f"its checkpoints were not kept: {said}",)
