"""What a Ray job brings along: relive's runner and what it stands on, as one package for the cluster.

The cluster's machines need nothing of ours installed, only a Python of the same minor version and platform
as the hub's, because two of the packages are compiled. The package is named by its content, so each hub
version uploads it once.
"""

import hashlib
import io
import zipfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

import relive
from relive.errors import LaunchFailed

START: Final = "relive_start.py"

_DISTRIBUTIONS: Final = ("blake3", "h11", "msgspec", "packaging", "pyyaml", "urllib3", "uv")
_LEFT_OUT: Final = ("hub", "stores", "services", "forges", "executors", "testing", "cli", "examples")
# Zip files cannot say "no time"; a fixed one keeps equal contents equal.
_TIME: Final = (1980, 1, 1, 0, 0, 0)
_EXECUTABLE: Final = 0o755 << 16
_PLAIN: Final = 0o644 << 16

# Runs on the cluster before anything of relive is there: the standard library of any Python 3 only.
_START_TEXT: Final = '''"""Start one of relive's jobs on a machine of the cluster."""
import os
import runpy
import sys
import tempfile

WANTED = {wanted!r}
HERE = os.path.dirname(os.path.abspath(__file__))

order = os.environ.pop("RELIVE_ORDER")
if sys.version_info[:2] != WANTED:
    versions = WANTED + sys.version_info[:2]
    sys.exit("relive's hub runs Python %d.%d, this machine %d.%d: they must be the same" % versions)
uv = os.path.join(HERE, "bin", "uv")
if os.path.exists(uv):
    os.chmod(uv, 0o755)
    os.environ["PATH"] = os.path.join(HERE, "bin") + os.pathsep + os.environ.get("PATH", "")
os.environ["PYTHONPATH"] = HERE
reading, writing = os.pipe()
os.write(writing, order.encode() + b"\\n")
os.close(writing)
os.dup2(reading, 0)
sys.path.insert(0, HERE)
# The package's own folder is shared by all jobs of this machine.
os.chdir(tempfile.mkdtemp(prefix="relive-job-"))
sys.argv = [sys.argv[1]]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
'''


def build_bundle(wanted: tuple[int, int]) -> tuple[str, bytes]:
    """Make the package; gives its name and its bytes.

    Args:
        wanted: Python's major and minor version that the compiled parts are for.

    Raises:
        LaunchFailed: A package that the runner needs is not installed beside the hub.
    """
    files = dict(_files())
    files[START] = (_START_TEXT.format(wanted=wanted).encode(), False)
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name}\0{len(files[name][0])}\0".encode() + files[name][0])
    return f"_ray_pkg_{digest.hexdigest()[:32]}.zip", _zipped(files)


def _files() -> Iterator[tuple[str, tuple[bytes, bool]]]:
    root = Path(relive.__file__).parent
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        if path.is_file() and relative.parts[0] not in _LEFT_OUT and "__pycache__" not in relative.parts:
            yield f"relive/{relative.as_posix()}", (path.read_bytes(), False)
    for name in _DISTRIBUTIONS:
        yield from _distribution_files(name)


def _distribution_files(name: str) -> Iterator[tuple[str, tuple[bytes, bool]]]:
    try:
        found = distribution(name)
    except PackageNotFoundError as error:
        raise LaunchFailed(
            job="",
            executor="ray",
            reason=f"the package {name} is not installed",
            hint="pip install 'relive[hub]'",
        ) from error
    for path in found.files or ():
        located = Path(str(found.locate_file(path)))
        if path.name == "uv" and ".." in path.parts:
            yield "bin/uv", (located.read_bytes(), True)
        elif ".." not in path.parts and "__pycache__" not in path.parts and located.is_file():
            yield path.as_posix(), (located.read_bytes(), False)


def _zipped(files: dict[str, tuple[bytes, bool]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            data, executable = files[name]
            entry = zipfile.ZipInfo(name, _TIME)
            entry.external_attr = _EXECUTABLE if executable else _PLAIN
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return buffer.getvalue()
