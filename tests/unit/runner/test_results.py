"""What a run is found to have left, and what is said about what it has not."""

import os
from functools import partial
from pathlib import Path

import pytest

from relive.client.blobs import BlobClient
from relive.client.transport import Transport
from relive.core.run import FailureReason, Metric
from relive.formats.spool import SpoolContents
from relive.formats.spool_records import SpooledArtifact
from relive.runner.outs import keep, missing_outs
from relive.runner.results import Expected, Results, gather
from tests.support.fake_hub import running_hub


@pytest.fixture
def hub(tmp_path):
    with running_hub(tmp_path / "hub") as running:
        yield running


@pytest.fixture
def tree(tmp_path):
    folder = tmp_path / "tree"
    folder.mkdir()
    return folder


@pytest.fixture
def look(hub, tree, tmp_path):
    blobs = BlobClient(Transport(hub.url), cache=tmp_path / "cache")

    def found(expected: Expected, spool: SpoolContents | None = None, *, went_well: bool = True) -> Results:
        store = partial(keep, run_id="run", blobs=blobs)
        return gather(tree, expected, spool or SpoolContents(), store, went_well=went_well)

    return found


def write(tree: Path, **files: str) -> None:
    for name, text in files.items():
        (tree / name.replace("__", ".")).write_text(text)


def kept(results: Results) -> set[tuple[str, str]]:
    return {(it.kind, it.path) for it in results.artifacts}


def test_each_output_is_kept_once_as_what_it_is(look, tree):
    write(tree, out="1", plot__html="<p>", m__json='{"a": 1}')
    results = look(Expected(outs=("out", "m.json"), plots=("plot.html",), metrics_files=("m.json",)))
    assert kept(results) == {("out", "out"), ("out", "m.json"), ("plot", "plot.html")}
    assert results.failure is None


def test_of_a_failed_run_only_what_explains_it_is_kept(look, tree):
    write(tree, out="1", plot__html="<p>", m__json='{"a": 1}')
    expected = Expected(
        outs=("out",), plots=("plot.html", "none.html"), metrics_files=("m.json",), junit="j.xml"
    )
    results = look(expected, went_well=False)
    assert kept(results) == {("plot", "plot.html"), ("report", "m.json")}
    assert [it.key for it in results.metrics] == ["a"]
    assert results.failure is None


def test_the_first_thing_that_is_wrong_is_the_reason_and_the_others_notes(look, tree):
    write(tree, m__json="{")
    results = look(Expected(outs=("out",), metrics_files=("m.json",)))
    assert results.failure is FailureReason.MISSING_OUT
    assert any("m.json" in note for note in results.notes)


def test_a_final_number_is_the_last_point_of_its_series(look, tree):
    write(tree, m__json='{"loss": 0.1, "acc": 1, "name": "x"}')
    spool = SpoolContents(metrics=(Metric("loss", 0.5, 1), Metric("loss", 0.3, 9)))
    results = look(Expected(metrics_files=("m.json",)), spool)
    assert {it.key: it.step for it in results.metrics} == {"loss": 9, "acc": 0}
    assert any("name" in note for note in results.notes)


def test_a_logged_artifact_keeps_its_name_also_as_a_folder(look, hub, tree, tmp_path):
    (tmp_path / "elsewhere/deep").mkdir(parents=True)
    (tmp_path / "elsewhere/deep/a").write_text("1")
    os.chmod(tmp_path / "elsewhere/deep/a", 0o755)
    spool = SpoolContents(
        artifacts=(
            SpooledArtifact(path=str(tmp_path / "elsewhere"), name="plots/all"),
            SpooledArtifact(path=str(tmp_path / "gone"), name="gone"),
        )
    )
    results = look(Expected(), spool)
    (artifact,) = results.artifacts
    assert hub.tree(artifact.manifest) == {"plots/all/deep/a": b"1"}
    assert (artifact.path, artifact.kind, artifact.files, artifact.size_bytes) == (
        "plots/all",
        "artifact",
        1,
        1,
    )
    assert results.failure is None
    assert any("gone" in note for note in results.notes)


def test_the_limit_is_for_all_outputs_together_and_nothing_over_it_is_read(look, tree, monkeypatch):
    (tree / "b/deep").mkdir(parents=True)
    write(tree, a="x" * 60)
    write(tree / "b/deep", c="y" * 60)
    assert look(Expected(outs=("a", "b"), out_limit_bytes=120)).failure is None
    monkeypatch.setattr("relive.runner.results.read_outs", None)
    (tree / "b/loop").symlink_to("../b")
    results = look(Expected(outs=("a", "b"), out_limit_bytes=119))
    assert results.failure is FailureReason.STORE_FULL
    assert results.artifacts == ()


def test_what_lies_where_an_out_was_expected_is_shown_briefly(tree):
    (tree / "models").mkdir()
    for i in range(12):
        (tree / f"models/f{i:02}").touch()
    sentence = missing_outs(tree, ["models/best", "models/f00"])
    assert sentence.startswith("out models/best was not written; models/ holds f00, f01, ")
    assert sentence.endswith("f03 and 8 more")
    assert missing_outs(tree, ["models"]) == ""
    (tree / "empty").mkdir()
    assert missing_outs(tree, ["empty/x/y"]).endswith("empty/ holds nothing")


def test_a_broken_link_is_no_out(tree):
    (tree / "out").symlink_to("nowhere")
    assert "out was not written" in missing_outs(tree, ["out"])


def test_inputs_that_the_run_writes_are_not_watched():
    expected = Expected(outs=("out",), metrics_files=("m.json",), junit="j.xml")
    inputs = {"a": "1", "out/x": "2", "outer": "3", "m.json": "4", "j.xml": "5"}
    assert set(expected.without_written(inputs)) == {"a", "outer"}
