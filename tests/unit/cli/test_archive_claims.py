"""What a hub said of a run comes with its archive, and stays that hub's word wherever the run goes."""

import json
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from relive.core.claims import CLAIMS, Claim, Claims, decode_claims, encode_claims, joined
from relive.core.model import ModelVersion, RegisteredModel
from relive.core.trajectory import Verdict, VerdictLevel
from relive.errors import InvalidInput
from tests.support.bench import Bench
from tests.support.live import LiveHub
from tests.unit.cli.conftest import Shell

TRAIN = (
    "import json; json.dump({'accuracy': 0.5}, open('metrics.json', 'w')); open('model.txt', 'w').write('7')"
)


@pytest.fixture
def run_id(relive: Shell, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make a run that was replayed, and registered as a version that has an alias."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    Path("train.py").write_text(TRAIN)
    Path("requirements.txt").write_text("")
    subprocess.run(["git", "init", "-q"], check=True)
    options = ("--env", "requirements.txt", "--metrics", "metrics.json", "--out", "model.txt")
    command = ("run", "--json", "--project", "demo", *options, "--", "python", "train.py")
    run_id = str(relive(*command).json["run_id"])
    relive("replay", run_id, "--json")
    store = bench.services.store
    run = store.get_run(run_id)
    model = store.create_model(RegisteredModel(id="m1", project_id=run.project_id, name="seven"))
    (out,) = [it for it in store.list_artifacts(run_id) if it.path == "model.txt"]
    store.create_version(
        ModelVersion(
            id="v1",
            model_id=model.id,
            model="seven",
            version=1,
            run_id=run_id,
            manifest=out.manifest,
            sha256="00" * 32,
            facts={"metrics": {"accuracy": 0.5}},
            description="the <b>first</b>",
            created_by="ada",
            created_at=1.5,
        )
    )
    store.set_alias("seven", "champion", 1, by="ada")
    return run_id


def exported(relive: Shell, run_id: str, path: Path) -> Path:
    assert relive("export", run_id, "--self-contained", "-o", str(path), "--json").json["lacking"] == []
    return path


def imported(relive: Shell, archive: Path, project: str = "back") -> str:
    (run,) = relive("import", str(archive), "--project", project, "--json").json["runs"]
    return str(run["run_id"])


def claims_in(relive: Shell, run_id: str) -> Any:
    return relive("show", run_id, "--json").json["claims"]


def test_verdicts_and_versions_come_along_as_what_another_hub_said(
    relive: Shell, run_id: str, tmp_path: Path, bench: Bench
) -> None:
    back = imported(relive, exported(relive, run_id, tmp_path / "one.zip"))
    (claim,) = claims_in(relive, back)
    assert (claim["run_id"], claim["project"], claim["hub"]) == (run_id, "demo", "http://hub")
    (verdict,) = claim["verdicts"]
    assert (verdict["level"], verdict["by"]) == ("bit_exact", "ada")
    assert verdict["machine"]
    (version,) = claim["versions"]
    assert (version["model"], version["version"], version["aliases"]) == ("seven", 1, ["champion"])
    assert (version["facts"], version["description"]) == ({"metrics": {"accuracy": 0.5}}, "the <b>first</b>")
    store = bench.services.store
    assert store.list_verdicts(back) == [], "none of this hub's"
    assert [it.run_id for it in store.list_versions("seven")] == [run_id], "nothing was registered"
    assert {it.alias: it.version for it in store.list_aliases("seven")} == {"champion": 1}
    said = relive("show", back).out
    assert f"brought in from http://hub, run {run_id} of demo; not judged here" in said
    assert "said there: ≡ bit-exact" in said
    assert "registered there: seven v1 (candidate, champion there) by ada" in said
    assert "replay     " not in said


def test_the_page_tells_them_apart_from_what_was_judged_here(
    relive: Shell, run_id: str, tmp_path: Path, live: LiveHub
) -> None:
    back = imported(relive, exported(relive, run_id, tmp_path / "one.zip"))
    page = live.ask("GET", f"/r/{back}/replay").body.decode()
    assert "Said elsewhere, not judged here" in page
    assert "seven v1 (candidate, champion) by ada" in page
    assert "Said elsewhere" not in live.ask("GET", f"/r/{run_id}/replay").body.decode()


def test_there_and_back_again_nothing_is_lost_or_doubled(relive: Shell, run_id: str, tmp_path: Path) -> None:
    one = exported(relive, run_id, tmp_path / "one.zip")
    with zipfile.ZipFile(one) as archive:
        (first,) = json.loads(archive.read("record/claim.json"))["claims"]
    back = imported(relive, one)
    assert imported(relive, one) == back
    assert claims_in(relive, back) == [first]
    two = exported(relive, back, tmp_path / "two.zip")
    with zipfile.ZipFile(two) as archive:
        assert "record/claim.json" not in archive.namelist(), "that hub said nothing of its own"
    third = imported(relive, two, "further")
    assert claims_in(relive, third) == [first]
    relive("replay", third, "--json")
    fourth = imported(relive, exported(relive, third, tmp_path / "three.zip"), "furthest")
    both = claims_in(relive, fourth)
    assert (both[0], both[1]["run_id"], len(both)) == (first, third, 2)
    assert [it["level"] for it in both[1]["verdicts"]] == ["bit_exact"]


def test_a_run_of_which_nothing_was_said_brings_no_claims(
    relive: Shell, tmp_path: Path, bench: Bench
) -> None:
    Path("train.py").write_text(TRAIN)
    subprocess.run(["git", "init", "-q"], check=True)
    run = str(relive("run", "--json", "--project", "demo", "--", "python", "-S", "train.py").json["run_id"])
    path = tmp_path / "x.zip"
    relive("export", run, "--self-contained", "-o", str(path))
    back = imported(relive, path)
    assert claims_in(relive, back) == []
    assert CLAIMS not in [it.path for it in bench.services.store.list_artifacts(back)]


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b'{"format": "relive.claims/2"}', b'{"claims": [{}]}'])
def test_claims_that_are_none_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        decode_claims(data)


def test_of_one_hub_the_last_word_on_a_run_stands() -> None:
    one = Claim(hub="a", project="p", run_id="1", verdicts=(Verdict(level=VerdictLevel.DIVERGED),))
    newer = Claim(hub="a", project="p", run_id="1", verdicts=(Verdict(level=VerdictLevel.BIT_EXACT),))
    other = Claim(hub="b", project="p", run_id="1", verdicts=one.verdicts)
    both = joined(joined(Claims(), one), other)
    assert both.claims == (one, other)
    assert joined(both, other) == joined(both, None) == joined(both, Claim(hub="c", project="p", run_id="1"))
    assert joined(both, newer).claims == (other, newer)
    assert decode_claims(encode_claims(both)) == both
