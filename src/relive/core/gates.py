"""Gates: does a metric pass, and the sentence that says so.

Numbers are compared as they are written, not as their binary fractions: 0.9362 is exactly 0.005 below 0.9412,
so it passes a gate that allows 0.005, although the difference of the two floats is a little more.
"""

import math
from collections.abc import Mapping
from decimal import Decimal

import msgspec

from relive.core.pipeline import Gate
from relive.core.problems import nearest


class GateResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a gate found.

    Attributes:
        name: The gate in a few words, unique among gates that differ: "accuracy ≥ 0.9".
        ok: Whether it passed.
        value: The metric's value; None if there is none.
        limit: The limit the sentence speaks of: the one that was broken, else the first.
        other: The champion's value, if it was compared with one.
        reason: A sentence for people.
    """

    name: str
    ok: bool
    value: float | None
    limit: float | None
    other: float | None
    reason: str


class _Check(msgspec.Struct, frozen=True):
    ok: bool
    limit: float | None
    sentence: str
    other: float | None = None


def evaluate(
    gate: Gate,
    metrics: Mapping[str, float],
    champion: Mapping[str, float] | None,
    *,
    champion_name: str = "the champion",
) -> GateResult:
    """Judge one gate; never raises: what cannot be judged has failed, and the reason says why.

    Args:
        gate: What to check.
        metrics: The last value of each metric of the runs the gate looks at.
        champion: The champion's metrics, or None if the model has no champion yet.
        champion_name: How the sentence calls it: "champion digits v1".
    """
    value = metrics.get(gate.metric)
    if value is None or not math.isfinite(value):
        what = (
            _missing(gate.metric, metrics)
            if value is None
            else f"{gate.metric} is {value}, not a finite number"
        )
        limit = gate.min if gate.min is not None else gate.max
        return GateResult(name=name_of(gate), ok=False, value=None, limit=limit, other=None, reason=what)
    checks = _thresholds(gate, value)
    if gate.vs is not None:
        checks += _compared(gate, value, champion, champion_name)
    spoken = [check for check in checks if not check.ok] or checks
    return GateResult(
        name=name_of(gate),
        ok=all(check.ok for check in checks),
        value=value,
        limit=next((check.limit for check in spoken if check.limit is not None), None),
        other=next((check.other for check in checks if check.other is not None), None),
        reason="; ".join(check.sentence for check in spoken),
    )


def name_of(gate: Gate) -> str:
    """Name a gate in a few words, for lists and for statuses on a forge."""
    parts = []
    if gate.min is not None:
        parts.append(f"≥ {_text(gate.min)}")
    if gate.max is not None:
        parts.append(f"≤ {_text(gate.max)}")
    if gate.vs is not None:
        parts.append(f"vs {gate.vs}")
    return " ".join([gate.metric, " and ".join(parts)])


def _thresholds(gate: Gate, value: float) -> list[_Check]:
    checks = []
    if gate.min is not None:
        shown, limit = _texts(value, gate.min)
        ok = _exact(value) >= _exact(gate.min)
        checks.append(_Check(ok, gate.min, f"{gate.metric} {shown} {'≥' if ok else '<'} {limit} (min)"))
    if gate.max is not None:
        shown, limit = _texts(value, gate.max)
        ok = _exact(value) <= _exact(gate.max)
        checks.append(_Check(ok, gate.max, f"{gate.metric} {shown} {'≤' if ok else '>'} {limit} (max)"))
    return checks


def _compared(
    gate: Gate, value: float, champion: Mapping[str, float] | None, champion_name: str
) -> list[_Check]:
    if champion is None:
        return [_Check(True, None, f"{gate.metric} {_text(value)}: no champion yet")]
    other = champion.get(gate.metric)
    if other is None or not math.isfinite(other):
        known = _missing(gate.metric, champion) if other is None else f"its {gate.metric} is {other}"
        return [_Check(False, None, f"{gate.metric} cannot be compared with {champion_name}: {known}")]
    difference = _exact(value) - _exact(other)
    least = gate.min_delta if gate.min_delta is not None else (None if gate.max_delta is not None else 0.0)
    checks = []
    if least is not None:
        ok = difference >= _exact(least)
        checks.append(
            _Check(ok, least, _sentence(gate, value, other, champion_name, _rule_least(ok, least)), other)
        )
    if gate.max_delta is not None:
        ok = difference <= _exact(gate.max_delta)
        rule = _rule_most(ok, gate.max_delta)
        checks.append(_Check(ok, gate.max_delta, _sentence(gate, value, other, champion_name, rule), other))
    return checks


def _sentence(gate: Gate, value: float, other: float, champion_name: str, rule: str) -> str:
    shown, champion_shown = _texts(value, other)
    difference = _exact(value) - _exact(other)
    if not difference:
        return f"{gate.metric} {shown} equals {champion_name}{rule}"
    side = "above" if difference > 0 else "below"
    by = _text(float(abs(difference)))
    return f"{gate.metric} {shown} is {by} {side} {champion_name} ({champion_shown}){rule}"


def _rule_least(ok: bool, least: float) -> str:
    if ok:
        return ""
    if least > 0:
        return f"; it must be at least {_text(least)} above"
    return f"; at most {_text(-least)} is allowed" if least else "; it must not be below"


def _rule_most(ok: bool, most: float) -> str:
    if ok:
        return ""
    if most < 0:
        return f"; it must be at least {_text(-most)} below"
    return f"; at most {_text(most)} is allowed" if most else "; it must not be above"


def _missing(metric: str, metrics: Mapping[str, float]) -> str:
    if not metrics:
        return f"there is no metric {metric}: no metrics were recorded"
    near = nearest(metric, metrics) or sorted(metrics)[:3]
    return f"there is no metric {metric}; the nearest are: {', '.join(near)}"


def _exact(value: float) -> Decimal:
    return Decimal(repr(float(value)))


def _text(value: float) -> str:
    return f"{value:.6g}"


def _texts(value: float, limit: float) -> tuple[str, str]:
    """Write two numbers shortly, but with all digits if they would look equal and are not."""
    short = _text(value), _text(limit)
    return (repr(value), repr(limit)) if short[0] == short[1] and value != limit else short
