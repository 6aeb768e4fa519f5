"""What every part of the store has."""

import secrets
from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

from relive.stores.sql.engine import Database

T = TypeVar("T")

# What one query may name: SQLite takes 32766 values in all.
_MOST_A_QUERY: Final = 1000


class StorePart:
    """One part of the store: the methods of one Protocol."""

    def __init__(self, database: Database) -> None:
        """Work on this database."""
        self._db = database


def new_id() -> str:
    """Make an id: 32 hex digits, random, so that its first eight tell it apart."""
    return secrets.token_hex(16)


def chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut a list into what one query may name."""
    for start in range(0, len(items), _MOST_A_QUERY):
        yield items[start : start + _MOST_A_QUERY]
