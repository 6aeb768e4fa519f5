"""Scorers: kept, and never run."""

import json
from typing import Any

import pytest

from tests.unit.hub.mlflow_registry.conftest import Registry

BAD, ABSENT = "INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"


def registered(registry: Registry, experiment: str, name: str, **body: Any) -> dict[str, Any]:
    """Register a scorer's next version."""
    reply: dict[str, Any] = registry.post(
        "scorers/register", experiment_id=experiment, name=name, serialized_scorer=json.dumps(body)
    )
    return reply


def experiment(registry: Registry, name: str) -> str:
    """Make an experiment."""
    return str(registry.post("experiments/create", name=name)["experiment_id"])


def test_versions_of_a_scorer(registry: Registry) -> None:
    one = experiment(registry, "versions")
    first = registered(registry, one, "exact", n=1)
    second = registered(registry, one, "exact", n=2)
    registered(registry, one, "close", n=3)
    assert (first["version"], first["experiment_id"], first["name"]) == (1, one, "exact")
    assert (second["version"], second["scorer_id"]) == (2, first["scorer_id"])
    asked = {"experiment_id": one, "name": "exact"}
    latest = registry.get("scorers/get", **asked)["scorer"]
    expected = {"scorer_name": "exact", "scorer_version": 2, "serialized_scorer": '{"n": 2}'}
    expected |= {key: second[key] for key in ("scorer_id", "creation_time")}
    assert latest == expected | {"experiment_id": int(one)}
    assert registry.get("scorers/get", **asked, version=1)["scorer"]["serialized_scorer"] == '{"n": 1}'
    versions = registry.get("scorers/versions", **asked)["scorers"]
    assert [it["scorer_version"] for it in versions] == [1, 2]
    listed = registry.get("scorers/list", experiment_id=one)["scorers"]
    assert [(it["scorer_name"], it["scorer_version"]) for it in listed] == [("close", 1), ("exact", 2)]


def test_scorers_of_many_experiments(registry: Registry) -> None:
    one, two, gone = (experiment(registry, f"many {n}") for n in range(3))
    for each in (one, two, gone):
        registered(registry, each, f"of-{each}")
    registry.post("experiments/delete", experiment_id=gone)

    def names(**asked: Any) -> set[str]:
        return {it["scorer_name"] for it in registry.get("scorers/list", **asked).get("scorers", ())}

    assert names(experiment_ids=[one, gone, "none"]) == {f"of-{one}"}
    assert {f"of-{one}", f"of-{two}"} <= names()
    assert f"of-{gone}" not in names()
    status, code, text = registry.refused("GET", "scorers/list", experiment_id=one, experiment_ids=[two])
    assert (status, code, "Cannot specify both" in text) == (400, BAD, True)
    text = f"The experiment {gone} must be in the 'active' state. Current state is deleted."
    assert registry.refused("GET", "scorers/list", experiment_id=gone) == (400, BAD, text)


def test_the_default_experiment_is_named_by_its_number(registry: Registry) -> None:
    registered(registry, "0", "of default")
    found = registry.get("scorers/list", experiment_ids=["0"])["scorers"]
    assert [(it["scorer_name"], it["experiment_id"]) for it in found] == [("of default", 0)]


def test_a_scorer_goes_a_version_at_a_time_or_whole(registry: Registry) -> None:
    one = experiment(registry, "going")
    asked = {"experiment_id": one, "name": "exact"}
    for n in range(3):
        registered(registry, one, "exact", n=n)
    assert registry.delete("scorers/delete", **asked, version=2) == {}
    text = f"Scorer with name 'exact' and version 2 not found for experiment {one}."
    assert registry.refused("DELETE", "scorers/delete", **asked, version=2) == (404, ABSENT, text)
    assert registry.refused("GET", "scorers/get", **asked, version=2) == (404, ABSENT, text)
    assert registry.delete("scorers/delete", **asked) == {}
    text = f"Scorer with name 'exact' not found for experiment {one}."
    for method, call in (("GET", "get"), ("GET", "versions"), ("DELETE", "delete")):
        assert registry.refused(method, f"scorers/{call}", **asked) == (404, ABSENT, text)
    told = registry.bench.services.store.list_events(kind="scorer.deleted", subject=f"experiment:{one}")
    assert [event.facts["version"] for event in told] == [2, None]
    assert {(event.facts["scorer"], event.facts["name"]) for event in told} == {("exact", "going")}


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("  ", "{}", "Scorer name cannot be empty or contain only whitespace."),
        ("x", "{", "serialized_scorer must be valid JSON"),
        ("x", "[" * 100_000, "serialized_scorer must be valid JSON"),
        ("x", "[]", "serialized_scorer must be valid JSON"),
        ("x", '{"call_source": "import os"}', "Custom scorer registration"),
        ("x", '{"ensemble_scorer_data": {"scorers": [{"call_source": ""}]}}', "Custom scorer registration"),
        ("x", '{"builtin_scorer_pydantic_data": {"model": 1}}', "Scorer model must be a string, got int."),
        (
            "x",
            '{"memory_augmented_judge_data": {"base_judge": {"third_party_scorer_data": {"model": ""}}}}',
            "Scorer model cannot be empty or contain only whitespace.",
        ),
    ],
)
def test_what_is_no_scorer_is_refused(registry: Registry, name: str, body: str, said: str) -> None:
    message = {"experiment_id": "0", "name": name, "serialized_scorer": body}
    status, code, text = registry.refused("POST", "scorers/register", **message)
    assert (status, code, said in text) == (400, BAD, True), text


def test_a_model_behind_a_gateway_is_not_here(registry: Registry) -> None:
    body = json.dumps({"instructions_judge_pydantic_data": {"model": "gateway:/chat"}})
    fault = registry.refused("POST", "scorers/register", experiment_id="0", name="x", serialized_scorer=body)
    assert fault == (404, ABSENT, "GatewayEndpoint not found (name='chat')")


def test_no_scorer_judges_what_comes_in(registry: Registry) -> None:
    made = registered(registry, "0", "judge")
    assert registry.get("scorers/online-configs", scorer_ids=[made["scorer_id"]]) == {"configs": []}


def test_whoever_has_no_login_adds_a_version_and_deletes_its_own_scorers(registry: Registry) -> None:
    local = registry.local()
    registered(registry, "0", "theirs")
    assert registered(local, "0", "theirs")["version"] == 2
    registered(local, "0", "own")
    assert local.ask("DELETE", "scorers/delete", {"experiment_id": "0", "name": "theirs"}).status == 403
    assert local.delete("scorers/delete", experiment_id="0", name="own") == {}
