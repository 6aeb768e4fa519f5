"""Lay out the agent: the folders that go into a user's interpreter, named by the digest of what they hold.

TARGET/DIGEST/boot/sitecustomize.py     first on PYTHONPATH
TARGET/DIGEST/agent/relive_hooks/…      what the boot puts last on sys.path
TARGET/DIGEST/agent/relive/__init__.py  `import relive` where the user's environment has none
"""

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from relive.capture import hooks
from relive.capture.hooks.schedule import DIGEST_STEPS
from relive.capture.hooks.spool import SPOOL_DIR
from relive.formats.hashing import document_digest

# As little as possible, because a script may see another version of relive or none.
_FACE = '''"""relive, as a script sees it that relive runs: what it logs goes to the runner."""

from relive_hooks.facade import Run, config, finish, init, log, log_artifact, step, summary
from relive_hooks.media import Audio, File, Histogram, Image, Plot, Table, Text


def __getattr__(name):
    if name in ("Client", "dataset", "use_dataset"):
        raise AttributeError(f"relive.{name} is not yet supported where relive itself is not installed")
    raise AttributeError(f"module 'relive' has no attribute {name!r}")
'''


@dataclass(frozen=True)
class AgentPaths:
    """Where an agent lies.

    Attributes:
        boot: The folder for PYTHONPATH.
        agent: The folder that the boot puts last on sys.path.
        digest: Of everything in both.
    """

    boot: Path
    agent: Path
    digest: str


def install_agent(target: Path) -> AgentPaths:
    """Lay the agent out below a folder, whole or not at all; what is there already is used.

    Args:
        target: Shared by all versions; each has a folder of its own in it.

    Raises:
        OSError: The folder cannot be written.
    """
    files = _agent_files()
    digest = document_digest({path: data.decode() for path, data in files.items()})
    home = target / digest.removeprefix("blake3:")[:20]
    if not _is_complete(home, files):
        _replace(home, files)
    return AgentPaths(boot=home / "boot", agent=home / "agent", digest=digest)


def agent_environment(
    paths: AgentPaths, spool: Path, environ: Mapping[str, str], *, digest_steps: Path | None = None
) -> dict[str, str]:
    """Give the environment of a command whose Pythons are to be recorded.

    Args:
        spool: Folder for the records; must exist.
        environ: What the command would have had; not changed.
        digest_steps: Plan of a replay, from `formats.trajectory.write_digest_steps`.
    """
    boot = str(paths.boot)
    rest = environ.get("PYTHONPATH", "")
    # No empty entry may come to be: Python would take it for the working folder.
    recorded = {**environ, "PYTHONPATH": f"{boot}{os.pathsep}{rest}" if rest else boot, SPOOL_DIR: str(spool)}
    recorded.pop(DIGEST_STEPS, None)
    if digest_steps is not None:
        recorded[DIGEST_STEPS] = str(digest_steps)
    return recorded


def _agent_files() -> dict[str, bytes]:
    sources = Path(hooks.__file__).parent
    files = {f"agent/relive_hooks/{name}": (sources / name).read_bytes() for name in hooks.AGENT_FILES}
    files[f"boot/{hooks.BOOT_FILE}"] = (sources / hooks.BOOT_FILE).read_bytes()
    files["agent/relive/__init__.py"] = _FACE.encode()
    return files


def _is_complete(home: Path, files: Mapping[str, bytes]) -> bool:
    try:
        return all((home / path).read_bytes() == data for path, data in files.items())
    except OSError:
        return False


def _replace(home: Path, files: Mapping[str, bytes]) -> None:
    home.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=home.parent, prefix=".partial."))
    try:
        for path, data in files.items():
            (partial / path).parent.mkdir(parents=True, exist_ok=True)
            (partial / path).write_bytes(data)
        for folder in (partial, *(path for path in partial.rglob("*") if path.is_dir())):
            folder.chmod(0o755)  # a sandboxed command may run as someone else
        _take_name(partial, home, files)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _take_name(partial: Path, home: Path, files: Mapping[str, bytes]) -> None:
    try:
        partial.rename(home)
    except OSError:
        if _is_complete(home, files):
            return  # another process was faster
        damaged = partial.with_name(f"{partial.name}.damaged")
        home.rename(damaged)
        shutil.rmtree(damaged, ignore_errors=True)
        partial.rename(home)
