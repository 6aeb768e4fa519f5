"""The traces in a queue, and how far people are with each."""

from typing import Any

import pytest

from relive.core.access import Caller, Scope
from relive.services.mlflow import review_items, reviews
from relive.wire.mlflow import review as wire
from tests.unit.hub.mlflow_registry.conftest import Registry
from tests.unit.hub.mlflow_review.calls import ABSENT, BAD, experiment, queue, traces

ADD, REMOVE, LIST = (f"review-queues/items/{call}" for call in ("add", "remove", "list"))
SET = "review-queues/items/set-status"


@pytest.fixture
def to_do(registry: Registry, request: pytest.FixtureRequest) -> tuple[str, list[str]]:
    """A queue of whoever has no login, and three traces that are not in it."""
    name = request.node.name
    one = experiment(registry, name)
    ids = [f"tr-{hash(name) % 10**9}-{n}" for n in range(3)]
    traces(registry, one, *ids)
    return queue(registry.local(), one, "To do")["queue_id"], ids


def listed(registry: Registry, queue_id: str, **asked: Any) -> list[str]:
    """Give the ids of the traces in a queue."""
    page = registry.get(LIST, queue_id=queue_id, **asked)
    return [item["item_id"] for item in page.get("items", ())]


def test_traces_are_put_in_once_in_the_order_asked(registry: Registry, to_do: tuple[str, list[str]]) -> None:
    id_, (a, b, c) = to_do
    items = registry.post(ADD, queue_id=id_, item_ids=[c, f" {a} ", c], item_type="TRACE")["items"]
    assert [item["item_id"] for item in items] == [c, a]
    first = items[0]
    assert first["creation_time_ms"] == first["last_update_time_ms"] > 0
    shown = {key: first[key] for key in first if not key.endswith("_ms")}
    assert shown == {"queue_id": id_, "item_type": "TRACE", "item_id": c, "status": "PENDING"}
    done = registry.post(SET, queue_id=id_, item_id=c, status="COMPLETE")["item"]
    again = registry.post(ADD, queue_id=id_, item_ids=[b, c])["items"]
    assert [item["status"] for item in again] == ["PENDING", "COMPLETE"]
    assert again[1] == done
    assert listed(registry, id_) == [b, *sorted([a, c])]


def test_only_traces_of_its_experiment_are_put_in(registry: Registry, to_do: tuple[str, list[str]]) -> None:
    id_, (a, _, _) = to_do
    foreign = f"{a}-foreign"
    traces(registry, experiment(registry, foreign), foreign)
    of = registry.get("review-queues/get", queue_id=id_)["review_queue"]["experiment_id"]
    said = (
        f"Cannot attach trace(s) ['{foreign}', 'tr-none'] to review queue '{id_}': they do not exist in "
        f"experiment '{of}'."
    )
    refusal = registry.refused("POST", ADD, queue_id=id_, item_ids=[a, foreign, "tr-none"])
    assert refusal == (404, ABSENT, said)
    assert listed(registry, id_) == []


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({}, "`item_ids` must be a non-empty list; got []."),
        ({"item_ids": [" "]}, "`item_id` must be a non-empty string; got ''."),
        ({"item_ids": ["x" * 51]}, "`item_id` must be at most 50 characters; got 51."),
        ({"item_ids": ["x"], "item_type": "SPAN"}, "`item_type` must be TRACE; got 'SPAN'."),
    ],
)
def test_what_is_no_item_is_refused(
    registry: Registry, to_do: tuple[str, list[str]], message: dict[str, Any], said: str
) -> None:
    assert registry.refused("POST", ADD, queue_id=to_do[0], **message) == (400, BAD, said)
    if "item_type" not in message:
        assert registry.refused("POST", REMOVE, queue_id=to_do[0], **message) == (400, BAD, said)


def test_traces_go_by_themselves_and_with_the_trace(registry: Registry, to_do: tuple[str, list[str]]) -> None:
    id_, (a, b, c) = to_do
    registry.post(ADD, queue_id=id_, item_ids=[a, b, c])
    assert registry.post(REMOVE, queue_id=id_, item_ids=[a, "tr-none"]) == {}
    of = registry.get("review-queues/get", queue_id=id_)["review_queue"]["experiment_id"]
    registry.post("traces/delete-traces", experiment_id=of, request_ids=[b])
    assert listed(registry, id_) == [c]


def test_items_are_listed_by_status_in_pages(registry: Registry, to_do: tuple[str, list[str]]) -> None:
    id_, (a, b, c) = to_do
    registry.post(ADD, queue_id=id_, item_ids=[a, b, c])
    registry.post(SET, queue_id=id_, item_id=b, status=3)
    assert listed(registry, id_, status="DECLINED") == listed(registry, id_, status=3) == [b]
    assert listed(registry, id_, status="COMPLETE") == []
    assert listed(registry, id_, status="REVIEW_STATUS_UNSPECIFIED") == [a, b, c]
    page = registry.get(LIST, queue_id=id_, max_results=2)
    rest = registry.get(LIST, queue_id=id_, max_results=2, page_token=page["next_page_token"])
    assert [item["item_id"] for item in page["items"] + rest["items"]] == [a, b, c]
    assert rest["next_page_token"] == ""
    assert registry.refused("GET", LIST, queue_id=id_, status="DONE")[1] == BAD
    assert registry.refused("GET", LIST, queue_id=id_, max_results=0)[1] == BAD


def test_who_looked_is_who_logged_in(registry: Registry, to_do: tuple[str, list[str]]) -> None:
    id_, (a, _, _) = to_do
    registry.post(ADD, queue_id=id_, item_ids=[a])
    done = registry.post(SET, queue_id=id_, item_id=f" {a} ", status=2, completed_by="eve")["item"]
    assert (done["status"], done["completed_by"]) == ("COMPLETE", "ada")
    assert done["completed_time_ms"] == done["last_update_time_ms"] >= done["creation_time_ms"]
    reopened = registry.post(SET, queue_id=id_, item_id=a, status="PENDING", completed_by="eve")["item"]
    assert not {"completed_by", "completed_time_ms"} & reopened.keys()


def test_whoever_has_no_login_says_a_name(registry: Registry, to_do: tuple[str, list[str]]) -> None:
    id_, (a, _, _) = to_do
    local = registry.local()
    local.post(ADD, queue_id=id_, item_ids=[a])
    first = local.post(SET, queue_id=id_, item_id=a, status="COMPLETE", completed_by=" Bob")["item"]
    assert first["completed_by"] == "bob"
    # Said again by another it changes nothing; a change of mind is that other's.
    again = local.post(SET, queue_id=id_, item_id=a, status="COMPLETE", completed_by="carol")["item"]
    assert again == first
    declined = local.post(SET, queue_id=id_, item_id=a, status="DECLINED", completed_by="carol")["item"]
    assert (declined["status"], declined["completed_by"]) == ("DECLINED", "carol")
    for message, said in (
        ({"status": "COMPLETE"}, "`completed_by` is required when setting status to `complete`."),
        ({"status": 3, "completed_by": " "}, "`completed_by` is required when setting status to `declined`."),
        ({"status": 2, "completed_by": "x" * 251}, "`completed_by` must be at most 250 characters; got 251."),
        (
            {"status": "PENDING", "completed_by": "bob"},
            "`completed_by` must not be set when reopening an item to `pending`.",
        ),
        ({"completed_by": "bob"}, "`status` must be one of PENDING, COMPLETE, or DECLINED;"),
        ({"status": 4, "completed_by": "bob"}, "`status` must be one of PENDING, COMPLETE, or DECLINED;"),
    ):
        status, code, text = local.refused("POST", SET, queue_id=id_, item_id=a, **message)
        assert (status, code, said in text) == (400, BAD, True), text
    said = f"Item 'tr-none' is not attached to review queue '{id_}'."
    message = {"item_id": "tr-none", "status": 2, "completed_by": "bob"}
    assert local.refused("POST", SET, queue_id=id_, **message) == (404, ABSENT, said)


def test_a_program_looks_in_its_own_name(registry: Registry) -> None:
    services = registry.bench.services
    run = services.store.get_run(registry.bench.by_hand().run_id)
    command = Caller(name="job", scope=Scope.COMMAND, project_id=run.project_id, run_id=run.id)
    traces(registry, run.experiment_id, "tr-program")
    asked = wire.CreateReviewQueue(experiment_id=run.experiment_id, name="own", queue_type=2)
    id_ = reviews.create_queue(services, asked, command)["queue_id"]
    review_items.add_items(services, wire.AddReviewItems(queue_id=id_, item_ids=("tr-program",)), command)
    said = wire.SetReviewStatus(queue_id=id_, item_id="tr-program", status=2, completed_by="ann")
    done = review_items.set_status(services, said, command)["item"]
    assert done["completed_by"] == f"run:{run.id}"
