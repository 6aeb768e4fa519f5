"""How far a metric may be off: as asked, as chance explains it, or a few points."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.core.compare import judge
from relive.core.tolerance import Limit, Noise, learn_noise, limit_of_noise, parse_tolerance
from relive.core.trajectory import VerdictLevel
from relive.errors import InvalidInput

numbers = st.floats(min_value=0, allow_nan=False, allow_infinity=False)


@given(st.text(min_size=1), numbers)
def test_what_is_asked_for_is_read_back(name: str, amount: float) -> None:
    assert parse_tolerance(f"{name}={amount!r}") == (name, Limit(limit=amount, basis="as asked"))
    key, share = parse_tolerance(f"{name}={amount!r}%")
    assert (key, share.limit, share.relative) == (name, amount / 100, True)


@pytest.mark.parametrize(
    "text", ["", "acc", "=1", "acc=", "acc=x", "acc=-1", "acc=inf", "acc=1%%", "acc=nan"]
)
def test_anything_else_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_tolerance(text)
    assert refused.value.field == "--tolerance"


@given(st.lists(st.floats(), max_size=8))
def test_noise_is_always_a_number_or_unknown(values: list[float]) -> None:
    noise = learn_noise(values)
    if noise is None:
        assert len(values) < 3 or not all(map(math.isfinite, values)) or max(map(abs, values)) > 1e150
        return
    assert noise.n == len(values)
    limit = limit_of_noise(noise)
    assert limit is None or (math.isfinite(limit.limit) and limit.limit > 0)
    assert (noise.sd == 0) == (len(set(values)) == 1) or noise.sd < 1e-150


def test_noise_explains_what_chance_does_and_nothing_more() -> None:
    chance = random.Random(7)
    outside = 0
    for _ in range(400):
        values = [chance.gauss(0.9, 0.003) for _ in range(5)]
        limit = limit_of_noise(learn_noise(values) or Noise(n=0, mean=0, sd=0))
        assert limit is not None
        outside += abs(chance.gauss(0.9, 0.003) - chance.gauss(0.9, 0.003)) > limit.limit
    assert outside <= 12  # one in a hundred of 400, with room for chance


def test_noise_wider_and_narrower_than_the_usual_points_both_count() -> None:
    wide, narrow = Noise(n=10, mean=0.9, sd=0.02), Noise(n=10, mean=0.9, sd=0.0001)
    assert judge({"acc": 0.9}, {"acc": 0.95}, known={"acc": wide}).level is VerdictLevel.WITHIN_TOLERANCE
    found = judge({"acc": 0.9}, {"acc": 0.905}, known={"acc": narrow})
    assert found.level is VerdictLevel.DIVERGED
    assert found.metrics[0].noise == narrow
    assert "mean 0.9, sd 0.0001" in found.metrics[0].basis


def test_a_limit_of_zero_allows_equal_bits_only() -> None:
    strict = {"acc": Limit(limit=0.0, basis="as asked")}
    assert judge({"acc": 0.9}, {"acc": 0.9}, known=strict).level is VerdictLevel.BIT_EXACT
    assert judge({"acc": 0.9}, {"acc": math.nextafter(0.9, 1)}, known=strict).level is VerdictLevel.DIVERGED
