"""Texts that say when they were written: the moments of a run in what it wrote, each put as one word.

Only what lies between the begin and the end of the run is taken for such a moment. A date in a table, or a
forecast for tomorrow, is data and stays; so does a date without a time of day, and every duration.
"""

import re
from datetime import UTC, datetime
from typing import Final

# The clocks of file systems stand still for some milliseconds, and seconds are often cut off.
_SLACK_S: Final = 2.0
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_CLOCK: Final = r"(?P<hour>\d\d)(?P<c>[:.\-h]?)(?P<minute>\d\d)(?P=c)(?P<second>\d\d)(?:[.,]\d{1,9})?"
_ZONE: Final = r"(?: ?(?P<zone>Z\b|UTC\b|GMT\b|[+-]\d\d:?\d\d(?!\d)))?"
_WEEKDAY: Final = r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? )?"
_MONTH: Final = rf"(?P<month>{'|'.join(_MONTHS)})"
_FORMS: Final = {
    # 2026-11-24T11:22:33.5+01:00, 2026/11/24 11:22:33, 20261124_112233
    "<time>": r"(?<!\d)(?P<year>\d{4})(?P<d>[-/.]?)(?P<month>\d\d)(?P=d)(?P<day>\d\d)"
    rf"[T _-]{_CLOCK}{_ZONE}(?!\d)",
    # Tue Nov 24 11:22:33 UTC 2026, as `date` and ctime have it; the zone may be any word.
    "<date>": rf"{_WEEKDAY}{_MONTH} {{1,2}}(?P<day>\d{{1,2}}) {_CLOCK}(?: (?P<half>[AP]M))?"
    r"(?: (?P<zone>[A-Z]{2,5}|[+-]\d\d))? (?P<year>\d{4})(?!\d)",
    # Tue, 24 Nov 2026 11:22:33 +0000, as mails have it.
    "<mail>": rf"{_WEEKDAY}(?<!\d)(?P<day>\d{{1,2}}) {_MONTH} (?P<year>\d{{4}}) {_CLOCK}{_ZONE}(?!\d)",
}
_WRITTEN: Final = {word: re.compile(form) for word, form in _FORMS.items()}
# Seconds, milliseconds, microseconds and nanoseconds since 1970, from 2001 to 2033.
_COUNTED: Final = re.compile(r"(?<![\d.])(?P<seconds>1\d{9})(?:\d{3}|\d{6}|\d{9})?(?:\.\d+)?(?!\d)")


def without_moments(text: str, began_s: float, ended_s: float, offset_s: float = 0.0) -> str:
    """Give a text with each moment between two replaced by a word for the form that it is written in.

    Args:
        text: What was written.
        began_s: When the run began, since 1970.
        ended_s: When it had ended.
        offset_s: How far the local time is ahead of UTC; a time without a zone is of one of the two.
    """

    def is_own(at_s: float) -> bool:
        return began_s - _SLACK_S <= at_s <= ended_s + _SLACK_S

    for word, form in _WRITTEN.items():

        def written(found: re.Match[str], word: str = word) -> str:
            return word if any(map(is_own, _moments(found, offset_s))) else found[0]

        text = form.sub(written, text)
    return _COUNTED.sub(lambda found: "<seconds>" if is_own(float(found["seconds"])) else found[0], text)


def _moments(found: re.Match[str], offset_s: float) -> list[float]:
    """Give what a time of day may mean, since 1970: more than one moment where no zone is known."""
    part = found.groupdict()
    month = part["month"]
    hour = int(part["hour"])
    if half := part.get("half"):
        hour = hour % 12 + (12 if half == "PM" else 0)
    try:
        at = datetime(
            int(part["year"]),
            int(month) if month.isdigit() else _MONTHS.index(month) + 1,
            int(part["day"]),
            hour,
            int(part["minute"]),
            int(part["second"]),
            tzinfo=UTC,
        ).timestamp()
    except ValueError:
        return []  # 2026-13-45 is a number like others
    zone = part["zone"] or ""
    if zone[:1] in ("+", "-"):
        ahead_s = int(zone[1:3]) * 3600 + (int(zone[-2:]) * 60 if len(zone) > 3 else 0)
        return [at + ahead_s if zone[0] == "-" else at - ahead_s]
    return [at] if zone in ("Z", "UTC", "GMT") else [at, at - offset_s]
