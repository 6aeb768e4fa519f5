"""Two runs input by input, read from what the hub keeps: for its pages."""

from itertools import islice
from typing import Final

import msgspec

from relive.core.artifact import Manifest
from relive.core.causes import AFTER_TAG, ANSWER, BEFORE_TAG, WhyReport
from relive.core.diff import Recorded, RunDiff, code_diff, data_of, diff_recorded
from relive.core.digest import Digest
from relive.core.facts import Trees
from relive.core.run import Run
from relive.core.trajectory import Trajectory
from relive.errors import BlobNotFound, InvalidManifest
from relive.formats.trajectory import decode_trajectory
from relive.ports.search import Search
from relive.services.context import Services
from relive.services.inputs import load_manifest
from relive.services.registry import load_environment, load_recipe
from relive.services.runs import PARENT
from relive.services.searching import search_runs

_MOST_ANSWERS: Final = 20
_MOST_TRIALS: Final = 200
_MOST_LINES: Final = 2000
# The hub compares line by line while somebody waits for the page.
_MOST_TEXT_BYTES: Final = 256 * 1024


class ShownDiff(msgspec.Struct, frozen=True, kw_only=True):
    """What two runs do not share, as much of it as a page shows.

    Attributes:
        found: Inputs, metrics, steps.
        code: Lines of a unified diff of the code.
        is_cut: Whether there are more lines of code.
    """

    found: RunDiff
    code: tuple[str, ...]
    is_cut: bool


def differ(services: Services, one: Run, other: Run) -> ShownDiff:
    """Compare two runs input by input.

    Raises:
        NotFound: One has no recipe, or the hub has lost a part of it.
    """
    sides = [_load(services, run) for run in (one, other)]
    before, after = (side.trees.code or Manifest.of(()) for side in sides)
    diffed = code_diff(before, after, services.blobs.read, most_bytes=_MOST_TEXT_BYTES)
    lines = list(islice(diffed, _MOST_LINES + 1))
    return ShownDiff(
        found=diff_recorded(*sides), code=tuple(lines[:_MOST_LINES]), is_cut=len(lines) > _MOST_LINES
    )


def list_answers(services: Services, one: Run, other: Run) -> list[Run]:
    """Give the runs that hold an answer to why these two differ, newest first."""
    asked = f"tags.`{BEFORE_TAG}` = '{one.id}' and tags.`{AFTER_TAG}` = '{other.id}'"
    search = Search(project_id=one.project_id, limit=_MOST_ANSWERS)
    return list(search_runs(services, search, filter_text=asked).runs)


def list_trials(services: Services, search: Run) -> list[Run]:
    """Give the runs that a search for causes had made on a pool, newest first."""
    place = Search(project_id=search.project_id, limit=_MOST_TRIALS)
    return list(search_runs(services, place, filter_text=f"tags.`{PARENT}` = '{search.id}'").runs)


def find_answer(services: Services, run_id: str) -> WhyReport | None:
    """Give the answer to why that a run holds, if it holds one that can be read."""
    for artifact in services.store.list_artifacts(run_id):
        if artifact.path == ANSWER and artifact.kind == "report":
            try:
                entry = load_manifest(services, artifact.manifest).find(ANSWER)
                return (
                    msgspec.json.decode(services.blobs.read(entry.digest), type=WhyReport) if entry else None
                )
            except (BlobNotFound, InvalidManifest, msgspec.MsgspecError):
                return None
    return None


def _load(services: Services, run: Run) -> Recorded:
    recipe = load_recipe(services, run.id)

    def fetch(digest: Digest) -> Manifest:
        return load_manifest(services, digest)

    return Recorded(
        run_id=run.id,
        recipe=recipe,
        lock=load_environment(services, recipe.declared.environment),
        trees=Trees(code=fetch(recipe.declared.code.manifest), data=data_of(recipe, fetch)),
        params=services.store.list_params([run.id]).get(run.id, {}),
        metrics=tuple(services.store.list_metrics([run.id])),
        trajectory=_trajectory(services, run),
    )


def _trajectory(services: Services, run: Run) -> Trajectory | None:
    if not run.trajectory:
        return None
    try:
        return decode_trajectory(services.blobs.read(run.trajectory))
    except BlobNotFound:
        return None
