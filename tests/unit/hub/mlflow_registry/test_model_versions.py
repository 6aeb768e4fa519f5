"""Model versions over MLflow's protocol: sources, stages, and what relive does with files of this hub."""

from typing import Any

import msgspec
import pytest

from relive.core.provenance import BUILD_TYPE, UPLOAD_TYPE
from relive.core.run import Artifact
from relive.services.mlflow.artifacts import record_artifact
from relive.services.registry import read_provenance

INVALID = "INVALID_PARAMETER_VALUE"
WITHIN = "request parameter must identify the resource that contains the source."
HOST = "addresses a host other than the tracking server's configured artifact storage"


def test_a_version_from_elsewhere_keeps_its_source_only(registry: Any) -> None:
    registry.model("far")
    tags = [{"key": "t", "value": "v"}]
    made = registry.version("far", "s3://bucket/m", run_link="http://run", description="d", tags=tags)
    assert (made["version"], made["status"], made["current_stage"]) == ("1", "READY", "None")
    assert (made["source"], made["run_link"], made["description"]) == ("s3://bucket/m", "http://run", "d")
    assert registry.get("model-versions/get", name="far", version="1")["model_version"] == made
    uri = registry.get("model-versions/get-download-uri", name="far", version="1")
    assert uri == {"artifact_uri": "s3://bucket/m"}
    own = registry.bench.services.store.get_version("far", "1")
    assert (own.manifest, own.provenance) == ("", "")


def test_a_version_of_a_run_that_is_not_here_is_registered_without_files(registry: Any) -> None:
    registry.model("foreign")
    made = registry.version("foreign", "runs:/elsewhere/model", run_id="elsewhere")
    assert (made["source"], made["run_id"]) == ("runs:/elsewhere/model", "elsewhere")
    uri = registry.get("model-versions/get-download-uri", name="foreign", version="1")["artifact_uri"]
    assert uri == "runs:/elsewhere/model"
    assert registry.bench.services.store.get_version("foreign", "1").manifest == ""


@pytest.mark.parametrize("source", ["/srv/model", "mlflow-artifacts:/0/none/artifacts"])
def test_a_place_in_a_run_that_is_not_here_is_refused(registry: Any, source: str) -> None:
    asked = {"name": "any", "source": source, "run_id": "elsewhere"}
    said = f"Invalid model version source: '{source}'. The run_id {WITHIN}"
    assert registry.refused("POST", "model-versions/create", **asked) == (400, INVALID, said)


def test_a_version_from_a_run_is_kept_by_digest_and_signed(registry: Any) -> None:
    run = registry.run(MLmodel=b"flavors: {}\n", weights=b"123")
    registry.post("runs/log-metric", run_id=run["run_id"], key="acc", value=0.5, timestamp=1)
    registry.model("near")
    registry.version("near", f"runs:/{run['run_id']}/model", run_id=run["run_id"])
    own = registry.bench.services.store.get_version("near", "1")
    assert [entry.path for entry in registry.bench.manifest(own.manifest).entries] == ["MLmodel", "weights"]
    assert own.facts["metrics"] == {"acc": 0.5}
    verified = registry.live.ask("POST", "/api/v1/models/near/versions/1/verify").json
    assert verified["files"] == 2
    renamed = registry.post("registered-models/rename", name="near", new_name="nearer")
    assert renamed["registered_model"]["name"] == "nearer"
    assert registry.live.ask("POST", "/api/v1/models/nearer/versions/1/verify").json["files"] == 2


def test_a_version_of_a_pipeline_is_downloaded_through_the_hub(registry: Any) -> None:
    made = registry.bench.version("built", MLmodel=b"built")
    found = registry.get("model-versions/get-download-uri", name="built", version="1")
    assert found == {"artifact_uri": f"mlflow-artifacts:/versions/{made.id}/artifacts"}
    address = found["artifact_uri"].partition(":/")[2]
    assert registry.read(f"{address}/MLmodel") == b"built"
    listed = registry.get("/api/2.0/mlflow-artifacts/artifacts", path=address)
    assert listed == {"files": [{"path": "MLmodel", "is_dir": False, "file_size": 5}]}
    refused = registry.live.ask("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{address}/x", body=b"x")
    assert refused.status == 403


def test_a_copy_of_a_version_has_its_files_and_its_run(registry: Any) -> None:
    run = registry.run(MLmodel=b"copied")
    for name in ("origin", "copy"):
        registry.model(name)
    registry.version("origin", f"runs:/{run['run_id']}/model", run_id=run["run_id"])
    copied = registry.version("copy", "models:/origin/1")
    assert (copied["source"], copied["run_id"]) == ("models:/origin/1", run["run_id"])
    store = registry.bench.services.store
    assert store.get_version("copy", "1").manifest == store.get_version("origin", "1").manifest
    uri = registry.get("model-versions/get-download-uri", name="copy", version="1")["artifact_uri"]
    assert uri == f"runs:/{run['run_id']}/model"
    registry.post("registered-models/alias", name="origin", alias="best", version="1")
    assert registry.version("copy", "models:/origin@best")["source"] == "models:/origin/1"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("/srv/model", "To use a local path as a model version source, the run_id request parameter"),
        ("s3://bucket/../model", "without relative path references present"),
        ("mlflow-artifacts:/%2e%2e/x", "without relative path references present"),
        ("s3:model", "an absolute path must be provided"),
        ("runs:/0123/model", f"The run_id {WITHIN}"),
        ("models:/m-none", f"The model_id {WITHIN}"),
        ("models:/a/b/c", f"The model_id {WITHIN}"),
        ("models://host/x/1", "must use the active model registry"),
        ("mlflow-artifacts:/0/none/artifacts", f"The run_id {WITHIN}"),
        ("mlflow-artifacts://host/0", HOST),
        ("http://host/model", HOST),
        ("http://[", "Invalid model version source"),
    ],
)
def test_a_source_that_is_none_is_refused(registry: Any, source: str, said: str) -> None:
    status, code, text = registry.refused("POST", "model-versions/create", name="any", source=source)
    assert (status, code) == (400, INVALID)
    assert said in text


def test_a_source_belongs_to_the_run_that_is_named(registry: Any) -> None:
    mine, other = registry.run(MLmodel=b"x"), registry.run(MLmodel=b"x")
    registry.model("bound")
    source = f"{mine['artifact_uri']}/model"
    assert registry.version("bound", source, run_id=mine["run_id"])["source"] == source
    asked = {"name": "bound", "source": source, "run_id": other["run_id"]}
    assert WITHIN in registry.refused("POST", "model-versions/create", **asked)[2]


@pytest.mark.parametrize("root", ["/srv/shared", "file:///srv/a%20b"])
def test_a_local_folder_of_the_run_or_the_model_that_is_named_is_a_source(registry: Any, root: str) -> None:
    name = f"local-{len(root)}"
    registry.model(name)
    experiment = registry.post("experiments/create", name=name, artifact_location=root)["experiment_id"]
    run = registry.post("runs/create", experiment_id=experiment)["run"]["info"]
    model = registry.post("logged-models", experiment_id=experiment, name="m")["model"]["info"]
    folders = {"run_id": run["artifact_uri"], "model_id": model["artifact_uri"]}
    for field, folder in folders.items():
        named = {field: run["run_id"] if field == "run_id" else model["model_id"]}
        for source in (folder, f"{folder}/model", f"{folder}/model/.."):
            assert registry.version(name, source, **named)["source"] == source
        for source in (f"{folder}/..", f"{root}/else", "relative"):
            asked = {"name": name, "source": source} | named
            said = f"To use a local path as a model version source, the {field} request parameter"
            assert said in registry.refused("POST", "model-versions/create", **asked)[2]


def test_a_file_of_another_machine_is_no_source(registry: Any) -> None:
    asked = {"name": "any", "source": "file://123.456.789.123/path/to/source", "run_id": "x"}
    status, code, text = registry.refused("POST", "model-versions/create", **asked)
    assert (status, code) == (500, "INTERNAL_ERROR")
    assert "is not a valid remote uri" in text


def test_stages_of_old_clients(registry: Any) -> None:
    registry.model("staged")
    for _ in range(3):
        registry.version("staged")

    def move(version: str, stage: str, *, archive: bool = False) -> dict[str, Any]:
        asked = {"version": version, "stage": stage, "archive_existing_versions": archive}
        answer = registry.post("model-versions/transition-stage", name="staged", **asked)
        moved: dict[str, Any] = answer["model_version"]
        return moved

    assert move("1", "production")["current_stage"] == "Production"
    move("2", "Production", archive=True)
    newest = registry.get("registered-models/get-latest-versions", name="staged")["model_versions"]
    stages = {it["current_stage"]: it["version"] for it in newest}
    assert stages == {"Archived": "1", "Production": "2", "None": "3"}
    some = registry.post("registered-models/get-latest-versions", name="staged", stages=["production"])
    assert [it["version"] for it in some["model_versions"]] == ["2"]
    said = "Invalid Model Version stage: Bad. Value must be one of None, Staging, Production, Archived."
    asked: dict[str, Any] = {"name": "staged", "version": "1", "stage": "Bad"}
    assert registry.refused("POST", "model-versions/transition-stage", **asked) == (400, INVALID, said)
    asked = {"name": "staged", "version": "1", "stage": "None", "archive_existing_versions": True}
    status, code, text = registry.refused("POST", "model-versions/transition-stage", **asked)
    assert (status, code) == (500, "INTERNAL_ERROR")
    assert "because 'None' is not an Active stage" in text


def test_versions_change_and_go(registry: Any) -> None:
    registry.model("changing")
    registry.version("changing")
    registry.version("changing")
    asked = {"name": "changing", "version": "1"}
    registry.patch("model-versions/update", description="new", **asked)
    registry.post("model-versions/set-tag", key="k", value="v", **asked)
    registry.post("model-versions/set-tag", key="gone", value="v", **asked)
    registry.delete("model-versions/delete-tag", key="gone", **asked)
    found = registry.get("model-versions/get", **asked)["model_version"]
    assert (found["description"], found["tags"]) == ("new", [{"key": "k", "value": "v"}])
    registry.post("registered-models/alias", alias="champion", **asked)
    registry.delete("model-versions/delete", **asked)
    said = "Model Version (name=changing, version=1) not found"
    missing = (404, "RESOURCE_DOES_NOT_EXIST", said)
    for method, call in (
        ("GET", "model-versions/get"),
        ("GET", "model-versions/get-download-uri"),
        ("PATCH", "model-versions/update"),
        ("DELETE", "model-versions/delete"),
    ):
        assert registry.refused(method, call, **asked) == missing
    assert "aliases" not in registry.get("registered-models/get", name="changing")["registered_model"]
    assert registry.version("changing")["version"] == "3"


def test_a_versions_number_is_one(registry: Any) -> None:
    said = "Parameter 'version' must be an integer, got 'x'."
    refused = registry.refused("GET", "model-versions/get", name="any", version="x")
    assert refused == (400, INVALID, said)


def test_search_finds_versions(registry: Any) -> None:
    registry.model("sought")
    for run in ("r1", "r2"):
        registry.version("sought", run_id=run, tags=[{"key": "of", "value": run}])

    def numbers(text: str, **asked: Any) -> list[str]:
        found = registry.get("model-versions/search", filter=f"name = 'sought'{text}", **asked)
        return [version["version"] for version in found.get("model_versions", [])]

    assert numbers("") == ["2", "1"]
    assert numbers("", order_by="version_number ASC") == ["1", "2"]
    assert numbers(" AND run_id = 'r1'") == ["1"]
    assert numbers(" AND tags.of = 'r2'") == ["2"]
    assert numbers(" AND version_number > 2") == []
    page = registry.get("model-versions/search", filter="name = 'sought'", max_results=1)
    assert numbers("", max_results=1, page_token=page["next_page_token"]) == ["1"]
    assert "positive integer" in registry.refused("GET", "model-versions/search", max_results=0)[2]


def test_prompts_are_models_with_tags(registry: Any) -> None:
    prompt = {"key": "mlflow.prompt.is_prompt", "value": "true"}
    registry.model("greeting", tags=[prompt])
    text = {"key": "mlflow.prompt.text", "value": "Hello {{name}}"}
    made = registry.version("greeting", "dummy-source", tags=[prompt, text])
    assert text in made["tags"]
    assert "model_versions" not in registry.get("model-versions/search", filter="name = 'greeting'")
    asked = {"name": "greeting", "source": "s3://bucket/x", "tags": [prompt]}
    assert "Invalid prompt source" in registry.refused("POST", "model-versions/create", **asked)[2]
    registry.model("no-prompt")
    asked = {"name": "no-prompt", "source": "models:/greeting/1"}
    assert "Prompt versions cannot be used" in registry.refused("POST", "model-versions/create", **asked)[2]


def test_a_version_without_run_and_files_has_its_pages(registry: Any) -> None:
    registry.model("bare")
    registry.version("bare")
    registry.post("registered-models/alias", name="bare", alias="champion", version="1")
    for page in ("/models", "/m/bare", "/m/bare/v/1", "/m/bare/v/1?verify=1", "/p/mlflow"):
        assert registry.live.ask("GET", page).status == 200, page


def build_type(registry: Any, model: str) -> str:
    """Give what kind of making the first version's signed statement tells of."""
    services = registry.bench.services
    envelope = read_provenance(services, services.store.get_version(model, "1"))
    payload = msgspec.json.decode(services.signer.verify(envelope), type=dict)
    kind: str = payload["predicate"]["buildDefinition"]["buildType"]
    return kind


def test_what_a_client_stored_with_a_recorded_run_is_not_signed_as_made_by_it(registry: Any) -> None:
    bench = registry.bench
    run = bench.finished_by_hand()
    for path, data in (("model/MLmodel", b"flavors: {}"), ("model/weights", b"later")):
        record_artifact(bench.services, run, path, bench.services.blobs.put(data))
    registry.model("later")
    registry.version("later", f"runs:/{run.id}/model", run_id=run.id)
    assert build_type(registry, "later") == UPLOAD_TYPE


def test_what_the_recorder_kept_as_an_out_is_signed_as_made_by_its_run(registry: Any) -> None:
    bench = registry.bench
    run = bench.finished_by_hand()
    kept = bench.keep({"model/MLmodel": b"flavors: {}"})
    out = Artifact(run_id=run.id, path="model/", manifest=kept, size_bytes=11, files=1)
    bench.services.store.record_artifact(out)
    registry.model("recorded")
    registry.version("recorded", f"runs:/{run.id}/model", run_id=run.id)
    assert build_type(registry, "recorded") == BUILD_TYPE
