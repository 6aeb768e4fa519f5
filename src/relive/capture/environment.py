"""The Python environment of a run, read from its files: nothing of it is started or imported.

A distribution is described by its `dist-info`; its RECORD lists the hash of every file, so a digest over
those of its wheel stands for all of them, whoever installed it. Source: PEP 376, PEP 610, "Recording
installed projects" of the packaging guide.
"""

import csv
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import msgspec

from relive.core.recipe import Distribution, Interpreter
from relive.formats.hashing import hash_file
from relive.formats.spool import SpooledProcess

# Larger metadata is not read: none that is written by a tool comes near it.
_MOST_BYTES: Final = 16 << 20
# What an installer writes beside the files of the wheel: bytecode, scripts for this place, notes of its own.
_INSTALLERS: Final = re.compile(
    rb'"?(?:\.\./|/|(?:[^,]*/)?__pycache__/'
    rb"|[^,/]*\.dist-info/(?:RECORD|INSTALLER|REQUESTED|direct_url\.json|uv_cache\.json|uv_build\.json),)"
)


def read_interpreter(prefix: Path, start_version: str = "", tree: Path | None = None) -> Interpreter | None:
    """Describe the interpreter of an environment; None if the folder holds none.

    Args:
        prefix: The environment: a virtual environment or an installation.
        start_version: `sys.version` as a process of it reported; without it the files are all there is.
        tree: The code of the run; an environment in it may be named from there.
    """
    program = next((it for name in ("python3", "python") if (it := prefix / "bin" / name).is_file()), None)
    if program is None:
        return None
    settings = _pyvenv(prefix)
    reported = start_version.split(" ", 1)
    version = reported[0] or settings.get("version_info", "") or settings.get("version", "")
    return Interpreter(
        version=re.sub(r"\.(final|candidate|beta|alpha)\.\d+$", "", version) or _version_by_folder(prefix),
        implementation=settings.get("implementation", "").lower() or "cpython",
        executable_sha256=hash_file(program, sha256=True).sha256 or "",
        build=reported[1] if len(reported) > 1 else "",
        places=_places(prefix, tree),
    )


def _places(prefix: Path, tree: Path | None) -> tuple[str, ...]:
    place, top = os.path.abspath(prefix), os.path.abspath(tree or os.sep)
    is_inside = tree is not None and os.path.commonpath([place, top]) == top
    return (place, os.path.relpath(place, top)) if is_inside else (place,)


def read_distributions(
    prefix: Path, modules: Mapping[str, str] | None = None, tree: Path | None = None
) -> tuple[Distribution, ...]:
    """Describe what is installed in an environment, sorted by name.

    Args:
        prefix: The environment: a virtual environment or an installation.
        modules: Imported module to its file, as the hooks report it; says which were imported.
        tree: The code of the run; of what is installed from a folder of it, that is told.
    """
    files = {os.path.realpath(path) for path in (modules or {}).values()}
    found: dict[str, Distribution] = {}
    for folder in site_folders(prefix):
        top = os.path.realpath(folder) + os.sep
        inside = {path.removeprefix(top) for path in files if path.startswith(top)}
        for info in _infos(folder):
            distribution = _describe(info, inside, files, tree)
            if distribution is not None:
                # The first on the path is the one that Python imports.
                found.setdefault(_normal(distribution.name), distribution)
    return tuple(found[name] for name in sorted(found))


def imported_modules(processes: Iterable[SpooledProcess], prefix: Path) -> dict[str, str]:
    """Join what the processes of an environment imported: module to file."""
    joined: dict[str, str] = {}
    for process in processes:
        start, end = process.start, process.exit
        if start and end and os.path.realpath(start.prefix) == os.path.realpath(prefix):
            joined |= end.modules
    return joined


def site_folders(prefix: Path) -> list[Path]:
    """Give the folders of an environment that hold packages, in Python's order."""
    libraries = [prefix / "lib", prefix / "lib64", prefix / "local" / "lib"]
    folders = [
        package
        for library in libraries
        for python in sorted(library.glob("python*"))
        for package in (python / "site-packages", python / "dist-packages")
        if package.is_dir()
    ]
    settings = _pyvenv(prefix)
    if settings.get("include-system-site-packages", "").lower() == "true" and settings.get("home"):
        base = Path(settings["home"]).parent
        if base != prefix:
            folders += site_folders(base)
    seen: dict[str, Path] = {}
    for folder in folders:  # lib64 is a link to lib on many systems
        seen.setdefault(os.path.realpath(folder), folder)
    return list(seen.values())


def _pyvenv(prefix: Path) -> dict[str, str]:
    lines = _read(prefix / "pyvenv.cfg").splitlines()
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {key.strip().lower(): value.strip() for key, _, value in pairs}


def _version_by_folder(prefix: Path) -> str:
    names = sorted(path.name for path in (prefix / "lib").glob("python3.*"))
    return names[-1].removeprefix("python") if names else ""


def _infos(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries)
    for name in names:
        if name.endswith((".dist-info", ".egg-info")):
            yield folder / name


def _describe(info: Path, inside: set[str], files: set[str], tree: Path | None) -> Distribution | None:
    headers = _headers(_read(info / "METADATA") or _read(info / "PKG-INFO") or _read(info))
    name, version = headers.get("name"), headers.get("version")
    if not name or not version:
        return None  # the rest of an installation that was broken off
    record = _read_bytes(info / "RECORD")
    direct = _direct_url(info)
    editable = bool(_part(direct, "dir_info").get("editable"))
    return Distribution(
        name=name,
        version=version,
        record_sha256=_digest_of_files(record) if record else "",
        origin=_origin(direct, _read(info / "INSTALLER").strip()),
        editable=editable,
        imported=_is_listed(record, inside) or (editable and _is_below(direct, files)),
        folder=_folder_in(tree, direct) if tree is not None else "",
        address=_address(direct),
    )


def _digest_of_files(record: bytes) -> str:
    """Digest the lines of a RECORD but an installer's own: equal for one wheel, whatever installed it."""
    lines = sorted(line for line in record.splitlines() if line and not _INSTALLERS.match(line))
    return hashlib.sha256(b"\n".join(lines)).hexdigest()


def _headers(metadata: str) -> dict[str, str]:
    """Read the header lines that name a distribution; the description after them is never looked at."""
    headers: dict[str, str] = {}
    for line in metadata.splitlines():
        if not line:
            break
        key, colon, value = line.partition(":")
        if colon and key in ("Name", "Version"):
            headers.setdefault(key.lower(), value.strip())
    return headers


def _direct_url(info: Path) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(_read(info / "direct_url.json") or "{}")
    except msgspec.MsgspecError:
        return {}
    return document if isinstance(document, dict) else {}


def _part(direct: dict[str, Any], name: str) -> dict[str, Any]:
    part = direct.get(name)
    return part if isinstance(part, dict) else {}


def _origin(direct: dict[str, Any], installer: str) -> str:
    """Say where a distribution came from: "index", "path", "vcs", "url", "conda" or "system"."""
    if "vcs_info" in direct:
        return "vcs"
    if direct:
        return "path" if str(direct.get("url", "")).startswith("file:") else "url"
    if installer == "conda":
        return "conda"
    return "index" if installer else "system"


def _address(direct: dict[str, Any]) -> str:
    """Give where something was fetched from, a repository with its commit; nothing for an index.

    User, password and query are left out: a token stands in one of them, and none of them names the content.
    """
    try:
        url = urlsplit(str(direct.get("url", "")))
    except ValueError:
        return ""  # no address by the rules: what it hides cannot be told
    if not url.scheme:
        return ""
    bare = url._replace(netloc=url.netloc.rpartition("@")[2], query="", fragment="").geturl()
    source = _part(direct, "vcs_info")
    tool, commit = str(source.get("vcs", "")), str(source.get("commit_id", ""))
    return (f"{tool}+" if tool else "") + bare + (f"@{commit}" if commit else "")


def _is_listed(record: bytes, files: set[str]) -> bool:
    """Tell whether a RECORD lists one of these files, given relative to its folder."""
    for line in record.decode(errors="replace").splitlines() if files else ():
        # Quotes stand only around the rare path that has a comma or a quote of its own.
        path = next(csv.reader([line]))[0] if line.startswith('"') else line.partition(",")[0]
        if path in files:
            return True
    return False


def _is_below(direct: dict[str, Any], imported: set[str]) -> bool:
    source = _source_folder(direct)
    return bool(source) and any(path.startswith(source + os.sep) for path in imported)


def _folder_in(tree: Path, direct: dict[str, Any]) -> str:
    """Give the folder of the code that something was installed from, "." for all of it; else nothing."""
    source, top = _source_folder(direct), os.path.realpath(tree)
    is_inside = "dir_info" in direct and source and os.path.commonpath([source, top]) == top
    return os.path.relpath(source, top) if is_inside else ""


def _source_folder(direct: dict[str, Any]) -> str:
    url = str(direct.get("url", ""))
    return os.path.realpath(unquote(urlsplit(url).path)) if url.startswith("file:") else ""


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _read(path: Path) -> str:
    return _read_bytes(path).decode(errors="replace")


def _read_bytes(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_MOST_BYTES)
    except OSError:
        return b""
