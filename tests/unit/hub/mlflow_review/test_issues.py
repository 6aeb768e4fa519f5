"""Problems that traces show: what is kept and found, and in which words the rest is refused."""

from typing import Any

import pytest

from relive.core.trace import Assessment, AssessmentKind
from tests.unit.hub.mlflow_registry.conftest import Registry
from tests.unit.hub.mlflow_review.calls import ABSENT, BAD, deleted, experiment, issue, traces


def found(registry: Registry, **asked: Any) -> list[str]:
    """Give the names of the issues that fit."""
    page = registry.post("issues/search", **asked)
    assert page["next_page_token"] == ""
    return [it["name"] for it in page.get("issues", ())]


def test_an_issue_comes_back_as_clients_read_it(registry: Registry) -> None:
    one = experiment(registry, "kept issues")
    run_id = registry.post("runs/create", experiment_id=one)["run"]["info"]["run_id"]
    said = {
        "status": "resolved",
        "severity": "high",
        "root_causes": ["a", "b"],
        "source_run_id": run_id,
        "categories": ["c"],
        "created_by": "ann",
    }
    made = issue(registry, one, "slow", **said)
    assert made["issue_id"].startswith("iss-")
    assert made["created_timestamp"] == made["last_updated_timestamp"] > 0
    shown = {key: made[key] for key in made if key != "issue_id" and not key.endswith("_timestamp")}
    assert shown == said | {"experiment_id": one, "name": "slow", "description": "it is wrong"}
    assert registry.get(f"issues/{made['issue_id']}")["issue"] == made
    bare = issue(registry, "0", "odd")
    assert (bare["status"], bare["experiment_id"]) == ("pending", "0")
    assert not {"severity", "root_causes", "source_run_id", "categories", "created_by"} & bare.keys()


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"name": ""}, 400, "Missing value for required parameter 'name'."),
        ({"description": None}, 400, "Missing value for required parameter 'description'."),
        (
            {"status": "open"},
            400,
            "Issue `status` must be one of ['pending', 'rejected', 'resolved']; got 'open'.",
        ),
        (
            {"severity": ""},
            400,
            "Issue `severity` must be one of ['not_an_issue', 'low', 'medium', 'high']; got ''.",
        ),
        ({"root_causes": "x"}, 400, "Invalid value \"x\" for parameter 'root_causes' supplied"),
        ({"source_run_id": "none"}, 404, "Run with id=none not found"),
        ({"experiment_id": "999999"}, 404, "No Experiment with id=999999 exists"),
    ],
)
def test_what_is_no_issue_is_refused(
    registry: Registry, change: dict[str, Any], status: int, said: str
) -> None:
    message = {"experiment_id": "0", "name": "x", "description": "d"} | change
    refusal = registry.refused("POST", "issues", **message)
    assert refusal[:2] == (status, BAD if status == 400 else ABSENT)
    assert said in refusal[2]


def test_what_is_named_changes(registry: Registry) -> None:
    made = issue(registry, "0", "to change", root_causes=["a"])
    call = f"issues/{made['issue_id']}"

    def changed(**message: Any) -> dict[str, Any]:
        reply = registry.patch(call, issue_id=made["issue_id"], **message)["issue"]
        same = {"last_updated_timestamp", "created_timestamp"}
        return {key: reply[key] for key in reply if key not in same and reply[key] != made.get(key)}

    assert changed() == changed(name="", description="") == {}
    assert changed(status="rejected") == {"status": "rejected"}
    assert changed(severity="low", status="pending", name="n") == {"severity": "low", "name": "n"}
    assert registry.refused("PATCH", call, status="done")[:2] == (400, BAD)
    said = (404, ABSENT, "Issue with ID 'iss-none' not found")
    assert registry.refused("PATCH", "issues/iss-none", name="x") == said
    assert registry.refused("GET", "issues/iss-none") == said


def test_the_worst_come_first(registry: Registry) -> None:
    one = experiment(registry, "sorted issues")
    for severity in ("low", None, "high", "not_an_issue", "medium"):
        issue(registry, one, str(severity), severity=severity)
    assert found(registry, experiment_id=one) == ["high", "medium", "low", "not_an_issue", "None"]


def test_traces_that_show_an_issue_are_counted_if_asked(registry: Registry) -> None:
    one = experiment(registry, "counted issues")
    traces(registry, one, "tr-c1", "tr-c2")
    quiet, loud = issue(registry, one, "quiet"), issue(registry, one, "loud")
    for n, (made, trace) in enumerate([(loud, "tr-c1"), (loud, "tr-c2"), (quiet, "tr-c1"), (loud, "tr-c1")]):
        registry.bench.services.store.create_assessment(
            Assessment(
                id=f"a-c{n}", trace_id=trace, name=made["issue_id"], kind=AssessmentKind.ISSUE, value="{}"
            )
        )
    newest = issue(registry, one, "newest")
    page = registry.post("issues/search", experiment_id=one, include_trace_count=True)["issues"]
    assert [(it["name"], it["trace_count"]) for it in page] == [("loud", 2), ("quiet", 1), ("newest", 0)]
    plain = registry.post("issues/search", experiment_id=one)["issues"]
    assert plain[0] == newest
    assert not any("trace_count" in it for it in plain)


def test_issues_are_found_by_filter_in_pages(registry: Registry) -> None:
    one = experiment(registry, "found issues")
    runs = [registry.post("runs/create", experiment_id=one)["run"]["info"]["run_id"] for _ in range(2)]
    issue(registry, one, "a", source_run_id=runs[0])
    issue(registry, one, "b", source_run_id=runs[1], status="resolved")
    issue(registry, one, "c", status="rejected")

    def fit(text: str) -> list[str]:
        return found(registry, experiment_id=one, filter_string=text)

    assert fit("status = 'pending'") == fit("status = pending") == ["a"]
    assert fit("status != 'pending'") == ["c", "b"]
    assert fit(f"source_run_id != '{runs[0]}'") == ["b"]
    assert fit(f"source_run_id = '{runs[1]}' AND status = \"resolved\"") == ["b"]
    assert fit("status = 'none of these'") == []
    asked = {"experiment_id": one, "max_results": 2}
    page = registry.post("issues/search", **asked)
    rest = registry.post("issues/search", **asked, page_token=page["next_page_token"])
    assert [it["name"] for it in page["issues"] + rest["issues"]] == ["c", "b", "a"]


def test_what_cannot_be_searched_is_refused(registry: Registry) -> None:
    for text, said in (
        ("name = 'x'", "Invalid filter field 'name'. Supported fields: {'source_run_id', 'status'}"),
        ("tags.a = 'x'", "Invalid filter field 'tags.a'."),
        ("status LIKE 'x'", "Invalid comparator 'LIKE'. Supported comparators: {'!=', '='}"),
        ("status IN ('a')", "Invalid comparator 'IN'."),
        ("status", "Invalid clause(s) in filter string: status"),
    ):
        status, code, told = registry.refused("POST", "issues/search", filter_string=text)
        assert (status, code, told.startswith(said)) == (400, BAD, True), told
    for most, said in ((0, "a positive integer"), (-1, "a positive integer"), (50001, "at most 50000")):
        text = f"Invalid value {most} for parameter 'max_results' supplied. It must be {said}"
        assert registry.refused("POST", "issues/search", max_results=most) == (400, BAD, text)


def test_issues_of_many_experiments(registry: Registry) -> None:
    one, gone = experiment(registry, "one of many"), deleted(registry, "gone issues")
    issue(registry, one, "of many", severity="high")
    assert "of many" in found(registry, max_results=1000)
    assert found(registry, experiment_id=gone) == found(registry, experiment_id="none") == []
    issue(registry, "0", "of the default one", severity="high")
    assert found(registry, experiment_id="0")[0] == "of the default one"
    refusal = registry.refused("POST", "issues", experiment_id=gone, name="x", description="d")
    assert refusal == (404, ABSENT, f"No Experiment with id={gone} exists")


def test_whoever_has_no_login_changes_its_own_issues(registry: Registry) -> None:
    local = registry.local()
    own, theirs = issue(local, "0", "own"), issue(registry, "0", "theirs", created_by="local")
    assert local.patch(f"issues/{own['issue_id']}", status="resolved")["issue"]["status"] == "resolved"
    assert local.ask("PATCH", f"issues/{theirs['issue_id']}", {"status": "resolved"}).status == 403
    assert registry.patch(f"issues/{own['issue_id']}", status="pending")["issue"]["status"] == "pending"


def test_a_name_longer_than_mlflows_is_refused_and_nothing_changes(registry: Registry) -> None:
    one = experiment(registry, "long names")
    kept = issue(registry, one, "ü" * 250)
    said = "Issue `name` must be at most 250 characters; got 251."
    whole = {"experiment_id": one, "name": "n" * 251, "description": "d"}
    assert registry.refused("POST", "issues", **whole) == (400, BAD, said)
    assert (
        registry.refused("PATCH", f"issues/{kept['issue_id']}", name="n" * 251, status="resolved")[2] == said
    )
    assert registry.get(f"issues/{kept['issue_id']}")["issue"] == kept
    assert found(registry, experiment_id=one) == ["ü" * 250]


@pytest.mark.parametrize("number", ["9" * 6000, "²", "-1", "4"])
def test_a_number_that_stands_for_no_word_is_refused(registry: Registry, number: str) -> None:
    one = experiment(registry, f"numbers {number[:3]}")
    asked = {"experiment_id": one, "name": "q", "queue_type": number}
    said = "`queue_type` must be one of USER or CUSTOM; got proto enum value 0."
    assert registry.refused("POST", "review-queues/create", **asked) == (400, BAD, said)
    assert registry.get("review-queues/list", experiment_id=one).get("review_queues", []) == []
