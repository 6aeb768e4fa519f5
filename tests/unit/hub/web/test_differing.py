"""The pages of two runs' difference and of why: what they show, and what they say where nothing is."""

from collections.abc import Iterator

import msgspec
import pytest

from relive.core.artifact import Manifest, ManifestEntry
from relive.core.causes import ANSWER, Cause, Cleared, MetricChange, Tried, WhyReport, WhyStatus
from relive.core.job import JobKind, JobState
from relive.core.run import Artifact, Run, RunStatus
from relive.errors import NotFound
from relive.hub.web.views.differing import get_diff, get_why
from relive.hub.web.views.hub import list_pools
from relive.hub.web.views.run import get_head
from relive.hub.web.views.searches import find_search
from relive.services import causes, runs
from relive.services.differing import find_answer
from relive.services.runs import PARENT
from relive.wire.jobs import WhyWork
from relive.wire.runs import PlacedWhy
from tests.support.bench import Bench, open_bench, quick_folder
from tests.support.live import LiveHub, served

FILE = """
version: 1
stages:
  train: {cmd: "python train.py", deps: [train.py, data.csv], metrics: [m.json]}
"""


@pytest.fixture
def bench() -> Iterator[Bench]:
    with quick_folder() as folder, open_bench(folder) as opened:
        yield opened


def trained(bench: Bench, script: str, rows: str, accuracy: float) -> str:
    """Push and finish a training; give its run."""
    pipeline = bench.start({"relive.yaml": FILE, "train.py": script, "data.csv": rows})
    bench.finish(bench.stages(pipeline)["train"], accuracy=accuracy)
    return bench.stages(bench.again(pipeline))["train"].run_id


@pytest.fixture
def pair(bench: Bench) -> tuple[str, str]:
    return trained(bench, "a = 1\nb = 2\n", "1,2\n", 0.5), trained(bench, "a = 1\nb = 3\n", "1,3\n", 0.75)


def answered(bench: Bench, report: WhyReport) -> str:
    """Keep an answer as `relive why` does; give the run that holds it."""
    run_id = bench.by_hand().run_id
    blobs, store = bench.services.blobs, bench.services.store
    data = msgspec.json.encode(report)
    entry = ManifestEntry(path=ANSWER, digest=blobs.put(data).digest, size_bytes=len(data))
    manifest = blobs.put(Manifest.of([entry]).to_bytes()).digest
    artifact = Artifact(
        run_id=run_id, path=ANSWER, manifest=manifest, size_bytes=len(data), files=1, kind="report"
    )
    store.record_artifact(artifact)
    store.set_tags(run_id, {"relive.why.before": report.before, "relive.why.after": report.after})
    return run_id


def report_on(pair: tuple[str, str], **more: object) -> WhyReport:
    values: dict[str, object] = {
        "before": pair[0],
        "after": pair[1],
        "status": WhyStatus.FOUND,
        "reason": "2 inputs make the second out of the first.",
        "compared": "1 metric",
        "causes": (
            Cause(
                name="train.py",
                group="code",
                before="blake3:" + "1" * 64,
                after="",
                without="otherwise",
                shares={"accuracy": 0.2},
            ),
            Cause(name="lr", group="params", before="<b>", after="0.2", without="failed"),
        ),
        "metrics": (MetricChange(key="accuracy", before=0.5, after=0.75),),
        "cleared": (Cleared(name="notes.md", group="code", reason="neither run read it"),),
        "uncontrolled": ("hardware: kernel",),
        "tried": (
            Tried(names=(), run_id=pair[0], outcome="as the first", phase="reproduction", reused=True),
            Tried(names=tuple("abcdef"), run_id="", outcome="failed", phase="search", reason="it broke"),
        ),
    }
    return WhyReport(**(values | more))  # type: ignore[arg-type]


def test_the_difference_has_inputs_metrics_and_code(bench: Bench, pair: tuple[str, str]) -> None:
    page = get_diff(bench.services, *pair)
    assert [(it.key, it.before, it.after, it.difference) for it in page.metrics] == [
        ("accuracy", 0.5, 0.75, 0.25)
    ]
    groups = {group.name: [name for name, _, _ in group.items] for group in page.groups}
    assert groups["code"] == ["data.csv", "train.py"]
    assert ("del", "-b = 2") in page.code
    assert ("add", "+b = 3") in page.code
    assert ("", " a = 1") in page.code
    assert page.command == f"relive why {pair[0][:8]} {pair[1][:8]}"
    assert (page.answers, page.is_cut) == ((), False)


def test_a_long_difference_is_cut(bench: Bench, pair: tuple[str, str]) -> None:
    long = trained(bench, "".join(f"x{n} = 1\n" for n in range(3000)), "1,2\n", 0.5)
    page = get_diff(bench.services, pair[0], long)
    assert (len(page.code), page.is_cut) == (2000, True)


def test_what_is_no_text_is_only_named(bench: Bench, pair: tuple[str, str]) -> None:
    (bench.work / "data.csv").write_bytes(b"\xff\xfe")
    pipeline = bench.start({"train.py": "a = 1\nb = 2\n"})
    bench.finish(bench.stages(pipeline)["train"], accuracy=0.5)
    other = bench.stages(pipeline)["train"].run_id
    assert [line for _, line in get_diff(bench.services, pair[0], other).code] == [
        "a/data.csv and b/data.csv differ"
    ]


def test_a_run_does_not_differ_from_itself(bench: Bench, pair: tuple[str, str]) -> None:
    page = get_diff(bench.services, pair[0], pair[0])
    assert (page.groups, page.metrics, page.code) == ((), (), ())


def test_a_run_without_a_recipe_has_no_difference(bench: Bench, pair: tuple[str, str]) -> None:
    with pytest.raises(NotFound, match="recipe of run"):
        get_diff(bench.services, pair[0], bench.by_hand().run_id)


def test_an_answer_is_found_from_the_difference_and_shown(bench: Bench, pair: tuple[str, str]) -> None:
    run_id = answered(bench, report_on(pair))
    assert [it.id for it in get_diff(bench.services, *pair).answers] == [run_id]
    assert get_diff(bench.services, pair[1], pair[0]).answers == ()
    tab = get_why(bench.services, run_id)
    assert (tab.mark.word, tab.report.reason) == ("found", "2 inputs make the second out of the first.")
    assert [(it.cause.name, it.shares) for it in tab.causes] == [("train.py", (0.2,)), ("lr", (None,))]
    assert [(it.names, it.more, it.mark.word) for it in tab.tried] == [
        ("", 0, "as the first"),
        ("a, b, c, d", 2, "failed"),
    ]
    assert dict(tab.counts) == {
        "to search": 1,
        "to reproduce both": 0,
        "to share the effect out": 0,
        "known before": 1,
    }
    assert "Why" in [it.name for it in get_head(bench.services, run_id).tabs]


def test_a_run_without_an_answer_says_so(bench: Bench, pair: tuple[str, str]) -> None:
    assert find_answer(bench.services, pair[0]) is None
    with pytest.raises(NotFound, match="answer to why"):
        get_why(bench.services, pair[0])
    assert "Why" not in [it.name for it in get_head(bench.services, pair[0]).tabs]


def test_what_is_no_answer_counts_as_none(bench: Bench, pair: tuple[str, str]) -> None:
    run_id = answered(bench, report_on(pair))
    store = bench.services.store
    (kept,) = store.list_artifacts(run_id)
    broken = bench.services.blobs.put(b"{}").digest
    store.record_artifact(msgspec.structs.replace(kept, manifest=broken))
    assert find_answer(bench.services, run_id) is None


@pytest.mark.parametrize("status", list(WhyStatus))
def test_every_answer_has_a_page(bench: Bench, pair: tuple[str, str], status: WhyStatus) -> None:
    more = {"suspects": ("lr",), "missing": 3, "notes": ("a note",)} if status is WhyStatus.STOPPED else {}
    run_id = answered(bench, report_on(pair, status=status, **more))
    with served(bench.services) as hub:
        text = _page(hub, f"/r/{run_id}/why")
        assert "<b></td>" not in text, "a value is text, never markup"
        assert "neither run read it" in text
        assert "it broke" in text
        assert f"/r/{run_id}/why" in _page(hub, f"/r/{pair[0]}/diff/{pair[1]}")


def _page(hub: LiveHub, path: str) -> str:
    answer = hub.ask("GET", path)
    assert answer.status == 200, answer.body[:500]
    return answer.body.decode()


def asked(bench: Bench, pair: tuple[str, str]) -> Run:
    """Ask a pool why the two differ, as their page does."""
    for run_id in pair:
        recipe = bench.services.store.get_run(run_id).recipe or bench.services.blobs.put(b"{}").digest
        bench.services.store.set_run(run_id, status=RunStatus.FINISHED, recipe=recipe)
    return causes.place(bench.services, pair[0], PlacedWhy(after=pair[1]), by="ada")


def test_a_search_without_its_answer_shows_what_it_does(bench: Bench, pair: tuple[str, str]) -> None:
    run, store = asked(bench, pair), bench.services.store
    first = find_search(bench.services, run.id)
    assert first is not None
    assert (first.before, first.after, first.trials, first.said, first.is_awaited) == (*pair, (), (), True)
    assert "Why" in [it.name for it in first.head.tabs]
    trial = bench.by_hand(name="why: a copy").run_id
    store.set_tags(trial, {PARENT: run.id})
    store.append_log(run.id, b"run 1 of at most 6: <b>\n", offset=0)
    second = find_search(bench.services, run.id)
    assert second is not None
    assert ([it.id for it in second.trials], second.said) == ([trial], ("run 1 of at most 6: <b>",))
    assert second.seen != first.seen
    with served(bench.services) as hub:
        text = _page(hub, f"/r/{run.id}/why")
        assert f'seen={second.seen}"' in text
        assert "&lt;b&gt;" in text
        assert "why: a copy" in text
        assert f"/r/{run.id}/why" in _page(hub, f"/r/{pair[0]}/diff/{pair[1]}")


@pytest.mark.parametrize(
    ("status", "ended_s", "awaited"),
    [
        (RunStatus.FAILED, 0.0, False),
        (RunStatus.LOST, 0.0, False),
        (RunStatus.KILLED, 0.0, True),  # what it knows is still to come
        (RunStatus.KILLED, 61.0, False),
    ],
)
def test_a_search_that_ended_without_an_answer_says_why(
    bench: Bench, pair: tuple[str, str], status: RunStatus, ended_s: float, awaited: bool
) -> None:
    run, store = asked(bench, pair), bench.services.store
    store.set_run(run.id, status=status, reason="no wheel", ended_at=store.now() - ended_s)
    found = find_search(bench.services, run.id)
    assert found is not None
    assert found.is_awaited is awaited
    with served(bench.services) as hub:
        text = _page(hub, f"/r/{run.id}/why")
    assert "no wheel" in text
    assert ("hx-get" in text) is awaited


def test_a_pool_shows_which_run_a_search_is(bench: Bench, pair: tuple[str, str]) -> None:
    run = asked(bench, pair)
    (pool,) = list_pools(bench.services)
    (job,) = pool.jobs
    assert (job.kind, job.what, job.url) == ("why", f"run {run.id[:8]}", f"/r/{run.id}")
    assert (pool.queued, pool.serving) == (0, 0), "it takes no place, and serves nothing"


def test_the_page_of_a_difference_asks_a_pool(bench: Bench, pair: tuple[str, str]) -> None:
    run = asked(bench, pair)
    runs.cancel(bench.services, run.id, by="ada")
    with served(bench.services) as hub:
        page = _page(hub, f"/r/{pair[0]}/diff/{pair[1]}")
        assert f'action="/r/{pair[0]}/diff/{pair[1]}/why"' in page
        assert "<option>local</option>" in page
        path, form = f"/r/{pair[0]}/diff/{pair[1]}/why", b"pool=local&metric=accuracy"
        kind = "application/x-www-form-urlencoded"
        answer = hub.ask("POST", path, body=form, content_type=kind)
        assert answer.status == 303
        refused = hub.ask("POST", path, body=b"pool=none", content_type=kind)
        assert (refused.status, "none" in refused.body.decode()) == (404, True)
    (job,) = bench.services.store.list_jobs(kinds=(JobKind.WHY,), states=(JobState.QUEUED,))
    work = msgspec.convert(job.payload["work"], WhyWork)
    assert (work.before, work.asked.after, work.asked.metric) == (*pair, "accuracy")
