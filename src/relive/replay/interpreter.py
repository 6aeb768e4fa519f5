"""Pack the Python of a run beside it: the program, its standard library, its own shared library.

Not the C library and what else the system brings: it starts on a machine whose libc is as new as this one's.
"""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Final

from relive.errors import EnvironmentFailed
from relive.runner.environment.interpreters import find_interpreter

_QUESTION: Final = """
import json, sys, sysconfig
print(json.dumps([sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"),
                  sysconfig.get_config_var("LIBDIR") or "", sysconfig.get_config_var("INSTSONAME") or ""]))
"""
# Nothing of a run needs them, and they are half of it.
_LEFT_OUT: Final = ("__pycache__", "site-packages", "dist-packages", "test", "tests", "idlelib", "config-*")


def pack_interpreter(version: str, target: Path) -> None:
    """Copy the interpreter of a version into a folder, from where it runs wherever that comes to lie.

    Raises:
        EnvironmentFailed: This machine has none of this version, or it does not run.
    """
    found = find_interpreter(version, source="--with-interpreter")
    if found.version != version:
        raise EnvironmentFailed(source="--with-interpreter", reason=f"this machine has no Python {version}")
    command = [str(found.path), "-I", "-S", "-c", _QUESTION]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    library, platform_library, folder, shared = json.loads(done.stdout)
    minor = ".".join(version.split(".")[:2])
    for source in dict.fromkeys((library, platform_library)):
        place = target / "lib" / f"python{minor}"
        shutil.copytree(source, place, ignore=shutil.ignore_patterns(*_LEFT_OUT), dirs_exist_ok=True)
    (target / "bin").mkdir()
    shutil.copy(found.path.resolve(), target / "bin" / "python3")
    own = Path(folder) / shared
    if ".so" in shared and own.is_file():
        shutil.copy(own.resolve(), target / "lib" / shared)
