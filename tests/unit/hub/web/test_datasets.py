"""The pages of data in versions."""

from typing import Any

import msgspec
import pytest

from relive.core.artifact import Manifest, ManifestEntry
from relive.core.dataset import Dataset, DatasetVersion
from relive.data.profile import profile_tables
from relive.formats.hashing import blake3_digest
from relive.hub.web.views import datasets as views
from relive.services.context import Services
from tests.support.site import Site

FILES = {"rows.csv": b"name,score\nann,1.5\nben,\n", "deep/notes.txt": b"hello", "deep/er/x.bin": b"\0"}


@pytest.fixture(scope="module")
def kept(services: Services, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Keep two versions of a data set, of which the second has a table that cannot be read."""
    store, blobs, folder = services.store, services.blobs, tmp_path_factory.mktemp("data")
    project = store.get_project("digits")
    dataset = store.ensure_dataset(
        Dataset(id="d" * 32, project_id=project.id, name="sales", created_by="ada", created_at=store.now())
    )
    for number in (1, 2):
        files = FILES if number == 1 else FILES | {"broken.parquet": b"no parquet"}
        for path, data in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        entries = [ManifestEntry(path, blake3_digest(data), len(data)) for path, data in files.items()]
        manifest = Manifest.of(entries)
        profile: dict[str, Any] = msgspec.to_builtins(profile_tables(folder, manifest))
        store.add_dataset_version(
            DatasetVersion(
                id=f"{number}" * 32,
                dataset_id=dataset.id,
                name="sales",
                number=number,
                digest=blobs.put(manifest.to_bytes()).digest,
                layout=blobs.put(b"{}").digest,
                message="<first>" if number == 1 else "",
                files=len(files),
                size_bytes=sum(map(len, files.values())),
                profile=profile,
                created_by="ada",
                created_at=store.now(),
            )
        )
    return "sales"


def test_a_version_shows_its_files_by_folder(services: Services, kept: str) -> None:
    top = views.get_version(services, kept, "1")
    assert [(it.name, it.files) for it in top.lines] == [("deep", 2), ("rows.csv", 0)]
    inside = views.get_version(services, kept, "1", folder="deep/")
    assert [(it.name, it.files) for it in inside.lines] == [("er", 1), ("notes.txt", 0)]
    assert (top.more, [it.number for it in top.versions]) == (0, [2, 1])


def test_its_tables_are_shown_with_their_columns(site: Site, kept: str) -> None:
    page = site.get(f"/d/{kept}/v/1").data.decode()
    assert "rows.csv" in page
    assert "2 rows" in page
    assert "score" in page
    assert "1.5" in page
    assert "&lt;first&gt;" in page


def test_a_table_that_cannot_be_read_says_so_and_breaks_nothing(site: Site, kept: str) -> None:
    answer = site.get(f"/d/{kept}")
    assert answer.status == 200
    assert "broken.parquet" in answer.data.decode()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/data", 200),
        ("/d/sales", 200),
        ("/d/sales/v/2", 200),
        ("/d/sales/v/1?folder=deep", 200),
        ("/d/sales/v/1?folder=none", 404),
        ("/d/sales/v/9", 404),
        ("/d/none", 404),
    ],
)
def test_each_page_answers(site: Site, kept: str, path: str, status: int) -> None:
    assert site.get(path).status == status
