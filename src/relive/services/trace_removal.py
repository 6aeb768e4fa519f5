"""Deleting many traces: in steps, so that others write in between, and a killed hub has lost no place.

A trace goes whole or not at all. What has gone has gone; whoever asks again goes on with the rest.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from relive.errors import NotFound
from relive.services.context import Services

# What one transaction deletes; a trace of more spans than that goes alone.
TRACES_A_STEP: Final = 1000
SPANS_A_STEP: Final = 20_000
# Later than any trace began, in milliseconds.
_EVER: Final = 2**63 - 1


def steps(services: Services, trace_ids: Sequence[str]) -> Iterator[list[str]]:
    """Give traces in groups, each for one transaction."""
    n_spans = services.store.count_spans(trace_ids)
    group: list[str] = []
    total = 0
    for trace_id in trace_ids:
        its = n_spans.get(trace_id, 0)
        if group and (len(group) == TRACES_A_STEP or total + its > SPANS_A_STEP):
            yield group
            group, total = [], 0
        group.append(trace_id)
        total += its
    if group:
        yield group


def remove(services: Services, trace_ids: Sequence[str], folder: str) -> int:
    """Delete traces with all that is theirs, in the transaction at hand; gives how many there were.

    Args:
        folder: Where the files of each trace lie, in a folder of its id.
    """
    store = services.store
    if store.find_overlapping_file(folder) is not None:
        for trace_id in trace_ids:
            store.delete_files(f"{folder}/{trace_id}")
    return store.delete_traces(trace_ids)


def purge_traces(services: Services, experiment_id: str) -> Iterator[int]:
    """Delete the traces of an experiment that is marked deleted; gives how many, after each step.

    It stops where the experiment is restored, or another hub was sooner.
    """
    store = services.store
    while found := store.list_old_traces(experiment_id, up_to_ms=_EVER, limit=TRACES_A_STEP):
        for some in steps(services, [trace.id for trace in found]):
            with store.transaction():
                try:
                    is_deleted = store.get_experiment(experiment_id).deleted_at is not None
                except NotFound:
                    return
                if not is_deleted:
                    return
                n_deleted = remove(services, some, f"{experiment_id}/traces")
            yield n_deleted
