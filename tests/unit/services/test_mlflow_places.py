"""What addresses of artifacts mean, and which of them are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.services.mlflow.faults import MlflowFault
from relive.services.mlflow.places import Place, address_of, check_machine, is_proxied, safe_path

PARTS = st.text(st.characters(exclude_characters="/%#\\:\0", exclude_categories=("Cs", "Cc")), min_size=1)


@pytest.mark.parametrize(
    ("path", "read"),
    [
        ("", ""),
        (".", ""),
        ("./", ""),
        ("a", "a"),
        ("a/", "a"),
        ("./a//b/./c", "a/b/c"),
        ("a%20b", "a b"),
        ("a%2520b", "a b"),
        ("a%2fb", "a/b"),
        ("...", "..."),
        ("a..b/..c/d..", "a..b/..c/d.."),
        ("a\nb", "a%0Ab"),
        ("C:", "C:"),
        ("filed/x", "filed/x"),
    ],
)
def test_a_path_is_read_as_a_disk_would(path: str, read: str) -> None:
    assert safe_path(path) == read


@pytest.mark.parametrize(
    "path",
    [
        "..",
        "../a",
        "a/..",
        "a/../b",
        "%2e%2e",
        "a/%252e%252e/b",
        "/a",
        "%2fa",
        "//a",
        "a#b",
        "a%23b",
        "C:\\a",
        "C:/a",
        "\\\\host\\share",
        "file:/a",
        "file:///a",
    ],
)
def test_a_path_that_leaves_the_root_is_refused(path: str) -> None:
    with pytest.raises(MlflowFault, match=r"^Invalid path$"):
        safe_path(path)


@given(st.lists(PARTS, max_size=5))
def test_what_was_read_once_is_read_again_as_it_is(parts: list[str]) -> None:
    try:
        read = safe_path("/".join(parts))
    except MlflowFault:
        assert any(part == ".." for part in parts)
        return
    assert read.split("/") == [part for part in parts if part != "."] or not read
    assert safe_path(read) == read


PROXIED = "http://hub.example.org:5000/api/2.0/mlflow-artifacts/artifacts"


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("mlflow-artifacts:/0/run/artifacts", "0/run/artifacts"),
        ("mlflow-artifacts:", ""),
        ("mlflow-artifacts:///a/b/", "a/b"),
        ("mlflow-artifacts://hub:5000/a/b", "a/b"),
        (PROXIED, ""),
        (f"{PROXIED}/", ""),
        (f"{PROXIED}/a/b", "a/b"),
        (f"{PROXIED.replace('http', 'https', 1)}/a", "a"),
    ],
)
def test_a_uri_names_an_address_of_the_hub(uri: str, address: str) -> None:
    assert address_of(uri) == address


@pytest.mark.parametrize(
    "uri",
    [
        "s3://bucket/a",
        "/a/b",
        "file:///a",
        "",
        "http://hub.example.org/a",
        f"{PROXIED}x/a",
        f"ftp{PROXIED[4:]}/a",
        f"http://hub.example.org/prefix{PROXIED[27:]}/a",
    ],
)
def test_a_uri_elsewhere_names_none(uri: str) -> None:
    assert not is_proxied(uri)
    with pytest.raises(MlflowFault, match=r"^The files are not of this hub: "):
        address_of(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "ftp://h/a",
        "SFTP://h/a",
        "hdfs://h/a",
        "viewfs://h/a",
        "http://h/a",
        "https://h/a",
        "r2://bucket@h/a",
        "b2://bucket@h/a",
        "abfss://container@account/a",
        "mlflow-artifacts://h:5000/a",
    ],
)
def test_an_address_of_a_machine_is_refused_and_its_field_named(uri: str) -> None:
    scheme = uri.partition(":")[0].lower()
    with pytest.raises(MlflowFault, match=f"^'there' cannot use the '{scheme}' scheme: ") as caught:
        check_machine("there", uri)
    assert (caught.value.error_code, caught.value.status) == ("INVALID_PARAMETER_VALUE", 400)


@pytest.mark.parametrize(
    "uri",
    ["", "a/b", "/a", "s3://b/a", "gs://b/a", "wasbs://c@a/b", "dbfs:/a", "mlflow-artifacts:/a", "runs:/a"],
)
def test_buckets_and_paths_name_no_machine(uri: str) -> None:
    check_machine("there", uri)


def test_what_is_no_uri_is_left_to_the_caller() -> None:
    with pytest.raises(ValueError, match="IPv6"):
        check_machine("there", "http://[h/a")


def test_a_place_of_its_own_is_its_path() -> None:
    assert Place(path="a/b").address == "a/b"
    assert Place(path="").address == ""
