"""What an MLflow model folder says of itself: which file holds its example, and what environment it wants.

Source: MLflow documentation, "MLflow Model Format" and "Managing Dependencies in MLflow Models".
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from relive.core.problems import Problem
from relive.core.recipe import EnvironmentLock
from relive.errors import EnvironmentFailed, InvalidInput
from relive.formats.locks import requirement_lines
from relive.formats.yaml_tree import Entries, Items, Node, Scalar, read_tree

MODEL_FILE: Final = "MLmodel"
REQUIREMENTS: Final = "requirements.txt"
_PYTHON_ENV, _CONDA = "python_env.yaml", "conda.yaml"
_GENERIC: Final = "python_function"
_MINOR: Final = re.compile(r"\d+\.\d+")
# A conda package with its version: "python=3.11.7", "pip<=23", "scikit-learn".
_CONDA_PACKAGE: Final = re.compile(r"(?:[^:]*::)?([A-Za-z0-9._-]+)\s*(.*)")
_NOT_FROM_AN_INDEX: Final = ("python", "pip")

Read = Callable[[str], bytes | None]


@dataclass(frozen=True)
class ModelFile:
    """What MLmodel says.

    Attributes:
        flavor: The module of MLflow that wrote it ("sklearn"); "pyfunc" if no other is named.
        example: Path of the file with the input example; empty for none.
        python: Minor version of Python that it was written with, "3.11"; empty if it is not said.
    """

    flavor: str
    example: str
    python: str


@dataclass(frozen=True)
class Needs:
    """The environment that a folder wants; `python` is a minor version or empty."""

    python: str
    requirements: bytes


def read_model_file(data: bytes) -> ModelFile:
    """Read the file MLmodel.

    Raises:
        InvalidInput: It is no MLmodel; says what is wrong.
    """
    root = _mapping(data, MODEL_FILE)
    flavors = _at(root, "flavors")
    if not isinstance(flavors, Entries):
        raise InvalidInput(field=MODEL_FILE, value="no flavors", wanted="the file MLmodel of an MLflow model")
    named = [name for name in flavors.entries if name != _GENERIC]
    # The one for scoring servers says of each kind of example what a request looks like.
    saved = ("serving_input_path", "artifact_path")
    example = next((it for key in saved if (it := _text(root, "saved_input_example_info", key))), "")
    return ModelFile(
        flavor=named[0] if named else "pyfunc",
        example=example,
        python=_minor(_text(root, "flavors", _GENERIC, "python_version")),
    )


def read_needs(read: Read) -> Needs:
    """Say what environment a folder wants.

    Args:
        read: Gives the bytes of a file of the folder, None if there is none.

    Raises:
        EnvironmentFailed: It says nothing of its packages, or wants some of conda's.
        InvalidInput: One of its files cannot be read.
    """
    conda = _mapping(read(_CONDA) or b"{}", _CONDA)
    listed = _conda_packages(conda)
    python = (
        _minor(_text(_mapping(read(_PYTHON_ENV) or b"{}", _PYTHON_ENV), "python"))
        or _exactly(dict(listed).get("python", ""))
        or read_model_file(read(MODEL_FILE) or b"").python
    )
    requirements = read(REQUIREMENTS)
    return Needs(python, _from_conda(conda, listed) if requirements is None else requirements)


def satisfies(lock: EnvironmentLock, requirements: bytes) -> bool:
    """Tell whether an environment has what a folder asks for; a line that cannot be read, it has not."""
    from packaging.requirements import InvalidRequirement, Requirement  # late: no start of a hub needs it
    from packaging.utils import canonicalize_name

    there: dict[str, str] = {canonicalize_name(it.name): it.version for it in lock.packages}
    for line in requirement_lines(requirements.decode(errors="replace")):
        if not line.text:
            continue  # an option, or a file of constraints
        try:
            wanted = Requirement(line.text)
        except InvalidRequirement:
            return False
        version = next((there[name] for name in _names(wanted.name) if name in there), None)
        applies = wanted.marker is None or wanted.marker.evaluate()
        if applies and (version is None or not wanted.specifier.contains(version, prereleases=True)):
            return False
    return True


def _names(name: str) -> tuple[str, ...]:
    """Give the names a package may have: whoever has the small MLflow can load what the whole one wrote."""
    from packaging.utils import canonicalize_name

    normal = canonicalize_name(name)
    return (normal, "mlflow-skinny") if normal == "mlflow" else (normal,)


def _from_conda(conda: Node, listed: list[tuple[str, str]]) -> bytes:
    """Give what older folders say only for conda: the part that pip would install."""
    foreign = [name for name, _ in listed if name not in _NOT_FROM_AN_INDEX]
    dependencies = _at(conda, "dependencies")
    nested = dependencies.items if isinstance(dependencies, Items) else ()
    lines = [
        line.text
        for item in nested
        if isinstance(found := _at(item, "pip"), Items)
        for line in found.items
        if isinstance(line, Scalar)
    ]
    if foreign or not lines:
        said = f"it names packages of conda ({', '.join(foreign)})" if foreign else "it names no package"
        raise EnvironmentFailed(
            source=_CONDA,
            reason=f"there is no {REQUIREMENTS} beside it, and {said}",
            hint="log the model again: log_model(..., pip_requirements=[...])",
        )
    return "".join(f"{line}\n" for line in lines).encode()


def _conda_packages(conda: Node) -> list[tuple[str, str]]:
    """Give name and version of what conda itself would install."""
    dependencies = _at(conda, "dependencies")
    items = dependencies.items if isinstance(dependencies, Items) else ()
    texts = [it.text for it in items if isinstance(it, Scalar)]
    found = [match for text in texts if (match := _CONDA_PACKAGE.fullmatch(text.strip()))]
    return [(match[1].lower(), match[2]) for match in found]


def _mapping(data: bytes, name: str) -> Entries:
    problems: list[Problem] = []
    tree = read_tree(data, problems)
    if problems or not isinstance(tree, Entries):
        said = str(problems[0]) if problems else "it holds no mapping"
        raise InvalidInput(field=name, value=said, wanted=f"the {name} of an MLflow model")
    return tree


def _at(node: Node | None, *keys: str) -> Node | None:
    for key in keys:
        node = node.entries.get(key) if isinstance(node, Entries) else None
    return node


def _text(node: Node, *keys: str) -> str:
    found = _at(node, *keys)
    return found.text if isinstance(found, Scalar) and found.value is not None else ""


def _exactly(condition: str) -> str:
    """Give the version that a condition of conda's pins; a range pins none."""
    return _minor(condition) if condition.startswith("=") else ""


def _minor(version: str) -> str:
    found = _MINOR.search(version)
    return found[0] if found else ""
