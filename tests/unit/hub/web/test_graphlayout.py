"""Drawing graphs: boxes never overlap, edges run to the right, nothing is lost."""

import re

from hypothesis import given
from hypothesis import strategies as st

from relive.hub.web.graphlayout import Layout, Shape, lay_out, layers_of, reduce_edges

SHAPE = Shape()
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


@st.composite
def graphs(draw):
    """A graph without cycles: edges lead from earlier nodes to later ones."""
    count = draw(st.integers(1, 18))
    nodes = [f"n{index}" for index in range(count)]
    pairs = [(a, b) for b in range(count) for a in range(b)]
    chosen = draw(st.lists(st.sampled_from(pairs), max_size=40)) if pairs else []
    return nodes, [(nodes[a], nodes[b]) for a, b in chosen]


def overlaps(layout: Layout) -> list[tuple[str, str]]:
    items = sorted(layout.boxes.items())
    return [
        (one, other)
        for index, (one, a) in enumerate(items)
        for other, b in items[index + 1 :]
        if abs(a.x - b.x) < SHAPE.width and abs(a.y - b.y) < SHAPE.height
    ]


@given(graphs())
def test_boxes_never_overlap_and_lie_in_the_drawing(graph):
    layout = lay_out(*graph)
    assert set(layout.boxes) == set(graph[0])
    assert overlaps(layout) == []
    for box in layout.boxes.values():
        assert 0 <= box.x <= layout.width - SHAPE.width
        assert 0 <= box.y <= layout.height - SHAPE.height


@given(graphs())
def test_every_edge_is_drawn_once_and_runs_to_the_right(graph):
    nodes, edges = graph
    layout = lay_out(nodes, edges)
    assert sorted((curve.source, curve.target) for curve in layout.curves) == sorted(set(edges))
    for curve in layout.curves:
        source, target = layout.boxes[curve.source], layout.boxes[curve.target]
        assert source.x + SHAPE.width < target.x
        first = [float(text) for text in _NUMBER.findall(curve.path)][:2]
        assert first[0] == source.x + SHAPE.width
        assert abs(first[1] - (source.y + SHAPE.height / 2)) < 0.2


@given(graphs())
def test_no_edge_crosses_a_box_it_does_not_belong_to(graph):
    layout = lay_out(*graph)
    for curve in layout.curves:
        # The straight parts of a long edge lie in lanes: `H` to the right at the height before it.
        for lane in re.finditer(r"([\d.-]+) ([\d.-]+)H([\d.-]+)", curve.path):
            left, height, right = (float(text) for text in lane.groups())
            for key, box in layout.boxes.items():
                inside = (
                    box.y < height < box.y + SHAPE.height and left < box.x + SHAPE.width and box.x < right
                )
                assert not inside, (curve, key)


@given(graphs())
def test_a_node_stands_right_of_all_it_needs(graph):
    nodes, edges = graph
    layers = layers_of(nodes, edges)
    assert all(layers[source] < layers[target] for source, target in edges)
    assert {layers[node] for node in nodes if all(target != node for _, target in edges)} == {0}


@given(graphs())
def test_the_same_graph_is_drawn_the_same(graph):
    assert lay_out(*graph) == lay_out(*graph)


@given(graphs())
def test_reducing_keeps_what_reaches_what(graph):
    nodes, edges = graph
    needs = {node: [source for source, target in edges if target == node] for node in nodes}
    fewer = reduce_edges(needs)
    assert set(fewer) <= set(edges)
    assert reach(nodes, fewer) == reach(nodes, edges)


def test_an_edge_that_a_longer_way_says_already_is_left_out():
    needs = {"env": [], "test": ["env"], "train": ["env", "test"]}
    assert reduce_edges(needs) == [("env", "test"), ("test", "train")]


def test_a_loop_and_unknown_nodes_are_drawn_without_their_edges():
    layout = lay_out(["a", "b", "c"], [("a", "b"), ("b", "a"), ("a", "nowhere"), ("a", "c")])
    assert set(layout.boxes) == {"a", "b", "c"}
    assert overlaps(layout) == []


def test_a_drawing_of_nothing_and_of_one():
    assert lay_out([], []).boxes == {}
    one = lay_out(["only"], [])
    assert (one.width, one.height) == (SHAPE.width + 2 * SHAPE.margin, SHAPE.height + 2 * SHAPE.margin)


def test_a_chain_is_one_straight_line():
    layout = lay_out(["a", "b", "c"], [("a", "b"), ("b", "c")])
    assert len({box.y for box in layout.boxes.values()}) == 1


def reach(nodes: list[str], edges: list[tuple[str, str]]) -> dict[str, set[str]]:
    """Give for each node all that leads to it."""
    found = {node: {node} for node in nodes}
    for _ in nodes:
        for source, target in edges:
            found[target] |= found[source]
    return found
