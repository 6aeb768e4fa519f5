"""Commands that read: runs, pipelines, models, endpoints; what a person sees and what a program gets."""

import json
import math
import re
import shlex
from pathlib import Path

import pytest

from relive.core.pipeline import Pipeline
from relive.core.run import Metric, RunStatus
from relive.core.trajectory import Verdict, VerdictLevel
from relive.services import runs as run_calls
from relive.wire.jobs import LogChunk, Records, StageReport
from tests.support.bench import SIGNATURE, Bench
from tests.unit.cli.conftest import Shell

GATED = """
version: 1
stages:
  prepare: {cmd: "python prepare.py", deps: [prepare.py], outs: [data/]}
  train:
    cmd: "python train.py"
    deps: [train.py, data/]
    outs: [model/]
    metrics: [m.json]
    matrix: {depth: [2, 3]}
  best: {select: {from: train, metric: accuracy, mode: max}}
  gate: {needs: [best], gates: [{metric: accuracy, min: 0.9}]}
"""
FILES = {"relive.yaml": GATED, "prepare.py": "1", "train.py": "1"}


@pytest.fixture
def gated(bench: Bench) -> Pipeline:
    """A pipeline that its gate has stopped."""
    pipeline = bench.start(FILES)
    bench.begin(bench.stages(pipeline)["prepare"])
    bench.finish(bench.stages(pipeline)["prepare"], outs={"data/rows.csv": b"1,2\n"})
    for depth, accuracy in ((2, 0.5), (3, 0.75)):
        stage = bench.stages(pipeline)[f"train[depth={depth}]"]
        bench.begin(stage)
        bench.finish(stage, outs={"model/w": b"w"}, accuracy=accuracy)
    return bench.again(pipeline)


def test_no_runs_says_how_to_start_one(relive: Shell) -> None:
    assert relive("runs").out == "No runs yet. Start one: relive run -- python train.py\n"
    assert relive("runs", "--json").json == []


def test_runs_are_listed_newest_first(relive: Shell, bench: Bench, gated: Pipeline) -> None:
    bench.finished_by_hand(name="by hand [x]", commit="c" * 40)
    head, first, *rest = relive("runs").lines
    assert head.split() == ["RUN", "NAME", "STATUS", "COMMIT", "TOOK", "STARTED"]
    assert "by hand [x]" in first
    assert "● finished" in first
    assert "cccccccc" in first
    assert len(rest) == 3
    assert "train[depth=3] #1" in rest[0]


def test_runs_are_narrowed_and_ordered(relive: Shell, bench: Bench, gated: Pipeline) -> None:
    bench.by_hand(project="other", name="elsewhere")
    names = [
        run["name"]
        for run in relive("runs", "--project", "digits", "--order", "-metrics.accuracy", "--json").json
    ]
    assert names[:2] == ["train[depth=3] #1", "train[depth=2] #1"]
    assert [run["name"] for run in relive("runs", "--status", "running", "--json").json] == ["elsewhere"]
    assert [run["name"] for run in relive("runs", "--text", "prep", "--json").json] == ["prepare #1"]
    assert len(relive("runs", "--limit", "1", "--json").json) == 1
    assert "no project 'none'" in relive("runs", "--project", "none", code=1).err
    assert relive("runs", "--status", "sleeping", code=2).err.startswith("✗ status is 'sleeping'")


def test_a_run_is_shown_with_all_that_went_in_and_came_out(
    relive: Shell, bench: Bench, gated: Pipeline
) -> None:
    run = bench.stages(gated)["train[depth=3]"].run_id
    bench.services.store.record_verdict(
        Verdict(level=VerdictLevel.DIVERGED, reason="accuracy differs", run_id=run, replay_run_id=run)
    )
    said = relive("show", run[:8])
    assert said.lines[0] == f"train[depth=3] #1  {run}"
    assert "status     ● finished" in said.lines
    assert "replay     ≠ diverged   accuracy differs" in said.lines
    assert "command    python train.py" in said.lines
    assert re.search(r"^accuracy +0\.75 +0\.75 +0\.75 +1$", said.out, re.MULTILINE)
    assert re.search(r"^data +stage:prepare +[0-9a-f]{12}$", said.out, re.MULTILINE)
    assert re.search(r"^model +1 B +1 +[0-9a-f]{12}$", said.out, re.MULTILINE)
    assert "software   0 packages (0 imported), 0 shared libraries, isolation none" in said.lines
    assert said.lines[-1] == "recorded   python-only; what else it read is not known"


def test_a_run_as_json_has_its_recipe(relive: Shell, bench: Bench, gated: Pipeline) -> None:
    run = bench.stages(gated)["prepare"].run_id
    found = relive("show", run, "--json").json
    assert found["detail"]["run"]["id"] == run
    assert found["recipe"]["declared"]["command"] == "python prepare.py"
    running = bench.by_hand().run_id
    assert relive("show", running, "--json").json["recipe"] is None


def test_nan_is_said_as_it_is(relive: Shell, bench: Bench) -> None:
    run = bench.services.store.get_run(bench.by_hand().run_id)
    run_calls.record(
        bench.services, run, Records(fence=0, batch="1", metrics=(Metric("loss", float("nan")),))
    )
    assert re.search(r"^loss +nan +nan +nan +1$", relive("show", run.id).out, re.MULTILINE)
    found = relive("show", run.id, "--json")
    assert found.json["detail"]["metrics"][0]["last"] == "NaN"


def test_what_a_run_is_named_moves_no_cursor(relive: Shell, bench: Bench) -> None:
    bench.by_hand(name="\x1b[2Jgone [bold]", command="echo \x07")
    for said in (relive("runs"), relive("show", bench.services.store.list_runs()[0].id)):
        assert "\x1b" not in said.out
        assert "\x07" not in said.out
        assert "gone [bold]" in said.out


def test_runs_are_filtered_and_ordered(relive: Shell, bench: Bench) -> None:
    store = bench.services.store
    for name, acc in (("low", 0.1), ("high", 0.9), ("higher", 0.95)):
        run = store.get_run(bench.by_hand(name=name).run_id)
        run_calls.record(bench.services, run, Records(fence=0, batch=name, metrics=(Metric("acc", acc),)))
    said = relive("runs", "--filter", "metrics.acc > 0.5", "--order", "metrics.acc DESC", "--json")
    assert [run["name"] for run in said.json] == ["higher", "high"]
    assert [run["name"] for run in relive("runs", "--text", "low", "--json").json] == ["low"]
    wrong = relive("runs", "--filter", "metrics.acc > 0.5 AND nmae = 'x'", code=2)
    assert "Invalid attribute key 'nmae' specified" in wrong.err
    assert wrong.err.splitlines()[1:3] == ["  metrics.acc > 0.5 AND nmae = 'x'", "                        ^"]


def test_an_ambiguous_beginning_names_those_that_fit(relive: Shell, bench: Bench) -> None:
    ids = [bench.by_hand().run_id for _ in range(17)]
    digit = max("0123456789abcdef", key=lambda it: sum(run.startswith(it) for run in ids))
    said = relive("show", digit, code=1)
    assert "give more characters of the id" in said.err
    assert all(run in said.err for run in ids if run.startswith(digit))


def test_logs_are_printed_byte_for_byte(relive: Shell, bench: Bench) -> None:
    run = bench.services.store.get_run(bench.by_hand().run_id)
    run_calls.append_log(
        bench.services, run, LogChunk(fence=0, offset=0, data="epoch 1 ünï\n[bold]".encode())
    )
    assert relive("logs", run.id).out == "epoch 1 ünï\n[bold]"
    assert relive("logs", "zz", code=1).err == "✗ There is no run 'zz'.\n"


def test_following_a_log_ends_with_the_run(relive: Shell, bench: Bench) -> None:
    run = bench.services.store.get_run(bench.by_hand().run_id)
    run_calls.append_log(bench.services, run, LogChunk(fence=0, offset=0, data=b"one\n"))
    kept = bench.services.blobs.put(b"one\ntwo\n").digest
    run_calls.finish(
        bench.services, run, StageReport(fence=0, status=RunStatus.FINISHED, log=kept, log_bytes=8)
    )
    assert relive("logs", "-f", run.id).out == "one\ntwo\n"


def test_cancelling_a_run(relive: Shell, bench: Bench) -> None:
    run = bench.by_hand().run_id
    assert relive("cancel", run[:8]).out == f"Run {run[:8]} is asked to end.\n"
    assert bench.services.store.get_run(run).reason == "cancelled by ada"
    assert "already ended as killed" in relive("cancel", run, code=1).err
    other = bench.by_hand().run_id
    assert relive("cancel", other, "--json").json["status"] == "killed"


def test_no_pipelines_says_how_to_start_one(relive: Shell) -> None:
    assert relive("pipeline", "list").out == "No pipelines yet. Start one: git push relive main\n"


def test_pipelines_are_those_of_the_project_one_stands_in(relive: Shell, gated: Pipeline) -> None:
    relive("init", "--project", "cider")
    said = relive("pipeline", "list")
    assert said.out == "No pipelines of cider yet. Start one: git push relive main\n"
    assert said.err.startswith("Of project cider, ")
    everywhere = relive("pipeline", "list", "--all")
    assert "digits:1" in everywhere.out
    assert everywhere.err == ""
    assert [it["project"] for it in relive("pipeline", "list", "--all", "--json").json] == ["digits"]
    assert relive("pipeline", "list", "--json").json == []
    assert "digits:1" in relive("pipeline", "list", "--project", "digits").out


def test_pipelines_are_listed(relive: Shell, gated: Pipeline) -> None:
    (_, row) = relive("pipeline", "list").lines
    assert row.split()[:5] == ["digits:1", "gated", gated.commit[:8], "change", "ada"]
    (found,) = relive("pipeline", "list", "--project", "digits", "--limit", "1", "--json").json
    assert found["pipeline"]["id"] == gated.id


@pytest.mark.parametrize("ref", ["digits:1", "id"])
def test_a_pipeline_is_shown_with_its_stages_and_reasons(relive: Shell, gated: Pipeline, ref: str) -> None:
    said = relive("pipeline", "show", gated.id if ref == "id" else ref)
    assert said.lines[0] == f"digits #1  {gated.commit[:8]} change"
    assert said.lines[1] == "  gated, push by ada   http://hub/p/digits/pipelines/1"
    assert "  ✗ gate                     failed" in said.lines
    assert any(line.startswith("      accuracy 0.75 < 0.9") for line in said.lines)
    assert any(line.startswith("  ✓ train[depth=2]           succeeded") for line in said.lines)


def test_watching_a_pipeline_ends_with_its_outcome(relive: Shell, bench: Bench, gated: Pipeline) -> None:
    said = relive("pipeline", "watch", "digits:1", code=3)
    assert said.lines[-1] == "gated   http://hub/p/digits/pipelines/1"
    assert relive("pipeline", "watch", "digits:1", "--json", code=3).json["pipeline"]["status"] == "gated"
    broken = bench.push({"relive.yaml": "version: 1\nstages: {a: {cdm: x}}\n"})
    said = relive("pipeline", "watch", broken.id, code=1)
    assert "stages.a.cdm" in said.out


def test_watching_what_does_not_exist_does_not_wait_for_it(relive: Shell) -> None:
    assert "no pipeline 'digits:9'" in relive("pipeline", "watch", "digits:9", code=1).err
    assert "no pipeline" in relive("pipeline", "watch", "f" * 32, code=1).err


def test_why_each_stage_ran(relive: Shell, bench: Bench, gated: Pipeline) -> None:
    first = relive("pipeline", "why", "digits:1", "--stage", "prepare")
    assert first.lines == ["prepare  succeeded", "  it never ran before"]
    again = bench.push(FILES | {"train.py": "2"})
    bench.tick()
    assert again.number == 2
    said = relive("pipeline", "why", "digits:2").lines
    assert "prepare  cached (compared with pipeline 1)" in said
    assert "train[depth=2]  queued (compared with pipeline 1)" in said
    assert any("train.py" in line for line in said)
    assert "no stage 'nope'" in relive("pipeline", "why", "digits:2", "--stage", "nope", code=1).err
    assert relive("pipeline", "why", "digits:2", "--stage", "prepare", "--json").json[0]["compared_with"] == 1


def test_cancelling_a_pipeline(relive: Shell, bench: Bench) -> None:
    pipeline = bench.start(FILES)
    said = relive("pipeline", "cancel", "digits:1")
    assert said.out == "Pipeline digits:1 is asked to end.\n"
    stage = bench.stages(pipeline)["prepare"]
    assert bench.services.store.get_job(stage.job_id).cancel_requested
    assert bench.stages(pipeline)["gate"].status == "cancelled"


def test_cancelling_what_has_ended_is_refused(relive: Shell, gated: Pipeline) -> None:
    assert (
        relive("pipeline", "cancel", "digits:1", code=1).err
        == "✗ pipeline digits:1: it has already ended as gated.\n"
    )


def test_a_rerun_is_queued(relive: Shell, bench: Bench, gated: Pipeline) -> None:
    said = relive("pipeline", "rerun", "digits:1", "--from", "train", "--no-wait")
    queued = re.fullmatch(r"Pipeline ([0-9a-f]{32}) is queued: relive pipeline watch \1\n", said.out)
    assert queued is not None
    planned = bench.plan(bench.services.store.get_job(queued[1]))
    assert (planned.rerun_of, planned.trigger, planned.actor) == (gated.id, "rerun", "ada")
    assert (
        "no stage 'nope'"
        in relive("pipeline", "rerun", "digits:1", "--from", "nope", "--no-wait", code=1).err
    )


def test_a_start_without_a_push(relive: Shell, bench: Bench, gated: Pipeline) -> None:
    found = relive("pipeline", "start", "--project", "digits", "--rev", "main", "--no-wait", "--json").json
    planned = bench.plan(bench.services.store.get_job(found["id"]))
    assert (planned.commit, planned.ref, planned.trigger) == (gated.commit, "refs/heads/main", "manual")
    said = relive("pipeline", "start", "--project", "digits", "--rev", "nowhere", "--no-wait", code=1)
    assert "no commit, branch or tag 'nowhere'" in said.err


def test_a_number_alone_means_this_repositorys_project(relive: Shell, bench: Bench, gated: Pipeline) -> None:
    said = relive("pipeline", "show", "1", code=1)
    assert "There is no git remote of this folder 'relive'." in said.err
    assert "try:      relive init" in said.err
    bench.git("remote", "add", "relive", "http://hub/git/digits.git")
    relive.patch.chdir(bench.work)
    assert relive("pipeline", "show", "1").lines[0].startswith("digits #1")


def test_a_file_is_checked_without_a_hub(shell: Shell) -> None:
    Path("relive.yaml").write_text(GATED)
    said = shell("pipeline", "check")
    assert said.lines[0] == "relive.yaml is fine: 5 stages"
    assert "  train[depth=2]   after prepare" in said.lines
    Path("bad.yaml").write_text("version: 1\nstages: {a: {cmd: x, outs: 3, needs: [b]}}\n")
    said = shell("pipeline", "check", "bad.yaml", code=1)
    assert "bad.yaml has" in said.err
    assert "stages.a.outs" in said.err
    assert "relive pipeline check" not in said.err  # which is what was typed
    assert shell("pipeline", "check", "none.yaml", code=2).err.startswith("Usage:")
    assert (
        json.loads(shell("pipeline", "check", "bad.yaml", "--json", code=1).err)["error"]
        == "invalid_pipeline_file"
    )


def test_models_and_their_versions(relive: Shell, bench: Bench) -> None:
    assert relive("model", "list").out == "No models yet: a `register` stage makes them.\n"
    bench.version(a=b"1")
    bench.version(a=b"2", b=b"22")
    relive("model", "alias", "digits@1", "champion")
    assert relive("model", "list").lines[1].split() == ["digits", "digits", "2", "champion", "→", "v1"]
    head, second, first, page = relive("model", "show", "digits").lines
    assert head.split()[:3] == ["VERSION", "ALIAS", "STATUS"]
    assert first.split()[:3] == ["v1", "champion", "candidate"]
    assert second.split()[:2] == ["v2", "candidate"]
    assert page == "http://hub/m/digits"
    assert len(relive("model", "show", "digits", "--json").json["versions"]) == 2
    assert relive("model", "list", "--project", "digits", "--json").json[0]["model"]["name"] == "digits"


def test_a_signature_is_checked(relive: Shell, bench: Bench) -> None:
    bench.version(a=b"1")
    bench.version(a=b"2", b=b"22")
    relive("model", "alias", "digits@v2", "champion")
    key = bench.services.signer.key_id[:16]
    for name in ("digits@champion", "digits", "digits@2", "digits@v2"):
        assert relive("model", "verify", name).out == f"✓ digits v2: 2 files as signed by {key}…\n"
    assert relive("model", "verify", "digits@1").out == f"✓ digits v1: 1 file as signed by {key}…\n"
    assert relive("model", "verify", "digits@1", "--json").json["files"] == 1


def test_a_tampered_version_is_refused(relive: Shell, bench: Bench) -> None:
    version = bench.version(a=b"1")
    (entry,) = bench.manifest(version.manifest).entries
    path = bench.services.blobs.path_of(entry.digest)  # type: ignore[attr-defined]
    path.chmod(0o600)
    path.write_bytes(b"2")
    said = relive("model", "verify", "digits@1", code=1)
    assert "its files are not those that were signed" in said.err
    assert json.loads(relive("model", "verify", "digits@1", "--json", code=1).err)["error"] == "conflict"


def test_an_alias_is_moved(relive: Shell, bench: Bench) -> None:
    bench.version()
    bench.version()
    assert relive("model", "alias", "digits@1", "champion").out == "digits@champion → v1\n"
    assert relive("model", "alias", "digits@2", "champion").out == "digits@champion → v2 (was v1)\n"
    assert relive("model", "alias", "digits@2", "champion").out == "digits@champion is v2 already.\n"
    assert len(bench.events("alias.moved")) == 2
    assert "alias name" in relive("model", "alias", "digits@2", "a b", code=2).err
    assert "digits@9" in relive("model", "alias", "digits@9", "champion", code=1).err


def test_a_version_is_downloaded_whole(relive: Shell, bench: Bench) -> None:
    bench.version(weights=b"w" * 10, deep_file=b"d")
    said = relive("model", "download", "digits@1", "there")
    assert said.out == "2 files, 11 bytes in there\n"
    assert {path.name: path.read_bytes() for path in Path("there").iterdir()} == {
        "weights": b"w" * 10,
        "deep_file": b"d",
    }
    assert relive("model", "download", "digits@1", "again", "--json").json["version"] == 1


def test_the_signed_statement_is_printed_byte_for_byte(relive: Shell, bench: Bench) -> None:
    version = bench.version()
    said = relive("model", "provenance", "digits@1")
    assert said.out.encode() == bench.services.blobs.read(version.provenance) + b"\n"


def test_endpoints_their_revisions_and_the_way_back(relive: Shell, bench: Bench) -> None:
    assert "No endpoints yet" in relive("endpoint", "list").out
    bench.deployed(bench.version())
    bench.deployed(bench.version())
    assert relive("endpoint", "list").lines[1].split() == [
        "digits",
        "digits",
        "v2",
        "ready",
        "http://hub/v2/models/digits/infer",
    ]
    _, second, first, address, request = relive("endpoint", "show", "digits").lines
    curl, url, *_, body = shlex.split(request)
    assert (curl, url) == ("curl", "http://hub/v2/models/digits/infer")
    (asked,) = json.loads(body)["inputs"]
    (taken,) = SIGNATURE.inputs
    assert (asked["name"], asked["datatype"]) == (taken.name, taken.datatype)
    assert len(asked["data"]) == math.prod(asked["shape"])
    assert asked["shape"][0] == 1
    assert second.split()[:5] == ["2", "digits", "v2", "ready", "live"]
    assert "kept for rollback" in first
    assert address == "POST http://hub/v2/models/digits/infer"
    relive("model", "alias", "digits@2", "champion")
    assert relive("endpoint", "rollback", "digits").lines == [
        "digits: digits v2 → digits v1 (revision 2 → 1, ready)",
        "digits@champion: v2 → v1",
        "forward again: relive deploy digits@2 digits && relive model alias digits@2 champion",
    ]
    _, second, first, *_ = relive("endpoint", "show", "digits").lines
    assert ("rolled back from" in second, "live" in first) == (True, True)
    assert "relive deploy digits@2 digits" in relive("endpoint", "rollback", "digits", code=1).err
    said = relive("deploy", "digits@2", "digits")
    assert "champion stays v1" in said.err
    assert "relive model alias digits@2 champion" in said.err
    assert "live already" not in said.out
    assert relive("deploy", "digits@2", "digits").lines[0] == "digits v2 is live already: revision 2."
    relive("model", "alias", "digits@2", "champion")
    assert "champion" not in relive("deploy", "digits@2", "digits").err
    assert relive("endpoint", "rollback", "digits", "--json").json["endpoint"]["name"] == "digits"
    assert "Aborted" in relive("endpoint", "delete", "digits", code=130).err  # nobody is there to ask
    assert relive("endpoint", "delete", "digits", "--yes").out == "Endpoint digits is gone.\n"
    assert "no endpoint 'digits'" in relive("endpoint", "show", "digits", code=1).err


def test_deploying_a_version(relive: Shell, bench: Bench) -> None:
    bench.version()
    said = relive("deploy", "digits@1", "digits", "--no-wait")
    assert said.lines[1].split()[:4] == ["1", "digits", "v1", "pending"]
    assert "endpoint name" in relive("deploy", "digits@1", "a b", code=2).err
    assert "no model version 'digits@champion'" in relive("deploy", "digits", "digits", code=1).err


def test_deploying_waits_until_it_has_the_traffic_or_has_failed(relive: Shell, bench: Bench) -> None:
    version = bench.version()
    revision = bench.deployed(version)
    bench.services.store.set_revision(revision.id, state="stopped")
    relive.patch.setattr("relive.cli.endpoint._POLL_S", 0.01)
    said = relive("deploy", "digits@1", "digits", "--no-wait", "--json")
    assert said.json["revisions"][0]["number"] == 2
    newest = said.json["revisions"][0]["id"]
    bench.services.store.set_revision(newest, state="failed", error="row 1 differs")
    relive.patch.setattr(
        "relive.client.hub.HubClient.deploy_version", lambda hub, *_: hub.get_endpoint("digits")
    )
    assert (
        "revision 2 of digits: it is failed: row 1 differs."
        in relive("deploy", "digits@1", "digits", code=1).err
    )


def test_a_run_by_hand_without_a_hub_is_refused_at_once(shell: Shell) -> None:
    shell.patch.setenv("RELIVE_HUB", "http://127.0.0.1:9")
    shell.patch.setenv("RELIVE_TOKEN", "rlv_x_y")
    said = shell("run", "--", "touch", "done", code=5)
    assert "does not answer" in said.err
    assert not Path("done").exists()
