"""Environments from lock files of every kind, with the real uv: the same wheels, whatever they came from."""

import json
import os
import shutil
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

from relive.client.blobs import BlobClient
from relive.client.transport import Transport
from relive.core.pipeline import EnvSpec
from relive.core.recipe import EnvironmentLock
from relive.errors import EnvironmentFailed
from relive.formats.locks import lock_bytes, lock_digest
from relive.runner.environment.build import (
    build_environment,
    build_fresh,
    build_own,
    fetch_lock,
    keep_lock,
    resolve_environment,
)
from relive.runner.environment.uv import run_uv
from relive.runner.environment.wheels import WheelStore
from tests.conftest import require
from tests.support.fake_hub import running_hub
from tests.support.wheels import make_sdist, make_wheel, project_files, sha256

PYPROJECT = """
[project]
name = "training"
version = "0.1"
requires-python = ">=3.11"
dependencies = ["rlv-alpha"]
"""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Give relive a cache of its own, and nothing but the find-links of each test to take wheels from."""
    monkeypatch.setenv("RELIVE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    for name in [
        name for name in os.environ if name.startswith(("UV_", "PIP_FIND", "PIP_INDEX", "PIP_EXTRA"))
    ]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return tmp_path / "cache"


@pytest.fixture
def links(tmp_path, monkeypatch):
    """A folder of wheels that pip's configuration names: alpha needs beta."""
    folder = tmp_path / "links"
    make_wheel(folder, "rlv-alpha", requires=("rlv-beta>=1",), executable=True)
    make_wheel(folder, "rlv-beta", "1.0")
    make_wheel(folder, "rlv-beta", "1.5")
    make_wheel(folder, "rlv-beta", "1.5", tag="cp27-none-win32")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def tree(tmp_path):
    folder = tmp_path / "tree"
    folder.mkdir()
    return folder


def write(tree: Path, **files: str) -> None:
    for name, text in files.items():
        (tree / name.replace("__", ".")).write_text(text)


def resolve(tree: Path, lock: str, store: WheelStore | None = None, python: str = "") -> EnvironmentLock:
    return resolve_environment(tree, EnvSpec(lock=lock, python=python), store or WheelStore())


def names(lock: EnvironmentLock) -> list[str]:
    return [f"{it.name}=={it.version} {it.origin}" for it in lock.packages]


def run(environment: Path, script: str) -> str:
    done = subprocess.run(
        [environment / "bin/python", "-I", "-c", script], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


ALL = ["rlv-alpha==1.0 path", "rlv-beta==1.5 path"]


def test_ranges_are_resolved_and_kept_as_exact_wheels(tree, links):
    write(tree, requirements__txt="rlv-alpha\n")
    lock = resolve(tree, "requirements.txt")
    assert names(lock) == ALL
    assert (lock.source, lock.implementation) == ("requirements.txt", "cpython")
    assert lock.python == ".".join(map(str, sys.version_info[:3]))
    beta = lock.packages[1]
    wheel = links / "rlv_beta-1.5-py3-none-any.whl"
    assert (beta.filename, beta.sha256, beta.size_bytes) == (wheel.name, sha256(wheel), wheel.stat().st_size)
    environment = build_environment(lock, WheelStore())
    assert run(environment, "import rlv_beta; print(rlv_beta.VERSION)") == "1.5"
    tool = subprocess.run([environment / "bin/rlv-alpha-tool"], capture_output=True, text=True, check=True)
    assert tool.stdout == "rlv-alpha tool 1.0\n"


def test_nothing_of_this_machine_is_in_a_lock(tree, links, tmp_path):
    write(tree, requirements__txt="rlv-alpha\n")
    lock = resolve(tree, "requirements.txt")
    assert str(tmp_path) not in repr(lock)


def test_an_installed_package_does_not_say_it_came_from_a_local_file(tree, links):
    write(tree, requirements__txt="rlv-alpha\n")
    environment = build_environment(resolve(tree, "requirements.txt"), WheelStore())
    assert list(environment.rglob("direct_url.json")) == []


@pytest.mark.parametrize("kind", ["uv.lock", "pylock.toml", "requirements.txt"])
def test_each_kind_of_lock_gives_the_same_environment(tree, links, kind):
    write(tree, pyproject__toml=PYPROJECT + f"[tool.uv]\nfind-links = ['{links}']\nno-index = true\n")
    write(tree, plain__in="rlv-alpha\n")
    run_uv(["lock", "--quiet"], source="test", folder=tree)
    run_uv(["export", "-q", "--format", "pylock.toml", "-o", "pylock.toml"], source="test", folder=tree)
    compiling = ["pip", "compile", "--quiet", "--generate-hashes", "plain.in", "-o", "requirements.txt"]
    run_uv(compiling, source="test", folder=tree)
    by_lock = resolve(tree, kind)
    by_ranges = resolve(tree, "plain.in")
    assert by_lock.packages == by_ranges.packages
    assert names(by_lock) == ALL


def test_without_a_lock_it_is_the_interpreter_alone(tree):
    lock = resolve(tree, "")
    assert lock.packages == ()
    script = "import importlib.metadata as m; print(sorted(d.name for d in m.distributions()))"
    assert run(build_environment(lock, WheelStore()), script) == "[]"


def test_a_pin_with_hashes_allows_only_those(tree, links):
    right = sha256(links / "rlv_beta-1.5-py3-none-any.whl")
    write(tree, requirements__txt=f"rlv-beta==1.5 --hash=sha256:{right}\n")
    assert names(resolve(tree, "requirements.txt")) == ["rlv-beta==1.5 path"]
    write(tree, requirements__txt=f"rlv-beta==1.5 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(EnvironmentFailed) as caught:
        resolve(tree, "requirements.txt")
    assert "rlv-beta 1.5" in caught.value.reason
    assert "0" * 64 in caught.value.reason


def test_a_wheel_that_is_not_the_locked_one_is_refused(tree, links):
    write(tree, pyproject__toml=PYPROJECT + f"[tool.uv]\nfind-links = ['{links}']\nno-index = true\n")
    run_uv(["lock", "--quiet"], source="test", folder=tree)
    export = ["export", "-q", "--format", "pylock.toml", "-o", "pylock.toml"]
    run_uv(export, source="test", folder=tree)
    locked = sha256(links / "rlv_beta-1.5-py3-none-any.whl")
    make_wheel(links, "rlv-beta", "1.5", body="EVIL = True\n")
    with pytest.raises(EnvironmentFailed) as caught:
        resolve(tree, "pylock.toml")
    assert "not the file that was locked" in caught.value.reason
    assert locked in caught.value.reason
    assert sha256(links / "rlv_beta-1.5-py3-none-any.whl") in caught.value.reason


def test_a_wheel_given_by_its_path_is_hashed_by_us(tree, tmp_path):
    wheel = make_wheel(tree / "wheels", "rlv-gamma", "2.0+cpu")
    write(tree, requirements__txt="./wheels/rlv_gamma-2.0+cpu-py3-none-any.whl\n")
    lock = resolve(tree, "requirements.txt")
    assert names(lock) == ["rlv-gamma==2.0+cpu path"]
    assert lock.packages[0].sha256 == sha256(wheel)
    assert (
        run(build_environment(lock, WheelStore()), "import rlv_gamma; print(rlv_gamma.VERSION)") == "2.0+cpu"
    )


def test_an_sdist_is_built_once_and_its_wheel_kept(tree, tmp_path, monkeypatch):
    make_sdist(tmp_path / "links", "rlv-delta")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    write(tree, requirements__txt="rlv-delta\n")
    lock = resolve(tree, "requirements.txt")
    assert names(lock) == ["rlv-delta==1.0 built"]
    shutil.rmtree(tmp_path / "links")
    assert run(build_environment(lock, WheelStore()), "import rlv_delta; print(rlv_delta.VERSION)") == "1.0"


def test_an_sdist_that_cannot_be_built_says_so_in_its_own_words(tree, tmp_path, monkeypatch):
    make_sdist(tmp_path / "links", "rlv-delta", breaks=True)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    write(tree, requirements__txt="rlv-delta\n")
    with pytest.raises(EnvironmentFailed) as caught:
        resolve(tree, "requirements.txt")
    assert "rlv-delta 1.0 has no wheel for this machine" in caught.value.reason
    assert "the compiler is missing" in caught.value.reason


def test_a_folder_of_the_tree_is_built_and_a_git_commit_too(tree, tmp_path):
    for folder, name in ((tree / "libs/inner", "rlv-inner"), (tmp_path / "outer", "rlv-outer")):
        for path, text in project_files(name).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
    git = ["git", "-C", str(tmp_path / "outer"), "-c", "user.name=t", "-c", "user.email=t@t"]
    for step in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *step], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout
    outer = f"rlv-outer @ git+file://{tmp_path}/outer@{head.strip()}"
    write(tree, requirements__txt=f"./libs/inner\n{outer}\n")
    lock = resolve(tree, "requirements.txt")
    assert names(lock) == ["rlv-inner==1.0 built", "rlv-outer==1.0 vcs"]
    script = "import rlv_inner, rlv_outer; print(rlv_inner.VERSION, rlv_outer.VERSION)"
    assert run(build_environment(lock, WheelStore()), script) == "1.0 1.0"


def test_the_project_itself_is_not_installed_nor_are_editable_ones(tree, links):
    pyproject = PYPROJECT.replace("rlv-alpha", "rlv-mine") + (
        "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
        "[tool.uv]\nno-index = true\n[tool.uv.sources]\nrlv-mine = { path = 'mine', editable = true }\n"
    )
    write(tree, pyproject__toml=pyproject)
    for path, text in project_files("rlv-mine").items():
        (tree / "mine" / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / "mine" / path).write_text(text)
    run_uv(["lock", "--quiet"], source="test", folder=tree)
    assert resolve(tree, "uv.lock").packages == ()


def test_packages_of_other_platforms_are_left_out(tree, links):
    write(tree, requirements__txt="rlv-alpha\nrlv-nowhere; sys_platform == 'win32'\n")
    assert names(resolve(tree, "requirements.txt")) == ALL


def test_a_package_that_does_not_exist_is_named_with_uvs_reason(tree, links):
    write(tree, requirements__txt="rlv-alpha\nrlv-does-not-exist==1\n")
    with pytest.raises(EnvironmentFailed) as caught:
        resolve(tree, "requirements.txt")
    assert caught.value.source == "requirements.txt"
    assert "rlv-does-not-exist" in caught.value.reason
    assert len(str(caught.value).splitlines()) < 30


def test_versions_that_exclude_each_other_are_told(tree, links):
    write(tree, requirements__txt="rlv-alpha\nrlv-beta<1\n")
    with pytest.raises(EnvironmentFailed) as caught:
        resolve(tree, "requirements.txt")
    assert "rlv-beta" in caught.value.reason


@pytest.mark.parametrize(
    ("lock", "text", "word"),
    [
        ("requirements.txt", "rlv-beta >= >=\n", "rlv-beta"),
        ("pylock.toml", "this is = not toml = at all", "TOML"),
        ("pylock.toml", "lock-version = '9.0'\ncreated-by = 'x'\npackages = []\n", "9.0"),
        ("pylock.toml", "lock-version = '1.0'\ncreated-by = 'x'\n[[packages]]\nname = 'a'\n", "a"),
        ("uv.lock", "version = 1\n", "pyproject.toml"),
    ],
)
def test_a_broken_lock_says_what_is_wrong(tree, lock, text, word):
    (tree / lock).write_text(text)
    with pytest.raises(EnvironmentFailed) as caught:
        resolve(tree, lock)
    assert word in caught.value.reason


def test_a_lock_that_is_missing_is_named_beside_those_that_are_there(tree):
    write(tree, requirements__txt="")
    with pytest.raises(EnvironmentFailed) as caught:
        resolve(tree, "uv.lock")
    assert "uv.lock" in caught.value.reason
    assert "requirements.txt" in caught.value.reason
    assert caught.value.hint == "git add uv.lock"


def test_a_python_that_is_not_here_is_told_with_those_that_are(tree):
    write(tree, requirements__txt="")
    with pytest.raises(EnvironmentFailed) as caught:
        resolve(tree, "requirements.txt", python="3.99")
    assert "3.99" in caught.value.reason
    assert ".".join(map(str, sys.version_info[:3])) in caught.value.reason


def test_a_lock_for_another_python_asks_for_it(tree):
    write(
        tree,
        pylock__toml="lock-version = '1.0'\nrequires-python = '>=3.98'\ncreated-by = 'x'\npackages = []\n",
    )
    with pytest.raises(EnvironmentFailed) as caught:
        resolve(tree, "pylock.toml")
    assert ">=3.98" in caught.value.reason


class TestKeptInTheHub:
    """The hub has every wheel, so that neither index nor cache is needed again."""

    @pytest.fixture
    def hub(self, tmp_path):
        with running_hub(tmp_path / "hub") as running:
            yield running

    @pytest.fixture
    def blobs(self, hub, tmp_path):
        return BlobClient(Transport(hub.url), cache=tmp_path / "blobs")

    @pytest.fixture
    def lock(self, tree, links, blobs, cache):
        write(tree, requirements__txt="rlv-alpha\n")
        found = resolve(tree, "requirements.txt", WheelStore(blobs))
        shutil.rmtree(links)
        shutil.rmtree(cache)
        return found

    def test_an_environment_is_built_from_the_hub_alone(self, lock, blobs):
        digest = keep_lock(lock, blobs)
        assert digest == lock_digest(lock)
        again = fetch_lock(digest, blobs)
        assert again == lock
        environment = build_environment(again, WheelStore(blobs))
        assert run(environment, "import rlv_alpha; print(rlv_alpha.VERSION)") == "1.0"

    def test_a_wheel_that_is_nowhere_is_named(self, lock):
        with pytest.raises(EnvironmentFailed) as caught:
            build_environment(lock, WheelStore())
        assert "rlv_alpha-1.0-py3-none-any.whl" in caught.value.reason

    def test_a_damaged_wheel_on_this_machine_is_fetched_again(self, lock, blobs, cache):
        build_environment(lock, WheelStore(blobs))
        (wheel,) = (cache / "wheels").rglob("rlv_beta*.whl")
        wheel.write_bytes(b"damaged")
        shutil.rmtree(cache / "envs")
        environment = build_environment(lock, WheelStore(blobs))
        assert run(environment, "import rlv_beta; print(rlv_beta.VERSION)") == "1.5"

    def test_an_environment_is_built_in_an_empty_place_on_demand(self, lock, blobs, tmp_path, cache):
        cached = build_environment(lock, WheelStore(blobs))
        (module,) = cached.rglob("rlv_beta/__init__.py")
        module.write_text("VERSION = 'changed by hand'\n")
        fresh = build_fresh(lock, WheelStore(blobs), tmp_path / "empty/env")
        assert run(fresh, "import rlv_beta; print(rlv_beta.VERSION)") == "1.5"
        assert sorted(path.name for path in (tmp_path / "empty").iterdir()) == ["env"]

    def test_one_for_a_replay_is_made_of_links_that_hold(self, lock, blobs, tmp_path, cache):
        first = build_own(lock, WheelStore(blobs), tmp_path / "one/env")
        again = build_own(lock, WheelStore(blobs), tmp_path / "two/env")
        modules = [next(it.rglob("rlv_beta/__init__.py")) for it in (first, again)]
        assert modules[0].samefile(modules[1])
        assert len(list((cache / "envs").glob("*.proven"))) == 1

    @pytest.mark.parametrize("is_known", [True, False], ids=["proven before", "not yet"])
    def test_a_link_that_was_written_to_is_not_used(self, lock, blobs, tmp_path, caplog, is_known):
        cached = build_environment(lock, WheelStore(blobs))
        if is_known:
            build_own(lock, WheelStore(blobs), tmp_path / "before/env")
        next(cached.rglob("rlv_beta/__init__.py")).write_text("VERSION = 'changed by hand'\n")
        own = build_own(lock, WheelStore(blobs), tmp_path / "own/env")
        assert run(own, "import rlv_beta; print(rlv_beta.VERSION)") == "1.5"
        assert "files of rlv-beta were changed" in caplog.text
        caplog.clear()
        later = build_own(lock, WheelStore(blobs), tmp_path / "later/env")
        assert run(later, "import rlv_beta; print(rlv_beta.VERSION)") == "1.5"
        assert not caplog.text, "uv's cache was mended"


BUILD = """
import sys
from pathlib import Path
from relive.formats.locks import read_lock
from relive.runner.environment.build import build_environment
from relive.runner.environment.wheels import WheelStore
print(build_environment(read_lock(Path(sys.argv[1]).read_bytes()), WheelStore()))
"""


class TestCached:
    """One folder a lock, whole or built again."""

    @pytest.fixture
    def lock(self, tree, links):
        write(tree, requirements__txt="rlv-alpha\n")
        return resolve(tree, "requirements.txt")

    def test_a_second_build_does_nothing(self, lock, monkeypatch):
        first = build_environment(lock, WheelStore())
        monkeypatch.setenv("PATH", "")
        monkeypatch.setattr(WheelStore, "bring", None)
        assert build_environment(lock, WheelStore()) == first

    def test_another_lock_has_another_folder(self, lock):
        other = msgspec.structs.replace(lock, packages=lock.packages[1:])
        assert build_environment(lock, WheelStore()) != build_environment(other, WheelStore())

    @pytest.mark.parametrize("damage", ["no marker", "half", "no interpreter"])
    def test_what_died_in_the_middle_is_built_again(self, lock, damage):
        environment = build_environment(lock, WheelStore())
        if damage == "no marker":
            (environment / ".complete").unlink()
        elif damage == "half":
            (environment / ".complete").unlink()
            shutil.rmtree(environment / "lib")
        else:
            (environment / "bin/python").unlink()
            (environment / "bin/python").symlink_to("/nowhere/python")
        (environment / "leftover").write_text("x")
        again = build_environment(lock, WheelStore())
        assert again == environment
        assert run(again, "import rlv_alpha; print(rlv_alpha.VERSION)") == "1.0"
        assert not (again / "leftover").exists()

    def test_a_build_that_fails_leaves_no_complete_environment(self, lock, cache):
        (wheel,) = (cache / "wheels").rglob("rlv_beta*.whl")
        wheel.unlink()
        with pytest.raises(EnvironmentFailed):
            build_environment(lock, WheelStore())
        assert list((cache / "envs").rglob(".complete")) == []

    def test_processes_that_want_the_same_wait_for_one_another(self, lock, tmp_path):
        (tmp_path / "lock.json").write_bytes(lock_bytes(lock))
        started = [
            subprocess.Popen(
                [sys.executable, "-c", BUILD, str(tmp_path / "lock.json")], stdout=subprocess.PIPE, text=True
            )
            for _ in range(3)
        ]
        folders = {process.communicate(timeout=120)[0].strip() for process in started}
        assert [process.returncode for process in started] == [0, 0, 0]
        (folder,) = folders
        assert run(Path(folder), "import rlv_beta; print(rlv_beta.VERSION)") == "1.5"

    def test_one_environment_does_not_see_what_is_active(self, lock, monkeypatch, tmp_path):
        monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "elsewhere"))
        monkeypatch.setenv("PYTHONPATH", str(tmp_path / "elsewhere"))
        environment = build_environment(lock, WheelStore())
        assert json.loads(run(environment, "import sys, json; print(json.dumps(sys.prefix))")) == str(
            environment
        )


class TestIndex:
    """An index over HTTP, with a login and a mirror that hides nothing."""

    @pytest.fixture
    def index(self, tmp_path):
        wheel = make_wheel(tmp_path / "www/files", "rlv-web")
        page = tmp_path / "www/simple/rlv-web/index.html"
        page.parent.mkdir(parents=True)
        link = f'<a href="/files/{wheel.name}#sha256={sha256(wheel)}">{wheel.name}</a>'
        page.write_text(f"<!DOCTYPE html><html><body>{link}</body></html>")
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Private, directory=str(tmp_path / "www")))
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        server.server_close()

    def test_a_login_in_pips_configuration_opens_index_and_files_and_shows_nowhere(
        self, tree, index, tmp_path, monkeypatch, cache
    ):
        monkeypatch.delenv("PIP_NO_INDEX")
        (tmp_path / "pip.conf").write_text(f"[global]\nindex-url = http://me:hush-hush@{index}/simple\n")
        monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
        write(tree, requirements__txt="rlv-web\n")
        lock = resolve(tree, "requirements.txt")
        assert names(lock) == ["rlv-web==1.0 index"]
        assert "hush" not in repr(lock)
        (next((cache / "wheels").rglob("*.whl"))).unlink()
        shutil.rmtree(tmp_path / "www/files")
        with pytest.raises(EnvironmentFailed) as caught:
            resolve(tree, "requirements.txt")
        assert "status 404" in caught.value.reason
        assert "hush" not in str(caught.value)


@pytest.mark.network
def test_a_package_of_the_public_index_is_had_and_kept(tree, monkeypatch, cache):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_CONFIG_FILE")
    write(tree, requirements__txt="six==1.17.0\n")
    try:
        lock = resolve(tree, "requirements.txt")
    except EnvironmentFailed as error:
        require(not _is_out_of_reach(error), f"no package index can be reached: {error.reason}")
        raise
    (six,) = lock.packages
    assert (six.name, six.version) == ("six", "1.17.0")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    environment = build_environment(lock, WheelStore())
    assert run(environment, "import six; print(six.__version__)") == "1.17.0"


def _is_out_of_reach(error: EnvironmentFailed) -> bool:
    words = ("failed to fetch", "request failed", "error sending request", "dns error", "offline", "connect")
    return any(word in error.reason.lower() for word in words)


class _Private(SimpleHTTPRequestHandler):
    def do_GET(self):
        if self.headers.get("Authorization") != "Basic bWU6aHVzaC1odXNo":
            self.send_response(401)
            self.send_header("WWW-Authenticate", "Basic realm=x")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        super().do_GET()

    def log_message(self, *_):
        pass
