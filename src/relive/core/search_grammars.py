"""What there is to search, and in which words a filter is refused: MLflow's, whose clients know them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from relive.core.search import Side

NUMERIC: Final = ("<", "<=", ">", ">=", "=", "!=")
TEXTUAL: Final = ("=", "!=", "LIKE", "ILIKE")
LISTED: Final = (*TEXTUAL, "IN", "NOT IN")
NULLS: Final = ("IS NULL", "IS NOT NULL")


class Kind(StrEnum):
    """What an attribute's values are; WHOLE numbers may stand in quotes, a MOMENT is a date as well."""

    TEXT = "text"
    NUMBER = "number"
    WHOLE = "whole"
    MOMENT = "moment"


@dataclass(frozen=True)
class Attribute:
    """An attribute, which may be typed under several names.

    Attributes:
        key: Its own name.
        comparators: What it can be compared by; by default what its kind can.
    """

    key: str
    kind: Kind = Kind.TEXT
    comparators: tuple[str, ...] = ()

    @property
    def allowed(self) -> tuple[str, ...]:
        """Give what it can be compared by."""
        return self.comparators or (LISTED if self.kind is Kind.TEXT else NUMERIC)


@dataclass(frozen=True)
class Refusals:
    """Sentences with places for facts: side, key, found, comparator, valid, text."""

    side: str
    clause: str
    key: str = "Invalid attribute key '{key}' specified. Valid keys are '{valid}'"
    comparator: str = "Invalid comparator '{comparator}' not one of '{valid}'"
    nulls: str = "IS NULL / IS NOT NULL is only supported for tags and params, not for '{side}' '{key}'"
    attribute_value: str = "Expected a quoted string value for attributes. Got value {found}"
    attribute_number: str = "Expected a quoted string value for attributes. Got value {found}"
    order_side: str = "Invalid order_by entity: {side}"
    order_key: str = "Invalid attribute key '{key}' specified. Valid keys are '{valid}'"


@dataclass(frozen=True)
class Grammar:
    """What can be searched of one kind of thing.

    Attributes:
        sides: What stands before the dot → which side that is; a name without a dot is an attribute.
        attributes: The names of attributes.
        orders: Names of attributes that can be sorted by → the attribute's own name.
        order_sides: Sides that can be sorted by.
        lists: Attributes that can be compared with a list; None for all.
        pairs: What params and tags can be compared by.
        is_loose: Text may stand without quotes, as MLflow reads it for logged models.
    """

    refusals: Refusals
    sides: Mapping[str, Side]
    attributes: Mapping[str, Attribute]
    orders: Mapping[str, str]
    order_sides: frozenset[Side] = frozenset({Side.ATTRIBUTE})
    lists: frozenset[str] | None = frozenset()
    pairs: Mapping[Side, tuple[str, ...]] = field(default_factory=dict)
    is_loose: bool = False


def _called(*attributes: Attribute, **aliases: str) -> dict[str, Attribute]:
    by_key = {it.key: it for it in attributes}
    return by_key | {alias: by_key[key] for alias, key in aliases.items()}


_SIDES: Final = {
    "metric": Side.METRIC,
    "metrics": Side.METRIC,
    "parameter": Side.PARAM,
    "parameters": Side.PARAM,
    "param": Side.PARAM,
    "params": Side.PARAM,
    "tag": Side.TAG,
    "tags": Side.TAG,
    "attribute": Side.ATTRIBUTE,
    "attributes": Side.ATTRIBUTE,
    "attr": Side.ATTRIBUTE,
    "run": Side.ATTRIBUTE,
    "dataset": Side.DATASET,
    "datasets": Side.DATASET,
}
_FEW_SIDES: Final = {"attribute": Side.ATTRIBUTE, "tag": Side.TAG, "tags": Side.TAG}
_SIDE: Final = (
    "Invalid entity type '{side}'. Valid values are ['metric', 'parameter', 'tag', 'attribute', 'dataset']"
)
_FEW_SIDE: Final = "Invalid entity type '{side}'. Valid entity types are ('attribute', 'tag', 'tags')"
_OR_LIST: Final = (
    "Expected a quoted string value or a list of quoted string values for attributes. Got value {found}"
)
_RUN_NAMES: Final = ("run name", "Run name", "Run Name")
DATASET_KEYS: Final = ("name", "digest", "context")

_RUN_ATTRIBUTES: Final = _called(
    Attribute("artifact_uri"),
    Attribute("end_time", Kind.NUMBER),
    Attribute("run_id"),
    Attribute("run_name"),
    Attribute("start_time", Kind.NUMBER),
    Attribute("status"),
    Attribute("user_id"),
    created="start_time",
    Created="start_time",
    **dict.fromkeys(_RUN_NAMES, "run_name"),
)
RUNS: Final = Grammar(
    refusals=Refusals(
        side=_SIDE,
        clause="Invalid clause(s) in filter string: '{found}'",
        order_side="Invalid identifier type '{side}'",
    ),
    sides=_SIDES,
    attributes=_RUN_ATTRIBUTES,
    orders={name: it.key for name, it in _RUN_ATTRIBUTES.items() if name not in _RUN_NAMES},
    order_sides=frozenset({Side.ATTRIBUTE, Side.METRIC, Side.PARAM, Side.TAG}),
    lists=frozenset({"run_id"}),
    pairs={Side.PARAM: (*TEXTUAL, *NULLS), Side.TAG: (*TEXTUAL, *NULLS)},
)
"""Runs, for MLflow's clients."""

_OWN_ATTRIBUTES: Final = _called(
    Attribute("id"),
    Attribute("name"),
    Attribute("state"),
    Attribute("kind"),
    Attribute("stage"),
    Attribute("commit"),
    Attribute("actor"),
    Attribute("command"),
    Attribute("recipe"),
    Attribute("experiment"),
    Attribute("created_at", Kind.MOMENT),
    Attribute("started_at", Kind.MOMENT),
    Attribute("ended_at", Kind.MOMENT),
    # The same word as MLflow's, but our words for its values fit as well.
    status="state",
)
OWN_RUNS: Final = replace(
    RUNS,
    attributes=_RUN_ATTRIBUTES | _OWN_ATTRIBUTES,
    orders=dict(RUNS.orders) | {name: it.key for name, it in _OWN_ATTRIBUTES.items() if name != "experiment"},
    lists=None,
)
"""Runs, in relive's own faces: with relive's attributes as well."""

EXPERIMENTS: Final = Grammar(
    refusals=Refusals(
        side=_FEW_SIDE,
        clause="Invalid clause(s) in filter string: {found}",
        nulls="IS NULL / IS NOT NULL is only supported for tags, not for attribute '{key}'",
    ),
    sides=_FEW_SIDES,
    attributes=_called(
        Attribute("name"),
        Attribute("experiment_id", comparators=("=", "!=", "IN", "NOT IN")),
        Attribute("creation_time", Kind.WHOLE),
        Attribute("last_update_time", Kind.WHOLE),
    ),
    orders={key: key for key in ("name", "experiment_id", "creation_time", "last_update_time")},
    lists=frozenset({"experiment_id"}),
    pairs={Side.TAG: (*TEXTUAL, *NULLS)},
)

REGISTERED_MODELS: Final = Grammar(
    refusals=Refusals(
        side=_FEW_SIDE,
        clause="Invalid clause(s) in filter string: {found}",
        comparator="Invalid comparator for {side}: {comparator}",
        nulls="Invalid comparator for {side}: IS NULL",
        attribute_value=_OR_LIST,
        attribute_number=_OR_LIST,
        order_key="Invalid order by key '{key}' specified. Valid keys are '{{'name', 'timestamp'}}'",
    ),
    sides=_FEW_SIDES,
    attributes=_called(Attribute("name")),
    orders={
        "name": "name",
        "timestamp": "last_updated_timestamp",
        "last_updated_timestamp": "last_updated_timestamp",
    },
    lists=frozenset({"name"}),
    pairs={Side.TAG: TEXTUAL},
)

MODEL_VERSIONS: Final = Grammar(
    refusals=replace(
        REGISTERED_MODELS.refusals,
        attribute_number=(
            "Only the '{{'creation_timestamp', 'last_updated_timestamp', 'version_number'}}' attributes "
            "support comparison with numeric values."
        ),
        order_key="Invalid attribute key '{key}' specified. Valid keys are '{valid}'",
    ),
    sides=_FEW_SIDES,
    attributes=_called(
        Attribute("name"),
        Attribute("version_number", Kind.WHOLE),
        Attribute("run_id"),
        Attribute("source_path", comparators=TEXTUAL),
    ),
    orders={key: key for key in ("name", "version_number", "creation_timestamp", "last_updated_timestamp")},
    lists=frozenset({"name", "run_id"}),
    pairs={Side.TAG: TEXTUAL},
)

_LOGGED_ATTRIBUTES: Final = _called(
    Attribute("name"),
    Attribute("model_id"),
    Attribute("model_type"),
    Attribute("status"),
    Attribute("source_run_id"),
    Attribute("experiment_id"),
    Attribute("creation_timestamp", Kind.NUMBER),
    Attribute("last_updated_timestamp", Kind.NUMBER),
    creation_time="creation_timestamp",
    creation_timestamp_ms="creation_timestamp",
    last_updated_time="last_updated_timestamp",
    last_updated_timestamp_ms="last_updated_timestamp",
)
LOGGED_MODELS: Final = Grammar(
    refusals=Refusals(
        side=("Invalid entity type: '{side}'. Expected one of ['attributes', 'metrics', 'params', 'tags']."),
        clause=(
            "Invalid filter string: {text!r}. Expected a list of comparisons separated by 'AND' "
            "(e.g. 'metrics.loss > 0.1 AND params.lr = 0.01')."
        ),
        comparator=(
            "Invalid comparison operator for {side}s.{key}: '{comparator}'. Expected one of {valid}."
        ),
        nulls="Invalid comparison: {found}. Expected a comparison with 3 tokens.",
        order_side="Invalid order by field name: {side}, only `metrics.<name>` is allowed.",
        order_key="Invalid order by field name: {key}.",
    ),
    sides={f"{side}s": side for side in (Side.ATTRIBUTE, Side.METRIC, Side.TAG)} | {"params": Side.PARAM},
    attributes=_LOGGED_ATTRIBUTES,
    orders={name: it.key for name, it in _LOGGED_ATTRIBUTES.items()},
    order_sides=frozenset({Side.ATTRIBUTE, Side.METRIC}),
    lists=None,
    pairs={Side.PARAM: LISTED, Side.TAG: LISTED},
    is_loose=True,
)

EVALUATION_DATASETS: Final = Grammar(
    refusals=Refusals(
        side="Invalid identifier token '{side}' specified",
        clause="Invalid clause(s) in filter string: {found}",
        comparator="Invalid comparator for {side}: {comparator}",
        nulls="Invalid comparator for {side}: IS NULL",
        order_key="Invalid attribute key '{key}' specified. Valid keys are: {valid}",
    ),
    sides={"tags": Side.TAG},
    attributes=_called(
        Attribute("name", comparators=(*TEXTUAL, "IN")),
        Attribute("created_time", Kind.WHOLE),
        Attribute("last_update_time", Kind.WHOLE),
        Attribute("created_by", comparators=TEXTUAL),
        Attribute("last_updated_by", comparators=TEXTUAL),
    ),
    orders={key: key for key in ("name", "created_time", "last_update_time")},
    lists=frozenset({"name"}),
    pairs={Side.TAG: TEXTUAL},
)

_ISSUE_FIELDS: Final = "Supported fields: {{'source_run_id', 'status'}}"
_ISSUE_COMPARATORS: Final = "Supported comparators: {{'!=', '='}}"
ISSUES: Final = Grammar(
    refusals=Refusals(
        side=f"Invalid filter field '{{found}}'. {_ISSUE_FIELDS}",
        clause="Invalid clause(s) in filter string: {found}",
        key=f"Invalid filter field '{{found}}'. {_ISSUE_FIELDS}",
        comparator=f"Invalid comparator '{{comparator}}'. {_ISSUE_COMPARATORS}",
        nulls=f"Invalid comparator 'IS'. {_ISSUE_COMPARATORS}",
    ),
    sides={},
    attributes=_called(
        Attribute("status", comparators=("=", "!=")),
        Attribute("source_run_id", comparators=("=", "!=")),
    ),
    orders={},
    lists=None,
    is_loose=True,
)
