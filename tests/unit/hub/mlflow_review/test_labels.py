"""Questions that reviewers are asked: what is kept, and in which words the rest is refused."""

from typing import Any

import pytest

from tests.unit.hub.mlflow_registry.conftest import Registry
from tests.unit.hub.mlflow_review.calls import ABSENT, BAD, TAKEN, YES_OR_NO, deleted, experiment, question

CREATE, UPDATE, DELETE = "label-schemas/create", "label-schemas/update", "label-schemas/delete"


def test_a_question_comes_back_as_clients_read_it(registry: Registry) -> None:
    one = experiment(registry, "kept")
    made = question(registry, one, "Is it good?", instruction="look", enable_comment=True, type=2)
    assert made["schema_id"].startswith("ls-")
    assert made["created_at"] == made["last_updated_at"] > 0
    shown = {key: made[key] for key in made if key not in ("schema_id", "created_at", "last_updated_at")}
    assert shown == {
        "experiment_id": one,
        "name": "Is it good?",
        "type": "EXPECTATION",
        "input": YES_OR_NO,
        "instruction": "look",
        "enable_comment": True,
        "is_default": False,
    }
    assert registry.get("label-schemas/get", schema_id=made["schema_id"])["label_schema"] == made
    by_name = registry.get("label-schemas/get-by-name", experiment_id=one, name="Is it good?")
    assert by_name["label_schema"] == made
    assert "instruction" not in question(registry, one, "plain")
    assert question(registry, one, "empty", instruction="")["instruction"] == ""


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"text": {}}, {"text": {}}),
        ({"text": {"max_length": "5"}}, {"text": {"max_length": 5}}),
        ({"numeric": {}}, {"numeric": {}}),
        ({"numeric": {"min_value": 1}}, {"numeric": {"min_value": 1.0}}),
        ({"numeric": {"max_value": "Infinity"}}, {"numeric": {"max_value": "Infinity"}}),
        ({"categorical": {"options": ["a"]}}, {"categorical": {"options": ["a"], "multi_select": False}}),
        (
            {"categorical": {"options": ["b", "a"], "multiSelect": True}},
            {"categorical": {"options": ["b", "a"], "multi_select": True}},
        ),
    ],
)
def test_each_kind_of_answer_is_kept(
    registry: Registry, given: dict[str, Any], kept: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    made = question(registry, "0", request.node.name, input=given)
    assert made["input"] == kept
    assert registry.get("label-schemas/get", schema_id=made["schema_id"])["label_schema"]["input"] == kept


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"type": None},
            "Label schema `type` must be one of FEEDBACK or EXPECTATION; got proto enum value 0.",
        ),
        ({"type": "OPINION"}, "Label schema `type` must be one of FEEDBACK or EXPECTATION"),
        ({"input": None}, "got an empty oneof."),
        ({"input": {}}, "got an empty oneof."),
        ({"input": YES_OR_NO | {"text": {}}}, "got several."),
        ({"input": {"numeric": {"min_value": "x"}}}, "'input.numeric.min_value'"),
        ({"name": ""}, "Missing value for required parameter 'name'."),
        ({"name": "x" * 251}, "Label schema `name` must be at most 250 characters; got 251."),
        ({"name": " feedBack "}, "` feedBack ` is reserved for the experiment's default question"),
        (
            {"instruction": "x" * 1001},
            "Label schema `instruction` must be at most 1000 characters; got 1001.",
        ),
        (
            {"input": {"pass_fail": {"positive_label": "a"}}},
            "`InputPassFail.negative_label` must be a non-empty",
        ),
        (
            {"input": {"pass_fail": {"positive_label": "a", "negative_label": "a"}}},
            "`InputPassFail.positive_label` and `negative_label` must be distinct; got 'a' for both.",
        ),
        (
            {"input": {"pass_fail": {"positive_label": "a" * 65, "negative_label": "b"}}},
            "`InputPassFail.positive_label` must be at most 64 characters; got 65.",
        ),
        ({"input": {"categorical": {}}}, "`InputCategorical.options` must be a non-empty list; got []."),
        (
            {"input": {"categorical": {"options": ["a", "b", "a"]}}},
            "must be deduplicated; 'a' appears twice.",
        ),
        ({"input": {"categorical": {"options": [""]}}}, "entries must be non-empty strings; got ''."),
        (
            {"input": {"categorical": {"options": ["a" * 65]}}},
            "entries must be at most 64 characters; got 65",
        ),
        (
            {"input": {"categorical": {"options": list("abcdefghijk")}}},
            "must have at most 10 entries; got 11.",
        ),
        (
            {"input": {"numeric": {"min_value": 5, "max_value": 5}}},
            "`InputNumeric.min_value` must be strictly less than `max_value`; got min=5.0, max=5.0.",
        ),
        ({"input": {"text": {"max_length": 0}}}, "`InputText.max_length` must be at least 1; got 0."),
    ],
)
def test_what_is_no_question_is_refused(registry: Registry, change: dict[str, Any], said: str) -> None:
    message = {"experiment_id": "0", "name": "x", "type": "FEEDBACK", "input": YES_OR_NO} | change
    status, code, text = registry.refused("POST", CREATE, **message)
    assert (status, code, said in text) == (400, BAD, True), text


def test_a_name_is_given_once_in_an_experiment(registry: Registry) -> None:
    one, two = experiment(registry, "names"), experiment(registry, "other names")
    made, second = question(registry, one, "q"), question(registry, one, "r")
    assert question(registry, two, "q")["schema_id"] != made["schema_id"]
    said = f"Label schema with name 'q' already exists for experiment '{one}'."
    message = {"experiment_id": one, "name": "q", "type": "FEEDBACK", "input": YES_OR_NO}
    assert registry.refused("POST", CREATE, **message) == (400, TAKEN, said)
    assert registry.refused("PATCH", UPDATE, schema_id=second["schema_id"], name="q") == (400, TAKEN, said)
    kept = registry.patch(UPDATE, schema_id=made["schema_id"], name="q")["label_schema"]
    assert kept["name"] == "q"


def test_what_is_named_changes(registry: Registry) -> None:
    made = question(registry, "0", "to change", instruction="look", enable_comment=True)
    id_ = made["schema_id"]

    def changed(**message: Any) -> dict[str, Any]:
        reply: dict[str, Any] = registry.patch(UPDATE, schema_id=id_, **message)["label_schema"]
        return {key: reply[key] for key in reply if reply[key] != made[key] and key != "last_updated_at"}

    assert changed() == {}
    assert changed(name="was changed") == {"name": "was changed"}
    assert changed(instruction="", name="to change") == {"instruction": ""}
    other = {"pass_fail": {"positive_label": "good", "negative_label": "bad"}}
    assert changed(instruction="look", input=other) == {"input": other}
    assert changed(enable_comment=False, input=YES_OR_NO) == {"enable_comment": False}


def test_how_it_is_answered_stays(registry: Registry) -> None:
    one = question(registry, "0", "stays", input={"categorical": {"options": ["a"]}})
    many = {"categorical": {"options": ["a"], "multi_select": True}}
    for given, said in (
        (YES_OR_NO, "(existing: InputCategorical, got: InputPassFail)."),
        (many, "`InputCategorical.multi_select` cannot be changed after creation."),
        ({}, "got an empty oneof."),
    ):
        status, code, text = registry.refused("PATCH", UPDATE, schema_id=one["schema_id"], input=given)
        assert (status, code, said in text) == (400, BAD, True), text
    more = {"categorical": {"options": ["a", "b"]}}
    assert registry.patch(UPDATE, schema_id=one["schema_id"], input=more)["label_schema"]["input"] == {
        "categorical": {"options": ["a", "b"], "multi_select": False}
    }


def test_each_experiment_has_a_question_that_nobody_changes(registry: Registry) -> None:
    one = experiment(registry, "default question")
    question(registry, one, "mine")
    listed = registry.get("label-schemas/list", experiment_id=one)["label_schemas"]
    assert registry.get("label-schemas/list", experiment_id=one)["label_schemas"] == listed
    default = next(it for it in listed if it["is_default"])
    assert sorted(it["name"] for it in listed) == ["Feedback", "mine"]
    assert (default["type"], default["input"]) == ("FEEDBACK", {"text": {}})
    assert default["instruction"] == "Share any feedback on this trace."
    id_ = default["schema_id"]
    said = "The experiment's default question cannot be {}."
    assert registry.refused("PATCH", UPDATE, schema_id=id_) == (400, BAD, said.format("edited"))
    assert registry.refused("DELETE", DELETE, schema_id=id_) == (400, BAD, said.format("deleted"))
    assert registry.local().refused("DELETE", DELETE, schema_id=id_)[0] == 400


def test_questions_are_listed_in_pages(registry: Registry) -> None:
    one = experiment(registry, "pages of questions")
    names = [question(registry, one, f"q{n}")["name"] for n in range(4)]
    found, token = [], ""
    while True:
        asked = {"experiment_id": one, "max_results": 2, "page_token": token}
        page = registry.get("label-schemas/list", **asked)
        found.append([it["name"] for it in page["label_schemas"]])
        if not (token := page["next_page_token"]):
            break
    assert found == [["Feedback", names[3]], [names[2], names[1]], [names[0]]]
    for most in (0, -1, 50001):
        status, code, text = registry.refused(
            "GET", "label-schemas/list", experiment_id=one, max_results=most
        )
        assert (status, code) == (400, BAD)
        assert text.startswith("max_results must be between 1 and 50000.")
    refusal = registry.refused("GET", "label-schemas/list", experiment_id=one, page_token="x")
    assert refusal == (400, BAD, "Invalid page token, could not base64-decode")


def test_what_is_not_there(registry: Registry) -> None:
    gone = deleted(registry, "gone questions")
    absent = (404, ABSENT, "Label schema with id 'ls-none' not found.")
    assert registry.refused("GET", "label-schemas/get", schema_id="ls-none") == absent
    assert registry.refused("PATCH", UPDATE, schema_id="ls-none", name="x") == absent
    assert registry.delete(DELETE, schema_id="ls-none") == {}
    said = "Label schema with name 'none' not found for experiment '0'."
    asked = {"experiment_id": "0", "name": "none"}
    assert registry.refused("GET", "label-schemas/get-by-name", **asked) == (404, ABSENT, said)
    for experiment_id in (gone, "999999"):
        missing = (404, ABSENT, f"No Experiment with id={experiment_id} exists")
        named = {"experiment_id": experiment_id, "name": "q"}
        assert registry.refused("GET", "label-schemas/list", experiment_id=experiment_id) == missing
        assert registry.refused("GET", "label-schemas/get-by-name", **named) == missing
        assert registry.refused("POST", CREATE, **named, type=1, input=YES_OR_NO) == missing


def test_a_deleted_question_is_gone_and_told_of(registry: Registry) -> None:
    one = experiment(registry, "deleting")
    made = question(registry, one, "q")
    assert registry.delete(DELETE, schema_id=made["schema_id"]) == {}
    assert registry.refused("GET", "label-schemas/get", schema_id=made["schema_id"])[0] == 404
    told = registry.bench.services.store.list_events(kind="label_schema.deleted")
    assert [(event.actor, event.facts["label_schema"]) for event in told] == [("ada", "q")]


def test_whoever_has_no_login_changes_its_own_questions(registry: Registry) -> None:
    local = registry.local()
    own, theirs = question(local, "0", "own"), question(registry, "0", "theirs")
    assert local.patch(UPDATE, schema_id=own["schema_id"], instruction="x")["label_schema"]["name"] == "own"
    for method, call in (("PATCH", UPDATE), ("DELETE", DELETE)):
        assert local.ask(method, call, {"schema_id": theirs["schema_id"]}).status == 403
        assert registry.ask(method, call, {"schema_id": own["schema_id"]}).status == 200
