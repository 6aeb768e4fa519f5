"""What MLflow's own client does with traces against a hub."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.test_mlflow_client import script
from tests.e2e.hub import RealHub, running_hub


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHub]:
    """One hub for all: `--auth local` is its default."""
    with running_hub(tmp_path_factory.mktemp("home")) as running:
        yield running


TRACED = """
from mlflow.entities import AssessmentSource, SpanEvent

@mlflow.trace(span_type="RETRIEVER")
def find(question):
    return ["a", "b"]

@mlflow.trace(span_type="CHAIN", attributes={"version": 2})
def answer(question):
    found = find(question)
    with mlflow.start_span("model", span_type="LLM") as span:
        span.set_inputs({"messages": [{"role": "user", "content": question}]})
        usage = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
        span.set_attribute("mlflow.chat.tokenUsage", usage)
        span.add_event(SpanEvent("asked", attributes={"times": 1}))
        if question == "bad":
            raise ValueError("no answer")
        span.set_outputs("Paris")
    mlflow.update_current_trace(tags={"team": "blue"}, session_id="s1", user="ann")
    return "Paris"

def ask(question):
    try:
        answer(question)
    except ValueError:
        pass
    mlflow.flush_trace_async_logging()
    return mlflow.get_last_active_trace_id()

def ids(filter_string, **asked):
    found = mlflow.search_traces(filter_string=filter_string, return_type="list", **asked)
    return [trace.info.trace_id for trace in found]
"""


def test_nested_spans_arrive_whole(hub: RealHub, tmp_path: Path) -> None:
    said = script(
        hub,
        TRACED
        + """
mlflow.set_experiment("nested")
trace = mlflow.get_trace(ask("Where is the Louvre?"))
spans = {span.name: span for span in trace.data.spans}
print(json.dumps({
    "state": trace.info.state.value,
    "preview": trace.info.request_preview,
    "usage": trace.info.token_usage,
    "session": trace.info.trace_metadata["mlflow.trace.session"],
    "tags": [trace.info.tags["team"], trace.info.tags["mlflow.traceName"]],
    "spans": [[span.name, span.span_type, span.status.status_code.value] for span in trace.data.spans],
    "under": [spans[name].parent_id == spans["answer"].span_id for name in ("find", "model")],
    "inputs": spans["find"].inputs, "outputs": spans["find"].outputs,
    "attribute": spans["answer"].get_attribute("version"),
    "events": [[event.name, event.attributes] for event in spans["model"].events],
    "times": all(span.end_time_ns >= span.start_time_ns > 0 for span in trace.data.spans),
}))
""",
        tmp_path,
    )
    assert said == {
        "state": "OK",
        "preview": '{"question": "Where is the Louvre?"}',
        "usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7},
        "session": "s1",
        "tags": ["blue", "answer"],
        "spans": [["answer", "CHAIN", "OK"], ["find", "RETRIEVER", "OK"], ["model", "LLM", "OK"]],
        "under": [True, True],
        "inputs": {"question": "Where is the Louvre?"},
        "outputs": ["a", "b"],
        "attribute": 2,
        "events": [["asked", {"times": 1}]],
        "times": True,
    }


def test_traces_are_judged_found_and_deleted(hub: RealHub, tmp_path: Path) -> None:
    said = script(
        hub,
        TRACED
        + """
experiment = mlflow.set_experiment("judged").experiment_id
good, bad = ask("good"), ask("bad")
ann = AssessmentSource("HUMAN", "ann")
first = mlflow.log_feedback(trace_id=good, name="correct", value=False, source=ann)
mlflow.override_feedback(trace_id=good, assessment_id=first.assessment_id, value=True, rationale="again")
mlflow.log_feedback(trace_id=bad, name="score", value=0.2)
mlflow.log_expectation(trace_id=good, name="answer", value={"city": "Paris"})
mlflow.set_trace_tag(good, "kept", "yes")
mlflow.set_trace_tag(good, "gone", "yes")
mlflow.delete_trace_tag(good, "gone")
trace = mlflow.get_trace(good)
valid = {it.name: it.value for it in trace.info.assessments if it.valid is not False}
names = {good: "good", bad: "bad"}
print(json.dumps({
    "valid": valid,
    "tags": ["kept" in trace.info.tags, "gone" in trace.info.tags],
    "found": {
        text: [names[found] for found in ids(text)]
        for text in (
            "feedback.correct = 'true'", "feedback.correct = 'false'", "feedback.score < 0.5",
            "expectation.answer IS NOT NULL", "tag.kept = 'yes'", "trace.status = 'ERROR'",
            "span.type = 'LLM' AND span.status = 'ERROR'", "trace.text LIKE '%Paris%'",
        )
    },
    "oldest": [names[found] for found in ids("", order_by=["timestamp ASC"], max_results=1)],
    "deleted": client.delete_traces(experiment_id=experiment, trace_ids=[good]),
    "left": [names[found] for found in ids("")],
    "get": mlflow.get_trace(good) is None,
}))
""",
        tmp_path,
    )
    assert said == {
        "valid": {"correct": True, "answer": {"city": "Paris"}},
        "tags": [True, False],
        "found": {
            "feedback.correct = 'true'": ["good"],
            "feedback.correct = 'false'": [],
            "feedback.score < 0.5": ["bad"],
            "expectation.answer IS NOT NULL": ["good"],
            "tag.kept = 'yes'": ["good"],
            "trace.status = 'ERROR'": ["bad"],
            "span.type = 'LLM' AND span.status = 'ERROR'": ["bad"],
            "trace.text LIKE '%Paris%'": ["good"],
        },
        "oldest": ["good"],
        "deleted": 1,
        "left": ["bad"],
        "get": True,
    }


def test_traces_belong_to_the_run_that_they_were_made_in(hub: RealHub, tmp_path: Path) -> None:
    said = script(
        hub,
        TRACED
        + """
mlflow.set_experiment("of a run")
alone = ask("alone")
with mlflow.start_run() as run:
    inside = ask("inside")
print(json.dumps([ids("", run_id=run.info.run_id) == [inside], len(ids(""))]))
""",
        tmp_path,
    )
    assert said == [True, 2]
