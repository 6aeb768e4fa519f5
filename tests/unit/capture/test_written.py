"""What a run leaves in its tree, found by the time of change and by what the recorder saw."""

import os
import time
from pathlib import Path

import pytest

from relive.capture.recorder.reads import Opened, file_time_ns, read_opened
from relive.capture.written import MOST_WRITTEN, find_written
from relive.core.recipe import WrittenFile
from relive.formats.manifest_io import HashCache


@pytest.fixture
def tree(tmp_path):
    folder = tmp_path / "tree"
    folder.mkdir()
    return folder


@pytest.fixture
def began(tree):
    (tree / "before.txt").write_text("old")
    now = file_time_ns(tree)
    while file_time_ns(tree) == now:  # the file system's clock stands still for some milliseconds
        time.sleep(0.001)
    return now


def left(
    tree: Path, began: int, opened: Opened | None = None, skipped: tuple[str, ...] = ()
) -> dict[str, WrittenFile]:
    found = find_written(tree, began, opened or Opened(), skipped=skipped, hashes=HashCache())
    return {file.path: file for file in found}


def whole(*written: Path | str) -> Opened:
    return Opened(written=set(map(str, written)), begun=1, ended=1)


def test_what_changed_since_is_found_with_its_digest(tree, began):
    (tree / "out").mkdir()
    (tree / "out" / "model.bin").write_bytes(b"12345")
    (tree / "out" / "same.bin").write_bytes(b"12345")
    found = left(tree, began)
    assert sorted(found) == ["out/model.bin", "out/same.bin"]
    assert found["out/model.bin"].size_bytes == 5
    assert found["out/model.bin"].digest == found["out/same.bin"].digest
    assert found["out/model.bin"].digest.startswith("blake3:")


def test_what_was_overwritten_counts(tree, began):
    (tree / "before.txt").write_text("new")
    assert list(left(tree, began)) == ["before.txt"]


@pytest.mark.parametrize(
    "folder",
    [
        *(".git", "__pycache__", "venv", "results", ".dvc/tmp", "sub/.dvc/cache"),
        *("wandb/run-20261124_111307-5f70xtht", "wandb/offline-run-20261124_111307-5f70xtht"),
    ],
)
def test_what_is_no_result_or_a_declared_one_is_left_out(tree, began, folder):
    (tree / folder).mkdir(parents=True)
    (tree / folder / "file").write_text("x")
    if folder == "venv":
        (tree / folder / "pyvenv.cfg").write_text("home = /usr/bin")
    assert not left(tree, began, skipped=(str(tree / "results"),))


def test_what_only_sounds_like_a_tool_s_own_is_found(tree, began):
    for path in ("dvc/tmp/a", ".dvc/config", "wandb/model.pt", "runs/run-20261124_111307-x/a"):
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text("x")
    assert len(left(tree, began)) == 4


def test_links_are_no_files(tree, began):
    (tree / "link").symlink_to("before.txt")
    (tree / "loop").symlink_to(tree)
    assert not left(tree, began)


def test_a_secret_is_named_and_not_digested(tree, began):
    (tree / ".env").write_text("TOKEN=1")
    assert left(tree, began)[".env"].digest == ""


def test_what_another_program_wrote_meanwhile_is_left_out(tree, began):
    (tree / "mine").write_text("1")
    (tree / "theirs").write_text("2")
    assert list(left(tree, began, whole(tree / "mine"))) == ["mine"]


def test_a_renamed_file_is_found_too(tree, began):
    (tree / "model.tmp").write_text("1")
    os.replace(tree / "model.tmp", tree / "model.bin")
    # The recorder saw only the first name open; a temporary file elsewhere that is gone means nothing.
    assert list(left(tree, began, whole(tree / "model.tmp", "/nowhere/tmp1"))) == ["model.bin"]


def test_without_a_whole_record_all_that_changed_counts(tree, began):
    (tree / "mine").write_text("1")
    (tree / "theirs").write_text("2")
    opened = Opened(written={str(tree / "mine")}, begun=2, ended=1)
    assert sorted(left(tree, began, opened)) == ["mine", "theirs"]


def test_no_more_than_a_thousand_are_listed(tree, began):
    for number in range(MOST_WRITTEN + 5):
        (tree / f"{number:05}").touch()
    assert len(left(tree, began)) == MOST_WRITTEN


def test_a_folder_that_cannot_be_read_is_no_failure(tree, began):
    (tree / "gone").mkdir()
    (tree / "file").write_text("x")
    (tree / "gone").rmdir()
    assert list(left(tree, began)) == ["file"]
    assert not left(tree / "nowhere", began)


def test_the_recorder_s_lines_tell_what_was_written(tmp_path):
    record = tmp_path / "opened.jsonl"
    record.write_text('{"w": "/a", "new": true}\n{"w": "/b"}\n')
    opened = read_opened(record)
    assert (opened.written, opened.made) == ({"/a", "/b"}, {"/a"})


def test_a_text_that_says_when_and_where_it_was_written_has_a_digest_without_that(tree, began):
    def written(sentence: str) -> WrittenFile:
        (tree / "report.txt").write_text(sentence)
        return left(tree, began)["report.txt"]

    one = written(f"{time.time()} {tree}/data.csv: sum 15")
    # Another second and another folder of the same run.
    other = written(f"{time.time() + 0.5} {os.path.realpath(tree)}/data.csv: sum 15")
    assert one.digest != other.digest
    assert one.timeless == other.timeless != ""
    assert written(f"{time.time()} {tree}/data.csv: sum 16").timeless != one.timeless
    assert written("sum 15").timeless == ""
    (tree / "report.txt").write_bytes(f"{time.time()}".encode() + b"\0")
    assert left(tree, began)["report.txt"].timeless == ""
