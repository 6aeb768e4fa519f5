"""The published description of the API: valid, complete, and true for whatever is sent.

Schemathesis reads it as a stranger would, makes up requests, good and bad ones, and holds every answer to it.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from relive.hub.api import build_api
from tests.support.bench import open_bench, quick_folder
from tests.support.live import LiveHub, served

# Spoken by processes that come with the hub, in its own version: not for people, and not described.
INTERNAL = ("/api/v1/jobs/", "/api/v1/blobs/", "/api/v1/schema")
INTERNAL_ENDINGS = (
    *("heartbeat", "progress", "{run_id}/records", "{job_id}/records", "finish", "verdicts"),
    *(
        "{ref}/manifest",
        "{ref}/layout",
        "packs/{digest}",
        "{ref}/check",
    ),  # bytes that our own client puts together
)


@pytest.fixture(scope="module")
def live() -> Iterator[LiveHub]:
    """A hub with one of everything, for requests of every kind."""
    with quick_folder() as folder, open_bench(folder) as bench, served(bench.services, auth="token") as hub:
        bench.start({"relive.yaml": "version: 1\nstages: {train: {cmd: x}}\n"})
        bench.deployed(bench.version())
        bench.by_hand()
        yield hub


@pytest.fixture(scope="module")
def described(live: LiveHub) -> Any:
    """The description as the hub publishes it."""
    return live.ask("GET", "/api/v1/schema/openapi.json", token="").json


@pytest.fixture
def schema(live: LiveHub) -> Any:
    """What Schemathesis makes of the description."""
    return schemathesis.openapi.from_url(f"{live.url}/api/v1/schema/openapi.json")


def operations(described: Any) -> dict[str, Any]:
    """Give each operation by method and path."""
    return {
        f"{method.upper()} {path}": operation
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    }


def test_it_is_a_valid_description(schema: Any) -> None:
    schema.validate()
    assert schema.specification.version.startswith("3.1")


def as_described(path: str) -> str:
    """Write a route's path as the description does: without the types of its parameters."""
    return re.sub(r"{(\w+):\w+}", r"{\1}", path)


def test_every_route_for_people_is_in_it(live: LiveHub, described: Any) -> None:
    app = build_api(live.config, live.services, None)  # type: ignore[arg-type]  # nothing is asked of it
    routes = {
        f"{method} {as_described(route.path)}"
        for route in app.routes
        if route.path.startswith("/api/v1/") and not route.path.startswith(INTERNAL)
        for method in route.methods - {"OPTIONS", "HEAD"}
    }
    for_people = {route for route in routes if not route.endswith(INTERNAL_ENDINGS)}
    named = {it for it in operations(described) if " /api/v1/" in it}
    assert for_people - {"POST /api/v1/runs/{run_id}/log"} == named


def test_every_operation_says_what_it_does_and_what_it_takes(described: Any) -> None:
    for name, operation in operations(described).items():
        assert operation.get("summary"), name
        assert operation.get("description"), name
    bodies = {name for name, operation in operations(described).items() if "requestBody" in operation}
    without = {name for name in operations(described) if name.startswith("POST")} - bodies
    assert without == {
        "POST /api/v1/keys/rotate",
        "POST /api/v1/login-link",
        "POST /api/v1/models/{name}/versions/{ref}/verify",
        "POST /api/v1/endpoints/{name}/cancel",
        "POST /api/v1/endpoints/{name}/rollback",
        "POST /api/v1/pipelines/{ref}/cancel",
        "POST /api/v1/runs/{run_id}/cancel",
        "POST /webhooks/{kind}",
    }


def test_nothing_of_it_is_loaded_from_elsewhere(live: LiveHub) -> None:
    for path in ("/api/v1/schema", "/api/v1/schema/openapi.json"):
        answer = live.ask("GET", path, token="")
        assert answer.status == 200
        assert answer.headers["content-type"].startswith("application/vnd.oai.openapi+json")


SENT = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)


def judge(case: Case[Any], live: LiveHub) -> None:
    """Send one request and hold its answer to the description."""
    answer = case.call(headers={"authorization": f"Bearer {live.admin}"})
    case.validate_response(
        answer, checks=[not_a_server_error, response_schema_conformance, content_type_conformance]
    )
    if answer.status_code >= 400:
        problem = answer.json()
        assert set(problem) == {"code", "message", "facts", "todo"}, problem
        assert problem["code"], problem
        assert problem["message"], problem
    assert answer.status_code not in (503, 507) or "retry-after" in answer.headers


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["good", "bad"])
def test_whatever_is_sent_it_never_fails_and_answers_as_described(
    schema: Any, live: LiveHub, mode: GenerationMode
) -> None:
    wrong = {}
    (run,) = live.services.store.list_runs(order="created_at", limit=1)
    there = {"name": "digits", "ref": "digits:1", "run_id": run.id, "token_id": "0" * 16}
    for found in schema.get_all_operations():
        operation = found.ok()
        there["ref"] = "1" if "versions" in operation.path else "digits:1"
        if operation.label == "POST /api/v1/keys/rotate":
            continue  # each makes a key, and nothing about it depends on what is sent

        @SENT
        @given(case=operation.as_strategy(generation_mode=mode), is_there=st.booleans())
        def send(case: Case[Any], is_there: bool) -> None:
            if is_there:  # else nearly every answer would be that there is no such thing
                case.path_parameters.update({k: v for k, v in there.items() if k in case.path_parameters})
            judge(case, live)

        try:
            send()
        except Unsatisfiable:
            continue  # nothing that it takes could be wrong
        except (AssertionError, FailureGroup) as error:
            wrong[operation.label] = str(error)[:1500]
    assert not wrong, "\n\n".join(f"{label}\n{said}" for label, said in wrong.items())
