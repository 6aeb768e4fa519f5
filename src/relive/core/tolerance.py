"""How far a replay's metric may be from the record: as asked, as far as chance goes, or a few points."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Final

import msgspec

from relive.errors import InvalidInput

# Where nothing better is known: two percentage points of a share, two per cent of anything else.
SHARE_LIMIT: Final = 0.02
RELATIVE_LIMIT: Final = 0.02
_POINTS: Final = "a few points"

# Student's t, two-sided 99 %, for 1, 2, … degrees of freedom; beyond the last the normal distribution's.
_T99: Final = (
    *(63.657, 9.925, 5.841, 4.604, 4.032, 3.707, 3.499, 3.355, 3.250, 3.169),
    *(3.106, 3.055, 3.012, 2.977, 2.947, 2.921, 2.898, 2.878, 2.861, 2.845),
    *(2.831, 2.819, 2.807, 2.797, 2.787, 2.779, 2.771, 2.763, 2.756, 2.750),
)
_NORMAL99: Final = 2.576
_FEWEST: Final = 3  # of two values nobody can tell noise from a change


class Noise(msgspec.Struct, frozen=True, kw_only=True):
    """What a metric did when nothing that went in differed; in the metric's unit.

    Attributes:
        n: How many runs: the recorded one and those that repeated it.
        sd: Sample standard deviation.
    """

    n: int
    mean: float
    sd: float


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """The largest difference that is within tolerance.

    Attributes:
        limit: In the metric's unit, or as a share of the recorded value if `relative`.
        basis: Where it comes from, for people.
        noise: Of the metric, as far as it is known.
    """

    limit: float
    relative: bool = False
    basis: str = ""
    noise: Noise | None = None


def parse_tolerance(text: str) -> tuple[str, Limit]:
    """Read `METRIC=0.01` (in the metric's unit) or `METRIC=2%` (of the recorded value).

    Raises:
        InvalidInput: It has another form, or the limit is no finite number from 0 on.
    """
    name, _, amount = text.rpartition("=")
    is_share = amount.endswith("%")
    try:
        limit = float(amount.removesuffix("%"))
    except ValueError:
        limit = math.nan
    if not name or not math.isfinite(limit) or limit < 0:
        raise InvalidInput(field="--tolerance", value=text, wanted="METRIC=0.01 or METRIC=2%")
    return name, Limit(limit=limit / 100 if is_share else limit, relative=is_share, basis="as asked")


def usual_limit(recorded: float, replayed: float) -> Limit:
    """Give the limit of a metric of which nothing is known but the two values."""
    relative = not (0 <= recorded <= 1 and 0 <= replayed <= 1)
    return Limit(limit=RELATIVE_LIMIT if relative else SHARE_LIMIT, relative=relative, basis=_POINTS)


def learn_noise(values: Sequence[float]) -> Noise | None:
    """Describe what a metric did in runs with equal inputs; None for fewer than three, or no finite ones."""
    if len(values) < _FEWEST or not all(map(math.isfinite, values)):
        return None
    try:
        mean = fmean(values)
        # Equal values have no noise, whatever their rounded mean says.
        sd = stdev(values) if len(set(values)) > 1 else 0.0
    except OverflowError:
        return None  # numbers of 1e308: nothing of use can be said of their spread
    return Noise(n=len(values), mean=mean, sd=sd)


def limit_of_noise(noise: Noise) -> Limit | None:
    """Give what two runs differ by at most through noise, 99 times of 100; None where there was none."""
    freedom = noise.n - 1
    t = _T99[freedom - 1] if freedom <= len(_T99) else _NORMAL99
    limit = t * noise.sd * math.sqrt(2)
    if not limit or not math.isfinite(limit):
        return None
    basis = f"noise of {noise.n} runs with equal inputs: mean {noise.mean:.6g}, sd {noise.sd:.3g}"
    return Limit(limit=limit, basis=basis, noise=noise)


def limit_for(key: str, recorded: float, replayed: float, known: Mapping[str, Limit | Noise]) -> Limit:
    """Choose the limit of a metric: the one asked for or learnt, else a few points.

    Args:
        known: By metric; noise without any spread is only told.
    """
    found = known.get(key)
    if isinstance(found, Limit):
        return found
    learnt = limit_of_noise(found) if found else None
    if learnt is not None:
        return learnt
    return msgspec.structs.replace(usual_limit(recorded, replayed), noise=found)
