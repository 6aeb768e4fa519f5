"""The metadata of an archive, judged by the RO-Crate community's own validator (`make crate-env`)."""

import json
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from relive.client.hub import connect
from relive.formats.rocrate import METADATA
from relive.replay.archive import write_archive
from tests.conftest import require
from tests.support.archived import registered
from tests.support.bench import open_bench, quick_folder
from tests.support.live import served

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-crate/bin/python"
PROFILES = ("ro-crate-1.1", "process-run-crate-0.5")


@pytest.fixture(scope="module")
def crate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive, unpacked."""
    folder = tmp_path_factory.mktemp("crate")
    with quick_folder() as place, open_bench(place) as bench, served(bench.services) as live:
        write_archive(connect(live.url, live.admin), registered(bench, folder), folder / "run.zip")
    with zipfile.ZipFile(folder / "run.zip") as file:
        file.extractall(folder / "open")
    return folder / "open"


def judge(crate: Path, profile: str) -> list[str]:
    """Give what the validator finds wrong."""
    require(PYTHON.exists(), "roc-validator in an environment of its own: make crate-env")
    command = [str(PYTHON), str(ROOT / "tests/support/judge_crate.py"), str(crate), profile]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode in (0, 1), done.stderr
    assert (done.returncode == 0) == (not done.stdout), done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("profile", PROFILES)
def test_an_archive_is_a_valid_crate_of_a_run(crate: Path, profile: str) -> None:
    assert judge(crate, profile) == []


def without(crate: Path, target: Path, kind: str, name: str) -> Path:
    """Copy the metadata, leaving a property of one kind of entity out."""
    document = json.loads((crate / METADATA).read_text())
    for entity in document["@graph"]:
        if entity["@type"] == kind:
            assert entity.pop(name)
    target.mkdir()
    (target / METADATA).write_text(json.dumps(document))
    return target


def test_the_validator_finds_what_is_missing(crate: Path, tmp_path: Path) -> None:
    broken = without(crate, tmp_path / "broken", "CreateAction", "instrument")
    assert any("instrument" in line for line in judge(broken, "process-run-crate-0.5"))


def test_it_names_what_went_in_and_what_came_out(crate: Path) -> None:
    document = json.loads((crate / METADATA).read_text())
    entities: dict[str, Any] = {it["@id"]: it for it in document["@graph"]}
    assert len(entities) == len(document["@graph"]), "each entity once"
    action = entities["#run"]
    assert action["object"] == [{"@id": "data/0/"}, {"@id": "#param/lr"}]
    assert entities["#param/lr"]["value"] == "0.1"
    assert action["result"] == {"@id": "#metric/accuracy"}
    assert entities[action["instrument"]["@id"]]["description"] == "python train.py"
    parts = [it["@id"] for it in entities["./"]["hasPart"]]
    assert {"data/0/", "code/", "wheels/", "provenance/", "keys/", "index.html"} <= set(parts)
    assert all((crate / part).exists() for part in parts)
