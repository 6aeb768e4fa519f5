"""The world of a run: its code and inputs laid out, and the variables that its command sees."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from .contents import Archive, CannotMake, inside
from .repository import lay_repository

# As `relive.runner.variables` passes them on; a test holds the two together.
PASSED_ON: Final = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TERM", "SHELL", "XDG_CACHE_HOME"),
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
        *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
        *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES"),
    }
)
PASSED_ON_PREFIXES: Final = ("LC_", "SSL_", "NVIDIA_")
# What the scripts of a project begin with in the archive, where nobody knows yet where its Python will lie.
SHEBANG: Final = "#!/relive-python"


def lay_tree(archive: Archive, tree: Path, *, has_repository: bool = False) -> str:
    """Lay out code and inputs, and remove what lies in the place of what the run writes.

    Args:
        has_repository: Put a repository of git's around the code, if the run lay in one.

    Returns:
        What is missing of that repository; empty if nothing is.

    Raises:
        ArchiveError: A part is damaged, or not in the archive.
    """
    document = archive.document
    tree.mkdir(parents=True)
    archive.lay(document["code"], tree)
    # An archive that an earlier relive wrote names no commit.
    lack = lay_repository(tree, document.get("repository", {})) if has_repository else ""
    for given in document["inputs"]:
        if given["origin"] != "code":
            archive.lay(given["entries"], tree)
    named = [given["path"] for given in document["inputs"] if given["path"] != "."]
    for path in (*document["outs"], *document["metrics_files"]):
        place = inside(tree, path)
        if any(_overlap(path, other) for other in named):
            continue
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)
    return lack


def working_folder(tree: Path, path: str) -> Path:
    """Give the folder in which the command runs."""
    folder = inside(tree, path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def variables(archive: Archive, folder: Path, prefix: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Give all variables of the command: few of this machine, then those of the record, then the recorder's.

    Args:
        folder: Holds `tree`; the project's layer and the recorder are laid out in it.
        prefix: The environment.

    Raises:
        CannotMake: It needs a secret that is not among this machine's variables.
        ArchiveError: A member is damaged.
    """
    document = archive.document
    passed = {k: v for k, v in environ.items() if k in PASSED_ON or k.startswith(PASSED_ON_PREFIXES)}
    lacking = [name for name in document["secrets"] if name not in environ]
    if lacking:
        raise CannotMake(
            f"it needs the secrets {', '.join(lacking)}, which no record holds: set them as variables"
        )
    secrets = {name: environ[name] for name in document["secrets"]}
    told = {
        **passed,
        "PYTHONUNBUFFERED": "1",
        "GIT_CEILING_DIRECTORIES": str(folder),
        **document["env"],
        **secrets,
    }
    project, programs = _lay_project(archive, folder, prefix), [prefix / "bin"]
    if (folder / "project/bin").is_dir():
        programs.insert(0, folder / "project/bin")
    told["PATH"] = os.pathsep.join([*map(str, programs), told.get("PATH") or os.defpath])
    told["VIRTUAL_ENV"] = str(prefix)
    told.pop("PYTHONHOME", None)
    archive.extract_folder("agent/", folder / "agent")
    spool = folder / "spool"
    spool.mkdir()
    # No empty entry may come to be: Python would take it for the working folder.
    paths = [str(folder / "agent/boot"), *project, *([told["PYTHONPATH"]] if told.get("PYTHONPATH") else [])]
    told |= {"PYTHONPATH": os.pathsep.join(paths), "RELIVE_SPOOL_DIR": str(spool)}
    if document["record"]["digest_steps"]:
        steps = folder / "digest-steps.json"
        archive.extract(document["record"]["digest_steps"], steps)
        told["RELIVE_DIGEST_STEPS"] = str(steps)
    return told


def _lay_project(archive: Archive, folder: Path, prefix: Path) -> list[str]:
    """Lay out the metadata and scripts of the code's own packages; give what goes on the path."""
    layer: dict[str, Any] = archive.document["layer"]
    if not layer["python_path"]:
        return []
    target = folder / "project"
    target.mkdir()
    archive.extract_folder("project/", target)
    for script in (target / "bin").glob("*"):
        text = script.read_text(encoding="utf-8")
        script.write_text(text.replace(SHEBANG, f"#!{prefix / 'bin/python'}", 1), encoding="utf-8")
        script.chmod(0o755)
    return [*(str(inside(folder / "tree", path)) for path in layer["python_path"]), str(target)]


def _overlap(one: str, other: str) -> bool:
    one, other = one.rstrip("/"), other.rstrip("/")
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")
