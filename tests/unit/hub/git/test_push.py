"""Pushes and fetches, with the real git client over real HTTP."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from tests.unit.hub.git.support import PATIENCE_S, ZERO, Client, Hub, eventually, half_a_push, printed


def begun(hub: Hub) -> list[dict[str, Any]]:
    return [facts["push"] for facts in hub.pushes("begun")]


def test_a_push_is_stored_and_its_handler_told_what_moved_and_by_whom(hub, client):
    commit = client.git("rev-parse", "HEAD").strip()
    client.git("tag", "v1")
    client.git("push", hub.url(), "main", "v1")

    assert hub.refs() == {"refs/heads/main": commit, "refs/tags/v1": commit}
    (push,) = begun(hub)
    assert push["project"] == "demo"
    assert push["actor"] == "mia"
    assert sorted(update["ref"] for update in push["updates"]) == ["refs/heads/main", "refs/tags/v1"]
    assert {update["old"] for update in push["updates"]} == {ZERO}
    assert {update["new"] for update in push["updates"]} == {commit}


def test_the_pusher_sees_each_line_while_the_push_still_runs(hub, client):
    push = client.start(
        "push", "-o", "say=stage test: passed", "-o", "wait=go", "-o", "say=done", hub.url(), "main"
    )
    assert push.stdout is not None
    seen = []
    for line in push.stdout:
        seen.append(line)
        if "waiting for go" in line:
            break
    assert push.poll() is None
    assert printed("".join(seen)) == ["stage test: passed", "waiting for go"]

    (hub.folder / "go").touch()
    rest, _ = push.communicate(timeout=PATIENCE_S)
    assert printed(rest) == ["done"]
    assert push.returncode == 0
    assert hub.pushes("ended")


def test_push_options_reach_the_handler(hub, client):
    out = client.git("push", "-o", "nowait", "-o", "say=never", "-o", "note=größer", hub.url(), "main")
    assert begun(hub)[0]["options"] == ["nowait", "say=never", "note=größer"]
    assert printed(out) == []


def test_ctrl_c_detaches_and_the_push_is_stored(hub, client):
    commit = client.git("rev-parse", "HEAD").strip()
    push = client.start("push", "-o", "wait=never", hub.url(), "main")
    eventually(lambda: begun(hub), "the handler has the push")
    os.killpg(push.pid, signal.SIGINT)
    push.communicate(timeout=PATIENCE_S)

    assert push.returncode != 0
    eventually(lambda: hub.pushes("detached"), "the handler is told that nobody reads any more")
    eventually(hub.is_at_rest, "git has ended on the server's side")
    assert hub.refs() == {"refs/heads/main": commit}
    client.git("push", hub.url(), "main")


def test_a_client_that_goes_in_the_middle_of_its_pack_leaves_nothing(hub, client):
    client.commit(name="data.bin", data=os.urandom(1_500_000))
    connection = half_a_push(hub, client)
    eventually(lambda: not hub.is_at_rest(), "git receives")
    connection.close()
    eventually(hub.is_at_rest, "git has ended")

    assert hub.refs() == {}
    assert hub.git("fsck", "--strict") == ""
    assert begun(hub) == []
    client.git("push", hub.url(), "main")


def test_two_pushes_at_once_both_arrive_and_are_told_apart(hub, client, tmp_path):
    other = Client(tmp_path / "other")
    other.commit("other")
    first = client.start("push", "-o", "say=one", "-o", "wait=go", hub.url(), "main:one")
    second = other.start("push", "-o", "say=two", "-o", "wait=go", hub.url(), "main:two")
    eventually(lambda: len(begun(hub)) == 2, "both are handled at the same time")
    (hub.folder / "go").touch()
    outs = [push.communicate(timeout=PATIENCE_S)[0] for push in (first, second)]

    assert [printed(out)[0] for out in outs] == ["one", "two"]
    assert sorted(hub.refs()) == ["refs/heads/one", "refs/heads/two"]


def test_two_pushes_of_one_branch_at_once_cannot_both_win(hub, client, tmp_path):
    client.git("push", hub.url(), "main")
    client.git("clone", "-q", hub.url(), str(tmp_path / "clone"))
    pushes = []
    for number, folder in enumerate((client.folder, tmp_path / "clone")):
        commit = f"git -c user.name=x -c user.email=x@y commit -q --allow-empty -m {number}"
        subprocess.run(commit.split(), cwd=folder, check=True, timeout=PATIENCE_S)
        pushes.append(
            subprocess.Popen(
                ["git", "push", hub.url(), "main"], cwd=folder, stderr=subprocess.PIPE, text=True
            )
        )
    outs = [push.communicate(timeout=PATIENCE_S)[1] for push in pushes]
    codes = sorted(push.returncode for push in pushes)

    assert codes == [0, 1], outs
    assert len(begun(hub)) == 2
    assert hub.git("rev-list", "--count", "main") == "2"


def test_many_pushes_that_only_wait_do_not_keep_others_out(hub, client):
    waiting = [client.start("push", "-o", "wait=go", hub.url(), f"main:b{number}") for number in range(4)]
    # The server lets two packs in at once.
    eventually(lambda: len(begun(hub)) == 4, "all four are handled")
    client.git("push", "-o", "say=through", hub.url(), "main")
    (hub.folder / "go").touch()
    for push in waiting:
        push.communicate(timeout=PATIENCE_S)
        assert push.returncode == 0


def test_a_clone_has_everything_and_a_commit_can_be_fetched_by_its_id(hub, client, tmp_path):
    first = client.git("rev-parse", "HEAD").strip()
    second = client.commit("second")
    client.git("push", hub.url(), "main")
    client.git("clone", "-q", hub.url(), str(tmp_path / "clone"))
    assert (tmp_path / "clone/train.py").read_text() == "second"

    other = Client(tmp_path / "other")
    for commit in (first, second):
        other.git("fetch", "-q", "--depth=1", hub.url(), commit)
        assert other.git("rev-parse", "FETCH_HEAD").strip() == commit


def test_a_reader_clones_also_a_large_repository_in_flat_memory(hub, client, tmp_path):
    client.git("push", hub.url(), "main")
    before = peak_memory_kib(hub)
    for number in range(8):
        client.commit(name=f"data{number}.bin", data=os.urandom(1_900_000))
        client.git("push", hub.url(), "main")
    client.git("clone", "-q", hub.url(token="reader-token"), str(tmp_path / "clone"))
    assert (tmp_path / "clone/data7.bin").stat().st_size == 1_900_000
    # 15 MB went in and came out again; what stays is buffers.
    assert peak_memory_kib(hub) - before < 8 * 1024


def test_a_force_push_keeps_the_commits_it_leaves(hub, client):
    client.git("push", hub.url(), "main:topic")
    left = client.commit("second")
    client.git("push", hub.url(), "main:topic")
    client.git("reset", "-q", "--hard", "HEAD~1")
    new = client.commit("other second")
    client.git("push", "--force", hub.url(), "main:topic")

    assert hub.refs() == {"refs/heads/topic": new, f"refs/relive/archive/{left}": left}
    assert left not in client.git("ls-remote", hub.url())
    hub.git("gc", "--quiet", "--prune=now")
    assert hub.git("cat-file", "-t", left) == "commit"


def test_only_an_admin_rewrites_the_protected_branch(hub, client):
    client.git("push", hub.url(), "main")
    left = client.git("rev-parse", "HEAD").strip()
    client.git("commit", "-q", "--amend", "-m", "rewritten")
    new = client.git("rev-parse", "HEAD").strip()

    out = client.git("push", "--force", hub.url(), "main", code=1)
    assert "relive: main is protected: mia may add to its history, not rewrite it." in printed(out)
    assert hub.refs() == {"refs/heads/main": left}

    client.git("push", "--force", hub.url(token="admin-token"), "main")
    assert hub.refs() == {"refs/heads/main": new, f"refs/relive/archive/{left}": left}
    assert begun(hub)[-1]["actor"] == "ada"


def test_a_deleted_branch_is_reported_and_its_commit_kept(hub, client):
    commit = client.git("rev-parse", "HEAD").strip()
    client.git("push", hub.url(), "main", "main:topic")
    client.git("push", hub.url(), ":topic")

    assert hub.refs() == {"refs/heads/main": commit, f"refs/relive/archive/{commit}": commit}
    assert begun(hub)[-1]["updates"] == [{"ref": "refs/heads/topic", "old": commit, "new": ZERO}]
    assert "refusing to delete the current branch" in client.git(
        "push", hub.url(token="admin-token"), ":main", code=1
    )


def test_a_handler_that_fails_does_not_fail_the_push(hub, client):
    out = client.git("push", "-o", "say=before", "-o", "fail", hub.url(), "main")
    assert printed(out)[0] == "before"
    assert printed(out)[1].startswith("relive: your push is stored; the hub's log says why")
    assert "refs/heads/main" in hub.refs()


def test_nothing_of_the_machines_or_users_git_configuration_has_influence(tmp_path, client):
    """A hostile configuration in every place git looks; the push must go as if it were not there."""
    home = tmp_path / "home"
    trap = tmp_path / "traps"
    trap.mkdir()
    for name in ("pre-receive", "post-receive", "update", "reference-transaction"):
        (trap / name).write_text("#!/bin/sh\nexit 1\n")
        (trap / name).chmod(0o755)
    settings = (
        f"[core]\n\thooksPath = {trap}\n[receive]\n\tdenyCreate = true\n[transfer]\n\thideRefs = refs\n"
    )
    (home / ".config/git").mkdir(parents=True)
    for path in (home / ".gitconfig", home / ".config/git/config", tmp_path / "system"):
        path.write_text(settings)
    folder = tmp_path / "hub"
    folder.mkdir()
    hostile = {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "GIT_CONFIG_SYSTEM": str(tmp_path / "system"),
        "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.hooksPath",
        "GIT_CONFIG_VALUE_0": str(trap),
        "GIT_DIR": str(tmp_path / "elsewhere"),
        "GIT_TEMPLATE_DIR": str(trap),
    }
    hub = Hub(folder, hostile).start()
    try:
        out = client.git("push", "-o", "say=as usual", hub.url(), "main")
        assert printed(out) == ["as usual"]
        assert "refs/heads/main" in client.git("ls-remote", hub.url())
    finally:
        hub.kill()


def test_hooks_that_a_user_pushes_or_finds_a_way_to_write_never_run(hub, client):
    ran = hub.folder / "ran"
    script = f"#!/bin/sh\ntouch {ran}\nexit 1\n"
    for name in ("pre-receive", "update", "post-receive", "reference-transaction"):
        client.commit(script, name=f"hooks/{name}")
        own = hub.repository() / "hooks" / name
        own.parent.mkdir(exist_ok=True)
        own.write_text(script)
        own.chmod(0o755)
    client.git("push", hub.url(), "main")
    assert not ran.exists()
    assert begun(hub)


def peak_memory_kib(hub: Hub) -> int:
    assert hub.process is not None
    status = Path(f"/proc/{hub.process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1])
