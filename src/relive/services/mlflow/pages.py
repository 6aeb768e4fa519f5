"""Pages of lists that MLflow cuts by how many rows lie before them."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from relive.services.mlflow.faults import SEE_DOCS, invalid
from relive.services.mlflow.paging import page_offset, page_token
from relive.services.mlflow.search import MOST

T = TypeVar("T")


def check_limit(limit: int) -> None:
    """Refuse a page of no rows, or of too many.

    Raises:
        MlflowFault: It is such a page.
    """
    if not 1 <= limit <= MOST:
        raise invalid(f"max_results must be between 1 and {MOST}.{SEE_DOCS}")


def a_page(limit: int, token: str, listed: Callable[[int, int], Sequence[T]]) -> tuple[Sequence[T], str]:
    """Give a page, and the token of the next one, empty at the end.

    Args:
        limit: Rows of a page.
        token: Where the page begins, as the page before said.
        listed: Gives rows by how many lie before them and how many are wanted.

    Raises:
        MlflowFault: The token is none.
    """
    offset = page_offset(token)
    found = listed(offset, limit + 1)
    return found[:limit], page_token(offset + limit) if len(found) > limit else ""


def reply(called: str, items: list[Any], token: str) -> dict[str, Any]:
    """Write a page as these calls do: no item is absent, no next page the empty text."""
    return ({called: items} if items else {}) | {"next_page_token": token}
