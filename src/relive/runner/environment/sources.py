"""Where a package comes from: its file, folder or repository, brought here and verified."""

import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from packaging.pylock import PackageArchive, PackageDirectory, PackageSdist, PackageVcs, PackageWheel
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from relive.errors import EnvironmentFailed
from relive.formats.hashing import READ_BYTES
from relive.runner.environment.download import download
from relive.runner.environment.resolve import Chosen, Resolution, local_path
from relive.runner.environment.uv import without_logins

_GIT_WITHIN_S: Final = 900.0


def filename_of(chosen: Chosen) -> str:
    """Give the name of the file a package is taken from; empty for a folder or a repository."""
    source = chosen.source
    if isinstance(source, PackageWheel | PackageSdist):
        return source.filename
    if isinstance(source, PackageArchive):
        return unquote((source.path or urlsplit(source.url or "").path).rpartition("/")[2])
    return ""


def is_wheel(filename: str) -> bool:
    """Tell whether a file name is that of a wheel."""
    try:
        parse_wheel_filename(filename)
    except InvalidWheelFilename:
        return False
    return True


def bring_source(chosen: Chosen, resolution: Resolution, folder: Path) -> Path:
    """Bring what a package is taken from into a folder, and verify it; give its file or project folder.

    Raises:
        EnvironmentFailed: It cannot be had, or is not what the lock says.
    """
    if isinstance(chosen.source, PackageVcs):
        return _clone(chosen.source, resolution, folder / "clone")
    near = local_path(chosen.source, resolution.folder)
    if isinstance(chosen.source, PackageDirectory):
        return _project(chosen, near or resolution.folder, resolution.source)
    file = folder / filename_of(chosen)
    if near is None:
        download(str(getattr(chosen.source, "url", "")), file, source=resolution.source)
    else:
        _copy(near, file, resolution.source)
    verify(file, chosen.allowed, source=resolution.source)
    return file


def verify(file: Path, allowed: frozenset[str], *, source: str) -> None:
    """Check a file against the hashes that a lock allows; one that names none allows every file.

    Raises:
        EnvironmentFailed: The file is another one.
    """
    # A lock with several algorithms is checked by each: they all speak of the same bytes.
    for algorithm in sorted({it.partition(":")[0] for it in allowed}):
        if algorithm not in hashlib.algorithms_available:
            raise EnvironmentFailed(
                source=source, reason=f"its hashes by {algorithm!r} cannot be checked here"
            )
        with open(file, "rb") as opened:
            actual = hashlib.file_digest(opened, algorithm, _bufsize=READ_BYTES).hexdigest()
        wanted = sorted(it for it in allowed if it.startswith(f"{algorithm}:"))
        if f"{algorithm}:{actual}" not in wanted:
            raise EnvironmentFailed(
                source=source,
                reason=f"{file.name} is not the file that was locked: it hashes to {algorithm}:{actual}, "
                f"locked is {', '.join(wanted)}",
                hint="find out who changed it before you lock again",
            )


def _copy(near: Path, file: Path, source: str) -> None:
    try:
        shutil.copyfile(near, file)
    except OSError as error:
        raise EnvironmentFailed(
            source=source,
            reason=f"it names {near}, which cannot be read here: {error.strerror}",
            hint="use an index or a path inside the repository, which other machines have as well",
        ) from error


def _project(chosen: Chosen, folder: Path, source: str) -> Path:
    subdirectory = getattr(chosen.source, "subdirectory", None) or ""
    project = folder / subdirectory
    if not project.is_dir():
        raise EnvironmentFailed(
            source=source, reason=f"{chosen.name} is the folder {project.name}, which is not in the tree"
        )
    return project


def _clone(vcs: PackageVcs, resolution: Resolution, folder: Path) -> Path:
    """Fetch exactly one commit of a git repository."""
    address = vcs.url or str(resolution.folder / (vcs.path or ""))
    if vcs.type != "git":
        raise EnvironmentFailed(source=resolution.source, reason=f"{vcs.type} repositories cannot be fetched")
    steps = (
        ["git", "init", "--quiet", str(folder)],
        ["git", "-C", str(folder), "fetch", "--quiet", "--depth", "1", "--", address, vcs.commit_id],
        ["git", "-C", str(folder), "checkout", "--quiet", "--detach", "FETCH_HEAD"],
    )
    try:
        for step in steps:
            subprocess.run(
                step, capture_output=True, stdin=subprocess.DEVNULL, timeout=_GIT_WITHIN_S, check=True
            )
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", b"") or str(error).encode()).decode(errors="replace").strip()
        reason = (
            f"{without_logins(address)} at {vcs.commit_id[:12]} cannot be fetched: {without_logins(said)}"
        )
        raise EnvironmentFailed(source=resolution.source, reason=reason) from error
    return folder / (vcs.subdirectory or "")
