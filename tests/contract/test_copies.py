"""Traces and data sets for evaluation go from one hub to another, on either database, without loss."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from relive.client import copies
from relive.client.copies import Copied, bring_copies, write_copies
from relive.client.hub import HubClient
from relive.client.transport import Transport
from relive.core.run import RunStatus
from relive.core.stored_file import StoredFile
from relive.core.trace import RUN_KEY, Assessment, AssessmentKind, Span, Trace
from relive.core.trace_filter import parse_trace_filter
from relive.core.trace_samples import Samples, SampleView
from relive.errors import HubRefused, InvalidInput
from relive.formats.parquet import read_parquet
from relive.services import copying
from relive.testing.stores_samples import a_run
from relive.wire.copies import TraceCopy
from tests.contract.databases import fresh_url
from tests.support.bench import Bench, open_bench
from tests.support.live import served
from tests.support.seed_evaluation import QUESTIONS, tell_evaluation
from tests.support.seed_traces import ANSWERED, tell_traces

NOW = 1_800_000_000.0
SPAN: dict[str, Any] = {
    "trace_id": "",
    "span_id": "",
    "parent_span_id": None,
    "attributes": {},
    "events": [],
    "links": [],
    "status": {"code": "STATUS_CODE_OK", "message": ""},
}
PICTURE = b"\x89PNG of a seven"
SOURCE, TARGET = "digits", "back"


class Place:
    """A hub, and a client that speaks with it."""

    def __init__(self, bench: Bench, client: HubClient) -> None:
        self.bench = bench
        self.client = client


@pytest.fixture(params=[("sqlite", "postgresql"), ("postgresql", "sqlite")], ids="-to-".join)
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Place, Place]]:
    """Give two hubs: the first has traces and data sets."""
    with ExitStack() as stack:
        found = []
        for number, backend in enumerate(request.param):
            folder = tmp_path / str(number)
            folder.mkdir()
            bench = stack.enter_context(open_bench(folder, fresh_url(backend, request, folder)))
            live = stack.enter_context(served(bench.services))
            found.append(Place(bench, HubClient(Transport(live.url, live.admin))))
        fill(found[0].bench)
        yield found[0], found[1]


def fill(bench: Bench) -> None:
    """Keep traces with all that a trace can have, and data sets."""
    store = bench.services.store
    run = a_run(store, project_id=bench.project.id, status=RunStatus.FINISHED)
    experiment = store.ensure_experiment(bench.project.id, "chat").id
    tell_traces(store, experiment, now=NOW)
    store.set_trace_metadata(ANSWERED, {RUN_KEY: run.id})
    store.set_trace_numbers(ANSWERED, {"total_tokens": 138})
    store.set_trace_tags(
        ANSWERED, {"mlflow.artifactLocation": f"mlflow-artifacts:/{experiment}/traces/{ANSWERED}/artifacts"}
    )
    store.link_traces(run.id, [ANSWERED, "tr-2"])
    store.link_prompts(ANSWERED, ["greet/2"])
    said: dict[str, Any] = {
        "value": "0.1",
        "number": 0.1,
        "is_numeric": True,
        "source_run_id": run.id,
        "overrides": "a-ok",
    }
    kind = AssessmentKind.FEEDBACK
    store.create_assessment(Assessment(id="a-num", trace_id="tr-2", name="n", kind=kind, **said))
    picture = bench.services.blobs.put(PICTURE).digest
    path = f"{experiment}/traces/{ANSWERED}/artifacts/attachments/7.png"
    store.record_file(StoredFile(path=path, digest=picture, size_bytes=len(PICTURE)))
    odd = Trace(id="tr-odd", experiment_id=experiment, started_ms=-5, duration_ms=-1000, created_by="bob")
    store.create_trace(odd)
    content = json.dumps(SPAN | {"name": "ü\0☃"}, ensure_ascii=False)
    spans = [Span(trace_id=odd.id, id=f"{n:016x}", started_ns=2**62 + n, content=content) for n in range(25)]
    store.record_spans(spans)
    tell_evaluation(store, experiment, now=NOW)


def all_of(bench: Bench, name: str) -> dict[str, Any]:
    """Give what a project has, without the ids that another hub makes anew."""
    services = bench.services
    project = services.store.get_project(name)
    found, after = list[TraceCopy](), None
    while after != "":
        page, after = copying.list_traces(services, project, after=after or "")
        found += page
    sets = copying.list_datasets(services, project)
    records = {it.dataset.id: services.store.list_evaluation_records(it.dataset.id) for it in sets}
    plain: dict[str, Any] = msgspec.to_builtins({"traces": found, "sets": sets, "records": records})
    for trace in plain["traces"]:
        del trace["trace"]["experiment_id"]
        trace["tags"].pop("mlflow.artifactLocation", None)
    for one in plain["sets"]:
        del one["dataset"]["project_id"]
    return plain


def test_all_comes_back_as_it_was(
    places: tuple[Place, Place], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "ROWS_A_GROUP", 10)
    one, other = places
    folder = tmp_path / "out"
    assert write_copies(one.client, SOURCE, folder) == Copied(traces=4, datasets=2)
    brought = bring_copies(other.client, folder, TARGET, {})
    assert brought == Copied(traces=4, datasets=2)
    before, now = all_of(one.bench, SOURCE), all_of(other.bench, TARGET)
    assert len(before["traces"]) == 4
    assert len(before["records"][QUESTIONS]) == 120
    for trace in before["traces"]:
        trace["runs"] = ()  # no run came along
    assert now == before
    store = other.bench.services.store
    (experiment,) = [it for it in store.list_experiments() if it.name == "chat"]
    location = store.list_trace_tags([ANSWERED])[ANSWERED]["mlflow.artifactLocation"]
    assert location == f"mlflow-artifacts:/{experiment.id}/traces/{ANSWERED}/artifacts"
    file = store.find_file(f"{experiment.id}/traces/{ANSWERED}/artifacts/attachments/7.png")
    assert file is not None
    assert other.bench.services.blobs.read(file.digest) == PICTURE
    # What is summed up and found is what was summed up and found.
    asked = Samples(view=SampleView.TRACES, metric="total_tokens")
    assert [it.value for it in store.list_samples([experiment.id], asked)] == [138]
    found = store.search_traces([experiment.id], parse_trace_filter("prompt = 'greet/2'"))
    assert [trace.id for trace in found.traces] == [ANSWERED]
    # Done again, nothing is new and nothing changes.
    assert bring_copies(other.client, folder, TARGET, {}) == Copied()
    assert all_of(other.bench, TARGET) == now


def test_links_follow_the_runs_that_came_along(places: tuple[Place, Place], tmp_path: Path) -> None:
    one, other = places
    write_copies(one.client, SOURCE, tmp_path / "out")
    source, target = one.bench.services.store, other.bench.services.store
    (was,) = source.list_trace_runs([ANSWERED])[ANSWERED]
    project = target.create_project(TARGET)
    run = a_run(target, project_id=project.id)
    bring_copies(other.client, tmp_path / "out", TARGET, {was: run.id})
    assert target.list_trace_runs([ANSWERED, "tr-2"]) == {ANSWERED: [run.id], "tr-2": [run.id]}
    assert target.list_trace_metadata([ANSWERED])[ANSWERED][RUN_KEY] == run.id
    (said,) = [it for it in target.list_assessments(["tr-2"])["tr-2"] if it.id == "a-num"]
    assert (said.source_run_id, said.number, said.overrides) == (run.id, 0.1, "a-ok")


def test_what_another_project_has_stays_there(places: tuple[Place, Place], tmp_path: Path) -> None:
    one, _ = places
    write_copies(one.client, SOURCE, tmp_path / "out")
    brought = bring_copies(one.client, tmp_path / "out", "copy", {})
    assert (brought.traces, brought.datasets) == (0, 0)
    assert {ANSWERED, QUESTIONS} <= set(brought.elsewhere)
    assert all_of(one.bench, "copy") == {"traces": [], "sets": [], "records": {}}


def test_an_import_that_was_cut_off_within_a_trace_goes_on(
    places: tuple[Place, Place], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "ROWS_A_GROUP", 10)
    monkeypatch.setattr(copies, "_TRACES_A_MESSAGE", 1)
    one, other = places
    write_copies(one.client, SOURCE, tmp_path / "out")
    left, bring = [5], other.client.bring_traces

    def dies(project: str, traces: Any) -> Any:
        left[0] -= 1
        if not left[0]:
            raise ConnectionError("cut off")
        return bring(project, traces)

    monkeypatch.setattr(other.client, "bring_traces", dies)
    with pytest.raises(ConnectionError):
        bring_copies(other.client, tmp_path / "out", TARGET, {})
    assert other.bench.services.store.count_spans(["tr-odd"])["tr-odd"] in (10, 20)
    monkeypatch.setattr(other.client, "bring_traces", bring)
    bring_copies(other.client, tmp_path / "out", TARGET, {})
    assert other.bench.services.store.count_spans(["tr-odd"]) == {"tr-odd": 25}


def test_an_export_done_again_has_what_is_new_and_leaves_nothing_half(
    places: tuple[Place, Place], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = places
    folder = tmp_path / "out"
    write_copies(one.client, SOURCE, folder)
    one.bench.services.store.delete_traces(["tr-2"])
    write_copies(one.client, SOURCE, folder)
    (table,) = read_parquet(folder / "traces" / "traces.parquet")
    assert "tr-2" not in table["id"]
    monkeypatch.setattr(one.client, "each_evaluation_record", lambda _id: iter([1 / 0]))
    with pytest.raises(ZeroDivisionError):
        write_copies(one.client, SOURCE, folder)
    assert sorted(path.name for path in (folder / "evaluation").iterdir()) == sorted((QUESTIONS, "d-2"))
    assert not list(folder.rglob(".partial-*"))


def test_what_is_no_export_is_refused(places: tuple[Place, Place], tmp_path: Path) -> None:
    one, other = places
    folder = tmp_path / "out"
    write_copies(one.client, SOURCE, folder)
    (folder / "evaluation" / QUESTIONS / "dataset.json").write_text('{"dataset": 1}')
    with pytest.raises(InvalidInput, match="relive export"):
        bring_copies(other.client, folder, TARGET, {})
    span = Span(trace_id="tr-x", id="1", started_ns=1, content="{")
    trace = Trace(id="tr-x", experiment_id="", started_ms=1)
    with pytest.raises(HubRefused, match="JSON"):
        other.client.bring_traces(TARGET, [TraceCopy(trace=trace, experiment="chat", spans=(span,))])
    assert other.bench.services.store.find_trace("tr-x") is None
