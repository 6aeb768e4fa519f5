"""What a run logs, whoever speaks for it."""

from typing import Final

from relive.core.dataset import read_ref
from relive.core.run import RunRecords
from relive.errors import InvalidInput
from relive.services.context import Services
from relive.services.datasets import record_read
from relive.wire.jobs import Records

# A run that reads a version of a data set says so by a tag: this, and the version's name.
_READ_TAG: Final = "relive.dataset."


def keep_records(services: Services, run_id: str, records: Records, *, fence: int | None) -> None:
    """Keep what a run logged, all or nothing.

    Raises:
        Conflict: A param has another value already.
        Superseded: The fence is no longer the run's.
    """
    kept = RunRecords(
        metrics=records.metrics, blocks=records.blocks, params=records.params, tags=records.tags
    )
    # Params and tags may come again under the same name with other values: an import does so.
    batch = records.batch if records.metrics or records.blocks else ""
    services.store.record_batch(run_id, kept, fence=fence, batch=batch)
    for tag in records.tags:
        if tag.startswith(_READ_TAG):
            _keep_read(services, run_id, tag.removeprefix(_READ_TAG))


def _keep_read(services: Services, run_id: str, name: str) -> None:
    """Make the edge of the lineage that a tag speaks of; of what there is not it stays a tag."""
    try:
        ref = read_ref(name)
    except InvalidInput:
        return
    version = services.store.find_dataset_version(ref.name, ref.number)
    if version is not None:
        record_read(services, services.store.get_run(run_id), version, "")
