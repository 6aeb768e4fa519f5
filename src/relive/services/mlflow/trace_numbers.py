"""What metadata of traces says in JSON: tokens, money, the number of spans."""

import json
import math
from collections.abc import Mapping
from typing import Any, Final

from relive.core.trace import COST_KEY, COST_PARTS, USAGE_KEY, USAGE_PARTS

SIZE_KEY: Final = "mlflow.trace.sizeStats"
_LARGEST: Final = 2**63
_MOST_SPANS: Final = 1_000_000


def amounts(said: Any, parts: tuple[str, ...]) -> dict[str, float]:
    """Give what is said of tokens (whole numbers) or of money, as far as it is numbers.

    Args:
        said: An object, or the JSON of one.
        parts: What it may say: `USAGE_PARTS` or `COST_PARTS`.
    """
    if isinstance(said, str):
        try:
            said = json.loads(said)
        except (ValueError, RecursionError):
            return {}
    if not isinstance(said, dict):
        return {}
    read = _count if parts is USAGE_PARTS else _money
    found = {part: read(said.get(part)) for part in parts}
    return {part: amount for part, amount in found.items() if amount is not None}


def tidy_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Give metadata with tokens and money as they are always written, or not at all if they are none."""
    tidy = dict(metadata)
    for key, parts in ((USAGE_KEY, USAGE_PARTS), (COST_KEY, COST_PARTS)):
        if key in tidy:
            tidy |= written(key, amounts(tidy.pop(key), parts))
    return tidy


def written(key: str, found: dict[str, float]) -> dict[str, str]:
    """Write amounts as metadata; nothing for none."""
    return {key: json.dumps(found)} if found else {}


def numbers_of(metadata: Mapping[str, str]) -> dict[str, float]:
    """Give what metadata says of tokens and money, as numbers to be summed up."""
    of_usage = amounts(metadata.get(USAGE_KEY), USAGE_PARTS)
    return of_usage | amounts(metadata.get(COST_KEY), COST_PARTS)


def expected_spans(metadata: Mapping[str, str]) -> int:
    """Say how many spans a trace has, as far as its client told."""
    try:
        count = json.loads(metadata.get(SIZE_KEY, "{}")).get("num_spans", 0)
    except (ValueError, AttributeError, RecursionError):
        return 0
    return count if isinstance(count, int) and 0 <= count <= _MOST_SPANS else 0


def _count(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
        is_whole = math.isfinite(number) and number == int(number) and abs(number) < _LARGEST
    except (ValueError, OverflowError):
        return None
    return (value if isinstance(value, int) else int(number)) if is_whole else None


def _money(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
