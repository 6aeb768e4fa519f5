"""Queues of traces that people look at: what is kept, and in which words the rest is refused."""

from typing import Any

import pytest

from tests.unit.hub.mlflow_registry.conftest import Registry
from tests.unit.hub.mlflow_review.calls import (
    ABSENT,
    BAD,
    TAKEN,
    deleted,
    experiment,
    question,
    queue,
    traces,
)

CREATE, UPDATE, ENSURE = "review-queues/create", "review-queues/update", "review-queues/get-or-create-user"


def updated(registry: Registry, queue_id: str, **message: Any) -> dict[str, Any]:
    """Change a queue."""
    return dict(registry.post(UPDATE, queue_id=queue_id, **message)["review_queue"])


def test_a_queue_comes_back_as_clients_read_it(registry: Registry) -> None:
    one = experiment(registry, "kept queues")
    ids = [question(registry, one, name)["schema_id"] for name in ("a", "b")]
    made = queue(
        registry, one, " My Queue ", users=["Bob", "ann ", "bob"], schema_ids=[ids[1], ids[0], ids[1]]
    )
    assert made["queue_id"].startswith("rq-")
    assert made["creation_time_ms"] == made["last_update_time_ms"] > 0
    shown = {key: made[key] for key in made if key != "queue_id" and not key.endswith("_ms")}
    assert shown == {
        "experiment_id": one,
        "name": "My Queue",
        "queue_type": "CUSTOM",
        "created_by": "ada",  # who logged in, whatever the client says
        "users": ["ann", "bob"],
        "schema_ids": sorted(ids),
    }
    assert registry.get("review-queues/get", queue_id=made["queue_id"])["review_queue"] == made
    by_name = registry.get("review-queues/get-by-name", experiment_id=one, name="mY queue")
    assert by_name["review_queue"] == made
    bare = queue(registry.local(), one, "bare", created_by="kris", queue_type=2)
    assert not {"users", "schema_ids", "created_by"} & bare.keys()


def test_a_users_own_queue_is_made_once(registry: Registry) -> None:
    one = experiment(registry, "own queues")
    first = registry.post(ENSURE, experiment_id=one, user=" Ann")["review_queue"]
    assert (first["name"], first["queue_type"], first["users"]) == ("ann", "USER", ["ann"])
    assert first["created_by"] == "ann"
    assert registry.post(ENSURE, experiment_id=one, user="ANN ")["review_queue"] == first
    named = queue(registry, one, "Bob", queue_type="USER")
    assert (named["name"], named["users"]) == ("bob", ["bob"])
    assert registry.post(ENSURE, experiment_id=one, user="bob")["review_queue"] == named
    queue(registry, one, "Team")
    said = "A non-user queue named 'team' already exists; cannot get-or-create a user queue with that name."
    assert registry.refused("POST", ENSURE, experiment_id=one, user="team") == (400, TAKEN, said)
    said = "A user queue's name, assigned user, schemas, and owner are fixed and cannot be updated."
    for message in ({}, {"name": "x"}, {"update_users": True}):
        assert registry.refused("POST", UPDATE, queue_id=first["queue_id"], **message) == (400, BAD, said)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"queue_type": None}, "`queue_type` must be one of USER or CUSTOM; got proto enum value 0."),
        ({"queue_type": "TEAM"}, "`queue_type` must be one of USER or CUSTOM"),
        ({"queue_type": 3}, "`queue_type` must be one of USER or CUSTOM"),
        ({"name": " "}, "`name` must be a non-empty string; got ''."),
        ({"name": "x" * 251}, "`name` must be at most 250 characters; got 251."),
        ({"name": " DEFault "}, "`DEFault` is a reserved queue name and cannot be used for a custom queue."),
        ({"users": list("abcdefghijk")}, "A review queue can have at most 10 assigned users; got 11."),
        ({"users": [" "]}, "`user` must be a non-empty string; got ''."),
        ({"users": ["x" * 251]}, "`user` must be at most 250 characters; got 251."),
        ({"schema_ids": [""]}, "`schema_id` must be a non-empty string; got ''."),
        ({"schema_ids": ["x" * 37]}, "`schema_id` must be at most 36 characters; got 37."),
        (
            {"schema_ids": ["ls-b", "ls-a"]},
            "Label schema id(s) ['ls-b', 'ls-a'] not found for experiment '0'.",
        ),
        (
            {"queue_type": "USER", "users": ["bob"]},
            "exactly one assigned user equal to its name; got name='q' and users=['bob'].",
        ),
        (
            {"queue_type": "USER", "schema_ids": ["x"]},
            "A user queue cannot have explicitly-attached schemas;",
        ),
    ],
)
def test_what_is_no_queue_is_refused(registry: Registry, change: dict[str, Any], said: str) -> None:
    message = {"experiment_id": "0", "name": "q", "queue_type": "CUSTOM"} | change
    status, code, text = registry.refused("POST", CREATE, **message)
    assert (status, code, said in text) == (400, BAD, True), text


def test_a_name_is_given_once_however_it_is_written(registry: Registry) -> None:
    one = experiment(registry, "names of queues")
    queue(registry, one, "Mine")
    made = queue(registry, one, "Yours")
    queue(registry, experiment(registry, "more names of queues"), "mine")
    said = "Review queue with name 'mINE' already exists (names are case-insensitive)."
    message = {"experiment_id": one, "name": "mINE", "queue_type": "CUSTOM"}
    assert registry.refused("POST", CREATE, **message) == (400, TAKEN, said)
    assert registry.refused("POST", UPDATE, queue_id=made["queue_id"], name="mINE") == (400, TAKEN, said)
    assert updated(registry, made["queue_id"], name=" YOURS ")["name"] == "YOURS"


def test_only_what_is_said_changes(registry: Registry) -> None:
    one = experiment(registry, "changed queues")
    asked = question(registry, one, "q")["schema_id"]
    made = queue(registry, one, "Q", users=["bob"], schema_ids=[asked])
    id_ = made["queue_id"]
    assert updated(registry, id_, users=["eve"], schema_ids=[]) == made  # neither is said to change
    assert updated(registry, id_, update_users=True, users=["Eve"])["users"] == ["eve"]
    assert "users" not in updated(registry, id_, update_users=True)
    assert updated(registry, id_, new_owner=" Kris ")["created_by"] == "Kris"
    assert "schema_ids" not in updated(registry, id_, update_schema_ids=True)
    for message, said in (
        ({"new_owner": " "}, "`new_owner` must be a non-empty string; got ''."),
        ({"name": ""}, "`name` must be a non-empty string; got ''."),
        ({"name": "default"}, "`default` is a reserved queue name"),
        ({"update_users": True, "users": list("abcdefghijk")}, "at most 10 assigned users; got 11."),
    ):
        status, code, text = registry.refused("POST", UPDATE, queue_id=id_, **message)
        assert (status, code, said in text) == (400, BAD, True), text


def test_a_change_is_whole_or_not_at_all(registry: Registry) -> None:
    made = queue(registry, experiment(registry, "whole"), "Q", users=["bob"])
    message = {"update_users": True, "users": ["eve"], "name": "R", "update_schema_ids": True}
    refusal = registry.refused("POST", UPDATE, queue_id=made["queue_id"], schema_ids=["ls-x"], **message)
    assert refusal[1] == BAD
    assert registry.get("review-queues/get", queue_id=made["queue_id"])["review_queue"] == made


def test_the_questions_of_a_queue_stay_while_it_holds_traces(registry: Registry) -> None:
    one = experiment(registry, "locked")
    asked = question(registry, one, "q")["schema_id"]
    made = queue(registry, one, "Q", schema_ids=[asked])
    traces(registry, one, "tr-locked")
    id_ = made["queue_id"]
    registry.post("review-queues/items/add", queue_id=id_, item_ids=["tr-locked"])
    said = (
        "A review queue's questions are locked once items are assigned to it. Remove the items before "
        "changing its questions."
    )
    for schema_ids in ([], [asked]):
        message = {"queue_id": id_, "update_schema_ids": True, "schema_ids": schema_ids}
        assert registry.refused("POST", UPDATE, **message) == (400, BAD, said)
    assert updated(registry, id_, update_users=True, users=["eve"])["users"] == ["eve"]
    registry.post("review-queues/items/remove", queue_id=id_, item_ids=["tr-locked"])
    assert "schema_ids" not in updated(registry, id_, update_schema_ids=True)


def test_queues_are_listed_by_user_and_trace_in_pages(registry: Registry) -> None:
    one = experiment(registry, "listed queues")
    traces(registry, one, "tr-listed")
    made = [queue(registry, one, f"q{n}", users=["ann"] if n else []) for n in range(3)]
    registry.post("review-queues/items/add", queue_id=made[2]["queue_id"], item_ids=["tr-listed"])

    def names(**asked: Any) -> list[str]:
        page = registry.get("review-queues/list", experiment_id=one, **asked)
        assert page["next_page_token"] == ""
        return [it["name"] for it in page.get("review_queues", ())]

    assert names() == ["q2", "q1", "q0"]
    assert names(user=" ANN ") == ["q2", "q1"]
    assert names(user="ann", item_id="tr-listed") == ["q2"]
    assert names(user="eve") == names(user="") == names(item_id="tr-none") == names(item_id="") == []
    page = registry.get("review-queues/list", experiment_id=one, max_results=2)
    rest = registry.get("review-queues/list", experiment_id=one, page_token=page["next_page_token"])
    assert [it["name"] for it in page["review_queues"] + rest["review_queues"]] == ["q2", "q1", "q0"]
    for most in (0, 50001):
        text = registry.refused("GET", "review-queues/list", experiment_id=one, max_results=most)[2]
        assert text.startswith("max_results must be between 1 and 50000.")


def test_what_is_not_there(registry: Registry) -> None:
    gone = deleted(registry, "gone queues")
    absent = (404, ABSENT, "Review queue with id 'rq-none' not found.")
    for method, call, message in (
        ("GET", "get", {}),
        ("POST", "update", {"name": "x"}),
        ("GET", "items/list", {}),
        ("POST", "items/add", {"item_ids": ["x"]}),
        ("POST", "items/remove", {"item_ids": ["x"]}),
        ("POST", "items/set-status", {"item_id": "x", "status": 2, "completed_by": "bob"}),
    ):
        assert registry.refused(method, f"review-queues/{call}", queue_id="rq-none", **message) == absent
    assert registry.post("review-queues/delete", queue_id="rq-none") == {}
    named = {"experiment_id": "0", "name": " none"}
    said = "Review queue with name ' none' not found for experiment '0'."
    assert registry.refused("GET", "review-queues/get-by-name", **named) == (404, ABSENT, said)
    missing = (404, ABSENT, f"No Experiment with id={gone} exists")
    for method, call, message in (
        ("GET", "list", {}),
        ("GET", "get-by-name", {"name": "x"}),
        ("POST", "create", {"name": "x", "queue_type": 2}),
        ("POST", "get-or-create-user", {"user": "x"}),
    ):
        assert registry.refused(method, f"review-queues/{call}", experiment_id=gone, **message) == missing


def test_a_deleted_queue_is_gone_and_told_of(registry: Registry) -> None:
    made = queue(registry, experiment(registry, "deleting queues"), "To Do")
    assert registry.post("review-queues/delete", queue_id=made["queue_id"]) == {}
    assert registry.refused("GET", "review-queues/get", queue_id=made["queue_id"])[0] == 404
    told = registry.bench.services.store.list_events(kind="review_queue.deleted")
    assert [(event.actor, event.facts["review_queue"]) for event in told] == [("ada", "To Do")]


def test_whoever_has_no_login_changes_its_own_queues(registry: Registry) -> None:
    local, one = registry.local(), experiment(registry, "whose queues")
    traces(registry, one, "tr-whose")
    own, theirs = queue(local, one, "own"), queue(registry, one, "theirs")
    item = {"item_id": "tr-whose", "status": "COMPLETE", "completed_by": "bob"}
    for call, message in (
        ("items/add", {"item_ids": ["tr-whose"]}),
        ("items/set-status", item),
        ("items/remove", {"item_ids": ["tr-whose"]}),
        ("update", {"name": "other"}),
        ("delete", {}),
    ):
        asked = {"queue_id": theirs["queue_id"]} | message
        assert local.ask("POST", f"review-queues/{call}", asked).status == 403, call
        asked = {"queue_id": own["queue_id"]} | message
        assert local.ask("POST", f"review-queues/{call}", asked).status == 200, call
