"""`relive why` as typed: what it would try, what it says of each answer, and how it ends."""

import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from relive.cli import why_pool
from relive.cli.why import Told
from relive.client.hub import HubClient
from relive.core.access import Scope
from relive.core.causes import Cause, Cleared, MetricChange, Tried, WhyReport, WhyStatus
from relive.core.job import Job, JobKind
from relive.core.run import RunStatus
from relive.errors import NotFound
from relive.replay import job as processes
from relive.replay import search as searching
from relive.replay.diff import Side
from relive.replay.why import Why
from relive.runner.order import Order
from relive.services import causes
from relive.services.accounts import create_job_token
from relive.wire.jobs import EndReport
from tests.support.bench import Bench
from tests.support.live import LiveHub
from tests.unit.cli.conftest import Said, Shell
from tests.unit.cli.test_diff import trained

CAUSES = (
    Cause(
        name="data.csv",
        group="data",
        before="blake3:" + "1" * 64,
        after="",
        without="otherwise",
        shares={"accuracy": 0.25},
    ),
    Cause(
        name="lr", group="params", before="0.1", after="[red]0.2", without="failed", shares={"accuracy": 0.0}
    ),
)


def report(**more: Any) -> WhyReport:
    """An answer with something in every place."""
    values: dict[str, Any] = {
        "before": "a" * 32,
        "after": "b" * 32,
        "status": WhyStatus.FOUND,
        "reason": "2 inputs make the second out of the first.",
        "compared": "1 metric",
        "causes": CAUSES,
        "metrics": (
            MetricChange(key="accuracy", before=0.5, after=0.75),
            MetricChange(key="n", before=None, after=1.0),
        ),
        "cleared": (Cleared(name="notes.md", group="code", reason="neither run read it"),),
        "uncontrolled": ("hardware: kernel",),
        "notes": ("a note",),
        "tried": (
            Tried(names=(), run_id="r1", outcome="as the first", phase="reproduction"),
            Tried(names=("lr",), run_id="r2", outcome="failed", phase="search", reason="broke"),
            Tried(names=("data.csv",), run_id="r3", outcome="otherwise", phase="search", reused=True),
        ),
        "missing": 1,
    }
    return WhyReport(**(values | more))


@pytest.fixture
def runs(bench: Bench) -> tuple[str, str]:
    """Two runs: one line of code and one row of data apart."""
    found = (trained(bench, f"a = {n}\n", f"1,{n}\n", 0.5 + n / 10) for n in (1, 2))
    one, other = (bench.stages(it)["train"].run_id for it in found)
    return one, other


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Have the next question answered so."""

    def give(found: WhyReport) -> None:
        monkeypatch.setattr(Why, "answer", lambda self: found)

    return give


def test_a_dry_run_runs_nothing(relive: Shell, bench: Bench, runs: tuple[str, str]) -> None:
    before = len(bench.services.store.list_runs(limit=100))
    said = relive("why", *runs, "--dry-run")
    assert said.lines[0].split() == ["INPUT", "KIND", "BEFORE", "AFTER"]
    assert [line.split()[0] for line in said.lines[1:3]] == ["data.csv", "train.py:1"]
    assert said.lines[-1] == "2 inputs would be tried, 0 cleared for free"
    found = relive("why", *runs, "--dry-run", "--json").json
    assert [it["name"] for it in found["facts"]] == ["data.csv", "train.py:1"]
    assert len(bench.services.store.list_runs(limit=100)) == before


def test_an_answer_is_printed_and_kept(
    relive: Shell,
    bench: Bench,
    runs: tuple[str, str],
    answer: Any,
) -> None:
    answer(report(before=runs[0], after=runs[1]))
    said = relive("why", *runs)
    assert said.lines[0] == "found  2 inputs make the second out of the first."
    (row,) = [line for line in said.lines if line.startswith("lr ")]
    assert row.split() == ["lr", "params", "0.1", "[red]0.2", "failed", "+0"]
    assert "ITS PART OF accuracy" in said.out
    assert "cleared: notes.md (neither run read it)" in said.lines
    assert "differs, and cannot be exchanged here: hardware: kernel" in said.lines
    assert (
        "1 run to search, 1 to reproduce both, 0 to share out, 1 known before; 1 more would share it out"
        in said.lines
    )
    kept = bench.services.store.get_run(said.lines[-1].rpartition("/")[2])
    assert (kept.name, kept.reason) == (
        f"why {runs[0][:8]} {runs[1][:8]}",
        "2 inputs make the second out of the first.",
    )


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (WhyStatus.FOUND, 0),
        (WhyStatus.NO_DIFFERENCE, 0),
        (WhyStatus.WITHIN_NOISE, 0),
        (WhyStatus.UNEXPLAINED, 1),
        (WhyStatus.NOT_REPRODUCED, 1),
        (WhyStatus.STOPPED, 1),
    ],
)
def test_the_exit_code_tells_whether_it_was_explained(
    relive: Shell,
    runs: tuple[str, str],
    answer: Any,
    status: WhyStatus,
    code: int,
) -> None:
    answer(report(before=runs[0], after=runs[1], status=status, causes=(), suspects=("lr", "data.csv")))
    said = relive("why", *runs, code=code)
    assert "still suspected: lr, data.csv" in said.lines
    found = relive("why", *runs, "--json", code=code).json
    assert (found["report"]["status"], found["report"]["suspects"]) == (status.value, ["lr", "data.csv"])


@pytest.mark.parametrize("words", [["--max-runs", "-1"], ["--parallel", "0"], ["--shares", "x"]])
def test_wrong_numbers_are_refused(relive: Shell, words: Sequence[str]) -> None:
    assert "Invalid value" in relive("why", "a", "b", *words, code=2).err


def test_a_run_that_cannot_be_replayed_is_refused(relive: Shell, bench: Bench, runs: tuple[str, str]) -> None:
    running = bench.by_hand().run_id
    assert "cannot be replayed" in relive("why", runs[0], running, code=1).err


def test_progress_goes_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    told = Told()
    told.note("both part at step [2]")
    told.trying(("a", "b", "c", "d"), 3, 9)
    told.tried(
        Tried(names=(), run_id="r", outcome="failed", phase="search", reason="it broke\nhere", reused=True)
    )
    told.tried(Tried(names=("a",), run_id="r", outcome="otherwise", phase="search", until=2))
    Told(is_quiet=True).note("nothing")
    out, err = capfd.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "both part at step [2]",
        "run 3 of at most 9: the first with a, b, c and 1 more",
        "  the first as it is → failed (known): it broke",
        "  the first with a → otherwise (until step 2)",
    ]


def on_pool(
    relive: Shell, bench: Bench, live: LiveHub, runs: tuple[str, str], fate: Callable[[Job], None], code: int
) -> Said:
    """Ask a pool; what becomes of the search is decided when the command waits for it first."""
    search = bench.services.store.claim

    def meet(_: float) -> None:
        job = search("pool", pools=("local",), kinds=(JobKind.WHY,), lease_s=60)
        if job is not None:
            fate(job)

    relive.patch.setattr(why_pool, "time", SimpleNamespace(sleep=meet, monotonic=time.monotonic))
    return relive("why", *runs, "--pool", "local", "--metric", "accuracy", code=code)


def test_a_pool_is_asked_and_its_answer_printed_as_this_machines(
    relive: Shell, bench: Bench, live: LiveHub, runs: tuple[str, str], answer: Any
) -> None:
    answer(report(before=runs[0], after=runs[1]))

    def work(job: Job) -> None:
        token = create_job_token(bench.services, job, Scope.RUNNER)
        assert processes._work(Order(hub=live.url, job=job.id, fence=job.fence, token=token)) == 0

    said = on_pool(relive, bench, live, runs, work, 0)
    assert said.lines[0] == "found  2 inputs make the second out of the first."
    assert "its runs are placed on pool local" in said.err
    assert "2 inputs make the second out of the first." in said.err, (
        "what the search said is told as it comes"
    )
    run = bench.services.store.get_run(said.lines[-1].rpartition("/")[2])
    assert (run.status, run.actor) == (RunStatus.FINISHED, "ada")
    assert run.command.endswith("--metric accuracy --pool local")


def test_a_search_that_comes_to_no_answer_says_why(
    relive: Shell, bench: Bench, live: LiveHub, runs: tuple[str, str]
) -> None:
    def fail(job: Job) -> None:
        causes.finish(bench.services, job, EndReport(fence=job.fence, error="the hub has lost a wheel"))

    said = on_pool(relive, bench, live, runs, fail, 1)
    assert "the hub has lost a wheel" in said.err
    assert said.out == ""


def test_what_the_search_cannot_even_read_is_its_failure(
    relive: Shell, bench: Bench, live: LiveHub, runs: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(hub: HubClient, target: str, made: str = "") -> Side:
        raise NotFound(kind="recipe of run", name="7f3a", hint="")

    def work(job: Job) -> None:
        token = create_job_token(bench.services, job, Scope.RUNNER)
        assert processes._work(Order(hub=live.url, job=job.id, fence=job.fence, token=token)) == 0

    monkeypatch.setattr(searching, "load_side", unreadable)
    said = on_pool(relive, bench, live, runs, work, 1)
    assert "There is no recipe of run '7f3a'." in said.err
