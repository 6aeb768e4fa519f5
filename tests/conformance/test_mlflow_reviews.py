"""MLflow's own client, unchanged: questions for reviewers, queues of traces, and issues."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.test_mlflow_client import script
from tests.e2e.hub import RealHub, running_hub

STORE = """
from mlflow.tracking._tracking_service.utils import _get_store
from mlflow.exceptions import MlflowException
store = _get_store()
def refused(act, *args, **named):
    try:
        act(*args, **named)
    except MlflowException as error:
        return [error.error_code, error.get_http_status_code()]
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHub]:
    """One hub for all: `--auth local` is its default."""
    with running_hub(tmp_path_factory.mktemp("home")) as running:
        yield running


def test_issues_are_noted_found_and_resolved(hub: RealHub, tmp_path: Path) -> None:
    said = script(
        hub,
        STORE
        + """
from mlflow.entities import IssueSeverity, IssueStatus
one = client.create_experiment("with issues")
run = client.create_run(one)
high = store.create_issue(one, "wrong", "answers are wrong", severity=IssueSeverity.HIGH,
    root_causes=["the prompt"], source_run_id=run.info.run_id, categories=["truth"], created_by="ann")
low = store.create_issue(one, "slow", "answers are slow", severity=IssueSeverity.LOW)
store.update_issue(low.issue_id, status=IssueStatus.RESOLVED, name="was slow")
page = store.search_issues(one, max_results=1, include_trace_count=True)
rest = store.search_issues(one, max_results=1, page_token=page.token)
found = store.search_issues(one, filter_string=f"source_run_id = '{run.info.run_id}' AND status = 'pending'")
print(json.dumps({
    "same": store.get_issue(high.issue_id) == high,
    "pages": [[it.name, it.trace_count] for it in [*page, *rest]], "end": rest.token,
    "found": [it.name for it in found], "status": store.get_issue(low.issue_id).status,
    "refused": [refused(store.get_issue, "none"), refused(store.search_issues, filter_string="name = 'x'")],
}))
""",
        tmp_path,
    )
    assert said == {
        "same": True,
        "pages": [["wrong", 0], ["was slow", None]],
        "end": None,
        "found": ["wrong"],
        "status": "resolved",
        "refused": [["RESOURCE_DOES_NOT_EXIST", 404], ["INVALID_PARAMETER_VALUE", 400]],
    }


def test_questions_are_asked_and_changed(hub: RealHub, tmp_path: Path) -> None:
    said = script(
        hub,
        STORE
        + """
from mlflow.genai import label_schemas as asked
one = mlflow.set_experiment("with questions").experiment_id
made = asked.create_label_schema(name="Is it right?", type="feedback", enable_comment=True,
    input=asked.InputPassFail(positive_label="yes", negative_label="no"), instruction="look it up")
many = asked.create_label_schema(name="Which?", type="expectation",
    input=asked.InputCategorical(options=["a", "b"], multi_select=True))
number = store.create_label_schema(one, name="How many?", type="feedback",
    input=asked.InputNumeric(min_value=0, max_value=9.5))
same = store.get_label_schema(number.schema_id) == number
changed = store.update_label_schema(many.schema_id, name="Which ones?",
    input=asked.InputCategorical(options=["a", "b", "c"], multi_select=True))
listed = asked.list_label_schemas()
default = next(it for it in listed if it.is_default)
asked.delete_label_schema(schema_id=made.schema_id)
print(json.dumps({
    "same": same, "made": [made.type, made.input.positive_label, made.instruction, made.enable_comment],
    "changed": [changed.name, changed.input.options, changed.type], "listed": [it.name for it in listed],
    "left": sorted(it.name for it in asked.list_label_schemas()),
    "refused": [
        refused(asked.delete_label_schema, schema_id=default.schema_id),
        refused(store.get_label_schema, made.schema_id),
        refused(store.update_label_schema, number.schema_id, name="Which ones?"),
    ],
}))
""",
        tmp_path,
    )
    assert said == {
        "same": True,
        "made": ["feedback", "yes", "look it up", True],
        "changed": ["Which ones?", ["a", "b", "c"], "expectation"],
        "listed": ["Feedback", "How many?", "Which ones?", "Is it right?"],
        "left": ["Feedback", "How many?", "Which ones?"],
        "refused": [
            ["INVALID_PARAMETER_VALUE", 400],
            ["RESOURCE_DOES_NOT_EXIST", 404],
            ["RESOURCE_ALREADY_EXISTS", 400],
        ],
    }


def test_a_queue_of_traces_is_worked_through(hub: RealHub, tmp_path: Path) -> None:
    said = script(
        hub,
        STORE
        + """
from mlflow.entities import TraceInfo, TraceLocation, TraceState
from mlflow.genai import review_queues as reviews
one = mlflow.set_experiment("with queues").experiment_id
ids = [f"tr-{n}" for n in range(3)]
for id_ in ids:
    store.start_trace(TraceInfo(trace_id=id_, trace_location=TraceLocation.from_experiment_id(one),
        request_time=1, state=TraceState.OK))
team = reviews.create_review_queue("Team", queue_type="custom", users=["Bob", "ann"])
own = reviews.get_or_create_user_queue("Ann")
put = reviews.add_items_to_review_queue(team.queue_id, item_ids=ids)
said = {"item_id": ids[0], "status": "complete", "completed_by": "Bob"}
done = reviews.set_review_queue_item_status(team.queue_id, **said)
pending = reviews.list_review_queue_items(team.queue_id, status="pending")
locked = refused(reviews.update_review_queue, team.queue_id, schema_ids=["ls-1"])
renamed = reviews.update_review_queue(team.queue_id, name="The team", users=[])
client.delete_traces(one, trace_ids=[ids[2]])
reviews.remove_items_from_review_queue(team.queue_id, item_ids=[ids[1]])
left = reviews.list_review_queue_items(team.queue_id)
anns = [queue.name for queue in reviews.list_review_queues(user="ann")]
reviews.delete_review_queue(team.queue_id)
print(json.dumps({
    "users": [team.users, own.users, renamed.users], "put": [it.item_id for it in put],
    "done": [done.status, done.completed_by], "pending": [it.item_id for it in pending], "locked": locked,
    "left": [it.item_id for it in left], "anns": anns,
    "gone": refused(reviews.get_review_queue, name="the TEAM"),
}))
""",
        tmp_path,
    )
    assert said == {
        "users": [["ann", "bob"], ["ann"], []],
        "put": ["tr-0", "tr-1", "tr-2"],
        "done": ["complete", "bob"],
        "pending": ["tr-1", "tr-2"],
        "locked": ["INVALID_PARAMETER_VALUE", 400],
        "left": ["tr-0"],
        "anns": ["ann"],
        "gone": ["RESOURCE_DOES_NOT_EXIST", 404],
    }
