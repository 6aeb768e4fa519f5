"""Graphs as templates draw them: boxes with two lines of text, and curves between them."""

from collections.abc import Sequence

import msgspec

from relive.hub.web.graphlayout import Curve, Shape, lay_out
from relive.hub.web.marks import Mark
from relive.hub.web.words import clip, clip_middle
from relive.wire.hub import Lineage

_LETTERS = 17
_KINDS = {
    "commit": Mark("◇", "commit", "quiet"),
    "data": Mark("▤", "data", "quiet"),
    "run": Mark("▷", "run", "busy"),
    "model_version": Mark("◆", "model version", "good"),
    "endpoint": Mark("▲", "endpoint", "good"),
}


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be drawn: `label` above, `detail` below, all of it in `title`."""

    id: str
    label: str
    detail: str
    title: str
    mark: Mark
    url: str = ""
    focus: bool = False


class Drawn(msgspec.Struct, frozen=True, kw_only=True):
    """A node with its place."""

    node: Node
    label: str
    detail: str
    x: float
    y: float


class Graph(msgspec.Struct, frozen=True, kw_only=True):
    """A drawing.

    Attributes:
        list: The same in words: a node and what it needs.
    """

    width: float
    height: float
    box_width: float
    box_height: float
    nodes: tuple[Drawn, ...]
    curves: tuple[Curve, ...]
    label: str
    list: tuple[tuple[Node, tuple[str, ...]], ...]


def draw(nodes: Sequence[Node], edges: Sequence[tuple[str, str]], label: str) -> Graph:
    """Draw nodes and edges from left to right."""
    shape = Shape()
    layout = lay_out([node.id for node in nodes], edges, shape)
    names = {node.id: node.label for node in nodes}
    return Graph(
        width=layout.width,
        height=layout.height,
        box_width=shape.width,
        box_height=shape.height,
        nodes=tuple(
            Drawn(
                node=node,
                label=clip_middle(node.label, _LETTERS - 2),
                detail=clip(node.detail, _LETTERS + 2),
                x=layout.boxes[node.id].x,
                y=layout.boxes[node.id].y,
            )
            for node in nodes
        ),
        curves=layout.curves,
        label=label,
        list=tuple(
            (node, tuple(names[source] for source, target in edges if target == node.id)) for node in nodes
        ),
    )


def draw_lineage(lineage: Lineage, focus: str, label: str) -> Graph:
    """Draw a lineage; `focus` is the id of the node it is asked for."""
    nodes = [
        Node(
            id=item.id,
            label=item.label,
            detail=item.detail,
            title=f"{_KINDS[item.kind].word} {item.label}, {item.detail}",
            mark=_KINDS[item.kind],
            url=item.url,
            focus=item.id == focus,
        )
        for item in lineage.nodes
    ]
    return draw(nodes, lineage.edges, label)
