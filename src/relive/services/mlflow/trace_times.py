"""Times and durations as protobuf writes them in JSON."""

import re
from datetime import UTC, datetime

from relive.services.mlflow.faults import invalid

_STAMP = re.compile(r"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)")
_SPAN = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,9}))?s")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def stamp(ms: int) -> str:
    """Write a time, given in milliseconds since the epoch.

    Raises:
        MlflowFault: It is in no year from 1 to 9999.
    """
    seconds, part = divmod(ms, 1000)
    try:
        at = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise invalid(f"Invalid time {ms}: it is in no year from 1 to 9999") from None
    whole = at.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    return f"{whole}.{part:03d}Z" if part else f"{whole}Z"


def milliseconds_of(text: str, field: str) -> int:
    """Read a time; the empty text is the epoch.

    Raises:
        MlflowFault: It is none.
    """
    if not text:
        return 0
    if (found := _STAMP.fullmatch(text)) is None:
        raise invalid(f"Invalid value {text!r} for parameter '{field}' supplied: expected an RFC 3339 time.")
    try:
        at = datetime.fromisoformat(found[1].upper() + found[3].upper())
        whole = round((at - _EPOCH).total_seconds())
    except (ValueError, OverflowError):
        raise invalid(f"Invalid value {text!r} for parameter '{field}' supplied: no such time.") from None
    return whole * 1000 + int((found[2] or "").ljust(9, "0")) // 1_000_000


def duration(ms: int) -> str:
    """Write a duration, given in milliseconds."""
    seconds, part = divmod(abs(ms), 1000)
    sign = "-" if ms < 0 else ""
    return f"{sign}{seconds}.{part:03d}s" if part else f"{sign}{seconds}s"


def duration_ms(text: str, field: str) -> int:
    """Read a duration.

    Raises:
        MlflowFault: It is none.
    """
    if (found := _SPAN.fullmatch(text)) is None:
        raise invalid(f"Invalid value {text!r} for parameter '{field}' supplied: expected seconds, as 1.5s.")
    ms = int(found[2]) * 1000 + int((found[3] or "").ljust(9, "0")) // 1_000_000
    return -ms if found[1] else ms
