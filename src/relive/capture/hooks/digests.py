"""Digests of arrays, tensors, tables and fitted objects: equal values give equal digests in every process.

BLAKE2b of 8 bytes over type, shape and raw bytes. Never over a pickle: pickles differ with the identity of
their strings and the version of the package, while the learned values are the same.
"""

from __future__ import annotations

import ctypes
import hashlib
import re
import struct
import sys
from collections.abc import Mapping
from typing import Any

DIGEST_BYTES = 8
DEEPEST = 12

_PRIMITIVES = frozenset((bool, int, float, str, bytes, type(None)))
_TIME = re.compile(r"(^|_)times?(_|$)")
_DURATION = re.compile(r"(^|_)(times?|dur|durations?|elapsed)(_|$)")
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def digest_of(value: Any) -> str:
    """Give the digest of a value, 16 hexadecimal digits."""
    digest = _Digest()
    digest.feed(value, 0)
    return digest.hash.hexdigest()


def digest_of_parts(*parts: Any) -> str:
    """Give one digest of several values."""
    return digest_of(parts)


def describe(value: Any) -> str:
    """Give a value's repr without memory addresses, which differ from run to run."""
    return _ADDRESS.sub("", repr(value))


class Learned:
    """What a fit left: the moments and durations that lie somewhere within it are not digested.

    A net holds how long each epoch took, a callback when it began: numbers that are never the same twice.
    """

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class _Digest:
    def __init__(self) -> None:
        self.hash = hashlib.blake2b(digest_size=DIGEST_BYTES)
        self._open: set[int] = set()  # what is being digested: an object may hold itself
        self._is_learned = False

    def text(self, text: str) -> None:
        data = text.encode("utf-8", "surrogatepass")
        self.hash.update(struct.pack("<q", len(data)))
        self.hash.update(data)

    def feed(self, value: Any, depth: int) -> None:
        if type(value) is Learned:
            was, self._is_learned = self._is_learned, True
            self.feed(value.value, depth)
            self._is_learned = was
        elif type(value) in _PRIMITIVES:
            self.text(f"{type(value).__name__}:{value!r}")
        elif depth > DEEPEST or id(value) in self._open:
            self.text(type(value).__qualname__)
        else:
            self._open.add(id(value))
            self._compound(value, depth + 1)
            self._open.discard(id(value))

    def _compound(self, value: Any, depth: int) -> None:
        numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
        if numpy is not None and isinstance(value, numpy.ndarray):
            self._array(numpy, value, depth)
        elif numpy is not None and isinstance(value, numpy.generic):
            self._array(numpy, numpy.asarray(value), depth)
        elif torch is not None and isinstance(value, torch.Tensor):
            self._tensor(torch, value, depth)
        elif isinstance(value, Mapping):
            items = [pair for pair in value.items() if not (self._is_learned and _is_a_time(*pair))]
            self._items("mapping", [part for pair in items for part in pair], depth)
        elif isinstance(value, (list, tuple)):
            self._items("sequence", value, depth)
        elif isinstance(value, (set, frozenset)):
            self._items("set", sorted(map(describe, value)), depth)
        elif hasattr(value, "indptr") and hasattr(value, "indices"):
            self._items("sparse", (tuple(value.shape), value.indptr, value.indices, value.data), depth)
        elif hasattr(value, "to_numpy"):
            self._table(value, depth)
        else:
            self._object(value, depth)

    def _items(self, kind: str, items: Any, depth: int) -> None:
        self.text(f"{kind}:{len(items)}")
        if _PRIMITIVES.issuperset(map(type, items)):
            self.text(repr(tuple(items)))  # one pass in C: columns of text have millions of elements
        else:
            for item in items:
                self.feed(item, depth)

    def _array(self, numpy: Any, array: Any, depth: int) -> None:
        self.text(f"array:{array.dtype.str}:{tuple(array.shape)}")
        if array.dtype.names:
            # By field: the bytes between fields are whatever the memory held.
            for name in array.dtype.names:
                self.text(name)
                self._array(numpy, array[name], depth)
        elif array.dtype.hasobject:
            self._items("objects", array.ravel().tolist(), depth)
        elif array.size:
            self.hash.update(numpy.ascontiguousarray(array).reshape(-1).view("u1"))

    def _tensor(self, torch: Any, tensor: Any, depth: int) -> None:
        tensor = tensor.detach()
        self.text(f"tensor:{tensor.dtype}:{tuple(tensor.shape)}")
        if tensor.layout != torch.strided:
            tensor = tensor.cpu().coalesce()
            self._items("sparse", (tensor.indices(), tensor.values()), depth)
        elif tensor.numel():
            # By address: no NumPy is needed, and types that NumPy does not know (bfloat16) work as well.
            kept = tensor.cpu().contiguous().resolve_conj().resolve_neg()
            n_bytes = kept.numel() * kept.element_size()
            self.hash.update((ctypes.c_ubyte * n_bytes).from_address(kept.data_ptr()))

    def _table(self, table: Any, depth: int) -> None:
        columns = getattr(table, "columns", None)
        if columns is None:
            self._items("column", (str(getattr(table, "name", "")), table.to_numpy()), depth)
            return
        names = list(columns)
        self._items("table", list(map(str, names)), depth)
        for name in names:
            column = table[name]
            # Two columns of one name come back as a table of their own.
            self.feed(column.to_numpy() if hasattr(column, "to_numpy") else column, depth)

    def _object(self, value: Any, depth: int) -> None:
        kind = type(value)
        self.text(f"{kind.__module__}.{kind.__qualname__}")
        if isinstance(value, type) or (callable(value) and hasattr(value, "__qualname__")):
            self.text(f"{value.__module__}.{value.__qualname__}")
            return
        state = state_of(value)
        if state is not None:
            self.feed(state, depth)


def state_of(value: Any) -> Any:
    """Give what an object has learned or holds: an estimator's fitted attributes, else its state, or None."""
    attributes = getattr(value, "__dict__", None)
    if attributes and hasattr(value, "get_params") and hasattr(value, "fit"):
        return Learned(fitted(value))
    if attributes:
        return {name: item for name, item in sorted(attributes.items()) if not name.startswith("__")}
    get_state = getattr(type(value), "__getstate__", None)
    if get_state is not None and get_state is not getattr(object, "__getstate__", None):
        return get_state(value)
    return None


def fitted(estimator: Any) -> dict[str, Any]:
    """Give the fitted attributes of an estimator by name: those that end with an underscore.

    Durations are left out, also those within a mapping such as `cv_results_`: they are never the same twice.
    """
    return {
        name: _without_times(value)
        for name, value in sorted(vars(estimator).items())
        if _is_fitted(name) and not _TIME.search(name)
    }


def _is_fitted(name: str) -> bool:
    # Histogram gradient boosting keeps its trees under a private name only.
    return (name.endswith("_") and not name.startswith("_")) or name == "_predictors"


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: item for key, item in value.items() if not (isinstance(key, str) and _TIME.search(key))}
    return value


def _is_a_time(name: Any, value: Any) -> bool:
    """Tell whether what lies within a learned state is a moment or a duration; arrays are none."""
    return isinstance(value, float) and isinstance(name, str) and bool(_DURATION.search(name))
