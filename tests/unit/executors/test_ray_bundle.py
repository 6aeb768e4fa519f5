"""What a Ray job brings along must run on a machine that has nothing of ours."""

import json
import os
import platform
import subprocess
import sys
import zipfile
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from relive.errors import PoolUnfit
from relive.executors import ray_bundle
from relive.executors.ray import RayExecutor
from relive.executors.ray_bundle import START, Bundle
from tests.support.dashboard import answering

VERSION = sys.version_info[:2]
ORDER = {"hub": "probe:facts", "job": "a" * 32, "fence": 1, "token": "the-secret"}
PROBE = "relive.testing.executor_probe"


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as Ray lays it out; made once, because uv's program takes seconds to press."""
    return unpack(tmp_path_factory.mktemp("bundle"), VERSION)


def unpack(folder: Path, version: tuple[int, int]) -> Path:
    with Bundle(folder / "made", version).open() as file, zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            path = Path(archive.extract(entry, folder / "there"))
            path.chmod(entry.external_attr >> 16)
    return folder / "there"


def start(folder: Path, module: str, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Start it as Ray does, without any package of this interpreter."""
    given = {"PATH": os.defpath, "RELIVE_ORDER": json.dumps(ORDER), **variables}
    return subprocess.run(
        [sys.executable, "-S", *options, str(folder / START), module],
        env=given,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_it_starts_a_module_in_a_folder_of_its_own_and_shows_the_order_to_nobody(unpacked, tmp_path):
    hidden = {"RAY_JOB_CONFIG_JSON_ENV_VAR": json.dumps(ORDER), "PYTHONPATH": "/nowhere"}
    done = start(unpacked, PROBE, TMPDIR=str(tmp_path), **hidden)
    assert done.returncode == 0, done.stderr
    lines = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert json.loads(lines["line"]) == {"line": ORDER, "rest": ""}
    facts = json.loads(lines["facts"])
    assert "the-secret" not in json.dumps([facts["environment"], facts["argv"]])
    assert "PYTHONPATH" not in facts["environment"]
    assert facts["folder"].startswith(str(tmp_path))
    assert facts["open_files"] == 3
    assert list(tmp_path.iterdir()) == []


def test_what_a_module_leaves_in_its_folder_is_kept_and_its_exit_code_comes_back(unpacked, tmp_path):
    (unpacked / "leaver.py").write_text("open('report', 'w').write('unsent')\nraise SystemExit(7)\n")
    done = start(unpacked, "leaver", TMPDIR=str(tmp_path))
    assert done.returncode == 7
    assert [path.read_text() for path in tmp_path.glob("relive-job-*/report")] == ["unsent"]


@pytest.mark.parametrize("module", ["relive.runner.main", "relive.serving.job"])
def test_all_that_jobs_import_is_in_it(unpacked, module):
    code = (
        f"import sys; sys.path.insert(0, {str(unpacked)!r})\n"
        f"import importlib; importlib.import_module({module!r})\n"
        "from relive.runner.environment.uv import find_uv\n"
        "from relive.serving.bundle import build_bundle\n"
        "files = [str(getattr(module, '__file__', '')) for module in sys.modules.values()]\n"
        "print(find_uv(), [file for file in files if 'site-packages' in file])\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, timeout=120
    )
    assert done.stdout == f"{unpacked}/bin/uv []\n", done.stderr
    assert subprocess.run([unpacked / "bin/uv", "--version"], timeout=60).returncode == 0


def test_the_runner_itself_answers(unpacked):
    done = start(unpacked, "relive.runner", RELIVE_ORDER="no order")
    assert done.returncode == 2
    assert "standard input should hold one line" in done.stderr


def test_another_python_says_which_is_wanted(tmp_path, monkeypatch):
    monkeypatch.setattr(ray_bundle, "_DISTRIBUTIONS", ())
    done = start(unpack(tmp_path, (3, 5)), PROBE)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"relive's hub runs Python 3.5, this machine {VERSION[0]}.{VERSION[1]}: they must be the same"
    )


def test_another_python_hands_over_to_the_right_one_if_that_is_there(tmp_path, monkeypatch):
    monkeypatch.setattr(ray_bundle, "_DISTRIBUTIONS", ())
    folder = unpack(tmp_path, (3, 5))
    right = tmp_path / "programs/python3.5"
    right.parent.mkdir()
    right.write_text('#!/bin/sh\necho "right: $*"\n')
    right.chmod(0o755)
    done = start(folder, PROBE, PATH=f"{right.parent}:{os.defpath}")
    assert done.stdout == f"right: -u {folder / START} {PROBE}\n"


def test_another_kind_of_machine_says_which_is_wanted(tmp_path, monkeypatch):
    monkeypatch.setattr(ray_bundle, "_DISTRIBUTIONS", ())
    here = platform.machine()
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    done = start(unpack(tmp_path, VERSION), PROBE)
    assert done.returncode == 1
    assert f"relive's hub runs on riscv64, this machine is {here}" in done.stderr


def test_its_name_says_what_is_in_it(tmp_path, monkeypatch):
    monkeypatch.setattr(ray_bundle, "_DISTRIBUTIONS", ("h11", "msgspec"))
    first, again = Bundle(tmp_path / "a", VERSION), Bundle(tmp_path / "b", VERSION)
    assert first.name == again.name
    assert first.name.startswith("_ray_pkg_")
    assert Bundle(tmp_path, (3, 99)).name != first.name
    monkeypatch.setattr(ray_bundle, "_DISTRIBUTIONS", ("h11",))
    assert Bundle(tmp_path, VERSION).name != first.name


def test_equal_contents_are_equal_bytes_and_made_once(tmp_path, monkeypatch):
    monkeypatch.setattr(ray_bundle, "_DISTRIBUTIONS", ("h11",))
    first, second = (Bundle(tmp_path / name, VERSION).prepare() for name in "ab")
    assert first.read_bytes() == second.read_bytes()
    made_at = first.stat().st_mtime_ns
    assert Bundle(tmp_path / "a", VERSION).prepare() == first
    assert first.stat().st_mtime_ns == made_at
    assert [path.name for path in first.parent.iterdir()] == [first.name]


def test_nothing_of_the_hub_is_in_it(tmp_path, monkeypatch):
    monkeypatch.setattr(ray_bundle, "_DISTRIBUTIONS", ())
    with zipfile.ZipFile(Bundle(tmp_path, VERSION).prepare()) as archive:
        folders = {name.split("/")[1] for name in archive.namelist() if name.count("/") > 1}
    assert {"runner", "serving", "client", "capture"} <= folders
    assert folders.isdisjoint({"hub", "stores", "services", "executors", "ports", "forges", "cli"})


def test_a_package_that_is_missing_is_named_before_a_pool_is_added(tmp_path, monkeypatch):
    monkeypatch.setattr(ray_bundle, "_DISTRIBUTIONS", ("h11", "no-such-package"))
    with pytest.raises(PackageNotFoundError):
        Bundle(tmp_path, VERSION).prepare()
    with answering() as ray, pytest.raises(PoolUnfit, match="no-such-package") as raised:
        RayExecutor(tmp_path, ray.url).check()
    assert raised.value.to_do() == "pip install 'relive[hub]'"
    assert list(tmp_path.rglob("*.partial")) == []
