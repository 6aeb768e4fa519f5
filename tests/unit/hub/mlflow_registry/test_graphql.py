"""What MLflow's classic pages ask in GraphQL."""

import json
from typing import Any
from unittest.mock import Mock
from urllib.parse import urlencode

import pytest

from tests.unit.hub.mlflow_registry.conftest import Registry


def asked(registry: Registry, query: str, **more: Any) -> dict[str, Any]:
    """Ask; gives data and errors."""
    answer = registry.ask("POST", "/graphql", {"query": query} | more)
    assert answer.status == 200, answer.body
    reply: dict[str, Any] = answer.json
    return reply


def found(registry: Registry, query: str, **more: Any) -> dict[str, Any]:
    """Ask what can be answered; gives the data."""
    reply = asked(registry, query, **more)
    assert reply["errors"] is None
    data: dict[str, Any] = reply["data"]
    return data


def test_a_run_with_its_experiment_and_versions(registry: Registry) -> None:
    experiment = registry.post("experiments/create", name="gq")["experiment_id"]
    run_id = registry.post("runs/create", experiment_id=experiment, start_time=5)["run"]["info"]["run_id"]
    for key, value in (("loss", "NaN"), ("top", "Infinity"), ("acc", 0.5)):
        registry.post("runs/log-metric", run_id=run_id, key=key, value=value, timestamp=2**40, step=7)
    registry.model("gq")
    registry.version("gq", run_id=run_id)
    query = """
        query one($run: MlflowGetRunInput!) @component(name: "x") { mlflowGetRun(input: $run) {
            apiError { code }
            run {
                info { runId status startTime endTime }
                data { metrics { key value step timestamp datasetName } params { key } }
                experiment { name tags { key } }
                modelVersions { name version status }
                outputs { modelOutputs { step } }
            }
        } }
    """
    data = found(registry, query, variables={"run": {"runId": run_id}}, operationName="one")
    metric = {"step": "7", "timestamp": str(2**40), "datasetName": ""}
    assert data["mlflowGetRun"] == {
        "apiError": None,
        "run": {
            "info": {"runId": run_id, "status": "RUNNING", "startTime": "5", "endTime": "0"},
            "data": {
                "metrics": [
                    {"key": "acc", "value": 0.5} | metric,
                    {"key": "loss", "value": None} | metric,
                    {"key": "top", "value": None} | metric,
                ],
                "params": [],
            },
            "experiment": {"name": "gq", "tags": []},
            "modelVersions": [{"name": "gq", "version": "1", "status": "READY"}],
            "outputs": {"modelOutputs": []},
        },
    }


def test_what_is_asked_of_each_run_is_looked_up_once(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = registry.post("experiments/create", name="gq many")["experiment_id"]
    registry.model("gq many")
    ids = []
    for number in range(5):
        run = registry.post("runs/create", experiment_id=experiment, start_time=number)["run"]
        ids.append(run["info"]["run_id"])
        for _ in range(number % 3):
            registry.version("gq many", run_id=ids[-1])
    store = registry.bench.services.store
    versions, experiments = (Mock(wraps=it) for it in (store.search_versions, store.get_experiment))
    monkeypatch.setattr(store, "search_versions", versions)
    monkeypatch.setattr(store, "get_experiment", experiments)
    runs = "runs { info { runId } experiment { name } modelVersions { version } }"
    input_ = json.dumps(experiment)
    query = f"""query {{
        a: mlflowSearchRuns(input: {{experimentIds: [{input_}]}}) {{ {runs} }}
        b: mlflowSearchRuns(input: {{experimentIds: [{input_}], maxResults: 2}}) {{ {runs} }}
    }}"""
    data = found(registry, query)
    told = data["a"]["runs"]
    assert [run["info"]["runId"] for run in told] == ids[::-1]
    assert {run["experiment"]["name"] for run in told} == {"gq many"}
    assert [len(run["modelVersions"]) for run in told] == [1, 0, 2, 1, 0]
    assert data["b"]["runs"] == told[:2]
    assert versions.call_count == 1
    assert experiments.call_count <= 5


def test_the_calls_have_other_names(registry: Registry) -> None:
    experiment = registry.post("experiments/create", name="gq calls")["experiment_id"]
    run_id = registry.post("runs/create", experiment_id=experiment)["run"]["info"]["run_id"]
    registry.put(f"{experiment}/{run_id}/artifacts/d/f.txt", b"hello")
    for step in range(3):
        registry.post("runs/log-metric", run_id=run_id, key="m", value=step, timestamp=1, step=step)
    dataset = {"name": "iris", "digest": "1", "source_type": "local", "source": "{}"}
    registry.post("runs/log-inputs", run_id=run_id, datasets=[{"dataset": dataset}])
    query = f"""
        fragment files on MlflowListArtifactsResponse {{ files {{ path isDir fileSize }} }}
        query {{
            root: mlflowListArtifacts(input: {{runUuid: "{run_id}"}}) {{ ...files }}
            inside: mlflowListArtifacts(input: {{runId: "{run_id}", path: "d"}}) {{ ... {{ ...files }} }}
            mlflowGetMetricHistoryBulkInterval(
                input: {{runIds: ["{run_id}"], metricKey: "m", startStep: 1, endStep: 9}}
            ) {{
                metrics {{ value step runId }}
            }}
            mlflowSearchRuns(input: {{experimentIds: ["{experiment}"], runViewType: ALL, maxResults: 1}}) {{
                runs {{ info {{ runId }} }} nextPageToken
            }}
            test(inputString: "abc") {{ output }}
        }}
    """
    data = found(registry, query)
    assert data["root"] == {"files": [{"path": "d", "isDir": True, "fileSize": "0"}]}
    assert data["inside"] == {"files": [{"path": "d/f.txt", "isDir": False, "fileSize": "5"}]}
    points = data["mlflowGetMetricHistoryBulkInterval"]["metrics"]
    assert [(it["value"], it["step"], it["runId"]) for it in points] == [(1, "1", run_id), (2, "2", run_id)]
    assert data["mlflowSearchRuns"] == {"runs": [{"info": {"runId": run_id}}], "nextPageToken": ""}
    assert data["test"] == {"output": "abc"}
    change = f"""mutation {{ mlflowSearchDatasets(input: {{experimentIds: ["{experiment}"]}}) {{
        datasetSummaries {{ name digest context }} }} }}"""
    summaries = found(registry, change)["mlflowSearchDatasets"]["datasetSummaries"]
    assert summaries == [{"name": "iris", "digest": "1", "context": ""}]


def test_what_fails_is_told_beside_the_rest(registry: Registry) -> None:
    absent = 'a: mlflowGetRun(input: {runId: "none"}) { run { info { runId } } }'
    reply = asked(registry, f'{{ {absent} test(inputString: "x") {{ output }} }}')
    assert reply["errors"] == ["Run with id=none not found"]
    assert reply["data"] == {"a": None, "test": {"output": "x"}}
    reply = asked(registry, "{ mlflowGetRun { run { info { runId } } } }")
    assert reply["errors"][0].startswith("Missing value for required parameter 'run_id'.")
    reply = asked(registry, "{ nothing }")
    assert (reply["data"], reply["errors"]) == (None, ["Cannot query field 'nothing' on type 'Query'."])


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (
            "{" + "test { output } " * 11 + "}",
            "GraphQL queries should have at most 10 root fields, got 11 root",
        ),
        (
            "{ test { " + " ".join(f"k{n}: output" for n in range(11)) + " } }",
            "GraphQL queries should have at most 10 aliases, got 11 aliases.",
        ),
        ("{ test {" + "output " * 1000 + "} }", "Query exceeds maximum total selections of 1000"),
        ("{" + "a {" * 11 + "b" + "}" * 12, "Query exceeds maximum depth of 10"),
        ("fragment f on Test { output ...f } { test { ...f } }", "Query exceeds maximum total selections"),
        ("fragment f on Test { ...f } { test { ...f } }", "Cannot spread fragment 'f' within itself"),
    ],
)
def test_a_question_has_its_limits(registry: Registry, query: str, said: str) -> None:
    reply = asked(registry, query)
    assert reply["data"] is None
    assert reply["errors"][0].startswith(said), reply


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"query": 1}',
        b'{"query": "{"}',
        b'{"query": "{ test { output } }", "variables": [1]}',
        json.dumps({"query": "{a" * 2400}).encode(),
        json.dumps({"query": "a " * 6000}).encode(),
    ],
)
def test_what_is_no_question_is_refused(registry: Registry, body: bytes) -> None:
    answer = registry.live.ask("POST", "/graphql", body=body)
    assert (answer.status, answer.json["error_code"]) == (400, "INVALID_PARAMETER_VALUE"), answer.body


def test_a_question_may_stand_in_the_address(registry: Registry) -> None:
    query = {"query": "query q($s: String) { test(inputString: $s) { output } }", "variables": '{"s": "x"}'}
    answer = registry.ask("GET", f"/graphql?{urlencode(query)}")
    assert answer.json["data"] == {"test": {"output": "x"}}


def test_nobody_asks_anything(registry: Registry) -> None:
    assert registry.live.ask("POST", "/graphql", {"query": "{ test { output } }"}, token="").status == 401


def test_a_command_sees_its_own_project(registry: Registry) -> None:
    created = registry.bench.by_hand()
    command = Registry(registry.bench, registry.live, created.token)
    query = '{{ mlflowGetRun(input: {{runId: "{}"}}) {{ run {{ info {{ runId }} }} }} }}'
    assert (
        found(command, query.format(created.run_id))["mlflowGetRun"]["run"]["info"]["runId"] == created.run_id
    )
    elsewhere = registry.post("runs/create", experiment_id="0")["run"]["info"]["run_id"]
    assert "may not" in asked(command, query.format(elsewhere))["errors"][0]
