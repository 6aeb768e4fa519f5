"""A stage's matrix: every combination of its axes, in an order that never changes.

    matrix: {model: [lr, gbm], seed: [1, 2], exclude: [{model: lr, seed: 2}], include: [{model: nn, seed: 1}]}

Combinations come in the order of the file, the first axis slowest; those of `include` follow as they stand.
Every combination gives a value to the same axes, so that each name is known in each instance.
"""

import itertools
import json
import re
from typing import Any

from relive.core.expressions import Value, text_of
from relive.core.problems import Problem, did_you_mean, shown

EXCLUDE, INCLUDE, MAX_PARALLEL = RESERVED = ("exclude", "include", "max_parallel")
MOST_COMBINATIONS = 256

_PLAIN = re.compile(r"[A-Za-z0-9._+:/@-]+")

Combination = dict[str, Value]


def combinations(matrix: dict[str, Any], where: str, problems: list[Problem]) -> list[Combination]:
    """Give all combinations of a matrix, and add what is wrong with it to `problems`.

    Args:
        matrix: Axis name → values, and the reserved names.
        where: Path of the matrix in the file, for problems.
        problems: Grows by one entry for each thing that is wrong.
    """
    axes = {name: values for name, values in matrix.items() if name not in RESERVED}
    if _too_many(axes, where, problems):
        return []
    found = (
        [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())] if axes else []
    )
    for index, pattern in enumerate(matrix.get(EXCLUDE, ())):
        kept = [one for one in found if not _fits(one, pattern)]
        if len(kept) == len(found):
            what = f"is {shown(pattern)}, which fits no combination{_unknown_axis(pattern, axes)}"
            problems.append(Problem(0, f"{where}.{EXCLUDE}[{index}]", what))
        found = kept
    found += _included(matrix, axes, where, problems)
    if not found and not problems:
        problems.append(Problem(0, where, "leaves no combination to run"))
    _find_doubles(found, where, problems)
    return found


def suffix(values: Combination) -> str:
    """Give what follows a stage's name in an instance's key: "[model=lr,seed=1]"; empty without a matrix."""
    if not values:
        return ""
    return f"[{','.join(f'{name}={_word(value)}' for name, value in values.items())}]"


def _word(value: Value) -> str:
    text = text_of(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)


def _too_many(axes: dict[str, Any], where: str, problems: list[Problem]) -> bool:
    count = 1
    for values in axes.values():
        count *= len(values)
    if count > MOST_COMBINATIONS:
        problems.append(Problem(0, where, f"has {count} combinations; expected at most {MOST_COMBINATIONS}"))
    return count > MOST_COMBINATIONS


def _fits(one: Combination, pattern: Combination) -> bool:
    return all(name in one and _same(one[name], value) for name, value in pattern.items())


def _same(one: Value, other: Value) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _included(
    matrix: dict[str, Any], axes: dict[str, Any], where: str, problems: list[Problem]
) -> list[Combination]:
    included: list[Combination] = list(matrix.get(INCLUDE, ()))
    names = list(axes) or (list(included[0]) if included else [])
    good = []
    for index, one in enumerate(included):
        missing = [name for name in names if name not in one]
        extra = [name for name in one if name not in names]
        if missing or extra:
            told = [f"no value for {name}" for name in missing] + [
                f"the unknown axis {name}" for name in extra
            ]
            what = f"is {shown(one)} with {', '.join(told)}; expected a value for each of: {', '.join(names)}"
            problems.append(Problem(0, f"{where}.{INCLUDE}[{index}]", what))
        else:
            good.append({name: one[name] for name in names})
    return good


def _unknown_axis(pattern: Combination, axes: dict[str, Any]) -> str:
    unknown = next((name for name in pattern if name not in axes), None)
    return "" if unknown is None else f": there is no axis {unknown}{did_you_mean(unknown, axes)}"


def _find_doubles(found: list[Combination], where: str, problems: list[Problem]) -> None:
    seen: set[str] = set()
    for one in found:
        key = suffix(one)
        if key in seen:
            problems.append(Problem(0, where, f"has the combination {key} twice"))
        seen.add(key)
