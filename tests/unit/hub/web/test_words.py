"""Numbers, times and sizes as people read them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.hub.web import words

NOW = 1_764_000_000.0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (500000, "500000"),
        (0.5, "0.5"),
        (5.0, "5"),
        (0.98765, "0.9877"),
        (0.0002748, "0.0002748"),
        (0.00001234, "1.234e-5"),
        (123456.78, "123457"),
        (1234567.8, "1.235e6"),
        (-0.25, "-0.25"),
        (float("nan"), "NaN"),
        (float("inf"), "∞"),
        (float("-inf"), "−∞"),
        (True, "true"),
        (None, "–"),
        ("adamw", "adamw"),
        (1e300, "1e300"),
    ],
)
def test_numbers_are_short_and_whole_ones_exact(value, text):
    assert words.number(value) == text


@given(st.floats(-1e307, 1e307))
def test_a_short_number_is_right_to_four_digits(value):
    shown = float(words.number(value))
    assert math.isclose(shown, value, rel_tol=5.1e-4, abs_tol=0)


@given(st.integers())
def test_a_whole_number_is_never_rounded(value):
    assert int(words.number(value)) == value


@given(st.floats())
def test_the_exact_text_reads_back_the_same(value):
    again = float(words.exact(value))
    assert again == value or (math.isnan(again) and math.isnan(value))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (61, "1 min 1 s"),
        (120, "2 min"),
        (3600, "1 h"),
        (7322, "2 h 2 min"),
        (200_000, "2 d 7 h"),
        (None, "–"),
        (-3, "0.0 s"),
    ],
)
def test_durations_have_two_units(seconds, text):
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (99_400, "99.4 kB"),
        (142_000, "142 kB"),
        (999_600, "1.0 MB"),
        (5_368_709_120, "5.4 GB"),
        (3e18, "3000 PB"),
        (None, "–"),
    ],
)
def test_sizes_are_in_powers_of_a_thousand(size, text):
    assert words.size(size) == text


@pytest.mark.parametrize(
    ("before_s", "text"),
    [
        (0, "just now"),
        (-1, "just now"),
        (42, "42 s ago"),
        (300, "5 min ago"),
        (7300, "2 h ago"),
        (3 * 86400, "3 d ago"),
        (40 * 86400, "15 Oct"),
        (400 * 86400, "20 Oct 2024"),
        (-90, "in 1 min"),
    ],
)
def test_how_long_ago(before_s, text):
    assert words.ago(NOW - before_s, NOW) == text


def test_a_time_that_never_was():
    assert (words.ago(None, NOW), words.moment(0)) == ("–", "–")


def test_a_moment_names_its_zone():
    assert words.moment(NOW) == "2025-11-24 16:00:00 UTC"
    assert words.iso(NOW) == "2025-11-24T16:00:00.000+00:00"


def test_counts_agree_with_their_noun():
    assert [words.count(n, "run") for n in (0, 1, 12_000)] == ["0 runs", "1 run", "12,000 runs"]
    assert words.count(2, "library", "libraries") == "2 libraries"


def test_differences_have_a_sign():
    assert [words.signed(x) for x in (0.5, -0.25, 0.0)] == ["+0.5", "−0.25", "±0"]


@given(st.text(max_size=60), st.integers(2, 40))
def test_a_clipped_text_is_never_longer_than_asked(text, length):
    clipped = words.clip(text, length)
    assert len(clipped) <= length
    assert clipped == text or clipped.endswith("…")


def test_names_that_begin_alike_are_told_apart_when_they_are_cut():
    one, other = "train[model=forest,trees=50]", "train[model=forest,trees=500]"
    assert words.clip_middle(one, 15) == "train…trees=50]"
    assert words.clip_middle(other, 15) == "train…rees=500]"
    assert words.clip_middle("train", 15) == "train"


def test_digests_and_refs_are_shortened():
    assert words.short("blake3:" + "a1" * 32) == "a1a1a1a1"
    assert words.branch("refs/heads/feature/x") == "feature/x"


def test_counts_that_stopped_say_so():
    assert [words.bounded(n, "run") for n in (1, 10_000, 10_001)] == ["1 run", "10,000 runs", "10,000+ runs"]
    assert [words.bounded(n) for n in (9999, 10_001)] == ["9,999", "10,000+"]
