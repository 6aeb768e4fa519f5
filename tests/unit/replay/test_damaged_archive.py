"""Archives that were damaged on their way, and such as somebody made to do harm."""

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relive.core.artifact import Manifest
from relive.errors import InvalidInput
from relive.replay.archived import is_archive, open_archive, receive_archive
from relive.replay.standalone.contents import DOCUMENT, FORMAT, Archive, ArchiveError
from relive.replay.standalone.environment import make_environment
from relive.replay.standalone.wheels import install_wheel
from relive.replay.standalone.world import lay_tree, variables

TEXT = b"rows of some text, " * 400
MEMBERS = {"code/train.py": b"print(1)\n", "data/0/rows.csv": TEXT, "index.html": b"<p>" + TEXT}


def packed(path: Path, members: dict[str, bytes], **more: Any) -> Path:
    """Write an archive that is honest about its members; `more` goes into its document."""
    listed = {name: hashlib.sha256(data).hexdigest() for name, data in members.items()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(DOCUMENT, json.dumps({"format": FORMAT, "members": listed, **more}))
        for name, data in members.items():
            file.writestr(name, data)
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a good archive."""
    return packed(tmp_path_factory.mktemp("whole") / "a.zip", MEMBERS).read_bytes()


def contents(path: Path) -> dict[str, bytes] | None:
    """Give what an archive says it holds; None if that is refused."""
    try:
        archive = Archive(path)
    except ArchiveError:
        return None
    try:
        return None if archive.damaged() else {name: archive.read(name) for name in archive.members}
    finally:
        archive.close()


class TestDamage:
    @settings(max_examples=300)
    @given(st.data())
    def test_whatever_bit_is_flipped_the_bytes_are_right_or_refused(
        self, whole: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
    ) -> None:
        damaged = bytearray(whole)
        for _ in range(data.draw(st.integers(1, 3))):
            damaged[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        path = tmp_path_factory.mktemp("flipped") / "a.zip"
        path.write_bytes(damaged)
        assert contents(path) in (None, MEMBERS)

    @given(st.data())
    def test_wherever_it_is_cut_off_it_is_refused(
        self, whole: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
    ) -> None:
        path = tmp_path_factory.mktemp("cut") / "a.zip"
        path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
        assert contents(path) is None

    @given(st.binary(max_size=300))
    def test_what_is_something_else_is_refused(
        self, tmp_path_factory: pytest.TempPathFactory, data: bytes
    ) -> None:
        path = tmp_path_factory.mktemp("other") / "a.zip"
        path.write_bytes(data)
        with pytest.raises(InvalidInput, match="an archive of a run"):
            open_archive(path)

    @pytest.mark.parametrize(
        "document",
        [b"", b"[]", b"null", b"\xff", b"{" * 100_000, b'{"format": "relive.archive/1"}'],
        ids=["empty", "list", "null", "no text", "deep", "no members"],
    )
    def test_a_document_that_is_none_is_refused(self, tmp_path: Path, document: bytes) -> None:
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
            file.writestr(DOCUMENT, document)
        with pytest.raises(ArchiveError, match="no archive of a run"):
            Archive(tmp_path / "a.zip")

    def test_a_damaged_member_is_named_and_leaves_no_file(self, tmp_path: Path) -> None:
        path = packed(tmp_path / "a.zip", MEMBERS)
        data = bytearray(path.read_bytes())
        # The middle of the compressed text: what comes out of it is no error of zipfile but one of zlib.
        with zipfile.ZipFile(path) as file:
            info = file.getinfo("data/0/rows.csv")
        start = info.header_offset + 30 + len(info.filename)
        data[start : start + 8] = b"\xff" * 8
        path.write_bytes(data)
        archive = Archive(path)
        (sentence,) = archive.damaged()
        assert sentence.startswith("data/0/rows.csv cannot be read")
        with pytest.raises(ArchiveError, match=r"rows\.csv"):
            archive.extract("data/0/rows.csv", tmp_path / "out/rows.csv")
        assert list((tmp_path / "out").iterdir()) == []
        archive.extract("code/train.py", tmp_path / "out/train.py")

    def test_a_member_whose_digest_differs_leaves_no_file(self, tmp_path: Path) -> None:
        archive = Archive(packed(tmp_path / "a.zip", MEMBERS))
        archive.members["code/train.py"] = "0" * 64
        with pytest.raises(ArchiveError, match="is not what it was"):
            archive.extract("code/train.py", tmp_path / "train.py")
        assert not (tmp_path / "train.py").exists()

    def test_what_lies_there_is_not_overwritten(self, tmp_path: Path) -> None:
        archive = Archive(packed(tmp_path / "a.zip", MEMBERS))
        (tmp_path / "train.py").write_text("mine")
        with pytest.raises(FileExistsError):
            archive.extract("code/train.py", tmp_path / "train.py")
        assert (tmp_path / "train.py").read_text() == "mine"

    def test_two_members_of_one_name_are_said(self, tmp_path: Path) -> None:
        path = packed(tmp_path / "a.zip", MEMBERS)
        with (
            zipfile.ZipFile(path, "a") as file,
            pytest.warns(UserWarning, match="Duplicate name"),
        ):
            file.writestr("index.html", MEMBERS["index.html"])
        assert Archive(path).damaged() == ["index.html is there 2 times"]

    def test_another_way_of_compressing_is_refused_by_name(self, tmp_path: Path) -> None:
        path = packed(tmp_path / "a.zip", {})
        with zipfile.ZipFile(path, "a") as file:
            file.writestr("x", b"x", zipfile.ZIP_LZMA)
        archive = Archive(path)
        archive.members["x"] = hashlib.sha256(b"x").hexdigest()
        assert archive.damaged() == ["x is compressed in a way that is not known"]

    def test_what_begins_as_an_archive_does(self, tmp_path: Path, whole: bytes) -> None:
        (tmp_path / "a.zip").write_bytes(whole)
        assert is_archive(str(tmp_path / "a.zip"))
        for other in (tmp_path, tmp_path / "none", Path("digits@champion")):
            assert not is_archive(str(other))


def entry(path: str, member: str = "code/x") -> dict[str, str]:
    """A file of a tree."""
    return {"path": path, "member": member, "sha256": ""}


class TestHarm:
    """What a stranger's archive names, it must not reach."""

    def lay(self, tmp_path: Path, *trees: list[dict[str, str]]) -> None:
        archive = Archive(packed(tmp_path / "a.zip", {"code/x": b"x"}))
        target = tmp_path / "deep/tree"
        target.mkdir(parents=True)
        for tree in trees:
            archive.lay(tree, target)

    @pytest.mark.parametrize(
        "links",
        [
            [("d/up", ".."), ("out", "d/up/..")],
            [("out", "d/up/.."), ("d/up", "..")],
            [("d/e/up", "../.."), ("f", "d/e/up"), ("out", "f/../../deep")],
        ],
        ids=["one through the other", "in the other order", "three"],
    )
    def test_links_lead_out_neither_alone_nor_together(
        self, tmp_path: Path, links: list[tuple[str, str]]
    ) -> None:
        tree = [{"path": path, "link": link} for path, link in links]
        with pytest.raises(ArchiveError, match="leads out"):
            self.lay(tmp_path, [entry("d/x"), *tree], [entry("out/evil")])
        assert not list(tmp_path.rglob("evil"))
        assert not [path for path in tmp_path.rglob("*") if path.is_symlink()]

    def test_links_that_stay_inside_are_laid(self, tmp_path: Path) -> None:
        links = [("a/one", "../b/x"), ("two", "a/one"), ("dangling", "b/none"), ("round", "round")]
        self.lay(tmp_path, [entry("b/x"), *({"path": path, "link": link} for path, link in links)])
        tree = tmp_path / "deep/tree"
        assert (tree / "two").read_bytes() == b"x"
        assert {path: os.readlink(tree / path) for path, _ in links} == dict(links)

    @pytest.mark.parametrize("path", ["../evil", "/evil", "a/../../evil", "a\0b"])
    def test_no_folder_of_members_leads_out(self, tmp_path: Path, path: str) -> None:
        member = f"record/{path}"
        archive = Archive(packed(tmp_path / "a.zip", {"code/x": b"x"}))
        archive.members[member] = "0" * 64
        with pytest.raises(ArchiveError, match="leads out"):
            archive.extract_folder("record/", tmp_path / "deep/out")
        assert not list(tmp_path.rglob("evil"))

    @pytest.mark.parametrize("filename", ["../../evil.whl", "/evil.whl"])
    def test_no_wheel_is_written_elsewhere(self, tmp_path: Path, filename: str) -> None:
        if filename.startswith("/"):
            filename = str(tmp_path / "evil.whl")
        package = {"filename": filename, "member": "wheels/a.whl", "blob": "blake3:" + "0" * 64}
        found = {"packages": [package], "python": "", "implementation": "", "machine": ""}
        told = {"code": [], "code_manifest": "c", "inputs": [], "environment": found}
        members = {"wheels/a.whl": b"x", "blobs/c.json": Manifest.of(()).to_bytes()}
        path = packed(tmp_path / "a.zip", members, **told)
        with pytest.raises(InvalidInput, match="leads out"):
            receive_archive(_Hub(), path, "demo")  # type: ignore[arg-type]
        assert not list(tmp_path.rglob("evil.whl"))

    def test_a_replay_writes_no_wheel_elsewhere_either(self, tmp_path: Path) -> None:
        minor = f"{sys.version_info.major}.{sys.version_info.minor}"
        wanted = {"python": f"{minor}.0", "implementation": sys.implementation.name, "machine": ""}
        package = {"filename": str(tmp_path / "evil.whl"), "member": "wheels/a.whl"}
        told = {"environment": {**wanted, "packages": [package]}}
        archive = Archive(packed(tmp_path / "a.zip", {"wheels/a.whl": b"x"}, **told))
        with pytest.raises(ArchiveError, match="leads out"):
            make_environment(archive, tmp_path / "world/env", sys.executable)
        assert not (tmp_path / "evil.whl").exists()

    @pytest.mark.parametrize("out", ["../mine", "a/../../mine"])
    def test_no_out_that_lies_elsewhere_is_removed(self, tmp_path: Path, out: str) -> None:
        (tmp_path / "mine").write_text("mine")
        told: dict[str, Any] = {"code": [], "inputs": [], "outs": [out], "metrics_files": []}
        archive = Archive(packed(tmp_path / "a.zip", {}, **told))
        with pytest.raises(ArchiveError, match="leads out"):
            lay_tree(archive, tmp_path / "tree")
        assert (tmp_path / "mine").read_text() == "mine"

    @pytest.mark.parametrize(
        "entry_points",
        [b"[console_scripts]\n../../evil = a:b\n", b"[console_scripts\n", b"\xff\xfe"],
        ids=["leads out", "no section", "no text"],
    )
    def test_entry_points_that_cannot_be_used_are_refused(self, tmp_path: Path, entry_points: bytes) -> None:
        wheel = tmp_path / "a-1.0-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as file:
            file.writestr("a-1.0.dist-info/entry_points.txt", entry_points)
        prefix = tmp_path / "deep/env"
        (prefix / "bin").mkdir(parents=True)
        with pytest.raises(ArchiveError, match=r"leads out|cannot be installed"):
            install_wheel(wheel, prefix, prefix / "site")
        assert not list(tmp_path.rglob("evil"))

    def test_a_wheel_that_is_damaged_inside_is_refused(self, tmp_path: Path) -> None:
        wheel = tmp_path / "a-1.0-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("a.py", TEXT)
        data = bytearray(wheel.read_bytes())
        data[34:42] = b"\xff" * 8
        wheel.write_bytes(data)
        with pytest.raises(ArchiveError, match="cannot be installed"):
            install_wheel(wheel, tmp_path / "env", tmp_path / "env/site")


class _Hub:
    """A hub that takes nothing: whatever is refused must be refused before."""

    def __getattr__(self, name: str) -> Any:
        if name != "blobs":
            raise AssertionError(f"the hub was asked to {name}")
        return self

    def put_files(self, root: Path, manifest: object) -> None:
        """Take a tree."""


def test_secrets_are_asked_for_by_name_and_nothing_is_run(tmp_path: Path) -> None:
    told = {"secrets": ["API_KEY", "OTHER"], "env": {}}
    archive = Archive(packed(tmp_path / "a.zip", {}, **told))
    with pytest.raises(Exception, match="it needs the secrets API_KEY, which no record holds"):
        variables(archive, tmp_path, tmp_path / "env", {"OTHER": "x"})
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_python_alone_says_what_is_wrong_in_one_line(tmp_path: Path) -> None:
    program = Path(install_wheel.__code__.co_filename).parent
    members = {f"relive_archive/{path.name}": path.read_bytes() for path in sorted(program.glob("*.py"))}
    main = b"import sys\nfrom relive_archive.main import main\nsys.exit(main())\n"
    path = packed(tmp_path / "a.zip", {**members, "__main__.py": main, "data/x": TEXT})
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as file:
        info = file.getinfo("data/x")
    start = info.header_offset + 30 + len(info.filename)
    data[start : start + 8] = b"\xff" * 8
    path.write_bytes(data)
    command = [sys.executable, "-I", str(path), "verify"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("✗ data/x cannot be read")
