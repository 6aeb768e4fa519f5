"""What a question in SQL gives."""

from typing import Any

import msgspec


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Rows that a question gave.

    Attributes:
        rows: A value a column; times are seconds since the epoch, UTC, and JSON is text.
        truncated: There are more rows than were asked for.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    truncated: bool = False
