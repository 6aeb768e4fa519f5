"""Data sets for evaluation."""

import hashlib
import json
from typing import Any

import pytest

from relive.core.access import Scope
from tests.unit.hub.mlflow_registry.conftest import Registry

BAD, ABSENT = "INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"


def made(registry: Registry, name: str = "qa", **message: Any) -> str:
    """Make a data set; gives its id."""
    return str(registry.post("datasets/create", name=name, **message)["dataset"]["dataset_id"])


def kept(registry: Registry, dataset_id: str, *records: Any) -> dict[str, int]:
    """Keep records; gives how many were new and how many not."""
    reply: dict[str, int] = registry.post(f"datasets/{dataset_id}/records", records=json.dumps(records))
    return reply


def given(registry: Registry, dataset_id: str, **asked: Any) -> list[dict[str, Any]]:
    """Give the records of a data set."""
    records: list[dict[str, Any]] = json.loads(
        registry.get(f"datasets/{dataset_id}/records", **asked)["records"]
    )
    return records


def read(registry: Registry, dataset_id: str) -> dict[str, Any]:
    """Give a data set."""
    dataset: dict[str, Any] = registry.get(f"datasets/{dataset_id}")["dataset"]
    return dataset


def experiment(registry: Registry, name: str) -> str:
    """Make an experiment."""
    return str(registry.post("experiments/create", name=name)["experiment_id"])


def test_a_data_set_is_made_with_tags_and_experiments(registry: Registry) -> None:
    one, two = experiment(registry, "made one"), experiment(registry, "made two")
    tags = {"team": "blue", "mlflow.user": "ann", "n": 1, "none": None}
    dataset = registry.post("datasets/create", name="q", tags=json.dumps(tags), experiment_ids=[two, one])[
        "dataset"
    ]
    at = dataset["created_time"]
    assert dataset["dataset_id"].startswith("d-")
    assert json.loads(dataset["tags"]) == {"team": "blue", "mlflow.user": "ann", "n": "1"}
    assert dataset["experiment_ids"] == [two, one]
    assert (dataset["created_by"], dataset["last_updated_by"], dataset["last_update_time"]) == (
        "ann",
        "ann",
        at,
    )
    assert dataset["digest"] == hashlib.sha256(f"q:{at}".encode()).hexdigest()[:8]
    assert not {"schema", "profile"} & dataset.keys()
    dataset.pop("experiment_ids")
    assert read(registry, dataset["dataset_id"]) == dataset
    assert registry.get(f"datasets/{dataset['dataset_id']}/experiment-ids") == {"experiment_ids": [two, one]}


def test_records_with_the_same_inputs_are_one(registry: Registry) -> None:
    dataset = made(registry)
    human = {"source_type": "human", "source_data": {"source_id": "s1"}}
    first = {"inputs": {"a": 1, "b": 2}, "expectations": {"x": 1}, "tags": {"t": "1"}, "source": human}
    again = {
        "inputs": {"b": 2, "a": 1},
        "expectations": {"y": 2},
        "tags": {"mlflow.user": "bob"},
        "outputs": [3],
    }
    other: dict[str, Any] = {"inputs": {}}
    assert kept(registry, dataset, first, other, again) == {"inserted_count": 2, "updated_count": 1}
    one, two = given(registry, dataset)
    assert one["dataset_record_id"].startswith("dr-")
    assert (one["inputs"], one["outputs"]) == ({"a": 1, "b": 2}, [3])
    assert one["expectations"] == {"x": 1, "y": 2}
    assert one["tags"] == {"t": "1", "mlflow.user": "bob"}
    assert one["source"] == {"source_type": "HUMAN", "source_data": {"source_id": "s1"}}
    assert (one["source_type"], one["source_id"], one["last_updated_by"]) == ("HUMAN", "s1", "bob")
    assert "created_by" not in one
    assert (two["inputs"], two["outputs"], two["tags"]) == ({}, {}, {})
    assert not {"expectations", "source"} & two.keys()
    assert kept(registry, dataset, {"inputs": {}, "outputs": None}) == {
        "inserted_count": 0,
        "updated_count": 1,
    }
    assert "outputs" not in given(registry, dataset)[1]


def test_schema_profile_and_digest_follow_the_records(registry: Registry) -> None:
    dataset = made(registry)
    before = read(registry, dataset)["digest"]
    inputs = {"s": "x", "i": 1, "f": 0.5, "b": True, "n": None, "l": [], "o": {}}
    kept(
        registry, dataset, {"inputs": inputs, "outputs": "text"}, {"inputs": {"s": 7}, "outputs": {"late": 1}}
    )
    now = read(registry, dataset)
    types = {
        "s": "string",
        "i": "integer",
        "f": "float",
        "b": "boolean",
        "n": "null",
        "l": "array",
        "o": "object",
    }
    expected = {"inputs": types, "outputs": "string", "expectations": {}, "version": "1.0"}
    assert json.loads(now["schema"]) == expected
    assert json.loads(now["profile"]) == {"num_records": 2}
    assert now["digest"] != before
    ids = [record["dataset_record_id"] for record in given(registry, dataset)]
    gone = registry.delete(f"datasets/{dataset}/records", dataset_record_ids=[ids[0], "none"])
    assert gone == {"deleted_count": 1}
    assert json.loads(read(registry, dataset)["profile"]) == {"num_records": 1}
    registry.delete(f"datasets/{dataset}/records", dataset_record_ids=ids)
    assert read(registry, dataset)["profile"] == "null"
    assert registry.delete(f"datasets/{dataset}/records", dataset_record_ids=ids) == {"deleted_count": 0}


def test_records_are_paged_from_behind_the_last(registry: Registry) -> None:
    dataset = made(registry)
    kept(registry, dataset, *({"inputs": {"n": n}} for n in range(5)))
    first = registry.get(f"datasets/{dataset}/records", max_results=2)
    ids = [record["dataset_record_id"] for record in json.loads(first["records"])]
    registry.delete(f"datasets/{dataset}/records", dataset_record_ids=ids)
    rest = given(registry, dataset, max_results=2, page_token=first["next_page_token"])
    assert [record["inputs"]["n"] for record in rest] == [2, 3]
    last = registry.get(f"datasets/{dataset}/records", max_results=3)
    assert "next_page_token" not in last
    for token in ("x", "LTE6", "bm9uZTo=", "OTk5OTk5OTk5OTk5OTk5OTk5OTk6"):
        fault = registry.refused("GET", f"datasets/{dataset}/records", page_token=token)
        assert fault == (400, BAD, "Invalid page token, could not base64-decode")
    for limit, said in ((-1, "It must be a positive integer"),):
        fault = registry.refused("GET", f"datasets/{dataset}/records", max_results=limit)
        assert fault == (400, BAD, f"Invalid value {limit} for parameter 'max_results' supplied. {said}")


def test_words_that_json_has_not_come_back_as_they_were(registry: Registry) -> None:
    dataset = made(registry)
    text = '[{"inputs": {"x": NaN, "y": [-Infinity], "z": "\\u0000\\ud800"}}]'
    registry.post(f"datasets/{dataset}/records", records=text)
    answer = registry.get(f"datasets/{dataset}/records")["records"]
    assert '"inputs": {"x": NaN, "y": [-Infinity], "z": "\\u0000\\ud800"}' in answer


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ("{}", "it must be a list of records"),
        ("x", "it must be JSON as text"),
        ("[" * 100_000, "nested too deeply"),
        ('[{"inputs": {}}, 1]', "'records[1]' supplied: it must be an object"),
        ('[{"inputs": null}]', "'records[0].inputs' supplied: it must be an object"),
        ('[{"inputs": [1]}]', "'records[0].inputs'"),
        ('[{"expectations": "x"}]', "'records[0].expectations'"),
        ('[{"tags": [1]}]', "'records[0].tags'"),
        ('[{"source": "x"}]', "'records[0].source'"),
        (
            '[{"source": {"source_type": "moon"}}]',
            "Invalid dataset record source type: MOON. Valid source types: ['UNSPECIFIED', 'TRACE'",
        ),
        ('[{"source": {"source_type": "CODE", "source_data": 1}}]', "'source_data'"),
        ('[{"source": {"source_data": {}}}]', "Invalid dataset record source type: None"),
    ],
)
def test_bad_records_are_refused_and_none_is_kept(registry: Registry, records: str, said: str) -> None:
    dataset = made(registry)
    good = '[{"inputs": {"q": 1}}, ' + records[1:] if records.startswith("[{") else records
    status, code, text = registry.refused("POST", f"datasets/{dataset}/records", records=good)
    assert (status, code) == (400, BAD)
    assert said.replace("records[1]", "records[2]").replace("records[0]", "records[1]") in text
    assert given(registry, dataset) == []


def test_what_is_not_there_is_told_as_mlflow_tells_it(registry: Registry) -> None:
    absent = "Evaluation dataset with id 'd-none' not found"
    assert registry.refused("GET", "datasets/d-none") == (404, ABSENT, absent)
    assert registry.refused("POST", "datasets/d-none/records", records="[]") == (404, ABSENT, absent)
    text = "Could not find evaluation dataset with ID d-none"
    assert registry.refused("PATCH", "datasets/d-none/tags", tags="{}") == (404, ABSENT, text)
    for call in ("add-experiments", "remove-experiments"):
        fault = registry.refused("POST", f"datasets/d-none/{call}", experiment_ids=[])
        assert fault == (404, ABSENT, "Dataset 'd-none' not found")
    assert registry.get("datasets/d-none/experiment-ids") == {}
    assert registry.get("datasets/d-none/records") == {"records": "[]"}
    assert registry.delete("datasets/d-none/records", dataset_record_ids=["x"]) == {"deleted_count": 0}
    assert registry.delete("datasets/d-none") == {}
    assert registry.delete("datasets/d-none/tags/a") == {}


def test_a_data_set_needs_a_name_and_experiments_that_are_there(registry: Registry) -> None:
    status, code, text = registry.refused("POST", "datasets/create", name="")
    assert (status, code, text.startswith("Missing value for required parameter 'name'.")) == (400, BAD, True)
    for tags in ("[]", "{", "1"):
        assert registry.refused("POST", "datasets/create", name="x", tags=tags)[:2] == (400, BAD)
    fault = registry.refused("POST", "datasets/create", name="half", experiment_ids=["0", "none"])
    assert fault == (404, ABSENT, "No Experiment with id=none exists")
    assert registry.post("datasets/search", filter_string="name = 'half'") == {}
    assert registry.refused("POST", "datasets/create", name="x" * 3000)[:2] == (400, BAD)


def test_tags_change_and_go(registry: Registry) -> None:
    dataset = made(registry, tags='{"a": "1"}')
    at = read(registry, dataset)["last_update_time"]
    registry.patch(f"datasets/{dataset}/tags", tags='{"a": null, "b": true, "c": "x"}')
    registry.delete(f"datasets/{dataset}/tags/c")
    registry.delete(f"datasets/{dataset}/tags/c")
    now = read(registry, dataset)
    assert (json.loads(now["tags"]), now["last_update_time"]) == ({"a": "1", "b": "True"}, at)
    assert registry.refused("PATCH", f"datasets/{dataset}/tags", tags="[1]")[:2] == (400, BAD)


def test_experiments_come_and_go(registry: Registry) -> None:
    one, two = experiment(registry, "came one"), experiment(registry, "came two")
    dataset = made(registry, experiment_ids=[one])
    fault = registry.refused("POST", f"datasets/{dataset}/add-experiments", experiment_ids=[two, "none"])
    assert fault == (404, ABSENT, "No Experiment with id=none")
    assert registry.get(f"datasets/{dataset}/experiment-ids") == {"experiment_ids": [one]}
    reply = registry.post(f"datasets/{dataset}/add-experiments", experiment_ids=[two, one])["dataset"]
    assert reply["dataset_id"] == dataset
    registry.post(f"datasets/{dataset}/remove-experiments", experiment_ids=[one, "none"])
    assert registry.get(f"datasets/{dataset}/experiment-ids") == {"experiment_ids": [two]}


def test_data_sets_are_searched_in_pages(registry: Registry) -> None:
    one = experiment(registry, "searched")
    for name in ("s-a", "s-b", "s-c"):
        made(registry, name, experiment_ids=[one], tags=json.dumps({"mlflow.user": f"u-{name}"}))
    asked = {"experiment_ids": [one], "order_by": ["name ASC"], "max_results": 2}
    for method in ("GET", "POST"):
        first = registry.ask(method, "datasets/search", asked).json
        assert [dataset["name"] for dataset in first["datasets"]] == ["s-a", "s-b"]
        rest = registry.ask(method, "datasets/search", asked | {"page_token": first["next_page_token"]}).json
        assert [dataset["name"] for dataset in rest["datasets"]] == ["s-c"]
        assert "next_page_token" not in rest
    found = registry.post("datasets/search", filter_string="created_by = 'u-s-b' AND name IN ('s-b', 's-c')")
    assert [dataset["name"] for dataset in found["datasets"]] == ["s-b"]
    newest = registry.post("datasets/search", experiment_ids=[one])["datasets"]
    assert [dataset["name"] for dataset in newest] == ["s-c", "s-b", "s-a"]
    for bad, said in (
        ({"filter_string": "digest = 'x'"}, "Invalid attribute key 'digest'"),
        ({"filter_string": "params.a = 'x'"}, "Invalid identifier token 'params' specified"),
        ({"order_by": ["created_by"]}, "Invalid attribute key 'created_by' specified. Valid keys are: "),
        ({"page_token": "x"}, "Invalid page token"),
        ({"max_results": 0}, "It must be a positive integer"),
        ({"max_results": 50_001}, "It must be at most 50000"),
    ):
        status, code, text = registry.refused("POST", "datasets/search", **bad)
        assert (status, code, said in text) == (400, BAD, True), text


def test_whoever_has_no_login_changes_what_was_made_so(registry: Registry) -> None:
    local, theirs = registry.local(), made(registry, "theirs")
    own = made(local, "own")
    kept(local, own, {"inputs": {"q": 1}})
    local.patch(f"datasets/{own}/tags", tags='{"a": "1"}')
    assert local.get(f"datasets/{theirs}")["dataset"]["name"] == "theirs"
    for method, call, message in (
        ("POST", "records", {"records": "[]"}),
        ("PATCH", "tags", {"tags": "{}"}),
        ("POST", "add-experiments", {"experiment_ids": []}),
    ):
        assert local.ask(method, f"datasets/{theirs}/{call}", message).status == 403
    assert local.ask("DELETE", f"datasets/{theirs}").status == 403
    assert local.delete(f"datasets/{own}") == {}
    assert local.ask("GET", f"datasets/{own}").status == 404


def test_a_command_keeps_its_own_in_its_project(registry: Registry) -> None:
    created = registry.bench.by_hand()
    run = registry.bench.services.store.get_run(created.run_id)
    command = Registry(registry.bench, registry.live, created.token)
    own = made(command, "of a run", experiment_ids=["0"])
    kept(command, own, {"inputs": {"q": 1}})
    assert registry.bench.services.store.get_evaluation_dataset(own).project_id == run.project_id
    assert command.get(f"datasets/{own}/experiment-ids") == {"experiment_ids": [run.experiment_id]}
    elsewhere = made(registry, "elsewhere")
    assert command.ask("GET", f"datasets/{elsewhere}").status == 403
    assert [it["dataset_id"] for it in command.get("datasets/search")["datasets"]] == [own]
    other = Registry(registry.bench, registry.live, registry.bench.by_hand().token)
    assert other.ask("GET", f"datasets/{own}/records").status == 200
    assert other.ask("POST", f"datasets/{own}/records", {"records": "[]"}).status == 403
    member = Registry(registry.bench, registry.live, registry.live.token(Scope.MEMBER, "mia"))
    assert member.delete(f"datasets/{own}") == {}


def test_who_deleted_a_data_set_is_written_down(registry: Registry) -> None:
    dataset = made(registry, "to be deleted")
    kept(registry, dataset, {"inputs": {"q": 1}}, {"inputs": {"q": 2}})
    subject = f"evaluation_dataset:{dataset}"
    assert registry.local().ask("DELETE", f"datasets/{dataset}").status == 403
    for _ in range(2):  # the second time there is nothing to delete
        assert registry.delete(f"datasets/{dataset}") == {}
    (told,) = registry.bench.services.store.list_events(subject=subject)
    assert (told.kind, told.project) == ("evaluation_dataset.deleted", "mlflow")
    assert told.facts == {"name": "to be deleted", "records": 2}
