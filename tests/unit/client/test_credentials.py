"""Where the hub is found, and that its token is for this user alone."""

import contextlib
import os
import socket
import stat
import threading

import pytest

from relive.client.credentials import (
    HubAddress,
    announce_hub,
    find_hub,
    find_token,
    local_hub,
    normalised,
    store_token,
    withdraw_hub,
)
from relive.errors import InvalidInput, NotFound


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("RELIVE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("RELIVE_HUB", raising=False)
    monkeypatch.delenv("RELIVE_TOKEN", raising=False)
    return tmp_path / "home"


def test_without_any_hub_it_says_how_to_get_one():
    with pytest.raises(NotFound) as caught:
        find_hub()
    assert "relive up" in str(caught.value)
    assert find_token("http://127.0.0.1:1") == ""
    assert local_hub() is None


def test_the_setting_wins_then_the_login_then_this_machines_hub(monkeypatch):
    announce_hub(HubAddress("http://127.0.0.1:8000", pid=7))
    assert find_hub() == "http://127.0.0.1:8000"
    store_token("https://hub.example", "t", make_current=True)
    assert find_hub() == "https://hub.example"
    monkeypatch.setenv("RELIVE_HUB", "https://other.example/prefix/")
    assert find_hub() == "https://other.example/prefix"
    found = local_hub()
    assert found is not None
    assert found.pid == 7


def test_each_hub_has_its_token_and_the_setting_wins(monkeypatch):
    store_token("http://127.0.0.1:8000", "one")
    store_token("https://hub.example/", "two")
    assert find_token("http://127.0.0.1:8000/") == "one"
    assert find_token("https://HUB.example") == "two"
    monkeypatch.setenv("RELIVE_TOKEN", "three")
    assert find_token("http://127.0.0.1:8000") == "three"


def test_an_empty_token_forgets_the_hub():
    store_token("https://hub.example", "two", make_current=True)
    store_token("https://hub.example", "")
    assert find_token("https://hub.example") == ""
    with pytest.raises(NotFound):
        find_hub()


def test_tokens_are_for_this_user_alone_whatever_the_umask(home):
    before = os.umask(0)
    try:
        store_token("https://hub.example", "two")
    finally:
        os.umask(before)
    mode = (home / "tokens.json").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


def test_two_logins_at_once_lose_no_token():
    threads = [
        threading.Thread(target=store_token, args=(f"https://h{i}.example", f"t{i}")) for i in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [find_token(f"https://h{i}.example") for i in range(20)] == [f"t{i}" for i in range(20)]


def test_a_damaged_file_is_named_and_nothing_is_overwritten(home):
    home.mkdir()
    (home / "tokens.json").write_text("{not json")
    with pytest.raises(InvalidInput) as caught:
        store_token("https://hub.example", "t")
    assert "tokens.json" in str(caught.value)
    assert (home / "tokens.json").read_text() == "{not json"


def test_a_write_that_fails_leaves_what_was_there(home, monkeypatch):
    store_token("https://hub.example", "before")

    def fail(*_):
        raise OSError("no")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no"):
        store_token("https://hub.example", "after")
    monkeypatch.undo()
    assert {path.name for path in home.iterdir()} == {"tokens.json", ".tokens.lock"}


@pytest.mark.parametrize("address", ["", "hub.example", "ftp://hub.example", "http://", "https://"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(InvalidInput):
        normalised(address)


@pytest.fixture
def listening():
    """Addresses that are taken, as by living hubs."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)]
        yield [f"http://127.0.0.1:{it.getsockname()[1]}" for it in sockets]


def test_a_living_hub_keeps_its_commands_and_hands_them_on_at_its_end(listening):
    first, second = (HubAddress(address, pid=os.getpid()) for address in listening)
    announce_hub(first)
    assert local_hub() == first
    announce_hub(second)
    assert find_hub() == first.address
    withdraw_hub(first)
    assert find_hub() == second.address
    withdraw_hub(second)
    assert find_hub() == second.address  # it may be back soon: scripts keep their records for it


def test_a_hub_that_ends_takes_away_no_others_address(listening):
    first, second = (HubAddress(address, pid=os.getpid()) for address in listening)
    announce_hub(first)
    announce_hub(second)
    withdraw_hub(second)
    assert local_hub() == first


def test_a_dead_hub_is_replaced(listening):
    gone = HubAddress("http://127.0.0.1:1", pid=os.getpid())
    strangers = HubAddress(listening[0], pid=2**22 + 1)  # beyond the largest number of a process
    for dead in (gone, strangers):
        announce_hub(dead)
        alive = HubAddress(listening[1], pid=os.getpid())
        announce_hub(alive)
        assert local_hub() == alive
