"""What DVC tracks comes in, and Croissant goes out."""

import hashlib
import json
from pathlib import Path

import pytest

from relive.client.dataset import OpenDataset
from relive.client.hub import HubClient
from relive.client.packed import PackedVersion
from relive.core.dataset import DatasetVersion
from relive.data import croissant
from relive.data.add import Wish, add
from relive.data.croissant import to_croissant
from relive.data.dvc import is_dvc, lay_tracked
from relive.data.profile import profile_tables
from relive.data.scan import place_of
from relive.errors import InvalidInput, NotFound


def md5(data: bytes) -> str:
    """Name bytes as DVC does."""
    return hashlib.md5(data).hexdigest()  # noqa: TID251 - DVC's own name of the bytes


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository as DVC 3 leaves it: a file in the work tree, a folder in the cache alone."""
    root = tmp_path / "repo"
    cache = root / ".dvc/cache/files/md5"
    (root / "data").mkdir(parents=True)

    def keep(data: bytes, ending: str = "") -> str:
        name = md5(data)
        (cache / name[:2]).mkdir(parents=True, exist_ok=True)
        (cache / name[:2] / f"{name[2:]}{ending}").write_bytes(data)
        return name + ending

    (root / "data/a.csv").write_bytes(b"id\n1\n")
    files = [{"md5": keep(b"one"), "relpath": "1.txt"}, {"md5": keep(b"two"), "relpath": "sub/2.txt"}]
    folder = keep(json.dumps(files).encode(), ".dir")
    text = "outs:\n- md5: {}\n  hash: md5\n  path: {}\n"
    (root / "data/a.csv.dvc").write_text(text.format(md5(b"id\n1\n"), "a.csv"))
    (root / "images.dvc").write_text(text.format(folder, "images"))
    made = [("images", folder), ("data/a.csv", md5(b"id\n1\n"))]
    outs = "".join(f"    - path: {path}\n      md5: {name}\n" for path, name in made)
    outs += "    - path: m.json\n"
    (root / "dvc.lock").write_text(f"schema: '2.0'\nstages:\n  prepare:\n    cmd: x\n    outs:\n{outs}")
    return root


class TestDvc:
    def test_a_file_of_the_work_tree(self, repository: Path, tmp_path: Path) -> None:
        assert is_dvc(repository / "data/a.csv.dvc")
        assert not is_dvc(repository / "data/a.csv")
        found = lay_tracked(repository / "data/a.csv.dvc", tmp_path / "out")
        assert [item.path for item in found] == ["data/a.csv"]
        assert (tmp_path / "out/data/a.csv").read_bytes() == b"id\n1\n"

    def test_a_folder_that_lies_in_the_cache_alone(self, repository: Path, tmp_path: Path) -> None:
        lay_tracked(repository / "images.dvc", tmp_path / "out")
        assert (tmp_path / "out/images/sub/2.txt").read_bytes() == b"two"

    def test_all_outs_of_the_lock(self, repository: Path, tmp_path: Path) -> None:
        found = lay_tracked(repository / "dvc.lock", tmp_path / "out")
        assert [item.path for item in found] == ["images/1.txt", "images/sub/2.txt", "data/a.csv"]

    def test_what_changed_in_the_work_tree_is_not_taken_for_it(
        self, repository: Path, tmp_path: Path
    ) -> None:
        (repository / "data/a.csv").write_bytes(b"id\n2\n")
        with pytest.raises(NotFound, match=r"a\.csv") as caught:
            lay_tracked(repository / "data/a.csv.dvc", tmp_path / "out")
        assert caught.value.to_do() == "dvc pull"

    @pytest.mark.parametrize("text", ["[", "1", "outs: [{md5: aa, path: ../../x}]"])
    def test_what_is_no_such_file(self, repository: Path, tmp_path: Path, text: str) -> None:
        (repository / "x.dvc").write_text(text)
        with pytest.raises(InvalidInput):
            lay_tracked(repository / "x.dvc", tmp_path / "out")

    def test_outside_of_a_repository(self, tmp_path: Path) -> None:
        (tmp_path / "x.dvc").write_text("outs: []")
        with pytest.raises(NotFound, match="DVC repository"):
            lay_tracked(tmp_path / "x.dvc", tmp_path / "out")


class TestCroissant:
    @pytest.fixture
    def version(self, hub: HubClient, folder: Path) -> DatasetVersion:
        """The folder with its profile."""
        place = place_of(folder)
        wish = Wish(name="d", project="demo", message="first")
        return add(hub, place, wish, profile=lambda it: profile_tables(place.root, it)).version

    def test_files_tables_and_digests(self, hub: HubClient, folder: Path, version: DatasetVersion) -> None:
        opened = OpenDataset(PackedVersion(hub, version))
        found = to_croissant(
            version, hub.dataset_manifest(version), lambda it: opened.open(it.path), "http://h/d"
        )
        assert (found["@type"], found["name"], found["version"]) == ("sc:Dataset", "d", "1.0.0")
        files = {it["@id"]: it for it in found["distribution"]}
        assert set(files) == {"big.bin", "empty", "rows.csv", "run.sh", "sub/same.txt", "sub/small.txt"}
        big = (folder / "big.bin").read_bytes()
        assert files["big.bin"]["sha256"] == hashlib.sha256(big).hexdigest()
        assert files["rows.csv"]["encodingFormat"] == "text/csv"
        (records,) = found["recordSet"]
        assert [(it["name"], it["dataType"]) for it in records["field"]] == [
            ("id", "sc:Integer"),
            ("name", "sc:Text"),
        ]
        assert records["field"][0]["source"] == {
            "fileObject": {"@id": "rows.csv"},
            "extract": {"column": "id"},
        }

    def test_many_files_are_told_by_their_endings(
        self, hub: HubClient, version: DatasetVersion, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(croissant, "_MOST_FILES", 2)
        opened = OpenDataset(PackedVersion(hub, version))
        found = to_croissant(version, hub.dataset_manifest(version), lambda it: opened.open(it.path), "")
        kinds = [(it["@type"], it["@id"]) for it in found["distribution"]]
        assert ("cr:FileObject", "rows.csv") in kinds
        assert ("cr:FileSet", "files.txt") in kinds
        assert ("cr:FileObject", "big.bin") not in kinds
