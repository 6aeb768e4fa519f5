"""Which earlier runs tell about noise: those with equal inputs, and no others."""

from types import SimpleNamespace
from typing import Any

import pytest

from relive.core.facts import Difference, FactGroup
from relive.core.recipe import Code, Declared, Hardware, Observed, Recipe
from relive.core.tolerance import Noise
from relive.core.trajectory import MetricDifference, Verdict, VerdictLevel
from relive.errors import NotFound
from relive.replay.noise import are_equal, learn


def differs(group: FactGroup, before: str | None = "a", after: str | None = "b") -> Difference:
    return Difference(group=group, name="x", before=before, after=after)


@pytest.mark.parametrize("group", [it for it in FactGroup if it is not FactGroup.VARIABLES])
def test_whatever_can_change_a_result_matters(group: FactGroup) -> None:
    assert not are_equal([differs(group)])


def test_places_and_what_a_shell_loads_do_not() -> None:
    assert are_equal([])
    assert are_equal([differs(FactGroup.VARIABLES), differs(FactGroup.LIBRARIES, before=None)])
    assert not are_equal([differs(FactGroup.VARIABLES), differs(FactGroup.DATA, before=None)])


def recipe(cpu: str = "EPYC") -> Recipe:
    machine = Hardware(
        cpu_model=cpu, cpu_vendor="", cpu_flags_digest="", cores=1, cores_allowed=1, memory_bytes=1
    )
    declared = Declared(command="train", code=Code(manifest="m"))
    return Recipe(declared=declared, observed=Observed(hardware=machine))


def judged(value: float, *, equal_inputs: bool = True, key: str = "acc") -> Verdict:
    metric = MetricDifference(
        key=key, recorded=0.9, replayed=value, difference=0.0, limit=0.02, relative=False, ok=True
    )
    return Verdict(level=VerdictLevel.WITHIN_TOLERANCE, metrics=(metric,), equal_inputs=equal_inputs)


def metrics(**values: float) -> tuple[Any, ...]:
    return tuple(SimpleNamespace(key=key, last=value) for key, value in values.items())


class Hub:
    """Knows other runs of the project: id to its recipe and its metrics; None for one that is gone."""

    def __init__(self, runs: dict[str, tuple[Recipe, tuple[Any, ...]] | None]) -> None:
        self.runs, self.asked = runs, ""

    def list_runs(self, *, project: str, filter: str, limit: int) -> list[Any]:  # noqa: A002  # as the hub's
        self.asked = filter
        return [SimpleNamespace(id=name, recipe="kept") for name in ("me", *self.runs)][:limit]

    def get_run(self, run_id: str) -> Any:
        return SimpleNamespace(metrics=self._get(run_id)[1])

    def get_recipe(self, run_id: str) -> Recipe:
        return self._get(run_id)[0]

    def _get(self, run_id: str) -> tuple[Recipe, tuple[Any, ...]]:
        found = self.runs[run_id]
        if found is None:
            raise NotFound(kind="run", name=run_id)
        return found


def plan(*verdicts: Verdict, digest: str = "blake3:1", **values: float) -> Any:
    run = SimpleNamespace(id="me", recipe_digest=digest)
    detail = SimpleNamespace(
        run=run, project="demo", metrics=metrics(**(values or {"acc": 0.9})), verdicts=verdicts
    )
    return SimpleNamespace(detail=detail, recipe=recipe(), lock=None)


def learnt(asked: Any, **runs: tuple[Recipe, tuple[Any, ...]] | None) -> dict[str, Noise]:
    hub: Any = Hub(runs)
    return learn(asked, hub)


def test_replays_with_equal_inputs_count_and_others_do_not() -> None:
    asked = plan(judged(0.91), judged(0.5, equal_inputs=False), judged(0.92), judged(7.0, key="gone"))
    (noise,) = learnt(asked).values()
    assert noise.n == 3
    assert [noise.mean, noise.sd] == pytest.approx([0.91, 0.01])


def test_repeats_count_if_nothing_that_was_observed_differs() -> None:
    found = learnt(
        plan(),
        one=(recipe(), metrics(acc=0.91, other=1.0)),
        two=(recipe(), metrics(acc=0.92)),
        elsewhere=(recipe(cpu="Xeon"), metrics(acc=0.1)),
        gone=None,
    )
    assert (set(found), found["acc"].n) == ({"acc"}, 3)


def test_too_few_values_tell_nothing() -> None:
    assert learnt(plan(judged(0.91))) == {}
    assert learnt(plan(acc=0.9), one=(recipe(), metrics(acc=0.91))) == {}


def test_a_run_without_a_recipe_has_no_repeats_to_look_for() -> None:
    hub: Any = Hub({})
    learn(plan(digest=""), hub)
    assert hub.asked == ""
    learn(plan(), hub)
    assert hub.asked == "recipe = 'blake3:1' AND status = 'finished' AND kind != 'replay'"
