"""A metrics file that a run left without naming it is read; what else it left is evidence."""

from pathlib import Path

import pytest

from relive.capture.recorder.borders import Borders
from relive.capture.recorder.reads import Opened, file_time_ns
from relive.core.recipe import WrittenFile
from relive.core.run import Artifact
from relive.runner.left import look_at_left, undeclared, was_left, with_metrics_left
from relive.runner.results import Expected


def wrote(*paths: str) -> tuple[WrittenFile, ...]:
    return tuple(WrittenFile(path=path, size_bytes=10) for path in paths)


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "out").mkdir()
    for path in ("metrics.json", "out/metrics.json"):
        (tmp_path / path).write_text('{"acc": 0.5}')
    return tmp_path


@pytest.mark.parametrize("path", ["metrics.json", "out/metrics.json"])
def test_the_only_metrics_file_is_taken(tree, path):
    assert with_metrics_left(Expected(), tree, wrote("m.bin", path)).metrics_files == (path,)


def test_of_two_none_is_taken(tree):
    assert with_metrics_left(Expected(), tree, wrote("metrics.json", "out/metrics.json")) == Expected()


@pytest.mark.parametrize("expected", [Expected(outs=("out",)), Expected(metrics_files=("a.json",))])
def test_who_declares_something_means_it(tree, expected):
    assert with_metrics_left(expected, tree, wrote("metrics.json")) == expected


@pytest.mark.parametrize("text", ['{"acc": ', '{"name": "x"}', "", "[]"])
def test_what_holds_no_numbers_fails_nothing(tree, text):
    (tree / "metrics.json").write_text(text)
    assert with_metrics_left(Expected(), tree, wrote("metrics.json")) == Expected()


def test_other_names_are_not_read(tree):
    (tree / "scores.json").write_text('{"acc": 0.5}')
    assert with_metrics_left(Expected(), tree, wrote("scores.json")) == Expected()


def test_what_is_read_by_its_name_is_no_evidence_any_more():
    left = undeclared(wrote("m.bin", "metrics.json"), Expected(metrics_files=("metrics.json",)))
    assert [file.path for file in left] == ["m.bin"]


def borders(tree: Path, environment: tuple[str, ...] = ()) -> Borders:
    return Borders(
        tree=tree,
        commit=frozenset(),
        declared=(),
        environment=environment,
        began_at_ns=file_time_ns(tree) - 1,
    )


def test_environments_and_what_is_declared_are_not_looked_at(tree, monkeypatch):
    monkeypatch.setenv("RELIVE_CACHE", str(tree / "cache"))
    (tree / "env").mkdir()
    (tree / "env" / "new").write_text("x")
    (tree / "plot.html").write_text("x")
    (tree / "m.bin").write_text("x")
    its = borders(tree, (str(tree / "env"), str(tree / "cache")))
    (tree / "m.bin").write_text("y")
    expected = Expected(plots=("plot.html",), metrics_files=("metrics.json", "out/metrics.json"))
    found = look_at_left(its, Opened(), expected)
    assert [file.path for file in found] == ["m.bin"]


def test_a_run_with_outs_leaves_nothing_else(tree):
    assert look_at_left(borders(tree), Opened(), Expected(outs=("out",))) == ()


@pytest.mark.parametrize(
    ("path", "kind", "is_left"),
    [
        ("outputs/20261124_043457/metrics.json", "report", True),
        ("outputs/20261124_043457/metrics.json", "out", False),
        ("outputs/20261124_043457/junit.xml", "report", False),
        ("outputs/metrics.json", "report", False),
    ],
)
def test_a_metrics_file_in_a_folder_named_by_the_time_is_found_again(path, kind, is_left):
    artifact = Artifact(run_id="a", path=path, kind=kind, manifest="m", size_bytes=1, files=1)
    assert was_left(artifact, ()) is is_left
    assert not was_left(artifact, (path,))
