"""Two runs input by input, read from what the hub keeps: for its pages."""

import difflib
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

import msgspec

from relive.core.artifact import Manifest, ManifestEntry
from relive.core.causes import WhyReport
from relive.core.compare import Comparison, compare, same_bits
from relive.core.facts import Difference, Trees, differences, facts_of, with_logged
from relive.core.recipe import EnvironmentLock, Recipe
from relive.core.run import MetricSummary, Run
from relive.errors import BlobNotFound, InvalidManifest
from relive.formats.trajectory import decode_trajectory
from relive.ports.search import Search
from relive.services.context import Services
from relive.services.inputs import load_manifest
from relive.services.registry import load_environment, load_recipe
from relive.services.searching import search_runs

ANSWER: Final = "why.json"
# Of the run that holds an answer: the two that it is about.
BEFORE_TAG: Final = "relive.why.before"
AFTER_TAG: Final = "relive.why.after"
_MOST_ANSWERS: Final = 20
_MOST_LINES: Final = 2000
_MOST_TEXT_BYTES: Final = 256 * 1024


class InputsDiffer(msgspec.Struct, frozen=True, kw_only=True):
    """What two runs do not share.

    Attributes:
        inputs: The likeliest to matter first.
        metrics: Key and both last values, None where one has none; those that differ.
        code: Lines of a unified diff of the code.
        is_cut: Whether there are more lines of code.
        steps: Where their recorded steps part; None if one of them recorded none.
    """

    inputs: tuple[Difference, ...]
    metrics: tuple[tuple[str, float | None, float | None], ...]
    code: tuple[str, ...]
    is_cut: bool
    steps: Comparison | None


class _Side(msgspec.Struct, frozen=True):
    recipe: Recipe
    lock: EnvironmentLock | None
    code: Manifest


def differ(services: Services, one: Run, other: Run) -> InputsDiffer:
    """Compare two runs input by input.

    Raises:
        NotFound: One has no recipe, or the hub has lost a part of it.
    """
    sides = [_load(services, run) for run in (one, other)]
    params = services.store.list_params([one.id, other.id])
    facts = [
        facts_of(
            with_logged(it.recipe, params.get(run.id, {})),
            it.lock,
            Trees(code=it.code, data=_data(services, it.recipe)),
        )
        for it, run in zip(sides, (one, other), strict=True)
    ]
    lines = list(islice(_code_diff(services, *sides), _MOST_LINES + 1))
    return InputsDiffer(
        inputs=tuple(differences(*facts)),
        metrics=tuple(_metrics(*(services.store.list_metrics([run.id]) for run in (one, other)))),
        code=tuple(lines[:_MOST_LINES]),
        is_cut=len(lines) > _MOST_LINES,
        steps=_steps(services, one, other),
    )


def list_answers(services: Services, one: Run, other: Run) -> list[Run]:
    """Give the runs that hold an answer to why these two differ, newest first."""
    asked = f"tags.`{BEFORE_TAG}` = '{one.id}' and tags.`{AFTER_TAG}` = '{other.id}'"
    search = Search(project_id=one.project_id, limit=_MOST_ANSWERS)
    return list(search_runs(services, search, filter_text=asked).runs)


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


def _load(services: Services, run: Run) -> _Side:
    recipe = load_recipe(services, run.id)
    lock = load_environment(services, recipe.declared.environment)
    return _Side(recipe, lock, load_manifest(services, recipe.declared.code.manifest))


def _data(services: Services, recipe: Recipe) -> dict[str, Manifest]:
    found = {}
    for dep in recipe.declared.data:
        if dep.origin == "code":
            continue  # its files are those of the code
        try:
            found[dep.path] = load_manifest(services, dep.manifest)
        except BlobNotFound:
            continue
    return found


def _steps(services: Services, one: Run, other: Run) -> Comparison | None:
    if not one.trajectory or not other.trajectory:
        return None
    try:
        before, after = (decode_trajectory(services.blobs.read(run.trajectory)) for run in (one, other))
    except BlobNotFound:
        return None
    return compare(before, after)


def _metrics(
    one: Iterable[MetricSummary], other: Iterable[MetricSummary]
) -> Iterator[tuple[str, float | None, float | None]]:
    before, after = ({it.key: it.last for it in found} for found in (one, other))
    for key in sorted(before.keys() | after.keys()):
        was, is_ = before.get(key), after.get(key)
        if was is None or is_ is None or not same_bits(was, is_):
            yield key, was, is_


def _code_diff(services: Services, one: _Side, other: _Side) -> Iterator[str]:
    before, after = ({entry.path: entry for entry in side.code.entries} for side in (one, other))
    for path in sorted(before.keys() | after.keys()):
        was, is_ = before.get(path), after.get(path)
        if was == is_:
            continue
        old, new = _lines(services, was), _lines(services, is_)
        if old is None or new is None:
            yield f"a/{path} and b/{path} differ"
        else:
            names = (f"a/{path}" if was else "/dev/null", f"b/{path}" if is_ else "/dev/null")
            yield from difflib.unified_diff(old, new, *names, lineterm="")


def _lines(services: Services, entry: ManifestEntry | None) -> list[str] | None:
    """Give a file's lines: none for a file that is not there, None for what is no text, long or lost."""
    if entry is None:
        return []
    if entry.link is not None:
        return [f"link to {entry.link}"]
    if entry.size_bytes > _MOST_TEXT_BYTES:
        return None
    try:
        return services.blobs.read(entry.digest).decode().splitlines()
    except (UnicodeDecodeError, BlobNotFound):
        return None
