"""MLflow's own client reads and writes a large artifact in the bucket itself, by signed addresses."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from relive.stores.blobs.registry import open_store
from tests.conformance.test_mlflow_client import script
from tests.conftest import require
from tests.e2e.hub import RealHub, running_hub
from tests.s3 import CREDENTIALS, find_rclone, fresh_url, running_moto, running_rclone

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
WRITE = """
import os, urllib.parse
from mlflow.store.artifact import http_artifact_repo as repo
run = client.create_run("0")
data = os.urandom((3 << 20) + 17)
open("large.bin", "wb").write(data)
asked = []
send = repo.HttpArtifactRepository._upload_part
def noted(credential, *args, **kwargs):
    asked.append(credential.url)
    return send(credential, *args, **kwargs)
repo.HttpArtifactRepository._upload_part = staticmethod(noted)
# One part at a time: rclone now and then answers 500 when two make the same folder.
repo.HttpArtifactRepository.max_workers = 1
client.log_artifact(run.info.run_id, "large.bin", "model")
os.makedirs("down")
got = client.download_artifacts(run.info.run_id, "model/large.bin", "down")
listed = [[file.path, file.file_size] for file in client.list_artifacts(run.info.run_id, "model")]
ports = [urllib.parse.urlsplit(url).port for url in asked]
print(json.dumps([open(got, "rb").read() == data, listed, ports]))
"""


@pytest.fixture(scope="module", params=["moto", "rclone"])
def bucket(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server: moto takes every signature, rclone checks them."""
    folder = tmp_path_factory.mktemp(request.param)
    rclone = find_rclone()
    require(request.param == "moto" or rclone is not None, "rclone is not installed")
    with (
        running_moto(folder)
        if rclone is None or request.param == "moto"
        else running_rclone(rclone, folder) as endpoint
    ):
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


def test_a_large_artifact_goes_where_the_hub_says(hub: RealHub, bucket: str, tmp_path: Path) -> None:
    small = {
        "MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE": str(1 << 20),
        "MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE": "1",
    }
    is_same, listed, ports = script(hub, WRITE, tmp_path, **small)
    assert is_same
    assert listed == [["model/large.bin", (3 << 20) + 17]]
    # Without presigning the client sends the file whole, for it is told of no parts.
    is_on = hub.variables["RELIVE_PRESIGN"] == "on"
    assert ports == ([int(bucket.rpartition(":")[2])] * 4 if is_on else [])
    store = open_store(hub.options[1])
    assert store.staging is not None
    assert store.staging.drop_idle(before=time.time() + 60).n_blobs == 0


def test_parts_through_the_hub_are_taken_too(hub: RealHub, tmp_path: Path) -> None:
    """A client that was told to send parts does so wherever the hub says."""
    small = {
        "MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE": str(1 << 20),
        "MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE": "1",
        "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "true",
    }
    is_same, _, ports = script(hub, WRITE, tmp_path, **small)
    assert is_same
    assert len(ports) == 4
    assert (hub.port in ports) == (hub.variables["RELIVE_PRESIGN"] == "off")
