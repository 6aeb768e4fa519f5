"""Judge a replay by its archive: bits first, then tolerance, by the rules and in the words of a hub.

`relive.core.compare` has the same rules for a hub with all it knows; a test holds the two together. What only
a hub knows is missing here: noise learnt from repeats, and predictions of models whose bytes differ.
"""

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from .spooled import Step

# Two percentage points of a share, two per cent of anything else.
SHARE_LIMIT: Final = 0.02
RELATIVE_LIMIT: Final = 0.02
SAME_BYTES: Final = "same bytes"
_FINAL: Final = " final"

EXIT: Final = {"bit_exact": 0, "within_tolerance": 0, "unresolved": 1, "diverged": 3, "not_comparable": 3}


@dataclass
class Comparison:
    """What comparing steps found; the names are those of relive's own."""

    first_divergence: dict[str, Any] | None = None
    steps_compared: int = 0
    undigested: int = 0
    missing_streams: list[str] = field(default_factory=list)
    extra_streams: list[str] = field(default_factory=list)


def compare(recorded: Sequence[Step], replayed: Sequence[Step]) -> Comparison:
    """Say where the steps of a replay part from the recorded ones, in the order of the record."""
    theirs = {(step["stream"], step["step"]): step for step in replayed}
    ends, their_ends = _ends(recorded), _ends(replayed)
    found = Comparison(
        missing_streams=sorted(ends.keys() - their_ends.keys()),
        extra_streams=sorted(their_ends.keys() - ends.keys()),
    )
    for step in recorded:
        other = theirs.get((step["stream"], step["step"]))
        is_passed = other is None and _passed_by(step, their_ends)
        if is_passed or (other is not None and step["digests"] and not other["digests"]):
            found.undigested += 1
        else:
            found.steps_compared += other is not None
        if found.first_divergence is None and step["stream"] in their_ends:
            names = _differing(step, other) if other is not None else [] if is_passed else ["missing"]
            found.first_divergence = _place(step, names) if names else None
    if found.first_divergence is None:
        found.first_divergence = _longer(ends, replayed)
    return found


def judge(
    recorded: Mapping[str, float],
    replayed: Mapping[str, float],
    steps: Comparison | None,
    outs: Mapping[str, str],
) -> dict[str, Any]:
    """Say how far a replay agrees: level, reason, and each metric's difference.

    Args:
        recorded: The last value of each metric.
        replayed: The replay's.
        steps: None if none were recorded.
        outs: Path to "same bytes" or "differs".
    """
    metrics = [
        _difference(key, recorded.get(key), replayed.get(key)) for key in sorted({*recorded, *replayed})
    ]
    level, reason = _level(metrics, steps, outs)
    return {
        "level": level,
        "reason": reason,
        "metrics": metrics,
        "first_divergence": steps.first_divergence if steps else None,
        "steps_compared": steps.steps_compared if steps else 0,
        "outs": dict(outs),
    }


def same_bits(one: float, other: float) -> bool:
    """Tell whether two numbers are the same bit by bit; every NaN is the same as every other."""
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    return struct.pack("<d", one) == struct.pack("<d", other)


def _level(
    metrics: list[dict[str, Any]], steps: Comparison | None, outs: Mapping[str, str]
) -> tuple[str, str]:
    if structure := _other_structure(metrics, steps):
        return "not_comparable", structure
    if not metrics and not outs and not (steps and steps.steps_compared):
        name_one = "name a metric (--metrics FILE) or an out (--out PATH)"
        return "not_comparable", f"The run recorded no metric, no out and no step to compare: {name_one}."
    first = steps.first_divergence if steps else None
    changed = [
        *(f"out {path}" for path, word in sorted(outs.items()) if word != SAME_BYTES),
        *(f"metric {it['key']}" for it in metrics if not same_bits(it["recorded"], it["replayed"])),
        *([f"{first['stream']} at step {first['step']} ({', '.join(first['names'])})"] if first else []),
    ]
    if not changed and steps and steps.undigested:
        lacking = f"{steps.undigested} recorded digests were not taken again"
        return "unresolved", f"Nothing that was compared differs, but {lacking}."
    if not changed:
        counts = (
            (len(metrics), "metric"),
            (steps.steps_compared if steps else 0, "step"),
            (len(outs), "out"),
        )
        parts = [f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts if count]
        return "bit_exact", f"Equal: {', '.join(parts)}."
    if metrics and all(it["ok"] for it in metrics):
        return "within_tolerance", f"Every metric is within its limit; not equal: {changed[-1]}."
    worst = [it["key"] for it in metrics if not it["ok"]]
    what = f"outside their limit: {', '.join(worst)}" if worst else "no metric tells how much it matters"
    return "diverged", f"Differs first in {changed[-1]}; {what}."


def _other_structure(metrics: list[dict[str, Any]], steps: Comparison | None) -> str:
    if lost := [it["key"] for it in metrics if it["replayed"] is None]:
        return f"The replay has no metric {', '.join(lost)}."
    if new := [it["key"] for it in metrics if it["recorded"] is None]:
        return f"Only the replay has the metric {', '.join(new)}."
    if steps and steps.missing_streams:
        return f"The replay recorded no steps of {', '.join(steps.missing_streams)}."
    if steps and steps.extra_streams:
        return f"Only the replay recorded steps of {', '.join(steps.extra_streams)}."
    return ""


def _difference(key: str, recorded: float | None, replayed: float | None) -> dict[str, Any]:
    found: dict[str, Any] = {"key": key, "recorded": recorded, "replayed": replayed, "difference": None}
    if recorded is None or replayed is None:
        return {**found, "limit": None, "relative": False, "ok": False}
    relative = not (0 <= recorded <= 1 and 0 <= replayed <= 1)
    limit = RELATIVE_LIMIT if relative else SHARE_LIMIT
    difference = _distance(recorded, replayed, relative=relative)
    ok = same_bits(recorded, replayed) or (difference is not None and difference <= limit)
    return {**found, "difference": difference, "limit": limit, "relative": relative, "ok": ok}


def _distance(recorded: float, replayed: float, *, relative: bool) -> float | None:
    if not (math.isfinite(recorded) and math.isfinite(replayed)):
        return None
    distance = abs(replayed - recorded)
    if relative and recorded == 0:
        return 0.0 if replayed == 0 else None
    distance = distance / abs(recorded) if relative else distance
    return distance if math.isfinite(distance) else None


def _ends(steps: Sequence[Step]) -> dict[str, int]:
    """Give the last step of each stream."""
    ends: dict[str, int] = {}
    for step in steps:
        ends[step["stream"]] = max(step["step"], ends.get(step["stream"], step["step"]))
    return ends


def _passed_by(step: Step, their_ends: dict[str, int]) -> bool:
    """Tell whether the replay went through this step without recording it: it was not due there."""
    only_digests = not step["values"] and not step["stream"].endswith(_FINAL)
    return bool(only_digests and their_ends.get(step["stream"], step["step"]) > step["step"])


def _longer(ends: dict[str, int], replayed: Sequence[Step]) -> dict[str, Any] | None:
    """Find where the replay first goes on beyond the end of a recorded stream."""
    for step in replayed:
        # Streams of digests alone end where the last one was due, which is not the end of training.
        if step["values"] and step["step"] > ends.get(step["stream"], step["step"]):
            return _place(step, ["beyond the record"])
    return None


def _differing(step: Step, other: Step) -> list[str]:
    """Name the values and tensors that differ, or that only one of the two has."""
    pairs = [(step["values"], other["values"])]
    if step["digests"] and other["digests"]:
        pairs.append((step["digests"], other["digests"]))
    return sorted(
        {name for mine, theirs in pairs for name in {*mine, *theirs} if mine.get(name) != theirs.get(name)}
    )


def _place(step: Step, names: list[str]) -> dict[str, Any]:
    return {"stream": step["stream"], "step": step["step"], "names": names}
