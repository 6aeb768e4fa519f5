"""The bundle carries the agent into any environment, behind whatever that environment has."""

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from relive.serving import AGENT_MODULES
from relive.serving.bundle import build_bundle
from tests.unit.serving.processes import DEADLINE_S

# A bare interpreter finds its modules under these names, if the machine has it.
OLDER_AND_NEWER = ("python3.9", "python3.10", "python3.12", "python3.13", "python3.14")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return build_bundle(tmp_path_factory.mktemp("bundle"))


def run(python: Any, bundle: Any, *arguments: Any, **environment: Any) -> Any:
    return subprocess.run(
        [python, str(bundle), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        env={**os.environ, **environment},
    )


def test_it_holds_every_module_and_h11_with_its_licence(bundle):
    names = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()}
    assert {f"relive_serving/{name}.py" for name in AGENT_MODULES} <= names
    assert {"__main__.py", "h11/__init__.py"} <= names
    assert any(name.startswith("h11-") and "LICENSE" in name for name in names)
    assert not [name for name in names if name.endswith((".pyc", "RECORD", "direct_url.json"))]


def test_building_again_gives_the_same_folder(bundle):
    before = {path: path.stat().st_mtime_ns for path in bundle.rglob("*.py")}
    assert build_bundle(bundle.parent) == bundle
    assert {path: path.stat().st_mtime_ns for path in bundle.rglob("*.py")} == before


def test_the_name_is_that_of_the_contents_wherever_it_lies(bundle, tmp_path):
    assert build_bundle(tmp_path).name == bundle.name


@pytest.mark.parametrize("damage", ["relive_serving/oip.py", "h11/__init__.py"])
def test_a_damaged_bundle_is_made_anew(tmp_path, damage):
    made = build_bundle(tmp_path)
    whole = (made / damage).read_bytes()
    (made / damage).write_bytes(b"")
    assert build_bundle(tmp_path) == made
    assert (made / damage).read_bytes() == whole
    assert [path.name for path in tmp_path.iterdir()] == [made.name]


def test_many_may_build_at_once(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(build_bundle, [tmp_path] * 8))
    assert len(made) == 1
    assert [path.name for path in tmp_path.iterdir()] == [made.pop().name]


def test_the_command_prints_the_folder(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "relive.serving.bundle", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=True,
    )
    assert done.stdout.strip() == str(build_bundle(tmp_path))


def test_it_runs_where_relive_is_not_importable(bundle, iris, tmp_path):
    (tmp_path / "relive.py").write_text("raise ImportError('relive is not here')")
    signature = iris.contract / "signature.json"
    done = run(
        sys.executable,
        bundle,
        "check",
        "--model",
        iris.model,
        "--signature",
        signature,
        PYTHONPATH=str(tmp_path),
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["contract"] == "kept"


def test_the_environments_own_packages_win(bundle, tmp_path):
    (tmp_path / "h11.py").write_text("raise ImportError('the h11 of the environment', name='h11')")
    done = run(sys.executable, bundle, "check", "--model", ".", "--signature", "s", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert "the h11 of the environment" in done.stderr


@pytest.mark.parametrize("name", OLDER_AND_NEWER)
def test_other_pythons_run_it_as_far_as_a_bare_one_can(bundle, name):
    python = shutil.which(name)
    if python is None or subprocess.run([python, "-V"], capture_output=True).returncode:
        # Not `require`: no one system packages all of them; each that a machine has is tried there.
        pytest.skip(f"{name} is not installed")
    # Without NumPy every module that does without must import, and the rest must be asked for in one line.
    script = (
        f"import sys; sys.path.append({str(bundle)!r}); import h11; "
        "from relive_serving import contract, faults, flavors, load, main, mlflow_folder, signature"
    )
    imported = subprocess.run(
        [python, "-I", "-c", script], capture_output=True, text=True, timeout=DEADLINE_S
    )
    assert imported.returncode == 0, imported.stderr
    done = run(python, bundle, "check", "--model", "absent", "--signature", "absent", PYTHONPATH="")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "Package 'numpy' cannot be imported" in done.stderr or "absent cannot be read" in done.stderr
