"""How a request becomes a message, and what MLflow says of one that is none.

What clients send is read in one go. Only where that fails is a message looked at field by field: it may be
written in one of the other ways that MLflow's server takes (absent fields as null, names in camelCase, fields
that nobody knows, NaN as a bare word, the whole encoded twice, `run_uuid` for `run_id`), or it is wrong, and
then the first field that is so is named in MLflow's words.
"""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, get_args

import msgspec

from relive.services.mlflow.faults import SEE_DOCS, invalid, invalid_value, missing_value

_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
# Numbers beyond what a float holds, halves of surrogate pairs: Python's reader of JSON takes both.
_UNFIT = (msgspec.ValidationError, OverflowError, UnicodeEncodeError)


def read_body(kind: Any, body: bytes, named: Mapping[str, str]) -> Any:
    """Read a body as a message.

    Args:
        kind: Type of the message.
        body: JSON; anything else is taken as no field at all, as MLflow does.
        named: What the path says.

    Raises:
        MlflowFault: It is not such a message.
    """
    if not named:
        try:
            message = _decoder(kind).decode(body or b"{}")
        except _UNREADABLE:
            message = None
        if message is not None and not any(getattr(message, name) == "" for name in _required(kind)):
            return message
    return read_values(kind, _values_of(body) | dict(named))


def read_query(kind: Any, values: Mapping[str, list[str]]) -> Any:
    """Read a query as a message: words become numbers and truths, and a field that repeats a list.

    Raises:
        MlflowFault: It is not such a message.
    """
    repeated = {field.encode_name: _is_list(field.type) for field in msgspec.structs.fields(kind)}
    asked = {name: words if repeated.get(name) else words[0] for name, words in values.items()}
    return read_values(kind, asked)


def read_values(kind: Any, values: dict[str, Any]) -> Any:
    """Read values as a message, field by field.

    Raises:
        MlflowFault: One of them is missing, or not what it should be.
    """
    if values.get("run_id") is None and values.get("run_uuid") is not None:
        values = values | {"run_id": values["run_uuid"]}
    tidy = _tidy(kind, values, "")
    try:
        return msgspec.convert(tidy, kind, strict=False)
    except _UNFIT as error:
        raise invalid(f"Invalid value for the request: {error}.{SEE_DOCS}") from error


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    # Not strict: 64-bit numbers and NaN come as text.
    return msgspec.json.Decoder(kind, strict=False)


@cache
def _required(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in msgspec.structs.fields(kind) if field.required)


def _values_of(body: bytes) -> dict[str, Any]:
    try:
        values = json.loads(body or b"{}")
        if isinstance(values, str):
            values = json.loads(values)
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def _tidy(kind: Any, values: dict[str, Any], path: str) -> dict[str, Any]:
    """Give the fields of a message that are there, and refuse the first that is wrong."""
    tidy = {}
    for field in msgspec.structs.fields(kind):
        name = field.encode_name
        where = f"{path}.{name}" if path else name
        value = _value_of(values, name)
        if field.required and values.get(name) in (None, ""):
            raise invalid(missing_value(where) + SEE_DOCS)
        if value is not None:
            tidy[name] = _tidy_value(field.type, value, where)
    return tidy


def _value_of(values: dict[str, Any], name: str) -> Any:
    first, *rest = name.split("_")
    camel = first + "".join(word.capitalize() for word in rest)
    if camel != name and camel in values:
        if name in values:
            raise invalid(f"Request specifies both '{name}' and '{camel}'; provide only one of them.")
        return values[camel]
    return values.get(name)


def _tidy_value(type_: Any, value: Any, where: str) -> Any:
    struct = _struct_in(type_)
    if struct is not None and isinstance(value, list) and _is_list(type_):
        return [_tidy_value(struct, item, f"{where}[{index}]") for index, item in enumerate(value)]
    if struct is not None and isinstance(value, dict) and not _is_list(type_):
        return _tidy(struct, value, where)
    try:
        msgspec.convert(value, type_, strict=False)
    except _UNFIT:
        hint = f" Hint: Value was of type '{type(value).__name__}'."
        raise invalid(invalid_value(where, value, hint) + SEE_DOCS) from None
    return value


def _is_list(type_: Any) -> bool:
    return getattr(type_, "__origin__", None) in (tuple, list)


def _struct_in(type_: Any) -> Any:
    """Give the struct that a field holds, or holds many of; None if it holds plain values."""
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
        return type_
    return next((found for part in get_args(type_) if (found := _struct_in(part)) is not None), None)
