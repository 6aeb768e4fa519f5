"""Whether two model folders predict the same: what counts where their files differ in bytes only.

Formats write the time, a path or their own version into a model's file, so equal models need not have equal
bytes. The copy is loaded in the recorded environment and asked for the predictions that were kept at
registration; only if every bit of them is the same are the two called equal.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import msgspec

from relive import settings
from relive.client.hub import HubClient
from relive.core.artifact import Manifest, ManifestEntry
from relive.core.model import ModelVersion
from relive.core.run import Artifact
from relive.replay.plan import ReplayPlan
from relive.runner.checkout import checkout
from relive.runner.environment.build import build_environment, fetch_lock
from relive.runner.environment.wheels import WheelStore
from relive.runner.variables import fixed_variables, machine_variables

_CHECK_S: Final = 600.0


class _Answer(msgspec.Struct):
    largest_relative_difference: float


def predicts_the_same(plan: ReplayPlan, recorded: Artifact, replayed: Artifact, hub: HubClient) -> bool:
    """Tell whether an out that was registered predicts the same in the replay, bit by bit.

    False as well if no version with recorded predictions was made of it: then nothing is known.
    """
    original = hub.blobs.fetch_manifest(recorded.manifest)
    for version in plan.detail.versions:
        folder = _folder_of(original, recorded.path, hub.blobs.fetch_manifest(version.manifest))
        if version.contract and folder is not None:
            copy = hub.blobs.fetch_manifest(replayed.manifest)
            # Predictions say nothing about what else the out holds.
            same_rest = _beside(original, folder) == _beside(copy, folder)
            return same_rest and _keeps_contract(plan, version, copy, folder, hub)
    return False


def _beside(out: Manifest, folder: str) -> list[ManifestEntry]:
    """Give what an out holds outside a folder of it; nothing is outside the empty one, the root."""
    return [entry for entry in out.entries if folder and not entry.path.startswith(f"{folder}/")]


def _folder_of(out: Manifest, path: str, model: Manifest) -> str | None:
    """Find where in an out a version's folder lies; None if it is not of this out."""
    candidates = {path.rstrip("/"), *(entry.path.rpartition("/")[0] for entry in out.entries)}
    return next((it for it in sorted(candidates) if out.subtree(it).entries == model.entries), None)


def _keeps_contract(
    plan: ReplayPlan, version: ModelVersion, copy: Manifest, folder: str, hub: HubClient
) -> bool:
    with tempfile.TemporaryDirectory(prefix="relive-compare-") as temporary:
        place = Path(temporary)
        hub.blobs.materialise(copy, place / "out")
        hub.blobs.materialise(version.contract, place / "contract")
        code = ""
        if version.loader != "auto":
            checkout(hub.blobs, plan.recipe.declared.code.manifest, place / "code")
            code = str(place / "code")
        python = sys.executable
        used = plan.instead or plan.recipe.declared.environment
        if used:
            lock = fetch_lock(used, hub.blobs)
            python = str(build_environment(lock, WheelStore(hub.blobs)) / "bin" / "python")
        arguments = ["--model", str(place / "out" / folder), "--loader", version.loader, "--code", code]
        signature = str(place / "contract/signature.json")
        return _difference([python, _bundle(), "check", "--signature", signature, *arguments]) == 0.0


def _difference(command: list[str]) -> float | None:
    """Ask the model; None if it does not answer in time, or not at all, or nobody knows what it says."""
    try:
        done = subprocess.run(
            command,
            env={**machine_variables({}), **fixed_variables(1.0)},
            capture_output=True,
            timeout=_CHECK_S,
            check=True,
        )
        said = done.stdout.strip().rpartition(b"\n")[2]
        return msgspec.json.decode(said, type=_Answer).largest_relative_difference
    except (subprocess.SubprocessError, msgspec.MsgspecError):
        return None


def _bundle() -> str:
    """Have the serving modules laid out; they stand beside this package, so they are asked as a process."""
    root = str(Path(settings.cache()) / "agent")
    command = [sys.executable, "-m", "relive.serving.bundle", root]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
