"""What names bytes: a digest, and the one way to write a document as bytes.

A digest is the text `blake3:` and 64 lower-case hexadecimal digits. Hashing itself is in
`formats.hashing`, because this layer imports nothing but the standard library and msgspec.
"""

import json
import math
import re
from typing import Annotated, Any, Final, TypeAlias

import msgspec

from relive.errors import InvalidDigest, InvalidInput

PREFIX: Final = "blake3:"
_PATTERN: Final = "^blake3:[0-9a-f]{64}$"
_LENGTH: Final = len(PREFIX) + 64

# The length is part of the rule: `$` alone lets a trailing line break through.
Digest: TypeAlias = Annotated[str, msgspec.Meta(pattern=_PATTERN, min_length=_LENGTH, max_length=_LENGTH)]


def is_digest(value: object) -> bool:
    """Say whether a value is a digest."""
    return isinstance(value, str) and len(value) == _LENGTH and re.match(_PATTERN, value) is not None


def parse_digest(value: object) -> Digest:
    """Check that a value is a digest, and give it back.

    Raises:
        InvalidDigest: It is not `blake3:` and 64 lower-case hexadecimal digits.
    """
    if isinstance(value, str) and is_digest(value):
        return value
    raise InvalidDigest(field="digest", value=value, wanted=f"{PREFIX} and 64 lower-case hexadecimal digits")


def digest_of_hex(hex_digits: str) -> Digest:
    """Make a digest of 64 hexadecimal digits.

    Raises:
        InvalidDigest: They are not 64 lower-case hexadecimal digits.
    """
    return parse_digest(PREFIX + hex_digits)


def hex_of(digest: Digest) -> str:
    """Give the 64 hexadecimal digits of a digest."""
    return digest.removeprefix(PREFIX)


def canonical_json(document: Any) -> bytes:
    """Write a document as the bytes that its digest is taken over.

    Keys sorted by code point, no spaces, UTF-8 without escapes that are not needed, floats in
    their shortest form that reads back the same. Equal documents give equal bytes, on every
    platform and in every version: stored digests depend on it, so these rules never change.

    Args:
        document: JSON values, msgspec structs and what msgspec turns into JSON values. Keys are text.

    Raises:
        InvalidInput: It holds NaN, an infinity, a key that is not text, text that is not Unicode,
            or a value that has no place in JSON; names where.
    """
    try:
        plain = msgspec.to_builtins(document, order="sorted")
        _refuse_what_json_cannot_say(plain, "$")
        # The standard library rather than msgspec writes the text: its float format is Python's own
        # repr, which is fixed, and msgspec writes NaN as null.
        text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        kind = type(document).__name__
        raise InvalidInput(field="document", value=kind, wanted=f"JSON values ({error})") from error
    return text.encode()


def _refuse_what_json_cannot_say(value: Any, where: str) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise InvalidInput(field=f"a key of {where}", value=key, wanted="text")
            _refuse_broken_text(key, f"a key of {where}")
            _refuse_what_json_cannot_say(item, f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _refuse_what_json_cannot_say(item, f"{where}[{index}]")
    elif isinstance(value, str):
        _refuse_broken_text(value, where)
    elif isinstance(value, float) and not math.isfinite(value):
        raise InvalidInput(field=where, value=value, wanted="a finite number")


def _refuse_broken_text(text: str, where: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(field=where, value=text, wanted="text that UTF-8 can hold") from error
