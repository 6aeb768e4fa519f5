"""The exact code that a run by hand runs: every file of the folder as it lies there, committed or not.

What must not be stored is named with the reason and left out: ignored files, secrets, links that lead out of
the tree, large files that nobody tracks. Nothing is read here but what needs a digest; the caller stores the
files (`formats.manifest_io.read_manifest`, `client.blobs`).
"""

import os
import posixpath
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from relive.capture.secrets import secret_file
from relive.capture.worktree import WorkTree, find_root, read_worktree
from relive.core.recipe import Code, Uncommitted
from relive.errors import InvalidInput
from relive.formats.hashing import hash_file

LARGEST_UNTRACKED_BYTES: Final = 50 << 20
# Outside git nothing says where a project ends; a home folder is none.
MOST_FILES: Final = 20_000
MOST_WITHHELD: Final = 1000
MOST_UNCOMMITTED: Final = 100

# Outside git: what tools make and can make again, and what belongs to other programs.
_IGNORED_FOLDERS: Final = frozenset(
    {
        *(".git", ".hg", ".svn", "node_modules", "__pycache__", ".tox", ".nox"),
        *(".mypy_cache", ".ruff_cache", ".pytest_cache", ".ipynb_checkpoints", ".cache", ".idea", ".vscode"),
        *("mlruns", "wandb", ".dvc", ".relive"),
    }
)
# Tools make them of the code itself, by running it: whether they are there yet is no input.
_MADE_OF_CODE: Final = frozenset(
    ("__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".ipynb_checkpoints")
)
_IGNORED_ENDINGS: Final = (".pyc", ".pyo", ".swp", "~", ".DS_Store", ".egg-info")


@dataclass(frozen=True)
class SourceFile:
    """One file, or one link within the tree.

    Attributes:
        path: Relative to the snapshot's root, with `/` between the names.
        source: Where it lies.
        link: Where a link points; None for a file.
    """

    path: str
    source: Path
    size_bytes: int = 0
    executable: bool = False
    link: str | None = None


@dataclass(frozen=True)
class CodeSnapshot:
    """The code of a run by hand.

    Attributes:
        root: What paths are relative to: the root of the work tree, or the folder itself outside git.
        workdir: The folder that was asked for, relative to the root.
        files: To store, sorted by path.
        commit: Empty outside git, and before the first commit.
        dirty: The files differ from the commit.
        pushed: Whether a remote is known to have the commit.
        submodules: Path to the commit that is checked out there.
        withheld: Path to the reason why it is not stored.
        uncommitted: What is in no commit; paths relative to the root.
    """

    root: Path
    workdir: str
    files: tuple[SourceFile, ...]
    commit: str = ""
    branch: str = ""
    remote: str = ""
    dirty: bool = False
    pushed: bool = False
    submodules: dict[str, str] = field(default_factory=dict)
    withheld: dict[str, str] = field(default_factory=dict)
    uncommitted: Uncommitted = field(default_factory=Uncommitted)

    def code(self, manifest: str) -> Code:
        """Make the recipe's part, once the files are stored under this manifest digest."""
        return Code(
            manifest=manifest,
            commit=self.commit,
            branch=self.branch,
            remote=self.remote,
            dirty=self.dirty,
            submodules=self.submodules,
            withheld=self.withheld,
        )


def snapshot_code(folder: Path) -> CodeSnapshot:
    """Say which files make up the code in a folder, and where it stands in git.

    Raises:
        InvalidInput: The folder is outside git and holds too much to be a project, or it is no folder.
        GitFailed: Git cannot read the work tree.
    """
    folder = Path(os.path.realpath(folder))
    if not folder.is_dir():
        raise InvalidInput(field="folder", value=str(folder), wanted="a folder that exists")
    root = find_root(folder)
    sorter = _Sorter(root or folder)
    if root is None:
        sorter.add(_walk(folder, sorter), tracked=False)
        files, withheld = sorter.result()
        return CodeSnapshot(root=folder, workdir=".", files=files, withheld=withheld)
    tree = read_worktree(root)
    dirty = _add_worktree(sorter, tree, "")
    files, withheld = sorter.result()
    return CodeSnapshot(
        root=root,
        workdir=folder.relative_to(root).as_posix(),
        files=files,
        commit=tree.commit,
        branch=tree.branch,
        remote=tree.remote,
        dirty=dirty,
        pushed=tree.pushed,
        submodules=sorter.submodules,
        withheld=withheld,
        uncommitted=sorter.uncommitted(),
    )


def _add_worktree(sorter: "_Sorter", tree: WorkTree, prefix: str) -> bool:
    """Add the files of a work tree and of its submodules; say whether any differs from its commit."""
    sorter.add((prefix + path for path in tree.tracked), tracked=True)
    untracked = (prefix + path for path in tree.untracked)
    new = [path for path in untracked if not _is_made_of_code(path)]
    sorter.add(new, tracked=False)
    sorter.note(tree, prefix, new)
    for path in tree.ignored:
        if not _is_made_of_code(path):
            sorter.withhold(prefix + path.rstrip("/"), "ignored by git")
    dirty = tree.dirty
    for path, wanted in tree.submodules.items():
        place = tree.root / path
        if not (place / ".git").exists():
            sorter.submodules[prefix + path] = wanted
            sorter.withhold(prefix + path, "submodule that is not checked out")
            continue
        inner = read_worktree(place)
        sorter.submodules[prefix + path] = inner.commit
        dirty |= _add_worktree(sorter, inner, f"{prefix}{path}/") or inner.commit != wanted
    return dirty


class _Sorter:
    """Sort what lies in a tree into files to store and paths to name only."""

    def __init__(self, root: Path) -> None:
        self.submodules: dict[str, str] = {}
        self._root = root
        self._files: dict[str, SourceFile] = {}
        self._withheld: dict[str, str] = {}
        self._plain_folders: dict[str, bool] = {"": True}
        self._uncommitted: dict[str, list[str]] = {"staged": [], "unstaged": [], "untracked": []}

    def withhold(self, path: str, reason: str) -> None:
        """Name a path with the reason why it is not stored."""
        # A name that is not UTF-8 is shown with its bytes escaped.
        self._withheld[path.encode("utf-8", "backslashreplace").decode()] = reason

    def add(self, paths: Iterable[str], *, tracked: bool) -> None:
        """Sort paths relative to the root; those that are gone are left out."""
        for path in paths:
            reason = _unfit_name(path)
            if not reason and self._is_plain_folder(posixpath.dirname(path)):
                reason = self._take(path, tracked=tracked)
            if reason:
                self.withhold(path.rstrip("/"), reason)

    def note(self, tree: WorkTree, prefix: str, untracked: Iterable[str]) -> None:
        """Note what of a work tree is in no commit."""
        for name, paths in (("staged", tree.staged), ("unstaged", tree.unstaged), ("untracked", untracked)):
            whole = (prefix + path for path in paths)
            self._uncommitted[name] += [it.encode("utf-8", "backslashreplace").decode() for it in whole]

    def uncommitted(self) -> Uncommitted:
        """Give what was noted, sorted; of very many the first."""
        return Uncommitted(**{name: _first(paths) for name, paths in self._uncommitted.items()})

    def result(self) -> tuple[tuple[SourceFile, ...], dict[str, str]]:
        """Give the files to store, and what is withheld, both sorted."""
        self._withhold_loose_links()
        names = sorted(self._withheld)
        kept = {name: self._withheld[name] for name in names[:MOST_WITHHELD]}
        if len(names) > MOST_WITHHELD:
            kept["…"] = f"{len(names) - MOST_WITHHELD} more"
        return tuple(self._files[path] for path in sorted(self._files)), kept

    def _take(self, path: str, *, tracked: bool) -> str:
        place = self._root / path
        try:
            found = os.lstat(place)
        except (FileNotFoundError, NotADirectoryError):
            return ""  # deleted: the run does not see it either
        if stat.S_ISLNK(found.st_mode):
            return self._take_link(path, place)
        if not stat.S_ISREG(found.st_mode):
            return "neither a file nor a link"
        if not tracked and found.st_size > LARGEST_UNTRACKED_BYTES:
            digest = hash_file(place).digest
            return f"untracked, {found.st_size >> 20} MiB, {digest}; keep it by: relive run --dep {path}"
        executable = bool(found.st_mode & stat.S_IXUSR)
        self._files[path] = SourceFile(path, place, found.st_size, executable)
        return ""

    def _take_link(self, path: str, place: Path) -> str:
        target = os.readlink(place)
        names = target.split("/")
        up = next((index for index, name in enumerate(names) if name != ".."), len(names))
        if target.startswith("/") or up > path.count("/") or ".." in names[up:]:
            return f"link to {target}, which may lead out of the tree; not followed"
        self._files[path] = SourceFile(path, place, link=target)
        return ""

    def _withhold_loose_links(self) -> None:
        """Withhold links to what is withheld or gone: whoever follows one would store what must not be."""
        loose = True
        while loose:  # a link to a withheld link becomes loose in the next round
            folders = {"."} | {folder for path in self._files for folder in _folders(path)}
            loose = False
            for path, file in list(self._files.items()):
                if file.link is None:
                    continue
                target = posixpath.normpath(posixpath.join(posixpath.dirname(path), file.link))
                if target not in self._files and target not in folders:
                    del self._files[path]
                    self.withhold(path, f"link to {file.link}, which is not stored")
                    loose = True

    def _is_plain_folder(self, folder: str) -> bool:
        """Tell whether no part of a folder's path is a link: behind one lies another tree."""
        known = self._plain_folders.get(folder)
        if known is None:
            parent = self._is_plain_folder(posixpath.dirname(folder))
            known = self._plain_folders[folder] = parent and not (self._root / folder).is_symlink()
        return known


def _first(paths: list[str]) -> tuple[str, ...]:
    more = len(paths) - MOST_UNCOMMITTED
    return (*sorted(paths)[:MOST_UNCOMMITTED], *((f"… {more} more",) if more > 0 else ()))


def _unfit_name(path: str) -> str:
    """Say why a path is not stored whatever it holds; empty if its name gives no reason."""
    if path.endswith("/"):
        return "a git repository of its own"
    try:
        path.encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    return secret_file(path)


def _folders(path: str) -> Iterator[str]:
    while path := posixpath.dirname(path):
        yield path


def _walk(folder: Path, sorter: _Sorter) -> Iterator[str]:
    """Name the files of a folder outside git, without what tools make."""
    count = 0
    for top, folders, files in os.walk(folder):
        here = Path(top).relative_to(folder).as_posix()
        prefix = "" if here == "." else f"{here}/"
        for name in [name for name in folders if _is_ignored(top, name)]:
            folders.remove(name)
            if not _is_made_of_code(name):
                sorter.withhold(prefix + name, "ignored by default")
        linked = [name for name in folders if os.path.islink(os.path.join(top, name))]
        for name in sorted([*files, *linked]):
            if name.endswith(_IGNORED_ENDINGS):
                continue
            count += 1
            if count > MOST_FILES:
                _refuse(folder)
            yield prefix + name


def _is_made_of_code(path: str) -> bool:
    parts = path.rstrip("/").split("/")
    return not _MADE_OF_CODE.isdisjoint(parts) or parts[-1].endswith((".pyc", ".pyo"))


def _is_ignored(top: str, name: str) -> bool:
    if name in _IGNORED_FOLDERS or name.endswith(_IGNORED_ENDINGS):
        return True
    return os.path.isfile(os.path.join(top, name, "pyvenv.cfg"))  # a virtual environment, however named


def _refuse(folder: Path) -> None:
    raise InvalidInput(
        field="folder",
        value=str(folder),
        wanted=f"at most {MOST_FILES} files outside git",
        hint="run it in the project's own folder, or: git init",
    )
