"""What a commit says about itself when it is planned."""

import pytest

from tests.support.bench import Bench

FILE = "version: 1\n{}stages: {{check: {{cmd: 'true'}}}}\n"


@pytest.mark.parametrize("project", ["", "project: digits\n"])
def test_a_file_that_names_its_project_or_none_is_fine(bench: Bench, project: str) -> None:
    assert bench.push({"relive.yaml": FILE.format(project)}).warnings == ()


def test_a_file_that_names_another_project_is_pointed_at(bench: Bench) -> None:
    pipeline = bench.push({"relive.yaml": FILE.format("project: cider\n")})
    (warning,) = pipeline.warnings
    assert "names the project 'cider', but this commit came to 'digits', which counts" in warning
    assert pipeline.error == ""
