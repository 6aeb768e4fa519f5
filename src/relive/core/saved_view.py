"""A view of a table that somebody gave a name."""

import msgspec


class SavedView(msgspec.Struct, frozen=True, kw_only=True):
    """A view of a project's table of runs.

    Attributes:
        query: What its address says after the question mark.
    """

    id: str
    project_id: str
    name: str
    query: str
    created_by: str = ""
    created_at: float = 0.0
