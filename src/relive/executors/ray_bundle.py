"""What a Ray job brings along: relive's runner and what it stands on, as one package for the cluster.

The cluster's machines need nothing of ours installed, only a Python of the same minor version and platform
as the hub's, because two of the packages are compiled. The package is named by its content, so each version
of the hub uploads it once.
"""

import hashlib
import os
import platform
import threading
import zipfile
from collections.abc import Iterator
from functools import cached_property
from importlib.metadata import distribution
from pathlib import Path
from typing import IO, Final

import relive

START: Final = "relive_start.py"

_DISTRIBUTIONS: Final = ("blake3", "h11", "msgspec", "packaging", "pyyaml", "urllib3", "uv")
# The other side, and what a person runs. The testing folder has the probe that the contract suite launches.
_LEFT_OUT: Final = ("hub", "stores", "services", "forges", "executors", "ports", "cli", "examples")
# Zip files cannot say "no time"; a fixed one keeps equal contents equal.
_TIME: Final = (1980, 1, 1, 0, 0, 0)
_EXECUTABLE: Final = 0o755 << 16
_PLAIN: Final = 0o644 << 16

# Runs on the cluster before anything of relive is there: the standard library of any Python 3 only. With
# `wanted`, the hub's version and machine, it is one file; what was built for others cannot be loaded.
_START_TEXT: Final = '''"""Start one of relive's jobs on a machine of the cluster."""
import os
import platform
import runpy
import shutil
import sys
import tempfile

VERSION, MACHINE = {version!r}, {machine!r}
HERE = os.path.dirname(os.path.abspath(__file__))

if sys.version_info[:2] != VERSION:
    other = shutil.which("python%d.%d" % VERSION)
    if other is None or os.path.realpath(other) == os.path.realpath(sys.executable):
        versions = VERSION + sys.version_info[:2]
        sys.exit("relive's hub runs Python %d.%d, this machine %d.%d: they must be the same" % versions)
    os.execv(other, [other, "-u"] + sys.argv)
if platform.machine() != MACHINE:
    machines = (MACHINE, platform.machine())
    sys.exit("relive's hub runs on %s, this machine is %s: they must be the same" % machines)

order = os.environ.pop("RELIVE_ORDER")
os.environ.pop("RAY_JOB_CONFIG_JSON_ENV_VAR", None)  # it holds the order as well
os.environ.pop("PYTHONPATH", None)  # of Ray's own workers
reading, writing = os.pipe()
os.write(writing, order.encode() + b"\\n")
os.close(writing)
os.dup2(reading, 0)
os.close(reading)

# The package's own folder is shared by all jobs of this machine.
folder = tempfile.mkdtemp(prefix="relive-job-")
os.chdir(folder)
sys.argv = [sys.argv[1]]
try:
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
finally:
    try:
        os.rmdir(folder)
    except OSError:
        pass  # the runner keeps there what the hub did not take
'''


class Bundle:
    """The package; its file is made when it is first needed, and kept.

    Args:
        folder: Where the file lies.
        version: Python's major and minor version that the compiled parts are for.
    """

    def __init__(self, folder: Path, version: tuple[int, int]) -> None:
        self._folder = folder
        self._version = version

    @cached_property
    def name(self) -> str:
        """The package's name, made of its content."""
        digest = hashlib.sha256()
        for name, source, is_executable in self._entries():
            data = source.read_bytes() if isinstance(source, Path) else source
            digest.update(f"{name}\0{len(data)}\0{is_executable}\0".encode() + data)
        return f"_ray_pkg_{digest.hexdigest()[:32]}.zip"

    def prepare(self) -> Path:
        """Make the package's file unless it is there, and give its path.

        Raises:
            PackageNotFoundError: A package that the runner needs is not installed beside the hub.
        """
        path = self._folder / self.name
        if not path.exists():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            partial = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.partial")
            try:
                self._write(partial)
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)
        return path

    def open(self) -> IO[bytes]:
        """Open the package's file; raises as `prepare` does."""
        return open(self.prepare(), "rb")

    def _write(self, path: Path) -> None:
        # The level is the fastest: three quarters of the bytes are uv's, which do not get much smaller.
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for name, source, is_executable in self._entries():
                entry = zipfile.ZipInfo(name, _TIME)
                entry.external_attr = _EXECUTABLE if is_executable else _PLAIN
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, source.read_bytes() if isinstance(source, Path) else source)

    def _entries(self) -> Iterator[tuple[str, Path | bytes, bool]]:
        text = _START_TEXT.format(version=self._version, machine=platform.machine())
        yield START, text.encode(), False
        root = Path(relive.__file__).parent
        for path in sorted(root.rglob("*")):
            relative = path.relative_to(root)
            if path.is_file() and relative.parts[0] not in _LEFT_OUT and _is_wanted(relative):
                yield f"relive/{relative.as_posix()}", path, False
        for name in _DISTRIBUTIONS:
            yield from _distribution(name)


def _distribution(name: str) -> Iterator[tuple[str, Path, bool]]:
    for path in sorted(distribution(name).files or ()):
        located = Path(str(path.locate()))
        if path.name == "uv" and path.parent.name == "bin":
            yield "bin/uv", located, True  # where the package `uv` looks for it, beside its own folder
        elif ".." not in path.parts and _is_wanted(path) and located.is_file():
            yield path.as_posix(), located, False


def _is_wanted(path: Path | os.PathLike[str]) -> bool:
    return "__pycache__" not in Path(path).parts
