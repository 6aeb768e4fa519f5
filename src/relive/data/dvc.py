"""Data that a DVC repository tracks: `.dvc` files and `dvc.lock`, with bytes of the work tree or its cache.

Source: https://dvc.org/doc/user-guide/project-structure, DVC 2 and 3
"""

import hashlib
import json
import os
import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from relive.errors import InvalidInput, NotFound

_READ_BYTES: Final = 1 << 20
_DIR: Final = ".dir"
_LOCK: Final = "dvc.lock"


class Tracked(NamedTuple):
    """A file that DVC tracks: its path relative to the repository, and its MD5."""

    path: str
    md5: str


def is_dvc(path: Path) -> bool:
    """Tell whether a file says what DVC tracks."""
    return path.is_file() and (path.suffix == ".dvc" or path.name == _LOCK)


def lay_tracked(file: Path, target: Path) -> list[Tracked]:
    """Lay out what a `.dvc` file or a `dvc.lock` tracks, as hard links or copies, each with the right MD5.

    Args:
        file: It.
        target: An empty folder.

    Raises:
        InvalidInput: It is no such file.
        NotFound: Bytes are neither in the work tree nor in DVC's cache: `dvc pull` brings them.
    """
    root = _root_of(file)
    found = list(_tracked(file, root))
    for item in found:
        source = _find(item, root)
        place = target / item.path
        place.parent.mkdir(parents=True, exist_ok=True)
        _place(source, place)
    return found


def _tracked(file: Path, root: Path) -> Iterator[Tracked]:
    base = posixpath.normpath(file.parent.resolve().relative_to(root).as_posix())
    for out in _outs(file):
        path, md5 = out.get("path"), out.get("md5")
        if not isinstance(path, str) or not isinstance(md5, str):
            continue  # made anew by each run, or kept elsewhere: DVC has no bytes of it
        place = posixpath.normpath(posixpath.join(base, path))
        if place.startswith(("..", "/")):
            raise InvalidInput(field="path", value=path, wanted="a path inside the repository")
        if md5.endswith(_DIR):
            yield from _folder(Tracked(place, md5), root)
        else:
            yield Tracked(place, md5)


def _outs(file: Path) -> list[dict[str, Any]]:
    try:
        document = yaml.safe_load(file.read_bytes())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise _no_dvc(file, str(error)) from error
    if not isinstance(document, dict):
        raise _no_dvc(file, "a mapping with `outs`")
    if file.name == _LOCK:
        stages = document.get("stages") or {}
        lists = [stage.get("outs") for stage in stages.values() if isinstance(stage, dict)]
    else:
        lists = [document.get("outs")]
    return [out for some in lists if isinstance(some, list) for out in some if isinstance(out, dict)]


def _folder(folder: Tracked, root: Path) -> Iterator[Tracked]:
    """Read the list of a folder's files, which lies in the cache."""
    listed = _in_cache(folder.md5, root)
    if listed is None:
        raise _not_there(folder)
    for item in json.loads(listed.read_bytes()):
        path = posixpath.normpath(posixpath.join(folder.path, item["relpath"]))
        if not path.startswith(f"{folder.path}/"):
            raise InvalidInput(field="relpath", value=item["relpath"], wanted=f"a path in {folder.path}")
        yield Tracked(path, item["md5"])


def _find(item: Tracked, root: Path) -> Path:
    for place in (root / item.path, _in_cache(item.md5, root)):
        if place is not None and place.is_file() and _md5(place) == item.md5:
            return place
    raise _not_there(item)


def _in_cache(md5: str, root: Path) -> Path | None:
    """Give an object of DVC's cache: DVC 3 keeps it below `files/md5`, DVC 2 did not."""
    cache = root / ".dvc" / "cache"
    names = (cache / "files" / "md5" / md5[:2] / md5[2:], cache / md5[:2] / md5[2:])
    return next((path for path in names if path.is_file()), None)


def _root_of(file: Path) -> Path:
    for folder in file.resolve().parents:
        if (folder / ".dvc").is_dir():
            return folder
    raise NotFound(kind="DVC repository around", name=str(file), hint="it has a folder .dvc")


def _place(source: Path, place: Path) -> None:
    try:
        os.link(source, place)
    except OSError:  # another file system, or one without links
        place.write_bytes(source.read_bytes())


def _md5(path: Path) -> str:
    hasher = hashlib.md5(usedforsecurity=False)  # noqa: TID251 - DVC's own name of the bytes
    with open(path, "rb") as file:
        while data := file.read(_READ_BYTES):
            hasher.update(data)
    return hasher.hexdigest()


def _not_there(item: Tracked) -> NotFound:
    return NotFound(kind="file that DVC tracks", name=item.path, hint="dvc pull")


def _no_dvc(file: Path, wanted: str) -> InvalidInput:
    return InvalidInput(field="DVC file", value=str(file), wanted=wanted)
