"""What a run logs, whoever speaks for it."""

from relive.core.run import RunRecords
from relive.services.context import Services
from relive.wire.jobs import Records


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
