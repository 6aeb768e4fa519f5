"""Traces and what is said of them, by MLflow's REST calls."""

from typing import Any

import pytest

from relive.core.access import Scope
from tests.unit.hub.mlflow_registry.conftest import Registry

BAD, ABSENT = "INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"
YES: dict[str, Any] = {"assessment_name": "ok", "feedback": {"value": True}}


def place(experiment: str = "0") -> dict[str, Any]:
    """Give where traces are."""
    return {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}}


def started(registry: Registry, trace_id: str, experiment: str = "0", **info: Any) -> dict[str, Any]:
    """Keep a trace."""
    said = {"trace_id": trace_id, "trace_location": place(experiment), "state": "OK"}
    said |= {"request_time": "2026-11-23T10:00:00.250Z", "execution_duration": "1.5s"} | info
    kept: dict[str, Any] = registry.post("traces", trace={"trace_info": said})["trace"]["trace_info"]
    return kept


def found(registry: Registry, experiment: str, text: str = "", **asked: Any) -> list[str]:
    """Search an experiment's traces."""
    answer = registry.post("traces/search", locations=[place(experiment)], filter=text, **asked)
    return [trace["trace_id"] for trace in answer.get("traces", [])]


def new_experiment(registry: Registry, name: str) -> str:
    """Make an experiment."""
    return str(registry.post("experiments/create", name=name)["experiment_id"])


def test_a_trace_comes_back_as_it_was(registry: Registry) -> None:
    usage = '{"total_tokens": "7", "input_tokens": 3, "other": 1}'
    metadata = {"mlflow.trace.session": "s", "mlflow.trace.tokenUsage": usage, "mlflow.trace.cost": "none"}
    kept = started(registry, "tr-one", tags={"mlflow.traceName": "chat"}, trace_metadata=metadata)
    assert kept == registry.get("traces/tr-one")["trace"]["trace_info"]
    assert (kept["request_time"], kept["execution_duration"]) == ("2026-11-23T10:00:00.250Z", "1.500s")
    assert kept["trace_metadata"] == {
        "mlflow.trace.infoFinalized": "true",
        "mlflow.trace.session": "s",
        "mlflow.trace.tokenUsage": '{"input_tokens": 3, "total_tokens": 7}',
    }
    assert kept["tags"]["mlflow.artifactLocation"] == "mlflow-artifacts:/0/traces/tr-one/artifacts"
    old = registry.get("traces/tr-one/info")["trace_info"]
    assert (old["timestamp_ms"], old["execution_time_ms"], old["status"]) == (1795428000250, 1500, "OK")


def test_the_older_protocol_begins_and_ends_a_trace(registry: Registry) -> None:
    begun = registry.post("traces", experiment_id="0", timestamp_ms=1000, tags=[{"key": "a", "value": "b"}])
    request_id = begun["trace_info"]["request_id"]
    assert begun["trace_info"]["status"] == "IN_PROGRESS"
    ended = registry.patch(f"traces/{request_id}", timestamp_ms=1500, status="ERROR", request_metadata=[])
    assert (ended["trace_info"]["execution_time_ms"], ended["trace_info"]["status"]) == (500, "ERROR")
    assert registry.get(f"traces/{request_id}")["trace"]["trace_info"]["state"] == "ERROR"


@pytest.mark.parametrize(
    ("info", "code"),
    [
        ({"trace_id": ""}, BAD),
        ({"trace_location": {}}, BAD),
        ({"trace_location": place("none")}, ABSENT),
        ({"request_time": "yesterday"}, BAD),
        ({"request_time": "2026-13-45T00:00:00Z"}, BAD),
        ({"execution_duration": "long"}, BAD),
        ({"state": "FINE"}, BAD),
        ({"tags": {"mlflow.traceName": "n" * 4097}}, BAD),
        ({"trace_metadata": {"mlflow.trace.session": "s" * 251}}, BAD),
        ({"tags": {"a": 5}}, BAD),
        ({"assessments": [{"assessment_name": "nothing"}]}, BAD),
        ({"tags": {"a": "\0"}}, BAD),
    ],
)
def test_what_cannot_be_kept_is_refused_whole(registry: Registry, info: dict[str, Any], code: str) -> None:
    said = {"trace_id": "tr-bad", "trace_location": place(), "state": "OK"} | info
    assert registry.refused("POST", "traces", trace={"trace_info": said})[1] == code
    assert registry.refused("GET", "traces/tr-bad")[:2] == (404, ABSENT)


def test_traces_are_found_in_order_and_page_by_page(registry: Registry) -> None:
    experiment = new_experiment(registry, "found")
    for number in range(3):
        at = f"2026-11-23T10:00:0{number}Z"
        started(registry, f"tr-f{number}", experiment, request_time=at, tags={"n": str(number)})
    assert found(registry, experiment) == ["tr-f2", "tr-f1", "tr-f0"]
    assert found(registry, experiment, "tag.n = '1'") == ["tr-f1"]
    assert found(registry, experiment, order_by=["timestamp ASC"]) == ["tr-f0", "tr-f1", "tr-f2"]
    asked = {"locations": [place(experiment)], "max_results": 2}
    token = registry.post("traces/search", **asked)["next_page_token"]
    rest = registry.post("traces/search", **asked, page_token=token)
    assert [trace["trace_id"] for trace in rest["traces"]] == ["tr-f0"]
    assert "next_page_token" not in rest
    old = registry.get("traces", experiment_ids=[experiment], filter="tag.n != '1'")["traces"]
    assert [trace["request_id"] for trace in old] == ["tr-f2", "tr-f0"]


@pytest.mark.parametrize(
    "asked",
    [
        {"filter": "nonsense"},
        {"filter": "foo.bar = 'x'"},
        {"filter": "span.color = 'red'"},
        {"filter": "issue.name = 'x'"},
        {"filter": "feedback.ok > 'x'"},
        {"filter": "feedback.ok = 5"},
        {"filter": "prompt = 'no version'"},
        {"filter": "prompt != 'a/1'"},
        {"filter": "status = 5"},
        {"filter": "name IN ('a')"},
        {"filter": "run_id NOT IN ('a')"},
        {"filter": "timestamp_ms LIKE 'x'"},
        {"filter": "name RLIKE '('"},
        {"filter": "name RLIKE '(?=a)b'"},
        {"filter": f"name RLIKE '{'a' * 1001}'"},
        {"filter": " AND ".join(["name = 'x'"] * 201)},
        {"order_by": ["feedback.ok"]},
        {"order_by": ["metadata.mlflow.trace.cost"]},
        {"order_by": ["status", "status"]},
        {"max_results": 501},
        {"max_results": 0},
        {"page_token": "x"},
    ],
)
def test_a_search_that_cannot_be_read_is_refused(registry: Registry, asked: dict[str, Any]) -> None:
    assert registry.refused("POST", "traces/search", locations=[place()], **asked)[:2] == (400, BAD)


def test_a_pattern_cannot_hold_the_hub(registry: Registry) -> None:
    experiment = new_experiment(registry, "patterns")
    started(registry, "tr-pattern", experiment, tags={"long": "a" * 8000})
    assert found(registry, experiment, "tag.long RLIKE '(a+)+b'") == []


def test_traces_are_given_by_name(registry: Registry) -> None:
    one, two = (new_experiment(registry, name) for name in ("by name one", "by name two"))
    started(registry, "tr-n1", one)
    started(registry, "tr-n2", two)
    infos = registry.post("traces/batchGetInfos", trace_ids=["tr-n2", "none", "tr-n1"])["trace_infos"]
    assert [info["trace_id"] for info in infos] == ["tr-n2", "tr-n1"]
    within = registry.post("traces/batchGetInfos", trace_ids=["tr-n1", "tr-n2"], experiment_ids=[two])
    assert [info["trace_id"] for info in within["trace_infos"]] == ["tr-n2"]
    # Their spans have not come.
    assert registry.get("traces/batchGet", trace_ids=["tr-n1"]) == {}
    assert registry.refused("GET", "traces/get", trace_id="tr-n1")[:2] == (404, ABSENT)
    assert "spans" not in registry.get("traces/get", trace_id="tr-n1", allow_partial=True)["trace"]


def test_tags_are_set_and_taken_away(registry: Registry) -> None:
    started(registry, "tr-tags")
    registry.patch("traces/tr-tags/tags", key="a", value="b" * 9000)
    assert len(registry.get("traces/tr-tags")["trace"]["trace_info"]["tags"]["a"]) == 8000
    registry.delete("traces/tr-tags/tags", key="a")
    assert registry.refused("DELETE", "traces/tr-tags/tags", key="a")[:2] == (404, ABSENT)
    fixed = "mlflow.trace.spansLocation"
    for method in ("PATCH", "DELETE"):
        assert registry.refused(method, "traces/tr-tags/tags", key=fixed, value="x")[1] == BAD
    assert registry.refused("PATCH", "traces/none/tags", key="a", value="b")[1] == ABSENT


def test_traces_are_deleted_by_name_or_by_age(registry: Registry) -> None:
    experiment = new_experiment(registry, "deleted")
    for number in range(4):
        started(registry, f"tr-d{number}", experiment, request_time=f"1970-01-01T00:00:0{number}Z")
    registry.put(f"{experiment}/traces/tr-d0/artifacts/attachments/a.txt", b"hello")

    def delete(**asked: Any) -> int:
        return int(registry.post("traces/delete-traces", experiment_id=experiment, **asked)["traces_deleted"])

    assert delete(request_ids=["tr-d3", "tr-one", "none"]) == 1
    assert delete(max_timestamp_millis=2000, max_traces=1) == 1
    assert delete(request_ids=["none"]) == 0
    told = registry.bench.services.store.list_events(kind="traces.deleted")
    assert [(event.subject, event.facts) for event in told] == [
        (f"experiment:{experiment}", {"name": "deleted", "count": 1})
    ] * 2
    assert found(registry, experiment) == ["tr-d2", "tr-d1"]
    assert (
        registry.bench.services.store.find_file(f"{experiment}/traces/tr-d0/artifacts/attachments/a.txt")
        is None
    )
    for asked in (
        {},
        {"max_timestamp_millis": 1, "request_ids": ["a"]},
        {"request_ids": ["a"], "max_traces": 1},
    ):
        assert registry.refused("POST", "traces/delete-traces", experiment_id=experiment, **asked)[1] == BAD


def test_many_traces_are_deleted_in_steps(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("relive.services.trace_removal", "relive.services.mlflow.traces"):
        monkeypatch.setattr(f"{module}.TRACES_A_STEP", 2)
    experiment = new_experiment(registry, "many")
    for number in range(5):
        started(registry, f"tr-s{number}", experiment, request_time=f"1970-01-01T00:00:0{number}Z")
    asked: dict[str, Any] = {"experiment_id": experiment, "max_timestamp_millis": 9000}
    assert registry.post("traces/delete-traces", **asked, max_traces=3)["traces_deleted"] == 3
    assert found(registry, experiment) == ["tr-s4", "tr-s3"]
    # One that is another's keeps all of them.
    started(registry.local(), "tr-s5", experiment, request_time="1970-01-01T00:00:01Z")
    refused = registry.local().refused("POST", "traces/delete-traces", **asked)
    assert refused[0] == 403
    assert found(registry, experiment) == ["tr-s4", "tr-s3", "tr-s5"]
    assert registry.post("traces/delete-traces", **asked)["traces_deleted"] == 3
    told = registry.bench.services.store.list_events(kind="traces.deleted")
    counts = [it.facts["count"] for it in told if it.subject == f"experiment:{experiment}"]
    assert counts == [2, 1, 2, 1]


def test_files_go_with_their_trace_wherever_its_experiment_keeps_artifacts(registry: Registry) -> None:
    named = {"name": "own place", "artifact_location": "mlflow-artifacts:/own/place"}
    experiment = str(registry.post("experiments/create", **named)["experiment_id"])
    for trace in ("tr-p1", "tr-p2"):
        tags = started(registry, trace, experiment)["tags"]
        assert tags["mlflow.artifactLocation"] == f"mlflow-artifacts:/own/place/traces/{trace}/artifacts"
        registry.put(f"own/place/traces/{trace}/artifacts/attachments/a.txt", b"hello")
    registry.post("traces/delete-traces", experiment_id=experiment, request_ids=["tr-p1"])
    left = [file.path for file in registry.bench.services.store.list_files("own/place")]
    assert left == ["own/place/traces/tr-p2/artifacts/attachments/a.txt"]


def test_files_are_attached_by_who_may_change_the_trace(registry: Registry) -> None:
    run = registry.bench.by_hand(project="digits")
    command = Registry(registry.bench, registry.live, run.token)
    place = {"name": "attached", "artifact_location": "mlflow-artifacts:/own/other"}
    experiment = str(command.post("experiments/create", **place)["experiment_id"])
    for who, trace in ((command, "tr-of-run"), (registry, "tr-of-admin")):
        started(who, trace, experiment)

    def attach(who: Registry, trace: str, folder: str = "own/other") -> int:
        at = f"/api/2.0/mlflow-artifacts/artifacts/{folder}/traces/{trace}/artifacts/attachments/a.txt"
        return who.live.ask("PUT", at, body=b"hello", token=who.token).status

    def read(who: Registry, trace: str) -> int:
        asked = f"/ajax-api/2.0/mlflow/get-trace-artifact?request_id={trace}&path=a.txt"
        return who.ask("GET", asked).status

    assert attach(registry.local(), "tr-of-run") == 403
    assert attach(command, "tr-of-admin") == 403
    # Only where its experiment keeps them is a place the trace's own.
    assert attach(command, "tr-of-run", "elsewhere") == 403
    assert attach(command, "tr-of-run") == 200
    assert attach(registry, "tr-of-run") == 200
    assert (read(command, "tr-of-run"), read(registry.local(), "tr-of-run")) == (200, 200)
    stranger = Registry(registry.bench, registry.live, registry.bench.by_hand(project="other").token)
    assert read(stranger, "tr-of-run") == 403


def test_whoever_has_no_login_deletes_what_it_made(registry: Registry) -> None:
    local = registry.local()
    experiment = new_experiment(registry, "local traces")
    started(registry, "tr-theirs", experiment)
    started(local, "tr-mine", experiment)
    both = {"experiment_id": experiment, "request_ids": ["tr-mine", "tr-theirs"]}
    assert local.refused("POST", "traces/delete-traces", **both)[0] == 403
    assert local.refused("PATCH", "traces/tr-theirs/tags", key="a", value="b")[0] == 403
    assert found(local, experiment) == ["tr-mine", "tr-theirs"]
    mine = {"experiment_id": experiment, "request_ids": ["tr-mine"]}
    assert local.post("traces/delete-traces", **mine) == {"traces_deleted": 1}
    assert Registry(registry.bench, registry.live, registry.live.token(Scope.MEMBER, "mia")).post(
        "traces/delete-traces", experiment_id=experiment, request_ids=["tr-theirs"]
    ) == {"traces_deleted": 1}


def test_prompts_and_runs_are_linked(registry: Registry) -> None:
    experiment = new_experiment(registry, "links")
    started(registry, "tr-link", experiment)
    versions = [{"name": "greet", "version": "2"}]
    registry.post("traces/link-prompts", trace_id="tr-link", prompt_versions=versions)
    registry.post("traces/link-prompts", trace_id="tr-link", prompt_versions=versions)
    assert found(registry, experiment, "prompt = 'greet/2'") == ["tr-link"]
    run_id = registry.run()["run_id"]
    registry.post("traces/link-to-run", run_id=run_id, trace_ids=["tr-link", "none"])
    assert found(registry, experiment, f"run_id = '{run_id}'") == ["tr-link"]
    many = {"run_id": run_id, "trace_ids": ["a"] * 101}
    assert registry.refused("POST", "traces/link-to-run", **many)[1] == BAD
    bad = {"trace_id": "tr-link", "prompt_versions": [{"name": "greet", "version": "latest"}]}
    assert registry.refused("POST", "traces/link-prompts", **bad)[1] == BAD


def test_two_filters_are_said_to_go_together(registry: Registry) -> None:
    experiment = new_experiment(registry, "together")
    for number in range(4):
        tags = {"a": "1"} if number < 2 else {"b": "1"}
        started(registry, f"tr-c{number}", experiment, tags=tags)

    def together(one: str, two: str) -> dict[str, Any]:
        asked = {"experiment_ids": [experiment], "filter_string1": one, "filter_string2": two}
        answer: dict[str, Any] = registry.post("traces/calculate-filter-correlation", **asked)
        return answer

    same = together("tag.a = '1'", "tag.a LIKE '%'")
    assert (same["npmi"], same["filter1_count"], same["joint_count"], same["total_count"]) == (1.0, 2, 2, 4)
    assert together("tag.a = '1'", "tag.b = '1'")["npmi"] == -1.0
    assert together("tag.a = '1'", "tag.c = '1'")["npmi"] == "NaN"


def test_what_is_said_of_a_trace_changes_and_goes(registry: Registry) -> None:
    started(registry, "tr-said")
    source = {"source_type": "HUMAN", "source_id": "ann"}
    said = {"assessment_name": "ok", "source": source, "feedback": {"value": "yes"}, "metadata": {"a": "b"}}
    first = registry.post("traces/tr-said/assessments", assessment=said)["assessment"]
    assert first["feedback"] == {"value": "yes"}
    second = registry.post(
        "traces/tr-said/assessments",
        assessment=said | {"feedback": {"value": 5}, "overrides": first["assessment_id"]},
    )["assessment"]
    assert second["feedback"] == {"value": 5.0}
    at = f"traces/tr-said/assessments/{first['assessment_id']}"
    assert registry.get(at)["assessment"]["valid"] is False
    changed = registry.patch(
        at,
        assessment={"rationale": "r", "metadata": {"c": "d"}, "assessment_name": "not asked"},
        update_mask="rationale,metadata",
    )["assessment"]
    assert (changed["rationale"], changed["metadata"], changed["assessment_name"]) == (
        "r",
        {"a": "b", "c": "d"},
        "ok",
    )
    registry.delete(f"traces/tr-said/assessments/{second['assessment_id']}")
    assert registry.get(at)["assessment"]["valid"] is True
    registry.delete(at)
    registry.delete(at)
    assert registry.refused("GET", at)[:2] == (404, ABSENT)


def test_whoever_has_no_login_takes_the_place_of_nothing_said_of_another_s_trace(registry: Registry) -> None:
    local = registry.local()
    for who, trace in ((registry, "tr-judged"), (local, "tr-own")):
        started(who, trace)
        first = registry.post(f"traces/{trace}/assessments", assessment=YES)["assessment"]["assessment_id"]
        answer = local.ask("POST", f"traces/{trace}/assessments", {"assessment": YES | {"overrides": first}})
        assert answer.status == (403 if who is registry else 200), answer.body
        kept = registry.get(f"traces/{trace}/assessments/{first}")["assessment"]
        assert kept["valid"] is (who is registry)
    local.post("traces/tr-judged/assessments", assessment=YES)  # its own word beside it is a record


@pytest.mark.parametrize(
    "said",
    [
        {"assessment_name": "nothing"},
        {"expectation": {}},
        {"expectation": {"serialized_value": {"serialization_format": "XML", "value": "x"}}},
        {"expectation": {"serialized_value": {"serialization_format": "JSON_FORMAT", "value": "{"}}},
        {"feedback": {"value": 1}, "create_time": "now"},
        {"feedback": {"value": 1}, "metadata": {"a": 1}},
    ],
)
def test_what_says_nothing_is_refused(registry: Registry, said: dict[str, Any]) -> None:
    started(registry, "tr-silent")
    assert registry.refused("POST", "traces/tr-silent/assessments", assessment=said)[:2] == (400, BAD)
    assert "assessments" not in registry.get("traces/tr-silent")["trace"]["trace_info"]


def test_what_was_said_keeps_its_kind(registry: Registry) -> None:
    said = {"assessment_name": "e", "expectation": {"value": "Paris"}}
    started(registry, "tr-kind")
    made = registry.post("traces/tr-kind/assessments", assessment=said)["assessment"]
    at = f"traces/tr-kind/assessments/{made['assessment_id']}"
    change = {"assessment": {"feedback": {"value": 1}}, "update_mask": "feedback"}
    assert registry.refused("PATCH", at, **change)[1] == BAD
    assert registry.refused("POST", "traces/none/assessments", assessment=said)[1] == ABSENT
    missing = {"overrides": "none"}
    assert registry.refused("POST", "traces/tr-kind/assessments", assessment=said | missing)[1] == ABSENT
