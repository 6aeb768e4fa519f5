"""One shape for every error, whoever finds it: the services, the framework, the gatekeeper or nobody."""

import dataclasses
import math
from typing import Any

import msgspec
import pytest

import relive.errors
from relive.errors import DatabaseBusy, InvalidInput, ReliveError, StoreFull
from relive.hub.problems import headers_for, problem_of, status_of
from relive.wire.problem import Problem
from tests.support.bench import Bench
from tests.support.live import MSGPACK, LiveHub

CLASSES = [getattr(relive.errors, name) for name in relive.errors.__all__ if name != "ReliveError"]
# What no request can cause: it would be a defect, or it is said by another process.
UNEXPECTED = {
    "BlobCorrupt",
    "CannotReplay",
    "CommandFailed",
    "DatabaseFailed",
    "DatabaseTooNew",
    "ForgeRefused",
    "NoHubToReplay",
    "ForgeUnreachable",
    "GitFailed",
    "HubRefused",
    "HubUnreachable",
    "LaunchFailed",
    "PortTaken",
    "SecretUnreadable",
    "WebhookFailed",
}


def example(kind: type[ReliveError]) -> ReliveError:
    """Make an error of a class with some value for each fact."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]  # each is a dataclass
        if field.default is dataclasses.MISSING:
            kinds: dict[Any, Any] = {int: 7, tuple[str, ...]: ("a", "b"), dict[str, Any]: {}}
            values[field.name] = kinds.get(field.type, "x")
    return kind(**values)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_has_a_status_and_says_all_it_knows(kind: type[ReliveError]) -> None:
    error = example(kind)
    assert (status_of(error) == 500) == (kind.__name__ in UNEXPECTED)
    problem = msgspec.json.decode(msgspec.json.encode(problem_of(error)), type=Problem)
    assert problem.code == kind.code
    assert problem.message.startswith(error.what())
    assert set(problem.facts) == {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]


def test_a_subclass_is_answered_before_its_base() -> None:
    assert status_of(relive.errors.InvalidRange("range", "9-", "x")) == 416
    assert status_of(relive.errors.BlobNotFound("blob", "x")) == 404
    assert status_of(relive.errors.Superseded("job", "x")) == 409


def test_facts_that_json_cannot_say_are_said_all_the_same() -> None:
    error = InvalidInput(field="x", value=math.nan, wanted="a number")
    assert msgspec.json.decode(msgspec.json.encode(problem_of(error)))["facts"]["value"] is None
    odd = InvalidInput(field="x", value=object(), wanted="a number")
    assert "object object" in msgspec.json.decode(msgspec.json.encode(problem_of(odd)))["facts"]["value"]


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (401, {"www-authenticate": 'Bearer realm="relive"'}),
        (503, {"retry-after": "5"}),
        (507, {"retry-after": "5"}),
        (404, {}),
    ],
)
def test_headers_say_what_to_do(status: int, headers: dict[str, str]) -> None:
    assert headers_for(status) == headers


WRONG: list[tuple[str, str, dict[str, Any], int, str]] = [
    ("GET", "/api/v1/nothing", {}, 404, "not_found"),
    ("GET", "/api/v1/runs/ffffffff", {}, 404, "not_found"),
    ("PATCH", "/api/v1/info", {}, 405, "method_not_allowed"),
    ("GET", "/api/v1/info", {"token": ""}, 401, "not_logged_in"),
    ("GET", "/api/v1/info", {"token": "rlv_0_1"}, 401, "not_logged_in"),
    ("GET", "/api/v1/info", {"host": "evil.example"}, 403, "access_denied"),
    ("POST", "/api/v1/projects", {"body": b""}, 400, "invalid_request"),
    ("POST", "/api/v1/projects", {"body": b"{"}, 400, "invalid_input"),
    ("POST", "/api/v1/projects", {"body": b"[" * 200_000}, 400, "invalid_input"),
    ("POST", "/api/v1/projects", {"body": b'{"name": "\xff"}'}, 400, "invalid_input"),
    ("POST", "/api/v1/projects", {"body": b'{"name": "a", "name": 1}'}, 400, "invalid_request"),
    ("POST", "/api/v1/projects", {"body": b'{"name": "../x"}'}, 400, "invalid_name"),
    ("POST", "/api/v1/projects", {"body": b'{"name": "' + b"x" * 1_000_000 + b'"}'}, 400, "invalid_name"),
    ("POST", "/api/v1/projects", {"body": b"\xc1", "content_type": MSGPACK}, 400, "invalid_input"),
    ("POST", "/api/v1/tokens", {"body": b'{"label": "x", "life_s": NaN}'}, 400, "invalid_input"),
    ("POST", "/api/v1/tokens", {"body": b'{"label": "x", "life_s": -1}'}, 400, "invalid_input"),
    ("POST", "/api/v1/tokens", {"body": b'{"label": "x", "scope": "god"}'}, 400, "invalid_input"),
    (
        "POST",
        "/api/v1/pipelines",
        {"body": b'{"project": "digits", "rev": "--upload-pack=x"}'},
        404,
        "not_found",
    ),
    ("GET", "/api/v1/pipelines/digits:%C2%B2", {}, 400, "invalid_input"),
    ("GET", "/api/v1/pipelines/digits:0999999999999999999999", {}, 400, "invalid_input"),
    ("GET", "/api/v1/runs?order=password", {}, 400, "invalid_filter"),
    ("GET", "/api/v1/runs?limit=many", {}, 400, "invalid_request"),
    ("GET", "/api/v1/runs?project=none", {}, 404, "not_found"),
    ("POST", "/webhooks/nowhere", {"body": b"{}"}, 404, "not_found"),
]


@pytest.mark.parametrize(("method", "path", "options", "status", "code"), WRONG, ids=lambda it: str(it)[:60])
def test_every_refusal_has_the_one_shape(
    live: LiveHub, method: str, path: str, options: dict[str, Any], status: int, code: str
) -> None:
    answer = live.ask(method, path, **options)
    assert (answer.status, answer.code) == (status, code), answer.body
    assert answer.headers["content-type"].startswith("application/json")
    assert set(answer.json) == {"code", "message", "facts", "todo"}
    assert len(answer.body) < 3000 or "xxxx" in answer.json["facts"].get("value", "")


def test_what_is_wrong_is_named_by_its_place(live: LiveHub) -> None:
    said = live.ask("POST", "/api/v1/projects", {"nome": "x"}).json["message"]
    assert said == "POST /api/v1/projects: the message: Object missing required field `name`"
    said = live.ask("POST", "/api/v1/projects", {"name": 3}).json["message"]
    assert said == "POST /api/v1/projects: 'name' in the body: Expected `str`, got `int`"
    said = live.ask("GET", "/api/v1/runs?limit=x&offset=y").json["message"]
    assert "'limit' in the query: Expected `int`, got `str`" in said
    assert "'offset' in the query" in said
    said = live.ask("POST", "/api/v1/projects", body=b"").json["message"]
    assert said == "POST /api/v1/projects: the message is missing"


def test_a_defect_is_told_by_a_number_and_nothing_of_it_is_shown(
    live: LiveHub, bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("the secret of the house")

    monkeypatch.setattr(type(bench.services.store), "list_pools", broken)
    answer = live.ask("GET", "/api/v1/pools")
    assert (answer.status, answer.code) == (500, "internal")
    assert b"secret" not in answer.body
    assert answer.json["facts"]["incident"] in caplog.text
    assert "the secret of the house" in caplog.text


@pytest.mark.parametrize("path", ["/api/v1/pools", "/api/2.0/mlflow/experiments/get?experiment_id=0"])
def test_a_database_that_is_busy_says_when_to_come_back(
    live: LiveHub, bench: Bench, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    def busy(*_: object, **__: object) -> None:
        raise DatabaseBusy("sqlite", "locked")

    monkeypatch.setattr(type(bench.services.store), "find_token", busy)
    answer = live.ask("GET", path)
    assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "database_busy", "5")


def test_a_full_disk_is_the_same_for_a_service_and_for_a_stream(
    live: LiveHub, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise StoreFull(where="the disk")

    monkeypatch.setattr(type(bench.services.store), "create_run", full)
    answer = live.ask("POST", "/api/v1/runs", {"project": "digits"})
    assert (answer.status, answer.code, answer.headers["retry-after"]) == (507, "store_full", "5")
    assert "free some space" in answer.json["todo"]


def test_a_browser_is_told_in_a_page(live: LiveHub) -> None:
    answer = live.ask("GET", "/p/nowhere", accept="text/html")
    assert answer.status == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert live.ask("GET", "/p/nowhere", accept="application/json").code == "not_found"
    assert live.ask("GET", "/api/v1/runs/ffff", accept="text/html").code == "not_found"


def test_mlflows_clients_are_told_in_mlflows_shape(live: LiveHub) -> None:
    path = "/api/2.0/mlflow/"
    cases = [
        ("GET", "runs/get?run_id=ffff", None, 404, "RESOURCE_DOES_NOT_EXIST"),
        ("GET", "runs/get", None, 400, "INVALID_PARAMETER_VALUE"),
        ("GET", "experiments/get-by-name?experiment_name=none", None, 404, "RESOURCE_DOES_NOT_EXIST"),
        ("POST", "runs/log-metric", {"run_id": "x"}, 400, "INVALID_PARAMETER_VALUE"),
        ("POST", "experiments/create", {"name": ""}, 400, "INVALID_PARAMETER_VALUE"),
        ("POST", "gateway/budgets/create", {}, 501, "NOT_IMPLEMENTED"),
        ("DELETE", "anything/at/all", None, 501, "NOT_IMPLEMENTED"),
    ]
    for method, rest, message, status, code in cases:
        answer = live.ask(method, path + rest, message)
        assert (answer.status, answer.json["error_code"]) == (status, code), (rest, answer.body)
        assert answer.json["message"]
