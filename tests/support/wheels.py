"""Small pure-Python wheels and source distributions, made in a test without any build tool."""

import base64
import hashlib
import io
import tarfile
import zipfile
from pathlib import Path


def make_wheel(
    folder: Path,
    name: str,
    version: str = "1.0",
    *,
    requires: tuple[str, ...] = (),
    tag: str = "py3-none-any",
    body: str = "",
    executable: bool = False,
) -> Path:
    """Write a wheel whose module says its own version, and give its path."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    files = {
        f"{module}/__init__.py": f"VERSION = {version!r}\n{body}",
        f"{info}/METADATA": "\n".join([*lines, *(f"Requires-Dist: {it}" for it in requires)]) + "\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    if executable:
        files[f"{info}/entry_points.txt"] = f"[console_scripts]\n{name}-tool = {module}:main\n"
        files[f"{module}/__init__.py"] += f"def main(): print('{name} tool', VERSION)\n"
    record = "".join(f"{path},sha256={_digest(text)},{len(text)}\n" for path, text in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{module}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for inner, text in files.items():
            # A fixed time, so that the same contents are the same wheel.
            wheel.writestr(zipfile.ZipInfo(inner, (2020, 1, 1, 0, 0, 0)), text)
    return path


def make_sdist(folder: Path, name: str, version: str = "1.0", *, breaks: bool = False) -> Path:
    """Write a source distribution that builds itself with the standard library alone."""
    module = name.replace("-", "_")
    files = project_files(name, version, breaks=breaks)
    files["PKG-INFO"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{module}-{version}.tar.gz"
    with tarfile.open(path, "w:gz") as sdist:
        for inner, text in files.items():
            data = text.encode()
            member = tarfile.TarInfo(f"{module}-{version}/{inner}")
            member.size = len(data)
            sdist.addfile(member, io.BytesIO(data))
    return path


def project_files(name: str, version: str = "1.0", *, breaks: bool = False) -> dict[str, str]:
    """Give the files of a project that is its own build backend, so that nothing is fetched to build it."""
    module = name.replace("-", "_")
    return {
        "pyproject.toml": (
            "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
            f"[project]\nname = '{name}'\nversion = '{version}'\nrequires-python = '>=3.9'\n"
        ),
        "backend.py": _BACKEND.format(name=name, module=module, version=version, breaks=breaks),
        f"{module}/__init__.py": f"VERSION = {version!r}\n",
    }


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


_BACKEND = """
import os, zipfile

def build_wheel(directory, config_settings=None, metadata_directory=None):
    if {breaks}:
        raise SystemExit("the compiler is missing")
    info = "{module}-{version}.dist-info"
    name = "{module}-{version}-py3-none-any.whl"
    files = {{
        "{module}/__init__.py": open("{module}/__init__.py").read(),
        info + "/METADATA": "Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n",
        info + "/WHEEL": "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }}
    files[info + "/RECORD"] = "".join(path + ",,\\n" for path in files) + info + "/RECORD,,\\n"
    with zipfile.ZipFile(os.path.join(directory, name), "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
    return name

def get_requires_for_build_wheel(config_settings=None):
    return []
"""
