"""MLflow's own client, unchanged: the model registry, logged models, prompts, webhooks, artifacts."""

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


def test_a_model_is_logged_registered_and_loaded_by_alias(hub: RealHub, tmp_path: Path) -> None:
    said = script(
        hub,
        """
from mlflow.models import Model
with mlflow.start_run() as run:
    model = mlflow.initialize_logged_model(name="kept", params={"lr": "0.1"}, model_type="agent")
    mlflow.log_metric("acc", 0.9, model_id=model.model_id)
    os.makedirs("net")
    Model(artifact_path="net", run_id=run.info.run_id).save("net/MLmodel")
    open("net/weights", "w").write("123")
    mlflow.log_artifacts("net", artifact_path="net")
    client.log_model_artifacts(model.model_id, "net")
    mlflow.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run.info.run_id, [mlflow.entities.LoggedModelOutput(model.model_id, 0)])
version = mlflow.register_model(f"models:/{model.model_id}", "doubler")
client.set_registered_model_alias("doubler", "champion", version.version)
client.set_model_version_tag("doubler", version.version, "checked", "yes")
of_run = client.create_model_version("doubler", f"runs:/{run.info.run_id}/net", run.info.run_id)
found = client.get_model_version_by_alias("doubler", "champion")
where = mlflow.artifacts.download_artifacts("models:/doubler@champion")
other = mlflow.artifacts.download_artifacts("models:/doubler/2")
back = client.get_logged_model(model.model_id)
print(json.dumps({
    "run": run.info.run_id,
    "model": model.model_id,
    "outputs": [out.model_id for out in client.get_run(run.info.run_id).outputs.model_outputs],
    "status": back.status.value,
    "metrics": [[m.key, m.value] for m in back.metrics],
    "params": back.params,
    "version": [found.version, found.source, found.run_id, found.tags, list(found.aliases)],
    "second": of_run.version,
    "files": sorted(name for name in os.listdir(where) if name != "registered_model_meta"),
    "other": sorted(name for name in os.listdir(other) if name != "registered_model_meta"),
    "found": [m.name for m in mlflow.search_logged_models(
        filter_string="metrics.acc > 0.5", output_format="list")],
    "listed": [f.path for f in client.list_logged_model_artifacts(model.model_id)],
}))
""",
        tmp_path,
    )
    assert said["outputs"] == [said["model"]]
    assert (said["status"], said["metrics"], said["params"]) == ("READY", [["acc", 0.9]], {"lr": "0.1"})
    assert said["version"] == ["1", f"models:/{said['model']}", said["run"], {"checked": "yes"}, ["champion"]]
    assert said["files"] == said["other"] == said["listed"] == ["MLmodel", "weights"]
    assert (said["second"], said["found"]) == ("2", ["kept"])
    client = hub.client()
    detail = client.get_model("doubler")
    assert [(it.version, it.run_id) for it in detail.versions] == [(2, said["run"]), (1, said["run"])]
    assert client.verify_version("doubler", "champion")["files"] == 2
    folder = tmp_path / "out"
    client.blobs.materialise(detail.versions[0].manifest, folder)
    assert (folder / "weights").read_text() == "123"


def test_the_registry_says_what_the_client_expects(hub: RealHub, tmp_path: Path) -> None:
    said = script(
        hub,
        """
def code(call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except MlflowException as error:
        return error.error_code
    return "none"

client.create_registered_model("a", tags={"team": "blue"}, description="d")
client.create_registered_model("b")
first = client.create_model_version("a", "s3://bucket/a")
client.transition_model_version_stage("a", "1", "Production")
renamed = client.rename_registered_model("b", "c")
print(json.dumps({
    "taken": code(client.create_registered_model, "a"),
    "missing": code(client.get_registered_model, "none"),
    "bad": code(client.create_registered_model, "x/y"),
    "version": code(client.get_model_version, "a", "9"),
    "alias": code(client.get_model_version_by_alias, "a", "none"),
    "found": [m.name for m in client.search_registered_models("tags.team = 'blue'")],
    "all": [m.name for m in client.search_registered_models("name IN ('a', 'c')")],
    "versions": [v.version for v in client.search_model_versions("name = 'a'")],
    "stage": [v.current_stage for v in client.get_latest_versions("a", ["Production"])],
    "uri": client.get_model_version_download_uri("a", "1"),
    "deleted": [client.delete_model_version("a", "1"), client.delete_registered_model("c")],
    "gone": [code(client.get_model_version, "a", "1"), code(client.get_registered_model, "c")],
}))
""",
        tmp_path,
    )
    assert (said["taken"], said["missing"]) == ("RESOURCE_ALREADY_EXISTS", "RESOURCE_DOES_NOT_EXIST")
    assert (said["bad"], said["alias"]) == ("INVALID_PARAMETER_VALUE", "INVALID_PARAMETER_VALUE")
    assert (said["found"], said["all"], said["versions"]) == (["a"], ["a", "c"], ["1"])
    assert (said["stage"], said["uri"]) == (["Production"], "s3://bucket/a")
    assert said["gone"] == [said["version"]] * 2 == ["RESOURCE_DOES_NOT_EXIST"] * 2


def test_prompts_are_kept_as_models(hub: RealHub, tmp_path: Path) -> None:
    said = script(
        hub,
        """
client.register_prompt(name="greet", template="Hi {{name}}", commit_message="first", tags={"a": "b"})
client.register_prompt(name="greet", template="Hello {{name}}")
client.set_prompt_alias("greet", "prod", 1)
print(json.dumps({
    "template": client.load_prompt("prompts:/greet/2").template,
    "prod": client.load_prompt("prompts:/greet@prod").template,
    "found": [p.name for p in client.search_prompts()],
    "models": [m.name for m in client.search_registered_models("name = 'greet'")],
}))
""",
        tmp_path,
    )
    assert (said["template"], said["prod"]) == ("Hello {{name}}", "Hi {{name}}")
    assert (said["found"], said["models"]) == (["greet"], [])


def test_a_large_file_goes_in_parts_and_folders_are_deleted(hub: RealHub, tmp_path: Path) -> None:
    said = script(
        hub,
        """
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
data = os.urandom(12 << 20)
open("big.bin", "wb").write(data)
with mlflow.start_run() as run:
    mlflow.log_artifact("big.bin", "folder")
    mlflow.log_text("small", "kept.txt")
repository = get_artifact_repository(run.info.artifact_uri)
got = mlflow.artifacts.download_artifacts(f"runs:/{run.info.run_id}/folder/big.bin", dst_path="back")
same = open(got, "rb").read() == data
repository.delete_artifacts("folder")
print(json.dumps([same, [f.path for f in repository.list_artifacts()]]))
""",
        tmp_path,
        MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD="true",
        MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE=str(5 << 20),
        MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE=str(5 << 20),
    )
    assert said == [True, ["kept.txt"]]


def test_versions_of_runs_of_another_server_are_registered_and_copied(hub: RealHub, tmp_path: Path) -> None:
    said = script(
        hub,
        """
client.create_registered_model("foreign")
client.create_model_version("foreign", "runs:/elsewhere/net", "elsewhere", tags={"k": "v"}, description="d")
client.set_registered_model_alias("foreign", "best", "1")
copied = client.copy_model_version("models:/foreign@best", "foreign-copy")
print(json.dumps({
    "copy": [copied.version, copied.source, copied.run_id, copied.tags, copied.description],
    "uri": client.get_model_version_download_uri("foreign-copy", "1"),
    "of_run": [[v.name, v.version] for v in client.search_model_versions("run_id = 'elsewhere'")],
}))
""",
        tmp_path,
    )
    assert said["copy"] == ["1", "models:/foreign/1", "elsewhere", {"k": "v"}, "d"]
    assert said["uri"] == "runs:/elsewhere/net"
    assert said["of_run"] == [["foreign-copy", "1"], ["foreign", "1"]]


def test_a_webhook_to_a_private_address_is_refused(hub: RealHub, tmp_path: Path) -> None:
    said = script(
        hub,
        """
said = []
for url in ("http://example.com/x", "https://127.0.0.1/x", "https://[::1]/x"):
    try:
        client.create_webhook("ci", url, ["registered_model.created"])
        said.append("made")
    except MlflowException as error:
        said.append(str(error))
print(json.dumps([said, list(client.list_webhooks())]))
""",
        tmp_path,
    )
    refusals, listed = said
    assert "Allowed schemes are: https." in refusals[0]
    assert all("must not resolve to a non-public IP address" in it for it in refusals[1:])
    assert listed == []
    assert hub.client().list_deliveries() == []
