"""MLflow's own client reads a large artifact in pieces from the bucket itself, by a signed address."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.test_mlflow_client import script
from tests.e2e.hub import RealHub, running_hub
from tests.s3 import CREDENTIALS, fresh_url, running_moto

READ = """
import os, urllib.parse
from mlflow.store.artifact import mlflow_artifacts_repo as repo
run = client.create_run("0")
data = os.urandom(3 << 20)
open("large.bin", "wb").write(data)
client.log_artifact(run.info.run_id, "large.bin", "model")
asked = []
signed = repo.MlflowArtifactsRepository._get_presigned_download_url
def noted(self, path):
    answer = signed(self, path)
    asked.append(answer.url)
    return answer
repo.MlflowArtifactsRepository._get_presigned_download_url = noted
got = client.download_artifacts(run.info.run_id, "model", "down") if os.makedirs("down") is None else ""
read = open(os.path.join(got, "large.bin"), "rb").read()
print(json.dumps([read == data, [urllib.parse.urlsplit(url).port for url in asked]]))
"""


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a moto server."""
    with running_moto(tmp_path_factory.mktemp("moto")) as endpoint:
        yield endpoint


@pytest.fixture(params=["on", "off"])
def hub(
    request: pytest.FixtureRequest, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RealHub]:
    """A hub on a bucket."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    options = ("--store", fresh_url(bucket))
    with running_hub(tmp_path / "home", *options, RELIVE_PRESIGN=request.param) as running:
        yield running


def test_a_large_artifact_comes_from_where_the_hub_says(hub: RealHub, bucket: str, tmp_path: Path) -> None:
    small = {
        "MLFLOW_MULTIPART_DOWNLOAD_CHUNK_SIZE": str(1 << 20),
        "MLFLOW_MULTIPART_DOWNLOAD_MINIMUM_FILE_SIZE": "1",
    }
    is_same, ports = script(hub, READ, tmp_path, **small)
    assert is_same
    is_on = hub.variables["RELIVE_PRESIGN"] == "on"
    assert ports == ([int(bucket.rpartition(":")[2])] if is_on else [])
