"""Ids that machines make and names that people type."""

import re

from relive.errors import InvalidName

SHORT_ID_LENGTH = 8

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def is_id(text: str) -> bool:
    """Tell whether this is a whole id: 32 lower-case hex digits."""
    return len(text) == 32 and all(c in "0123456789abcdef" for c in text)


def short_id(full: str) -> str:
    """Shorten an id for people; the hub accepts any unambiguous beginning."""
    return full[:SHORT_ID_LENGTH]


def check_name(kind: str, name: str) -> str:
    """Give the name back if it is one.

    Raises:
        InvalidName: It is empty, longer than 63 characters or has other characters than letters,
            digits, dot, underscore and hyphen.
    """
    if not _NAME.fullmatch(name):
        raise InvalidName(
            field=f"{kind} name",
            value=name,
            wanted="1 to 63 letters, digits, '.', '_' or '-', beginning with a letter or digit",
        )
    return name
