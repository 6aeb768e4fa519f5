"""Who may write for a run: the one rule, checked in the transaction of the write itself."""

from typing import Final

from sqlalchemy import Connection, bindparam, select

from relive.errors import NotFound, Superseded
from relive.stores.sql.tables.runs import runs
from relive.stores.sql.tables.work import jobs

_THE_RUN: Final = runs.c.id == bindparam("run_id")
# NO KEY UPDATE: rows that refer to these (foreign keys) may still be written by others. SQLite knows no
# row locks and needs none: a transaction that writes has the whole file.
_CLAIM: Final = (
    select(jobs.c.fence, jobs.c.state)
    .where(jobs.c.id == select(runs.c.job_id).where(_THE_RUN).scalar_subquery())
    .with_for_update(key_share=True)
)
_RUN: Final = select(runs.c.fence).where(_THE_RUN).with_for_update(key_share=True)


def hold_run(connection: Connection, run_id: str, fence: int | None) -> None:
    """Keep others from writing for this run until the transaction ends, and refuse a stale writer.

    A writer with a fence is refused unless the run has that fence and its job, if it is queued at all, is
    still under that claim. The job is locked before the run, always: see docs/design/locking.md.

    Args:
        connection: In the transaction of the write.
        run_id: The run's whole id.
        fence: The claim the writer belongs to; None for a writer that belongs to none.

    Raises:
        NotFound: There is no such run.
        Superseded: Another claim took over, or the job is over.
    """
    claim = None
    # SQLite locks no row by it: without a fence there is nothing to learn.
    if fence is not None or connection.dialect.name != "sqlite":
        claim = connection.execute(_CLAIM, {"run_id": run_id}).one_or_none()
    run = connection.execute(_RUN, {"run_id": run_id}).one_or_none()
    if run is None:
        raise NotFound(kind="run", name=run_id)
    if fence is None:
        return
    if run.fence != fence:
        raise _superseded(run_id, f"this writer has fence {fence}, the run has {run.fence}")
    if claim is not None and claim.fence != fence:
        raise _superseded(run_id, f"this writer has fence {fence}, its job has {claim.fence}")
    if claim is not None and claim.state.is_final:
        raise _superseded(run_id, f"its job is over ({claim.state.value})")


def _superseded(run_id: str, reason: str) -> Superseded:
    return Superseded(subject=f"run {run_id}", reason=reason)
