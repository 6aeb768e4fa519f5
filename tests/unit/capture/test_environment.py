"""Environments read from their files, against what `importlib.metadata` says of this one."""

import hashlib
import os
import sys
import venv
from importlib import metadata
from pathlib import Path

import pytest

from relive.capture.environment import (
    imported_modules,
    read_distributions,
    read_interpreter,
    site_folders,
)
from relive.core.recipe import Distribution
from relive.formats.spool import SpooledProcess
from relive.formats.spool_records import ProcessExit, ProcessStart

PREFIX = Path(sys.prefix)


@pytest.fixture
def prefix(tmp_path):
    """Give an environment with nothing installed, made by hand."""
    site = tmp_path / "lib/python3.10/site-packages"
    site.mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").write_bytes(b"a program")
    (tmp_path / "pyvenv.cfg").write_text(
        "home = /opt/bin\nimplementation = CPython\nversion_info = 3.10.4.final.0\n"
    )
    return tmp_path


def install(
    prefix: Path, name: str, files: dict[str, str], *, folder: str = "lib/python3.10/site-packages"
) -> None:
    """Install a distribution by hand: `files` in its dist-info, None for its metadata."""
    info = prefix / folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n\nName: not this\n")
    for file, text in files.items():
        (info / file).write_text(text)


def only(prefix: Path, modules: dict[str, str] | None = None) -> Distribution:
    (found,) = read_distributions(prefix, modules)
    return found


def test_it_agrees_with_importlib_on_this_environment():
    ours = {it.name.lower().replace("_", "-"): it.version for it in read_distributions(PREFIX)}
    theirs = {
        it.metadata["Name"].lower().replace("_", "-"): it.version
        for it in metadata.distributions(path=[str(folder) for folder in site_folders(PREFIX)])
    }
    assert ours == theirs


def digest_of(*lines: str) -> str:
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def _is_of_wheel(line: str) -> bool:
    own = ("RECORD,", "INSTALLER,", "REQUESTED,", "direct_url.json,", "uv_cache.json,")
    return "__pycache__/" not in line and not line.startswith("../") and not any(it in line for it in own)


def test_imported_distributions_are_told_from_installed_ones():
    import click
    import msgspec

    modules = {"msgspec": str(msgspec.__file__), "click": str(click.__file__)}
    by_name = {it.name: it for it in read_distributions(PREFIX, modules)}
    assert by_name["msgspec"].imported
    assert by_name["click"].imported
    assert not by_name["pytest"].imported
    record = metadata.distribution("msgspec").read_text("RECORD")
    assert record is not None
    assert by_name["msgspec"].record_sha256 == digest_of(
        *(it for it in record.splitlines() if _is_of_wheel(it))
    )


def test_an_editable_distribution_is_imported_from_where_it_lies():
    import relive

    by_name = {it.name: it for it in read_distributions(PREFIX, {"relive": str(relive.__file__)})}
    found = by_name["relive"]
    assert (found.editable, found.imported, found.origin) == (True, True, "path")


def test_an_environment_is_read_without_starting_its_python(prefix):
    install(prefix, "some-package", {"RECORD": "some/__init__.py,sha256=x,1\n", "INSTALLER": "uv\n"})
    assert only(prefix) == Distribution(
        name="some-package",
        version="1.0",
        record_sha256=digest_of("some/__init__.py,sha256=x,1"),
        origin="index",
    )
    interpreter = read_interpreter(prefix)
    assert interpreter is not None
    assert (interpreter.version, interpreter.implementation) == ("3.10.4", "cpython")
    assert interpreter.executable_sha256 == hashlib.sha256(b"a program").hexdigest()


def test_one_wheel_has_one_digest_whatever_installed_it(prefix, tmp_path):
    wheel = ["thing/__init__.py,sha256=a,1", "thing-1.0.dist-info/METADATA,sha256=b,2"]
    own = {
        "uv": ["../../../bin/tool,sha256=c,3", "thing-1.0.dist-info/INSTALLER,sha256=d,2"],
        "pip": [
            '"../../../bin/odd, tool",sha256=e,3',
            "/usr/bin/tool,sha256=f,3",
            "thing/__pycache__/__init__.cpython-310.pyc,,",
            "__pycache__/thing.cpython-310.pyc,,",
            "thing-1.0.dist-info/REQUESTED,,",
            "thing-1.0.dist-info/direct_url.json,sha256=g,9",
            "thing-1.0.dist-info/RECORD,,",
        ],
    }
    digests = set()
    for installer, lines in own.items():
        place = tmp_path / installer
        install(place, "thing", {"RECORD": "\r\n".join([*lines, *reversed(wheel)]) + "\r\n"})
        digests.add(only(place).record_sha256)
    assert digests == {digest_of(*wheel)}
    install(prefix, "thing", {"RECORD": "\n".join([wheel[0].replace("=a", "=z"), wheel[1]]) + "\n"})
    assert only(prefix).record_sha256 not in digests, "one file that differs"


@pytest.mark.parametrize(
    ("url", "folder"),
    [("", "."), ("/pkg/mine", "pkg/mine"), ("/with%20space", "with space"), ("/../beside", ""), ("x", "")],
)
def test_what_was_installed_from_a_folder_of_the_code_says_which(prefix, tmp_path, url, folder):
    tree = tmp_path / "tree"
    tree.mkdir()
    direct = f'{{"url": "{tree.as_uri()}{url}", "dir_info": {{"editable": true}}}}'
    install(prefix, "mine", {"direct_url.json": direct})
    (found,) = read_distributions(prefix, tree=tree)
    assert (found.folder, found.origin, found.editable) == (folder, "path", True)
    assert only(prefix).folder == "", "without the code nobody can say"


@pytest.mark.parametrize(
    ("files", "origin", "editable"),
    [
        ({"INSTALLER": "pip"}, "index", False),
        ({"INSTALLER": "conda"}, "conda", False),
        ({}, "system", False),
        ({"direct_url.json": '{"url": "file:///src/x", "dir_info": {"editable": true}}'}, "path", True),
        ({"direct_url.json": '{"url": "file:///x.whl", "archive_info": {}}'}, "path", False),
        ({"direct_url.json": '{"url": "https://h/x.whl", "archive_info": {}}'}, "url", False),
        ({"direct_url.json": '{"url": "https://h/x", "vcs_info": {"vcs": "git"}}'}, "vcs", False),
        ({"direct_url.json": "broken", "INSTALLER": "pip"}, "index", False),
        ({"direct_url.json": "[1]", "INSTALLER": "pip"}, "index", False),
        ({"direct_url.json": '{"url": 5, "dir_info": 7}'}, "url", False),
    ],
)
def test_where_a_distribution_came_from(prefix, files, origin, editable):
    install(prefix, "x", files)
    found = only(prefix)
    assert (found.origin, found.editable) == (origin, editable)


@pytest.mark.parametrize(
    ("direct", "address"),
    [
        (
            '{"url": "https://me:s3cret@h/x.git", "vcs_info": {"vcs": "git", "commit_id": "c0ffee"}}',
            "git+https://h/x.git@c0ffee",
        ),
        ('{"url": "ssh://git@h:22/x", "vcs_info": {"vcs": "hg", "commit_id": "1"}}', "hg+ssh://h:22/x@1"),
        ('{"url": "https://s3cret@h/x.whl?sig=s3cret#s3cret", "archive_info": {}}', "https://h/x.whl"),
        ('{"url": "file:///src/x", "dir_info": {"editable": true}}', "file:///src/x"),
        ('{"url": "https://[s3cret", "archive_info": {}}', ""),
        ('{"url": "s3cret", "archive_info": {}}', ""),
        ('{"url": "https://h/x", "vcs_info": 7}', "https://h/x"),
        ("{}", ""),
    ],
)
def test_the_address_that_a_distribution_came_from_is_kept_without_what_is_secret(prefix, direct, address):
    install(prefix, "x", {"direct_url.json": direct})
    found = only(prefix)
    assert found.address == address
    assert "s3cret" not in repr(found)


def test_modules_are_matched_by_file_also_where_names_are_quoted(prefix):
    site = prefix / "lib/python3.10/site-packages"
    install(prefix, "x", {"RECORD": '"odd,name.py",sha256=a,1\nplain/__init__.py,sha256=b,2\n'})
    assert only(prefix, {"odd": str(site / "odd,name.py")}).imported
    assert only(prefix, {"plain": str(site / "plain/__init__.py")}).imported
    assert not only(prefix, {"plain": "/elsewhere/plain/__init__.py"}).imported
    assert not only(prefix, {"other": str(site / "other.py")}).imported


def test_broken_installations_are_passed_over(prefix):
    site = prefix / "lib/python3.10/site-packages"
    (site / "empty-1.0.dist-info").mkdir()
    (site / "binary-1.0.dist-info").mkdir()
    (site / "binary-1.0.dist-info/METADATA").write_bytes(b"\xff\xfe\x00")
    install(prefix, "good", {})
    assert only(prefix).name == "good"


def test_old_forms_of_metadata_are_read(prefix):
    site = prefix / "lib/python3.10/site-packages"
    (site / "folder-1.0.egg-info").mkdir()
    (site / "folder-1.0.egg-info/PKG-INFO").write_text("Name: folder\nVersion: 1.0\n")
    (site / "file-2.0.egg-info").write_text("Name: file\nVersion: 2.0\n")
    assert [(it.name, it.version) for it in read_distributions(prefix)] == [
        ("file", "2.0"),
        ("folder", "1.0"),
    ]


def test_the_first_on_the_path_hides_the_second(prefix, tmp_path):
    install(prefix, "x", {"INSTALLER": "pip"})
    install(prefix, "X", {"INSTALLER": "conda"}, folder="lib64/python3.10/site-packages")
    assert only(prefix).origin == "index"


def test_packages_of_the_system_count_only_where_they_are_seen(tmp_path):
    base = tmp_path / "base"
    install(base, "system-wide", {}, folder="lib/python3.10/site-packages")
    (base / "bin").mkdir()
    own = tmp_path / "own"
    install(own, "own", {})
    for seen, names in (("true", ["own", "system-wide"]), ("false", ["own"])):
        (own / "pyvenv.cfg").write_text(f"home = {base}/bin\ninclude-system-site-packages = {seen}\n")
        assert [it.name for it in read_distributions(own)] == names


def test_a_virtual_environment_made_by_python_is_understood(tmp_path):
    venv.create(tmp_path / "env", with_pip=False)
    interpreter = read_interpreter(tmp_path / "env")
    assert interpreter is not None
    assert interpreter.version == ".".join(map(str, sys.version_info[:3]))
    assert interpreter.executable_sha256 == hashlib.sha256(Path(sys.executable).read_bytes()).hexdigest()
    assert read_distributions(tmp_path / "env") == ()


def test_what_a_process_said_of_its_version_wins(prefix):
    interpreter = read_interpreter(prefix, "3.12.1 (main, Jan 1 2024) [GCC 13]")
    assert interpreter is not None
    assert (interpreter.version, interpreter.build) == ("3.12.1", "(main, Jan 1 2024) [GCC 13]")


def test_a_folder_without_an_interpreter_has_none(tmp_path):
    assert read_interpreter(tmp_path) is None
    assert read_distributions(tmp_path) == ()


def test_only_processes_of_the_environment_say_what_was_imported(tmp_path):
    (tmp_path / "link").symlink_to(PREFIX)

    def process(prefix: object, module: str) -> SpooledProcess:
        start = ProcessStart(format=1, pid=1, prefix=os.fspath(str(prefix)))
        return SpooledProcess(start=start, exit=ProcessExit(modules={module: f"/{module}.py"}), steps=())

    silent = SpooledProcess(start=ProcessStart(format=1, pid=2, prefix=str(PREFIX)), exit=None, steps=())
    processes = [process(PREFIX, "a"), process(tmp_path / "link", "b"), process("/usr", "c"), silent]
    assert imported_modules(processes, PREFIX) == {"a": "/a.py", "b": "/b.py"}
