"""A model of a push as one file: signed, and made again bit by bit where there is neither hub nor network."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from relive.core.pipeline import PipelineStatus
from tests.e2e.hub import RealHub, running_hub
from tests.e2e.test_examples import example


def python_alone(archive: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run an archive with an interpreter that knows no package, in an empty home, without a network."""
    home = archive.parent / "nobody"
    home.mkdir(exist_ok=True)
    python = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    unshare = shutil.which("unshare")
    probe = [unshare or "false", "-rn", "true"]
    alone = probe[:2] if subprocess.run(probe, capture_output=True, check=False).returncode == 0 else []
    return subprocess.run(
        [*alone, python, "-I", str(archive), *arguments],
        env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


@pytest.mark.timeout(900)
def test_a_registered_model_outlives_the_hub_that_made_it(hub: RealHub, tmp_path: Path) -> None:
    repository = example(hub, tmp_path, "digits")
    said = repository.push()
    assert repository.pipeline(1).pipeline.status is PipelineStatus.SUCCEEDED, said
    archive = tmp_path / "digits.zip"
    done = hub.relive("export", "digits@champion", "--self-contained", "-o", str(archive), "--json")
    assert json.loads(done.stdout)["lacking"] == []

    verified = python_alone(archive, "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "✓ provenance/digits-v1.dsse.json" in verified.stdout

    replayed = python_alone(archive, "replay", "--json")
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    verdict = json.loads(replayed.stdout)
    assert verdict["level"] == "bit_exact", verdict
    assert set(verdict["outs"].values()) == {"same bytes"}
    with zipfile.ZipFile(archive) as file:
        names = file.namelist()
    assert any(name.startswith("wheels/scikit_learn-") for name in names)

    with running_hub(tmp_path / "other") as other:
        (run,) = json.loads(other.relive("import", str(archive), "--json").stdout)["runs"]
        again = other.relive("replay", run["run_id"], "--json", "--quiet")
        assert json.loads(again.stdout)["level"] == "bit_exact"
