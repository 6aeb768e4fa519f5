"""The moments of a run are taken out of what it wrote, and nothing else is."""

from datetime import UTC, datetime

import pytest

from relive.core.moments import without_moments

BEGAN = datetime(2026, 11, 24, 11, 22, 30, tzinfo=UTC).timestamp()
HOUR = 3600.0


def without(text: str, offset_s: float = HOUR) -> str:
    return without_moments(text, BEGAN, BEGAN + 60, offset_s)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("made at 2026-11-24T11:22:33Z.", "made at <time>."),
        ("2026-11-24 11:22:33,123 - INFO", "<time> - INFO"),
        ("2026-11-24T12:22:33.5+01:00", "<time>"),
        ("20261124_112233.log", "<time>.log"),
        ("local 2026-11-24 12:22:33 time", "local <time> time"),
        ("Tue Nov 24 11:22:33 UTC 2026\n", "<date>\n"),
        ("Tue Nov 24 11:22:33 AM UTC 2026\n", "<date>\n"),
        ("Tue Nov 24 12:22:33 CET 2026", "<date>"),
        ("Tue Nov 24 11:22:33 2026", "<date>"),
        ("Tue, 24 Nov 2026 11:22:33 +0000", "<mail>"),
        (f'{{"at": {BEGAN + 3}}}', '{"at": <seconds>}'),
        (f"{BEGAN * 1000 + 3500:.0f} {BEGAN * 1e9:.0f}", "<seconds> <seconds>"),
    ],
)
def test_a_moment_of_the_run_is_one_word(text: str, left: str) -> None:
    assert without(text) == left


@pytest.mark.parametrize(
    "text",
    [
        # Another moment, however it is written, is data.
        "2026-11-24T11:24:33Z",
        "2026-11-23T11:22:33Z",
        "2026-11-24T11:22:33+02:00",
        "2026-11-24T12:22:33Z",
        "Tue Nov 24 11:22:33 PM UTC 2026",
        "Mon Nov 23 11:22:33 UTC 2026",
        "2026-11-24",
        "11:22:33",
        "2026-13-45T99:99:99Z",
        f"{BEGAN + 100:.0f}",
        f"{BEGAN:.0f}7",
        f"0.{BEGAN:.0f}",
        "took 33.5 s, accuracy 0.9731",
        "predicted 1795495413 and 1500000000",
    ],
)
def test_what_is_no_moment_of_the_run_stays(text: str) -> None:
    assert without(text) == text


def test_two_runs_that_wrote_the_same_at_other_times_have_the_same_left() -> None:
    def report(at: float, total: float) -> str:
        return f"{datetime.fromtimestamp(at, UTC):%a %b %d %H:%M:%S UTC %Y}\nsum {total}\n"

    one = without_moments(report(BEGAN, 15), BEGAN, BEGAN + 1)
    assert one == without_moments(report(BEGAN + 86400, 15), BEGAN + 86400, BEGAN + 86401)
    assert one != without_moments(report(BEGAN + 86400, 16), BEGAN + 86400, BEGAN + 86401)
