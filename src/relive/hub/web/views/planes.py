"""Runs as lines and dots: parallel coordinates and a scatter plot, laid out without any script."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from relive.hub.web.words import clip, number

_HEIGHT, _TOP, _BOTTOM = 300, 34, 26
_MARGIN = 62
# Axes are spread over this width where they can be.
_SPREAD, _NARROWEST, _WIDEST = 720, 100, 180
_SCATTER: Final = (460, 320)
_LEFT, _RIGHT = 70, 20
# More words than this are not written beside an axis.
_MOST_WORDS = 12
# A span this wide is read in powers of ten.
_WIDE = 100.0


class Tick(msgspec.Struct, frozen=True):
    """A place on an axis, in pixels, and what is written there."""

    at: float
    text: str


class Axis(msgspec.Struct, frozen=True, kw_only=True):
    """One axis; `at` is its distance from the left, `ticks` count from the top."""

    name: str
    id: str
    at: float
    ticks: tuple[Tick, ...]


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One run: the path through all axes."""

    run: int
    path: str
    title: str


class Parallel(msgspec.Struct, frozen=True, kw_only=True):
    """Parallel coordinates."""

    width: int
    height: int
    top: int
    bottom: int
    axes: tuple[Axis, ...]
    lines: tuple[Line, ...]


class Dot(msgspec.Struct, frozen=True, kw_only=True):
    """One run: where it stands, and what is said of it."""

    run: int
    x: float
    y: float
    title: str


class Scatter(msgspec.Struct, frozen=True, kw_only=True):
    """A scatter plot; `missing` counts runs without one of the values."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    dots: tuple[Dot, ...]
    missing: int


class Scale:
    """Puts values between 0 and 1: numbers along a line or along powers of ten, words in their order.

    Args:
        values: What is to be placed; None for what is missing.
    """

    def __init__(self, values: Sequence[Any]) -> None:
        there = [value for value in values if value is not None]
        self.is_number = bool(there) and all(_is_number(value) for value in there)
        self._words = [] if self.is_number else sorted({str(value) for value in there})
        finite = [float(value) for value in there if math.isfinite(value)] if self.is_number else []
        self._low, self._high = (min(finite), max(finite)) if finite else (0.0, 0.0)
        self._is_log = self._low > 0 and self._high / self._low >= _WIDE

    def place(self, value: Any) -> float | None:
        """Give where a value lies; None if it is missing or not finite."""
        if value is None:
            return None
        if not self.is_number:
            return 0.5 if len(self._words) == 1 else self._words.index(str(value)) / (len(self._words) - 1)
        if not math.isfinite(value):
            return None
        if self._low == self._high:
            return 0.5
        if self._is_log:
            low, high = math.log(self._low), math.log(self._high)
            return (math.log(value) - low) / (high - low)
        # The halves do not overflow where the whole would.
        return float((value / 2 - self._low / 2) / (self._high / 2 - self._low / 2))

    def ticks(self) -> list[tuple[float, str]]:
        """Give what stands beside the axis."""
        if not self.is_number:
            words = self._words if len(self._words) <= _MOST_WORDS else [self._words[0], self._words[-1]]
            return [(self.place(word) or 0.0, clip(word, 12)) for word in words]
        if self._low == self._high:
            return [(0.5, number(self._low))]
        middle = (
            math.sqrt(self._low) * math.sqrt(self._high) if self._is_log else self._low / 2 + self._high / 2
        )
        return [(0.0, number(self._low)), (0.5, number(float(f"{middle:.6g}"))), (1.0, number(self._high))]


def parallel(
    fields: Sequence[tuple[str, str]], names: Sequence[str], values: Mapping[str, Sequence[Any]]
) -> Parallel:
    """Lay out parallel coordinates.

    Args:
        fields: Of each axis the id and the name.
        names: The runs'.
        values: Of each id a value a run, None if it has none.
    """
    scales = {key: Scale(values[key]) for key, _ in fields}
    inner = _HEIGHT - _TOP - _BOTTOM
    step = min(_WIDEST, max(_NARROWEST, _SPREAD // max(1, len(fields) - 1)))
    at = {key: _MARGIN + step * index for index, (key, _) in enumerate(fields)}

    def y(place: float | None) -> float:
        # What is missing hangs below the axis.
        return _HEIGHT - 8.0 if place is None else round(_TOP + inner * (1 - place), 1)

    axes = tuple(
        Axis(
            name=clip(name, 15),
            id=key,
            at=at[key],
            ticks=tuple(Tick(y(place), text) for place, text in scales[key].ticks()),
        )
        for key, name in fields
    )
    lines = tuple(
        Line(
            run=run,
            path="M" + "L".join(f"{at[key]},{y(scales[key].place(values[key][run]))}" for key, _ in fields),
            title=f"{name}: {', '.join(f'{label} {number(values[key][run])}' for key, label in fields)}",
        )
        for run, name in enumerate(names)
    )
    width = 2 * _MARGIN + step * (len(fields) - 1)
    return Parallel(width=width, height=_HEIGHT, top=_TOP, bottom=_HEIGHT - _BOTTOM, axes=axes, lines=lines)


def scatter(x_name: str, y_name: str, names: Sequence[str], xs: Sequence[Any], ys: Sequence[Any]) -> Scatter:
    """Lay out a scatter plot of two values a run, None for what is missing."""
    width, height = _SCATTER
    x_scale, y_scale = Scale(xs), Scale(ys)
    inner_width, inner_height = width - _LEFT - _RIGHT, height - _TOP - _BOTTOM - 14
    bottom = _TOP + inner_height

    def x_at(place: float) -> float:
        return round(_LEFT + inner_width * (0.03 + 0.94 * place), 1)

    def y_at(place: float) -> float:
        return round(bottom - inner_height * (0.04 + 0.92 * place), 1)

    dots = []
    for run, name in enumerate(names):
        x, y = x_scale.place(xs[run]), y_scale.place(ys[run])
        if x is not None and y is not None:
            title = f"{name}: {x_name} {number(xs[run])}, {y_name} {number(ys[run])}"
            dots.append(Dot(run=run, x=x_at(x), y=y_at(y), title=title))
    return Scatter(
        width=width,
        height=height,
        left=_LEFT,
        right=width - _RIGHT,
        top=_TOP,
        bottom=bottom,
        x_ticks=tuple(Tick(x_at(place), text) for place, text in x_scale.ticks()),
        y_ticks=tuple(Tick(y_at(place), text) for place, text in y_scale.ticks()),
        dots=tuple(dots),
        missing=len(names) - len(dots),
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
