"""How requests are read, and what is said of those that are none."""

import re
from typing import Any

import pytest

from relive.core.access import Scope
from relive.hub.routes.mlflow.calls import TABLE
from tests.support.live import served
from tests.unit.hub.mlflow_tracking.conftest import SEE, Tracking, fault

BAD = "INVALID_PARAMETER_VALUE"


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({}, f"Missing value for required parameter 'name'.{SEE}"),
        ({"name": None}, f"Missing value for required parameter 'name'.{SEE}"),
        ({"name": ""}, f"Missing value for required parameter 'name'.{SEE}"),
        (
            {"name": 123},
            f"Invalid value 123 for parameter 'name' supplied:  Hint: Value was of type 'int'.{SEE}",
        ),
        (
            {"name": "e", "artifact_location": 9.0},
            (
                "Invalid value 9.0 for parameter 'artifact_location' supplied:  Hint: Value was of type"
                f" 'float'.{SEE}"
            ),
        ),
        (
            {"name": "e", "tags": "5"},
            f"Invalid value \"5\" for parameter 'tags' supplied:  Hint: Value was of type 'str'.{SEE}",
        ),
        (
            {"name": "e", "tags": [{"key": "a"}, {"value": "b"}]},
            f"Missing value for required parameter 'tags[1].key'.{SEE}",
        ),
        (
            {"name": "e", "tags": [{"key": "a", "value": 5}]},
            f"Invalid value 5 for parameter 'tags[0].value' supplied:  Hint: Value was of type 'int'.{SEE}",
        ),
    ],
)
def test_the_first_field_that_is_wrong_is_named(tracking: Tracking, message: Any, said: str) -> None:
    assert tracking.refused("experiments/create", message) == (400, BAD, said)


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'"x"', b"{bad", b"5", b"\xff", b"[" * 100_000])
def test_what_is_no_message_has_no_fields(tracking: Tracking, body: bytes) -> None:
    answer = tracking.ask("POST", "experiments/create", body=body, content_type="application/json")
    assert fault(answer) == (400, BAD, f"Missing value for required parameter 'name'.{SEE}")


def test_a_message_may_be_written_in_every_way_that_mlflow_reads(tracking: Tracking) -> None:
    run = tracking.run()
    tracking.post("runs/log-metric", run_uuid=run, key="a", value="1.5", timestamp="7", step=2.0, new="field")
    tracking.post("runs/log-metric", run_id=run, key="b", value="NaN", timestamp=7, step=None)
    kind = {"content_type": "application/json; charset=utf-8"}
    bare = f'{{"run_id": "{run}", "key": "c", "value": Infinity, "timestamp": 7}}'.encode()
    assert tracking.ask("POST", "runs/log-metric", body=bare, **kind).status == 200
    twice = f'"{{\\"run_id\\": \\"{run}\\", \\"key\\": \\"d\\", \\"value\\": \\"x\\"}}"'.encode()
    assert tracking.ask("POST", "runs/set-tag", body=twice, **kind).status == 200
    read = tracking.get("runs/get", run_uuid=run)["run"]["data"]
    assert read["metrics"] == [
        {"key": "a", "value": 1.5, "timestamp": 7, "step": 2},
        {"key": "b", "value": "NaN", "timestamp": 7, "step": 0},
        {"key": "c", "value": "Infinity", "timestamp": 7, "step": 0},
    ]
    assert {"key": "d", "value": "x"} in read["tags"]


def test_names_in_camel_case_are_read_but_not_beside_the_others(tracking: Tracking) -> None:
    run = tracking.run(runName="camel")
    assert tracking.read(run)["info"]["run_name"] == "camel"
    both = {"run_id": run, "run_name": "a", "runName": "b"}
    said = "Request specifies both 'run_name' and 'runName'; provide only one of them."
    assert tracking.refused("runs/update", both) == (400, BAD, said)


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"content_type": "text/plain"}, "Content-Type must be one of ['application/json']."),
        ({}, "Content-Type header is missing."),
    ],
)
def test_only_json_is_read(tracking: Tracking, headers: dict[str, str], said: str) -> None:
    answer = tracking.ask("POST", "experiments/create", body=b'{"name": "x"}', **headers)
    assert fault(answer) == (400, BAD, f"Bad Request. {said}")


def test_a_long_value_is_not_repeated_whole(tracking: Tracking) -> None:
    status, code, said = tracking.refused("runs/create", {"start_time": "x" * 1_000_000})
    assert (status, code) == (400, BAD)
    assert len(said) < 3000


def test_failures_are_classified_as_mlflow_does(tracking: Tracking) -> None:
    answer = tracking.ask("GET", "runs/get?run_id=none").json
    assert answer == {
        "error_code": "RESOURCE_DOES_NOT_EXIST",
        "message": "Run with id=none not found",
        "sqlstate": "KAM00",
        "error_class": "RESOURCE_NOT_FOUND",
    }


def test_a_defect_has_the_shape_that_clients_read(
    tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(type(tracking.bench.services.store), "find_run", broken)
    status, code, said = tracking.refused_query("runs/get", run_id="x")
    assert (status, code) == (500, "INTERNAL_ERROR")
    assert "ZeroDivisionError" not in said


def test_what_the_server_is(tracking: Tracking) -> None:
    info = tracking.live.ask("GET", "/api/3.0/mlflow/server-info", token=tracking.token).json
    assert (info["store_type"], info["workspaces_enabled"]) == ("SqlStore", False)
    assert tracking.live.ask("GET", "/ajax-api/3.0/mlflow/server-info", token=tracking.token).json == info
    version = tracking.live.ask("GET", "/version", token="")
    assert (version.status, version.body.count(b".")) == (200, 2)
    for method, path in (("GET", ""), ("POST", ""), ("PATCH", "/x"), ("DELETE", "/x")):
        answer = tracking.live.ask(method, f"/api/3.0/mlflow/workspaces{path}", token="")
        assert answer.status == 503
        assert b"running without workspaces support" in answer.body


def test_one_without_a_login_and_commands_change_what_they_made(tracking: Tracking) -> None:
    theirs, bench = tracking.experiment("theirs"), tracking.bench
    created = bench.by_hand(project="tried")
    local = tracking.as_caller(Scope.LOCAL, "local")
    command = Tracking(bench, tracking.live, created.token)
    for caller in (local, command):
        own = caller.experiment(f"own {caller is local}")
        caller.post("experiments/set-experiment-tag", experiment_id=own, key="a", value="b")
        caller.post("experiments/delete", experiment_id=own)
        run = caller.run(experiment_id="0")
        caller.post("runs/delete", run_id=run)
        caller.post("runs/restore", run_id=run)
        for path in ("experiments/delete", "experiments/restore"):
            assert caller.refused(path, {"experiment_id": theirs})[:2] == (403, "PERMISSION_DENIED")
    assert command.refused("runs/delete", {"run_id": created.run_id})[:2] == (403, "PERMISSION_DENIED")


def test_one_slash_too_many_neither_opens_nor_closes_an_address(tracking: Tracking) -> None:
    with served(tracking.bench.services, auth="local") as live:
        answer = live.ask("GET", "//get-artifact?run_id=x&path=../x", token="")
        assert (answer.status, answer.json["message"]) == (400, "Invalid path")
        assert live.ask("GET", "//api/v1/runs", token="").status == 401


@pytest.mark.parametrize(
    ("method", "path", "takes"),
    [
        ("GET", "runs/create", "POST"),
        ("PUT", "runs/get", "GET"),
        ("DELETE", "experiments/search", "GET, POST"),
        ("POST", "logged-models/m-1", "GET, PATCH, DELETE"),
    ],
)
def test_a_call_by_another_method_says_which_it_takes(
    tracking: Tracking, method: str, path: str, takes: str
) -> None:
    answer = tracking.ask(method, path, {} if method != "GET" else None)
    assert (answer.status, answer.headers["allow"]) == (405, takes)
    assert answer.json["message"].endswith(f"takes {takes}, not {method}.")
    assert tracking.ask(method, "nothing/of/the/kind").status == 501


def test_listing_artifacts_names_the_run_and_leaves_out_what_is_empty(tracking: Tracking) -> None:
    run = tracking.run()
    assert list(tracking.get("artifacts/list", run_uuid=run)) == ["root_uri"]
    said = f"Missing value for required parameter 'run_id'.{SEE}"
    for query in ({}, {"run_id": ""}, {"run_uuid": ""}):
        assert tracking.refused_query("artifacts/list", **query) == (400, BAD, said)


@pytest.mark.parametrize("prefix", ["api", "ajax-api"])
def test_no_call_is_hidden_behind_an_address_of_its_own(tracking: Tracking, prefix: str) -> None:
    for method, path in TABLE:
        named = re.sub(r"{\w+}", "x", path)
        for version in ("2.0", "3.0"):
            address = f"/{prefix}/{version}/mlflow/{named}"
            answer = tracking.live.ask(method, address, {} if method == "POST" else None)
            assert answer.status == 200 or "error_code" in answer.json, (method, address, answer.body)
