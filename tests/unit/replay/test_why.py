"""The whole of `relive why` with runs that are only computed: every answer, and what it costs."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from relive.client.hub import HubClient
from relive.client.transport import Transport
from relive.core.artifact import Manifest
from relive.core.causes import Tried, WhyReport, WhyStatus
from relive.core.recipe import Code, Declared, Hardware, Observed, Recipe
from relive.core.run import MetricSummary, Run, RunKind, RunStatus
from relive.core.trajectory import StepRecord, Trajectory
from relive.errors import HubUnreachable, InvalidInput
from relive.formats.hashing import document_digest
from relive.replay import trials
from relive.replay.diff import Side
from relive.replay.early import Horizon, beginning_of
from relive.replay.trials import Question
from relive.replay.variant import Result
from relive.replay.why import Why
from relive.wire.hub import RunDetail
from relive.wire.jobs import StageWork
from tests.support.fake_hub import running_hub

MACHINE = Hardware(
    cpu_model="x", cpu_vendor="y", cpu_flags_digest="z", cores=1, cores_allowed=1, memory_bytes=1
)
NAMES = "ABCDEFGH"
# What a run of these variables comes out as: a number, or None for one that fails.
Compute = Callable[[dict[str, int], int], float | None]


@dataclass
class Computed:
    """Variants that are computed from their variables; all that was ever run is remembered."""

    compute: Compute
    steps: Callable[[dict[str, int]], Trajectory] = lambda values: Trajectory()
    fed: Callable[[dict[str, int]], dict[str, str]] = lambda values: {}
    kept: dict[str, Result] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    is_stopped: bool = False
    n_runs: int = 0

    def __call__(self, hub: HubClient) -> "Computed":
        return self

    def key(self, work: StageWork, repeat: int = 0) -> str:
        return document_digest({"work": work, "repeat": repeat})

    def find(self, project: str, key: str, until: Horizon | None = None) -> Result | None:
        found = self.kept.get(key) or (self.kept.get(f"{key} early") if until else None)
        return None if found is None else msgspec.structs.replace(found, reused=True)

    def run(
        self, work: StageWork, key: str, *, name: str, replay_of: str = "", until: Horizon | None = None
    ) -> Result:
        values = {it: int(work.env[it]) for it in NAMES}
        with self.lock:
            self.n_runs += 1
            number = self.n_runs
        found = self.compute(values, number)
        beginning = beginning_of(self.steps(values))
        if found is None:
            result = Result(run_id=f"r{number}", failure="it broke")
        elif until is not None:
            result = Result(run_id=f"r{number}", beginning=beginning, is_beginning=True)
        else:
            fed = self.fed(values)
            result = Result(run_id=f"r{number}", metrics={"m": found}, beginning=beginning, fed=fed)
        self.kept[f"{key} early" if result.is_beginning else key] = result
        return result

    def trajectory(self, run_id: str) -> Trajectory:
        return self.steps(dict.fromkeys(NAMES, int(run_id != "r1")))


class Quiet:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, sentence: str) -> None:
        self.said.append(sentence)

    def trying(self, names: Sequence[str], number: int, at_most: int) -> None:
        assert number <= at_most

    def tried(self, it: Tried) -> None:
        self.said.append(it.outcome)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubClient]:
    with running_hub(tmp_path / "hub") as fake:
        yield HubClient(Transport(fake.url))


@pytest.fixture
def ask(hub: HubClient, monkeypatch: pytest.MonkeyPatch) -> Callable[..., WhyReport]:
    """Ask why a run with all variables 0 and one with all of them 1 differ."""
    monkeypatch.setattr(Why, "_took_s", lambda self, run_id: 60.0)

    def asking(variants: Computed, recorded: tuple[float, float] = (0.0, 1.0), **options: Any) -> WhyReport:
        monkeypatch.setattr(trials, "Variants", variants)
        one, other = (side(hub, value, metric) for value, metric in zip((0, 1), recorded, strict=True))
        return Why(hub, one, other, Question(**options), Quiet()).answer()

    return asking


def side(hub: HubClient, value: int, metric: float) -> Side:
    code = Manifest.of([])
    declared = Declared(
        command="python train.py",
        # Another commit of the same files: what a variant is told, and nothing that can be exchanged.
        code=Code(manifest=hub.blobs.put_manifest(code), commit=f"{value}" * 40),
        env=dict.fromkeys(NAMES, str(value)),
    )
    run = Run(
        id=f"{value}" * 32,
        project_id="p",
        experiment_id="e",
        name="r",
        kind=RunKind.MANUAL,
        status=RunStatus.FINISHED,
    )
    metrics = (
        MetricSummary(run_id=run.id, key="m", last=metric, last_step=0, min=0, max=0, first=0, count=1, at=0),
    )
    detail = RunDetail(run=run, project="demo", url="", experiment="demo", metrics=metrics)
    return Side(
        detail=detail,
        recipe=Recipe(declared=declared, observed=Observed(hardware=MACHINE)),
        lock=None,
        code=code,
    )


def weights(**of: float) -> Compute:
    return lambda values, number: sum(weight * values[name] for name, weight in of.items())


def names(report: WhyReport) -> list[str]:
    return [it.name for it in report.causes]


Ask = Callable[..., WhyReport]


def test_finds_proves_and_shares_out(ask: Ask) -> None:
    variants = Computed(weights(B=0.25, F=0.75))
    report = ask(variants)
    assert (report.status, names(report)) == (WhyStatus.FOUND, ["B", "F"])
    assert [it.shares["m"] for it in report.causes] == pytest.approx([0.25, 0.75])
    assert (report.facts, report.missing, report.suspects) == (8, 0, ())
    assert report.reason == "2 inputs make the second out of the first."
    assert variants.n_runs == len(report.tried) == report.runs()
    again = ask(variants)
    assert (again.runs(), again.runs(reused=True)) == (0, len(report.tried))


def test_shares_nothing_out_that_would_cost_more_than_it_may(ask: Ask) -> None:
    report = ask(Computed(weights(B=0.2, D=0.3, F=0.5)), most_for_shares=0)
    assert report.missing > 0
    assert all(it.shares == {} for it in report.causes)


def test_a_failed_copy_is_told(ask: Ask) -> None:
    report = ask(Computed(lambda values, number: None if values["A"] else 0.0))
    assert report.status is WhyStatus.NOT_REPRODUCED
    assert report.reason == "The copy of 11111111 failed: it broke"


def test_failing_variants_are_no_difference(ask: Ask) -> None:
    def compute(values: dict[str, int], number: int) -> float | None:
        return None if values["C"] != values["G"] else float(values["E"])

    report = ask(Computed(compute))
    assert (report.status, names(report)) == (WhyStatus.FOUND, ["E"])
    assert {it.reason for it in report.tried if it.outcome == "failed"} <= {"it broke"}


def test_what_cannot_be_exchanged_is_unexplained(ask: Ask) -> None:
    def compute(values: dict[str, int], number: int) -> float:
        return 1.0 if number == 2 else 0.0  # only the second run itself is so, whatever its variables

    report = ask(Computed(compute))
    assert report.status is WhyStatus.UNEXPLAINED
    assert set(report.suspects) == set(NAMES)
    assert report.causes == ()


def test_all_inputs_together_can_be_the_cause(ask: Ask) -> None:
    report = ask(Computed(lambda values, number: float(all(values.values()))))
    assert (report.status, names(report)) == (WhyStatus.FOUND, list(NAMES))


def test_equal_copies_have_nothing_to_explain(ask: Ask) -> None:
    report = ask(Computed(lambda values, number: 1.0), recorded=(1.0, 1.0))
    assert (report.status, report.reason) == (
        WhyStatus.NO_DIFFERENCE,
        "Both came out the same here: 1 metric.",
    )


def test_a_metric_that_neither_run_has_is_an_error_before_anything_is_run(ask: Ask) -> None:
    variants = Computed(weights(A=1.0))
    with pytest.raises(InvalidInput) as refused:
        ask(variants, metric="nonsense")
    assert (refused.value.value, refused.value.wanted) == ("nonsense", "a metric of the two runs: m")
    assert variants.n_runs == 0


def test_stops_where_it_may_run_no_more(ask: Ask) -> None:
    variants = Computed(weights(B=0.25, F=0.75))
    report = ask(variants, max_runs=1)
    assert (report.status, len(report.suspects)) == (WhyStatus.STOPPED, 8)
    report = ask(variants, max_runs=4)
    assert report.status is WhyStatus.STOPPED
    assert 0 < len(report.suspects) < 8
    assert variants.n_runs == 5
    assert ask(variants).status is WhyStatus.FOUND


def test_repeats_tell_the_noise(ask: Ask) -> None:
    def noisy(values: dict[str, int], number: int) -> float:
        return values["D"] * size + number % 3 / 1000

    size = 1.0
    report = ask(Computed(noisy))
    assert (report.status, names(report)) == (WhyStatus.FOUND, ["D"])
    assert report.metrics[0].noise is not None
    assert 0.001 < report.metrics[0].noise < 0.1
    size = 0.0
    assert ask(Computed(noisy)).status is WhyStatus.WITHIN_NOISE


def test_a_repeat_that_fails_is_told(ask: Ask) -> None:
    report = ask(Computed(lambda values, number: None if number > 3 else number / 7))
    assert (report.status, report.reason) == (WhyStatus.NOT_REPRODUCED, "A repeat failed.")


def test_the_smallest_set_that_the_shares_meet_is_taken(ask: Ask) -> None:
    def compute(values: dict[str, int], number: int) -> float:
        # B, D and F make it; with one of them away it is not the second; D alone makes it, too.
        on = {name for name in "BDF" if values[name]}
        return 1.0 if on in ({"B", "D", "F"}, {"D"}) else len(on) / 10

    report = ask(Computed(compute))
    assert (report.status, names(report)) == (WhyStatus.FOUND, ["D"])


def training(late: bool) -> Callable[[dict[str, int]], Trajectory]:
    """Steps whose state shows A from the first, and B never before step 30."""

    def steps(values: dict[str, int]) -> Trajectory:
        return Trajectory(
            steps=tuple(
                StepRecord(
                    stream="weights:SGD#0",
                    step=number,
                    digests={"w": str((values["A"], values["B"] if late and number > 30 else 0))},
                )
                for number in range(40)
            )
        )

    return steps


def test_beginnings_are_a_guess_that_whole_runs_prove(ask: Ask) -> None:
    variants = Computed(weights(A=0.5, B=0.5), steps=training(late=True))
    report = ask(variants)
    assert (report.status, names(report)) == (WhyStatus.FOUND, ["A", "B"])
    early = [it for it in report.tried if it.until is not None]
    assert early
    assert {it.until for it in early} == {0}
    assert all(not it.metrics for it in early)
    again = ask(variants)
    assert (again.runs(), names(again)) == (0, ["A", "B"])


def test_with_noise_no_beginning_is_believed(ask: Ask) -> None:
    def noisy(values: dict[str, int], number: int) -> float:
        return values["A"] + number % 3 / 1000

    report = ask(Computed(noisy, steps=training(late=False)))
    assert (report.status, names(report)) == (WhyStatus.FOUND, ["A"])
    assert all(it.until is None for it in report.tried)


@pytest.mark.parametrize("parallel", [2, 4])
def test_several_at_a_time_find_the_same(ask: Ask, parallel: int) -> None:
    report = ask(Computed(weights(B=0.25, F=0.5, H=0.25)), parallel=parallel)
    assert (report.status, names(report)) == (WhyStatus.FOUND, ["B", "F", "H"])


@pytest.mark.parametrize("parallel", [2, 5])
def test_side_by_side_takes_the_same_runs_and_tells_them_in_the_same_order(ask: Ask, parallel: int) -> None:
    compute = weights(A=0.125, C=0.25, F=0.5, H=0.125)
    alone, together = Computed(compute), Computed(later_ones_end_first(compute))
    reports = [ask(alone), ask(together, parallel=parallel)]
    told = [[(it.names, it.outcome, it.phase) for it in report.tried] for report in reports]
    assert told[0] == told[1]
    assert (names(reports[0]), alone.n_runs) == (names(reports[1]), together.n_runs)


def later_ones_end_first(compute: Compute) -> Compute:
    def slowly(values: dict[str, int], number: int) -> float | None:
        time.sleep(0.03 / number)
        return compute(values, number)

    return slowly


def test_several_at_a_time_are_no_more_than_it_may_make(ask: Ask) -> None:
    variants = Computed(later_ones_end_first(weights(B=0.25, D=0.25, F=0.25, H=0.25)))
    stopped = ask(variants, parallel=4, max_runs=5)
    assert (stopped.status, variants.n_runs, stopped.runs()) == (WhyStatus.STOPPED, 5, 5)
    report = ask(variants, parallel=4)
    # What was made is not made again, though another of its round was refused.
    assert (report.status, report.runs(reused=True)) == (WhyStatus.FOUND, 5)
    assert variants.n_runs == len(report.tried)


def test_ahead_makes_more_at_a_time_and_finds_the_same(ask: Ask) -> None:
    compute = weights(F=1.0)
    plain, ahead = Computed(compute), Computed(compute)
    assert names(ask(plain, parallel=4)) == names(ask(ahead, parallel=4, ahead=True)) == ["F"]
    assert ahead.n_runs > plain.n_runs


def test_repeats_are_made_side_by_side(ask: Ask) -> None:
    together = threading.Barrier(6)

    def noisy(values: dict[str, int], number: int) -> float:
        if 3 <= number <= 8:
            together.wait(timeout=20.0)  # the three further copies of both are here at the same time
        return values["A"] + number % 3 / 1000

    report = ask(Computed(noisy), parallel=6)
    assert (report.status, names(report)) == (WhyStatus.FOUND, ["A"])
    copies = [it for it in report.tried if it.phase == "reproduction"]
    assert [bool(it.names) for it in copies] == [False, True, *[False] * 3, *[True] * 3]


def test_an_error_ends_the_round_and_keeps_what_was_made(ask: Ask) -> None:
    def lost(values: dict[str, int], number: int) -> float:
        if number == 4:
            raise HubUnreachable(url="http://127.0.0.1:1", reason="gone")
        return 0.25 * sum(values[name] for name in "BDFH")

    variants = Computed(lost)
    with pytest.raises(HubUnreachable):
        ask(variants, parallel=4)
    n_kept = len(variants.kept)
    report = ask(variants, parallel=4)
    assert (report.status, report.runs(reused=True)) == (WhyStatus.FOUND, n_kept)
