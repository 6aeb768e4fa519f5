"""Artifacts over MLflow's protocol: addresses, folders, deletion, uploads in parts, and what is refused."""

from typing import Any

import pytest

FILES = "/api/2.0/mlflow-artifacts/artifacts"
MPU = "/api/2.0/mlflow-artifacts/mpu"


def root_of(registry: Any) -> str:
    address: str = registry.run()["artifact_uri"].partition(":/")[2]
    return address


def test_a_runs_files_are_stored_listed_and_deleted(registry: Any) -> None:
    root = root_of(registry)
    registry.put(f"{root}/a.txt", b"a")
    registry.put(f"{root}/deep/er/b.bin", b"bb")
    top = [{"path": "a.txt", "is_dir": False, "file_size": 1}, {"path": "deep", "is_dir": True}]
    assert registry.get(FILES, path=root) == {"files": top}
    assert registry.get(FILES, path=f"{root}/deep/er")["files"][0]["path"] == "b.bin"
    assert registry.get(FILES, path=f"{root}/a.txt") == {}
    answer = registry.ask("GET", f"{FILES}/{root}/a.txt")
    assert answer.headers["content-disposition"] == "attachment; filename=a.txt"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-type"] == "text/plain"
    part = registry.live.ask("GET", f"{FILES}/{root}/deep/er/b.bin", range="bytes=1-")
    assert (part.status, part.body) == (206, b"b")
    for _ in range(2):
        registry.delete(f"{FILES}/{root}/deep")
    assert registry.get(FILES, path=root) == {"files": top[:1]}


def test_an_out_of_a_stage_is_read_and_not_deleted(registry: Any) -> None:
    bench = registry.bench
    pipeline = bench.start(
        {"relive.yaml": "version: 1\nstages:\n  train: {cmd: 'true', outs: [model/]}\n", "x.py": "1"}
    )
    stage = bench.stages(pipeline)["train"]
    bench.finish(stage, outs={"model/MLmodel": b"out"})
    run = bench.services.store.get_run(bench.stages(pipeline)["train"].run_id)
    root = f"{run.experiment_id}/{run.id}/artifacts"
    assert registry.get(FILES, path=root) == {"files": [{"path": "model", "is_dir": True}]}
    assert registry.read(f"{root}/model/MLmodel") == b"out"
    assert registry.ask("DELETE", f"{FILES}/{root}/model").status == 400
    registry.model("from-stage")
    registry.version("from-stage", f"runs:/{run.id}/model", run_id=run.id)
    assert registry.live.ask("POST", "/api/v1/models/from-stage/versions/1/verify").json["files"] == 1


def test_any_address_holds_files(registry: Any) -> None:
    registry.put("loose/folder/file.txt", b"loose")
    assert registry.read("loose/folder/file.txt") == b"loose"
    assert registry.get(FILES, path="loose")["files"] == [{"path": "folder", "is_dir": True}]
    local = registry.local()
    local.put("loose/mine.txt", b"mine")
    answer = local.live.ask("PUT", f"{FILES}/loose/folder/file.txt", body=b"other", token=local.token)
    assert answer.status == 403
    registry.delete(f"{FILES}/loose")
    assert registry.get(FILES, path="loose") == {}


@pytest.mark.parametrize(
    "path",
    ["%2e%2e/x", "a/%2e%2e/%2e%2e/x", "%252e%252e/x", "a%23b", "/etc/passwd", "C:%5Cx", "file:///etc/passwd"],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_path_stays_below_the_root(registry: Any, method: str, path: str) -> None:
    answer = registry.live.ask(method, f"{FILES}/{path}", body=b"x" if method == "PUT" else None)
    assert (answer.status, answer.json["message"]) == (400, "Invalid path")


@pytest.mark.parametrize("path", ["../x", "/etc", "a/../../x"])
def test_a_listed_folder_is_below_the_root(registry: Any, path: str) -> None:
    assert registry.refused("GET", FILES, path=path)[2] == "Invalid path"


def test_a_path_is_read_as_a_disk_reads_it(registry: Any) -> None:
    root = root_of(registry)
    registry.put(f"{root}/folder/file", b"x")
    folder = {"files": [{"path": "file", "is_dir": False, "file_size": 1}]}
    assert registry.get(FILES, path=f"{root}/./folder//.") == folder
    run_id = root.split("/")[1]
    for path in (".", "./"):
        listed = registry.get("artifacts/list", run_id=run_id, path=path)
        assert listed["files"] == [{"path": "folder", "is_dir": True}]


@pytest.mark.parametrize("origin", ["", "http://hub.example.org/api/2.0"])
def test_files_below_an_address_of_ones_own_belong_to_the_run(registry: Any, origin: str) -> None:
    location = f"{origin}/mlflow-artifacts/artifacts/own" if origin else "mlflow-artifacts:/own"
    made = registry.post("experiments/create", name=f"at {location}", artifact_location=location)
    run = registry.post("runs/create", **made)["run"]["info"]
    assert run["artifact_uri"] == f"{location}/{run['run_id']}/artifacts"
    registry.put(f"own/{run['run_id']}/artifacts/dir/a.txt", b"abc")
    upload = f"/ajax-api/2.0/mlflow/upload-artifact?run_uuid={run['run_id']}&path=b.txt"
    assert registry.live.ask("POST", upload, body=b"b").status == 200
    listed = registry.get("artifacts/list", run_id=run["run_id"])["files"]
    assert [item["path"] for item in listed] == ["b.txt", "dir"]
    for path, data in (("dir/a.txt", b"abc"), ("b.txt", b"b")):
        assert registry.ask("GET", "/get-artifact", {"run_id": run["run_id"], "path": path}).body == data


@pytest.mark.parametrize("location", ["s3://bucket/x", "s3://host/api/2.0/mlflow-artifacts/artifacts/x"])
def test_files_elsewhere_are_not_the_hubs(registry: Any, location: str) -> None:
    made = registry.post("experiments/create", name=f"at {location}", artifact_location=location)
    run_id = registry.post("runs/create", **made)["run"]["info"]["run_id"]
    status, _, said = registry.refused("GET", "/get-artifact", run_id=run_id, path="a.txt")
    assert (status, said) == (400, f"The files are not of this hub: {location}/{run_id}/artifacts")


@pytest.mark.parametrize("of_run", [True, False])
def test_a_name_is_a_files_or_a_folders(registry: Any, of_run: bool) -> None:
    root = root_of(registry) if of_run else "loose/names"
    registry.put(f"{root}/dir/a.txt", b"a")
    registry.put(f"{root}/dir/a.txt", b"b")
    for path, other in (("dir", "dir/a.txt"), ("dir/a.txt/x", "dir/a.txt")):
        answer = registry.live.ask("PUT", f"{FILES}/{root}/{path}", body=b"x")
        shown = [path, other] if of_run else [f"{root}/{path}", f"{root}/{other}"]
        said = f"Artifact '{shown[0]}' cannot be stored beside '{shown[1]}': one would be the other's folder"
        assert (answer.status, answer.json["message"]) == (400, said)
    registry.delete(f"{FILES}/{root}/dir")
    registry.put(f"{root}/dir", b"c")
    assert registry.get(FILES, path=root)["files"] == [{"path": "dir", "is_dir": False, "file_size": 1}]


def test_a_file_has_a_name(registry: Any) -> None:
    said = "Artifact path must include a filename (cannot end with '/')."
    answer = registry.live.ask("PUT", f"{FILES}/loose/folder/", body=b"x")
    assert (answer.status, answer.json["message"]) == (400, said)


def test_what_is_no_file_is_said(registry: Any) -> None:
    root = root_of(registry)
    registry.put(f"{root}/folder/file", b"x")
    said = f"No such artifact: '{root}/none'"
    assert registry.refused("GET", f"{FILES}/{root}/none") == (404, "RESOURCE_DOES_NOT_EXIST", said)
    refused = registry.refused("GET", f"{FILES}/{root}/folder")
    assert "refers to a directory, not a file" in refused[2]


def test_a_file_in_parts_goes_on_after_a_part_was_cut(registry: Any) -> None:
    root = root_of(registry)
    asked = {"path": "/srv/big.bin", "num_parts": 2}
    begun = registry.post(f"{MPU}/create/{root}/folder", **asked)
    paths = [it["url"].removeprefix(registry.live.url) for it in begun["credentials"]]
    assert [it["part_number"] for it in begun["credentials"]] == [1, 2]
    parts = []
    for number, data in ((2, b"world"), (1, b"cut"), (1, b"hello ")):
        # No token: the address is known to nobody else.
        answer = registry.live.ask("PUT", paths[number - 1], body=data, token="")
        assert answer.status == 200, answer.body
        parts.append({"part_number": number, "etag": answer.headers["etag"], "url": ""})
    done = {"path": "/srv/big.bin", "upload_id": begun["upload_id"]}
    cut = registry.refused("POST", f"{MPU}/complete/{root}/folder", parts=[parts[1], parts[0]], **done)
    assert cut[0] == 400
    pages = MPU.replace("/api/", "/ajax-api/")
    registry.post(f"{pages}/complete/{root}/folder", parts=[parts[0], parts[2]], **done)
    assert registry.read(f"{root}/folder/big.bin") == b"hello world"
    assert registry.live.ask("PUT", paths[0], body=b"late", token="").status == 404
    assert registry.refused("POST", f"{MPU}/complete/{root}/folder", parts=parts, **done)[0] == 404


def test_an_upload_is_its_makers(registry: Any) -> None:
    address = "shared/x"
    begun = registry.post(f"{MPU}/create/{address}", path="f", num_parts=1)
    asked = {"path": "f", "upload_id": begun["upload_id"]}
    local = registry.local()
    assert local.refused("POST", f"{MPU}/complete/{address}", parts=[], **asked)[0] == 403
    assert local.refused("POST", f"{MPU}/abort/{address}", **asked)[0] == 403
    registry.post(f"{MPU}/abort/{address}", **asked)
    assert registry.refused("POST", f"{MPU}/abort/{address}", **asked)[0] == 404
    for number in (0, 10_001):
        asked = {"path": "f", "num_parts": number}
        assert registry.refused("POST", f"{MPU}/create/{address}", **asked)[0] == 400
    part = registry.live.ask("PUT", f"{MPU}/part/{'x' * 43}/1", body=b"x", token="")
    assert part.status == 404


def test_no_address_leads_to_the_parts_of_uploads(registry: Any) -> None:
    begun = registry.post(f"{MPU}/create/anywhere", path="f", num_parts=1)
    places = [".uploads", f".uploads/{begun['upload_id']}", f".uploads/{begun['upload_id']}/begun"]
    before = registry.bench.services.store.list_files(".uploads")
    assert places[2] in [file.path for file in before]
    for place in (*places, f"./{places[2]}", "%2euploads/new/begun", "/" + places[1] + "/00001"):
        for method in ("PUT", "GET", "DELETE"):
            body = b"evil" if method == "PUT" else None
            answer = registry.live.ask(method, f"{FILES}/{place}", body=body)
            assert (answer.status, answer.json["message"]) == (400, "Invalid path"), (method, place)
        assert registry.refused("POST", f"{MPU}/create/{place}", path="f", num_parts=1)[0] == 400
    assert registry.bench.services.store.list_files(".uploads") == before


def test_parts_that_are_not_named_are_not_thrown_away(registry: Any) -> None:
    begun = registry.post(f"{MPU}/create/anywhere", path="f", num_parts=2)
    asked = {"path": "f", "upload_id": begun["upload_id"]}
    parts = []
    for number, data in ((1, b"one "), (2, b"two")):
        answer = registry.live.ask("PUT", f"{MPU}/part/{begun['upload_id']}/{number}", body=data, token="")
        parts.append({"part_number": number, "etag": answer.headers["etag"], "url": ""})
    for wrong in (
        [],
        [parts[0], parts[0]],
        [parts[0] | {"part_number": 2}],
        [parts[0] | {"part_number": -1}],
    ):
        assert registry.refused("POST", f"{MPU}/complete/anywhere", parts=wrong, **asked)[0] == 400
        assert registry.ask("GET", f"{FILES}/anywhere/f").status == 404
    registry.post(f"{MPU}/complete/anywhere", parts=parts, **asked)
    assert registry.read("anywhere/f") == b"one two"


@pytest.mark.parametrize("number", ["0", "-1", "3", "9" * 40])
def test_a_part_that_an_upload_does_not_have_is_refused(registry: Any, number: str) -> None:
    begun = registry.post(f"{MPU}/create/anywhere", path="f", num_parts=2)
    answer = registry.live.ask("PUT", f"{MPU}/part/{begun['upload_id']}/{number}", body=b"x", token="")
    assert (answer.status, answer.json["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert len(registry.bench.services.store.list_files(f".uploads/{begun['upload_id']}")) == 1


def test_parts_of_uploads_are_not_listed(registry: Any) -> None:
    registry.post(f"{MPU}/create/anywhere", path="f", num_parts=1)
    names = [it["path"] for it in registry.get(FILES, path="").get("files", [])]
    assert ".uploads" not in names


def test_addresses_are_not_signed(registry: Any) -> None:
    run_id = registry.run()["run_id"]
    asked = {"run_id": run_id, "path": "x"}
    for call in ("upload", "download"):
        said = registry.refused("POST", f"artifacts/presigned-{call}-url", **asked)[2]
        assert said.startswith(f"Presigned {call} is not supported for")
    asked = {"run_id": run_id, "model_id": "m", "path": "x"}
    said = "Exactly one of run_id and model_id must be provided."
    assert registry.refused("POST", "artifacts/presigned-upload-url", **asked)[2] == said
    asked = {"run_id": run_id, "path": "x", "expiration": 0}
    said = "expiration must be between 1 and 604800 seconds (got 0)."
    assert registry.refused("POST", "artifacts/presigned-download-url", **asked)[2] == said
    said = "Multipart download is not supported for the current artifact repository"
    for api in ("api", "ajax-api"):
        presigned = registry.refused("GET", f"/{api}/2.0/mlflow-artifacts/presigned/x")
        assert presigned == (501, "NOT_IMPLEMENTED", said)


def test_a_bucket_may_be_read_by_signed_addresses(registry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run = registry.run(weights=b"0123456789")
    store = type(registry.bench.services.blobs)
    monkeypatch.setattr(store, "can_presign", True)
    monkeypatch.setattr(
        store, "presign", lambda _, digest, lifetime_s: f"http://bucket/{digest}?{lifetime_s}"
    )
    path = f"/api/2.0/mlflow-artifacts/presigned/{run['artifact_uri'].partition(':/')[2]}/model/weights"
    assert registry.refused("GET", path)[0] == 501  # nobody has said that they may
    monkeypatch.setenv("RELIVE_PRESIGN", "on")
    found = registry.get(path)
    assert found["file_size"] == 10
    assert found["url"].startswith("http://bucket/blake3:")
    assert registry.refused("GET", f"{path}.no")[0] == 404
    info = registry.get("/api/3.0/mlflow/server-info")
    assert info["multipart_downloads_enabled"] is True


def test_browsers_store_and_read_small_files(registry: Any) -> None:
    run_id = registry.run()["run_id"]
    upload = "/ajax-api/2.0/mlflow/upload-artifact"
    answer = registry.live.ask("POST", f"{upload}?run_uuid={run_id}&path=up/ü.txt", body=b"hello")
    assert answer.status == 200
    read = registry.ask("GET", "/get-artifact", {"run_id": run_id, "path": "up/ü.txt"})
    assert read.body == b"hello"
    assert read.headers["content-disposition"] == "attachment; filename=u.txt; filename*=UTF-8''%C3%BC.txt"
    for query, body, said in (
        ("path=x", b"x", "Request must specify run_uuid."),
        (f"run_uuid={run_id}", b"x", "Request must specify path."),
        (f"run_uuid={run_id}&path=x", b"", "Request must specify data."),
        (
            f"run_uuid={run_id}&path=x",
            b"x" * (10 << 20) + b"x",
            "Artifact size is too large. Max size is 10MB.",
        ),
    ):
        answer = registry.live.ask("POST", f"{upload}?{query}", body=body)
        assert (answer.status, answer.json["message"]) == (400, said)


def test_a_folder_goes_only_with_files_of_who_deletes_it(registry: Any) -> None:
    local, store = registry.local(), registry.bench.services.store
    experiment = registry.post("experiments/create", name="folders")["experiment_id"]
    model = registry.post("logged-models", experiment_id=experiment, name="net")["model"]["info"]["model_id"]
    theirs = f"{experiment}/models/{model}/artifacts/MLmodel"
    registry.put(theirs, b"a model")
    registry.put("shared/of-admin.txt", b"1")
    local.put("shared/own/a.txt", b"2")
    begun = registry.live.ask(
        "POST", "/api/2.0/mlflow-artifacts/mpu/create/big.bin", {"path": "big.bin", "num_parts": 1}
    )
    assert begun.status == 200, begun.body
    before = store.list_files("")
    assert local.ask("DELETE", f"{FILES}/.uploads").status == 400  # no address leads there
    for folder in (experiment, f"{experiment}/models", f"{experiment}/models/{model}", "shared"):
        assert local.ask("DELETE", f"{FILES}/{folder}").status == 403, folder
    assert store.list_files("") == before
    local.delete(f"{FILES}/shared/own")
    assert [file.path for file in store.list_files("shared")] == ["shared/of-admin.txt"]
    registry.delete(f"{FILES}/{experiment}/models")
    assert store.find_file(theirs) is None
