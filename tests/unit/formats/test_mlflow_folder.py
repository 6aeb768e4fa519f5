"""What MLflow's model folders say of their example and their environment."""

from collections.abc import Mapping

import pytest

from relive.core.recipe import EnvironmentLock, LockedPackage
from relive.errors import EnvironmentFailed, InvalidInput
from relive.formats.mlflow_folder import Needs, Read, read_model_file, read_needs, satisfies

MODEL = b"""\
flavors:
  python_function:
    env:
      conda: conda.yaml
      virtualenv: python_env.yaml
    loader_module: mlflow.sklearn
    model_path: model.skops
    python_version: 3.11.7
  sklearn:
    code: null
    pickled_model: model.skops
mlflow_version: 3.17.2
saved_input_example_info:
  artifact_path: input_example.json
  pandas_orient: split
  serving_input_path: serving_input_example.json
  type: dataframe
signature:
  inputs: '[{"type": "double", "name": "sepal length (cm)", "required": true}, {"type":
    "double", "name": "sepal width (cm)", "required": true}]'
"""
CONDA = b"""\
channels: [conda-forge]
dependencies:
- python=3.10.4
- pip<=22.0
- pip:
  - mlflow<2,>=1.30
  - scikit-learn==1.0.2
name: mlflow-env
"""


def reader(files: Mapping[str, bytes]) -> Read:
    """Read from these files."""
    return files.get


def test_a_model_file_names_its_flavor_its_example_and_its_python() -> None:
    found = read_model_file(MODEL)
    assert (found.flavor, found.example, found.python) == ("sklearn", "serving_input_example.json", "3.11")


@pytest.mark.parametrize(
    ("without", "example"),
    [
        (b"  serving_input_path: serving_input_example.json\n", "input_example.json"),
        (
            b"  serving_input_path: serving_input_example.json\n  artifact_path: input_example.json\n",
            "",
        ),
    ],
)
def test_an_older_model_file_has_the_example_alone_or_none(without: bytes, example: str) -> None:
    data = MODEL
    for line in without.splitlines(keepends=True):
        data = data.replace(line, b"")
    assert read_model_file(data).example == example


def test_a_model_without_a_flavor_of_its_own_is_a_python_function() -> None:
    found = read_model_file(b"flavors:\n  python_function:\n    loader_module: mlflow.pyfunc.model\n")
    assert (found.flavor, found.example, found.python) == ("pyfunc", "", "")


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"x: 1", b"flavors: 3", b"flavors: {a: 1}\nflavors: {}", b"\xff"]
)
def test_what_is_no_model_file_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput, match="MLmodel"):
        read_model_file(data)


def test_requirements_are_taken_as_they_are_with_the_python_that_is_named() -> None:
    files = {
        "MLmodel": MODEL,
        "requirements.txt": b"numpy==2.4.6\n",
        "python_env.yaml": b"python: 3.12.1\ndependencies:\n- -r requirements.txt\n",
        "conda.yaml": CONDA,
    }
    assert read_needs(reader(files)) == Needs("3.12", b"numpy==2.4.6\n")


def test_an_older_folder_says_for_conda_alone_what_pip_would_install() -> None:
    needs = read_needs(reader({"MLmodel": MODEL, "conda.yaml": CONDA}))
    assert needs == Needs("3.10", b"mlflow<2,>=1.30\nscikit-learn==1.0.2\n")


@pytest.mark.parametrize("python", [b"python>=3.8", b"python"])
def test_a_range_of_conda_says_less_than_the_model_file(python: bytes) -> None:
    files = {"MLmodel": MODEL, "conda.yaml": CONDA.replace(b"python=3.10.4", python)}
    assert read_needs(reader(files)).python == "3.11"


def test_packages_of_conda_itself_are_refused_by_name() -> None:
    conda = CONDA.replace(b"- pip<=22.0", b"- conda-forge::scikit-learn=1.0\n- numpy")
    with pytest.raises(EnvironmentFailed, match=r"scikit-learn, numpy") as caught:
        read_needs(reader({"MLmodel": MODEL, "conda.yaml": conda}))
    assert "pip_requirements" in str(caught.value)


@pytest.mark.parametrize(
    "files", [{}, {"conda.yaml": b"name: x\n"}, {"conda.yaml": b"dependencies: [pip: []]"}]
)
def test_a_folder_that_names_no_package_is_refused(files: dict[str, bytes]) -> None:
    with pytest.raises(EnvironmentFailed, match="it names no package"):
        read_needs(reader({"MLmodel": MODEL} | files))


def test_a_file_that_cannot_be_read_is_named() -> None:
    with pytest.raises(InvalidInput, match=r"python_env\.yaml"):
        read_needs(reader({"MLmodel": MODEL, "python_env.yaml": b"{", "requirements.txt": b""}))


@pytest.mark.parametrize(
    ("requirements", "there"),
    [
        ("", True),
        ("mlflow==3.17.2\nscikit-learn==1.9.1\n", True),
        ("scikit_learn>=1.9,<2  # the one it was fitted with\n", True),
        ("-c constraints.txt\n--extra-index-url https://example.org/simple\nscikit-learn\n", True),
        ("pywin32==1; sys_platform == 'win32'\n", True),
        ("torch==2.9.0rc1\n", True),
        ("scikit-learn==1.9.0\n", False),
        ("lightgbm\n", False),
        ("mlflow==3.16.0\n", False),
        ("./wheels/mine-1-py3-none-any.whl\n", False),
        ("what is this\n", False),
    ],
)
def test_an_environment_has_what_a_folder_asks_for_or_not(requirements: str, there: bool) -> None:
    packages = {"mlflow-skinny": "3.17.2", "scikit-learn": "1.9.1", "torch": "2.9.0rc1"}
    lock = EnvironmentLock(
        python="3.11.7",
        implementation="cpython",
        platform="linux_x86_64",
        source="",
        packages=tuple(
            LockedPackage(name=name, version=version, filename="x.whl", sha256="0" * 64, size_bytes=1)
            for name, version in packages.items()
        ),
    )
    assert satisfies(lock, requirements.encode()) is there
