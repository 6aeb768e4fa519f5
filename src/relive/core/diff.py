"""What two runs do not share: their inputs, their metrics, their steps and the lines of their code."""

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from relive.core.artifact import Manifest, ManifestEntry
from relive.core.compare import Comparison, compare, same_bits
from relive.core.digest import Digest, canonical_json
from relive.core.facts import Difference, Trees, differences, facts_of, with_logged
from relive.core.recipe import EnvironmentLock, Recipe
from relive.core.run import MetricSummary
from relive.core.trajectory import Trajectory
from relive.errors import BlobNotFound

MOST_TEXT_BYTES: Final = 1024 * 1024


class MetricPair(msgspec.Struct, frozen=True, kw_only=True):
    """The last value of a metric in both runs; None where one has none."""

    key: str
    before: float | None
    after: float | None


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a run, with the files behind its digests.

    Attributes:
        run_id: The run.
        recipe: All that went in.
        lock: Its environment; None if it had none.
        trees: The files of code and data, where they are still there.
        params: What the script logged besides what was declared.
        metrics: What it recorded.
        trajectory: Its steps; None if it recorded none, or they are lost.
    """

    run_id: str
    recipe: Recipe
    lock: EnvironmentLock | None
    trees: Trees
    params: Mapping[str, Any]
    metrics: tuple[MetricSummary, ...]
    trajectory: Trajectory | None


class RunDiff(msgspec.Struct, frozen=True, kw_only=True):
    """What two runs do not share.

    Attributes:
        before: Id of the first run.
        after: Id of the second.
        same_inputs: Whether all that was declared is equal.
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


def diff_recorded(one: Recorded, other: Recorded) -> RunDiff:
    """Compare two runs input by input; files are compared one by one."""
    facts = [facts_of(with_logged(it.recipe, it.params), it.lock, it.trees) for it in (one, other)]
    steps = None
    if one.trajectory is not None and other.trajectory is not None:
        steps = compare(one.trajectory, other.trajectory)
    return RunDiff(
        before=one.run_id,
        after=other.run_id,
        same_inputs=canonical_json(one.recipe.declared) == canonical_json(other.recipe.declared),
        inputs=tuple(differences(*facts)),
        metrics=tuple(metric_pairs(one.metrics, other.metrics)),
        steps=steps,
    )


def metric_pairs(before: Iterable[MetricSummary], after: Iterable[MetricSummary]) -> Iterator[MetricPair]:
    """Give the metrics whose last values differ in a bit, or that only one has, by key."""
    mine, theirs = ({it.key: it.last for it in found} for found in (before, after))
    for key in sorted(mine.keys() | theirs.keys()):
        was, is_ = mine.get(key), theirs.get(key)
        if was is None or is_ is None or not same_bits(was, is_):
            yield MetricPair(key=key, before=was, after=is_)


def data_of(recipe: Recipe, fetch: Callable[[Digest], Manifest]) -> dict[str, Manifest]:
    """Give what the declared inputs hold, by their paths.

    Files of the code are left out, and an input whose files are lost: it is compared by its digest.

    Args:
        recipe: The recipe.
        fetch: Gives the manifest of a digest, or raises BlobNotFound.
    """
    found = {}
    for dep in recipe.declared.data:
        if dep.origin == "code":
            continue
        try:
            found[dep.path] = fetch(dep.manifest)
        except BlobNotFound:
            continue
    return found


def code_diff(
    before: Manifest,
    after: Manifest,
    read: Callable[[Digest], bytes],
    *,
    most_bytes: int = MOST_TEXT_BYTES,
) -> Iterator[str]:
    """Give the lines of a unified diff of two trees.

    Args:
        before: The first tree.
        after: The second.
        read: Gives the bytes of a digest, or raises BlobNotFound.
        most_bytes: A longer file is only named, as one that is no text, or is lost.
    """
    mine, theirs = ({entry.path: entry for entry in tree.entries} for tree in (before, after))
    for path in sorted(mine.keys() | theirs.keys()):
        was, is_ = mine.get(path), theirs.get(path)
        if was == is_:
            continue
        old, new = (_lines(entry, read, most_bytes) for entry in (was, is_))
        names = (f"a/{path}" if was else "/dev/null", f"b/{path}" if is_ else "/dev/null")
        if old is None or new is None:
            yield f"{names[0]} and {names[1]} differ"
        else:
            yield from difflib.unified_diff(old, new, *names, lineterm="")


def _lines(entry: ManifestEntry | None, read: Callable[[Digest], bytes], most_bytes: int) -> list[str] | None:
    """Give a file's lines: none for a file that is not there, None for what cannot be shown by lines."""
    if entry is None:
        return []
    if entry.link is not None:
        return [f"link to {entry.link}"]
    if entry.size_bytes > most_bytes:
        return None
    try:
        return read(entry.digest).decode().splitlines()
    except (UnicodeDecodeError, BlobNotFound):
        return None
