"""What a replay that did not run to its end is called: never more, and never less, than it showed."""

from types import SimpleNamespace
from typing import Any

import pytest

from relive.core.recipe import Code, Declared, Hardware, LoadedLibrary, Observed, Recipe, UndeclaredRead
from relive.core.run import RunStatus
from relive.core.tolerance import Limit
from relive.core.trajectory import (
    FirstDivergence,
    StepPlace,
    StepRecord,
    StepWindow,
    Trajectory,
    VerdictLevel,
)
from relive.errors import InvalidInput
from relive.formats.trajectory import encode_trajectory
from relive.replay.execute import Repeated
from relive.replay.report import Terms, judge_replay
from relive.replay.watch import Seen, Stop
from relive.wire.jobs import StageReport

FIRST = FirstDivergence(stream="loss", step=3, names=("loss",))
BEFORE = StepPlace(stream="loss", step=2)


def trajectory(*losses: float) -> Trajectory:
    values = ({"loss": loss.hex()} for loss in losses)
    return Trajectory(
        steps=tuple(StepRecord(stream="loss", step=n, values=it) for n, it in enumerate(values))
    )


def plan(recorded: Trajectory | None) -> Any:
    run = SimpleNamespace(recipe_digest="")
    detail = SimpleNamespace(run=run, metrics=(), artifacts=(), verdicts=())
    recipe = SimpleNamespace(observed=None)
    return SimpleNamespace(
        detail=detail,
        recipe=recipe,
        trajectory=recorded,
        run_id="a",
        model="",
        substitutes=(),
        instead="",
        offline=False,
    )


def judge(
    status: RunStatus, seen: Seen, *, replayed: Trajectory | None = None, window: StepWindow | None = None
) -> Any:
    data = encode_trajectory(replayed) if replayed else b""
    run = SimpleNamespace(trajectory="kept" if replayed else "")
    hub: Any = SimpleNamespace(
        get_run=lambda _: SimpleNamespace(run=run, metrics=(), artifacts=()),
        blobs=SimpleNamespace(get_bytes=lambda _: data),
    )
    report = StageReport(fence=0, status=status, reason="it fell over")
    repeated = Repeated(run_id="b", url="", report=report, seen=seen)
    return judge_replay(plan(trajectory(1.0, 0.5, 0.25, 0.1)), repeated, hub, Terms(window=window))


@pytest.mark.parametrize("status", [RunStatus.FAILED, RunStatus.KILLED, RunStatus.LOST])
def test_a_replay_that_failed_is_unresolved_whatever_was_seen_of_it(status: RunStatus) -> None:
    for seen in (Seen(), Seen(first=FIRST, compared=4)):
        verdict = judge(status, seen)
        assert verdict.level is VerdictLevel.UNRESOLVED
        assert (verdict.first_divergence, verdict.reason) == (None, "The replay itself failed: it fell over")


def test_one_that_was_ended_where_it_differs_has_diverged_there() -> None:
    seen = Seen(first=FIRST, last_equal=BEFORE, compared=4, stop=Stop.DIVERGED)
    verdict = judge(RunStatus.KILLED, seen)
    assert verdict.level is VerdictLevel.DIVERGED
    assert (verdict.first_divergence, verdict.last_equal, verdict.steps_compared) == (FIRST, BEFORE, 4)
    assert (verdict.metrics, verdict.run_id, verdict.replay_run_id) == ((), "a", "b")


def test_one_that_ended_by_itself_before_it_could_be_ended_is_judged_whole() -> None:
    # The stop came too late: the command had finished, and all of it is there.
    seen = Seen(first=FIRST, compared=4, stop=Stop.DIVERGED)
    verdict = judge(RunStatus.FINISHED, seen, replayed=trajectory(1.0, 0.5, 9.0, 0.1))
    assert verdict.first_divergence == FirstDivergence(stream="loss", step=2, names=("loss",))


def test_one_that_was_ended_after_the_asked_steps_is_judged_by_them() -> None:
    seen = Seen(compared=2, stop=Stop.ALL_SEEN)
    window = StepWindow(first=0, last=1)
    equal = judge(RunStatus.KILLED, seen, replayed=trajectory(1.0, 0.5, 9.0), window=window)
    assert (equal.level, equal.steps_compared, equal.window) == (VerdictLevel.BIT_EXACT, 2, window)
    other = judge(RunStatus.KILLED, seen, replayed=trajectory(1.0, 0.4), window=window)
    assert other.level is VerdictLevel.DIVERGED
    nothing = judge(RunStatus.KILLED, seen, window=window)
    assert nothing.level is VerdictLevel.NOT_COMPARABLE


def test_terms_that_the_run_cannot_meet_are_refused_before_it_starts() -> None:
    asked = plan(trajectory(1.0, 0.5))
    Terms(window=StepWindow(first=1, last=99)).check(asked)
    for terms, told in (
        (Terms(window=StepWindow(first=2, last=9)), "0..1"),
        (Terms(limits={"acc": Limit(limit=0.1)}), "it has none"),
    ):
        with pytest.raises(InvalidInput, match=told):
            terms.check(asked)
    with pytest.raises(InvalidInput, match="a run with steps"):
        Terms(window=StepWindow(first=0, last=9)).check(plan(None))


MACHINE = Hardware(
    cpu_model="x",
    cpu_vendor="y",
    cpu_flags_digest="",
    cores=2,
    cores_allowed=2,
    memory_bytes=1,
)
LIBRARY = LoadedLibrary(path="/lib/libm.so.6", soname="libm.so.6", build_id="a1")


def seen_of(**observed: Any) -> Recipe:
    declared = Declared(command="python train.py", code=Code(manifest="m"))
    return Recipe(declared=declared, observed=Observed(hardware=MACHINE, **observed))


def test_what_a_failed_replay_never_came_to_is_no_difference_and_what_was_not_kept_is_told() -> None:
    reads = tuple(
        UndeclaredRead(path=path, size_bytes=1, digest="d", belongs=belongs)
        for path, belongs in (("/data/rows.csv", "outside"), (".env", "ignored"), ("a.py", "commit"))
    )
    recorded = plan(trajectory(1.0))
    recorded.recipe, recorded.lock = seen_of(libraries=(LIBRARY,), reads=reads), None
    hub: Any = SimpleNamespace(
        get_run=lambda _: SimpleNamespace(run=SimpleNamespace(trajectory=""), metrics=(), artifacts=()),
        get_recipe=lambda _: seen_of(reads=reads[1:2]),
        blobs=None,
    )
    report = StageReport(fence=0, status=RunStatus.FAILED, reason="no such file", recipe="blake3:aa")
    verdict = judge_replay(recorded, Repeated(run_id="b", url="", report=report, seen=Seen()), hub, Terms())
    assert verdict.inputs_differ == ("/data/rows.csv: d → absent",)
    assert verdict.reason == (
        "The replay itself failed: no such file. The run had read what nobody declared, "
        "so it was not kept: /data/rows.csv (--dep PATH keeps it)"
    )
