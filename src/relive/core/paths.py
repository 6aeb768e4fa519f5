"""Paths as a relive.yaml names them, and which of them lie in one another.

A planned stage holds every path relative to the root of the checkout, whatever its `wdir` is, so that the out
of one stage and the dep of another can be compared as text.
"""

import posixpath
from collections.abc import Iterator

from relive.errors import InvalidInput

ROOT = "."


def rooted(path: str, wdir: str = ROOT) -> str:
    """Give a path of a stage relative to the checkout: no "./", no "..", no slash at its end.

    Raises:
        InvalidInput: It leaves the repository, lies in `.git`, or is no path at all.
    """
    if not path or "\0" in path or "\n" in path or path.startswith("/"):
        raise InvalidInput(field="path", value=path, wanted="a path relative to the repository, on one line")
    whole = posixpath.normpath(posixpath.join(wdir, path))
    first = whole.split("/", 1)[0]
    if first == "..":
        raise InvalidInput(field="path", value=path, wanted="a path inside the repository")
    if first == ".git":
        raise InvalidInput(field="path", value=path, wanted="a path outside .git, which belongs to git")
    return whole


def folders_of(path: str) -> Iterator[str]:
    """Give the folders that a rooted path lies in, the innermost first, without the root."""
    folder = posixpath.dirname(path)
    while folder:
        yield folder
        folder = posixpath.dirname(folder)


def is_within(path: str, folder: str) -> bool:
    """Tell whether a rooted path is this one or lies in it."""
    return folder in (path, ROOT) or path.startswith(f"{folder}/")


def overlap(one: str, other: str) -> bool:
    """Tell whether one of two rooted paths is the other or lies in it."""
    return is_within(one, other) or is_within(other, one)
