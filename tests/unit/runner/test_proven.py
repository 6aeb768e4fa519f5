"""An environment is compared with its wheels once, and known by its stamps from then on."""

import base64
import hashlib
import os
import zipfile
from pathlib import Path

import pytest

from relive.core.recipe import LockedPackage
from relive.runner.environment.proven import is_proven, prove
from relive.runner.environment.wheels import Wheel


def wheel(folder: Path, name: str, files: dict[str, str]) -> Wheel:
    path = folder / f"{name}-1.0-py3-none-any.whl"
    rows = [f"{inner},sha256={digest(text)},{len(text)}\n" for inner, text in files.items()]
    with zipfile.ZipFile(path, "w") as opened:
        for inner, text in files.items():
            opened.writestr(inner, text)
        opened.writestr(f"{name}-1.0.dist-info/RECORD", "".join(rows) + f"{name}-1.0.dist-info/RECORD,,\n")
        opened.writestr(f"{name}/_vendor/other-2.0.dist-info/RECORD", "nothing of this wheel")
    package = LockedPackage(name=name, version="1.0", filename=path.name, sha256="", size_bytes=0)
    return Wheel(package, path)


def digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """An environment whose files are links, as an installer makes them."""
    folder = tmp_path / "env/lib/python3.11/site-packages"
    (tmp_path / "cache").mkdir()
    for path, text in {"one.py": "1", "pkg/data.txt": "2", "pkg.data": "4", "shared.py": "mine"}.items():
        kept = tmp_path / "cache" / path.replace("/", "-")
        kept.write_text(text)
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        os.link(kept, folder / path)
    return folder


@pytest.fixture
def wheels(tmp_path: Path) -> list[Wheel]:
    first = {
        "one.py": "1",
        "first-1.0.data/purelib/pkg/data.txt": "2",
        "first-1.0.data/scripts/tool": "#!python",
        "pkg.data": "4",
        "shared.py": "theirs",
    }
    return [wheel(tmp_path, "first", first), wheel(tmp_path, "second", {"shared.py": "mine"})]


def test_what_the_wheels_hold_is_proven_once(tmp_path: Path, site: Path, wheels: list[Wheel]) -> None:
    mark = tmp_path / "marks/env"
    assert not is_proven(tmp_path / "env", mark)
    assert prove(tmp_path / "env", wheels, mark) == []
    assert is_proven(tmp_path / "env", mark)
    # What is made for this place, and what Python compiles, is no link.
    (site / "one.pyc").write_text("compiled")
    assert is_proven(tmp_path / "env", mark)


@pytest.mark.parametrize("path", ["one.py", "pkg/data.txt"])
def test_a_write_to_a_link_is_seen_and_named(
    tmp_path: Path, site: Path, wheels: list[Wheel], path: str
) -> None:
    mark = tmp_path / "mark"
    prove(tmp_path / "env", wheels, mark)
    (site / path).write_text("9")
    assert not is_proven(tmp_path / "env", mark)
    assert prove(tmp_path / "env", wheels, mark) == ["first"]
    assert not is_proven(tmp_path / "env", mark)


def test_a_file_that_is_gone_is_wrong(tmp_path: Path, site: Path, wheels: list[Wheel]) -> None:
    mark = tmp_path / "mark"
    prove(tmp_path / "env", wheels, mark)
    (site / "one.py").unlink()
    assert not is_proven(tmp_path / "env", mark)
    assert prove(tmp_path / "env", wheels, mark) == ["first"]


def test_of_a_path_that_two_packages_have_either_is_right(
    tmp_path: Path, site: Path, wheels: list[Wheel]
) -> None:
    (site / "shared.py").unlink()
    (site / "shared.py").write_text("neither")
    assert prove(tmp_path / "env", wheels, tmp_path / "mark") == ["first", "second"]
