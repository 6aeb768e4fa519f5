"""An archive goes from one hub to another, on either database: with inputs and signatures, and once."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from relive.client.hub import HubClient, connect
from relive.core.run import RunStatus
from relive.replay.archive import write_archive
from relive.replay.archived import PROVENANCE, open_archive, receive_archive
from relive.replay.standalone.main import signatures
from tests.contract.databases import fresh_url
from tests.support.archived import registered
from tests.support.bench import Bench, open_bench
from tests.support.live import served


@pytest.fixture(params=[("sqlite", "postgresql"), ("postgresql", "sqlite")], ids="-to-".join)
def hubs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[tuple[Bench, HubClient]]]:
    """Two hubs with a client each; they know nothing of one another."""
    with ExitStack() as stack:
        found = []
        for number, backend in enumerate(request.param):
            folder = tmp_path / str(number)
            folder.mkdir()
            bench = stack.enter_context(open_bench(folder, fresh_url(backend, request, folder)))
            live = stack.enter_context(served(bench.services))
            found.append((bench, connect(live.url, live.admin)))
        yield found


def digests(document: dict[str, Any]) -> list[str]:
    """Name every blob of the inputs."""
    return [
        document["code_manifest"],
        document["environment"]["manifest"],
        *(it["manifest"] for it in document["inputs"]),
        *(it["blob"] for it in document["environment"]["packages"]),
    ]


def test_it_comes_over_once_with_all_that_it_names(
    hubs: list[tuple[Bench, HubClient]], tmp_path: Path
) -> None:
    (source, client), (target, other) = hubs
    run_id = registered(source, tmp_path)
    path = tmp_path / "run.zip"
    write_archive(client, run_id, path)
    (first,), (received,) = (receive_archive(other, path, "back") for _ in range(2))
    assert first == received
    project = next(it for it in target.services.store.list_projects() if it.name == "back")
    (run,) = target.services.store.list_runs(project_id=project.id)
    assert (run.id, run.status, run.name) == (received.run_id, RunStatus.FINISHED, "one")
    assert run.recipe == source.services.store.get_run(run_id).recipe
    archive = open_archive(path)
    blobs = target.services.blobs
    assert all(blobs.read(digest) for digest in digests(archive.document))
    signed = next(it for it in other.get_run(run.id).artifacts if it.path == PROVENANCE)
    names = [it.path for it in other.blobs.fetch_manifest(signed.manifest).entries]
    assert "provenance/m-v1.dsse.json" in names


def test_its_signatures_are_good_without_any_library_and_the_key_is_that_of_the_hub(
    hubs: list[tuple[Bench, HubClient]], tmp_path: Path
) -> None:
    (source, client), _ = hubs
    path = tmp_path / "run.zip"
    write_archive(client, registered(source, tmp_path), path)
    first = path.read_bytes()
    source.services.signer.rotate()  # the old key still stands for what it signed
    write_archive(client, source.services.store.list_runs(project_id=source.project.id)[0].id, path)
    assert path.read_bytes() != first, "the new key is published with it"
    archive = open_archive(path)
    old, new = (it["key_id"] for it in client.list_keys())
    assert signatures(archive) == [("provenance/m-v1.dsse.json", old, True)]
    archive.members.pop(f"keys/{old}.pem")
    assert signatures(archive) == [("provenance/m-v1.dsse.json", old, False)]
    assert f"keys/{new}.pem" in archive.members
