"""The code that goes into an archive: it needs nothing, and says what relive itself would say."""

import json
import math
import os
import struct
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import example, given
from hypothesis import strategies as st

from relive.capture.hooks.points import Points
from relive.capture.hooks.spool import Spool
from relive.core import compare as own
from relive.core.recipe import Code
from relive.core.trajectory import StepRecord, Trajectory
from relive.formats.spool import read_spool as read_own_spool
from relive.replay import standalone
from relive.replay.standalone import judging, repository, world
from relive.replay.standalone.contents import DOCUMENT, FORMAT, Archive, ArchiveError, inside
from relive.replay.standalone.ed25519 import verifies
from relive.replay.standalone.spooled import read_spool
from relive.replay.standalone.wheels import install_wheel
from relive.runner import repository as runner
from relive.runner import variables
from tests.support.wheels import make_wheel
from tests.unit.test_imports import wrong_imports

FOLDER = Path(standalone.__file__).parent


def test_it_needs_nothing_but_the_standard_library_and_its_siblings() -> None:
    wrong = [
        line
        for path in FOLDER.glob("*.py")
        for line in wrong_imports(path, also_at_top=frozenset({"tomllib"}))
    ]
    assert not wrong
    assert sorted(standalone.MODULES) == sorted(path.name for path in FOLDER.glob("*.py"))


def test_a_command_sees_of_this_machine_what_a_runner_would_show_it() -> None:
    assert (world.PASSED_ON, world.PASSED_ON_PREFIXES) == (
        variables._PASSED_ON,
        variables._PASSED_ON_PREFIXES,
    )


# --- signatures ------------------------------------------------------------------------------------------


@given(message=st.binary(max_size=200), flipped=st.integers(0, 64 * 8 - 1))
def test_a_signature_is_good_where_a_cryptography_library_says_so(message: bytes, flipped: int) -> None:
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    signature = private.sign(message)
    assert verifies(public, message, signature)
    assert not verifies(public, message + b"x", signature)
    bad = bytearray(signature)
    bad[flipped // 8] ^= 1 << flipped % 8
    assert not verifies(public, message, bytes(bad))


@pytest.mark.parametrize(
    ("public", "message", "signature"),
    [
        # RFC 8032, section 7.1, tests 1 and 2.
        (
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            (
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
                "d25bf5f0595bbe24655141438e7a100b"
            ),
        ),
        (
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            (
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
                "387b2eaeb4302aeeb00d291612bb0c00"
            ),
        ),
    ],
)
def test_the_standards_own_cases(public: str, message: str, signature: str) -> None:
    assert verifies(bytes.fromhex(public), bytes.fromhex(message), bytes.fromhex(signature))


@pytest.mark.parametrize("public", [b"", b"\xff" * 32, b"\x00" * 31])
def test_what_is_no_key_signed_nothing(public: bytes) -> None:
    assert not verifies(public, b"", bytes(64))


# --- verdicts --------------------------------------------------------------------------------------------

DIGESTS = st.dictionaries(st.sampled_from("ab"), st.sampled_from(["00", "01"]), max_size=2)
VALUES = st.dictionaries(st.sampled_from("xy"), st.sampled_from([(0.5).hex(), math.nan.hex()]), max_size=2)
STEPS = st.lists(
    st.builds(
        lambda stream, step, digests, values: {
            "stream": stream,
            "step": step,
            "digests": digests,
            "values": values,
        },
        st.sampled_from(["batch", "loss", "weights final"]),
        st.integers(0, 5),
        DIGESTS,
        VALUES,
    ),
    max_size=8,
    unique_by=lambda it: (it["stream"], it["step"]),
)
METRICS = st.dictionaries(
    st.sampled_from(["accuracy", "loss"]),
    st.one_of(st.floats(), st.sampled_from([0.0, 0.5, 0.51, 0.6, 1.0, 100.0, 101.0])),
    max_size=2,
)
OUTS = st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from(["same bytes", "differs"]), max_size=2)


def trajectory(steps: list[dict[str, Any]]) -> Trajectory:
    return Trajectory(steps=tuple(StepRecord(**step) for step in steps))


@given(recorded=STEPS, replayed=STEPS, before=METRICS, after=METRICS, outs=OUTS, has_steps=st.booleans())
def test_its_verdict_is_that_of_relive(
    recorded: Any, replayed: Any, before: Any, after: Any, outs: Any, has_steps: bool
) -> None:
    mine = judging.compare(recorded, replayed)
    theirs = own.compare(trajectory(recorded), trajectory(replayed))
    assert (mine.steps_compared, mine.undigested) == (theirs.steps_compared, theirs.undigested)
    verdict = judging.judge(before, after, mine if has_steps else None, outs)
    wanted = own.judge(before, after, steps=theirs if has_steps else None, outs=outs)
    assert (verdict["level"], verdict["reason"]) == (wanted.level, wanted.reason)
    first = wanted.first_divergence
    assert verdict["first_divergence"] == (
        {"stream": first.stream, "step": first.step, "names": list(first.names)} if first else None
    )
    assert [(it["key"], it["ok"]) for it in verdict["metrics"]] == [(it.key, it.ok) for it in wanted.metrics]


# --- what the command recorded ---------------------------------------------------------------------------


def test_what_hooks_wrote_is_read_as_relive_reads_it(tmp_path: Path) -> None:
    points, spool = Points(str(tmp_path)), Spool(str(tmp_path))
    spool.write({"t": "start", "format": 1, "pid": 1, "argv": ["a"]})
    for step in range(30_000):  # more than one segment
        assert points.append({"loss": 1.0 / (step + 1), "acc": float(step)}, step)
    assert points.append({"odd": math.nan}, 0)
    assert points.append({"odd": 2.0}, 1)
    points.close()
    spool.write({"t": "metric", "k": "lined", "v": "inf", "s": 3, "w": 1.0})
    spool.write({"t": "step", "stream": "loss", "s": 0, "d": {"t": "00"}, "v": {"l": (0.5).hex()}})
    found, wanted = read_spool(tmp_path), read_own_spool(tmp_path)
    assert trajectory(found.steps) == wanted.trajectory()
    last: dict[str, tuple[Any, ...]] = {}
    for it in wanted.metrics:
        is_number = not math.isnan(it.value)
        place = (it.step, it.at, is_number, it.value if is_number else 0.0)
        last[it.key] = max(place, last.get(it.key, place))
    assert found.metrics == {key: place[3] for key, place in last.items()}
    assert set(found.metrics) == {"loss", "acc", "odd", "lined"}


@given(tail=st.binary(max_size=64))
@example(tail=b"}")  # JSON, though not the whole record
def test_a_torn_segment_gives_what_is_whole(tmp_path_factory: pytest.TempPathFactory, tail: bytes) -> None:
    folder = tmp_path_factory.mktemp("spool")
    head = struct.pack("<8sIIQ", b"relive\0P", 1, 1, 24)
    name = b'["a"]'
    define = struct.pack("<IIQ", 0x52500000, len(name), 0) + name + struct.pack("<I", 0x52500000)
    record = struct.pack("<IqddI", 0x52500001, 4, 1.0, 0.25, 0x52500001)
    (folder / "1.points").write_bytes(head + define + record + b"\0\0\0\0" + tail)
    (folder / "1.jsonl").write_bytes(b'{"t":"step"' + tail.replace(b"\n", b""))
    assert read_spool(folder).metrics == {"a": 0.25}


# --- wheels and members ----------------------------------------------------------------------------------


def test_a_wheel_is_installed_with_its_scripts(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "rlv-alpha", executable=True)
    with zipfile.ZipFile(wheel, "a") as file:
        file.writestr("rlv_alpha-1.0.data/scripts/raw", "#!python\nprint(1)\n")
        file.writestr("rlv_alpha-1.0.data/purelib/more.py", "A = 1\n")
        file.writestr("rlv_alpha-1.0.data/data/share/x.txt", "x")
    prefix, site = tmp_path / "env", tmp_path / "env/site"
    install_wheel(wheel, prefix, site)
    assert (site / "rlv_alpha/__init__.py").is_file()
    assert (site / "more.py").read_text() == "A = 1\n"
    assert (prefix / "share/x.txt").read_text() == "x"
    for name in ("raw", "rlv-alpha-tool"):
        script = prefix / "bin" / name
        assert script.read_text().startswith(f"#!{prefix}/bin/python")
        assert os.access(script, os.X_OK)


@pytest.mark.parametrize(
    "name", ["../evil.py", "/evil.py", "a-1.0.data/scripts/../../../evil", "a-1.0.data/data/../../e"]
)
def test_a_wheel_writes_nowhere_else(tmp_path: Path, name: str) -> None:
    wheel = tmp_path / "a-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr(name, "x")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ArchiveError, match="leads out"):
        install_wheel(wheel, tmp_path / "deep/env", tmp_path / "deep/env/site")
    assert sorted(tmp_path.rglob("*")) == before


def make(path: Path, members: dict[str, bytes], **more: Any) -> Archive:
    import hashlib

    document = {
        "format": FORMAT,
        "members": {k: hashlib.sha256(v).hexdigest() for k, v in members.items()},
        **more,
    }
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(DOCUMENT, json.dumps(document))
        for name, data in members.items():
            file.writestr(name, data)
    return Archive(path)


@pytest.mark.parametrize(
    "entry",
    [
        {"path": "../x", "member": "code/x", "sha256": ""},
        {"path": "/x", "member": "code/x", "sha256": ""},
        {"path": "x", "link": "../../x"},
        {"path": "a/x", "link": "/etc/passwd"},
    ],
)
def test_a_tree_lies_where_it_is_laid(tmp_path: Path, entry: dict[str, str]) -> None:
    archive = make(tmp_path / "a.zip", {"code/x": b"x"})
    (tmp_path / "deep").mkdir()
    with pytest.raises(ArchiveError, match="leads out"):
        archive.lay([entry], tmp_path / "deep/tree")
    assert not (tmp_path / "x").exists()


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    archive = make(tmp_path / "a.zip", {"code/x": b"x"})
    outside = tmp_path / "outside"
    outside.write_text("mine")
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "x").symlink_to(outside)
    archive.lay([{"path": "x", "member": "code/x", "sha256": ""}], tree)
    assert (outside.read_text(), (tree / "x").read_text()) == ("mine", "x")


def test_a_member_that_is_missing_or_of_another_format_is_said(tmp_path: Path) -> None:
    archive = make(tmp_path / "a.zip", {"code/x": b"x"})
    archive.members["code/y"] = "0" * 64
    with pytest.raises(ArchiveError, match="code/y is missing"):
        archive.read("code/y")
    assert archive.damaged() == ["code/y is missing"]
    with pytest.raises(ArchiveError, match="this reads"):
        make(tmp_path / "b.zip", {}, format="relive.archive/9")
    (tmp_path / "c.zip").write_bytes(b"PK")
    with pytest.raises(ArchiveError, match="no archive"):
        Archive(tmp_path / "c.zip")


@given(st.text())
def test_a_path_is_inside_or_refused(path: str) -> None:
    try:
        place = inside(Path("/a/b"), path)
    except ArchiveError:
        return
    assert os.path.commonpath(["/a/b", os.path.normpath(place)]) == "/a/b"


# --- the repository around the files ---------------------------------------------------------------------


def git(tree: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=tree, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("branch", ["main", "", "a..b"])
def test_the_files_lie_in_the_repository_that_a_runner_would_make(tmp_path: Path, branch: str) -> None:
    said = {
        "commit": "3228f045f24a58dd6613a6d08402f2c761ebc714",
        "branch": branch,
        "remote": "https://x.org/a",
    }
    trees = tmp_path / "one", tmp_path / "other"
    for tree in trees:
        (tree / "src").mkdir(parents=True)
        (tree / "src/train.py").write_text("print(1)\n")
    assert repository.lay_repository(trees[0], said) == ""
    assert runner.lay_repository(trees[1], Code(manifest="m", **said), 100) == ""  # type: ignore[arg-type]
    asked = (
        ("rev-parse", "HEAD"),
        ("branch", "--show-current"),
        ("status", "--porcelain"),
        ("log", "--format=%H %T %an %cI"),
        ("for-each-ref",),
        ("config", "remote.origin.url"),
    )
    one, other = ([git(tree, *words) for words in asked] for tree in trees)
    assert one == other
    assert one[0] == said["commit"]
    assert repository.MOST_BYTES == runner.MOST_BYTES


def test_a_run_in_no_repository_has_none_and_without_git_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert repository.lay_repository(tmp_path, {}) == ""
    assert not (tmp_path / ".git").exists()
    monkeypatch.setenv("PATH", str(tmp_path))
    said = repository.lay_repository(tmp_path, {"commit": "a" * 40, "branch": "", "remote": ""})
    assert said.startswith("git could not make a repository: ")
