"""Deleting many traces goes in steps, each whole."""

from collections.abc import Iterator

import pytest

from relive.core.stored_file import StoredFile
from relive.core.trace import Span, Trace
from relive.services import trace_removal
from relive.services.collecting import purge
from relive.services.trace_removal import purge_traces, steps
from tests.support.bench import Bench

LATER = 1e12


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a step hold three traces, or four spans."""
    monkeypatch.setattr(trace_removal, "TRACES_A_STEP", 3)
    monkeypatch.setattr(trace_removal, "SPANS_A_STEP", 4)


@pytest.fixture
def experiment(bench: Bench) -> str:
    """Give an experiment with seven traces: the fourth has six spans, the others one."""
    store = bench.services.store
    found = store.ensure_experiment(bench.project.id, "full").id
    for number in range(7):
        trace = Trace(id=f"tr-{number}", experiment_id=found, started_ms=number)
        store.create_trace(trace)
        spans = range(6 if number == 3 else 1)
        store.record_spans([Span(trace_id=trace.id, id=str(it), started_ns=1, content="{}") for it in spans])
        path = f"{found}/traces/{trace.id}/artifacts/a.txt"
        store.record_file(StoredFile(path=path, digest="d", size_bytes=1))
    return found


@pytest.mark.usefixtures("small")
def test_a_step_has_no_more_than_one_transaction_should(bench: Bench, experiment: str) -> None:
    ids = [f"tr-{number}" for number in range(7)]
    found = list(steps(bench.services, ids))
    assert found == [["tr-0", "tr-1", "tr-2"], ["tr-3"], ["tr-4", "tr-5", "tr-6"]]
    assert list(steps(bench.services, [])) == []


@pytest.mark.usefixtures("small")
def test_a_purge_that_is_cut_off_goes_on_with_the_rest(bench: Bench, experiment: str) -> None:
    store = bench.services.store
    store.delete_experiment(experiment)
    first = purge_traces(bench.services, experiment)
    assert next(first) == 3
    del first
    assert [trace.id for trace in store.list_old_traces(experiment, up_to_ms=9, limit=None)] == [
        "tr-3",
        "tr-4",
        "tr-5",
        "tr-6",
    ]
    assert len(store.list_files(f"{experiment}/traces")) == 4
    assert list(purge_traces(bench.services, experiment)) == [1, 2, 1]
    assert store.list_files(f"{experiment}/traces") == []


@pytest.mark.usefixtures("small")
def test_a_restored_experiment_keeps_what_it_still_has(bench: Bench, experiment: str) -> None:
    store = bench.services.store
    assert list(purge_traces(bench.services, experiment)) == []
    store.delete_experiment(experiment)
    purging = purge_traces(bench.services, experiment)
    next(purging)
    store.restore_experiment(experiment)
    assert list(purging) == []
    assert len(store.list_old_traces(experiment, up_to_ms=9, limit=None)) == 4


@pytest.mark.usefixtures("small")
def test_a_purge_tells_of_each_step_and_ends(bench: Bench, experiment: str) -> None:
    bench.services.store.delete_experiment(experiment)
    told: Iterator[tuple[int, int]] = purge(bench.services, before=LATER)
    assert list(told) == [(0, 0)] * 4 + [(0, 1)]
    assert list(purge_traces(bench.services, experiment)) == []
