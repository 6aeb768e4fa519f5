"""Addresses and routing tables are read strictly and written so that they read back."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.core.endpoint import (
    Address,
    Route,
    RoutingTable,
    Target,
    decode_table,
    encode_table,
    parse_address,
)
from relive.errors import InvalidInput

TARGET = Target(revision=3, model="digits", version="7", address="unix:/run/m3")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:/run/relive/m 1", Address(path="/run/relive/m 1")),
        ("tcp:127.0.0.1:8080", Address(host="127.0.0.1", port=8080)),
        ("tcp:models.internal:65535", Address(host="models.internal", port=65535)),
    ],
)
def test_an_address_reads_back_as_written(text, address):
    assert parse_address(text) == address
    assert str(address) == text


def test_an_ipv6_host_stands_in_brackets():
    assert parse_address("tcp:[::1]:80") == Address(host="::1", port=80)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "unix:",
        "unix:relative",
        "tcp:",
        "tcp:host",
        "tcp::80",
        "tcp:h:0",
        "tcp:h:65536",
        "tcp:h:-1",
        "http://h:80",
        "/run/m",
    ],
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(InvalidInput, match="unix:/path or tcp:host:port") as caught:
        parse_address(text)
    assert caught.value.value == text


@given(st.text(max_size=20))
def test_no_text_crashes_the_reader_of_addresses(text):
    with suppress(InvalidInput):
        assert str(parse_address(text)).startswith(("unix:/", "tcp:"))


NAMES = st.text(min_size=1, max_size=8)
TARGETS = st.builds(
    Target,
    revision=st.integers(1, 10**6),
    model=NAMES,
    version=NAMES,
    address=st.just("unix:/run/m") | st.integers(1, 65535).map(lambda port: f"tcp:127.0.0.1:{port}"),
)


@given(st.integers(0, 2**53), st.dictionaries(NAMES, st.builds(Route, stable=TARGETS), max_size=4))
def test_a_table_reads_back_as_written(version, endpoints):
    table = RoutingTable(version=version, endpoints=endpoints)
    assert decode_table(encode_table(table)) == table


def test_keys_of_newer_versions_are_passed_over():
    table = RoutingTable(version=1, endpoints={"digits": Route(stable=TARGET)})
    content = json.loads(encode_table(table))
    content["endpoints"]["digits"]["candidate"] = {"weight": 10}
    content["signed"] = True
    assert decode_table(json.dumps(content).encode()) == table


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "truncated"),
        (b"[]", "object"),
        (b"{}", "version"),
        (b'{"version": 1, "endpoints": {"e": {}}}', "stable"),
        (b'{"version": "1", "endpoints": {}}', "int"),
        (
            b'{"version": 1, "endpoints": {"e": {"stable": {"revision": 1, "model": "m", "version": "1"}}}}',
            "address",
        ),
    ],
)
def test_what_is_no_table_is_refused_with_the_place(data, said):
    with pytest.raises(InvalidInput) as caught:
        decode_table(data)
    assert caught.value.field == "routing table"
    assert said in caught.value.wanted


def test_a_table_with_a_wrong_address_is_refused():
    table = RoutingTable(
        version=1, endpoints={"e": Route(stable=Target(revision=1, model="m", version="1", address="x"))}
    )
    with pytest.raises(InvalidInput, match="address"):
        decode_table(encode_table(table))
