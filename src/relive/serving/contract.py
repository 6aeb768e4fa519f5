"""The contract test: a served model must give the predictions that were recorded at its registration.

Both sides are inference responses with JSON data, in which every float reads back as the same bits. Whole
numbers, booleans and text must be equal. Floats must be equal, or within a relative 1e-6 (1e-8 absolute
near zero; FP16: a relative 2e-3), because another processor may add in another order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from .faults import ContractBroken

FILE_NAME = "expected.json"
RELATIVE_TOLERANCE = {"FP16": 2e-3, "FP32": 1e-6, "FP64": 1e-6}
ABSOLUTE_TOLERANCE = 1e-8


@dataclass(frozen=True)
class Agreement:
    """How well predictions agree; `largest` is the largest relative difference, 0.0 if exact."""

    values: int
    largest: float

    @property
    def exact(self) -> bool:
        """Tell whether every value is the recorded one."""
        return self.largest == 0.0


def compare(expected: dict[str, Any], actual: dict[str, Any]) -> Agreement:
    """Compare two inference responses.

    Raises:
        ContractBroken: An output is absent, of another datatype or shape, or a value differs too much;
            names the output, the element, and both values.
    """
    given = {output.get("name"): output for output in actual.get("outputs", [])}
    values, largest = 0, 0.0
    for output in expected["outputs"]:
        name = output["name"]
        if name not in given:
            raise ContractBroken(f"output {name!r} is absent; the model gave {sorted(map(str, given))}")
        _compare_kind(output, given[name])
        tolerance = RELATIVE_TOLERANCE.get(output["datatype"])
        for index, (left, right) in enumerate(zip(output["data"], given[name]["data"])):
            largest = max(largest, _difference(name, index, left, right, tolerance))
        values += len(output["data"])
    return Agreement(values=values, largest=largest)


def _compare_kind(expected: dict[str, Any], actual: dict[str, Any]) -> None:
    for part in ("datatype", "shape"):
        if expected[part] != actual.get(part):
            raise ContractBroken(
                f"output {expected['name']!r}: {part} is {actual.get(part)}, recorded was {expected[part]}"
            )
    given, recorded = len(actual.get("data", [])), len(expected["data"])
    if given != recorded:
        raise ContractBroken(f"output {expected['name']!r}: {given} values, recorded were {recorded}")


def _difference(name: str, index: int, left: Any, right: Any, tolerance: float | None) -> float:
    if left == right:
        return 0.0
    numbers = all(type(value) in (int, float) for value in (left, right))
    if (
        tolerance is None
        or not numbers
        or not math.isclose(left, right, rel_tol=tolerance, abs_tol=ABSOLUTE_TOLERANCE)
    ):
        within = f" (tolerance: relative {tolerance:g})" if tolerance is not None else ""
        raise ContractBroken(
            f"output {name!r}, element {index}: {right!r:.80}, recorded was {left!r:.80}{within}"
        )
    return float(abs(left - right) / max(abs(left), abs(right)))
