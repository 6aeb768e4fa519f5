"""Logged models over MLflow's protocol."""

from typing import Any

import pytest

INVALID = "INVALID_PARAMETER_VALUE"
GONE = "RESOURCE_DOES_NOT_EXIST"


@pytest.fixture(scope="module")
def experiment(registry: Any) -> str:
    return str(registry.post("experiments/create", name="logged")["experiment_id"])


def made(registry: Any, experiment: str, **message: Any) -> dict[str, Any]:
    model: dict[str, Any] = registry.post("logged-models", experiment_id=experiment, **message)["model"]
    return model


def test_a_logged_model_is_made_changes_and_goes(registry: Any, experiment: str) -> None:
    params, tags = [{"key": "lr", "value": "1"}], [{"key": "t", "value": "v"}]
    model = made(registry, experiment, name="net", model_type="agent", params=params, tags=tags)
    info, model_id = model["info"], model["info"]["model_id"]
    assert info["artifact_uri"] == f"mlflow-artifacts:/{experiment}/models/{model_id}/artifacts"
    assert (info["status"], info["tags"]) == ("LOGGED_MODEL_PENDING", tags)
    assert model["data"] == {"params": params}
    ready = registry.patch(f"logged-models/{model_id}", model_id=model_id, status="LOGGED_MODEL_READY")
    assert ready["model"]["info"]["status"] == "LOGGED_MODEL_READY"
    failed = registry.patch(f"logged-models/{model_id}", model_id=model_id, status=3)
    assert failed["model"]["info"]["status"] == "LOGGED_MODEL_UPLOAD_FAILED"
    registry.patch(f"logged-models/{model_id}/tags", tags=[{"key": "a", "value": "b"}])
    registry.delete(f"logged-models/{model_id}/tags/a")
    said = f"No tag with key 'a' found for model with ID '{model_id}'."
    assert registry.refused("DELETE", f"logged-models/{model_id}/tags/a") == (404, GONE, said)
    registry.post(f"logged-models/{model_id}/params", model_id=model_id, params=[{"key": "p", "value": "q"}])
    again = {"model_id": model_id, "params": [{"key": "p", "value": "z"}]}
    assert registry.refused("POST", f"logged-models/{model_id}/params", **again)[:2] == (400, "BAD_REQUEST")
    registry.delete(f"logged-models/{model_id}")
    said = f"Logged model with ID '{model_id}' not found."
    assert registry.refused("GET", f"logged-models/{model_id}") == (404, GONE, said)
    assert registry.get(f"logged-models/{model_id}", allow_deleted="true")["model"]["info"]["name"] == "net"


@pytest.mark.parametrize(
    ("location", "expected"),
    [("s3://bucket/x/", "s3://bucket/x/models/{}/artifacts"), ("/srv/x", "/srv/x/models/{}/artifacts")],
)
def test_a_logged_models_files_are_where_its_experiments_are(
    registry: Any, location: str, expected: str
) -> None:
    asked = {"name": f"at {location}", "artifact_location": location}
    info = made(registry, registry.post("experiments/create", **asked)["experiment_id"])["info"]
    assert info["artifact_uri"] == expected.format(info["model_id"])


def test_a_model_without_a_name_gets_one(registry: Any, experiment: str) -> None:
    assert made(registry, experiment)["info"]["name"]


@pytest.mark.parametrize("name", ["a/b", "a:b", "a.b", "a%b", 'a"b', "a'b"])
def test_a_name_that_is_none_is_refused(registry: Any, experiment: str, name: str) -> None:
    refused = registry.refused("POST", "logged-models", experiment_id=experiment, name=name)
    assert refused[:2] == (400, INVALID)
    assert "cannot contain the following characters" in refused[2]


def test_what_is_not_there_is_said(registry: Any, experiment: str) -> None:
    missing = (404, GONE, "Logged model with ID 'm-none' not found.")
    for method, call in (("GET", ""), ("DELETE", ""), ("PATCH", "/tags"), ("GET", "/artifacts/directories")):
        assert registry.refused(method, f"logged-models/m-none{call}") == missing
    assert registry.refused("POST", "logged-models", experiment_id="f" * 32)[0] == 404
    model_id = made(registry, experiment)["info"]["model_id"]
    refused = registry.refused("PATCH", f"logged-models/{model_id}", status="BAD")
    assert refused[:2] == (400, INVALID)


def test_metrics_of_runs_are_found_by_search(registry: Any) -> None:
    experiment = registry.post("experiments/create", name="measured")["experiment_id"]
    run_id = registry.post("runs/create", experiment_id=experiment)["run"]["info"]["run_id"]
    ids = {name: made(registry, experiment, name=name)["info"]["model_id"] for name in ("a", "b", "c")}
    for name, value in (("a", 0.5), ("b", 0.9)):
        point = {"key": "acc", "value": value, "timestamp": 10, "step": 1, "model_id": ids[name]}
        on_data = {"dataset_name": "d", "dataset_digest": name}
        registry.post("runs/log-metric", run_id=run_id, **point, **on_data)
    registry.post("runs/outputs", run_id=run_id, models=[{"model_id": ids["a"], "step": 2}])
    outputs = registry.get("runs/get", run_id=run_id)["run"]["outputs"]["model_outputs"]
    assert outputs == [{"model_id": ids["a"], "step": 2}]
    metrics = registry.get(f"logged-models/{ids['a']}")["model"]["data"]["metrics"]
    assert [(it["key"], it["value"], it["run_id"], it["dataset_digest"]) for it in metrics] == [
        ("acc", 0.5, run_id, "a")
    ]

    def names(**asked: Any) -> str:
        found = registry.post("logged-models/search", experiment_ids=[experiment], **asked)
        return "".join(model["info"]["name"] for model in found.get("models", []))

    assert names(filter="metrics.acc > 0.6") == "b"
    assert names(order_by=[{"field_name": "metrics.acc", "ascending": False}]) == "bac"
    assert names(datasets=[{"dataset_name": "d", "dataset_digest": "a"}]) == "a"
    assert names(filter="name = 'c' AND status = 'PENDING'") == "c"
    asked = {"experiment_ids": [experiment], "max_results": 2, "order_by": [{"field_name": "name"}]}
    token = registry.post("logged-models/search", **asked)["next_page_token"]
    assert names(max_results=2, order_by=[{"field_name": "name"}], page_token=token) == "c"
    said = registry.refused("POST", "logged-models/search", experiment_ids=[experiment], page_token=token)[2]
    assert said.startswith("Order by in the page token does not match the requested order by.")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "Missing value for required parameter 'experiment_ids'"),
        (
            {"datasets": [{"dataset_digest": "1"}]},
            "`dataset_name` in the `datasets` clause must be specified.",
        ),
        ({"order_by": [{"field_name": "bad"}]}, "Invalid order by field name: bad"),
        ({"order_by": [{"field_name": "params.x"}]}, "Only metrics are supported."),
        ({"page_token": "bad"}, "Invalid page token: bad."),
        ({"filter": "bad"}, "Invalid filter string: 'bad'."),
    ],
)
def test_a_search_that_cannot_be_done_says_why(
    registry: Any, experiment: str, asked: dict[str, Any], said: str
) -> None:
    ids = {"experiment_ids": [experiment]} if asked else {}
    status, code, text = registry.refused("POST", "logged-models/search", **ids, **asked)
    assert (status, code) == (400, INVALID)
    assert said in text


def test_files_of_a_model_are_stored_and_listed(registry: Any, experiment: str) -> None:
    info = made(registry, experiment)["info"]
    address = info["artifact_uri"].partition(":/")[2]
    registry.put(f"{address}/MLmodel", b"flavors")
    registry.put(f"{address}/data/rows.csv", b"1,2")
    call = f"logged-models/{info['model_id']}/artifacts/directories"
    top = [{"path": "MLmodel", "is_dir": False, "file_size": 7}, {"path": "data", "is_dir": True}]
    assert registry.get(call) == {"root_uri": info["artifact_uri"], "files": top}
    inside = registry.get(call, artifact_directory_path="data")["files"]
    assert inside == [{"path": "data/rows.csv", "is_dir": False, "file_size": 3}]
    assert registry.refused("GET", call, artifact_directory_path="../x")[2] == "Invalid path"
    page = f"/ajax-api/2.0/mlflow/logged-models/{info['model_id']}/artifacts/files"
    answer = registry.ask("GET", page, {"artifact_file_path": "data/rows.csv"})
    assert (answer.status, answer.body) == (200, b"1,2")
    assert registry.refused("GET", page)[:2] == (400, "BAD_REQUEST")


def test_a_version_of_a_logged_model_has_its_files(registry: Any, experiment: str) -> None:
    run_id = registry.post("runs/create", experiment_id=experiment)["run"]["info"]["run_id"]
    info = made(registry, experiment, source_run_id=run_id)["info"]
    registry.put(f"{info['artifact_uri'].partition(':/')[2]}/MLmodel", b"flavors")
    registry.model("from-logged")
    source = f"models:/{info['model_id']}"
    version = registry.version("from-logged", source, model_id=info["model_id"])
    assert (version["source"], version["run_id"]) == (source, run_id)
    uri = registry.get("model-versions/get-download-uri", name="from-logged", version="1")["artifact_uri"]
    assert uri == info["artifact_uri"]
    own = registry.bench.services.store.get_version("from-logged", "1")
    assert [entry.path for entry in registry.bench.manifest(own.manifest).entries] == ["MLmodel"]
    assert own.logged_model_id == info["model_id"]
    tags = registry.get(f"logged-models/{info['model_id']}")["model"]["info"]["tags"]
    noted = '[{"name": "from-logged", "version": 1}]'
    assert tags == [{"key": "mlflow.modelVersions", "value": noted}]
    file = {"name": "from-logged", "version": "1", "path": "MLmodel"}
    assert registry.ask("GET", "/model-versions/get-artifact", file).body == b"flavors"
