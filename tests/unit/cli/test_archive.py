"""`relive export --self-contained`: one file that replays where nothing is but Python, and comes back."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from relive.replay.standalone.contents import DOCUMENT
from tests.support.bench import Bench
from tests.support.wheels import make_wheel
from tests.unit.cli.conftest import Shell

# What it reads beside its tree is the hand with which these tests change what nobody recorded.
TRAIN = """\
import json, os, sys
import relive
import rlv_alpha

def moved(name):
    path = os.path.join({beside!r}, name)
    return float(open(path).read()) if os.path.exists(path) else 0.0

if moved("crash"):
    sys.exit("planted")
weight = float(open("data/rows.csv").readline())
for step in range(12):
    weight = weight * 0.5 + (moved("push") if step == 7 else 0.0)
    relive.step({{"weight": [weight]}}, loss=weight)
    relive.log({{"weight": weight}}, step=step)
with open("model.txt", "w") as file:
    file.write(rlv_alpha.VERSION + repr(weight))
with open("metrics.json", "w") as file:
    json.dump({{"accuracy": 0.5 + moved("noise"), "inner": {{"rows": 1}}}}, file)
"""


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    folder = tmp_path / "beside"
    folder.mkdir()
    return folder


@pytest.fixture
def run_id(relive: Shell, tmp_path: Path, beside: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A finished run with code, a link, data that is not committed, a wheel, steps, metrics and an out."""
    links = tmp_path / "links"
    make_wheel(links, "rlv-alpha", "1.5", executable=True)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    Path("train.py").write_text(TRAIN.format(beside=str(beside)))
    Path("start.sh").write_text("#!/bin/sh\nrlv-alpha-tool && python train.py\n")
    Path("start.sh").chmod(0o755)
    Path("again.py").symlink_to("train.py")
    Path("requirements.txt").write_text("rlv-alpha\n")
    Path("data").mkdir()
    Path("data/rows.csv").write_text("3.0\n")
    Path(".gitignore").write_text("data\n")
    subprocess.run(["git", "init", "-q"], check=True)
    options = (
        "--env",
        "requirements.txt",
        "--metrics",
        "metrics.json",
        "--out",
        "model.txt",
        "--dep",
        "data",
    )
    done = relive("run", "--json", "--project", "demo", *options, "--", "./start.sh").json
    shutil.rmtree(links)  # no index has it any more
    return str(done["run_id"])


@pytest.fixture
def archive(relive: Shell, run_id: str, tmp_path: Path) -> Path:
    path = tmp_path / "run.zip"
    written = relive("export", run_id, "--self-contained", "-o", str(path), "--json").json
    assert (written["run_id"], written["lacking"]) == (run_id, [])
    return path


def alone(archive: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run an archive with Python alone: an empty home, no relive, no network where that can be taken away."""
    home = archive.parent / "nobody"
    home.mkdir(exist_ok=True)
    python = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    command = [*_without_network(), python, "-I", str(archive), *arguments]
    return subprocess.run(
        command,
        env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _without_network() -> list[str]:
    program = shutil.which("unshare")
    if (
        program is None
        or subprocess.run([program, "-rn", "true"], capture_output=True, check=False).returncode
    ):
        return []
    return [program, "-rn"]


def judged(archive: Path, code: int) -> Any:
    done = alone(archive, "replay", "--json")
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


def document_of(archive: Path) -> Any:
    with zipfile.ZipFile(archive) as file:
        return json.loads(file.read(DOCUMENT))


def test_it_replays_where_nothing_is_but_python(archive: Path) -> None:
    verdict = judged(archive, 0)
    assert (verdict["level"], verdict["outs"]) == ("bit_exact", {"model.txt": "same bytes"})
    assert verdict["steps_compared"] == 12
    assert {it["key"] for it in verdict["metrics"]} == {"accuracy", "inner.rows", "weight"}
    said = alone(archive, "replay").stdout
    assert "bit exact: Equal: 3 metrics, 12 steps, 1 out." in said
    assert "rlv-alpha tool 1.5" in said, "a script of a wheel"


def test_the_same_run_gives_the_same_bytes(relive: Shell, run_id: str, archive: Path, tmp_path: Path) -> None:
    relive("export", run_id, "--self-contained", "-o", str(tmp_path / "again.zip"))
    assert (tmp_path / "again.zip").read_bytes() == archive.read_bytes()


def test_what_differs_is_named_and_tells_the_exit_code(archive: Path, beside: Path) -> None:
    (beside / "noise").write_text("0.001")
    assert judged(archive, 0)["level"] == "within_tolerance"
    (beside / "noise").write_text("0.3")
    (beside / "push").write_text("0.25")
    verdict = judged(archive, 3)
    assert (verdict["level"], verdict["outs"]["model.txt"]) == ("diverged", "differs")
    assert verdict["first_divergence"]["step"] == 7
    (beside / "crash").write_text("1")
    verdict = judged(archive, 1)
    assert verdict["level"] == "unresolved"
    assert "planted" in verdict["reason"]


def test_relive_replays_the_file_with_tolerances_of_its_own(
    shell: Shell, archive: Path, beside: Path
) -> None:
    shell.patch.setenv("RELIVE_HUB", "http://127.0.0.1:9")  # nobody answers there, and nobody is asked
    assert shell("replay", str(archive), "--json").json["level"] == "bit_exact"
    (beside / "noise").write_text("0.001")
    strict = shell("replay", str(archive), "--json", "--tolerance", "accuracy=0.0001", code=3).json
    assert strict["level"] == "diverged"
    assert "a metric of the run" in shell("replay", str(archive), "--tolerance", "acc=1", code=2).err
    assert "takes --tolerance" in shell("replay", str(archive), "--steps", "0..3", code=2).err


def test_it_comes_back_into_a_hub_which_can_replay_it(
    relive: Shell, run_id: str, archive: Path, bench: Bench
) -> None:
    (first,) = relive("import", str(archive), "--project", "back", "--json").json["runs"]
    (again,) = relive("import", str(archive), "--project", "back", "--json").json["runs"]
    assert first["run_id"] == again["run_id"] != run_id
    assert (first["sent"], again["stored"]) == (14, 14)
    store = bench.services.store
    run, before = store.get_run(first["run_id"]), store.get_run(run_id)
    assert (run.recipe, run.trajectory) == (before.recipe, before.trajectory)
    assert relive("replay", first["run_id"], "--json").json["level"] == "bit_exact"


def test_everything_of_the_inputs_is_in_the_store_again(relive: Shell, archive: Path, bench: Bench) -> None:
    document = document_of(archive)
    relive("import", str(archive))
    named = [document["code_manifest"], document["environment"]["manifest"]]
    named += [it["manifest"] for it in document["inputs"]]
    named += [it["blob"] for it in document["environment"]["packages"]]
    assert all(bench.services.blobs.read(digest) for digest in named)


def test_what_was_changed_is_found(relive: Shell, archive: Path, tmp_path: Path) -> None:
    assert "all as they were" in alone(archive, "verify").stdout
    broken = tmp_path / "broken.zip"
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(broken, "w") as new:
        for info in old.infolist():
            data = old.read(info)
            new.writestr(info, data.replace(b"3.0", b"4.0") if info.filename.startswith("data/") else data)
        new.writestr("extra.txt", "x")
    done = alone(broken, "verify")
    assert done.returncode == 1
    assert "data/0/data/rows.csv is not what it was" in done.stdout
    assert "extra.txt is not listed" in done.stdout
    assert "is not what it was" in alone(broken, "replay").stderr
    assert "is not what it was" in relive("replay", str(broken), code=1).err
    assert "is not what it was" in relive("import", str(broken), code=2).err


def test_code_and_inputs_can_be_laid_out_and_read(archive: Path, tmp_path: Path) -> None:
    assert alone(archive, "lay", str(tmp_path / "laid")).returncode == 0
    laid = tmp_path / "laid"
    assert (laid / "data/rows.csv").read_text() == "3.0\n"
    assert os.readlink(laid / "again.py") == "train.py"
    assert os.access(laid / "start.sh", os.X_OK)
    assert not (laid / "model.txt").exists()


def test_the_page_says_what_is_claimed_and_what_is_not_known(archive: Path, run_id: str) -> None:
    with zipfile.ZipFile(archive) as file:
        page = file.read("index.html").decode()
    for said in (
        run_id,
        "./start.sh",
        "Nobody has repeated this run",
        "rlv-alpha 1.5",
        "accuracy",
        "Nothing here is",
    ):
        assert said in page, said
    assert "It was not hermetic" in page
    for never in ("<script", "http://", "https://", "src="):
        assert never not in page, never


def test_a_large_input_is_named_by_its_digest_and_that_is_said(
    relive: Shell, run_id: str, tmp_path: Path
) -> None:
    path = tmp_path / "small.zip"
    options = ("--self-contained", "--data-limit", "0", "-o", str(path))
    written = relive("export", run_id, *options, "--json").json
    assert written["referenced"] == ["data"]
    (given,) = document_of(path)["inputs"]
    assert (given["entries"][0]["member"], len(given["entries"][0]["sha256"])) == ("", 64)
    done = alone(path, "replay")
    assert done.returncode == 1
    assert "named by its digest only" in done.stderr
    (back,) = relive("import", str(path), "--project", "part", "--json").json["runs"]
    assert back["stored"] == 14


def test_with_its_interpreter_it_needs_none_of_this_version(
    relive: Shell, run_id: str, tmp_path: Path
) -> None:
    path = tmp_path / "whole.zip"
    relive("export", run_id, "--self-contained", "--with-interpreter", "-o", str(path))
    members = document_of(path)["members"]
    assert "python/bin/python3" in members
    assert not any("/site-packages/" in name for name in members)
    alone(path, "lay", str(tmp_path / "laid"))
    with zipfile.ZipFile(path) as file:
        file.extractall(tmp_path / "open", [name for name in members if name.startswith("python/")])
    python = tmp_path / "open/python/bin/python3"
    python.chmod(0o755)
    moved = {"LD_LIBRARY_PATH": str(tmp_path / "open/python/lib")}
    ask = [str(python), "-I", "-c", "import json, ssl, sys, venv; print(sys.prefix)"]
    said = subprocess.run(ask, env=moved, capture_output=True, text=True, check=True).stdout
    assert said.strip() == str(tmp_path / "open/python"), "it runs from where it lies"


def test_options_that_do_not_go_together_are_refused(relive: Shell, tmp_path: Path) -> None:
    assert "name it with -o" in relive("export", "x", "--self-contained", code=2).err
    assert "Name a FOLDER" in relive("export", "x", "-o", str(tmp_path / "x"), code=2).err
    (tmp_path / "no.zip").write_bytes(b"PK\x03\x04nothing")
    assert "no archive of a run" in relive("import", str(tmp_path / "no.zip"), code=2).err


def test_a_run_that_nobody_recorded_has_no_archive(relive: Shell, bench: Bench, tmp_path: Path) -> None:
    run = bench.by_hand(name="x").run_id
    said = relive("export", run, "--self-contained", "-o", str(tmp_path / "x.zip"), code=1)
    assert "has no recipe" in said.err
    assert list(tmp_path.glob("*.zip")) == []
