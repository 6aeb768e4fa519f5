"""GitHub by its own words: its example webhooks, its OpenAPI description, a real git remote over HTTP."""

import hashlib
import hmac
import json
import re
import threading
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import urllib3

from relive.core.forge import CommitStatus, ForgeLink, StatusState
from relive.core.pipeline import PipelineStatus
from relive.errors import AccessDenied, ForgeRefused, ForgeUnreachable, InvalidInput
from relive.forges.github import GitHub, status_body
from tests.e2e.hub import RealHub, make_repository, running_hub, wait_for

HERE = Path(__file__).parent / "github"
PAYLOADS: dict[str, list[dict[str, Any]]] = json.loads((HERE / "webhook-payloads.json").read_text())
SPEC: dict[str, Any] = json.loads((HERE / "openapi-statuses.json").read_text())
SECRET = "It's a Secret to Everybody"
ONE_STAGE = (
    "version: 1\nstages:\n  train:\n    cmd: 'echo {\\\"accuracy\\\": 0.8} > m.json'\n    metrics: [m.json]\n"
)
GATED = ONE_STAGE + "  gate:\n    needs: [train]\n    gates: [{metric: accuracy, min: 0.9}]\n"


def sign(body: bytes, secret: str = SECRET) -> str:
    """Sign as GitHub does."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def link(api_url: str = "", secret: str = SECRET) -> ForgeLink:
    """Give a link to the repository of GitHub's examples."""
    url = "https://github.com/Codertocat/Hello-World"
    return GitHub().link(url, token="t0ken", webhook_secret=secret, api_url=api_url)


def all_payloads() -> list[tuple[str, dict[str, Any]]]:
    """Give every example with its event's name."""
    return [(name, payload) for name, payloads in PAYLOADS.items() for payload in payloads]


@pytest.mark.parametrize(("event", "payload"), all_payloads())
def test_each_example_verifies_and_a_tampered_one_does_not(event: str, payload: dict[str, Any]) -> None:
    body = json.dumps(payload).encode()
    headers = {"x-github-event": event, "x-hub-signature-256": sign(body)}
    GitHub().verify(link(), headers, body)
    with pytest.raises(AccessDenied):
        GitHub().verify(link(), headers, body + b" ")
    with pytest.raises(AccessDenied):
        GitHub().verify(link(), headers | {"x-hub-signature-256": sign(body, "other")}, body)
    with pytest.raises(AccessDenied):
        GitHub().verify(link(), {}, body)


def test_a_project_without_a_secret_takes_no_webhook_at_all() -> None:
    body = b"{}"
    with pytest.raises(AccessDenied):
        GitHub().verify(link(secret=""), {"x-hub-signature-256": sign(body, "")}, body)


@pytest.mark.parametrize("payload", PAYLOADS["push"])
def test_each_push_is_read(payload: dict[str, Any]) -> None:
    push = GitHub().read_push({"x-github-event": "push"}, json.dumps(payload).encode())
    assert push is not None
    assert push.repository == "Codertocat/Hello-World"
    assert push.ref == payload["ref"]
    assert push.after == ("" if payload["deleted"] else payload["after"])


@pytest.mark.parametrize("payload", PAYLOADS["ping"])
def test_other_events_are_nothing_to_do(payload: dict[str, Any]) -> None:
    assert GitHub().read_push({"x-github-event": "ping"}, json.dumps(payload).encode()) is None


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"repository": 1}', b"\xff", b"[" * 100_000])
def test_rubbish_is_refused_in_words(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        GitHub().repository_of(body)


@pytest.mark.parametrize(
    "url",
    [
        "git@github.com:acme/churn.git",
        "https://token@github.com/acme/churn",
        "https://github.com/acme",
        "file:///etc/passwd",
        "https:///acme/churn",
    ],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput):
        GitHub().link(url, token="", webhook_secret="")


def test_the_token_stands_in_no_address() -> None:
    made = link()
    variables = GitHub().fetch_variables(made)
    assert "t0ken" not in made.url
    assert all("t0ken" not in value for value in variables.values())
    assert made.api_url == "https://api.github.com"


@dataclass
class Api:
    """A stand-in for GitHub's API which judges each request by GitHub's own description."""

    url: str
    answer: int = 201
    statuses: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def judge(path: str, headers: dict[str, str], body: bytes) -> tuple[str, dict[str, Any]]:
    """Check a request against the OpenAPI description; gives the commit and the body."""
    ((template, item),) = SPEC["paths"].items()
    pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(template))
    found = re.fullmatch(pattern, path)
    assert found is not None, f"{path} is not {template}"
    assert re.fullmatch(r"[0-9a-f]{40}", found["sha"]), found["sha"]
    content = item["post"]["requestBody"]["content"]
    assert headers["content-type"] in content
    message = json.loads(body)
    jsonschema.Draft202012Validator(content["application/json"]["schema"]).validate(message)
    assert set(message) <= set(content["application/json"]["schema"]["properties"])
    assert len(message["description"]) <= 140
    return found["sha"], message


@pytest.fixture
def api() -> Iterator[Api]:
    """An API on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the name that http.server calls
            body = self.rfile.read(int(self.headers["content-length"]))
            path = urllib.parse.unquote(self.path)
            headers = {key.lower(): value for key, value in self.headers.items()}
            try:
                state.statuses.append(judge(path, headers, body))
            except (AssertionError, jsonschema.ValidationError, ValueError) as error:
                state.faults.append(str(error))
            reply = json.dumps({"message": "as asked"}).encode()
            self.send_response(state.answer)
            self.send_header("content-length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = Api(url=f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


STATUS = CommitStatus(
    context="relive/x", state=StatusState.FAILURE, description="d" * 300, url="http://hub/p/x/pipelines/1"
)


def test_what_we_send_is_what_github_describes(api: Api) -> None:
    GitHub().set_status(link(api.url), "a" * 40, STATUS)
    assert api.faults == []
    ((sha, message),) = api.statuses
    assert sha == "a" * 40
    assert message["state"] == "failure"
    assert message["description"].endswith("…")


def test_the_judge_refuses_what_github_would() -> None:
    headers = {"content-type": "application/json"}
    bad = status_body(STATUS) | {"state": "green"}
    with pytest.raises(jsonschema.ValidationError):
        judge("/repos/o/r/statuses/" + "a" * 40, headers, json.dumps(bad).encode())


def test_a_refusal_and_an_outage_are_told_apart(api: Api) -> None:
    api.answer = 422
    with pytest.raises(ForgeRefused, match="as asked"):
        GitHub().set_status(link(api.url), "a" * 40, STATUS)
    api.answer = 503
    with pytest.raises(ForgeUnreachable):
        GitHub().set_status(link(api.url), "a" * 40, STATUS)
    with pytest.raises(ForgeUnreachable):
        GitHub().set_status(link("http://127.0.0.1:1"), "a" * 40, STATUS)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHub]:
    """A hub that looks for lost pushes each second."""
    with running_hub(tmp_path_factory.mktemp("home"), RELIVE_POLL_S="1") as running:
        yield running


def follow(hub: RealHub, api: Api, name: str, upstream: str, *secret: str) -> None:
    """Let a project follow another project of the same hub, which is a real git remote over HTTP."""
    token = json.loads((hub.home / "tokens.json").read_text())["tokens"][hub.address]
    url = f"{hub.address}/git/{upstream}.git"
    hub.relive("project", "follow", name, url, "--token", token, "--api-url", api.url, *secret)


def deliver(hub: RealHub, payload: dict[str, Any], delivery: str, secret: str = SECRET) -> tuple[int, str]:
    """Send a webhook as GitHub would."""
    body = json.dumps(payload).encode()
    headers = {
        "Content-Type": "application/json",
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": delivery,
        "X-Hub-Signature-256": sign(body, secret),
    }
    reply = urllib3.request("POST", f"{hub.address}/webhooks/github", body=body, headers=headers, timeout=30)
    return reply.status, reply.data.decode()


def statuses(api: Api, commit: str) -> dict[str, str]:
    """Give the last state of each context of a commit."""
    return {message["context"]: message["state"] for sha, message in api.statuses if sha == commit}


def test_a_webhook_starts_a_pipeline_and_its_gates_are_told(hub: RealHub, api: Api, tmp_path: Path) -> None:
    upstream = make_repository(hub, tmp_path / "upstream", {"relive.yaml": GATED})
    upstream.push()
    follow(hub, api, "churn", "upstream", "--webhook-secret", SECRET)
    wait_for(lambda: hub.client().list_pipelines(project="churn"))
    commit = upstream.commit({"README": "more"})
    upstream.push("-o", "nowait")
    payload = PAYLOADS["push"][4] | {"after": commit, "ref": "refs/heads/main"}
    payload["repository"] = payload["repository"] | {"full_name": "Git/Upstream"}

    assert deliver(hub, payload, "d-1", "wrong")[0] == 403
    status, said = deliver(hub, payload, "d-1")
    assert status == 202, said
    assert "before" in deliver(hub, payload, "d-1")[1]

    detail = wait_for(
        lambda: next(
            (
                p
                for p in hub.client().list_pipelines(project="churn", commit=commit)
                if p.pipeline.status.is_final
            ),
            None,
        )
    )
    assert detail.pipeline.trigger == "github"
    assert detail.pipeline.status is PipelineStatus.GATED
    expected = {"relive/churn": "failure", "relive/churn/gate: accuracy ≥ 0.9": "failure"}
    wait_for(lambda: statuses(api, commit) == expected)
    assert api.faults == []
    assert len(hub.client().list_pipelines(project="churn", commit=commit)) == 1


def test_without_a_webhook_the_hub_looks_by_itself(hub: RealHub, api: Api, tmp_path: Path) -> None:
    upstream = make_repository(hub, tmp_path / "quiet", {"relive.yaml": ONE_STAGE})
    upstream.push()
    follow(hub, api, "follower", "quiet")
    wait_for(lambda: hub.client().list_pipelines(project="follower"))
    commit = upstream.commit({"README": "more"})
    upstream.push("-o", "nowait")
    wait_for(lambda: hub.client().list_pipelines(project="follower", commit=commit))
    wait_for(lambda: statuses(api, commit).get("relive/follower") == "success")
    assert api.faults == []


def test_the_token_is_not_readable_in_the_database(hub: RealHub) -> None:
    token = json.loads((hub.home / "tokens.json").read_text())["tokens"][hub.address]
    secret = token.split("_", 2)[2].encode()
    files = [path for path in (hub.home / "hub").glob("relive.db*") if path.is_file()]
    assert files
    assert all(secret not in path.read_bytes() for path in files)
    assert all(SECRET.encode() not in path.read_bytes() for path in files)


def test_a_webhook_for_an_unknown_repository_is_not_found(hub: RealHub) -> None:
    assert deliver(hub, PAYLOADS["push"][4], "d-9")[0] == 404
