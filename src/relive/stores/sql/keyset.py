"""Pages that begin after a place in an order, whatever the order is.

An order is a list of keys, none of which is ever NULL; a place is the value of each in one row. The token
that clients carry from page to page holds the place itself, so it stays right if that row changes or goes.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, and_, or_

from relive.errors import InvalidInput
from relive.ports.search import PAGE_TOKEN

Place = tuple[float | int | str, ...]

# Of a whole number in either database.
_LARGEST: Final = 2**63 - 1
_PLACE: Final = msgspec.msgpack.Decoder(tuple[str, tuple[float | int | str, ...]])


@dataclass(frozen=True)
class Key:
    """One thing that rows are sorted by.

    Attributes:
        column: Its value; never NULL.
        ascending: Its direction.
        is_text: Whether its values are text, else they are numbers.
    """

    column: Any
    ascending: bool = True
    is_text: bool = False

    @property
    def order(self) -> Any:
        """Give it as a part of ORDER BY."""
        return self.column.asc() if self.ascending else self.column.desc()

    def behind(self, value: Any) -> ColumnElement[bool]:
        """Give the condition that a row comes behind this value."""
        found: ColumnElement[bool] = self.column > value if self.ascending else self.column < value
        return found


def behind(keys: Sequence[Key], place: Sequence[Any]) -> ColumnElement[bool]:
    """Give the condition that a row comes behind a place.

    The first key's part stands alone in front, so that an index in that order is entered at the place.
    """
    first, value = keys[0], place[0]
    if len(keys) == 1:
        return first.behind(value)
    up_to = first.column >= value if first.ascending else first.column <= value
    return and_(up_to, or_(first.behind(value), behind(keys[1:], place[1:])))


def write_token(order: str, place: Sequence[Any]) -> str:
    """Give the token of a place in an order."""
    packed = msgspec.msgpack.encode((_digest(order), tuple(place)))
    return base64.urlsafe_b64encode(packed).decode()


def read_token(order: str, token: str, keys: Sequence[Key]) -> Place | None:
    """Give the place that a token names; None for the empty one.

    Raises:
        InvalidInput: It is none of ours, or of another order.
    """
    if not token:
        return None
    try:
        digest, place = _PLACE.decode(base64.b64decode(token.encode(), altchars=b"-_", validate=True))
    except (ValueError, msgspec.MsgspecError) as error:
        raise InvalidInput(field=PAGE_TOKEN, value=token, wanted="one that a page gave") from error
    fits = len(place) == len(keys) and all(
        isinstance(value, str) is key.is_text and not (isinstance(value, int) and abs(value) > _LARGEST)
        for value, key in zip(place, keys, strict=True)
    )
    if digest != _digest(order) or not fits:
        raise InvalidInput(field=PAGE_TOKEN, value=token, wanted="one that a page in this order gave")
    return place


def _digest(order: str) -> str:
    return hashlib.blake2s(order.encode(), digest_size=6).hexdigest()
