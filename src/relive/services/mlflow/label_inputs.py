"""How questions are answered: which inputs there are, and what MLflow takes of each.

Source: mlflow.genai.label_schemas.validation, mlflow.genai.label_schemas.label_schemas.
"""

from typing import Any, Final

from relive.services.mlflow.faults import invalid
from relive.services.mlflow.values import json_number
from relive.wire.mlflow import review as wire

_LONGEST_LABEL: Final = 64
_MOST_OPTIONS: Final = 10
_CLASSES: Final = {
    "pass_fail": "InputPassFail",
    "categorical": "InputCategorical",
    "numeric": "InputNumeric",
    "text": "InputText",
}


def input_of(said: wire.LabelInput | None) -> dict[str, dict[str, Any]]:
    """Give an input as it is kept and as clients read it: its kind, and what belongs to it.

    Raises:
        MlflowFault: It is none, or more than one, or has what such an input cannot have.
    """
    given = {kind: part for kind in _CLASSES if (part := getattr(said, kind, None)) is not None}
    if len(given) != 1:
        found = "several" if given else "an empty oneof"
        raise invalid(
            "Label schema `input` must have exactly one of `pass_fail`, `categorical`, `numeric`, or `text` "
            f"set; got {found}."
        )
    ((kind, part),) = given.items()
    return {kind: _part_of(part)}


def check_same_kind(earlier: dict[str, dict[str, Any]], later: dict[str, dict[str, Any]]) -> None:
    """Refuse another kind of input: the answers that are there would no longer be answers.

    Raises:
        MlflowFault: It is of another kind, or takes many where it took one, or the other way round.
    """
    ((before, earlier_part),), ((after, later_part),) = earlier.items(), later.items()
    if before != after:
        raise invalid(
            "A label schema's input type cannot be changed after creation "
            f"(existing: {_CLASSES[before]}, got: {_CLASSES[after]})."
        )
    if earlier_part.get("multi_select") != later_part.get("multi_select"):
        raise invalid("`InputCategorical.multi_select` cannot be changed after creation.")


def _part_of(
    part: wire.PassFailInput | wire.CategoricalInput | wire.NumericInput | wire.TextInput,
) -> dict[str, Any]:
    match part:
        case wire.PassFailInput():
            return _pass_fail(part)
        case wire.CategoricalInput():
            return _categorical(part)
        case wire.NumericInput():
            return _numeric(part)
        case wire.TextInput():
            return _text(part)


def _pass_fail(part: wire.PassFailInput) -> dict[str, Any]:
    said = {"positive_label": part.positive_label, "negative_label": part.negative_label}
    for field, label in said.items():
        if not label:
            raise invalid(f"`InputPassFail.{field}` must be a non-empty string; got {label!r}.")
        if len(label) > _LONGEST_LABEL:
            wanted = f"must be at most {_LONGEST_LABEL} characters"
            raise invalid(f"`InputPassFail.{field}` {wanted}; got {len(label)}.")
    if part.positive_label == part.negative_label:
        raise invalid(
            "`InputPassFail.positive_label` and `negative_label` must be distinct; "
            f"got {part.positive_label!r} for both."
        )
    return said


def _categorical(part: wire.CategoricalInput) -> dict[str, Any]:
    options = list(part.options)
    if not options:
        raise invalid(f"`InputCategorical.options` must be a non-empty list; got {options!r}.")
    if len(options) > _MOST_OPTIONS:
        wanted = f"must have at most {_MOST_OPTIONS} entries"
        raise invalid(f"`InputCategorical.options` {wanted}; got {len(options)}.")
    for n, option in enumerate(options):
        if not option:
            raise invalid(f"`InputCategorical.options` entries must be non-empty strings; got {option!r}.")
        if len(option) > _LONGEST_LABEL:
            wanted = f"must be at most {_LONGEST_LABEL} characters"
            raise invalid(f"`InputCategorical.options` entries {wanted}; got {len(option)} for {option!r}.")
        if option in options[:n]:
            raise invalid(f"`InputCategorical.options` must be deduplicated; {option!r} appears twice.")
    return {"options": options, "multi_select": part.multi_select}


def _numeric(part: wire.NumericInput) -> dict[str, Any]:
    least, most = part.min_value, part.max_value
    if least is not None and most is not None and least >= most:
        raise invalid(
            f"`InputNumeric.min_value` must be strictly less than `max_value`; got min={least}, max={most}."
        )
    bounds = {"min_value": least, "max_value": most}
    return {field: json_number(bound) for field, bound in bounds.items() if bound is not None}


def _text(part: wire.TextInput) -> dict[str, Any]:
    if part.max_length is None:
        return {}
    if part.max_length < 1:
        raise invalid(f"`InputText.max_length` must be at least 1; got {part.max_length}.")
    return {"max_length": part.max_length}
