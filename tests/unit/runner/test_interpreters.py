"""Pythons are found by what is asked for, and say themselves what they can install."""

import os
import subprocess
import sys

import pytest

from relive.errors import EnvironmentFailed
from relive.runner.environment import interpreters as module
from relive.runner.environment.interpreters import find_interpreter, own_interpreter, own_version
from relive.runner.environment.uv import find_uv, offline_environment, run_uv, uv_environment

OWN = ".".join(map(str, sys.version_info[:3]))


def test_our_own_is_the_one_behind_the_environment():
    own = own_interpreter()
    assert own.version == own_version() == OWN
    assert own.implementation == "cpython"
    assert own.platform == "linux_x86_64" or own.platform.startswith("linux_")
    assert own.path.exists()
    assert not str(own.path).startswith(sys.prefix) or sys.prefix == sys.base_prefix
    assert any(tag.interpreter == f"cp{sys.version_info[0]}{sys.version_info[1]}" for tag in own.tags)
    assert own.markers["python_full_version"] == OWN


@pytest.mark.parametrize("request_", ["", OWN, OWN.rpartition(".")[0]])
def test_our_own_is_taken_where_it_fits(request_):
    assert find_interpreter(request_, source="test") == own_interpreter()


def test_a_range_is_met():
    found = find_interpreter(f">={OWN.rpartition('.')[0]}", source="test")
    assert tuple(map(int, found.version.split(".")[:2])) >= sys.version_info[:2]


def test_what_is_not_there_is_told_with_what_is():
    with pytest.raises(EnvironmentFailed) as caught:
        find_interpreter("3.98", source="uv.lock")
    assert caught.value.source == "uv.lock"
    assert OWN in caught.value.reason
    # A model that a client registered has no relive.yaml.
    assert "install Python 3.98, or" in str(caught.value)
    assert "logged with it" in str(caught.value)


def test_a_program_that_is_no_python_is_told(tmp_path):
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
    fake.chmod(0o755)
    with pytest.raises(EnvironmentFailed) as caught:
        module._ask(str(fake))
    assert "broken" in caught.value.reason


def test_one_that_pyenv_keeps_off_the_path_is_found(tmp_path, monkeypatch):
    for version in ("3.97.2", "3.97.10", "2.7.18", "pypy3.97-7.3", "3.97.11"):
        (tmp_path / f"versions/{version}/bin").mkdir(parents=True)
        if version != "3.97.11":  # an installation that was broken off
            (tmp_path / f"versions/{version}/bin/python").symlink_to(sys.executable)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert module._version_manager_python("3.97") == str(tmp_path / "versions/3.97.10/bin/python")
    assert module._version_manager_python("3.97.2") == str(tmp_path / "versions/3.97.2/bin/python")
    assert module._version_manager_python(">=3.97,<3.97.5") == str(tmp_path / "versions/3.97.2/bin/python")
    assert module._version_manager_python("3.96") is None
    assert module._version_manager_python("nonsense") is None


def test_what_surrounds_us_does_not_reach_the_question(tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise SystemExit('poisoned')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONHOME", str(tmp_path))
    assert module._ask.__wrapped__(str(own_interpreter().path)).version == OWN


def test_uv_is_started_without_what_only_we_may_know(monkeypatch):
    for name in ("RELIVE_TOKEN", "RELIVE_SECRET_KEY", "VIRTUAL_ENV", "PYTHONPATH"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("PIP_FIND_LINKS", "/links")
    variables = uv_environment()
    assert not {"RELIVE_TOKEN", "RELIVE_SECRET_KEY", "VIRTUAL_ENV", "PYTHONPATH"} & set(variables)
    assert variables["UV_PYTHON_DOWNLOADS"] == "never"
    assert "/links" in variables["UV_FIND_LINKS"]
    assert "UV_FIND_LINKS" not in offline_environment()


def test_a_cache_can_be_named(tmp_path):
    assert uv_environment(tmp_path)["UV_CACHE_DIR"] == str(tmp_path)


def test_a_uv_that_fails_says_why_without_warnings_and_logins(monkeypatch, tmp_path):
    script = tmp_path / "uv"
    script.write_text(
        "#!/bin/sh\necho 'warning: x' >&2\necho 'error: cannot fetch https://me:hush@a.example/x' >&2\n"
        'for i in $(seq 40); do echo "  cause: $i" >&2; done\nexit 2\n'
    )
    script.chmod(0o755)
    monkeypatch.setattr("relive.runner.environment.uv.find_uv", lambda: str(script))
    with pytest.raises(EnvironmentFailed) as caught:
        run_uv(["pip", "compile"], source="requirements.txt", folder=tmp_path)
    assert caught.value.reason.startswith("cannot fetch https://…@a.example/x\n  cause: 1\n")
    assert caught.value.reason.endswith("lines more)")


def test_uv_is_here():
    done = subprocess.run([find_uv(), "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("uv ")


def test_without_the_package_a_uv_on_the_path_is_taken(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "uv", None)
    (tmp_path / "uv").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_uv() == str(tmp_path / "uv")
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(EnvironmentFailed) as caught:
        find_uv()
    assert "pip install" in str(caught.value)
