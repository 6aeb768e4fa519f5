"""What the table of runs asks of the store besides runs; its promises are those of `ports.stores`."""

from typing import Protocol

from relive.core.saved_view import SavedView
from relive.core.search import Side


class ViewStore(Protocol):
    """Saved views, and the names that columns and filters are completed by."""

    def save_view(self, view: SavedView) -> SavedView:
        """Keep a view; one that its project has by this name gets its query and stays whose it is."""
        ...

    def find_view(self, project_id: str, name: str) -> SavedView | None: ...
    def list_views(self, project_id: str) -> list[SavedView]: ...
    def delete_view(self, view_id: str) -> bool:
        """Delete a view; tell whether it was there."""
        ...

    def list_keys(self, project_id: str, side: Side, *, find: str = "", limit: int = 50) -> list[str]:
        """Give keys of a project's metrics, params or tags that hold a text, those it begins first.

        Case is ignored. The cost is bounded, so of a key that very many runs of other projects have and
        none of this project's newest hundred, it is not known that it is there.
        """
        ...
