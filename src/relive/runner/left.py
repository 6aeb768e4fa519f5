"""What a run leaves without declaring it: evidence for a replay, and a metrics file if there is just one."""

from dataclasses import replace
from pathlib import Path
from typing import Final

from relive import settings
from relive.capture.recorder.borders import Borders
from relive.capture.recorder.reads import Opened
from relive.capture.written import find_written
from relive.core.recipe import WrittenFile
from relive.core.run import Artifact
from relive.core.timestamps import without_times
from relive.errors import ReliveError
from relive.formats.manifest_io import HashCache
from relive.formats.metrics_file import MAX_BYTES, read_metrics
from relive.runner.results import Expected

_METRICS: Final = frozenset({"metrics.json", "metrics.yaml", "metrics.yml", "metrics.toml"})


def look_at_left(borders: Borders, opened: Opened, expected: Expected) -> tuple[WrittenFile, ...]:
    """Find what a run left in its tree; nothing of one that declares outs, for then these are its results."""
    if expected.outs:
        return ()
    hashes = HashCache(Path(settings.cache()) / "hashes.msgpack")
    declared = [str(borders.tree / path) for path in expected.paths]
    skipped = frozenset((*borders.environment, *declared))
    found = find_written(borders.tree, borders.began_at_ns, opened, skipped=skipped, hashes=hashes)
    hashes.save()
    return found


def with_metrics_left(expected: Expected, tree: Path, written: tuple[WrittenFile, ...]) -> Expected:
    """Take a metrics file that the run left for a declared one, where nothing is declared and it is the only.

    It is known by its name, `metrics.json` (or .yaml, .yml, .toml), in whatever folder.
    """
    if expected.outs or expected.metrics_files:
        return expected
    named = [it for it in written if it.path.rpartition("/")[2] in _METRICS and it.size_bytes <= MAX_BYTES]
    if len(named) != 1 or not _has_numbers(tree, named[0].path):
        return expected
    return replace(expected, metrics_files=(named[0].path,))


def was_left(artifact: Artifact, named: tuple[str, ...]) -> bool:
    """Tell whether an artifact is such a file, but in a folder named by the time: another in each run."""
    folder, _, name = artifact.path.rpartition("/")
    is_metrics = artifact.kind == "report" and name in _METRICS
    return is_metrics and artifact.path not in named and without_times(folder) != folder


def undeclared(written: tuple[WrittenFile, ...], expected: Expected) -> tuple[WrittenFile, ...]:
    """Leave out what is read or kept by its name."""
    return tuple(it for it in written if it.path not in expected.paths)


def _has_numbers(tree: Path, path: str) -> bool:
    try:
        return bool(read_metrics((tree / path).read_bytes(), path=path).values)
    except (ReliveError, OSError):
        return False  # nobody said that it holds metrics
