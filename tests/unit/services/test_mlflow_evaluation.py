"""Records of data sets for evaluation: how they are read, merged and described."""

import hashlib
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relive.core.access import Caller, Scope
from relive.core.evaluation import EvaluationRecord
from relive.services.mlflow import evaluation
from relive.services.mlflow.evaluation_records import (
    digest_of,
    grown_schema,
    merged,
    new_record,
    read_records,
    record_json,
    user_of,
)
from relive.services.mlflow.faults import MlflowFault
from relive.wire.mlflow import evaluation as wire
from tests.support.bench import Bench

ANN = Caller(name="ann", scope=Scope.MEMBER)
START = 1_800_000_000.0
# Few inputs, so that many records ask the same.
INPUTS = st.sampled_from([{}, {"q": 1}, {"q": 2}, {"q": 1, "r": "ä"}])
VALUES = (
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3) | st.lists(st.integers(), max_size=2)
)
OBJECTS = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)
RECORDS = st.builds(
    lambda inputs, **parts: (
        {"inputs": inputs} | {key: value for key, value in parts.items() if value != "absent"}
    ),
    inputs=INPUTS,
    outputs=st.just("absent") | VALUES | OBJECTS,
    expectations=st.just("absent") | st.none() | OBJECTS,
    tags=st.just("absent") | st.none() | OBJECTS,
)


def record(**given: Any) -> EvaluationRecord:
    """Make a record of what is given."""
    return new_record("d-1", given, digest_of(given), START)


def as_mlflow_does(batches: list[list[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Merge batches by MLflow's rule, in the plainest way: what is kept by the text of its inputs."""
    kept: dict[str, dict[str, Any]] = {}
    for one in (one for batch in batches for one in batch):
        key = json.dumps(one["inputs"], sort_keys=True)
        if key not in kept:
            kept[key] = {"outputs": {}, "expectations": None, "tags": None} | one
            continue
        if "outputs" in one:
            kept[key]["outputs"] = one["outputs"]
        for part in ("expectations", "tags"):
            if one.get(part):
                kept[key][part] = (kept[key][part] or {}) | one[part]
    return kept


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.lists(RECORDS, max_size=4), max_size=4))
def test_any_records_are_merged_as_mlflow_merges_them(
    bench: Bench, batches: list[list[dict[str, Any]]]
) -> None:
    services = bench.services
    message = wire.CreateEvaluationDataset(name="any")
    dataset_id = evaluation.create_dataset(services, message, ANN)["dataset_id"]
    inserted = updated = 0
    for batch in batches:
        sent = wire.UpsertEvaluationRecords(records=json.dumps(batch), dataset_id=dataset_id)
        counts = evaluation.upsert_records(services, sent, ANN)
        inserted, updated = inserted + counts["inserted_count"], updated + counts["updated_count"]
    expected = as_mlflow_does(batches)
    asked = wire.ListEvaluationRecords(dataset_id=dataset_id)
    found = json.loads(evaluation.list_records(services, asked, ANN)["records"])
    assert [json.dumps(it["inputs"], sort_keys=True) for it in found] == list(expected)
    for it, one in zip(found, expected.values(), strict=True):
        assert it.get("outputs") == one["outputs"]
        assert it.get("expectations") == one["expectations"]
        assert it["tags"] == (one["tags"] or {})
    assert (inserted, inserted + updated) == (len(expected), sum(map(len, batches)))
    assert services.store.get_evaluation_dataset(dataset_id).records == len(expected)
    evaluation.delete_dataset(services, dataset_id, ANN)


def test_the_digest_of_inputs_is_mlflows() -> None:
    inputs = {"b": [1, {"y": None, "x": "ä"}], "a": 0.1}
    text = json.dumps(inputs, sort_keys=True)
    assert digest_of({"inputs": inputs}) == hashlib.sha256(text.encode()).hexdigest()
    assert digest_of({}) == digest_of({"inputs": {}})
    assert digest_of({"inputs": {"a": 1}}) != digest_of({"inputs": {"a": 1.0}})


def test_a_record_without_more_than_inputs() -> None:
    made = record(inputs={"q": 1})
    assert (made.outputs, made.expectations, made.tags, made.source) == ("{}", "", "", "")
    written = record_json(made)
    assert written == {
        "dataset_record_id": made.id,
        "dataset_id": "d-1",
        "inputs": {"q": 1},
        "outputs": {},
        "tags": {},
        "created_time": 1_800_000_000_000,
        "last_update_time": 1_800_000_000_000,
    }


@pytest.mark.parametrize(
    ("source", "kind", "source_id"),
    [
        ({"source_type": "trace", "source_data": {"trace_id": "tr-1", "source_id": "no"}}, "TRACE", "tr-1"),
        ({"source_type": "Human", "source_data": {"source_id": "ann"}}, "HUMAN", "ann"),
        ({"source_type": "CODE", "source_data": {"trace_id": "tr-1"}}, "CODE", None),
        ({"source_type": "DOCUMENT"}, "DOCUMENT", None),
        ({"source_type": "UNSPECIFIED", "source_data": None}, "UNSPECIFIED", None),
        ({"source_type": "HUMAN", "source_data": {"source_id": 7}}, "HUMAN", "7"),
    ],
)
def test_where_a_record_comes_from(source: dict[str, Any], kind: str, source_id: str | None) -> None:
    written = record_json(record(source=source))
    assert (written["source_type"], written.get("source_id")) == (kind, source_id)
    assert written["source"] == {"source_type": kind, "source_data": source.get("source_data") or {}}


def test_the_source_of_a_record_stays() -> None:
    made = record(source={"source_type": "CODE"})
    later = merged(made, {"source": {"source_type": "HUMAN"}}, START + 1)
    assert (later.source, later.updated_at, later.created_at) == (made.source, START + 1, START)


def test_who_changed_a_record_is_told_only_if_it_is_known() -> None:
    made = record(tags={"mlflow.user": "ann"})
    assert (made.author, made.last_author) == ("ann", "ann")
    assert merged(made, {"tags": {"a": "1"}}, START).last_author == "ann"
    later = merged(made, {"tags": {"mlflow.user": "bob"}}, START)
    assert (later.author, later.last_author) == ("ann", "bob")
    assert [user_of(tags) for tags in (None, {}, {"mlflow.user": None}, {"mlflow.user": 7})] == [
        "",
        "",
        "",
        "7",
    ]


@pytest.mark.parametrize(
    ("before", "given", "after"),
    [
        ({}, {}, {}),
        ({"outputs": 1}, {"outputs": None}, {"outputs": None}),
        ({"outputs": {"a": 1}}, {"outputs": {"b": 2}}, {"outputs": {"b": 2}}),
        ({"expectations": {"a": 1}}, {"expectations": None}, {"expectations": {"a": 1}}),
        ({"expectations": {"a": 1}}, {"expectations": {}}, {"expectations": {"a": 1}}),
        (
            {"expectations": {"a": {"x": 1}}},
            {"expectations": {"a": {"y": 2}}},
            {"expectations": {"a": {"y": 2}}},
        ),
        ({}, {"expectations": {"a": 1}}, {"expectations": {"a": 1}}),
        ({"tags": {"a": "1"}}, {"tags": {"a": "2", "b": "3"}}, {"tags": {"a": "2", "b": "3"}}),
    ],
)
def test_how_parts_are_merged(before: dict[str, Any], given: dict[str, Any], after: dict[str, Any]) -> None:
    written = record_json(merged(record(**before), given, START))
    for part, value in after.items():
        assert written.get(part) == value


def test_a_schema_keeps_the_type_that_came_first() -> None:
    first = grown_schema("", [{"inputs": {"a": 1, "b": None}, "outputs": 5}])
    assert json.loads(first) == {
        "inputs": {"a": "integer", "b": "null"},
        "outputs": "integer",
        "expectations": {},
        "version": "1.0",
    }
    more = [{"inputs": {"a": "x", "c": True}, "outputs": {"o": 1}, "expectations": {"e": [1]}}]
    later = json.loads(grown_schema(first, more))
    assert later["inputs"] == {"a": "integer", "b": "null", "c": "boolean"}
    assert (later["outputs"], later["expectations"]) == ("integer", {"e": "array"})
    named = json.loads(grown_schema("", [{"outputs": {"o": 1.5}}, {"outputs": "x"}]))
    assert named["outputs"] == {"o": "float"}
    assert grown_schema(first, []) == first
    assert grown_schema("", []) == ""


@pytest.mark.parametrize(
    "text", ["", "null", "1", '"x"', "{}", "[1]", "[null]", '["x"]', "[[]]", '[{"inputs": 0}]', "[NaN]"]
)
def test_what_is_no_list_of_records_is_refused(text: str) -> None:
    with pytest.raises(MlflowFault, match="records") as refused:
        read_records(text)
    assert refused.value.status == 400


def test_absent_parts_may_be_null() -> None:
    text = '[{"expectations": null, "tags": null, "source": null, "outputs": null}, {}]'
    assert len(read_records(text)) == 2
    assert record_json(record(outputs=None)).get("outputs") is None
