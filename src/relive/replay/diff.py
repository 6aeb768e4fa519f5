"""Two runs input by input: what differs, and how far their results are apart."""

import difflib
from collections.abc import Iterator
from typing import Final

import msgspec

from relive.client.hub import HubClient
from relive.core.artifact import Manifest, ManifestEntry
from relive.core.compare import Comparison, compare, same_bits
from relive.core.digest import Digest
from relive.core.facts import Difference, Trees, differences, facts_of, with_logged
from relive.core.ids import short_id
from relive.core.recipe import EnvironmentLock, Recipe
from relive.errors import BlobNotFound, NotFound
from relive.formats.hashing import document_digest
from relive.formats.trajectory import decode_trajectory
from relive.replay.plan import resolve_run
from relive.runner.environment.build import fetch_lock
from relive.wire.hub import RunDetail

_MOST_TEXT_BYTES: Final = 1024 * 1024


class MetricPair(msgspec.Struct, frozen=True, kw_only=True):
    """The last value of a metric in both runs; None where one has none."""

    key: str
    before: float | None
    after: float | None


class RunDiff(msgspec.Struct, frozen=True, kw_only=True):
    """What two runs do not share.

    Attributes:
        before: Id of the first run.
        after: Id of the second.
        same_inputs: Whether their recipes have one digest: all that was declared is equal.
        inputs: What differs, the likeliest to matter first.
        metrics: Those that differ.
        steps: Where their recorded steps part; None if one of them recorded none.
    """

    before: str
    after: str
    same_inputs: bool
    inputs: tuple[Difference, ...]
    metrics: tuple[MetricPair, ...]
    steps: Comparison | None = None


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two runs, with all that says what went into it."""

    detail: RunDetail
    recipe: Recipe
    lock: EnvironmentLock | None
    code: Manifest


def load_side(hub: HubClient, target: str) -> Side:
    """Fetch a run and its recipe.

    Args:
        hub: Where it is recorded.
        target: A run's id or its beginning, or a model version as NAME@ALIAS or NAME@NUMBER.

    Raises:
        HubRefused: There is no such run or version.
        NotFound: It has no recipe, or the hub has lost a part of it.
    """
    detail = hub.get_run(resolve_run(hub, target)[0])
    if not detail.run.recipe:
        hint = "a recipe is closed when its run ends"
        raise NotFound(kind="recipe of run", name=short_id(detail.run.id), hint=hint)
    recipe = hub.get_recipe(detail.run.id)
    lock = fetch_lock(recipe.declared.environment, hub.blobs) if recipe.declared.environment else None
    code = hub.blobs.fetch_manifest(recipe.declared.code.manifest)
    return Side(detail=detail, recipe=recipe, lock=lock, code=code)


def diff_runs(one: Side, other: Side, hub: HubClient) -> RunDiff:
    """Compare two runs input by input; files are compared one by one."""
    trees = [Trees(code=side.code, data=data_of(side, hub)) for side in (one, other)]
    recipes = [with_logged(side.recipe, side.detail.params) for side in (one, other)]
    facts = [
        facts_of(recipe, side.lock, tree)
        for recipe, side, tree in zip(recipes, (one, other), trees, strict=True)
    ]
    return RunDiff(
        before=one.detail.run.id,
        after=other.detail.run.id,
        same_inputs=document_digest(one.recipe.declared) == document_digest(other.recipe.declared),
        inputs=tuple(differences(*facts)),
        metrics=tuple(_metrics(one.detail, other.detail)),
        steps=_steps(one.detail, other.detail, hub),
    )


def code_diff(one: Side, other: Side, hub: HubClient) -> Iterator[str]:
    """Give the lines of a unified diff of the code; files that are no text, or long, by name alone."""
    before = {entry.path: entry for entry in one.code.entries}
    after = {entry.path: entry for entry in other.code.entries}
    for path in sorted(before.keys() | after.keys()):
        was, is_ = before.get(path), after.get(path)
        if was == is_:
            continue
        lines = [_lines(entry, hub) for entry in (was, is_)]
        if None in lines:
            yield f"Binary files a/{path} and b/{path} differ"
            continue
        yield from difflib.unified_diff(
            lines[0] or [],
            lines[1] or [],
            f"a/{path}" if was else "/dev/null",
            f"b/{path}" if is_ else "/dev/null",
            lineterm="",
        )


def data_of(side: Side, hub: HubClient) -> dict[str, Manifest]:
    """Fetch what the declared inputs hold; one that the hub has no longer is compared by its digest."""
    found = {}
    for dep in side.recipe.declared.data:
        if dep.origin == "code":
            continue  # its files are those of the code
        try:
            found[dep.path] = hub.blobs.fetch_manifest(dep.manifest)
        except BlobNotFound:
            continue
    return found


def _steps(one: RunDetail, other: RunDetail, hub: HubClient) -> Comparison | None:
    """Compare what both recorded; of steps that one of them did not digest nobody knows."""
    if not one.run.trajectory or not other.run.trajectory:
        return None
    before, after = (hub.blobs.get_bytes(side.run.trajectory) for side in (one, other))
    return compare(decode_trajectory(before), decode_trajectory(after))


def _lines(entry: ManifestEntry | None, hub: HubClient) -> list[str] | None:
    """Give a file's lines: none for a file that is not there, None for what is no text."""
    if entry is None:
        return []
    if entry.link is not None:
        return [f"link to {entry.link}"]
    if entry.size_bytes > _MOST_TEXT_BYTES:
        return None
    try:
        return _text(entry.digest, hub).splitlines()
    except UnicodeDecodeError:
        return None


def _text(digest: Digest, hub: HubClient) -> str:
    return hub.blobs.get_bytes(digest).decode()


def _metrics(one: RunDetail, other: RunDetail) -> Iterator[MetricPair]:
    before = {metric.key: metric.last for metric in one.metrics}
    after = {metric.key: metric.last for metric in other.metrics}
    for key in sorted(before.keys() | after.keys()):
        was, is_ = before.get(key), after.get(key)
        if was is None or is_ is None or not same_bits(was, is_):
            yield MetricPair(key=key, before=was, after=is_)
