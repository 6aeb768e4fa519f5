"""A run in somebody's virtual environment, without a lock: made again by what was seen installed in it."""

import json
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from relive.runner.environment.uv import find_uv
from tests.e2e.hub import RealHub, running_hub
from tests.support.wheels import make_wheel

TRAIN = """
import importlib.metadata, json, random, mine, thing
random.seed(mine.SEED)
versions = [importlib.metadata.version(name) for name in ("mine", "thing")]
json.dump({"score": random.random(), "versions": len(versions)}, open("metrics.json", "w"))
print(*versions, thing.VERSION)
"""
PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "mine"
version = "0.3"
"""


@pytest.fixture
def index(tmp_path: Path) -> Path:
    make_wheel(tmp_path / "index", "thing", "1.5", requires=("never-installed",))
    return tmp_path / "index"


@pytest.fixture
def hub(tmp_path: Path, index: Path) -> Iterator[RealHub]:
    with running_hub(tmp_path / "home", PIP_FIND_LINKS=str(index), PIP_NO_INDEX="1") as running:
        yield running


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "src/mine").mkdir(parents=True)
    (folder / "src/mine/__init__.py").write_text("SEED = 4\n")
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "train.py").write_text(TRAIN)
    return folder


def environment(folder: Path, index: Path, project: Path, version: str = "1.5") -> Path:
    """Make a virtual environment as a person does, with the project in it as it lies there."""
    venv.create(folder, with_pip=False)
    python = folder / "bin/python"
    command = [find_uv(), "pip", "install", "--quiet", "--no-deps", "--no-index", "--find-links", str(index)]
    subprocess.run([*command, "--python", str(python), f"thing=={version}"], check=True, timeout=120)
    minor = ".".join(map(str, sys.version_info[:2]))
    site = folder / f"lib/python{minor}/site-packages"
    (site / "mine.pth").write_text(f"{project / 'src'}\n")
    info = site / "mine-0.3.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 0.3\n")
    (info / "direct_url.json").write_text(
        json.dumps({"url": project.as_uri(), "dir_info": {"editable": True}})
    )
    return python


def record(hub: RealHub, project: Path, python: Path) -> str:
    done = hub.relive(
        *("run", "--project", "p", "--metrics", "metrics.json", "--json"),
        *("--", str(python), "train.py"),
        folder=project,
    )
    found: str = json.loads(done.stdout)["run_id"]
    return found


def replay(hub: RealHub, run_id: str, *more: str) -> Any:
    done = hub.relive("replay", run_id, "--json", *more, check=False)
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def test_it_is_made_again_by_name_and_version(
    hub: RealHub, project: Path, index: Path, tmp_path: Path
) -> None:
    run_id = record(hub, project, environment(tmp_path / "theirs", index, project))
    # Neither that environment nor the checkout is there any more.
    (tmp_path / "theirs").rename(tmp_path / "gone")
    project.rename(tmp_path / "elsewhere")
    verdict = replay(hub, run_id)
    assert verdict["level"] == "bit_exact", verdict
    assert not verdict.get("inputs_differ"), "the same wheel has the same files, whatever installed it"


def test_a_package_whose_files_are_others_is_named(
    hub: RealHub, project: Path, index: Path, tmp_path: Path
) -> None:
    run_id = record(hub, project, environment(tmp_path / "theirs", index, project))
    make_wheel(index, "thing", "1.5", body="CHANGED = 1\n")
    verdict = replay(hub, run_id)
    (difference,) = verdict["inputs_differ"]
    assert difference.startswith("thing: 1.5 record:"), difference
    assert verdict["level"] == "bit_exact", "it made no difference to the result"


def test_why_exchanges_packages_that_no_lock_named(
    hub: RealHub, project: Path, index: Path, tmp_path: Path
) -> None:
    make_wheel(index, "thing", "2.0")
    (project / "train.py").write_text(
        'import json, thing\njson.dump({"score": float(thing.VERSION)}, open("metrics.json", "w"))\n'
    )
    one, other = (
        record(hub, project, environment(tmp_path / version, index, project, version))
        for version in ("1.5", "2.0")
    )
    answer = json.loads(hub.relive("why", one, other, "--json").stdout)["report"]
    assert [it["name"] for it in answer["causes"]] == ["thing"], answer


def test_uv_run_takes_what_was_made_and_asks_no_index(hub: RealHub, index: Path, tmp_path: Path) -> None:
    """`uv run` would make an environment of its own, from whatever the index has by then."""
    make_wheel(index, "other", "1.5")
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text(
        '[project]\nname = "mine"\nversion = "0.3"\ndependencies = ["other"]\n'
        f'[tool.uv]\nno-index = true\nfind-links = ["{index}"]\n'
    )
    (project / ".gitignore").write_text(".venv/\nuv.lock\n")
    (project / "train.py").write_text(
        'import json, other\njson.dump({"version": float(other.VERSION)}, open("metrics.json", "w"))\n'
    )
    command = [find_uv(), "run", "train.py"]
    subprocess.run([find_uv(), "sync", "--quiet"], cwd=project, check=True, timeout=120)
    subprocess.run(["git", "init", "--quiet", str(project)], check=True, timeout=60)
    done = hub.relive("run", "--project", "p", "--json", "--", *command, folder=project)
    make_wheel(index, "other", "2.0")
    verdict = replay(hub, json.loads(done.stdout)["run_id"])
    assert verdict["level"] == "bit_exact", verdict


def test_an_archive_carries_the_wheels_that_a_replay_kept(
    hub: RealHub, project: Path, index: Path, tmp_path: Path
) -> None:
    run_id = record(hub, project, environment(tmp_path / "theirs", index, project))
    early, whole = tmp_path / "early.zip", tmp_path / "whole.zip"
    lacking = json.loads(hub.relive("export", run_id, "--self-contained", "-o", str(early), "--json").stdout)[
        "lacking"
    ]
    assert "no wheel was kept: replay it once" in lacking[0]
    assert replay(hub, run_id)["level"] == "bit_exact"
    written = json.loads(hub.relive("export", run_id, "--self-contained", "-o", str(whole), "--json").stdout)
    assert written["lacking"] == []
    (tmp_path / "theirs").rename(tmp_path / "gone")
    project.rename(tmp_path / "elsewhere")
    index.rename(tmp_path / "no-index")
    back = json.loads(hub.relive("import", str(whole), "--project", "back", "--json").stdout)["runs"][0][
        "run_id"
    ]
    for path in (hub.home / "cache/wheels").iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()  # the hub's have to do
    verdict = replay(hub, back, "--offline")
    assert (verdict["level"], verdict["replay_run_id"] != run_id) == ("bit_exact", True)
    again = tmp_path / "again.zip"
    hub.relive("export", back, "--self-contained", "-o", str(again))
    (tmp_path / "nobody").mkdir()
    for archive in (whole, again):
        done = subprocess.run(
            [sys.executable, "-I", str(archive), "replay", "--json"],
            cwd=tmp_path / "nobody",
            env={"HOME": str(tmp_path / "nobody"), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert json.loads(done.stdout)["level"] == "bit_exact"
