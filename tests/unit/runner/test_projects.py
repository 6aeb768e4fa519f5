"""A checkout's own packages on the path, with what an installation would say of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from relive.errors import EnvironmentFailed
from relive.runner.environment.projects import ProjectLayer, lay_projects
from relive.runner.variables import fixed_variables, in_environment, machine_variables, uv_variables

LOCK = 'version = 1\n[[package]]\nname = "my-proj"\nversion = "0.7"\nsource = { editable = "." }\n'
PROJECT = """
[project]
name = "my-proj"
version = "0.7"
[project.scripts]
my-tool = "my_proj.cli:app.run"
"../escape" = "my_proj.cli:app.run"
[project.entry-points."plugins.group"]
one = "my_proj.cli"
"""


@pytest.fixture
def tree(tmp_path):
    folder = tmp_path / "tree"
    (folder / "src/my_proj").mkdir(parents=True)
    (folder / "src/my_proj/__init__.py").touch()
    (folder / "src/my_proj/cli.py").write_text(
        "class app:\n    @staticmethod\n    def run():\n        print('ran')\n        return 3\n"
    )
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "uv.lock").write_text(LOCK)
    return folder


def lay(tree: Path, tmp_path: Path, lock: str = "uv.lock") -> ProjectLayer:
    return lay_projects(tree, lock, tmp_path / "layer", python=Path(sys.executable))


def python(layer: ProjectLayer, script: str) -> str:
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, layer.python_path))}
    done = subprocess.run(
        [sys.executable, "-c", script], env=variables, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_it_can_be_imported_and_says_its_version_and_entry_points(tree, tmp_path):
    layer = lay(tree, tmp_path)
    script = (
        "import my_proj.cli; from importlib.metadata import version, entry_points;"
        "print(version('my-proj'), [e.value for e in entry_points(group='plugins.group')])"
    )
    assert python(layer, script) == "0.7 ['my_proj.cli']"


def test_its_scripts_run_and_stay_in_their_folder(tree, tmp_path):
    layer = lay(tree, tmp_path)
    assert layer.bin is not None
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, layer.python_path))}
    done = subprocess.run([layer.bin / "my-tool"], env=variables, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("ran\n", 3)
    assert sorted(path.name for path in layer.bin.iterdir()) == ["escape", "my-tool"]
    assert not (tmp_path / "escape").exists()


def test_a_flat_project_is_on_the_path_itself(tree, tmp_path):
    (tree / "src/my_proj").rename(tree / "my_proj")
    (tree / "src").rmdir()
    assert lay(tree, tmp_path).python_path[0] == tree


def test_a_version_that_only_a_build_knows_is_marked(tree, tmp_path):
    (tree / "pyproject.toml").write_text('[project]\nname = "my-proj"\ndynamic = ["version"]\n')
    script = "from importlib.metadata import version; print(version('my-proj'))"
    assert python(lay(tree, tmp_path), script) == "0+source"


@pytest.mark.parametrize("lock", ["", "nowhere.lock", "requirements.txt"])
def test_without_own_packages_there_is_no_layer(tree, tmp_path, lock):
    (tree / "requirements.txt").write_text("six\n")
    assert lay(tree, tmp_path, lock if lock != "nowhere.lock" else "sub/uv.lock") == ProjectLayer()


def test_a_project_that_says_nothing_has_only_its_sources(tree, tmp_path):
    (tree / "pyproject.toml").write_text("not toml [")
    layer = lay(tree, tmp_path)
    assert layer.python_path[0] == tree / "src"
    assert layer.bin is None


def test_a_broken_lock_is_named(tree, tmp_path):
    (tree / "uv.lock").write_text("not toml [")
    with pytest.raises(EnvironmentFailed):
        lay(tree, tmp_path)


def test_the_layer_comes_before_the_environment_and_what_was_given(tmp_path):
    layer = ProjectLayer((Path("/a"), Path("/b")), Path("/tools"))
    given = {"PATH": "/usr/bin", "PYTHONPATH": "/given", "PYTHONHOME": "/elsewhere"}
    changed = in_environment(given, Path("/env"), layer)
    assert changed == {
        "PATH": "/tools:/env/bin:/usr/bin",
        "PYTHONPATH": "/a:/b:/given",
        "VIRTUAL_ENV": "/env",
    }
    assert in_environment({}, Path("/env"), ProjectLayer())["PATH"].startswith("/env/bin:")


def test_of_the_machine_only_what_is_no_input_and_no_secret_is_passed_on():
    environ = {
        "PATH": "/bin",
        "LC_ALL": "C",
        "SSL_CERT_FILE": "/ca",
        "AWS_SECRET_ACCESS_KEY": "x",
        "RELIVE_TOKEN": "x",
        "PYTHONPATH": "/x",
        "UV_INDEX": "x",
        "OMP_NUM_THREADS": "9",
    }
    assert set(machine_variables(environ)) == {"PATH", "LC_ALL", "SSL_CERT_FILE", "PYTHONUNBUFFERED"}


@pytest.mark.parametrize(("cpus", "threads"), [(0.5, "1"), (1.0, "1"), (2.9, "2"), (16, "16")])
def test_thread_pools_get_whole_processors(cpus, threads):
    variables = fixed_variables(cpus)
    assert {v for k, v in variables.items() if k.endswith(("_THREADS", "_MAXIMUM_THREADS"))} == {threads}


def test_uv_takes_the_environment_of_a_replay_and_no_interpreter_without_one(tmp_path: Path) -> None:
    assert uv_variables(tmp_path) == {}
    (tmp_path / "pyvenv.cfg").touch()
    assert uv_variables(tmp_path) == {"UV_PROJECT_ENVIRONMENT": str(tmp_path), "UV_NO_SYNC": "1"}
