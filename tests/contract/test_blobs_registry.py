"""Blob stores by their URLs."""

from importlib.metadata import EntryPoint

import pytest

from relive.errors import InvalidInput
from relive.ports.blobs import OpenOptions
from relive.stores.blobs import registry
from relive.stores.blobs.local import LocalBlobStore
from relive.stores.blobs.registry import open_store
from relive.stores.blobs.s3 import S3BlobStore
from relive.stores.blobs.s3_client import S3Address


def test_a_path_and_a_file_url_open_the_same_folder(tmp_path):
    folder = tmp_path / "a b%20c"
    for url in (str(folder), f"file://{folder}".replace("%", "%25").replace(" ", "%20")):
        store = open_store(url)
        assert isinstance(store, LocalBlobStore)
        assert store.root == folder
    assert open_store(f"file://localhost{tmp_path}/x").put(b"").size_bytes == 0


def test_options_reach_the_store(tmp_path):
    store = open_store(str(tmp_path), OpenOptions(quota_bytes=100))
    assert store.usage().free_bytes == 100


def test_an_s3_url_says_where_the_bucket_is(s3_credentials):
    store = open_store("s3://models/a/b/?endpoint=http://127.0.0.1:9&region=eu-west-1&virtual_hosted=true")
    assert isinstance(store, S3BlobStore)
    assert store.address == S3Address(
        bucket="models",
        prefix="a/b",
        endpoint="http://127.0.0.1:9",
        region="eu-west-1",
        virtual_hosted=True,
    )
    assert S3Address.from_url("s3://models") == S3Address(bucket="models")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://host/path",
        "file://host/path",
        "file://",
        "file:///path?query",
        "s3://",
        "s3:///prefix",
        "s3://bucket?unknown=1",
        "s3://bucket?bucket=other",
        "s3://bucket?virtual_hosted=perhaps",
        "s3://bucket?endpoint",
        "s3://bucket#fragment",
        "s3://[bucket",
    ],
)
def test_a_url_that_says_nothing_clear_is_refused(url):
    with pytest.raises(InvalidInput):
        open_store(url)


def test_an_unknown_scheme_is_answered_with_the_known_ones():
    with pytest.raises(InvalidInput, match="one of: file, s3"):
        open_store("gs://bucket")


@pytest.mark.parametrize(
    "url", ["s3://key:HIDDEN@bucket", "s3://HIDDEN@bucket/x?y=1", "s3://bucket?secret_access_key=HIDDEN"]
)
def test_a_secret_in_a_url_is_refused_and_not_repeated(url):
    with pytest.raises(InvalidInput) as caught:
        open_store(url)
    assert "HIDDEN" not in str(caught.value)
    assert "HIDDEN" not in repr(caught.value.facts())


def test_two_packages_that_offer_one_scheme_are_named(monkeypatch):
    rivals = [EntryPoint("x", f"{package}:open", registry.GROUP) for package in ("one", "two")]
    monkeypatch.setattr(registry, "entry_points", lambda **_: rivals)
    with pytest.raises(InvalidInput, match="one:open, two:open"):
        open_store("x://")


def test_a_package_adds_a_kind_of_store(monkeypatch):
    """As a stranger's package would: by an entry point and nothing else."""
    mine = EntryPoint("mine", f"{__name__}:open_mine", registry.GROUP)
    monkeypatch.setattr(
        registry, "entry_points", lambda **asked: [mine] if asked.get("name") == "mine" else []
    )
    assert repr(open_store("mine://place", OpenOptions(quota_bytes=7))) == "'mine://place 7'"


def open_mine(url: str, options: OpenOptions) -> str:
    """Stand for a store: only that it is called, and with what, is of interest here."""
    return f"{url} {options.quota_bytes}"
