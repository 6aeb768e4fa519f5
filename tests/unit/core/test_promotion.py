"""Which version is promoted: never one with a gate that failed, and only on the protected branch."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.core.expand import plan
from relive.core.pipeline import (
    Dep,
    Gate,
    PipelineSpec,
    PlannedStage,
    Register,
    Select,
    StageSpec,
    StageStatus,
)
from relive.core.promotion import Decision, Promotion, concerning_gates, promotions

WAITING, RUNNING, FAILED = StageStatus.WAITING, StageStatus.RUNNING, StageStatus.FAILED
SKIPPED, CANCELLED = StageStatus.SKIPPED, StageStatus.CANCELLED
GATES = (Gate(metric="accuracy", min=0.9),)


def stage(name: str, cmd: str = "", deps: Iterable[str] = (), **fields: Any) -> StageSpec:
    """Make a stage as the parser does."""
    return StageSpec(name=name, cmd=(cmd,) if cmd else (), deps=tuple(Dep(path=it) for it in deps), **fields)


def nodes_of(*stages: StageSpec, branch: str = "main") -> tuple[PlannedStage, ...]:
    """Plan stages."""
    return plan(PipelineSpec(stages=stages), branch=branch, commit="c", trigger="push")


TRAIN = stage("train", "x", outs=("model",))
REGISTER = stage("register", register=Register(model="digits", artifact="model", alias="best"))
BEFORE = nodes_of(
    TRAIN,
    stage("gate", needs=("train",), gates=GATES),
    stage("register", needs=("gate",), register=Register(model="digits", artifact="model", alias="best")),
)


def decide(nodes: tuple[PlannedStage, ...], *, protected: bool = True, **statuses: StageStatus) -> Promotion:
    """Give what is due for the only version when all stages but those named ended well."""
    every = {node.key: StageStatus.SUCCEEDED for node in nodes} | statuses
    (due,) = promotions(nodes, every, protected=protected)
    return due


@pytest.mark.parametrize(
    ("statuses", "protected", "decision", "reason"),
    [
        ({}, True, Decision.PROMOTE, "gate passed"),
        ({"gate": StageStatus.CACHED, "register": StageStatus.CACHED}, True, Decision.PROMOTE, "gate passed"),
        ({}, False, Decision.KEEP, "the pipeline does not run on the protected branch"),
        ({"gate": WAITING}, True, Decision.WAIT, "waiting for gate"),
        ({"gate": RUNNING, "register": WAITING}, True, Decision.WAIT, "waiting for gate"),
        ({"register": RUNNING}, True, Decision.WAIT, "not registered yet"),
        ({"gate": FAILED}, True, Decision.REJECT, "gate failed"),
        ({"gate": FAILED}, False, Decision.REJECT, "gate failed"),
        ({"gate": FAILED, "register": SKIPPED}, True, Decision.REJECT, "gate failed"),
        ({"gate": SKIPPED}, True, Decision.KEEP, "gate did not run"),
        ({"gate": CANCELLED}, True, Decision.KEEP, "gate did not run"),
        ({"register": FAILED}, True, Decision.KEEP, "no version was registered: the stage failed"),
        ({"register": SKIPPED}, True, Decision.KEEP, "no version was registered: the stage was skipped"),
    ],
)
def test_decisions(statuses, protected, decision, reason):
    due = decide(BEFORE, protected=protected, **statuses)
    assert (due.decision, due.reason) == (decision, reason)
    assert (due.key, due.model, due.alias, due.gates) == ("register", "digits", "best", ("gate",))


def test_without_gates_a_version_is_promoted_when_it_is_there():
    due = decide(nodes_of(TRAIN, REGISTER))
    assert (due.decision, due.reason) == (Decision.PROMOTE, "no gate concerns it")


def test_a_gate_after_the_registration_counts():
    nodes = nodes_of(TRAIN, REGISTER, stage("gate", needs=("register",), gates=GATES))
    assert decide(nodes).gates == ("gate",)
    assert decide(nodes, gate=WAITING).decision is Decision.WAIT
    assert decide(nodes, gate=FAILED).decision is Decision.REJECT


def test_a_gate_beside_the_registration_that_rests_on_the_same_model_counts():
    nodes = nodes_of(
        TRAIN,
        REGISTER,
        stage("evaluate", "y", deps=("model",)),
        stage("gate", needs=("evaluate",), gates=GATES),
    )
    assert decide(nodes, gate=FAILED).decision is Decision.REJECT


def test_a_gate_of_another_model_does_not_count():
    nodes = nodes_of(
        stage("a", "x", outs=("a",), gates=GATES, register=Register(model="a", artifact="a")),
        stage("b", "x", outs=("b",), gates=GATES, register=Register(model="b", artifact="b")),
    )
    assert concerning_gates(nodes)["a:register"] == ("a:gate",)
    assert concerning_gates(nodes)["b:register"] == ("b:gate",)


def test_a_gate_that_concerns_no_model_concerns_all():
    nodes = nodes_of(
        stage("test", "pytest"),
        stage("coverage", needs=("test",), gates=GATES),
        stage("a", "x", outs=("a",), register=Register(model="a", artifact="a")),
        stage("b", "x", outs=("b",), register=Register(model="b", artifact="b")),
    )
    assert concerning_gates(nodes)["a:register"] == ("coverage",)
    assert concerning_gates(nodes)["b:register"] == ("coverage",)


def test_a_gate_whose_condition_does_not_hold_is_no_gate():
    stages = (
        TRAIN,
        REGISTER,
        stage("gate", needs=("train",), gates=GATES, condition="trigger.branch != 'main'"),
    )
    assert concerning_gates(nodes_of(*stages))["register"] == ()
    assert concerning_gates(nodes_of(*stages, branch="dev"))["register"] == ("gate",)


def test_the_gates_on_the_picked_run_of_a_matrix_count():
    nodes = nodes_of(
        stage("train", "x", matrix={"seed": [1, 2]}, outs=("model",), gates=GATES),
        StageSpec(
            name="pick",
            select=Select(from_stage="train", metric="accuracy"),
            register=Register(model="m", artifact="model"),
        ),
        stage("late", needs=("pick",), gates=GATES),
    )
    assert concerning_gates(nodes)["pick:register"] == ("train[seed=1]:gate", "train[seed=2]:gate", "late")


@given(st.data())
def test_nothing_is_promoted_unless_registered_and_every_gate_has_passed(data):
    nodes = nodes_of(
        TRAIN,
        stage("evaluate", "y", deps=("model",), gates=GATES),
        REGISTER,
        stage("late", needs=("register",), gates=GATES),
    )
    statuses = {node.key: data.draw(st.sampled_from(list(StageStatus))) for node in nodes}
    protected = data.draw(st.booleans())
    (due,) = promotions(nodes, statuses, protected=protected)
    gates = [statuses["evaluate:gate"], statuses["late"]]
    all_good = all(status.is_good for status in [*gates, statuses["register"]])
    assert (due.decision is Decision.PROMOTE) == (all_good and protected)
    assert (due.decision is Decision.REJECT) == (FAILED in gates)
