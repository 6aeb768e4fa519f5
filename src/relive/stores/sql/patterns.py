"""Regular expressions that strangers write, on SQLite: RE2's, whose time grows with the text alone.

Python's own would be SQLAlchemy's choice; there a pattern of ten letters can hold a whole hub for hours.
"""

from functools import lru_cache
from typing import Any, Final

from relive.errors import InvalidInput

_LONGEST: Final = 1000


def check_pattern(pattern: str) -> None:
    """Refuse what is no pattern, on either database: PostgreSQL knows more, and is held to the same.

    Raises:
        InvalidInput: It is none, or too long.
    """
    if len(pattern) > _LONGEST:
        raise InvalidInput(field="pattern", value=pattern, wanted=f"at most {_LONGEST} characters")
    _compiled(pattern)


def fits(pattern: str, text: str | None) -> bool:
    """Tell whether a pattern is found in a text; SQLite calls it for REGEXP."""
    return text is not None and _compiled(pattern).search(text) is not None


@lru_cache(maxsize=128)
def _compiled(pattern: str) -> Any:
    import re2  # on first use: few ask for patterns

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        why = error.args[0] if error.args else ""
        said = why.decode(errors="replace") if isinstance(why, bytes) else str(why)
        raise InvalidInput(
            field="pattern", value=pattern, wanted=f"a regular expression of RE2: {said}"
        ) from None
