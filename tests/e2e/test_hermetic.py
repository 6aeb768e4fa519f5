"""A person's way to hermetic stages: told by a push, refused, declared, done."""

import json
from pathlib import Path

import pytest

from relive.core.pipeline import PipelineStatus
from tests.conftest import require
from tests.contract.test_recorder import can_listen
from tests.e2e.hub import make_repository, running_hub

PIPELINE = """\
version: 1
stages:
  train:
    cmd: python3 train.py
    deps: [{deps}]
    params: ["params.json:lr"]
    outs: [model.txt]
    {hermetic}
"""
FILES = {
    "params.json": '{"lr": 0.1, "seed": 1}',
    "train.py": (
        "import helper\nopen('params.json').read()\n"
        "open('model.txt', 'w').write(str(helper.A))\nprint('trained')\n"
    ),
    "helper.py": "A = 1\n",
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    require(can_listen(), "the kernel has no user notification of seccomp, or forbids it here (Linux 5.0)")
    with running_hub(tmp_path_factory.mktemp("home")) as running:
        yield running


def pipeline(deps: str, hermetic: str = "") -> dict[str, str]:
    return {"relive.yaml": PIPELINE.format(deps=deps, hermetic=hermetic)}


def test_a_push_tells_what_was_read_and_a_hermetic_stage_refuses_it(hub, place: Path) -> None:
    repository = make_repository(hub, place / "told", FILES | pipeline("train.py"))
    said = repository.push()
    assert "read, but not declared: helper.py" in said
    assert repository.pipeline(1).pipeline.status is PipelineStatus.SUCCEEDED

    repository.commit(pipeline("train.py", "hermetic: true"))
    said = repository.push()
    assert repository.pipeline(2).pipeline.status is PipelineStatus.FAILED, (
        "the earlier result was made without walls"
    )
    assert "read, but not declared: helper.py" in said
    assert "- helper.py" in said
    assert "trained" not in said

    repository.commit(pipeline("train.py, helper.py", "hermetic: true"))
    said = repository.push()
    assert repository.pipeline(3).pipeline.status is PipelineStatus.SUCCEEDED, said
    assert "not declared" not in said
    run = next(stage.run_id for stage in repository.pipeline(3).stages if stage.key == "train")
    shown = hub.relive("show", run).stdout
    assert "isolation landlock+seccomp" in shown
    assert "hermetic" in shown


def test_a_run_by_hand_is_held_to_its_code_and_its_deps(hub, place: Path) -> None:
    repository = make_repository(hub, place / "hand", FILES | {".gitignore": "rows.csv\n"})
    (repository.folder / "rows.csv").write_text("1\n")
    script = "print(open('rows.csv').read())"
    command = ("python3", "-c", script)
    refused = hub.relive("run", "--hermetic", "--", *command, folder=repository.folder, check=False)
    assert refused.returncode == 1
    assert "--dep rows.csv" in refused.stderr
    done = hub.relive(
        "run", "--hermetic", "--dep", "rows.csv", "--json", "--", *command, folder=repository.folder
    )
    report = json.loads(done.stdout)["report"]
    assert report["status"] == "finished"
    assert (repository.folder / "rows.csv").read_text() == "1\n"
