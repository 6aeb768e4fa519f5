"""Lays out a directed graph without cycles in columns, edges running from left to right.

Source: the layered method of Sugiyama, Tagawa and Toda (1981): longest-path layers, places for long edges
in the layers they cross, barycentre ordering; heights by isotonic regression, which moves boxes as little as
their distances allow. Graphs here have tens of nodes: simple passes are enough.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from operator import attrgetter
from typing import Final

import msgspec

from relive.core.graph import order, transitive_needs

_SWEEPS: Final = 6
_LANE_HEIGHT: Final = 14.0


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes in pixels: of a box, and what is kept free between boxes."""

    width: float = 142.0
    height: float = 46.0
    gap_x: float = 32.0
    gap_y: float = 16.0
    margin: float = 4.0


class Box(msgspec.Struct, frozen=True, kw_only=True):
    """Where a node is drawn: its upper left corner."""

    x: float
    y: float
    layer: int


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """An edge; `path` is the `d` of an SVG path."""

    source: str
    target: str
    path: str


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """A drawing of a graph."""

    width: float
    height: float
    boxes: dict[str, Box]
    curves: tuple[Curve, ...]


class _Place(msgspec.Struct):
    """A node, or the lane of a long edge in a layer that it crosses."""

    key: str
    layer: int
    height: float
    before: list["_Place"] = []
    after: list["_Place"] = []
    rank: float = 0.0
    middle: float = 0.0


def lay_out(nodes: Sequence[str], edges: Iterable[tuple[str, str]], shape: Shape | None = None) -> Layout:
    """Place every node, and draw every edge.

    Args:
        nodes: Ids; their order decides where the graph does not.
        edges: (source, target); those naming an unknown node, and those of a loop, are left out.
        shape: Sizes.
    """
    shape = shape or Shape()
    there = set(nodes)
    known = [edge for edge in dict.fromkeys(edges) if edge[0] in there and edge[1] in there]
    layers = layers_of(nodes, known)
    known = [edge for edge in known if layers[edge[0]] < layers[edge[1]]]
    places = {key: _Place(key=key, layer=layers[key], height=shape.height) for key in nodes}
    chains = {edge: _chain(places[edge[0]], places[edge[1]]) for edge in known}
    columns = _columns([*places.values(), *(lane for chain in chains.values() for lane in chain[1:-1])])
    _order(columns)
    _settle(columns, shape.gap_y)
    top = min((place.middle - place.height / 2 for column in columns for place in column), default=0.0)
    for column in columns:
        for place in column:
            place.middle += shape.margin - top
    boxes = {
        key: Box(x=_left(place.layer, shape), y=round(place.middle - shape.height / 2, 1), layer=place.layer)
        for key, place in places.items()
    }
    bottom = max((place.middle + place.height / 2 for column in columns for place in column), default=0.0)
    return Layout(
        width=_left(max(len(columns), 1), shape) - shape.gap_x + shape.margin,
        height=round(bottom + shape.margin, 1),
        boxes=boxes,
        curves=tuple(
            Curve(source=edge[0], target=edge[1], path=_path(chain, shape)) for edge, chain in chains.items()
        ),
    )


def layers_of(nodes: Sequence[str], edges: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Give each node the length of the longest way to it; 0 for the nodes of a loop and behind one."""
    before: dict[str, list[str]] = {key: [] for key in nodes}
    for source, target in edges:
        before[target].append(source)
    found: dict[str, int] = {}
    for key in order(before):
        found[key] = max((found[source] + 1 for source in before[key]), default=0)
    return {key: found.get(key, 0) for key in nodes}


def reduce_edges(needs: Mapping[str, Iterable[str]]) -> list[tuple[str, str]]:
    """Give the edges (need, node) without those that a longer way says already."""
    above = transitive_needs(needs)
    edges = []
    for key, wanted in needs.items():
        direct = [need for need in dict.fromkeys(wanted) if need in needs]
        edges += [(need, key) for need in direct if not any(need in above[other] for other in direct)]
    return edges


def _chain(source: _Place, target: _Place) -> list[_Place]:
    """Give the places an edge goes through, joined to one another."""
    lanes = [
        _Place(key=f"{source.key}\0{target.key}", layer=layer, height=_LANE_HEIGHT)
        for layer in range(source.layer + 1, target.layer)
    ]
    chain = [source, *lanes, target]
    for left, right in pairwise(chain):
        left.after.append(right)
        right.before.append(left)
    return chain


def _columns(places: Iterable[_Place]) -> list[list[_Place]]:
    columns: dict[int, list[_Place]] = {}
    for place in places:
        columns.setdefault(place.layer, []).append(place)
    ordered = [columns[layer] for layer in sorted(columns)]
    for column in ordered:
        _number(column)
    return ordered


def _order(columns: list[list[_Place]]) -> None:
    """Bring the places of each column into the order of what they are joined to, back and forth."""
    for sweep in range(_SWEEPS):
        for column in columns if sweep % 2 == 0 else reversed(columns):
            column.sort(key=_BEFORE_BY_RANK if sweep % 2 == 0 else _AFTER_BY_RANK)
            _number(column)


def _settle(columns: list[list[_Place]], gap: float) -> None:
    """Give every place its height: near what it is joined to, never nearer than `gap` to its neighbours."""
    for column in columns:
        _spread(column, [0.0] * len(column), gap)
    for sweep in range(_SWEEPS):
        wish = _BEFORE_BY_HEIGHT if sweep % 2 == 0 else _AFTER_BY_HEIGHT
        for column in columns if sweep % 2 == 0 else reversed(columns):
            _spread(column, [wish(place) for place in column], gap)


def _spread(column: list[_Place], wishes: list[float], gap: float) -> None:
    """Fulfil wishes as well as the distances allow: least squares under an order, by pooling neighbours."""
    offsets, offset = [], 0.0
    for index, place in enumerate(column):
        if index:
            offset += (column[index - 1].height + place.height) / 2 + gap
        offsets.append(offset)
    blocks: list[tuple[float, int]] = []  # (mean, count)
    for wish, shift in zip(wishes, offsets, strict=True):
        mean, size = wish - shift, 1
        while blocks and blocks[-1][0] > mean:
            last, count = blocks.pop()
            mean, size = (last * count + mean * size) / (count + size), count + size
        blocks.append((mean, size))
    means = [mean for mean, size in blocks for _ in range(size)]
    for place, mean, shift in zip(column, means, offsets, strict=True):
        place.middle = mean + shift


def _mean(
    joined: Callable[[_Place], list[_Place]], value: Callable[[_Place], float]
) -> Callable[[_Place], float]:
    """Give a function: the mean value of what a place is joined to, or its own value if it stands alone."""

    def mean(place: _Place) -> float:
        others = joined(place)
        return sum(map(value, others)) / len(others) if others else value(place)

    return mean


_BEFORE_BY_RANK = _mean(attrgetter("before"), attrgetter("rank"))
_AFTER_BY_RANK = _mean(attrgetter("after"), attrgetter("rank"))
_BEFORE_BY_HEIGHT = _mean(attrgetter("before"), attrgetter("middle"))
_AFTER_BY_HEIGHT = _mean(attrgetter("after"), attrgetter("middle"))


def _number(column: list[_Place]) -> None:
    for rank, place in enumerate(column):
        place.rank = (rank + 0.5) / len(column)


def _left(layer: int, shape: Shape) -> float:
    return shape.margin + layer * (shape.width + shape.gap_x)


def _path(chain: list[_Place], shape: Shape) -> str:
    parts = [f"M{_left(chain[0].layer, shape) + shape.width:g} {chain[0].middle:.1f}"]
    for left, right in pairwise(chain):
        x1, x2 = _left(left.layer, shape) + shape.width, _left(right.layer, shape)
        bend = (x2 - x1) / 2
        parts.append(
            f"C{x1 + bend:g} {left.middle:.1f} {x2 - bend:g} {right.middle:.1f} {x2:g} {right.middle:.1f}"
        )
        if right is not chain[-1]:
            parts.append(f"H{x2 + shape.width:g}")
    return "".join(parts)
