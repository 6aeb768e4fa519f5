"""What a run shows at its end: the numbers in its metrics files, its test report, its outputs."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from relive.core.digest import Digest
from relive.core.paths import is_within
from relive.core.run import Artifact, FailureReason, Metric, TestReport
from relive.errors import ReliveError, StoreFull
from relive.formats.junit import parse_junit
from relive.formats.manifest_io import HashCache
from relive.formats.metrics_file import read_metrics
from relive.formats.spool import SpoolContents
from relive.runner.outs import Found, missing_outs, read_logged, read_outs, require_room


@dataclass(frozen=True)
class Expected:
    """What a run should leave; paths are relative to the root of its tree.

    Attributes:
        out_limit_bytes: Outputs larger than this in all are refused; None for no limit.
    """

    outs: tuple[str, ...] = ()
    plots: tuple[str, ...] = ()
    metrics_files: tuple[str, ...] = ()
    junit: str = ""
    out_limit_bytes: int | None = None

    @property
    def reports(self) -> tuple[str, ...]:
        """The files that relive reads."""
        return (*self.metrics_files, *((self.junit,) if self.junit else ()))

    @property
    def paths(self) -> tuple[str, ...]:
        """Everything the run should write."""
        return tuple(dict.fromkeys((*self.outs, *self.plots, *self.reports)))

    def without_written(self, inputs: Mapping[str, Digest]) -> dict[str, Digest]:
        """Leave out of the inputs what the run is there to write, as where the whole tree is the input."""
        return {
            path: digest
            for path, digest in inputs.items()
            if not any(is_within(path, written) for written in self.paths)
        }


@dataclass
class Results:
    """What was found so far, and the first thing that is not as it was declared.

    Attributes:
        notes: Sentences about what could not be used.
    """

    metrics: tuple[Metric, ...] = ()
    tests: TestReport | None = None
    artifacts: tuple[Artifact, ...] = ()
    notes: list[str] = field(default_factory=list)
    failure: FailureReason | None = None
    reason: str = ""

    def fail(self, failure: FailureReason, reason: str) -> None:
        """Note that something is not as declared; the first such thing is why the run fails."""
        if self.failure is None:
            self.failure, self.reason = failure, reason
        else:
            self.notes.append(reason)


def gather(
    tree: Path,
    expected: Expected,
    spool: SpoolContents,
    store: Callable[[list[Found]], tuple[Artifact, ...]],
    *,
    went_well: bool,
) -> Results:
    """Read and keep the results of a run.

    Of a run whose command failed only what explains it is kept: the reports and plots that are there, and
    what its script logged.

    Args:
        store: Keeps what was found, or raises `StoreFull`.

    Raises:
        HubUnreachable, Superseded: As the transport's patience and the claim have it.
    """
    results = Results()
    absent = missing_outs(tree, expected.paths)
    if absent and went_well:
        results.fail(FailureReason.MISSING_OUT, absent)
    _read_reports(tree, expected, spool, results)
    try:
        require_room(tree, expected.paths, expected.out_limit_bytes)
        found = _find(tree, expected, spool, results, with_outs=went_well and results.failure is None)
        results.artifacts = store(found)
    except StoreFull as error:
        results.fail(FailureReason.STORE_FULL, error.what())
    return results


def _read_reports(tree: Path, expected: Expected, spool: SpoolContents, results: Results) -> None:
    last_steps: dict[str, int] = {}
    for metric in spool.metrics:
        last_steps[metric.key] = max(metric.step, last_steps.get(metric.key, metric.step))
    now = time.time()
    metrics: list[Metric] = []
    for path in filter(lambda path: (tree / path).is_file(), expected.metrics_files):
        try:
            file = read_metrics((tree / path).read_bytes(), path=path)
        except (ReliveError, OSError) as error:
            results.fail(FailureReason.FAILURE, _sentence(error))
            continue
        # A number that was logged as a series as well is its last point.
        metrics += (Metric(k, value, last_steps.get(k, 0), now) for k, value in file.values.items())
        results.notes += (f"{path}: {note}" for note in file.notes)
    results.metrics = tuple(metrics)
    if expected.junit and (tree / expected.junit).is_file():
        _read_tests(tree, expected.junit, results)


def _read_tests(tree: Path, path: str, results: Results) -> None:
    try:
        tests = parse_junit((tree / path).read_bytes(), path=path)
    except (ReliveError, OSError) as error:
        results.fail(FailureReason.FAILURE, _sentence(error))
        return
    results.tests = tests
    if tests.failed or tests.errors:
        names = ", ".join(name for name, _ in tests.failures[:3])
        results.fail(
            FailureReason.FAILURE, f"{tests.failed + tests.errors} of {tests.tests} tests failed: {names}"
        )


def _find(
    tree: Path, expected: Expected, spool: SpoolContents, results: Results, *, with_outs: bool
) -> list[Found]:
    """Hash what is there and is to be kept."""
    hashes = HashCache()
    kinds: Mapping[str, tuple[str, ...]] = {
        "out": expected.outs if with_outs else (),
        "plot": expected.plots,
        "report": tuple(path for path in expected.reports if path not in expected.outs),
    }
    found: list[Found] = []
    for kind, paths in kinds.items():
        there = [path for path in paths if (tree / path).exists()]
        try:
            found += read_outs(tree, there, kind, hashes)
        except (ReliveError, OSError) as error:
            results.fail(FailureReason.FAILURE, _sentence(error))
    for artifact in spool.artifacts:
        try:
            found.append(read_logged(artifact, hashes))
        except (ReliveError, OSError) as error:
            # It was not declared, so the run does not stand or fall with it.
            results.notes.append(f"artifact {artifact.name} was not kept: {_sentence(error)}")
    return found


def _sentence(error: ReliveError | OSError) -> str:
    return f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
