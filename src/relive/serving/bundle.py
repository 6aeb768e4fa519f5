"""The folder that carries the serving modules into a model's own environment.

    python -m relive.serving.bundle ROOT     makes it below ROOT if need be and prints its path

The folder is named by the digest of its contents, so one is shared by all models and never changes. Run as
`python FOLDER serve …`; its `__main__.py` moves the folder to the end of `sys.path`, so that whatever the
model's environment has wins over what is bundled.
"""

import argparse
import hashlib
import importlib.metadata
import shutil
import sys
import uuid
from pathlib import Path, PurePosixPath

from relive.serving import AGENT_MODULES

PACKAGE = "relive_serving"
# Pure Python, for every Python from 3.8, and without dependencies of their own.
BUNDLED = ("h11",)
_MAIN = f'''"""Start the serving agent with this folder at the end of the module path."""

import sys

sys.path.append(sys.path.pop(0))

from {PACKAGE}.main import main  # noqa: E402

sys.exit(main())
'''


def build_bundle(root: Path) -> Path:
    """Make the bundle below `root` if it is not there, and give its folder.

    Any number of processes may do so at once; what is damaged is made anew.

    Raises:
        OSError: `root` cannot be written.
    """
    files = _contents()
    target = root / f"serving-{_digest(files)}"
    if _holds(target, files):
        return target
    root.mkdir(parents=True, exist_ok=True)
    partial = root / f".{target.name}.{uuid.uuid4().hex}.partial"
    try:
        for name, content in files.items():
            path = partial / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        _move(partial, target, files)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _contents() -> dict[str, bytes]:
    here = Path(__file__).parent
    files = {f"{PACKAGE}/{name}.py": (here / f"{name}.py").read_bytes() for name in AGENT_MODULES}
    files["__main__.py"] = _MAIN.encode()
    for package in BUNDLED:
        for path in importlib.metadata.files(package) or ():
            # With its metadata and licence, which say whose work it is.
            if _belongs(path, package):
                files[path.as_posix()] = Path(str(path.locate())).read_bytes()
    return dict(sorted(files.items()))


def _belongs(path: PurePosixPath, package: str) -> bool:
    inside = path.parts[0] == package or path.parts[0].endswith(".dist-info")
    of_installer = path.name in ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
    return inside and path.suffix not in (".pyc", ".pyo") and "tests" not in path.parts and not of_installer


def _digest(files: dict[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, content in files.items():
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


def _holds(folder: Path, files: dict[str, bytes]) -> bool:
    """Tell whether the folder is whole; a power cut can leave empty files behind a finished rename."""
    try:
        return all((folder / name).read_bytes() == content for name, content in files.items())
    except OSError:
        return False


def _move(partial: Path, target: Path, files: dict[str, bytes]) -> None:
    try:
        partial.rename(target)
    except OSError:
        if _holds(target, files):  # another process was first
            return
        target.rename(partial.with_suffix(".broken"))
        partial.rename(target)
        shutil.rmtree(partial.with_suffix(".broken"), ignore_errors=True)


def main() -> None:
    """Make the bundle and print its path."""
    parser = argparse.ArgumentParser(prog="python -m relive.serving.bundle", description=build_bundle.__doc__)
    parser.add_argument("root", type=Path, help="folder to make it in")
    sys.stdout.write(f"{build_bundle(parser.parse_args().root)}\n")


if __name__ == "__main__":
    main()
