"""What an import is refused: clients and pages could not read it again, or what is here would be lost."""

from typing import Any

import msgspec
import pytest

from relive.core.evaluation import EvaluationDataset, EvaluationRecord
from relive.core.trace import Assessment, AssessmentKind, Span, Trace
from relive.errors import Conflict, InvalidInput, NotFound
from relive.formats.hashing import blake3_digest
from relive.services import copying
from relive.services.mlflow.trace_json import span_json
from relive.wire.copies import Brought, EvaluationCopy, TraceCopy, TraceFile
from tests.support.bench import Bench

TRACE = Trace(id="tr-1", experiment_id="", started_ms=1)
CONTENT: dict[str, Any] = {
    "trace_id": "EREREREREREREREREREREQ==",
    "span_id": "EREREREREREREQ==",
    "parent_span_id": None,
    "attributes": {"a": "1"},
    "events": [{"name": "e", "time_unix_nano": 1, "attributes": {}}],
    "links": [{"trace_id": "tr-" + "1" * 32, "span_id": "1" * 16, "attributes": None}],
    "status": {"code": "STATUS_CODE_OK", "message": ""},
}


def a_span(**changes: Any) -> Span:
    """Make a span of `TRACE`; what is changed is its content."""
    text = msgspec.json.encode(CONTENT | changes).decode()
    return Span(trace_id=TRACE.id, id="1" * 16, started_ns=1, content=text)


def a_copy(trace: Trace = TRACE, **parts: Any) -> TraceCopy:
    """Make a trace that comes in."""
    return TraceCopy(trace=trace, experiment="chat", **parts)


def said(value: str = "1", **changes: Any) -> Assessment:
    """Make what was said of `TRACE`."""
    kept: dict[str, Any] = {"id": "a-1", "trace_id": TRACE.id, "name": "n", "kind": AssessmentKind.FEEDBACK}
    return Assessment(**kept | {"value": value} | changes)


def a_set(number: int = 1, **changes: Any) -> EvaluationCopy:
    """Make a data set that comes in."""
    kept: dict[str, Any] = {"id": f"d-{number:032}", "project_id": "", "name": "questions", "digest": "x"}
    return EvaluationCopy(dataset=EvaluationDataset(**kept | changes))


def a_record(number: int = 1, dataset: int = 1, /, **changes: Any) -> EvaluationRecord:
    """Make a record of the data set of this number."""
    kept: dict[str, Any] = {"id": f"dr-{number:032}", "dataset_id": f"d-{dataset:032}", "inputs": "{}"}
    return EvaluationRecord(**kept | {"input_digest": f"{number}"} | changes)


def bring(bench: Bench, *copies: TraceCopy) -> Brought:
    """Bring traces to the project of the bench."""
    return copying.bring_traces(bench.services, bench.project, copies)


def test_a_span_as_the_hub_keeps_it_comes_in_and_can_be_read(bench: Bench) -> None:
    span = a_span()
    assert bring(bench, a_copy(spans=(span,), said=(said(),))) == Brought(new=1)
    (kept,) = bench.services.store.list_spans([TRACE.id])[TRACE.id]
    assert span_json(kept) == span_json(span)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[1]",
        "null",
        '"text"',
        "{}",
        "[" * 100_000,
        a_span(status="OK").content,
        a_span(status={}).content,
        a_span(events=[{"name": "e"}]).content,
        a_span(events=5).content,
        a_span(attributes=["a"]).content,
        a_span(links=[{"trace_id": "tr-xyz", "span_id": "1", "attributes": None}]).content,
    ],
    ids=lambda text: text[:30] or "empty",
)
def test_a_span_that_no_client_could_read_is_refused_with_all_that_came(bench: Bench, content: str) -> None:
    bad = msgspec.structs.replace(a_span(), content=content)
    good = msgspec.structs.replace(TRACE, id="tr-0")
    with pytest.raises(InvalidInput, match="span"):
        bring(bench, a_copy(good), a_copy(spans=(bad,)))
    assert bench.services.store.list_traces(["tr-0", TRACE.id]) == []
    assert bench.services.store.list_spans([TRACE.id]) == {}


@pytest.mark.parametrize(
    ("trace", "word"),
    [
        (msgspec.structs.replace(TRACE, id=""), "id of a trace"),
        (msgspec.structs.replace(TRACE, started_ms=2**62), "start of a trace"),
        (msgspec.structs.replace(TRACE, started_ms=-(2**62)), "start of a trace"),
    ],
)
def test_a_trace_that_would_break_the_list_is_refused(bench: Bench, trace: Trace, word: str) -> None:
    with pytest.raises(InvalidInput, match=word):
        bring(bench, a_copy(trace))
    assert copying.list_traces(bench.services, bench.project) == ([], "")


@pytest.mark.parametrize("bad", [said("{"), said(""), said(created_ms=2**62), said(updated_ms=-(2**62))])
def test_what_was_said_in_no_words_or_at_no_time_is_refused(bench: Bench, bad: Assessment) -> None:
    with pytest.raises(InvalidInput, match="assessment"):
        bring(bench, a_copy(said=(bad,)))
    assert bench.services.store.find_trace(TRACE.id) is None


def test_what_was_said_stays_with_its_trace(bench: Bench) -> None:
    bring(bench, a_copy(said=(said(),)))
    other = msgspec.structs.replace(TRACE, id="tr-2")
    with pytest.raises(Conflict):
        bring(bench, a_copy(other, said=(said("2"),)))
    assert bench.services.store.find_trace("tr-2") is None
    (kept,) = bench.services.store.list_assessments([TRACE.id])[TRACE.id]
    assert kept.value == "1"


def test_a_file_is_of_the_store_and_below_its_trace(bench: Bench) -> None:
    here = bench.services.blobs.put(b"seven").digest
    missing = blake3_digest(b"not here")
    for path, digest in (("a.png", missing), ("../../a.png", here), ("%2e%2e/a.png", here), ("/a.png", here)):
        with pytest.raises(Exception, match=r"in the store|Invalid path"):
            bring(bench, a_copy(files=(TraceFile(path=path, digest=digest, size_bytes=5),)))
        assert bench.services.store.find_trace(TRACE.id) is None
    bring(bench, a_copy(files=(TraceFile(path="a/b.png", digest=here, size_bytes=5),)))
    ((copy,), _) = copying.list_traces(bench.services, bench.project)
    assert copy.files == (TraceFile(path="a/b.png", digest=here, size_bytes=5),)


@pytest.mark.parametrize("id_", ["", "..", "../../up", "a/b", "/etc", ".hidden", "a" * 64, "ü", "a\0b"])
def test_a_data_sets_id_can_be_a_folders_name(bench: Bench, id_: str) -> None:
    with pytest.raises(InvalidInput, match="evaluation data set name"):
        copying.bring_dataset(bench.services, bench.project, a_set(id=id_))
    assert copying.list_datasets(bench.services, bench.project) == []


@pytest.mark.parametrize("schema", ["{x", "[]", "1", '"inputs"'])
def test_the_fields_of_a_data_set_are_an_object(bench: Bench, schema: str) -> None:
    with pytest.raises(InvalidInput, match="fields"):
        copying.bring_dataset(bench.services, bench.project, a_set(schema=schema))
    assert copying.list_datasets(bench.services, bench.project) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"inputs": "{"},
        {"inputs": "[1]"},
        {"outputs": "nothing"},
        {"expectations": "1"},
        {"tags": "[]"},
        {"source": '"TRACE"'},
        {"source": '{"source_type": "TRACE", "source_data": [1]}'},
        {"dataset_id": "d-2"},
        {"number": -1},
        {"number": 2**63 - 1},
    ],
    ids=str,
)
def test_a_record_that_no_page_could_show_is_refused_with_all_that_came(
    bench: Bench, changes: dict[str, Any]
) -> None:
    copying.bring_dataset(bench.services, bench.project, a_set())
    dataset_id = a_set().dataset.id
    with pytest.raises(InvalidInput):
        copying.bring_records(bench.services, dataset_id, [a_record(), a_record(2, **changes)])
    assert bench.services.store.list_evaluation_records(dataset_id) == []


def test_what_records_may_say_is_kept_to_the_letter(bench: Bench) -> None:
    copying.bring_dataset(bench.services, bench.project, a_set())
    record = a_record(inputs='{"q": NaN}', outputs="[1, 2]", source='{"source_type": "HUMAN"}')
    copying.bring_records(bench.services, record.dataset_id, [record])
    (kept,) = bench.services.store.list_evaluation_records(record.dataset_id)
    assert (kept.inputs, kept.outputs, kept.source) == (record.inputs, record.outputs, record.source)


def test_a_record_of_another_data_set_cannot_be_replaced(bench: Bench) -> None:
    services = bench.services
    for number in (1, 2):
        copying.bring_dataset(services, bench.project, a_set(number, name=f"q{number}"))
    first = a_record(inputs='{"asks": "one"}')
    copying.bring_records(services, first.dataset_id, [first])
    kept = services.store.list_evaluation_records(first.dataset_id)
    thief = a_record(1, 2, inputs='{"asks": "two"}', input_digest="other")
    for dataset_id, records in (
        (thief.dataset_id, [a_record(5, 2), thief]),
        (first.dataset_id, [msgspec.structs.replace(thief, dataset_id=first.dataset_id)]),
        (first.dataset_id, [a_record(7), a_record(7, input_digest="8")]),
        (first.dataset_id, [a_record(9, input_digest=first.input_digest)]),
    ):
        with pytest.raises(Conflict):
            copying.bring_records(services, dataset_id, records)
    assert services.store.list_evaluation_records(first.dataset_id) == kept
    assert services.store.list_evaluation_records(thief.dataset_id) == []
    copying.bring_records(services, first.dataset_id, [first, a_record(3)])  # done again, with one more
    assert [it.number for it in services.store.list_evaluation_records(first.dataset_id)] == [1, 2]


def test_records_need_their_data_set(bench: Bench) -> None:
    with pytest.raises(NotFound):
        copying.bring_records(bench.services, "d-none", [a_record(dataset_id="d-none")])
