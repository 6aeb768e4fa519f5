"""Install wheels into a virtual environment without pip: a wheel is a zip file that says where its parts go.

Source: the binary distribution format (PEP 427 and the packaging specifications).
"""

import configparser
import os
import re
import zipfile
import zlib
from pathlib import Path
from typing import Final

from .contents import ArchiveError, inside

_PYTHON_LINE: Final = re.compile(rb"^#!python\w*[^\r\n]*")
_SCRIPT: Final = """\
#!{python}
import sys
from {module} import {first}
if __name__ == "__main__":
    sys.exit({function}())
"""


def install_wheel(wheel: Path, prefix: Path, site: Path) -> None:
    """Lay out a wheel's files and scripts.

    Args:
        wheel: A verified wheel.
        prefix: Of the environment.
        site: Its site-packages.

    Raises:
        ArchiveError: It is no wheel, or would write elsewhere.
    """
    try:
        with zipfile.ZipFile(wheel) as file:
            infos = [info for info in file.infolist() if not info.is_dir()]
            for info in infos:
                place, is_script = _place(info.filename, prefix, site)
                data = file.read(info)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(_with_python(data, prefix) if is_script else data)
                if is_script or (info.external_attr >> 16) & 0o111:
                    place.chmod(0o755)
            entries = [it for it in infos if it.filename.endswith(".dist-info/entry_points.txt")]
            for info in entries:
                _write_scripts(file.read(info).decode(), prefix)
                _mark(inside(site, info.filename).parent)
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError, configparser.Error) as error:
        raise ArchiveError(f"{wheel.name} cannot be installed: {error}") from error


def _place(name: str, prefix: Path, site: Path) -> tuple[Path, bool]:
    """Say where a file of a wheel goes, and whether it is a script."""
    folder, _, rest = name.partition("/")
    if not folder.endswith(".data"):
        return inside(site, name), False
    kind, _, path = rest.partition("/")
    if kind in ("purelib", "platlib"):
        return inside(site, path), False
    if kind == "scripts":
        return inside(prefix / "bin", path), True
    if kind == "headers":
        return inside(prefix / "include" / "site", f"{folder.partition('-')[0]}/{path}"), False
    return inside(prefix, path), False


def _with_python(data: bytes, prefix: Path) -> bytes:
    return _PYTHON_LINE.sub(b"#!" + os.fsencode(prefix / "bin" / "python"), data, count=1)


def _write_scripts(text: str, prefix: Path) -> None:
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # names of scripts keep their case
    parser.read_string(text)
    for section in ("console_scripts", "gui_scripts"):
        for name, target in parser.items(section) if parser.has_section(section) else ():
            module, _, function = target.partition("[")[0].strip().partition(":")
            place = inside(prefix / "bin", name)
            first = function.partition(".")[0]
            line = _SCRIPT.format(
                python=place.with_name("python"), module=module, first=first, function=function
            )
            place.write_text(line, encoding="utf-8")
            place.chmod(0o755)


def _mark(info: Path) -> None:
    (info / "INSTALLER").write_text("relive\n", encoding="utf-8")
