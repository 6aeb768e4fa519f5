"""What `relive init` writes: a relive.yaml fitted to what it saw, and what it tells of that.

What is sure becomes a stage; what is only suspected becomes a comment that says what to fill in. The outcome
can always be pushed as it is.
"""

import json
import re
from collections.abc import Iterable, Iterator

from relive.cli.detect import LESS_IS_BETTER, OTHER_LOCKS, Detected

_FEW = 5
_NOTEBOOK = "jupyter nbconvert --execute --to notebook --output-dir executed"
# It finds broken files and needs no package.
_CHECK = (
    "check:    # every Python file of the repository can be read",
    "  cmd: python -m compileall -q .",
)


def seen(found: Detected) -> list[str]:
    """Say in sentences what was found, and what is missing for a push that trains."""
    if found.train:
        lines = [f"{found.train} trains" + ("" if found.script else " (a target of the Makefile)")]
    elif found.notebooks:
        lines = [
            f"notebooks ({', '.join(found.notebooks)}), but no script that trains: make one, or run them"
        ]
    else:
        lines = ["no script that trains (train.py, train_model.py, training.py)"]
    if found.lock:
        lines.append(f"{found.lock} brings the packages")
    elif found.other_lock:
        lines.append(
            f"{found.other_lock} is no lock, so there are no packages: {OTHER_LOCKS[found.other_lock]}"
        )
    else:
        lines.append("no lock, so there are no packages: commit uv.lock, pylock.toml or requirements.txt")
    if found.packages:
        lines.append(f"{found.script} imports {', '.join(found.packages[:_FEW])}: it is a comment until then")
    if found.tests and not found.has_pytest:
        lines.append("tests, but pytest is not locked: they are a comment until then")
    return lines


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
            f"  lock: {found.lock}    # resolved once; what that gave is kept, and rebuilt",
        ]
    if found.other_lock:
        advice = [
            f"# {found.other_lock} is no lock, so commands find no packages. To have them:",
            f"#   {OTHER_LOCKS[found.other_lock]}",
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
    if found.packages:
        yield [*_CHECK, "", *_commented(_no_packages(found))]
        yield from map(_commented, _road(found, project))
    else:
        yield from _road(found, project)


def _road(found: Detected, project: str) -> Iterator[list[str]]:
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
    if found.notebooks:
        name = found.notebooks[0]
        hint += [
            f"A notebook can be one, if nbconvert is locked (here {name}):",
            f"  cmd: {_NOTEBOOK} {name}",
        ]
    # A pipeline has at least one stage.
    return _commented(hint) if found.tests and found.has_pytest else [*_CHECK, "", *_commented(hint)]


def _no_packages(found: Detected) -> list[str]:
    imported = ", ".join(found.packages[:_FEW])
    return [
        f"{found.script} imports {imported}, and no lock brings packages. Lock them, then take the # away:"
    ]


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
    allowed = "max_delta: 0" if found.metric in LESS_IS_BETTER else "min_delta: -0.005"
    meaning = "not worse than" if found.metric in LESS_IS_BETTER else "at most 0.005 below"
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
