"""When a copy of an out counts as equal although its bytes are others."""

import sys
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from relive.core.artifact import Manifest, ManifestEntry
from relive.core.run import Artifact
from relive.formats.hashing import blake3_digest
from relive.replay import predictions

Files = Mapping[str, str]


def manifest(files: Files) -> Manifest:
    """Give the manifest of a tree of small files."""
    return Manifest.of(
        ManifestEntry(path=path, digest=blake3_digest(text.encode()), size_bytes=len(text))
        for path, text in files.items()
    )


def is_same(out: str, before: Files, after: Files, model: Files) -> bool:
    """Compare an out with its copy, where a version was made of it whose folder holds `model`."""
    trees = {"before": manifest(before), "after": manifest(after), "model": manifest(model)}
    hub: Any = SimpleNamespace(blobs=SimpleNamespace(fetch_manifest=trees.__getitem__))
    version = SimpleNamespace(manifest="model", contract="kept")
    plan: Any = SimpleNamespace(detail=SimpleNamespace(versions=(version,)))
    one, other = (
        Artifact(run_id="1", path=out, manifest=name, size_bytes=1, files=1) for name in ("before", "after")
    )
    return predictions.predicts_the_same(plan, one, other, hub)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let every model predict the same; gives the folders that were asked."""
    folders: list[str] = []

    def keeps(_plan: Any, _version: Any, _copy: Manifest, folder: str, _hub: Any) -> bool:
        folders.append(folder)
        return True

    monkeypatch.setattr(predictions, "_keeps_contract", keeps)
    return folders


@pytest.mark.parametrize(
    ("out", "name", "folder"),
    [("model/", "model/m.bin", "model"), ("deep/m.bin", "deep/m.bin", "deep"), ("m.bin", "m.bin", "")],
)
def test_a_model_that_predicts_the_same_is_the_same(
    asked: list[str], out: str, name: str, folder: str
) -> None:
    assert is_same(out, {name: "1"}, {name: "2"}, {"m.bin": "1"})
    assert asked == [folder]


def test_what_lies_beside_the_model_has_to_be_the_same_itself(asked: list[str]) -> None:
    before = {"out/model/m.bin": "1", "out/rows.csv": "1"}
    model = {"m.bin": "1"}
    assert is_same("out/", before, {**before, "out/model/m.bin": "2"}, model)
    assert not is_same("out/", before, {**before, "out/rows.csv": "2"}, model)
    assert not is_same("out/", before, {**before, "out/more.csv": "1"}, model)
    assert not is_same("out/", before, {"out/model/m.bin": "2"}, model)


def test_of_an_out_that_was_not_registered_nothing_is_known(asked: list[str]) -> None:
    assert not is_same("out/", {"out/a": "1"}, {"out/a": "2"}, {"m.bin": "1"})
    assert asked == []


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("print('warming up'); print('{\"largest_relative_difference\": 0.0}')", 0.0),
        ("print('{\"largest_relative_difference\": 0.25}')", 0.25),
        ("print('bye')", None),
        ("pass", None),
        ("raise SystemExit(1)", None),
    ],
)
def test_only_a_clear_answer_counts(script: str, found: float | None) -> None:
    assert predictions._difference([sys.executable, "-c", script]) == found


def test_a_model_that_does_not_answer_in_time_is_not_known_to_be_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(predictions, "_CHECK_S", 0.05)
    assert predictions._difference([sys.executable, "-c", "import time; time.sleep(60)"]) is None
