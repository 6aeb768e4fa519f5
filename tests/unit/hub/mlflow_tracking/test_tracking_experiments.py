"""Experiments: made, found, renamed, tagged, put aside and taken back."""

from pathlib import Path
from typing import Any

import pytest

from relive.services.mlflow import experiments
from tests.unit.hub.mlflow_tracking.conftest import Tracking

BAD, GONE = "INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"


def test_an_experiment_comes_back_as_it_was_made(tracking: Tracking) -> None:
    tags = [{"key": "b", "value": "ü"}, {"key": "a", "value": ""}]
    made = tracking.experiment("made", artifact_location="s3://bucket/x", tags=tags)
    found = tracking.get("experiments/get", experiment_id=made)["experiment"]
    assert found == tracking.get("experiments/get-by-name", experiment_name="made")["experiment"]
    times = (found.pop("creation_time"), found.pop("last_update_time"))
    assert times[0] == times[1]
    assert found == {
        "experiment_id": made,
        "name": "made",
        "artifact_location": "s3://bucket/x",
        "lifecycle_stage": "active",
        "tags": [{"key": "a", "value": ""}, {"key": "b", "value": "ü"}],
        "workspace": "default",
    }


def test_the_default_experiment_is_number_0(tracking: Tracking) -> None:
    found = tracking.get("experiments/get", experiment_id="0")["experiment"]
    assert (found["experiment_id"], found["name"]) == ("0", "Default")
    assert found["artifact_location"] == "mlflow-artifacts:/0"
    assert tracking.get("experiments/get-by-name", experiment_name="Default")["experiment"] == found
    run = tracking.post("runs/create")["run"]["info"]
    assert run["experiment_id"] == "0"
    assert run["artifact_uri"] == f"mlflow-artifacts:/0/{run['run_id']}/artifacts"


def test_the_default_experiment_is_older_than_any_that_a_client_makes(tracking: Tracking) -> None:
    tracking.experiment("younger")
    asked = {"order_by": ["creation_time ASC"], "max_results": 1000}
    named = [it["name"] for it in tracking.post("experiments/search", **asked)["experiments"]]
    assert named.index("Default") < named.index("younger")


def test_an_experiments_id_is_a_number(tracking: Tracking) -> None:
    ids = {tracking.experiment(f"numbered {at}") for at in range(3)}
    assert len(ids) == 3
    # What is built on MLflow's protocol has 32 bits for it.
    assert all(it.isdecimal() and 10**8 <= int(it) < 2**31 for it in ids)


def test_a_number_that_is_taken_is_given_to_no_other(
    tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tracking.experiment("has the number")
    numbers = iter([first, first, "100000000"])
    monkeypatch.setattr(experiments, "new_number", lambda: next(numbers))
    assert tracking.experiment("wants it too") == "100000000"
    assert tracking.get("experiments/get", experiment_id=first)["experiment"]["name"] == "has the number"


def test_a_path_for_artifacts_begins_at_the_root(tracking: Tracking) -> None:
    made = tracking.experiment("here", artifact_location="my_location")
    found = tracking.get("experiments/get", experiment_id=made)["experiment"]
    assert found["artifact_location"] == str(Path.cwd() / "my_location")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "x" * 501}, "'name' exceeds the maximum length of 500 characters"),
        ({"artifact_location": "runs:/x"}, "Artifact location cannot be a runs:/ URI. Given: 'runs:/x'"),
        ({"artifact_location": "s3://b/x#f"}, "'artifact_location' URL can't include fragments or params."),
        ({"artifact_location": "x;y"}, "'artifact_location' URL can't include fragments or params."),
        ({"artifact_location": "http://[h/x"}, "Invalid artifact location: 'http://[h/x': "),
        ({"artifact_location": "FTP://h/x"}, "'artifact_location' cannot use the 'ftp' scheme: "),
        ({"artifact_location": "https://h/x"}, "'artifact_location' cannot use the 'https' scheme: "),
        ({"artifact_location": "mlflow-artifacts://h/x"}, "'artifact_location' cannot use the 'mlflow-"),
        ({"artifact_location": "s3://b/x?y=%2e./z"}, "Invalid query string"),
        ({"artifact_location": "s3://" + "x" * 2048}, "Invalid artifact path length."),
        ({"tags": [{"key": "../x"}]}, "Invalid value \"../x\" for parameter 'key' supplied: Names may be"),
        ({"tags": [{"key": "a*b"}]}, "Invalid value \"a*b\" for parameter 'key' supplied: Names may only"),
        ({"tags": [{"key": "x" * 251}]}, "'key' exceeds the maximum length of 250 characters"),
        (
            {"tags": [{"key": "x", "value": "v" * 20001}]},
            "'value' exceeds the maximum length of 20000 characters",
        ),
    ],
)
def test_what_cannot_be_an_experiment_is_refused(
    tracking: Tracking, fields: dict[str, Any], said: str
) -> None:
    status, code, message = tracking.refused("experiments/create", {"name": "refused"} | fields)
    assert (status, code) == (400, BAD)
    assert message.startswith(said)
    assert tracking.ask("GET", "experiments/get-by-name?experiment_name=refused").status == 404


def test_a_name_is_taken_once_also_by_a_deleted_experiment(tracking: Tracking) -> None:
    first, other = tracking.experiment("first"), tracking.experiment("other")
    taken = (400, "RESOURCE_ALREADY_EXISTS", "Experiment(name=first) already exists.")
    rename = {"experiment_id": other, "new_name": "first"}
    assert tracking.refused("experiments/create", {"name": "first"}) == taken
    assert tracking.refused("experiments/update", rename) == taken
    tracking.post("experiments/delete", experiment_id=first)
    assert tracking.refused("experiments/create", {"name": "first"}) == taken
    tracking.post("experiments/update", experiment_id=other, new_name="another")
    assert tracking.get("experiments/get", experiment_id=other)["experiment"]["name"] == "another"


def test_what_is_not_there_is_said_so(tracking: Tracking) -> None:
    none = (404, GONE, "No Experiment with id=99 exists")
    assert tracking.refused_query("experiments/get", experiment_id="99") == none
    for path in ("delete", "restore", "set-experiment-tag", "delete-experiment-tag", "update"):
        message = {"experiment_id": "99", "key": "a", "new_name": "b"}
        assert tracking.refused(f"experiments/{path}", message) == none
    missing = "Could not find experiment with name 'none'"
    assert tracking.refused_query("experiments/get-by-name", experiment_name="none") == (404, GONE, missing)
    made = tracking.experiment("tagless")
    no_tag = (404, GONE, f"No tag with name: a in experiment with id {made}")
    assert (
        tracking.refused("experiments/delete-experiment-tag", {"experiment_id": made, "key": "a"}) == no_tag
    )


def test_tags_are_set_again_and_taken_away(tracking: Tracking) -> None:
    made = tracking.experiment("tagged")
    for value in ("one", "two\nlines"):
        tracking.post("experiments/set-experiment-tag", experiment_id=made, key="a b", value=value)
    tracking.post("experiments/set-experiment-tag", experiment_id=made, key="gone")
    tracking.post("experiments/delete-experiment-tag", experiment_id=made, key="gone")
    found = tracking.get("experiments/get", experiment_id=made)["experiment"]
    assert found["tags"] == [{"key": "a b", "value": "two\nlines"}]


def test_a_deleted_experiment_takes_its_runs_along_and_takes_nothing_more(tracking: Tracking) -> None:
    made = tracking.experiment("deleted")
    run, bench = tracking.run(experiment_id=made), tracking.bench
    tracking.post("experiments/delete", experiment_id=made)
    assert tracking.get("experiments/get", experiment_id=made)["experiment"]["lifecycle_stage"] == "deleted"
    assert tracking.read(run)["info"]["lifecycle_stage"] == "deleted"
    assert run not in {it.id for it in bench.services.store.list_runs()}
    said = f"The experiment {made} must be in the 'active' state. Current state is deleted."
    assert tracking.refused("runs/create", {"experiment_id": made}) == (400, BAD, said)
    for path in ("set-experiment-tag", "delete-experiment-tag"):
        assert tracking.refused(f"experiments/{path}", {"experiment_id": made, "key": "a"})[2] == said
    rename = {"experiment_id": made, "new_name": "x"}
    still = (500, "INVALID_STATE", "Cannot rename a non-active experiment.")
    assert tracking.refused("experiments/update", rename) == still
    again = (404, GONE, f"No Experiment with id={made} exists")
    assert tracking.refused("experiments/delete", {"experiment_id": made}) == again
    tracking.post("experiments/restore", experiment_id=made)
    assert tracking.refused("experiments/restore", {"experiment_id": made}) == again
    assert tracking.read(run)["info"]["lifecycle_stage"] == "active"
    kinds = [it.kind for it in bench.services.store.list_events(subject=f"experiment:{made}")]
    assert kinds == ["experiment.created", "experiment.deleted", "experiment.restored"]
