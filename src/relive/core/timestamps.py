"""Names that hold the time they were made at: `outputs/2026-11-24/04-43-16/`, `epoch_3_1795495413.pt`."""

import re
from typing import Final

_DATE: Final = r"(?:19|20)\d\d(?P<d{n}>[-_.]?)(?:0[1-9]|1[0-2])(?P=d{n})(?:0[1-9]|[12]\d|3[01])"
_MONTH: Final = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[-_ ]?(?:0[1-9]|[12]\d|3[01])"
_CLOCK: Final = r"(?:[01]\d|2[0-3])(?P<c{n}>[-_.:h]{must})[0-5]\d(?:(?P=c{n})[0-5]\d(?:[._,]?\d{{3,6}})?)?Z?"
_TIMES: Final = (
    # A date, with or without a time of day behind it.
    *(
        rf"(?:{date})(?:[-_T @]{{1,2}}{_CLOCK.format(n=n, must='?')})?"
        for n, date in enumerate((_DATE.format(n=0), _MONTH))
    ),
    # A time of day that is a part of its own, as Hydra names folders.
    rf"(?<=/){_CLOCK.format(n=2, must='')}(?=/|$)",
    # Seconds, milliseconds, microseconds and nanoseconds since 1970, from 2001 to 2033.
    r"1\d{9}(?:\.\d+|\d{3}|\d{6}|\d{9})?",
)
_TIME: Final = re.compile("|".join(rf"(?<!\d){time}(?!\d)" for time in _TIMES))
_BLANK: Final = "<time>"


def without_times(path: str) -> str:
    """Give a path with each time in it replaced by one word: what two runs of the same have in common."""
    return _TIME.sub(_BLANK, path)


def pair_by_name(ones: list[str], others: list[str]) -> dict[str, str]:
    """Give for each path the other that is the same but for times; equal ones need no such look.

    Paths that leave a choice are paired in their order if there are as many of them on either side, for
    times grow: else nobody knows.
    """
    mine, theirs = _by_name(ones), _by_name(others)
    return {
        one: other
        for name, paths in mine.items()
        if len(paths) == len(theirs.get(name, ()))
        for one, other in zip(paths, theirs[name], strict=True)
    }


def _by_name(paths: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in sorted(paths):
        if (name := without_times(path)) != path:
            found.setdefault(name, []).append(path)
    return found
