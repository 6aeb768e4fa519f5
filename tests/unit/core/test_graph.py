"""Nothing starts before its needs, a failure stops exactly what builds on it, and everything ends."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.core.graph import (
    blocked,
    descendants,
    find_cycle,
    find_cycles,
    order,
    outcome,
    ready,
    transitive_needs,
)
from relive.core.pipeline import Action, PipelineStatus, PlannedStage, StageSpec, StageStatus

GOOD = (StageStatus.SUCCEEDED, StageStatus.CACHED)


def node(key: str, *needs: str, action: Action = Action.RUN, **fields: Any) -> PlannedStage:
    """Make a node; its stage's name is what stands before a bracket."""
    name = key.split("[", maxsplit=1)[0].split(":", maxsplit=1)[0]
    spec = StageSpec(name=name)
    return PlannedStage(key=key, name=name, action=action, spec=spec, needs=needs, **fields)


def waiting(nodes: Sequence[PlannedStage], **others: StageStatus) -> dict[str, StageStatus]:
    """Give every node's status: WAITING but for those named."""
    return {item.key: StageStatus.WAITING for item in nodes} | others


CHAIN = (node("a"), node("b", "a"), node("c", "b"))


def test_order_keeps_the_given_order_where_needs_allow_it():
    assert order({"c": ["a"], "b": [], "a": []}) == ["b", "a", "c"]
    assert order({"a": [], "b": [], "c": []}) == ["a", "b", "c"]


def test_order_leaves_out_what_waits_for_a_cycle():
    assert order({"a": [], "b": ["c"], "c": ["b"], "d": ["c"]}) == ["a"]


def test_a_cycle_is_given_in_full():
    assert find_cycle({"x": ["a"], "a": ["b"], "b": ["c"], "c": ["a"]}) == ["a", "b", "c"]
    assert find_cycle({"a": ["a"]}) == ["a"]
    assert find_cycle({"a": [], "b": ["a"]}) == []


def test_each_cycle_is_given_once():
    assert find_cycles({"a": ["b"], "b": ["a"], "c": ["c"], "d": []}) == [["a", "b"], ["c"]]


def test_transitive_needs():
    assert transitive_needs({"a": [], "b": ["a"], "c": ["b"], "d": ["a", "elsewhere"]}) == {
        "a": frozenset(),
        "b": {"a"},
        "c": {"a", "b"},
        "d": {"a"},
    }


def test_descendants_by_key_and_by_name():
    nodes = (node("t[s=1]"), node("t[s=2]"), node("e", "t[s=1]"), node("x"))
    assert descendants(nodes, "t") == {"t[s=1]", "t[s=2]", "e"}
    assert descendants(nodes, "t[s=2]") == {"t[s=2]"}
    assert descendants(nodes, "nothing") == frozenset()


def test_only_what_needs_nothing_starts_first():
    assert ready(CHAIN, waiting(CHAIN)) == ("a",)
    assert ready(CHAIN, waiting(CHAIN, a=StageStatus.CACHED)) == ("b",)
    assert ready(CHAIN, waiting(CHAIN, a=StageStatus.RUNNING)) == ()


def test_a_matrix_starts_no_more_than_it_may():
    nodes = (*(node(f"t[s={index}]", max_parallel=2) for index in range(4)), node("x"))
    assert ready(nodes, waiting(nodes)) == ("t[s=0]", "t[s=1]", "x")
    running = waiting(nodes, **{"t[s=0]": StageStatus.RUNNING})
    assert ready(nodes, running) == ("t[s=1]", "x")
    full = running | {"t[s=3]": StageStatus.QUEUED}
    assert ready(nodes, full) == ("x",)
    done = full | {"t[s=0]": StageStatus.FAILED}
    assert ready(nodes, done) == ("t[s=1]", "x")


def test_a_skipped_stage_never_starts():
    nodes = (node("a", skip="its condition does not hold"), node("b", "a"))
    assert ready(nodes, waiting(nodes)) == ()
    assert blocked(nodes, waiting(nodes)) == {"a": "its condition does not hold", "b": "a was skipped"}


@pytest.mark.parametrize(
    ("status", "first", "second"),
    [
        (StageStatus.FAILED, "a failed", "a failed, so b did not run"),
        (StageStatus.CANCELLED, "a was cancelled", "a was cancelled, so b did not run"),
        (StageStatus.SKIPPED, "a was skipped", "a was skipped, so b did not run"),
    ],
)
def test_the_reason_names_where_it_began(status, first, second):
    assert blocked(CHAIN, waiting(CHAIN, a=status)) == {"b": first, "c": second}
    # The same, if the hub was killed after the first of the two was written.
    assert blocked(CHAIN, waiting(CHAIN, a=status, b=StageStatus.SKIPPED)) == {"c": second}


def test_what_ended_well_is_not_blocked():
    assert blocked(CHAIN, waiting(CHAIN, a=StageStatus.FAILED, b=StageStatus.SUCCEEDED)) == {}


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ({}, PipelineStatus.QUEUED),
        ({"run": StageStatus.QUEUED}, PipelineStatus.QUEUED),
        ({"run": StageStatus.RUNNING}, PipelineStatus.RUNNING),
        ({"run": StageStatus.CACHED}, PipelineStatus.RUNNING),
        ({"run": StageStatus.SUCCEEDED, "gate": StageStatus.CACHED}, PipelineStatus.SUCCEEDED),
        ({"run": StageStatus.SUCCEEDED, "gate": StageStatus.SKIPPED}, PipelineStatus.SUCCEEDED),
        ({"run": StageStatus.SUCCEEDED, "gate": StageStatus.FAILED}, PipelineStatus.GATED),
        ({"run": StageStatus.FAILED, "gate": StageStatus.SKIPPED}, PipelineStatus.FAILED),
        ({"run": StageStatus.FAILED, "gate": StageStatus.FAILED}, PipelineStatus.FAILED),
        ({"run": StageStatus.FAILED, "gate": StageStatus.CANCELLED}, PipelineStatus.CANCELLED),
        ({"run": StageStatus.FAILED}, PipelineStatus.RUNNING),
    ],
)
def test_outcome(statuses, expected):
    nodes = (node("run"), node("gate", "run", action=Action.GATE))
    assert outcome(nodes, waiting(nodes, **statuses)) is expected


@st.composite
def graphs(draw):
    """Draw an acyclic graph in a mixed order; some stages are skipped, some are gates or instances."""
    size = draw(st.integers(1, 12))
    nodes = []
    for index in range(size):
        needs = draw(st.sets(st.integers(0, index - 1), max_size=3)) if index else set()
        nodes.append(
            node(
                f"s{index}",
                *(f"s{need}" for need in sorted(needs)),
                action=draw(st.sampled_from([Action.RUN, Action.GATE])),
                skip=draw(st.sampled_from(["", "", "", "its condition does not hold"])),
                max_parallel=draw(st.sampled_from([None, 1])),
            )
        )
    return tuple(draw(st.permutations(nodes)))


def play(
    nodes: Sequence[PlannedStage], ends: dict[str, StageStatus]
) -> tuple[dict[str, StageStatus], dict[str, int], dict[str, int]]:
    """Execute a graph as the hub does; give the statuses, and when each stage began and ended."""
    statuses = waiting(nodes)
    began: dict[str, int] = {}
    ended: dict[str, int] = {}
    clock = 0
    for _ in range(4 * len(nodes) + 4):
        statuses |= dict.fromkeys(blocked(nodes, statuses), StageStatus.SKIPPED)
        for key in ready(nodes, statuses):
            clock += 1
            statuses[key], began[key] = StageStatus.RUNNING, clock
        running = [key for key, status in statuses.items() if status is StageStatus.RUNNING]
        if not running:
            break
        clock += 1
        statuses[running[-1]], ended[running[-1]] = ends[running[-1]], clock
    return statuses, began, ended


@given(graphs(), st.data())
def test_every_execution_ends_and_a_failure_stops_exactly_what_builds_on_it(nodes, data):
    final = st.sampled_from([*GOOD, StageStatus.SUCCEEDED, StageStatus.FAILED, StageStatus.CANCELLED])
    ends = {item.key: data.draw(final) for item in nodes}
    statuses, began, ended = play(nodes, ends)

    assert all(status.is_final for status in statuses.values())
    for item in nodes:
        for need in item.needs:
            assert item.key not in began or ended[need] < began[item.key]
    above = transitive_needs({item.key: item.needs for item in nodes})
    by_key = {item.key: item for item in nodes}
    for key, item in by_key.items():
        doomed = bool(item.skip) or any(by_key[up].skip or ends[up] not in GOOD for up in above[key])
        assert statuses[key] is (StageStatus.SKIPPED if doomed else ends[key])
    assert outcome(nodes, statuses).is_final


@given(graphs())
def test_a_graph_without_cycles_is_ordered_whole(nodes):
    needs = {item.key: item.needs for item in nodes}
    ordered = order(needs)
    assert sorted(ordered) == sorted(needs)
    assert all(ordered.index(need) < ordered.index(key) for key in needs for need in needs[key])
    assert find_cycle(needs) == []


@given(st.dictionaries(st.sampled_from("abcdefg"), st.lists(st.sampled_from("abcdefg"), max_size=3)))
def test_a_cycle_that_is_told_is_one_and_is_told_exactly_if_there_is_one(needs):
    cycle = find_cycle(needs)
    assert bool(cycle) == (len(order(needs)) < len(needs))
    for key, following in zip(cycle, [*cycle[1:], *cycle[:1]], strict=True):
        assert following in needs[key]
