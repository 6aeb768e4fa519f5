"""Which gates speak about a model version, and what they say: promote it, reject it, or wait.

A gate concerns a version if one of the two needs the other, or if both rest on the run that made the model.
A gate that concerns no version at all (the coverage of the tests, say) concerns every version: a check that
failed must stop something.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

import msgspec

from relive.core.graph import needs_of, transitive_needs
from relive.core.pipeline import Action, PlannedStage, StageStatus


class Decision(StrEnum):
    """What is due for a version: KEEP leaves it a candidate for good."""

    WAIT = "wait"
    PROMOTE = "promote"
    REJECT = "reject"
    KEEP = "keep"


class Promotion(msgspec.Struct, frozen=True, kw_only=True):
    """What is due for the version of one register stage.

    Attributes:
        key: Key of the register stage.
        model: Name of the registered model.
        alias: The alias that moves if the decision is PROMOTE.
        gates: Keys of the gates that concern the version.
        reason: A sentence for people.
    """

    key: str
    model: str
    alias: str
    decision: Decision
    reason: str
    gates: tuple[str, ...] = ()


def promotions(
    nodes: Sequence[PlannedStage], statuses: Mapping[str, StageStatus], *, protected: bool
) -> tuple[Promotion, ...]:
    """Say for each register stage what is due for its version.

    Args:
        nodes: All nodes of the pipeline.
        statuses: Status of each key.
        protected: Whether the pipeline runs on the protected branch; on others no alias moves.
    """
    gates_by_version = concerning_gates(nodes)
    due = []
    for node in nodes:
        register = node.spec.register
        if node.action is not Action.REGISTER or register is None:
            continue
        gates = gates_by_version[node.key]
        decision, reason = _decide(statuses[node.key], {key: statuses[key] for key in gates}, protected)
        due.append(
            Promotion(
                key=node.key,
                model=register.model,
                alias=register.alias,
                decision=decision,
                reason=reason,
                gates=gates,
            )
        )
    return tuple(due)


def concerning_gates(nodes: Sequence[PlannedStage]) -> dict[str, tuple[str, ...]]:
    """Give for each register stage the keys of the gates that concern its version.

    Gates whose `if` does not hold are not among them.
    """
    above = transitive_needs(needs_of(nodes))
    makers = {node.key: _makers(node) for node in nodes if node.action is Action.REGISTER}
    found: dict[str, list[str]] = {version: [] for version in makers}
    for node in nodes:
        if node.action is not Action.GATE or node.skip:
            continue
        near = [
            version
            for version in makers
            if node.key in above[version]
            or version in above[node.key]
            or not makers[version].isdisjoint(above[node.key])
        ]
        for version in near or makers:
            found[version].append(node.key)
    return {version: tuple(gates) for version, gates in found.items()}


def _makers(node: PlannedStage) -> frozenset[str]:
    return frozenset(key for keys in node.sources.values() for key in keys)


def _decide(
    registered: StageStatus, gates: Mapping[str, StageStatus], protected: bool
) -> tuple[Decision, str]:
    failed = _with(gates, StageStatus.FAILED)
    if failed:
        return Decision.REJECT, f"{_listed(failed)} failed"
    if registered.is_final and not registered.is_good:
        return Decision.KEEP, f"no version was registered: the stage {_ended(registered)}"
    undecided = _with(gates, StageStatus.SKIPPED, StageStatus.CANCELLED)
    if undecided:
        return Decision.KEEP, f"{_listed(undecided)} did not run"
    if not protected:
        return Decision.KEEP, "the pipeline does not run on the protected branch"
    waiting = [key for key, status in gates.items() if not status.is_final]
    if waiting or not registered.is_final:
        return Decision.WAIT, f"waiting for {_listed(waiting)}" if waiting else "not registered yet"
    return Decision.PROMOTE, f"{_listed(gates)} passed" if gates else "no gate concerns it"


def _with(gates: Mapping[str, StageStatus], *wanted: StageStatus) -> list[str]:
    return [key for key, status in gates.items() if status in wanted]


def _listed(keys: Iterable[str]) -> str:
    return ", ".join(keys)


def _ended(status: StageStatus) -> str:
    return {StageStatus.FAILED: "failed", StageStatus.CANCELLED: "was cancelled"}.get(status, "was skipped")
