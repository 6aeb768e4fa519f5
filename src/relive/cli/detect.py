"""What `relive init` writes: a relive.yaml fitted to what the repository holds.

Looks at files, runs nothing. What it is sure of becomes a stage; what it only suspects becomes a comment that
says what to fill in. The outcome can always be pushed as it is.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from relive.errors import InvalidInput
from relive.formats.params_file import read_params

_LARGEST = 1 << 20  # beyond this a file is no script, and a lock need not be looked into
_LOCKS = ("uv.lock", "pylock.toml", "requirements.txt")
_OTHER_LOCKS = {
    "poetry.lock": "poetry export -o requirements.txt",
    "Pipfile.lock": "pipenv requirements > requirements.txt",
    "environment.yml": "pip freeze > requirements.txt",
    "environment.yaml": "pip freeze > requirements.txt",
    "pyproject.toml": "uv lock",
    "requirements.in": "uv pip compile requirements.in -o requirements.txt --generate-hashes",
}
_SCRIPTS = ("train.py", "src/train.py", "scripts/train.py", "training/train.py", "src/*/train.py")
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
_LESS_IS_BETTER = ("rmse", "mae", "mse", "log_loss", "val_loss", "test_loss")

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


def detect(folder: Path) -> Detected:
    """Look at what a repository holds; files that cannot be read count as absent."""
    lock = next((name for name in _LOCKS if (folder / name).is_file()), "")
    script = _script(folder)
    train = f"python {script}" if script else _make_train(folder)
    text = _text(folder / script) if script else ""
    return Detected(
        lock=lock,
        other_lock="" if lock else next((name for name in _OTHER_LOCKS if (folder / name).is_file()), ""),
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
    )


def render(detected: Detected, project: str) -> str:
    """Write a relive.yaml with a comment for every choice; `project` is a project's name."""
    first, *others = (_indented(section) for section in _stages(detected, project))
    sections = [_head(project), _environment(detected), ["stages:", *first], *others]
    return "\n\n".join("\n".join(section) for section in sections) + "\n"


def _head(project: str) -> list[str]:
    return [
        f"# What a push of {project} starts. `relive pipeline check` says what is wrong with this file,",
        "# `git push relive` runs it. Pushes to all branches do; only the default branch moves aliases and",
        "# endpoints. Every key is explained in relive's documentation, on the page relive.yaml.",
        "version: 1",
        f"project: {_quoted(project)}",
    ]


def _environment(found: Detected) -> list[str]:
    version = f'  python: "{found.python}"    # from .python-version' if found.python else ""
    without = '  # python: "3.11"    # without it, the Python that relive runs on'
    if found.lock:
        return [
            "env:",
            version or without,
            f"  lock: {found.lock}    # rebuilt from its exact versions, and kept",
        ]
    if found.other_lock:
        advice = [
            f"# {found.other_lock} is no lock, so commands find no packages. To have them:",
            f"#   {_OTHER_LOCKS[found.other_lock]}",
            "# then name the file here, with `lock:` under `env:`.",
        ]
    else:
        advice = [
            "# Without uv.lock, pylock.toml or requirements.txt commands find the standard library alone.",
            "# Commit one and name it here, with `lock:` under `env:`.",
        ]
    return [*advice, "env:", version] if version else advice


def _stages(found: Detected, project: str) -> Iterator[list[str]]:
    yield from _test(found)
    if not found.train:
        yield _no_train(found)
        return
    yield _train(found)
    gates = _gate(found)
    yield gates
    if found.model:
        yield _register(found, project, needs="gate" if gates[-1].startswith("    -") else "train")
        yield _deploy(found, project)
    else:
        yield [
            "# To register what it trains: let the script write a folder, name it in `outs` above, and add",
            "# register:",
            f"#   register: {{model: {_quoted(project)}, artifact: model/}}",
        ]


def _test(found: Detected) -> Iterator[list[str]]:
    if not found.tests:
        return
    where = "" if found.tests == "." else f" {found.tests}"
    body = [
        "test:    # a failure here stops the stages that need it",
        f"  cmd: python -m pytest -q --junitxml=reports/junit.xml{where}",
        *_import_path(found),
        "  reports: {junit: reports/junit.xml}    # shown test by test",
    ]
    if found.has_pytest:
        yield body
    else:
        missing = f"pytest is not in {found.lock}" if found.lock else "pytest is in no lock"
        yield _commented([f"There are tests, but {missing}. Lock it, then take the # away:", *body])


def _train(found: Detected) -> list[str]:
    why = f"    # {found.script} is there" if found.script else "    # the Makefile has a target `train`"
    lines = ["train:"]
    if found.tests and found.has_pytest:
        lines.append("  needs: test")
    lines += [f"  cmd: {found.train}{why}", *_import_path(found)]
    lines += [
        "  # Without `deps` it runs again whenever any file changes. To say what it really reads:",
        f"  # deps: [{found.script or 'Makefile'}, data/]",
    ]
    if found.params:
        lines.append(f"  params: [{found.params}]    # recorded with every run")
    if found.model:
        outs = [f"{found.model}/"]
        if found.example and not found.example.startswith(outs[0]):
            outs.append(found.example)
        lines.append(f"  outs: [{', '.join(outs)}]    # kept; the script names {_both(outs)}")
    else:
        lines.append("  # outs: [model/]    # files and folders it writes, to be kept")
    if found.metrics:
        lines.append(f"  metrics: [{found.metrics}]    # read at the end; the script names it")
    else:
        lines.append("  # metrics: [metrics.json]    # numbers it writes, to be recorded and gated")
    return lines


def _no_train(found: Detected) -> list[str]:
    hint = [
        "No train.py was found, and no Makefile with a target `train`. A training stage looks like this:",
        "train:",
        "  cmd: python train.py",
        "  outs: [model/]",
        "  metrics: [metrics.json]",
    ]
    if found.tests and found.has_pytest:
        return _commented(hint)
    # A pipeline has at least one stage; this one finds broken files and needs no package.
    check = [
        "check:    # every Python file of the repository can be read",
        "  cmd: python -m compileall -q .",
    ]
    return [*check, "", *_commented(hint)]


def _gate(found: Detected) -> list[str]:
    if not found.metrics or not found.metric:
        return _commented(
            [
                "A gate stops what is not good enough, once `train` has metrics:",
                "gate:",
                "  needs: train",
                "  gates:",
                "    - {metric: accuracy, min: 0.9}",
                "    - {metric: accuracy, vs: champion, min_delta: -0.005}",
            ]
        )
    allowed = "max_delta: 0" if found.metric in _LESS_IS_BETTER else "min_delta: -0.005"
    meaning = "not worse than" if found.metric in _LESS_IS_BETTER else "at most 0.005 below"
    return [
        f"gate:    # the script names {found.metric}; add your own limits with min: and max:",
        "  needs: train",
        "  gates:",
        f"    - {{metric: {found.metric}, vs: champion, {allowed}}}    # {meaning} what is in use now",
    ]


def _register(found: Detected, project: str, *, needs: str) -> list[str]:
    example = f", example: {found.example}" if found.example else ""
    return [
        "register:    # a version of the model; its alias `champion` moves when every gate has passed",
        f"  needs: {needs}",
        f"  register: {{model: {_quoted(project)}, artifact: {found.model}/{example}}}",
    ]


def _deploy(found: Detected, project: str) -> list[str]:
    body = ["deploy:", "  needs: register", f"  deploy: {{endpoint: {_quoted(project)}}}"]
    if found.example:
        body[0] += "    # served after the contract test with the example rows"
        return body
    return _commented(
        [
            "To serve it, let the script write a few input rows (.csv, .json or .npz), name the file in",
            "`outs` and as `example:` under `register`, then take the # away:",
            *body,
        ]
    )


def _import_path(found: Detected) -> list[str]:
    if not found.import_path:
        return []
    return [f"  env: {{PYTHONPATH: {found.import_path}}}    # packages lie in {found.import_path}/"]


def _script(folder: Path) -> str:
    for pattern in _SCRIPTS:
        for path in sorted(folder.glob(pattern)):
            name = path.relative_to(folder).as_posix()
            if path.is_file() and _SAFE_PATH.fullmatch(name):
                return name
    return ""


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
    return next((metric for metric in (*_MORE_IS_BETTER, *_LESS_IS_BETTER) if metric in named), "")


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


def _quoted(name: str) -> str:
    """Write a name so that YAML reads it as text."""
    return (
        name
        if re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name) and name.lower() not in _WORDS
        else json.dumps(name)
    )


_WORDS = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")


def _both(names: list[str]) -> str:
    return " and ".join(names)


def _commented(lines: Iterable[str]) -> list[str]:
    return [f"# {line}".rstrip() for line in lines]


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}".rstrip() for line in lines]
