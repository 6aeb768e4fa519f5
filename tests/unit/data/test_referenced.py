"""Data that others keep: read from their address, and refused when it is not what was added."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from relive.client.dataset import OpenDataset
from relive.client.hub import HubClient
from relive.client.laying import lay
from relive.client.packed import PackedVersion
from relive.data.add import Wish, add_reference
from relive.data.verify import verify_pieces
from relive.errors import BlobCorrupt, InvalidInput


class Server(ThreadingHTTPServer):
    """Bytes at one address, with an ETag unless told otherwise."""

    data = b"id\n" + b"".join(b"%d\n" % number for number in range(50_000))
    has_etag = True
    version = ""

    @property
    def url(self) -> str:
        """Give the address."""
        return f"http://127.0.0.1:{self.server_address[1]}/some/rows%20of.csv?x=1"


class Handler(BaseHTTPRequestHandler):
    """Answers whole or a range."""

    server: Server

    def do_GET(self) -> None:
        """Answer."""
        data = self.server.data
        asked = self.headers.get("Range")
        if "none" in self.path:
            self.send_error(404)
            return
        if asked:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            data = data[int(first) : int(last) + 1]
        self.send_response(206 if asked else 200)
        if self.server.has_etag:
            self.send_header("ETag", f'"{hashlib.sha256(self.server.data).hexdigest()}"')
        if self.server.version:
            self.send_header("x-amz-version-id", self.server.version)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    """A server of this test's own."""
    with Server(("127.0.0.1", 0), Handler) as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def opened(hub: HubClient, server: Server) -> OpenDataset:
    """Add the address, and open the version."""
    added = add_reference(hub, server.url, Wish(name="rows", project="demo", source=server.url))
    assert added.version.added_bytes == 0
    return OpenDataset(PackedVersion(hub, added.version))


def test_it_is_read_where_it_is(hub: HubClient, server: Server, tmp_path: Path) -> None:
    found = opened(hub, server)
    assert found.files() == ["rows of.csv"]
    assert found.read("rows of.csv") == server.data
    with found.open("rows of.csv") as file:
        file.seek(-7, 2)
        assert file.read() == server.data[-7:]
        file.seek(100)
        assert file.read(50) == server.data[100:150]
    found.get(tmp_path)
    assert (tmp_path / "rows of.csv").read_bytes() == server.data
    assert verify_pieces(PackedVersion(hub, found.version), lambda files, done: None).problems == []


def test_the_same_again_is_no_version(hub: HubClient, server: Server) -> None:
    wish = Wish(name="rows", project="demo")
    assert add_reference(hub, server.url, wish).is_new
    assert not add_reference(hub, server.url, wish).is_new
    server.data = b"other"
    assert add_reference(hub, server.url, wish).version.number == 2


@pytest.mark.parametrize("has_etag", [True, False])
def test_other_bytes_are_refused(hub: HubClient, server: Server, tmp_path: Path, has_etag: bool) -> None:
    server.has_etag = has_etag
    found = opened(hub, server)
    server.data = server.data.replace(b"7", b"8")
    source = PackedVersion(hub, found.version)
    with pytest.raises(BlobCorrupt):
        lay(source, source.manifest, tmp_path)
    assert list(tmp_path.iterdir()) == [tmp_path / ".relive-partial"] or not list(tmp_path.iterdir())
    with pytest.raises(BlobCorrupt):
        found.read("rows of.csv")
    ((path, _),) = verify_pieces(source, lambda files, done: None).problems
    assert path == "rows of.csv"


def test_a_version_of_the_object_is_asked_for(hub: HubClient, server: Server) -> None:
    server.version = "v-7"
    found = opened(hub, server)
    (reference,) = hub.dataset_layout(found.version).references.values()
    assert (reference.version, reference.size_bytes) == ("v-7", len(server.data))
    assert found.read("rows of.csv") == server.data


@pytest.mark.parametrize(
    "url", ["ftp://example.org/x", "http://user:hunter2@127.0.0.1/x", "http://127.0.0.1:1/x", "https:///x"]
)
def test_what_is_no_address(hub: HubClient, url: str) -> None:
    with pytest.raises(InvalidInput, match="address") as caught:
        add_reference(hub, url, Wish(name="rows", project="demo"))
    assert "hunter2" not in str(caught.value)


def test_what_does_not_answer_with_bytes(hub: HubClient, server: Server) -> None:
    with pytest.raises(InvalidInput, match="404"):
        add_reference(hub, server.url.replace("some", "none"), Wish(name="rows", project="demo"))
    assert hub.list_datasets() == []
