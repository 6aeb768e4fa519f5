"""Figures over traces, spans and assessments: counted, summed up, averaged, by time and by what they are.

Source: mlflow.store.tracking.utils.sql_trace_metrics_utils.
"""

import math
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from relive.core.access import Caller
from relive.core.search import And, Comparison, Condition, Field, Side
from relive.core.trace import RUN_KEY
from relive.core.trace_samples import COUNTS, DIMENSIONS, METRICS, Sample, Samples, SampleView
from relive.services.context import Services
from relive.services.mlflow.faults import invalid, missing_value
from relive.services.mlflow.trace_search import readable_experiments
from relive.wire.mlflow import traces as wire

_MOST: Final = 10_000
_VIEWS: Final = {1: "TRACES", 2: "SPANS", 3: "ASSESSMENTS"}
_KINDS: Final = {1: "COUNT", 2: "SUM", 3: "AVG", 4: "PERCENTILE", 5: "MIN", 6: "MAX"}
_FILTER: Final = re.compile(r"\s*(\w+)\.(\w+)(?:\.(.+?))?(\s*[=!<>]+\s*|\s+\w+\s+)(.+?)\s*", re.DOTALL)
# The same without what it is a part of.
_PLAIN: Final = re.compile(r"\s*(\w+)(?:\s*[=!<>]+|\s+\w+\s).+", re.DOTALL)
_QUOTED: Final = re.compile(r"(['\"])((?:(?!\1).)*)\1", re.DOTALL)
_ENTITIES: Final = {
    "trace": {"status": False, "tag": True, "metadata": True},
    "span": {"name": False, "status": False, "type": False},
    "assessment": {"name": False, "type": False},
}

Kind = tuple[str, float]


def query_metrics(services: Services, message: wire.TraceMetrics, caller: Caller) -> dict[str, Any]:
    """Give figures, one point for each group that has any.

    Raises:
        MlflowFault: They cannot be asked for so.
    """
    view = _view(message.view_type)
    kinds = [_kind(each) for each in message.aggregations]
    if not kinds:
        raise invalid(missing_value("aggregations"))
    _check(view, message.metric_name, kinds, message.dimensions)
    interval = message.time_interval_seconds
    if interval and (message.start_time_ms is None or message.end_time_ms is None):
        raise invalid("start_time_ms and end_time_ms are required if time_interval_seconds is set")
    if interval is not None and interval < 0:
        raise invalid(f"Invalid value {interval} for parameter 'time_interval_seconds' supplied.")
    condition, own = _conditions(view, message.filters)
    asked = Samples(
        view=view,
        metric=message.metric_name,
        dimensions=message.dimensions,
        condition=condition,
        own=own,
        since_ms=message.start_time_ms,
        until_ms=message.end_time_ms,
    )
    ids = readable_experiments(services, message.experiment_ids, caller)
    groups = _grouped(services.store.list_samples(ids, asked), (interval or 0) * 1000)
    if not groups and message.metric_name in COUNTS and not message.dimensions and not interval:
        groups[0, ()] = []
    most = min(max(0, message.max_results), _MOST)
    points = [_point(message, key, groups[key], kinds) for key in sorted(groups)[:most]]
    return {"data_points": points} if points else {}


def percentile(ordered: Sequence[float], part: float) -> float:
    """Give the value below which a part (0 to 100) of sorted values lies, between two of them if need be.

    Source: R. J. Hyndman, Y. Fan, Sample Quantiles in Statistical Packages, 1996, method 7.
    """
    at = (len(ordered) - 1) * part / 100
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def _grouped(
    samples: Iterable[Sample], interval_ms: int
) -> dict[tuple[int, tuple[str, ...]], list[float | str]]:
    groups: dict[tuple[int, tuple[str, ...]], list[float | str]] = {}
    for sample in samples:
        begin = sample.at_ms // interval_ms * interval_ms if interval_ms else 0
        groups.setdefault((begin, sample.dimensions), []).append(sample.value)
    return groups


def _point(
    message: wire.TraceMetrics,
    key: tuple[int, tuple[str, ...]],
    values: list[float | str],
    kinds: Sequence[Kind],
) -> dict[str, Any]:
    begin, named = key
    dimensions = dict(zip(message.dimensions, named, strict=True))
    if message.time_interval_seconds:
        dimensions = {"time_bucket": datetime.fromtimestamp(begin / 1000, UTC).isoformat()} | dimensions
    found = {_label(kind): _figure(kind, message.metric_name, values) for kind in kinds}
    point = {"metric_name": message.metric_name, "values": found}
    return point | ({"dimensions": dimensions} if dimensions else {})


def _figure(kind: Kind, metric: str, values: list[float | str]) -> float:
    if kind[0] == "COUNT":
        return float(len(set(values) if metric == "session_count" else values))
    numbers = [float(value) for value in values]
    if kind[0] == "PERCENTILE":
        return percentile(sorted(numbers), kind[1])
    if kind[0] in ("SUM", "AVG"):
        return math.fsum(numbers) / (len(numbers) if kind[0] == "AVG" else 1)
    return min(numbers) if kind[0] == "MIN" else max(numbers)


def _label(kind: Kind) -> str:
    return f"P{kind[1]}" if kind[0] == "PERCENTILE" else kind[0]


def _view(said: str | int) -> SampleView:
    word = _VIEWS.get(said, "") if isinstance(said, int) else said
    if word not in list(SampleView):
        raise invalid(f"view_type must be one of {[view.value for view in SampleView]}, got '{said}'")
    return SampleView(word)


def _kind(said: wire.Aggregation) -> Kind:
    given, part = said.aggregation_type, said.percentile_value
    word = _KINDS.get(given, "") if isinstance(given, int) else given
    if word not in _KINDS.values():
        raise invalid(f"Unsupported aggregation type: {given}")
    if (word == "PERCENTILE") is not (part is not None):
        raise invalid("Percentile value is required for PERCENTILE aggregation, and for no other")
    if part is not None and not 0 <= part <= 100:
        raise invalid(f"Percentile value must be between 0 and 100, got {part}")
    return word, part or 0.0


def _check(view: SampleView, metric: str, kinds: Sequence[Kind], dimensions: Sequence[str]) -> None:
    if metric not in METRICS[view]:
        raise invalid(f"metric_name must be one of {list(METRICS[view])}, got '{metric}'")
    can = {"COUNT"} if metric in COUNTS else {"AVG", "MAX", "MIN", "PERCENTILE"}
    if metric.endswith(("_tokens", "_cost")):
        can.add("SUM")
    if wrong := {word for word, _ in kinds} - can:
        raise invalid(
            f"Found invalid aggregation_type(s): {sorted(wrong)}. Supported aggregation types: {sorted(can)}"
        )
    by = _dimensions_of(view, metric)
    if other := set(dimensions) - by:
        raise invalid(f"Found invalid dimension(s): {sorted(other)}. Supported dimensions: {sorted(by)}")


def _dimensions_of(view: SampleView, metric: str) -> set[str]:
    if metric == "session_count":
        return set()
    if metric in COUNTS:
        return set(DIMENSIONS[view])
    if view is SampleView.SPANS:
        by_step = metric == "latency"
        return {"span_name", "span_status"} if by_step else {"span_model_name", "span_model_provider"}
    return {DIMENSIONS[view][0]}


def _conditions(view: SampleView, filters: Sequence[str]) -> tuple[Condition | None, dict[str, str]]:
    """Read filters: what traces must be, and what spans or assessments must be equal in."""
    parts: list[Condition] = []
    own: dict[str, str] = {}
    for text in filters:
        side, entity, key, value = _read(text)
        if side == "trace":
            parts.append(_of_trace(entity, key, value))
        elif side != view.lower().removesuffix("s"):
            only = f"{side.upper()}S"
            raise invalid(f"Filtering by {side} is only supported for {only} view type, got {view.value}")
        else:
            own[entity] = value
    return And(tuple(parts)) if parts else None, own


def _read(text: str) -> tuple[str, str, str, str]:
    found = _FILTER.fullmatch(text)
    if found is None:
        if plain := _PLAIN.fullmatch(text):
            columns = "Columns should be specified as 'trace.<key>', 'span.<key>', 'assessment.<key>'."
            raise invalid(f"Invalid identifier {plain[1]!r}. {columns}")
        raise invalid(f"Invalid clause(s) in filter string: {text}")
    side, entity, key, comparator, said = found.groups(default="")
    if side not in _ENTITIES:
        raise invalid(f"Invalid view type '{side}'. Valid values are {list(_ENTITIES)}")
    if entity not in _ENTITIES[side]:
        valid = list(_ENTITIES[side])
        raise invalid(
            f"Invalid entity '{entity}' specified for view type '{side}'. Valid entities are {valid}"
        )
    if _ENTITIES[side][entity] and not key:
        raise invalid(f"Filtering by {entity} requires a key, e.g. '{side}.{entity}.<key> = <value>'")
    if key and not _ENTITIES[side][entity]:
        raise invalid(f"Filtering by {entity} does not require a key, use '{side}.{entity}' instead")
    if comparator.strip() != "=":
        raise invalid(f"Invalid comparator: '{comparator.strip()}', only '=' operator is supported")
    quoted = _QUOTED.fullmatch(said)
    if quoted is None:
        raise invalid(
            f"Expected a quoted string value for {entity} value (e.g. 'my-value'). Got value {said}"
        )
    return side, entity, key.strip("`\"'"), quoted[2]


def _of_trace(entity: str, key: str, value: str) -> Condition:
    if entity == "status":
        return Comparison(Field(Side.ATTRIBUTE, "status"), "=", value)
    if entity == "metadata" and key == RUN_KEY:
        return Comparison(Field(Side.ATTRIBUTE, "run_id"), "=", value)
    side = Side.TAG if entity == "tag" else Side.METADATA
    return Comparison(Field(side, key), "=", value)
