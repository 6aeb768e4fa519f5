"""A project whose sources are part of its own environment, as an editable installation has them.

The environment holds wheels only and serves every commit with the same lock, so the checkout's own packages
do not go into it: their sources are put on the path where they lie, with the metadata (version, entry points,
scripts) that an installation would have written beside them.
"""

import os
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relive.formats.locks import LocalProject, local_projects


@dataclass(frozen=True)
class ProjectLayer:
    """What to put before an environment: folders for PYTHONPATH and for PATH."""

    python_path: tuple[Path, ...] = ()
    bin: Path | None = None


def lay_projects(
    tree: Path, lock: str, target: Path, *, python: Path, folders: Iterable[str] = ()
) -> ProjectLayer:
    """Make the layer of a checkout's own packages.

    Args:
        tree: The checkout.
        lock: The lock file that names them, relative to the tree; empty for none.
        target: Folder for their metadata and scripts.
        python: The interpreter that scripts start.
        folders: Further projects, relative to the tree.

    Raises:
        EnvironmentFailed: The lock file cannot be read.
    """
    projects = dict.fromkeys([*(it.path for it in _projects(tree, lock) if it.editable), *folders])
    if not projects:
        return ProjectLayer()
    sources = []
    for project in projects:
        folder = tree / project
        sources.append(folder / "src" if (folder / "src").is_dir() else folder)
        _write_metadata(folder, target, python)
    scripts = target / "bin"
    return ProjectLayer((*sources, target), scripts if scripts.is_dir() else None)


def _projects(tree: Path, lock: str) -> list[LocalProject]:
    def read(path: str) -> bytes | None:
        file = tree / path
        return file.read_bytes() if file.is_file() else None

    return local_projects(lock, read) if lock and (tree / lock).is_file() else []


def _write_metadata(folder: Path, target: Path, python: Path) -> None:
    """Write what an installation records; a project that says nothing of itself has none."""
    project = _project_table(folder)
    if not project.get("name"):
        return
    name = str(project["name"]).replace("-", "_").replace(".", "_")
    # A version that only a build knows: any is better than none, and this one says so.
    version = str(project.get("version", "0+source"))
    info = target / f"{name}-{version}.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {version}\n", encoding="utf-8"
    )
    groups: dict[str, dict[str, str]] = {
        "console_scripts": project.get("scripts", {}),
        "gui_scripts": project.get("gui-scripts", {}),
        **project.get("entry-points", {}),
    }
    lines = [
        f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in group_of.items())
        for group, group_of in groups.items()
        if group_of
    ]
    (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    for script, entry in groups["console_scripts"].items():
        _write_script(target / "bin" / os.path.basename(script), entry, python)


def _write_script(path: Path, entry: str, python: Path) -> None:
    module, _, function = entry.partition(":")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"#!{python}\nimport importlib, operator, sys\n"
        f"sys.exit(operator.attrgetter({function!r})(importlib.import_module({module!r}))())\n",
        encoding="utf-8",
    )
    path.chmod(0o755)


def _project_table(folder: Path) -> dict[str, Any]:
    try:
        document = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return {}  # a setup.py alone says nothing that can be read without running it
    table: dict[str, Any] = document.get("project", {})
    return table
