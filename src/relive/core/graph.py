"""The graph of a pipeline's stages: in which order, what may start, what never will, and how it ended.

Pure functions of the planned stages and their statuses: whoever asks twice gets the same answer, so a hub
that was killed goes on by asking again.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from relive.core.pipeline import Action, PipelineStatus, PlannedStage, StageStatus

_ACTIVE = (StageStatus.QUEUED, StageStatus.RUNNING)

Needs = Mapping[str, Iterable[str]]


def order(needs: Needs) -> list[str]:
    """Give the keys so that each comes after all it needs; otherwise in the given order.

    Keys that wait for a cycle are missing from the answer: `find_cycle` names one.
    """
    position = {key: index for index, key in enumerate(needs)}
    keys = list(needs)
    waiting = {key: set(wanted) & position.keys() for key, wanted in needs.items()}
    users: dict[str, list[str]] = {key: [] for key in keys}
    for key, wanted in waiting.items():
        for need in wanted:
            users[need].append(key)
    ready = [position[key] for key in keys if not waiting[key]]
    ordered = []
    while ready:
        key = keys[heapq.heappop(ready)]
        ordered.append(key)
        for user in users[key]:
            waiting[user].discard(key)
            if not waiting[user]:
                heapq.heappush(ready, position[user])
    return ordered


def find_cycle(needs: Needs) -> list[str]:
    """Give a loop of keys, each needing the next and the last the first again; empty if there is none."""
    done = set(order(needs))
    left = {
        key: [need for need in wanted if need in needs and need not in done] for key, wanted in needs.items()
    }
    at = next((key for key in needs if key not in done), None)
    path: list[str] = []
    while at is not None and at not in path:
        path.append(at)
        at = left[at][0]  # what is left waits for something that is left
    return [] if at is None else path[path.index(at) :]


def find_cycles(needs: Needs) -> list[list[str]]:
    """Give loops that have no key in common, until without them none is left."""
    found = []
    while cycle := find_cycle(needs):
        found.append(cycle)
        needs = {key: wanted for key, wanted in needs.items() if key not in cycle}
    return found


def transitive_needs(needs: Needs) -> dict[str, frozenset[str]]:
    """Give for each key all that must have ended well before it may start.

    The graph has no cycle.
    """
    found: dict[str, frozenset[str]] = {}
    for key in order(needs):
        direct = [need for need in needs[key] if need in needs]
        found[key] = frozenset(direct).union(*(found[need] for need in direct))
    return {key: found[key] for key in needs}


def needs_of(nodes: Iterable[PlannedStage]) -> dict[str, tuple[str, ...]]:
    """Give the graph of planned stages."""
    return {node.key: node.needs for node in nodes}


def descendants(nodes: Sequence[PlannedStage], name: str) -> frozenset[str]:
    """Give the keys of a stage (by key or name) and of all that build on it: what a re-run repeats."""
    start = {node.key for node in nodes if name in (node.key, node.name)}
    above = transitive_needs(needs_of(nodes))
    return frozenset(start.union(key for key, needs in above.items() if start & needs))


def ready(nodes: Sequence[PlannedStage], statuses: Mapping[str, StageStatus]) -> tuple[str, ...]:
    """Give the keys of waiting stages that may start now, in the graph's order.

    A matrix stage starts no more instances than its `max_parallel` allows beside those that run.
    """
    busy = Counter(_group(node) for node in nodes if statuses[node.key] in _ACTIVE)
    starting = []
    for node in nodes:
        is_waiting = statuses[node.key] is StageStatus.WAITING and not node.skip
        if not is_waiting or not all(statuses[need].is_good for need in node.needs):
            continue
        if node.max_parallel is not None and busy[_group(node)] >= node.max_parallel:
            continue
        busy[_group(node)] += 1
        starting.append(node.key)
    return tuple(starting)


def blocked(nodes: Sequence[PlannedStage], statuses: Mapping[str, StageStatus]) -> dict[str, str]:
    """Give the waiting stages that can never start, each with a sentence that names what stopped it."""
    by_key = {node.key: node for node in nodes}
    roots: dict[str, str] = {}  # what will not end well → the stage where that began
    found: dict[str, str] = {}
    for key in order(needs_of(nodes)):
        node, status = by_key[key], statuses[key]
        stopper = next((need for need in node.needs if need in roots), None)
        if node.skip or status in (StageStatus.FAILED, StageStatus.CANCELLED):
            roots[key] = key
        elif status in (StageStatus.WAITING, StageStatus.SKIPPED) and stopper is not None:
            roots[key] = roots[stopper]
        elif status is StageStatus.SKIPPED:
            roots[key] = key
        if status is StageStatus.WAITING and key in roots:
            found[key] = node.skip or _why(roots[key], statuses[roots[key]], stopper)
    return found


def outcome(nodes: Sequence[PlannedStage], statuses: Mapping[str, StageStatus]) -> PipelineStatus:
    """Say where a pipeline with these stages stands.

    While a stage is not final: RUNNING if anything has begun, else QUEUED. At the end CANCELLED if somebody
    cancelled a stage; FAILED if a stage failed; GATED if only gates failed; else SUCCEEDED.
    """
    values = {statuses[node.key] for node in nodes}
    if not all(status.is_final for status in values):
        has_begun = values - {StageStatus.WAITING, StageStatus.QUEUED, StageStatus.SKIPPED}
        return PipelineStatus.RUNNING if has_begun else PipelineStatus.QUEUED
    if StageStatus.CANCELLED in values:
        return PipelineStatus.CANCELLED
    failed = {node.action for node in nodes if statuses[node.key] is StageStatus.FAILED}
    if failed - {Action.GATE}:
        return PipelineStatus.FAILED
    return PipelineStatus.GATED if failed else PipelineStatus.SUCCEEDED


def _group(node: PlannedStage) -> tuple[str, Action]:
    return node.name, node.action


def _why(root: str, status: StageStatus, stopper: str | None) -> str:
    what = {StageStatus.FAILED: "failed", StageStatus.CANCELLED: "was cancelled"}.get(status, "was skipped")
    return f"{root} {what}" if stopper in (root, None) else f"{root} {what}, so {stopper} did not run"
