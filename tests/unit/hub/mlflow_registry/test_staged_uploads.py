"""Files in parts that go to a bucket by themselves: only what the hub then reads becomes the file."""

from collections.abc import Sequence
from typing import Any

import pytest

from relive.ports.blobs import BlobInfo, BlobStore, StagedPart

MPU = "/api/2.0/mlflow-artifacts/mpu"
HERE = "http://bucket"


class Shelf:
    """A staging place in memory; a test writes to `written` as a client does to the bucket."""

    def __init__(self, blobs: BlobStore) -> None:
        self.written: dict[str, bytes] = {}
        self._blobs = blobs

    def presign(self, upload: str, n_parts: int, *, lifetime_s: float) -> Sequence[str]:
        assert 3600 <= lifetime_s <= 7 * 86_400
        return [f"{HERE}/{upload}/{number}" for number in range(1, n_parts + 1)]

    def parts(self, upload: str) -> dict[int, StagedPart]:
        found = {url: data for url, data in self.written.items() if url.startswith(f"{HERE}/{upload}/")}
        return {int(url.rpartition("/")[2]): StagedPart(len(it), f"e{len(it)}") for url, it in found.items()}

    def take(self, upload: str, numbers: Sequence[int]) -> BlobInfo:
        return self._blobs.put(b"".join(self.written[f"{HERE}/{upload}/{number}"] for number in numbers))

    def drop(self, upload: str) -> None:
        self.written = {url: it for url, it in self.written.items() if f"/{upload}/" not in url}


@pytest.fixture
def shelf(registry: Any, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    blobs = registry.bench.services.blobs
    made = Shelf(blobs)
    monkeypatch.setattr(type(blobs), "can_presign", True)
    monkeypatch.setattr(blobs, "staging", made)
    monkeypatch.setenv("RELIVE_PRESIGN", "on")
    return made


def begin(registry: Any, n_parts: int = 2) -> tuple[str, dict[str, Any], list[str]]:
    """Begin a file of a new run; gives the folder, what names the upload, and the parts' addresses."""
    folder = registry.run()["artifact_uri"].partition(":/")[2]
    begun = registry.post(f"{MPU}/create/{folder}", path="big.bin", num_parts=n_parts)
    asked = {"path": "big.bin", "upload_id": begun["upload_id"]}
    return folder, asked, [it["url"] for it in begun["credentials"]]


def named(*etags: str) -> list[dict[str, Any]]:
    return [{"part_number": number, "etag": etag, "url": ""} for number, etag in enumerate(etags, 1)]


def test_parts_go_to_the_bucket_and_become_the_file(registry: Any, shelf: Shelf) -> None:
    folder, asked, urls = begin(registry)
    assert all(url.startswith(HERE) for url in urls)
    shelf.written |= {urls[1]: b"world", urls[0]: b"hello "}
    # The order in which they are named does not count, nor do the quotes around an etag.
    registry.post(f"{MPU}/complete/{folder}", parts=named('"e6"', "e5")[::-1], **asked)
    assert registry.read(f"{folder}/big.bin") == b"hello world"
    assert shelf.written == {}
    assert registry.refused("POST", f"{MPU}/complete/{folder}", parts=named("e6", "e5"), **asked)[0] == 404


@pytest.mark.parametrize("etags", [("e6", "e4"), ("e6", "e5", "e5"), ("", "")], ids=["other", "more", "none"])
def test_parts_that_are_not_what_is_named_become_nothing(
    registry: Any, shelf: Shelf, etags: tuple[str, ...]
) -> None:
    folder, asked, urls = begin(registry)
    shelf.written |= {urls[0]: b"hello ", urls[1]: b"world"}
    status, _, said = registry.refused("POST", f"{MPU}/complete/{folder}", parts=named(*etags), **asked)
    assert status == 400
    assert "was not stored as it is named" in said
    assert registry.get("/api/2.0/mlflow-artifacts/artifacts", path=folder) == {}


def test_a_part_named_twice_is_refused(registry: Any, shelf: Shelf) -> None:
    folder, asked, urls = begin(registry, 1)
    shelf.written[urls[0]] = b"hello "
    status, _, said = registry.refused("POST", f"{MPU}/complete/{folder}", parts=named("e6") * 2, **asked)
    assert (status, "can be named once" in said) == (400, True)


def test_an_upload_that_is_given_up_leaves_nothing(registry: Any, shelf: Shelf) -> None:
    folder, asked, urls = begin(registry)
    shelf.written[urls[0]] = b"hello "
    registry.post(f"{MPU}/abort/{folder}", **asked)
    assert shelf.written == {}


def test_it_is_offered_only_where_the_owner_of_the_hub_lets_it(
    registry: Any, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = "/api/3.0/mlflow/server-info"
    assert registry.get(info)["multipart_uploads_enabled"] is True
    monkeypatch.setenv("RELIVE_PRESIGN", "off")
    assert registry.get(info)["multipart_uploads_enabled"] is False
    _, _, urls = begin(registry)
    assert all(url.startswith(registry.live.url) for url in urls)


def test_a_part_may_still_come_through_the_hub(registry: Any, shelf: Shelf) -> None:
    """A client that cannot reach the bucket: all of its parts then do."""
    folder, asked, urls = begin(registry, 1)
    path = f"{MPU}/part/{urls[0].removeprefix(HERE + '/')}"
    answer = registry.live.ask("PUT", path, body=b"hello", token="")
    assert answer.status == 200, answer.body
    registry.post(f"{MPU}/complete/{folder}", parts=named(answer.headers["etag"]), **asked)
    assert registry.read(f"{folder}/big.bin") == b"hello"
