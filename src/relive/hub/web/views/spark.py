"""Small line drawings that need no script: a trend beside a name."""

import math
from collections.abc import Sequence

import msgspec

_PAD = 3.0


class Dot(msgspec.Struct, frozen=True, kw_only=True):
    """One value of a trend; `title` says all about it."""

    x: float
    y: float
    title: str
    url: str = ""


class Spark(msgspec.Struct, frozen=True, kw_only=True):
    """A trend; `path` is the `d` of an SVG path."""

    width: int
    height: int
    path: str
    dots: tuple[Dot, ...]
    label: str


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """A value to draw, what it is, and where it leads."""

    value: float
    title: str
    url: str = ""


def spark(values: Sequence[Value], label: str, *, width: int = 120, height: int = 28) -> Spark | None:
    """Draw values from left (oldest) to right; None if fewer than two are finite."""
    drawn = [item for item in values if math.isfinite(item.value)]
    if len(drawn) < 2:
        return None
    low, high = min(item.value for item in drawn), max(item.value for item in drawn)
    span = (high - low) or 1.0
    step = (width - 2 * _PAD) / (len(drawn) - 1)
    dots = tuple(
        Dot(
            x=round(_PAD + index * step, 1),
            y=round(height - _PAD - (item.value - low) / span * (height - 2 * _PAD), 1),
            title=item.title,
            url=item.url,
        )
        for index, item in enumerate(drawn)
    )
    path = "M" + "L".join(f"{dot.x:g} {dot.y:g}" for dot in dots)
    return Spark(width=width, height=height, path=path, dots=dots, label=label)
