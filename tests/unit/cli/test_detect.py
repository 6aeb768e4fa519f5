"""What `relive init` writes fits the repository, explains itself, and can always be planned."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.cli.detect import Detected, detect
from relive.cli.draft import render, seen
from relive.core.expand import plan
from relive.core.pipeline import EnvSpec, PipelineSpec, StageSpec
from relive.formats.pipeline_file import parse_pipeline

ROOT = Path(__file__).parents[3]
TRAIN = """
import json, joblib
metrics = {"accuracy": 0.9}
open("metrics.json", "w").write(json.dumps(metrics))
joblib.dump(model, "model/model.joblib")
rows.to_csv("example/rows.csv")
"""


def make(folder: Path, files: dict[str, str]) -> Path:
    """Write files into a folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def planned(folder: Path, project: str = "digits") -> tuple[PipelineSpec, str]:
    """Detect, render, read and plan; give the spec and the text."""
    text = render(detect(folder), project)
    spec = parse_pipeline(text.encode())
    assert plan(spec, branch="main", commit="0" * 40, trigger="push")
    assert spec.project == project
    return spec, text


def stages(spec: PipelineSpec) -> dict[str, StageSpec]:
    """Give a spec's stages by name."""
    return {stage.name: stage for stage in spec.stages}


def test_a_repository_with_everything(tmp_path):
    make(
        tmp_path,
        {
            "train.py": TRAIN,
            "uv.lock": '[[package]]\nname = "pytest"\nversion = "8"\n',
            "pyproject.toml": "",
            ".python-version": "3.11\n",
            "params.yaml": "lr: 0.1\n",
            "tests/test_it.py": "",
            "src/pack/__init__.py": "",
        },
    )
    spec, _ = planned(tmp_path)
    found = stages(spec)
    assert spec.env == EnvSpec(python="3.11", lock="uv.lock")
    assert list(found) == ["test", "train", "gate", "register", "deploy"]
    assert found["test"].cmd == ("python -m pytest -q --junitxml=reports/junit.xml tests",)
    assert found["test"].junit == "reports/junit.xml"
    assert found["test"].env == {"PYTHONPATH": "src"}
    assert found["train"].cmd == ("python train.py",)
    assert found["train"].needs == ("test",)
    assert found["train"].outs == ("model/", "example/rows.csv")
    assert found["train"].metrics == ("metrics.json",)
    assert [ref.file for ref in found["train"].params] == ["params.yaml"]
    assert found["gate"].gates[0].vs == "champion"
    register = found["register"].register
    assert register is not None
    assert (register.model, register.artifact, register.example) == ("digits", "model/", "example/rows.csv")


def test_every_stage_and_every_guess_is_explained(tmp_path):
    make(tmp_path, {"train.py": TRAIN, "requirements.txt": "pytest==8\n", "tests/test_a.py": ""})
    _, text = planned(tmp_path)
    lines = text.splitlines()
    for line in lines:
        is_choice = line.strip().startswith(("cmd: python train", "outs:", "metrics:", "lock:", "- {metric"))
        assert not is_choice or "#" in line, line
    for stage in ("test:", "gate:", "register:", "deploy:"):
        assert any(line.strip().startswith(stage) and "#" in line for line in lines), stage


@pytest.mark.parametrize(
    ("files", "lock", "words"),
    [
        ({"requirements.txt": "", "uv.lock": ""}, "uv.lock", "resolved once"),
        ({"requirements.txt": "", "pylock.toml": ""}, "pylock.toml", "resolved once"),
        ({"requirements.txt": ""}, "requirements.txt", "resolved once"),
        ({"poetry.lock": ""}, "", "poetry export -o requirements.txt"),
        ({"pyproject.toml": ""}, "", "uv lock"),
        ({"setup.py": ""}, "", "uv pip compile setup.py"),
        ({"environment.yml": ""}, "", "pip freeze > requirements.txt"),
        ({}, "", "Without uv.lock, pylock.toml or requirements.txt"),
    ],
)
def test_the_lock(tmp_path, files, lock, words):
    spec, text = planned(make(tmp_path, {**files, "train.py": ""}))
    assert spec.env.lock == lock
    assert words in text


def test_a_python_version_without_a_lock_is_kept(tmp_path):
    spec, _ = planned(make(tmp_path, {".python-version": "3.10\n3.11\n"}))
    assert spec.env == EnvSpec(python="3.10")
    spec, _ = planned(make(tmp_path, {".python-version": "pypy3.10\n"}))
    assert spec.env == EnvSpec()


@pytest.mark.parametrize(
    ("lock", "has_stage"),
    [
        ("pytest==8.0 --hash=sha256:00\n", True),
        ("numpy\npytest\n", True),
        ("pytest[x]>=8\n", True),
        ("pytest-cov==1\n", False),
        ("# pytest\n", False),
        ("numpy\n", False),
    ],
)
def test_tests_are_run_only_if_pytest_is_locked(tmp_path, lock, has_stage):
    spec, text = planned(make(tmp_path, {"requirements.txt": lock, "tests/test_a.py": "", "train.py": ""}))
    assert ("test" in stages(spec)) is has_stage
    assert ("pytest is not in requirements.txt" in text) is not has_stage
    assert stages(spec)["train"].needs == (("test",) if has_stage else ())


@pytest.mark.parametrize(
    ("file", "folder"), [("tests/a/test_x.py", " tests"), ("test/x_test.py", " test"), ("test_x.py", "")]
)
def test_where_the_tests_lie(tmp_path, file, folder):
    spec, _ = planned(make(tmp_path, {"requirements.txt": "pytest\n", file: ""}))
    assert stages(spec)["test"].cmd == (f"python -m pytest -q --junitxml=reports/junit.xml{folder}",)


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({"train.py": "", "src/train.py": ""}, "python train.py"),
        ({"foo/train_model.py": "", "tests/train.py": "", ".venv/train.py": ""}, "python foo/train_model.py"),
        ({"src/train.py": "", "Makefile": "train:\n"}, "python src/train.py"),
        ({"src/pack/train.py": "", "src/pack/__init__.py": ""}, "python src/pack/train.py"),
        ({"Makefile": "all: train\n\ntrain: data\n\tpython x.py\n"}, "make train"),
    ],
)
def test_what_trains(tmp_path, files, command):
    spec, _ = planned(make(tmp_path, files))
    assert stages(spec)["train"].cmd == (command,)


@pytest.mark.parametrize("files", [{}, {"Makefile": "train := 1\ntrained:\n"}, {"src/a b/train.py": ""}])
def test_without_anything_that_trains_there_is_still_a_check(tmp_path, files):
    spec, text = planned(make(tmp_path, files))
    assert stages(spec)["check"].cmd == ("python -m compileall -q .",)
    assert "No train.py was found" in text


@pytest.mark.parametrize(
    ("script", "model"),
    [
        ('joblib.dump(m, "model/m.joblib")', "model"),
        ("torch.save(m, 'models/net.pt')", "models"),
        ('Path("model").mkdir()', "model"),
        ('save("out/model/weights.bin")', "out/model"),
        ('open("artifacts/m.bin")', "artifacts"),
        ("model = fit()", ""),
        ('m = "modelling"', ""),
        ('open("../model/x")', ""),
        ('open("/srv/model/x")', ""),
        ('from model import net; open("model/net.py")', ""),
    ],
)
def test_where_the_model_is_written(tmp_path, script, model):
    files = {"train.py": script}
    if "net.py" in script:
        files["model/net.py"] = ""
    assert detect(make(tmp_path, files)).model == model
    planned(tmp_path)


@pytest.mark.parametrize(
    ("script", "metric"),
    [
        ('{"loss": 1, "rmse": 2, "accuracy": 1}', "accuracy"),
        ('{"rmse": 2}', "rmse"),
        ('{"speed": 2}', ""),
    ],
)
def test_which_metric_is_gated(tmp_path, script, metric):
    make(tmp_path, {"train.py": f'{script}\nopen("out/val_metrics.json")'})
    spec, _ = planned(tmp_path)
    assert detect(tmp_path).metrics == "out/val_metrics.json"
    gates = [gate for stage in spec.stages for gate in stage.gates]
    assert [gate.metric for gate in gates] == ([metric] if metric else [])
    if metric == "rmse":
        assert gates[0].max_delta == 0


def test_an_example_inside_the_model_folder_is_no_second_out(tmp_path):
    make(tmp_path, {"train.py": 'open("model/m.bin"); open("model/examples/rows.json")'})
    spec, _ = planned(tmp_path)
    assert stages(spec)["train"].outs == ("model/",)


@pytest.mark.parametrize("text", ["lr: [", "- 1", "", "\xff"])
def test_params_that_cannot_be_read_are_left_out(tmp_path, text):
    spec, _ = planned(make(tmp_path, {"train.py": "", "params.yaml": text}))
    assert stages(spec)["train"].params == ()


def test_files_that_are_not_what_they_seem_count_as_absent(tmp_path):
    (tmp_path / "train.py").mkdir()
    (tmp_path / "params.yaml").mkdir()
    (tmp_path / "Makefile").symlink_to(tmp_path / "nowhere")
    (tmp_path / "uv.lock").write_bytes(b"\xff" * 100)
    assert detect(tmp_path) == Detected(lock="uv.lock")


def test_a_script_whose_packages_nobody_brings_is_a_comment(tmp_path):
    make(tmp_path, {"train.py": "import os\nimport numpy\nfrom helper import x\n", "helper.py": ""})
    make(tmp_path, {"poetry.lock": ""})
    spec, text = planned(tmp_path)
    assert list(stages(spec)) == ["check"]
    assert "train.py imports numpy, and no lock brings packages" in text
    assert "#   cmd: python train.py" in text
    (tmp_path / "requirements.txt").write_text("numpy==2.0\n")
    spec, _ = planned(tmp_path)
    assert list(stages(spec)) == ["train"]


def test_notebooks_are_told_of(tmp_path):
    make(tmp_path, {"look.ipynb": "{}", "nb/more.ipynb": "{}", ".ipynb_checkpoints/look.ipynb": "{}"})
    assert detect(tmp_path).notebooks == ("look.ipynb", "nb/more.ipynb")
    _, text = planned(tmp_path)
    assert "#   cmd: jupyter nbconvert --execute --to notebook --output-dir executed look.ipynb" in text
    assert "notebooks (look.ipynb, nb/more.ipynb), but no script that trains" in seen(detect(tmp_path))[0]


@pytest.mark.parametrize(
    ("found", "lines"),
    [
        (Detected(), ["no script that trains", "no lock"]),
        (Detected(train="make train", lock="uv.lock"), ["make train trains (a target", "uv.lock brings"]),
        (Detected(other_lock="poetry.lock"), ["no script", "poetry.lock is no lock"]),
        (
            Detected(train="python t.py", script="t.py", packages=("torch",), tests="tests"),
            ["python t.py trains", "no lock", "t.py imports torch", "pytest is not locked"],
        ),
    ],
)
def test_what_was_seen_is_said(found, lines):
    said = seen(found)
    assert len(said) == len(lines)
    assert all(words in line for words, line in zip(lines, said, strict=True)), said


@pytest.mark.parametrize("project", ["true", "no", "123", "1e5", "0x1", "a.b", "null", "On", "3.10"])
def test_a_project_of_any_name(tmp_path, project):
    planned(make(tmp_path, {"train.py": TRAIN}), project)


@pytest.mark.parametrize("folder", sorted(ROOT.glob("examples/*/")), ids=lambda path: path.name)
def test_the_examples(folder):
    spec, _ = planned(folder)
    assert stages(spec)["train"].outs
    assert "register" in stages(spec)


CONTENTS: dict[str, st.SearchStrategy[str]] = {
    **dict.fromkeys(
        ("uv.lock", "requirements.txt", "pylock.toml"), st.sampled_from(["", "pytest\n", "numpy"])
    ),
    **dict.fromkeys(("poetry.lock", "environment.yml", "pyproject.toml"), st.just("")),
    **dict.fromkeys(("tests/test_a.py", "test_b.py", "src/pack/__init__.py", "model/code.py"), st.just("")),
    ".python-version": st.sampled_from(["3.11", "3.10.4\n", "system", "3.11\n3.12", ""]),
    "Makefile": st.sampled_from(["train:\n", "all:\n"]),
    "params.yaml": st.sampled_from(["lr: 1", "lr: [", ""]),
    "params.json": st.sampled_from(["{}", '{"a": 1}', "x"]),
}
SNIPPETS = st.sampled_from(
    [
        *('"metrics.json"', "'out/metrics.csv'", '"../metrics.json"', '"accuracy"', '"rmse"', '"model/x"'),
        *(
            '"models"',
            '"out/model/x"',
            '"example/rows.csv"',
            '"model/example.json"',
            '"rows.npz"',
            '"a b/model/x"',
        ),
        *("'model/metrics.json'", '"example/metrics.json"', '"artifacts/"', '"examples/model/x.csv"'),
    ]
)
SCRIPTS = st.lists(SNIPPETS, max_size=6).map("\n".join)


@given(
    st.fixed_dictionaries({}, optional={**CONTENTS, "train.py": SCRIPTS, "src/train.py": SCRIPTS}),
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True),
)
def test_any_repository_gets_a_file_that_can_be_pushed(files, project):
    with tempfile.TemporaryDirectory() as folder:
        spec, text = planned(make(Path(folder), files), project)
    assert spec.stages
    assert max(len(line) for line in text.splitlines()) <= 160


def test_the_same_repository_gets_the_same_file(tmp_path):
    files: dict[str, Any] = {"train.py": TRAIN, "src/b/train.py": "", "src/a/train.py": ""}
    make(tmp_path, files)
    assert render(detect(tmp_path), "p") == render(detect(tmp_path), "p")
