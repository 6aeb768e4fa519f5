"""What services ask of the fact store about series of points."""

from typing import Protocol

from relive.core.series import Points


class SeriesStore(Protocol):
    """Series as columns, and how they are kept small; `RunStore` has the other calls about metrics."""

    def get_points(self, run_id: str, key: str, *, max_points: int | None = None) -> Points:
        """Give a series as `RunStore.get_series` does, in columns; none if there is no such series."""
        ...

    def page_points(self, run_id: str, key: str, *, start: int, limit: int) -> Points:
        """Give at most `limit` points of a series, from the one with this number on, in its order.

        A point that comes late moves all behind it on by one.
        """
        ...

    def pack_metrics(self) -> bool:
        """Pack some rows of points into chunks, where a run has ended or a series has many of them.

        One short transaction; nothing that can be read changes. Gives False if there is nothing to pack.
        """
        ...
