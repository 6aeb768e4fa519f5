"""What `relive init` sees in a repository. Looks at files, runs nothing."""

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from relive.errors import InvalidInput
from relive.formats.params_file import read_params

_LARGEST = 1 << 20  # beyond this a file is no script, and a lock need not be looked into
_LOCKS = ("uv.lock", "pylock.toml", "requirements.txt")
OTHER_LOCKS = {
    "poetry.lock": "poetry export -o requirements.txt",
    "Pipfile.lock": "pipenv requirements > requirements.txt",
    "environment.yml": "pip freeze > requirements.txt",
    "environment.yaml": "pip freeze > requirements.txt",
    "pyproject.toml": "uv lock",
    "setup.py": "uv pip compile setup.py -o requirements.txt --generate-hashes",
    "requirements.in": "uv pip compile requirements.in -o requirements.txt --generate-hashes",
}
_SCRIPTS = ("train.py", "train_model.py", "training.py")
_SCRIPT_FOLDERS = ("", "src/", "scripts/", "training/", "src/*/", "*/")
# What lies there is a copy of something, or another's.
_NOT_OURS = frozenset({"build", "dist", "env", "node_modules", "site-packages", "test", "tests", "venv"})
_IMPORT = re.compile(r"^(?:import|from)[ \t]+([A-Za-z_]\w*)", re.MULTILINE)
_PARAMS = ("params.yaml", "params.yml", "params.json", "params.toml")
_MORE_IS_BETTER = (
    "accuracy",
    "val_accuracy",
    "test_accuracy",
    "balanced_accuracy",
    "f1",
    "roc_auc",
    "auc",
    "r2",
)
LESS_IS_BETTER = ("rmse", "mae", "mse", "log_loss", "val_loss", "test_loss")

_FEW = 3
_SAFE_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]*")
_VERSION = re.compile(r"[0-9]+(?:\.[0-9]+){0,2}")
_METRICS = re.compile(r"""["']((?:[\w.-]+/)*[\w-]*metrics[\w-]*\.(?:json|yaml|yml|csv))["']""")
_MODEL = re.compile(r"""["']((?:models?|artifacts?)/|models?(?=["'])|[\w./-]+/models?(?=/|["']))""")
_EXAMPLE = re.compile(r"""["']((?:[\w.-]+/)*(?:examples?|rows|sample)[\w/.-]*\.(?:csv|json|npz))["']""")


@dataclass(frozen=True)
class Detected:
    """What was found; empty text for what was not.

    Attributes:
        lock: The lock file.
        other_lock: A file that says which packages, but is no lock that relive reads.
        python: Python's version, from `.python-version`.
        tests: Folder of the tests, or "." if they lie at the top.
        has_pytest: Whether the lock holds pytest.
        train: The command that trains.
        script: The script it runs, if that is known.
        import_path: Folder that must be on PYTHONPATH, because packages lie in it.
        params: The params file.
        metrics: The metrics file that the script names.
        metric: A metric that the script names.
        model: Folder that the script writes its model to.
        example: File with example rows that the script writes.
        packages: Packages that the script imports though no lock brings any.
        notebooks: Notebooks, a few of them.
    """

    lock: str = ""
    other_lock: str = ""
    python: str = ""
    tests: str = ""
    has_pytest: bool = False
    train: str = ""
    script: str = ""
    import_path: str = ""
    params: str = ""
    metrics: str = ""
    metric: str = ""
    model: str = ""
    example: str = ""
    packages: tuple[str, ...] = ()
    notebooks: tuple[str, ...] = ()


def detect(folder: Path) -> Detected:
    """Look at what a repository holds; files that cannot be read count as absent."""
    lock = next((name for name in _LOCKS if (folder / name).is_file()), "")
    script = _script(folder)
    train = f"python {script}" if script else _make_train(folder)
    text = _text(folder / script) if script else ""
    return Detected(
        lock=lock,
        other_lock="" if lock else next((name for name in OTHER_LOCKS if (folder / name).is_file()), ""),
        python=_python(folder),
        tests=_tests(folder),
        has_pytest=bool(lock) and _locks_pytest(_text(folder / lock)),
        train=train,
        script=script,
        import_path="src" if any((folder / "src").glob("*/__init__.py")) else "",
        params=_params(folder) if train else "",
        metrics=_first(_METRICS, text),
        metric=_metric(text),
        model=_model(folder, text),
        example=_first(_EXAMPLE, text),
        packages=() if lock or not script else _packages(folder, script, text),
        notebooks=tuple(_ours(folder, ("*.ipynb", "*/*.ipynb")))[:_FEW],
    )


def _script(folder: Path) -> str:
    patterns = [f"{place}{name}" for place in _SCRIPT_FOLDERS for name in _SCRIPTS]
    return next(_ours(folder, patterns), "")


def _ours(folder: Path, patterns: Iterable[str]) -> Iterator[str]:
    """Give the files that people of this repository wrote, in the order of the patterns."""
    for pattern in patterns:
        for path in sorted(folder.glob(pattern)):
            name = path.relative_to(folder).as_posix()
            places = name.split("/")[:-1]
            is_hidden = any(place.startswith(".") or place in _NOT_OURS for place in places)
            if not is_hidden and path.is_file() and _SAFE_PATH.fullmatch(name):
                yield name


def _packages(folder: Path, script: str, text: str) -> tuple[str, ...]:
    beside = (folder, folder / "src", (folder / script).parent)
    return tuple(
        sorted(
            name
            for name in set(_IMPORT.findall(text)) - sys.stdlib_module_names - {"relive"}
            if not any((place / name).is_dir() or (place / f"{name}.py").is_file() for place in beside)
        )
    )


def _make_train(folder: Path) -> str:
    is_there = re.search(r"^train\s*:(?!=)", _text(folder / "Makefile"), re.MULTILINE)
    return "make train" if is_there else ""


def _python(folder: Path) -> str:
    first = _text(folder / ".python-version").strip().split("\n")[0].strip()
    return first if _VERSION.fullmatch(first) else ""


def _tests(folder: Path) -> str:
    for name in ("tests", "test", "."):
        pattern = "*.py" if name == "." else "**/*.py"
        files = (path.name for path in (folder / name).glob(pattern))
        if any(file.startswith("test_") or file.endswith("_test.py") for file in files):
            return name
    return ""


def _locks_pytest(lock: str) -> bool:
    return re.search(r"""^(?:pytest(?![\w-])|name = "pytest"$)""", lock, re.MULTILINE) is not None


def _params(folder: Path) -> str:
    for name in _PARAMS:
        try:
            if read_params(_bytes(folder / name), path=name):
                return name
        except InvalidInput:
            continue  # one that cannot be read would only fail the first push
    return ""


def _metric(text: str) -> str:
    named = set(re.findall(r"""["'](\w+)["']""", text))
    return next((metric for metric in (*_MORE_IS_BETTER, *LESS_IS_BETTER) if metric in named), "")


def _model(folder: Path, text: str) -> str:
    for found in _MODEL.finditer(text):
        name = found[1].rstrip("/")
        # A folder with code in it is a package that the script imports, not what it writes.
        if _SAFE_PATH.fullmatch(name) and ".." not in name and not any((folder / name).glob("*.py")):
            return name
    return ""


def _first(pattern: re.Pattern[str], text: str) -> str:
    names = (found[1] for found in pattern.finditer(text))
    return next((name for name in names if _SAFE_PATH.fullmatch(name) and ".." not in name), "")


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes() if path.is_file() and path.stat().st_size <= _LARGEST else b""
    except OSError:
        return b""


def _text(path: Path) -> str:
    return _bytes(path).decode("utf-8", "replace")
