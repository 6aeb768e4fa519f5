"""Column types: what a field of a struct is in the database, the same on SQLite and PostgreSQL.

Each refuses by itself what one of the two could not keep, so that both refuse the same.
"""

from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Boolean, Dialect, Double, Integer, LargeBinary, Text
from sqlalchemy.types import REAL, TypeDecorator, TypeEngine

from relive.errors import InvalidInput

# PostgreSQL's B-tree holds at most 2704 bytes an entry, and a key stands beside a run's id.
LONGEST_KEY_BYTES = 2000

# SQLite's STRICT tables know these names only; the plain types are PostgreSQL's.
FLOAT: TypeEngine[float] = Double().with_variant(REAL(), "sqlite")
WHOLE: TypeEngine[int] = BigInteger().with_variant(Integer(), "sqlite")
BYTES = LargeBinary()
# "C" compares bytes, as SQLite does: one order everywhere, and prefixes are ranges.
TEXT = Text().with_variant(Text(collation="C"), "postgresql")


class Words(TypeDecorator[str]):
    """Text that both databases can hold; `what` names it in an error.

    Args:
        what: What it is, in an error's words.
        longest: Bytes of UTF-8 at most, for what an index has to hold; None for no limit.
    """

    impl = TEXT
    cache_ok = True

    def __init__(self, what: str = "text", longest: int | None = None) -> None:
        super().__init__()
        self.what = what
        self.longest = longest

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Refuse text that could not be read back."""
        if value is None:
            return None
        if not isinstance(value, str):
            raise InvalidInput(field=self.what, value=value, wanted="text")
        if "\0" in value:
            raise InvalidInput(field=self.what, value=value, wanted="text without the character NUL")
        size = len(value) if value.isascii() else self._size(value)
        if self.longest is not None and size > self.longest:
            raise InvalidInput(field=self.what, value=value, wanted=f"at most {self.longest} bytes")
        return value

    def _size(self, value: str) -> int:
        try:
            return len(value.encode())
        except UnicodeEncodeError:
            raise InvalidInput(field=self.what, value=value, wanted="text that UTF-8 can hold") from None


class OptionalWords(Words):
    """Text that may be absent: the empty text of a struct is NULL, of which a unique column may hold many."""

    cache_ok = True

    def __init__(self, what: str = "text", longest: int | None = LONGEST_KEY_BYTES) -> None:
        super().__init__(what, longest)

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Keep the empty text as NULL."""
        return super().process_bind_param(value, dialect) or None

    def process_result_value(self, value: Any | None, dialect: Dialect) -> str:
        """Give NULL as the empty text."""
        return value or ""


class Choice(TypeDecorator[Any]):
    """One word of an enum, kept as its text."""

    impl = TEXT
    cache_ok = True

    def __init__(self, choices: type[StrEnum]) -> None:
        super().__init__()
        self.choices = choices

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Refuse a word that is none of the enum's."""
        if value is None:
            return None
        try:
            return self.choices(value).value
        except ValueError:
            wanted = f"one of: {', '.join(self.choices)}"
            raise InvalidInput(field=self.choices.__name__, value=value, wanted=wanted) from None

    def process_result_value(self, value: Any | None, dialect: Dialect) -> StrEnum | None:
        """Give the enum's member."""
        return None if value is None else self.choices(value)


class Json(TypeDecorator[Any]):
    """A value of any type msgspec knows, kept as JSON text.

    JSON has no NaN: msgspec writes null for it and for the infinities. Where the type wants a number, such a
    row could never be read again, so it is refused before it is written.
    """

    impl = TEXT
    cache_ok = True

    def __init__(self, type_: Any = Any) -> None:
        super().__init__()
        self.type_ = type_
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(type_)

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Write the value as JSON."""
        if value is None:
            return None
        data = msgspec.json.encode(value)
        if b"null" in data:
            try:
                self._decoder.decode(data)
            except msgspec.ValidationError as error:
                name = type(value).__name__
                wanted = f"numbers that JSON can hold, no NaN and no infinity ({error})"
                raise InvalidInput(field=name, value=value, wanted=wanted) from error
        return data.decode()

    def process_result_value(self, value: Any | None, dialect: Dialect) -> Any:
        """Read the value back."""
        return None if value is None else self._decoder.decode(value)


class Flag(TypeDecorator[bool]):
    """True or false."""

    # SQLite's STRICT tables have no booleans.
    impl = Boolean().with_variant(Integer(), "sqlite")
    cache_ok = True

    def process_bind_param(self, value: bool | None, dialect: Dialect) -> bool | None:
        """Give what the driver takes."""
        return None if value is None else bool(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> bool | None:
        """Give a bool, which SQLite keeps as 0 or 1."""
        return None if value is None else bool(value)
