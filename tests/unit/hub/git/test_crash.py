"""The server dies in the middle of pushes; the repository and the next push must not notice."""

import os
import random
import subprocess

import pytest

from tests.unit.hub.git.support import PATIENCE_S, Client, Hub, eventually, half_a_push, printed


def assert_healthy(hub: Hub) -> None:
    """Wait for what the server left running, then let git judge the repository."""
    eventually(hub.is_at_rest, "git has ended")
    assert hub.git("fsck", "--strict", "--no-dangling") == ""


@pytest.mark.parametrize("chunked", [True, False])
def test_killed_in_the_middle_of_a_pack_nothing_of_it_is_there_and_the_push_can_be_repeated(
    hub, client, chunked
):
    client.git("push", hub.url(), "main")
    before = hub.refs()
    client.commit(name="data.bin", data=os.urandom(1_500_000))
    connection = half_a_push(hub, client, chunked=chunked)
    eventually(lambda: not hub.is_at_rest(), "git receives")
    hub.kill()
    connection.close()

    assert_healthy(hub)
    assert hub.refs() == before
    hub.start()
    client.git("push", hub.url(), "main")
    assert list((hub.repository() / "objects").glob("tmp_objdir-*")) == []


def test_killed_while_a_push_is_shown_the_push_is_stored(hub, client):
    commit = client.git("rev-parse", "HEAD").strip()
    push = client.start("push", "-o", "wait=never", hub.url(), "main")
    eventually(lambda: hub.pushes("begun"), "the handler has the push")
    hub.kill()
    push.communicate(timeout=PATIENCE_S)

    assert_healthy(hub)
    assert hub.refs() == {"refs/heads/main": commit}
    hub.start()
    assert "Everything up-to-date" in client.git("push", hub.url(), "main")


@pytest.mark.parametrize("seed", range(4))
def test_killed_at_any_moment_a_ref_is_old_or_new_and_the_repository_whole(hub, client, seed):
    client.git("push", hub.url(), "main")
    random_delay = random.Random(seed)
    for number in range(3):
        old = hub.refs()["refs/heads/main"]
        new = client.commit(name=f"data{number}.bin", data=os.urandom(400_000))
        push = client.start("push", hub.url(), "main")
        with pytest.raises(subprocess.TimeoutExpired):  # not to synchronise: to die anywhere within the push
            raise_if_alive(push, random_delay.uniform(0.0, 0.15))
        hub.kill()
        push.communicate(timeout=PATIENCE_S)
        assert_healthy(hub)
        assert hub.refs()["refs/heads/main"] in {old, new}
        hub.start()
        client.git("push", hub.url(), "main")
        assert hub.refs()["refs/heads/main"] == new


def raise_if_alive(push: "subprocess.Popen[str]", delay_s: float) -> None:
    """Wait so long, unless the push ends before; always raises TimeoutExpired."""
    push.wait(delay_s)
    raise subprocess.TimeoutExpired(push.args, delay_s)


def test_what_a_killed_git_left_locked_is_free_again_for_the_next_push(hub, client):
    client.git("push", hub.url(), "main")
    for name in ("refs/heads/main.lock", "packed-refs.lock", "HEAD.lock", "objects/pack/tmp_pack_x"):
        (hub.repository() / name).touch()
    (hub.repository() / "objects/tmp_objdir-incoming-x/pack").mkdir(parents=True)
    new = client.commit("second")
    client.git("push", hub.url(), "main")

    assert hub.refs() == {"refs/heads/main": new}
    assert not list(hub.repository().rglob("*.lock"))[1:]  # relive.lock stays
    assert not (hub.repository() / "objects/tmp_objdir-incoming-x").exists()


def test_a_push_while_the_hub_is_away_is_stored_and_says_when_its_pipeline_starts(hub, client):
    hub.stop()
    out = client.git("push", str(hub.repository()), "main")
    assert printed(out) == [
        "relive: your push is stored, but the hub does not answer just now.",
        "relive: its pipeline starts by itself when the hub is back.",
    ]
    assert "refs/heads/main" in hub.refs()


def test_a_hub_that_ends_while_a_push_is_shown_says_that_the_push_is_stored(hub, client):
    push = client.start("push", "-o", "wait=never", str(hub.repository()), "main")
    eventually(lambda: hub.pushes("begun"), "the handler has the push")
    hub.kill()
    out, _ = push.communicate(timeout=PATIENCE_S)
    assert push.returncode == 0
    assert printed(out)[0] == "waiting for never"
    assert printed(out)[1].startswith("relive: the hub went away; the push is stored")


def test_the_socket_that_a_killed_hub_left_is_replaced(hub, client):
    hub.kill()
    assert (hub.folder / "run/hook.sock").exists()
    hub.start()
    assert printed(client.git("push", "-o", "say=here", hub.url(), "main")) == ["here"]


def test_a_client_that_shares_nothing_can_push_after_the_crash_of_another(hub, client, tmp_path):
    client.commit(name="data.bin", data=os.urandom(1_500_000))
    half_a_push(hub, client).close()
    other = Client(tmp_path / "other")
    commit = other.commit("other")
    other.git("push", hub.url(), "main")
    assert hub.refs() == {"refs/heads/main": commit}
