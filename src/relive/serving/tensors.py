"""Tensors of the Open Inference Protocol to NumPy arrays and back, in JSON and in bytes.

Source: Open Inference Protocol v2, "Tensor Data Types", and its binary tensor extension (little-endian;
BYTES elements each after a 4-byte length). BYTES are UTF-8 text here. JSON has no word for what is not a
finite number: such elements are the strings "NaN", "Infinity" and "-Infinity" as in ProtoJSON, and `null`
is read as NaN.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from .faults import BadPrediction, BadRequest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

MAX_DIMENSIONS = 32  # NumPy 1 has no more
MAX_ELEMENTS = 1 << 40  # far beyond any body; keeps products of sizes inside what NumPy can count
DTYPES: dict[str, str] = {
    "BOOL": "|b1",
    "UINT8": "|u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "|i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
    "BYTES": "|O",
}
_DATATYPES = {np.dtype(dtype).str: name for name, dtype in DTYPES.items()}
_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def check_datatype(name: str, datatype: Any) -> str:
    """Give the datatype back if the protocol has it.

    Raises:
        BadRequest: It does not.
    """
    if not isinstance(datatype, str) or datatype not in DTYPES:
        raise BadRequest(f"input {name!r}: datatype is {datatype!r:.80}, expected one of {', '.join(DTYPES)}")
    return datatype


def check_shape(name: str, shape: Any) -> tuple[int, ...]:
    """Give the shape back as a tuple if it is a list of whole numbers from 0.

    Raises:
        BadRequest: It is not, or has more than 32 dimensions or more elements than can be counted.
    """
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise BadRequest(f"input {name!r}: shape is {shape!r:.80}, expected a list of whole numbers from 0")
    if len(shape) > MAX_DIMENSIONS:
        raise BadRequest(f"input {name!r}: {len(shape)} dimensions, expected at most {MAX_DIMENSIONS}")
    if math.prod(size or 1 for size in shape) > MAX_ELEMENTS:
        raise BadRequest(f"input {name!r}: shape {shape!r:.80} has too many elements")
    return tuple(shape)


def from_json(name: str, datatype: str, shape: tuple[int, ...], data: Any) -> Array:
    """Make an array of a JSON tensor's `data`, flat in row-major order or nested like its shape.

    Raises:
        BadRequest: It has another number of elements or other elements than datatype and shape say.
    """
    flat = _flatten(name, shape, data)
    if datatype == "BYTES":
        return _texts(name, flat).reshape(shape)
    if datatype == "BOOL":
        _check_types(name, datatype, flat, {bool}, "true or false")
        return np.array(flat, dtype=bool).reshape(shape)
    if datatype.startswith("FP"):
        return _floats(name, datatype, flat).reshape(shape)
    return _integers(name, datatype, flat).reshape(shape)


def from_bytes(name: str, datatype: str, shape: tuple[int, ...], raw: memoryview) -> Array:
    """Make an array of a binary tensor; it owns its memory.

    Raises:
        BadRequest: The bytes are not as many as datatype and shape say, or BYTES are not UTF-8.
    """
    count = math.prod(shape)
    if datatype == "BYTES":
        return _texts(name, _split_bytes(name, count, raw)).reshape(shape)
    dtype = np.dtype(DTYPES[datatype])
    if len(raw) != count * dtype.itemsize:
        raise BadRequest(
            f"input {name!r}: {len(raw)} bytes of binary data, expected {count * dtype.itemsize} "
            f"for {datatype} of shape {list(shape)}"
        )
    if datatype == "BOOL":
        return np.frombuffer(raw, dtype=np.uint8).reshape(shape).astype(bool)
    return np.frombuffer(raw, dtype=dtype).copy().reshape(shape)


def normalize(name: str, value: Any) -> Array:
    """Make a contiguous array of a dtype that the protocol has, of what a model or an example gave.

    Raises:
        BadPrediction: It is ragged or of a type without a datatype, such as complex numbers.
    """
    if hasattr(value, "toarray"):  # a scipy sparse matrix
        value = value.toarray()
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise BadPrediction(f"{name!r} is no tensor: {error}") from error
    if array.dtype.kind == "M":
        array = np.datetime_as_string(array)
    if array.dtype.kind in "US":
        return array.astype(str).astype(object)
    if array.dtype.kind == "O":
        return _uniform(name, array)
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    if array.dtype.kind not in "buif":
        raise BadPrediction(
            f"{name!r} has dtype {array.dtype}, which the inference protocol has no datatype for"
        )
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return little if little.flags.c_contiguous else little.copy(order="C")


def datatype_of(array: Array) -> str:
    """Give the protocol's datatype of an array that `normalize` made."""
    return _DATATYPES[array.dtype.str]


def cast(name: str, array: Array, datatype: str) -> Array:
    """Cast numbers where the values stay: integers that fit, and floats of any width.

    Raises:
        BadRequest: The datatypes do not go together, or a value does not fit.
    """
    given = datatype_of(array)
    if given == datatype:
        return array
    dtype = np.dtype(DTYPES[datatype])
    if array.dtype.kind in "iuf" and dtype.kind == "f":
        with np.errstate(over="ignore"):
            floats = array.astype(dtype)
        if not (np.isinf(floats) & np.isfinite(array)).any():
            return floats
    elif array.dtype.kind in "iu" and dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        if bounds.min <= int(array.min(initial=0)) and int(array.max(initial=0)) <= bounds.max:
            return array.astype(dtype)
    raise BadRequest(f"input {name!r}: datatype is {given}, expected {datatype}")


def to_json(array: Array) -> list[Any]:
    """Give the elements in row-major order, as JSON can hold them; floats read back as the same bits."""
    flat: list[Any] = array.ravel().tolist()
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return [item if math.isfinite(item) else _not_finite(item) for item in flat]
    return flat


def to_bytes(array: Array) -> bytes:
    """Give the binary form of an array that `normalize` made."""
    if array.dtype.kind != "O":
        return array.tobytes()
    encoded = [text.encode() for text in array.ravel()]
    return b"".join(chain.from_iterable((struct.pack("<I", len(item)), item) for item in encoded))


def _flatten(name: str, shape: tuple[int, ...], data: Any) -> list[Any]:
    count = math.prod(shape)
    if not isinstance(data, list):
        raise BadRequest(f"input {name!r}: data is missing or no list, expected {count} elements")
    level = 1
    while data and type(data[0]) is list and level < len(shape):
        if len(data) != math.prod(shape[:level]) or any(
            type(part) is not list or len(part) != shape[level] for part in data
        ):
            raise BadRequest(f"input {name!r}: the nesting of data is not that of its shape {list(shape)}")
        data = list(chain.from_iterable(data))
        level += 1
    if len(data) != count:
        raise BadRequest(f"input {name!r}: {len(data)} elements, expected {count} for shape {list(shape)}")
    return list(data)


def _check_types(name: str, datatype: str, flat: Sequence[Any], allowed: set[type], words: str) -> None:
    if not set(map(type, flat)) <= allowed:
        index, item = next((i, item) for i, item in enumerate(flat) if type(item) not in allowed)
        raise BadRequest(f"input {name!r}: element {index} is {item!r:.80}, expected {words} for {datatype}")


def _texts(name: str, flat: list[Any]) -> Array:
    _check_types(name, "BYTES", flat, {str}, "a string")
    try:
        "".join(flat).encode()
    except UnicodeEncodeError:
        raise BadRequest(
            f"input {name!r}: a string holds half a surrogate pair, expected valid Unicode"
        ) from None
    texts = np.empty(len(flat), dtype=object)
    texts[:] = flat
    return texts


def _integers(name: str, datatype: str, flat: list[Any]) -> Array:
    _check_types(name, datatype, flat, {int}, "a whole number")
    bounds = np.iinfo(DTYPES[datatype])
    if flat and not (bounds.min <= min(flat) and max(flat) <= bounds.max):
        raise BadRequest(
            f"input {name!r}: an element is outside {bounds.min} … {bounds.max}, the range of {datatype}"
        )
    return np.array(flat, dtype=DTYPES[datatype])


def _floats(name: str, datatype: str, flat: list[Any]) -> Array:
    if not set(map(type, flat)) <= {int, float}:
        flat = [_float(name, datatype, index, item) for index, item in enumerate(flat)]
        wide = np.array(flat, dtype=np.float64)
    else:
        try:
            wide = np.array(flat, dtype=np.float64)
        except OverflowError:
            wide = np.array([math.inf])
        if not np.isfinite(wide).all():  # a literal such as 1e999
            raise BadRequest(f"input {name!r}: an element is too large for {datatype}")
    with np.errstate(over="ignore"):
        array = wide.astype(DTYPES[datatype])
    if (np.isinf(array) & np.isfinite(wide)).any():
        raise BadRequest(f"input {name!r}: an element is too large for {datatype}")
    return array


def _float(name: str, datatype: str, index: int, item: Any) -> float:
    if item is None:
        return math.nan
    if isinstance(item, str) and item in _NOT_FINITE:
        return _NOT_FINITE[item]
    try:
        if type(item) in (int, float) and math.isfinite(item):
            return float(item)
    except OverflowError:
        pass  # an int beyond every float is refused like any other element
    raise BadRequest(
        f"input {name!r}: element {index} is {item!r:.80}, expected a number, null, "
        f'"NaN", "Infinity" or "-Infinity" for {datatype}'
    )


def _split_bytes(name: str, count: int, raw: memoryview) -> list[str]:
    texts: list[str] = []
    offset = 0
    while offset < len(raw) and len(texts) < count:
        if offset + 4 > len(raw):
            break
        (length,) = struct.unpack_from("<I", raw, offset)
        offset += 4
        if length > len(raw) - offset:
            break
        try:
            texts.append(str(raw[offset : offset + length], "utf-8"))
        except UnicodeDecodeError:
            raise BadRequest(f"input {name!r}: element {len(texts)} is not UTF-8 text") from None
        offset += length
    if offset != len(raw) or len(texts) != count:
        raise BadRequest(
            f"input {name!r}: the binary data does not hold exactly {count} BYTES elements, "
            "each after its 4-byte little-endian length"
        )
    return texts


def _uniform(name: str, array: Array) -> Array:
    """Give an object array as text or, if its elements are all numbers, as numbers."""
    kinds = set(map(type, array.ravel()))
    if kinds <= {str}:
        return array
    narrow = (
        np.array(array.ravel().tolist())
        if all(issubclass(kind, (bool, int, float, np.generic)) for kind in kinds)
        else None
    )
    if narrow is None or narrow.dtype.kind not in "buif":
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise BadPrediction(
            f"{name!r} holds elements of type {names}, expected numbers, booleans or text of one kind"
        )
    return narrow.reshape(array.shape)


def _not_finite(item: float) -> str:
    return "NaN" if math.isnan(item) else "Infinity" if item > 0 else "-Infinity"
