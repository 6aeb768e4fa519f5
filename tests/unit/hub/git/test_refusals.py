"""What the git remote refuses, and what a person reads then."""

import base64
import hashlib
import http.client
import os
import socket
import zlib

import pytest

from tests.unit.hub.git.server import LIMIT_BYTES
from tests.unit.hub.git.support import PATIENCE_S, Hub, eventually, printed

SERVICE = "service=git-receive-pack"


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """One server for this module: nothing here changes what it holds."""
    hub = Hub(tmp_path_factory.mktemp("hub")).start()
    yield hub
    hub.kill()


def request(  # one parameter for each thing a client may send
    hub: Hub,
    method: str,
    path: str,
    *,
    token: str = "",
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, dict[str, str], bytes]:
    """Send one request just as it is written, and give status, headers and body."""
    connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=PATIENCE_S)
    sent = dict(headers or {})
    if token:
        sent["Authorization"] = "Basic " + base64.b64encode(f"someone:{token}".encode()).decode()
    try:
        connection.request(method, path, body=body, headers=sent)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def test_a_wrong_token_is_refused_with_a_word_on_what_to_do(hub, client):
    out = client.git("push", hub.url(token="wrong"), "main", code=128)
    assert (
        "relive: this hub does not know you: no token came, or it is unknown, expired or revoked."
        in printed(out)
    )
    assert "  try: relive login URL" in printed(out)
    assert "Authentication failed" in out
    assert hub.refs() == {}


def test_a_token_that_is_no_longer_good_is_asked_for_again(hub, client):
    out = client.git("push", hub.url(token="expired-token"), "main", code=128)
    assert printed(out)[0] == "relive: the token of mia, which has expired, may not use this hub."
    assert "Authentication failed" in out
    status, headers, _ = request(hub, "GET", f"/git/demo.git/info/refs?{SERVICE}", token="expired-token")
    assert (status, headers["www-authenticate"][:5]) == (401, "Basic")


def test_without_a_token_git_is_asked_for_one(hub):
    status, headers, _ = request(hub, "GET", f"/git/demo.git/info/refs?{SERVICE}")
    assert status == 401
    assert headers["www-authenticate"] == 'Basic realm="relive", charset="UTF-8"'


def test_who_may_read_may_not_push(hub, client):
    out = client.git("push", hub.url(token="reader-token"), "main", code=128)
    assert printed(out) == ["relive: rob may not push to demo."]


def test_the_words_of_an_error_reach_the_pusher(hub, client):
    out = client.git("push", hub.url("frozen"), "main", code=128)
    assert printed(out)[0] == "relive: mia may not push to frozen."
    assert "expected: a project that is not archived" in out


def test_a_project_that_does_not_exist_is_named(hub, client):
    out = client.git("push", hub.url("nope"), "main", code=128)
    assert printed(out)[0] == "relive: There is no project 'nope'."
    assert not hub.repository("nope").exists()


def test_a_push_over_the_limit_names_it_and_says_where_data_belongs(hub, client):
    client.commit(name="data.bin", data=os.urandom(LIMIT_BYTES + 1))
    out = client.git("push", hub.url(), "main", code=1)
    assert "relive: this push is larger than 2 MiB, the limit for code; nothing of it was kept." in printed(
        out
    )
    assert any("data belongs outside git" in line for line in printed(out))
    eventually(hub.is_at_rest, "git has ended")
    assert hub.refs() == {}
    assert list((hub.repository() / "objects").rglob("*pack-*")) == []


def test_a_push_far_over_the_limit_is_still_told_why(hub, client):
    for number in range(3):
        client.commit(name=f"data{number}.bin", data=os.urandom(10 * LIMIT_BYTES))
    out = client.git("push", hub.url(), "main", code=1)
    assert "relive: this push is larger than 2 MiB, the limit for code; nothing of it was kept." in printed(
        out
    )


@pytest.mark.parametrize(
    "ref", ["refs/relive/archive/x", "refs/notes/x", "refs/replace/x", "refs/remotes/x/y"]
)
def test_only_branches_and_tags_can_be_pushed(hub, client, ref):
    out = client.git("push", hub.url(), f"main:{ref}", code=1)
    assert "remote rejected" in out
    if not ref.startswith("refs/relive"):  # which git itself hides
        assert (
            f"relive: {ref} is not yours to write; branches (refs/heads/) and tags (refs/tags/) are."
            in printed(out)
        )
    assert hub.refs() == {}


def test_one_refused_ref_refuses_the_whole_push(hub, client):
    client.git("push", hub.url(), "main:fine", "main:refs/notes/x", code=1)
    assert hub.refs() == {}


def test_a_branch_whose_name_is_not_utf8_is_refused(hub, client):
    out = client.git("push", hub.url(), os.fsdecode(b"main:refs/heads/gr\xf6sse"), code=1)
    assert any("is not UTF-8; rename the branch or tag." in line for line in printed(out))


def test_a_malformed_object_is_refused_by_fsck(hub, client):
    """A tree that holds `.git`: an old way to write where a checkout must not."""
    blob = client.git("rev-parse", "HEAD:train.py").strip()
    content = b"100644 .git\0" + bytes.fromhex(blob)
    tree = write_object(client, b"tree", content)
    commit = client.git("commit-tree", "-m", "evil", tree).strip()
    out = client.git("push", hub.url(), f"{commit}:refs/heads/evil", code=1)
    assert any("hasDotgit" in line for line in printed(out)), out
    eventually(hub.is_at_rest, "git has ended")
    assert hub.refs() == {}


def write_object(client, kind: bytes, content: bytes) -> str:
    """Write an object that `git hash-object` would refuse."""
    data = kind + b" " + str(len(content)).encode() + b"\0" + content
    oid = hashlib.new("sha1", data, usedforsecurity=False).hexdigest()
    path = client.folder / ".git/objects" / oid[:2] / oid[2:]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(zlib.compress(data))
    return oid


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/git",
        "/git/",
        "/git/demo",
        "/git/demo.git",
        "/git/demo.git/",
        "/git/demo.git/HEAD",
        "/git/demo.git/config",
        "/git/demo.git/objects/info/packs",
        "/git/demo.git/objects/pack/../../config",
        "/git//demo.git/info/refs",
        "/git/demo.git//info/refs",
        "/git/demo.git/info/refs/",
        "/git/./demo.git/info/refs",
        "/git/../git/demo.git/info/refs",
        "/git/x/../demo.git/info/refs",
        "/git/..%2fdemo.git/info/refs",
        "/git/%2e%2e/demo.git/info/refs",
        "/git/%2e%2e%2f%2e%2e%2fetc.git/info/refs",
        "/git/demo.git%2finfo%2frefs%2f..%2f..%2fconfig",
        "/git/demo%00.git/info/refs",
        "/git/demo%0a.git/info/refs",
        "/git/-demo.git/info/refs",
        "/git/..git/info/refs",
        "/git/hooks/info/refs",
        "/git/.git/info/refs",
        "/git/d%C3%A4mo.git/info/refs",
        f"/git/{'x' * 64}.git/info/refs",
    ],
)
@pytest.mark.parametrize("query", ["", SERVICE, "service=git-upload-pack"])
def test_no_other_address_leads_anywhere(hub, path, query):
    status, _, body = request(hub, "GET", f"{path}?{query}", token="admin-token")
    assert status == 404, body
    assert b"ref" not in body.replace(b"info/refs", b"")


@pytest.mark.parametrize(
    "query", ["", "service=git-upload-archive", "service=git-evil", f"{SERVICE}&{SERVICE}", "service="]
)
def test_only_the_two_services_of_the_smart_protocol_exist(hub, query):
    status, _, body = request(hub, "GET", f"/git/demo.git/info/refs?{query}", token="admin-token")
    assert status == 403
    assert b"smart protocol" in body


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"/git/demo.git/info/refs?{SERVICE}"),
        ("GET", "/git/demo.git/git-receive-pack"),
        ("PUT", "/git/demo.git/git-upload-pack"),
        ("DELETE", "/git/demo.git/git-upload-pack"),
    ],
)
def test_another_method_is_refused(hub, method, path):
    status, headers, _ = request(hub, method, path, token="admin-token")
    assert status == 405
    assert headers["allow"] in {"GET", "POST"}


def test_a_body_of_another_type_is_refused(hub):
    status, _, _ = request(hub, "POST", "/git/demo.git/git-receive-pack", token="member-token", body=b"0000")
    assert status == 415


JUNK = bytes(range(256))


@pytest.mark.parametrize(
    "body",
    [b"", b"0000", b"junk", b"ffff" + b"x" * 100, JUNK, b"0000PACK" + JUNK],
    ids=["nothing", "flush", "word", "too short", "bytes", "no pack"],
)
@pytest.mark.parametrize("service", ["git-receive-pack", "git-upload-pack"])
def test_a_body_that_is_no_request_changes_nothing(hub, service, body):
    status, _, _ = request(
        hub,
        "POST",
        f"/git/demo.git/{service}",
        token="member-token",
        body=body,
        headers={"Content-Type": f"application/x-{service}-request"},
    )
    assert status in {200, 400, 403, 500}
    eventually(hub.is_at_rest, "git has ended")
    assert hub.refs() == {}


def test_strange_headers_do_not_reach_git(hub):
    for protocol in ("version=2; touch x", "$(id)", "x" * 1000):
        status, _, body = request(
            hub,
            "GET",
            "/git/demo.git/info/refs?service=git-upload-pack",
            token="reader-token",
            headers={"Git-Protocol": protocol},
        )
        assert status == 200
        assert body.startswith(b"001e# service=git-upload-pack\n")


def test_a_connection_that_says_nothing_does_not_disturb_others(hub, client):
    with socket.create_connection(("127.0.0.1", hub.port), timeout=PATIENCE_S) as silent:
        silent.sendall(b"POST /git/demo.git/git-receive-pack HTTP/1.1\r\n")
        client.git("ls-remote", hub.url())
