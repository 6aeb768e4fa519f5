"""Packages of the operating system: from the real lists where there are some, and from written ones."""

import shutil
import subprocess
from pathlib import Path

import pytest

from relive.capture.libraries import library_paths, read_libraries
from relive.capture.system_packages import packages_of, unread_manager
from tests.conftest import require

STATUS = """Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u7

Package: libgomp1
Architecture: amd64
Version: 12.2.0-14

Package: libgomp1
Architecture: i386
Version: 12.2.0-13
"""
LISTS = {
    "libc6:amd64": "/.\n/lib\n/lib/x86_64-linux-gnu/libc.so.6\n/usr/share/doc/libc6\n",
    "libgomp1:amd64": "/usr/lib/x86_64-linux-gnu/libgomp.so.1.0.0\n",
    "libgomp1:i386": "/usr/lib/i386-linux-gnu/libgomp.so.1.0.0\n",
    "gone": "/usr/lib/libgone.so.1\n",
    "docs": "/usr/share/doc/a\n",
}
APK = """C:Q1=
P:musl
V:1.2.5-r0
F:lib
R:ld-musl-x86_64.so.1
F:lib/apk

P:zlib
V:1.3.1-r1
F:usr/lib
R:libz.so.1.3.1
"""


def dpkg(root: Path) -> Path:
    info = root / "var/lib/dpkg/info"
    info.mkdir(parents=True)
    (info.parent / "status").write_text(STATUS)
    for name, files in LISTS.items():
        (info / f"{name}.list").write_text(files)
    (info / "libc6:amd64.md5sums").write_text("/lib/x86_64-linux-gnu/libc.so.6\n")
    return root


def apk(root: Path) -> Path:
    (root / "lib/apk/db").mkdir(parents=True)
    (root / "lib/apk/db/installed").write_text(APK)
    return root


def test_a_library_belongs_to_the_package_that_lists_it(tmp_path: Path) -> None:
    files = [
        "/usr/lib/x86_64-linux-gnu/libc.so.6",  # listed in /lib, where it lay before the two became one
        "/usr/lib/x86_64-linux-gnu/libgomp.so.1.0.0",
        "/usr/lib/i386-linux-gnu/libgomp.so.1.0.0",
        "/usr/lib/libgone.so.1",
        "/usr/lib/libnobodys.so.1",
        "/srv/venv/lib/libown.so",
    ]
    assert packages_of(files, dpkg(tmp_path)) == {
        files[0]: "libc6 2.36-9+deb12u7",
        files[1]: "libgomp1 12.2.0-14",
        files[2]: "libgomp1 12.2.0-13",
        files[3]: "gone",  # what the lists say of it has no version
    }


def test_alpine_names_files_by_their_folder(tmp_path: Path) -> None:
    files = ["/lib/ld-musl-x86_64.so.1", "/usr/lib/libz.so.1.3.1", "/usr/lib/libssl.so.3"]
    assert packages_of(files, apk(tmp_path)) == {files[0]: "musl 1.2.5-r0", files[1]: "zlib 1.3.1-r1"}


@pytest.mark.parametrize("damage", ["nothing", "a folder for a list", "no text"])
def test_lists_that_cannot_be_read_name_no_package(tmp_path: Path, damage: str) -> None:
    if damage == "a folder for a list":
        (dpkg(tmp_path) / "var/lib/dpkg/info/x.list").mkdir()
    if damage == "no text":
        place = apk(tmp_path) / "lib/apk/db/installed"
        place.write_bytes(b"\xff\xfe\x00" * 1000)
    assert packages_of(["/lib/x86_64-linux-gnu/libc.so.6"], tmp_path) == {}


def test_a_manager_whose_lists_are_not_read_is_named(tmp_path: Path) -> None:
    assert unread_manager(tmp_path) == ""
    (tmp_path / "usr/lib/sysimage/rpm").mkdir(parents=True)
    assert unread_manager(tmp_path) == "RPM"
    assert unread_manager(dpkg(tmp_path)) == ""


def test_the_libraries_of_this_process_are_those_that_dpkg_names() -> None:
    require(shutil.which("dpkg-query") is not None, "dpkg is not here: this is no Debian or Ubuntu")
    with open("/proc/self/maps") as maps:
        found = [it for it in read_libraries(library_paths(maps)) if it.package]
    names = {it.package.split(" ")[0] for it in found}
    assert "libc6" in names
    asked = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${Package} ${Version}\n", *sorted(names)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert {it.package for it in found} <= set(asked.stdout.splitlines())
