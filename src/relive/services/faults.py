"""Which errors pass by themselves.

A full disk or a database that is away says nothing about the work that met it. Whatever hits one of these is
left as it was and tried again; only other errors fail a stage or a pipeline.
"""

from relive.errors import DatabaseBusy, DatabaseUnreachable, ReliveError, StoreFull, StoreUnavailable

_PASSING = (StoreFull, StoreUnavailable, DatabaseBusy, DatabaseUnreachable)


def is_passing(error: ReliveError) -> bool:
    """Tell whether the same call may succeed later without anybody changing what was asked."""
    return isinstance(error, _PASSING)
