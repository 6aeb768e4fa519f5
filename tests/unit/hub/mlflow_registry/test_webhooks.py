"""Webhooks over MLflow's protocol, and their deliveries."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from relive.core.job import JobKind, JobState
from relive.hub.background import HUB_JOBS, run_hub_job
from relive.hub.sending import HttpSender, is_public

INVALID = "INVALID_PARAMETER_VALUE"
CREATED = {"entity": "REGISTERED_MODEL", "action": "CREATED"}


@dataclass
class Receiver:
    """Takes messages, and answers what a test says."""

    url: str = ""
    status: int = 200
    retry_after: str = ""
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            kept.got.append(({key.lower(): value for key, value in self.headers.items()}, body))
            self.send_response(kept.status)
            self.send_header("content-length", "4")
            if kept.retry_after:
                self.send_header("retry-after", kept.retry_after)
            self.end_headers()
            self.wfile.write(b"said")

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        kept.url = f"http://127.0.0.1:{server.server_port}/hook"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield kept
        server.shutdown()
        thread.join()


def hook(registry: Any, url: str, *events: dict[str, str], **message: Any) -> dict[str, Any]:
    asked = {"name": "ci", "url": url, "events": list(events) or [CREATED]}
    made: dict[str, Any] = registry.post("webhooks", **(asked | message))["webhook"]
    return made


def work(registry: Any) -> list[JobState]:
    """Do every waiting delivery once; gives how each job then stands."""
    store, states = registry.bench.services.store, []
    while (job := store.claim("here", pools=("hub",), kinds=(JobKind.WEBHOOK,), lease_s=60)) is not None:
        run_hub_job(registry.bench.services, job, HUB_JOBS[job.kind])
        states.append(store.get_job(job.id).state)
    return states


def forget(registry: Any) -> None:
    """Cancel what waits for its next attempt: it would come due in the middle of what follows."""
    store = registry.bench.services.store
    for job in store.list_jobs(states=(JobState.QUEUED,), kinds=(JobKind.WEBHOOK,)):
        store.request_cancel(job.id)


@pytest.fixture(autouse=True)
def _alone(registry: Any) -> Iterator[None]:
    yield
    for webhook in registry.get("webhooks").get("webhooks", []):
        registry.delete(f"webhooks/{webhook['webhook_id']}")
    forget(registry)


def test_a_webhook_is_made_changes_and_goes(registry: Any) -> None:
    made = hook(registry, "http://ci.example/x", description="d", secret="s3cret")
    assert (made["status"], made["events"], made["description"]) == ("ACTIVE", [CREATED], "d")
    assert "s3cret" not in json.dumps(made)
    call = f"webhooks/{made['webhook_id']}"
    kept = registry.bench.services.store.get_webhook(made["webhook_id"])
    assert registry.bench.services.vault.open(kept.secret) == b"s3cret"
    assert registry.get(call)["webhook"] == made
    events = [{"entity": "PROMPT_TAG", "action": "SET"}]
    changed = registry.patch(call, name="ci2", status="DISABLED", events=events, description="")["webhook"]
    assert (changed["name"], changed["status"], changed["events"]) == ("ci2", "DISABLED", events)
    assert "description" not in changed
    second = hook(registry, "http://ci.example/y")
    page = registry.get("webhooks", max_results=1)
    assert page["webhooks"] == [second]
    rest = registry.get("webhooks", max_results=1, page_token=page["next_page_token"])
    assert [it["webhook_id"] for it in rest["webhooks"]] == [made["webhook_id"]]
    registry.delete(call)
    said = f"Webhook with ID {made['webhook_id']} not found."
    assert registry.refused("GET", call) == (404, "RESOURCE_DOES_NOT_EXIST", said)
    own = registry.live.ask("GET", "/api/v1/webhooks").json
    assert [(it["name"], it["secret"]) for it in own] == [("ci", "")]


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"name": "-x"}, "Webhook name '-x' is invalid."),
        ({"name": "x" * 64}, "is invalid. It must start and end with a letter or digit"),
        ({"url": "ftp://a.example"}, "Invalid webhook URL scheme: 'ftp'. Allowed schemes are: http, https."),
        ({"url": "http://"}, "Webhook URL must include a hostname: 'http://'"),
        ({"url": " "}, "Webhook URL cannot be empty or just whitespace: ' '"),
        ({"events": []}, "Webhook events must be a non-empty list of WebhookEvent objects: []."),
        (
            {"events": [{"entity": "PROMPT", "action": "DELETED"}]},
            "Invalid action 'deleted' for entity 'prompt'. Valid actions are: ['created']",
        ),
        ({"events": [{"entity": "BAD", "action": "CREATED"}]}, "Invalid entity 'BAD'."),
        ({"status": "ON"}, "Invalid webhook status: 'ON'."),
    ],
)
def test_a_webhook_that_is_none_is_refused(registry: Any, message: dict[str, Any], said: str) -> None:
    asked = {"name": "ci", "url": "http://ci.example", "events": [CREATED]} | message
    status, code, text = registry.refused("POST", "webhooks", **asked)
    assert (status, code) == (400, INVALID)
    assert said in text


def test_what_happens_is_told_signed(registry: Any, receiver: Receiver) -> None:
    entities = ("MODEL_VERSION", "PROMPT", "PROMPT_VERSION")
    events = [CREATED, *({"entity": it, "action": "CREATED"} for it in entities)]
    events += [
        {"entity": f"MODEL_VERSION_{it}", "action": act} for it, act in (("TAG", "SET"), ("ALIAS", "CREATED"))
    ]
    hook(registry, receiver.url, *events, secret="key")
    registry.model("told", description="d", tags=[{"key": "a", "value": "b"}])
    registry.version("told")
    registry.post("model-versions/set-tag", name="told", version="1", key="k", value="v")
    registry.post("registered-models/alias", name="told", alias="best", version="1")
    prompt = [{"key": "mlflow.prompt.is_prompt", "value": "true"}]
    registry.model("told-prompt", tags=prompt)
    text = {"key": "mlflow.prompt.text", "value": "Hi"}
    registry.version("told-prompt", "dummy-source", tags=[*prompt, text])
    assert work(registry) == [JobState.DONE] * 6
    told = [json.loads(body) for _, body in receiver.got]
    assert [(it["entity"], it["action"]) for it in told] == [
        ("registered_model", "created"),
        ("model_version", "created"),
        ("model_version_tag", "set"),
        ("model_version_alias", "created"),
        ("prompt", "created"),
        ("prompt_version", "created"),
    ]
    assert told[0]["data"] == {"name": "told", "tags": {"a": "b"}, "description": "d"}
    assert told[3]["data"] == {"name": "told", "alias": "best", "version": "1"}
    assert told[5]["data"]["template"] == "Hi"
    for headers, body in receiver.got:
        signed = f"{headers['x-mlflow-delivery-id']}.{headers['x-mlflow-timestamp']}.{body.decode()}"
        digest = hmac.digest(b"key", signed.encode(), hashlib.sha256)
        assert headers["x-mlflow-signature"] == f"v1,{base64.b64encode(digest).decode()}"
        assert headers["content-type"] == "application/json"


def test_what_did_not_arrive_is_tried_again_and_written_down(registry: Any, receiver: Receiver) -> None:
    store = registry.bench.services.store
    made = hook(registry, receiver.url)
    receiver.status = 503
    registry.model("tried")
    assert work(registry) == [JobState.QUEUED]
    (waiting,) = store.list_deliveries(webhook_id=made["webhook_id"], failed=True)
    assert (waiting.attempts, waiting.status, waiting.is_done) == (1, 503, False)
    assert waiting.error == "it answered 503: said"
    forget(registry)
    receiver.status = 400
    registry.model("tried-once")
    assert work(registry) == [JobState.DONE]
    refused = store.list_deliveries(webhook_id=made["webhook_id"])[0]
    assert (refused.status, refused.is_done) == (400, True)
    shown = registry.live.ask("GET", "/api/v1/webhooks/deliveries?failed=true").json
    assert {it["id"] for it in shown} == {waiting.id, refused.id}


@pytest.mark.parametrize(
    ("retry_after", "before", "pause_s"),
    [("", 0, 1.0), ("", 1, 2.0), ("7", 0, 7.0), ("3600", 0, 60.0), ("soon", 0, 1.0)],
)
def test_the_next_attempt_comes_soon_or_when_the_receiver_asks(
    registry: Any, receiver: Receiver, retry_after: str, before: int, pause_s: float
) -> None:
    store = registry.bench.services.store
    hook(registry, receiver.url)
    receiver.status, receiver.retry_after = 429, retry_after
    registry.model(f"again-{retry_after}-{before}")
    job = store.claim("here", pools=("hub",), kinds=(JobKind.WEBHOOK,), lease_s=60)
    for _ in range(before):
        store.release(job.id, job.fence)
        job = store.claim("here", pools=("hub",), kinds=(JobKind.WEBHOOK,), lease_s=60)
    asked_at = store.now()
    run_hub_job(registry.bench.services, job, HUB_JOBS[job.kind])
    assert asked_at + pause_s <= store.get_job(job.id).run_after <= store.now() + pause_s


def test_the_last_attempt_is_the_end_of_it(registry: Any) -> None:
    store = registry.bench.services.store
    made = hook(registry, "http://127.0.0.1:1/none")
    registry.model("lost")
    job = store.claim("here", pools=("hub",), kinds=(JobKind.WEBHOOK,), lease_s=60)
    for _ in range(job.max_attempts - 1):
        store.release(job.id, job.fence)
        job = store.claim("here", pools=("hub",), kinds=(JobKind.WEBHOOK,), lease_s=60)
    run_hub_job(registry.bench.services, job, HUB_JOBS[job.kind])
    assert store.get_job(job.id).state is JobState.FAILED
    (delivery,) = store.list_deliveries(webhook_id=made["webhook_id"])
    assert delivery.is_done
    assert delivery.error


def test_a_webhook_that_is_off_hears_nothing(registry: Any, receiver: Receiver) -> None:
    made = hook(registry, receiver.url)
    registry.model("queued")
    registry.patch(f"webhooks/{made['webhook_id']}", status="DISABLED")
    registry.model("not-queued")
    assert work(registry) == [JobState.DONE]
    assert receiver.got == []
    registry.patch(f"webhooks/{made['webhook_id']}", status="ACTIVE")
    registry.model("queued-again")
    registry.delete(f"webhooks/{made['webhook_id']}")
    assert work(registry) == [JobState.DONE]
    assert receiver.got == []


def test_a_test_says_what_was_answered(registry: Any, receiver: Receiver) -> None:
    call = f"webhooks/{hook(registry, receiver.url)['webhook_id']}"
    answered = registry.post(f"{call}/test")["result"]
    assert answered == {"success": True, "response_status": 200, "response_body": "said"}
    event = {"entity": "MODEL_VERSION_ALIAS", "action": "DELETED"}
    registry.post(f"{call}/test", event=event)
    assert json.loads(receiver.got[-1][1])["data"] == {"name": "example_model", "alias": "example_alias"}
    receiver.status = 500
    assert registry.post(f"{call}/test")["result"]["success"] is False
    registry.patch(call, url="http://127.0.0.1:1/none")
    refused = registry.post(f"{call}/test")["result"]
    assert refused["error_message"].startswith("Failed to test webhook: ")


def test_only_public_addresses_are_spoken_to(receiver: Receiver) -> None:
    careful = HttpSender()
    assert careful.schemes == ("https",)
    assert "must not resolve to a non-public IP address" in careful.refusal("localhost")
    assert careful.refusal("does-not-exist.invalid").startswith("Cannot resolve Webhook URL hostname")
    with pytest.raises(Exception, match="is not a public address"):
        careful.send(receiver.url, b"{}", {})
    assert receiver.got == []
    assert HttpSender(anywhere=True).send(receiver.url, b"{}", {}).status == 200


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("169.254.169.254", False),
        ("::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
        ("fe80::1%eth0", False),
        ("nonsense", False),
    ],
)
def test_a_private_address_is_known_however_it_is_written(address: str, expected: bool) -> None:
    assert is_public(address) is expected
