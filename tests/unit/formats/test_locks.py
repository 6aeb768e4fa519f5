"""Lock files: their kind, what an environment depends on, and keys that change exactly when it does."""

from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.core.pipeline import EnvSpec
from relive.core.recipe import EnvironmentLock, LockedPackage
from relive.errors import EnvironmentFailed, InvalidInput
from relive.formats.locks import (
    LocalProject,
    LockKind,
    RequirementLine,
    allowed_hashes,
    environment_files,
    environment_key,
    local_projects,
    lock_bytes,
    lock_digest,
    lock_kind,
    read_lock,
    requirement_lines,
)

UV_LOCK = b"""
version = 1
[[package]]
name = "mine"
version = "0.1"
source = { editable = "." }
[[package]]
name = "lib"
version = "0.1"
source = { directory = "libs/lib" }
[[package]]
name = "far"
version = "0.1"
source = { editable = "../far" }
[[package]]
name = "six"
version = "1.0"
source = { registry = "https://index.example/simple" }
"""


def reader(files: Mapping[str, bytes]) -> Callable[[str], bytes | None]:
    return files.get


def no_folder(path: str) -> str:
    raise AssertionError(f"{path} is no input")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("uv.lock", LockKind.UV),
        ("envs/uv.lock", LockKind.UV),
        ("pylock.toml", LockKind.PYLOCK),
        ("pylock.train.toml", LockKind.PYLOCK),
        ("requirements.txt", LockKind.REQUIREMENTS),
        ("requirements/dev.in", LockKind.REQUIREMENTS),
    ],
)
def test_the_name_says_the_kind(path, kind):
    assert lock_kind(path) is kind


@pytest.mark.parametrize("path", ["poetry.lock", "pyproject.toml", "environment.yml", "lock", ""])
def test_another_kind_is_refused_with_those_that_are_read(path):
    with pytest.raises(InvalidInput) as caught:
        lock_kind(path)
    assert "requirements.txt" in str(caught.value)


def test_a_requirements_file_is_read_as_pip_reads_it():
    text = """\
# a comment
numpy==2.0.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb   # why
scikit-learn >= 1.5 ; python_version > "3.9"
-r base.txt
--constraint=limits.txt
-cmore.txt
-e ./mine
--editable=./theirs
--index-url https://index.example/simple
pkg @ https://example.org/a#egg=b
"""
    assert list(requirement_lines(text)) == [
        RequirementLine("numpy==2.0.0", frozenset({"sha256:aa", "sha256:bb"})),
        RequirementLine('scikit-learn >= 1.5 ; python_version > "3.9"'),
        RequirementLine(include="base.txt"),
        RequirementLine(include="limits.txt"),
        RequirementLine(include="more.txt"),
        RequirementLine("./mine", editable=True),
        RequirementLine("./theirs", editable=True),
        RequirementLine("pkg @ https://example.org/a#egg=b"),
    ]


@given(st.text())
def test_no_text_breaks_the_reader(text):
    list(requirement_lines(text))


def test_included_files_belong_to_the_environment_once_even_in_a_circle():
    files = {
        "req/all.txt": b"-r base.txt\n-c ../limits.txt\n",
        "req/base.txt": b"-r all.txt\nnumpy\n-r nowhere.txt\n",
        "limits.txt": b"numpy<3\n",
        "other.txt": b"",
    }
    found = environment_files("req/all.txt", reader(files), no_folder)
    assert set(found) == {"req/all.txt", "req/base.txt", "limits.txt"}


def test_a_uv_lock_brings_its_project_and_the_folders_that_are_built():
    files = {"uv.lock": UV_LOCK, "pyproject.toml": b"[project]", "train.py": b"", "libs/lib/a.py": b""}
    found = environment_files("uv.lock", reader(files), lambda path: f"digest of {path}")
    assert found == {
        "uv.lock": UV_LOCK,
        "pyproject.toml": b"[project]",
        "libs/lib/": b"digest of libs/lib",
    }
    assert local_projects("uv.lock", reader(files)) == [
        LocalProject(".", editable=True),
        LocalProject("libs/lib", editable=False),
    ]


def test_a_lock_in_a_folder_has_its_project_there():
    files = {"train/uv.lock": UV_LOCK, "train/pyproject.toml": b"a", "pyproject.toml": b"b"}
    found = environment_files("train/uv.lock", reader(files), lambda path: path)
    assert set(found) == {"train/uv.lock", "train/pyproject.toml", "train/libs/lib/"}
    assert LocalProject("far", editable=True) in local_projects("train/uv.lock", reader(files))


def test_local_folders_of_requirements_are_told_from_packages_and_archives():
    text = b".\n./lib[extra]\n-e ../mine\n./wheels/a-1-py3-none-any.whl\nnumpy\nfile:./other\n"
    assert local_projects("req/r.txt", reader({"req/r.txt": text})) == [
        LocalProject("req", editable=False),
        LocalProject("req/lib", editable=False),
        LocalProject("mine", editable=True),
        LocalProject("req/other", editable=False),
    ]


def test_local_folders_of_a_pylock_are_found():
    text = b'[[packages]]\nname="a"\ndirectory={path="./a", editable=true}\n[[packages]]\nname="b"\n'
    assert local_projects("pylock.toml", reader({"pylock.toml": text})) == [LocalProject("a", editable=True)]


def test_a_lock_that_is_not_there_says_what_to_do():
    with pytest.raises(EnvironmentFailed) as caught:
        environment_files("uv.lock", reader({}), no_folder)
    assert "git add uv.lock" in str(caught.value)


@pytest.mark.parametrize("data", [b"= no toml", b"\xff\xfe"])
def test_a_broken_lock_is_named(data):
    with pytest.raises(EnvironmentFailed) as caught:
        environment_files("uv.lock", reader({"uv.lock": data}), no_folder)
    assert caught.value.source == "uv.lock"


def test_hashes_are_found_by_normal_name_in_all_files():
    files = {
        "r.txt": b"Scikit_Learn==1 --hash=sha256:aa --hash=sha256:bb\n-r more.txt\nfree>=1\n",
        "more.txt": b"scikit.learn==1 --hash=sha256:cc",
    }
    assert allowed_hashes("r.txt", reader(files)) == {
        "scikit-learn": frozenset({"sha256:aa", "sha256:bb", "sha256:cc"})
    }


FILES = {"uv.lock": b"a", "pyproject.toml": b"b"}
KEY = environment_key(FILES, EnvSpec(lock="uv.lock"), python="3.11.7", platform="linux_x86_64")


def test_a_key_is_the_same_for_the_same():
    again = environment_key(
        dict(reversed(FILES.items())), EnvSpec(lock="uv.lock"), python="3.11.7", platform="linux_x86_64"
    )
    assert again == KEY


@pytest.mark.parametrize(
    ("files", "env", "python", "platform"),
    [
        ({**FILES, "uv.lock": b"A"}, EnvSpec(lock="uv.lock"), "3.11.7", "linux_x86_64"),
        ({"uv.lock": b"a"}, EnvSpec(lock="uv.lock"), "3.11.7", "linux_x86_64"),
        ({"uv.lock": b"b", "pyproject.toml": b"a"}, EnvSpec(lock="uv.lock"), "3.11.7", "linux_x86_64"),
        (FILES, EnvSpec(lock="pyproject.toml"), "3.11.7", "linux_x86_64"),
        (FILES, EnvSpec(lock="uv.lock", python="3.12"), "3.11.7", "linux_x86_64"),
        (FILES, EnvSpec(lock="uv.lock"), "3.12.1", "linux_x86_64"),
        (FILES, EnvSpec(lock="uv.lock"), "3.11.7", "linux_aarch64"),
    ],
)
def test_a_key_is_another_for_anything_else(files, env, python, platform):
    assert environment_key(files, env, python=python, platform=platform) != KEY


def test_an_own_python_does_not_matter_if_one_is_asked_for():
    env = EnvSpec(lock="uv.lock", python="3.12")
    assert environment_key(FILES, env, python="3.11.7") == environment_key(FILES, env, python="3.13.0")


def test_an_environment_lock_comes_back_as_it_was():
    package = LockedPackage(
        name="a", version="1", filename="a-1-py3-none-any.whl", sha256="0" * 64, size_bytes=1
    )
    lock = EnvironmentLock(
        python="3.11.7",
        implementation="cpython",
        platform="linux_x86_64",
        source="uv.lock",
        packages=(package,),
    )
    assert read_lock(lock_bytes(lock)) == lock
    assert lock_digest(lock) == lock_digest(read_lock(lock_bytes(lock)))


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b'{"python": 1}'])
def test_what_is_no_environment_lock_is_refused(data):
    with pytest.raises(InvalidInput):
        read_lock(data)
