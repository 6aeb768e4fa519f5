"""How much of an effect each cause has: its Shapley value over the subsets of the causes.

Source: L. S. Shapley, A value for n-person games, 1953. The share of a cause is what adding it changes, in
the mean over all orders in which the causes could be added; the shares sum to the whole effect.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import factorial

from relive.core.attribution import Subset


def subsets_of(causes: Sequence[str]) -> list[Subset]:
    """Give every subset of the causes, the empty one first and the full one last."""
    return [
        frozenset(chosen) for size in range(len(causes) + 1) for chosen in combinations(sorted(causes), size)
    ]


def shares(causes: Sequence[str], values: Mapping[Subset, float]) -> dict[str, float] | None:
    """Share an effect out among its causes.

    Args:
        causes: Each once.
        values: For each subset of the causes what was measured with it.

    Returns:
        Cause to its share, in the unit of the values; None if a subset's value is not known.
    """
    if any(subset not in values for subset in subsets_of(causes)):
        return None
    found: dict[str, float] = {}
    for cause in causes:
        others = [name for name in causes if name != cause]
        found[cause] = sum(
            _orders(len(subset), len(causes)) * (values[subset | {cause}] - values[subset])
            for subset in subsets_of(others)
        )
    return found


def _orders(n_before: int, n_all: int) -> float:
    """Give the part of all orders in which exactly these come before a cause."""
    return factorial(n_before) * factorial(n_all - n_before - 1) / factorial(n_all)
