"""What users log, turned into what a JSON line can hold: exact numbers, plain documents, bounded texts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

LONGEST_NAME = 250
LONGEST_TEXT = 6000
DEEPEST = 16


def is_name(name: Any, prefix: str = "") -> bool:
    """Tell whether this can be a name, with what is put before it; no database holds the character NUL."""
    return type(name) is str and 0 < len(name) <= LONGEST_NAME - len(prefix) and "\0" not in name


def text(value: Any) -> str:
    """Give a value as a text that every database holds: without NUL, and without halves of characters."""
    return str(value).replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def number(value: Any) -> float:
    """Give a value as one float; NumPy scalars and tensors of one element count as numbers.

    Raises:
        TypeError: It is no number: a text, None, an array of several elements.
        OverflowError: A whole number beyond what a float holds.
    """
    if type(value) is float:
        return value
    if value is None or isinstance(value, (str, bytes, bytearray, complex)):
        raise TypeError(f"{type(value).__name__} is not a number")
    item = getattr(value, "item", None)
    if item is not None:
        value = item()
    if isinstance(value, (str, bytes, complex)):
        raise TypeError(f"{type(value).__name__} is not a number")
    return float(value)


def number_word(value: float) -> float | str:
    """Give a float as JSON can hold it: itself, or "nan", "inf", "-inf"."""
    if math.isfinite(value):
        return value
    return "nan" if value != value else ("inf" if value > 0 else "-inf")  # noqa: PLR0124


def plain(value: Any, depth: int = 0) -> Any:
    """Give a value as JSON can hold it; what has no place there becomes a bounded text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value if len(value) <= LONGEST_TEXT else value[:LONGEST_TEXT] + "…"
    if isinstance(value, int):
        return int(value) if -(2**63) <= value < 2**63 else str(value)
    if isinstance(value, float):
        return number_word(float(value))
    if depth < DEEPEST and isinstance(value, Mapping):
        return {str(key): plain(item, depth + 1) for key, item in value.items()}
    if depth < DEEPEST and isinstance(value, (list, tuple)):
        return [plain(item, depth + 1) for item in value]
    try:
        return number_word(number(value))
    except Exception:
        text = repr(value)
        return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + "…"


def flat(document: Mapping[Any, Any], prefix: str = "", *, separator: str = ".") -> Iterator[tuple[str, Any]]:
    """Give the leaves of nested mappings with their names joined: `{"a": {"b": 1}}` → `a.b`."""
    for key, value in document.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value and name.count(separator) < DEEPEST:
            yield from flat(value, f"{name}{separator}", separator=separator)
        else:
            yield name, value


def as_mapping(config: Any) -> dict[str, Any]:
    """Give a config as a dict: a mapping, a dataclass, an `argparse.Namespace`.

    Raises:
        TypeError: It has no named values.
    """
    if isinstance(config, Mapping):
        return {str(key): value for key, value in config.items()}
    fields = getattr(config, "__dataclass_fields__", None)
    if fields is not None:
        return {name: getattr(config, name) for name in fields}
    return dict(vars(config))
