"""Numbers, times and sizes as people read them.

The rule for numbers: whole ones exactly, others with four significant digits, the full value always at hand
(in the title, and in what is copied).
"""

import math
from datetime import UTC, datetime
from typing import Any

# To count more takes long, and tells nobody anything.
MOST_COUNTED = 10_000

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_SIZES = ("B", "kB", "MB", "GB", "TB", "PB")


def number(value: Any) -> str:
    """Write a number shortly; text and truth values as they are."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if not isinstance(value, float):
        return str(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if 1e-4 <= abs(value) < 1e6:
        return _positional(value)
    mantissa, exponent = f"{value:.3e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def exact(value: Any) -> str:
    """Write a value with every digit it has."""
    return repr(value) if isinstance(value, float) else number(value)


def count(value: int, noun: str, plural: str = "") -> str:
    """Write a count with its noun: "1 run", "12,000 runs"."""
    return f"{value:,} {noun if value == 1 else plural or noun + 's'}"


def grouped(value: int) -> str:
    """Write a whole number with its thousands apart."""
    return f"{value:,}"


def bounded(value: int, noun: str = "") -> str:
    """Write a count that stopped behind `MOST_COUNTED`, with its noun: "10,000+ runs"."""
    if value > MOST_COUNTED:
        return f"{MOST_COUNTED:,}+{f' {noun}s' if noun else ''}"
    return count(value, noun) if noun else grouped(value)


def signed(value: float) -> str:
    """Write a difference with its sign, "±0" for none."""
    return "±0" if value == 0 else f"{'+' if value > 0 else '−'}{number(abs(value))}"


def size(size_bytes: float | None) -> str:
    """Write a size in powers of 1000."""
    if size_bytes is None:
        return "–"
    value = float(size_bytes)
    for unit in _SIZES:
        if abs(value) < 999.5 or unit == _SIZES[-1]:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 99.5 else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError("the last unit takes every size")


def duration(seconds: float | None) -> str:
    """Write a length of time with its two largest units."""
    if seconds is None:
        return "–"
    whole = max(0, round(seconds))
    if seconds < 9.95:
        return f"{max(0.0, seconds):.1f} s"
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return _two(whole, _MINUTE, "min", 1, "s")
    if whole < _DAY:
        return _two(whole, _HOUR, "h", _MINUTE, "min")
    return _two(whole, _DAY, "d", _HOUR, "h")


def ago(at: float | None, now: float) -> str:
    """Write how long ago something was; a date once that says more."""
    if not at:
        return "–"
    seconds = now - at
    if seconds < -1.5:
        return f"in {_rough(-seconds)}"
    if seconds < 10:
        return "just now"
    if seconds < 14 * _DAY:
        return f"{_rough(seconds)} ago"
    moment, today = datetime.fromtimestamp(at, UTC), datetime.fromtimestamp(now, UTC)
    return f"{moment.day} {moment:%b}" if moment.year == today.year else f"{moment.day} {moment:%b %Y}"


def moment(at: float | None) -> str:
    """Write a point in time to the second, in UTC."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC" if at else "–"


def iso(at: float) -> str:
    """Write a point in time for machines."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def short(digest: str, length: int = 8) -> str:
    """Shorten a digest, a commit or an id for people."""
    return digest.removeprefix("blake3:")[:length]


def branch(ref: str) -> str:
    """Give the name people use for a ref."""
    return ref.removeprefix("refs/heads/").removeprefix("refs/tags/")


def clip(text: str, length: int) -> str:
    """Cut a text that is too long, and show that it was cut."""
    return text if len(text) <= length else f"{text[: length - 1].rstrip()}…"


def clip_middle(text: str, length: int) -> str:
    """Cut a text that is too long in its middle: names of one kind begin alike and end apart."""
    if len(text) <= length:
        return text
    head = length // 3
    return f"{text[:head].rstrip()}…{text[head + 1 - length :].lstrip()}"


def _positional(value: float) -> str:
    # Digits before the point are never rounded away.
    digits = max(0, 3 - math.floor(math.log10(abs(value))))
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _two(whole: int, large: int, large_unit: str, small: int, small_unit: str) -> str:
    first, rest = divmod(whole, large)
    second = rest // small
    return f"{first} {large_unit} {second} {small_unit}" if second else f"{first} {large_unit}"


def _rough(seconds: float) -> str:
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= unit:
            return f"{int(seconds // unit)} {name}"
    return f"{int(seconds)} s"
