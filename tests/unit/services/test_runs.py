"""Runs by hand: made, written by whom they belong to, ended once."""

from typing import Any

import msgspec
import pytest

from relive.core.access import Caller, Scope
from relive.core.run import Artifact, FailureReason, Metric, Run, RunKind, RunStatus
from relive.core.trajectory import Verdict, VerdictLevel
from relive.errors import AccessDenied, Ambiguous, Conflict, InvalidInput, InvalidName, NotFound
from relive.services import runs
from relive.services.accounts import authenticate
from relive.wire.jobs import LogChunk, Progress, Records, StageReport
from relive.wire.runs import CreateRun
from tests.support.bench import ADA, Bench

FINISHED = StageReport(fence=0, status=RunStatus.FINISHED, exit_code=0)


def made(bench: Bench, **asked: Any) -> Run:
    """Make a run by hand and read it."""
    return bench.services.store.get_run(bench.by_hand(**asked).run_id)


def test_a_run_makes_its_project_and_experiment_on_first_use(bench: Bench) -> None:
    run = made(bench, project="fresh", experiment="tries", command="python x.py", commit="c" * 40)
    store = bench.services.store
    assert store.get_project(run.project_id).name == "fresh"
    assert store.get_experiment(run.experiment_id).name == "tries"
    assert (run.status, run.kind, run.actor) == (RunStatus.RUNNING, RunKind.MANUAL, "ada")
    assert (run.command, run.commit, run.name) == ("python x.py", "c" * 40, f"manual {run.id[:8]}")
    again = made(bench, project="fresh", experiment="tries")
    assert (again.project_id, again.experiment_id) == (run.project_id, run.experiment_id)


def test_without_an_experiment_a_run_is_in_its_projects_own(bench: Bench) -> None:
    run = made(bench)
    assert bench.services.store.get_experiment(run.experiment_id).name == "digits"


@pytest.mark.parametrize("project", ["", "../../etc", "a/b", "a b", "x" * 64, ".git", "-rf"])
def test_a_project_that_could_be_no_folder_is_refused(bench: Bench, project: str) -> None:
    with pytest.raises(InvalidName):
        bench.by_hand(project=project)
    assert [p.name for p in bench.services.store.list_projects()] == ["digits"]


def test_a_replay_names_the_run_it_repeats(bench: Bench) -> None:
    first = made(bench)
    second = made(bench, kind=RunKind.REPLAY, replay_of=first.id[:8])
    assert (second.replay_of, second.name) == (first.id, f"replay {second.id[:8]}")
    with pytest.raises(NotFound):
        bench.by_hand(replay_of="f" * 32)


def test_its_start_is_told_with_the_project(bench: Bench) -> None:
    run = made(bench)
    (event,) = bench.services.store.list_events(subject=f"run:{run.id}")
    assert (event.kind, event.actor, event.project) == ("run.started", "ada", "digits")


def test_the_command_gets_a_token_for_this_run_alone(bench: Bench) -> None:
    created, other = bench.by_hand(), bench.by_hand()
    caller = authenticate(bench.services, created.token)
    assert (caller.scope, caller.run_id) == (Scope.COMMAND, created.run_id)
    assert runs.may_write(bench.services, caller, created.run_id).id == created.run_id
    with pytest.raises(AccessDenied, match="the run's own token"):
        runs.may_write(bench.services, caller, other.run_id)


@pytest.mark.parametrize(
    ("caller", "allowed"),
    [
        (Caller(name="root", scope=Scope.ADMIN), True),
        (Caller(name="ben", scope=Scope.MEMBER), True),
        (Caller(name="local", scope=Scope.LOCAL), False),
        (Caller(name="job:1", scope=Scope.RUNNER, job_id="1"), False),
        (Caller(name="run:1", scope=Scope.COMMAND, run_id="1" * 32), False),
    ],
    ids=lambda value: value.scope if isinstance(value, Caller) else "",
)
def test_who_may_write_the_run_of_another(bench: Bench, caller: Caller, allowed: bool) -> None:
    run_id = bench.by_hand().run_id
    if allowed:
        assert runs.may_write(bench.services, caller, run_id).id == run_id
        return
    with pytest.raises(AccessDenied):
        runs.may_write(bench.services, caller, run_id)


def test_a_caller_without_a_login_writes_its_own_runs_only(bench: Bench) -> None:
    local = Caller(name="local", scope=Scope.LOCAL)
    own = bench.by_hand(local).run_id
    assert runs.may_write(bench.services, local, own).actor == "local"


def test_what_a_run_logs_is_kept_once_a_batch(bench: Bench) -> None:
    run = made(bench)
    message = Records(
        fence=0,
        batch="1",
        metrics=(Metric(key="loss", value=0.5, step=0), Metric(key="loss", value=float("nan"), step=1)),
        params={"lr": 0.1, "layers": [1, 2]},
        tags={"who": "ada"},
    )
    for _ in range(2):
        runs.record(bench.services, run, message)
    detail = runs.get_detail(bench.services, run.id)
    (summary,) = detail.metrics
    assert (summary.key, summary.count, summary.last_step) == ("loss", 2, 1)
    assert summary.last != summary.last
    assert (detail.params, detail.tags) == ({"lr": 0.1, "layers": [1, 2]}, {"who": "ada"})


def test_one_bad_value_keeps_the_whole_message_out(bench: Bench) -> None:
    run = made(bench)
    runs.record(bench.services, run, Records(fence=0, batch="1", params={"lr": 0.1}))
    message = Records(fence=0, batch="2", metrics=(Metric(key="a", value=1.0),), params={"lr": 0.2})
    with pytest.raises(Conflict, match="set once"):
        runs.record(bench.services, run, message)
    assert runs.get_detail(bench.services, run.id).metrics == ()


def test_a_phase_is_shown_as_the_reason(bench: Bench) -> None:
    run = made(bench)
    runs.progress(bench.services, run, Progress(fence=0, phase="upload"))
    assert bench.services.store.get_run(run.id).reason == "upload"
    runs.progress(bench.services, run, Progress(fence=0, phase="upload", message="3 of 7 outs"))
    assert bench.services.store.get_run(run.id).reason == "3 of 7 outs"


def test_the_log_is_read_while_it_grows_and_after_it_was_kept(bench: Bench) -> None:
    run = made(bench)
    assert runs.append_log(bench.services, run, LogChunk(fence=0, offset=0, data=b"one\n")).length == 4
    assert runs.append_log(bench.services, run, LogChunk(fence=0, offset=0, data=b"one\n")).length == 4
    assert runs.append_log(bench.services, run, LogChunk(fence=0, offset=4, data=b"two\n")).length == 8
    assert b"".join(runs.read_log(bench.services, run)) == b"one\ntwo\n"
    assert b"".join(runs.read_log(bench.services, run, start=4)) == b"two\n"
    assert b"".join(runs.read_log(bench.services, run, start=99)) == b""
    kept = bench.services.blobs.put(b"one\ntwo\nthree\n")
    report = msgspec.structs.replace(FINISHED, log=kept.digest, log_bytes=14)
    ended = runs.finish(bench.services, run, report)
    assert b"".join(runs.read_log(bench.services, ended, start=4)) == b"two\nthree\n"
    assert b"".join(runs.read_log(bench.services, ended, start=99)) == b""
    assert bench.services.store.read_log(run.id, start=0) == b""  # the live pieces are gone


def test_a_long_live_log_comes_in_pieces(bench: Bench) -> None:
    run = made(bench)
    piece = b"x" * (700 << 10)
    for number in range(3):
        chunk = LogChunk(fence=0, offset=number * len(piece), data=piece)
        runs.append_log(bench.services, run, chunk)
    found = list(runs.read_log(bench.services, run))
    assert b"".join(found) == piece * 3
    assert max(len(part) for part in found) <= runs.LIVE_LOG_PIECE


def test_its_end_is_written_whole(bench: Bench) -> None:
    run = made(bench)
    manifest = bench.keep({"model/w": b"w"})
    report = StageReport(
        fence=0,
        status=RunStatus.FAILED,
        exit_code=3,
        failure=FailureReason.FAILURE,
        reason="exit code 3",
        recipe=bench.recipe("x"),
        recipe_digest="d",
        artifacts=(Artifact(run_id=run.id, path="model/", manifest=manifest, size_bytes=1, files=1),),
        metrics=(Metric(key="accuracy", value=0.5),),
        params={"lr": 1},
    )
    ended = runs.finish(bench.services, run, report)
    assert (ended.status, ended.exit_code, ended.failure) == (RunStatus.FAILED, 3, FailureReason.FAILURE)
    detail = runs.get_detail(bench.services, run.id)
    assert [artifact.path for artifact in detail.artifacts] == ["model/"]
    assert (detail.metrics[0].last, detail.params) == (0.5, {"lr": 1})
    assert ("run.failed", {"reason": "exit code 3"}) in bench.events()


def test_a_run_ends_once(bench: Bench) -> None:
    run = made(bench)
    ended = runs.finish(bench.services, run, FINISHED)
    assert runs.finish(bench.services, ended, FINISHED) == ended  # told again, because the answer was lost
    with pytest.raises(Conflict, match="already ended as finished"):
        runs.finish(bench.services, ended, msgspec.structs.replace(FINISHED, status=RunStatus.FAILED))
    assert len(bench.events("run.finished")) == 1


@pytest.mark.parametrize("status", [RunStatus.RUNNING, RunStatus.SCHEDULED])
def test_an_end_that_is_none_is_refused(bench: Bench, status: RunStatus) -> None:
    run = made(bench)
    with pytest.raises(InvalidInput, match="status"):
        runs.finish(bench.services, run, msgspec.structs.replace(FINISHED, status=status))
    assert bench.services.store.get_run(run.id).ended_at is None


def test_the_run_of_a_job_is_ended_by_its_runner_alone(bench: Bench) -> None:
    text = "version: 1\nstages: {a: {cmd: x}}\n"
    pipeline = bench.start({"relive.yaml": text})
    run = bench.services.store.get_run(bench.stages(pipeline)["a"].run_id)
    with pytest.raises(Conflict, match="belongs to a job"):
        runs.finish(bench.services, run, FINISHED)


def test_a_cancelled_run_hears_of_it_at_its_next_heartbeat(bench: Bench) -> None:
    run = made(bench)
    assert not runs.renew(bench.services, run).cancel
    ended = runs.cancel(bench.services, run.id[:8], by="ben")
    assert (ended.status, ended.failure, ended.reason) == (
        RunStatus.KILLED,
        FailureReason.CANCELLED,
        "cancelled by ben",
    )
    assert runs.renew(bench.services, ended).cancel
    with pytest.raises(Conflict, match="already ended as killed"):
        runs.cancel(bench.services, run.id, by="ben")
    ((_, facts),) = bench.events("run.killed")
    assert facts["reason"] == "cancelled by ben"


def test_the_report_of_a_cancelled_run_is_kept_all_the_same(bench: Bench) -> None:
    run = made(bench)
    runs.cancel(bench.services, run.id, by="ben")
    log = bench.services.blobs.put(b"terminated\n").digest
    report = StageReport(
        fence=0,
        status=RunStatus.KILLED,
        exit_code=-15,
        failure=FailureReason.CANCELLED,
        reason="cancelled",
        log=log,
        log_bytes=11,
    )
    ended = runs.finish(bench.services, bench.services.store.get_run(run.id), report)
    assert (ended.exit_code, ended.log, ended.reason) == (-15, log, "cancelled by ben")
    assert runs.finish(bench.services, ended, report) == ended
    assert len(bench.events("run.killed")) == 1


def test_a_run_that_ended_well_before_it_heard_of_its_cancelling_has_ended_well(bench: Bench) -> None:
    run = made(bench)
    runs.cancel(bench.services, run.id, by="ben")
    report = msgspec.structs.replace(FINISHED, recipe=bench.recipe("x"))
    ended = runs.finish(bench.services, bench.services.store.get_run(run.id), report)
    assert (ended.status, ended.failure, ended.reason) == (RunStatus.FINISHED, None, "")
    assert [kind for kind, _ in bench.events() if kind.startswith("run.")] == [
        "run.started",
        "run.killed",
        "run.finished",
    ]


def test_cancelling_the_run_of_a_stage_asks_its_job(bench: Bench) -> None:
    pipeline = bench.start({"relive.yaml": "version: 1\nstages: {a: {cmd: x}}\n"})
    stage = bench.stages(pipeline)["a"]
    runs.cancel(bench.services, stage.run_id, by="ben")
    assert bench.services.store.get_job(stage.job_id).cancel_requested
    assert bench.stages(pipeline)["a"].reason == "cancel asked by ben"
    bench.fail(bench.stages(pipeline)["a"], FailureReason.CANCELLED, "cancelled")
    assert bench.services.store.get_run(stage.run_id).status is RunStatus.KILLED


def test_a_file_is_found_in_whichever_artifact_holds_it(bench: Bench) -> None:
    run = made(bench)
    digest = bench.services.blobs.put(b"weights").digest
    artifacts = (
        Artifact(run_id=run.id, path="a/", manifest=bench.keep({"a/x": b"x"}), size_bytes=1, files=1),
        Artifact(run_id=run.id, path="b/", manifest=bench.keep({"b/w": b"weights"}), size_bytes=7, files=1),
    )
    runs.finish(bench.services, run, msgspec.structs.replace(FINISHED, artifacts=artifacts))
    assert runs.find_file(bench.services, run.id, "b/w") == digest
    for path in ("b", "b/", "w", "../b/w", "", "/b/w"):
        with pytest.raises(NotFound):
            runs.find_file(bench.services, run.id, path)


def test_a_run_is_found_by_the_beginning_of_its_id_alone(bench: Bench) -> None:
    run = made(bench)
    assert runs.get_detail(bench.services, run.id[:6]).run == run
    with pytest.raises(NotFound):
        runs.get_detail(bench.services, "zz")
    for _ in range(16):  # of seventeen ids two begin with the same digit
        bench.by_hand()
    digits = [run.id[0] for run in bench.services.store.list_runs()]
    with pytest.raises(Ambiguous):
        runs.get_detail(bench.services, max(digits, key=digits.count))


def test_a_verdict_is_kept_with_who_and_when(bench: Bench) -> None:
    run = made(bench)
    copy = made(bench, kind=RunKind.REPLAY, replay_of=run.id)
    verdict = Verdict(
        level=VerdictLevel.BIT_EXACT,
        reason="same",
        run_id=run.id[:8],
        replay_run_id=copy.id,
        id="forged",
        at=1.0,
    )
    kept = runs.record_verdict(bench.services, verdict, by="ada")
    assert kept.run_id == run.id
    assert kept.id != "forged"
    assert kept.at > 1.0
    assert runs.get_detail(bench.services, run.id).verdicts == (kept,)
    ((_, facts),) = bench.events("replay.judged")
    assert facts == {"level": "bit_exact", "reason": "same", "replay": copy.id}


def test_a_verdict_names_a_replay_of_its_run(bench: Bench) -> None:
    run, other = made(bench), made(bench)
    verdict = Verdict(level=VerdictLevel.BIT_EXACT, reason="same", run_id=run.id, replay_run_id=other.id)
    with pytest.raises(InvalidInput):
        runs.record_verdict(bench.services, verdict, by="ada")
    unknown = msgspec.structs.replace(verdict, replay_run_id="f" * 32)
    with pytest.raises(NotFound):
        runs.record_verdict(bench.services, unknown, by="ada")


def test_only_users_and_what_they_started_make_runs(bench: Bench) -> None:
    created = runs.create(bench.services, CreateRun(project="digits", name="first"), ADA)
    assert created.url == f"http://hub/r/{created.run_id}"
    assert created.name == "first"


def test_asked_twice_with_one_key_it_is_one_run_of_whoever_asks(bench: Bench) -> None:
    first, again, other = (bench.by_hand(key=key) for key in ("a", "a", "b"))
    assert first.run_id == again.run_id != other.run_id
    assert first.token != again.token
    assert len(bench.services.store.list_events(subject=f"run:{first.run_id}")) == 1
    stranger = msgspec.structs.replace(ADA, name="eve")
    theirs = runs.create(bench.services, CreateRun(project="digits", key="a"), stranger)
    assert theirs.run_id != first.run_id


def test_a_run_that_ended_can_go_on_and_end_again(bench: Bench) -> None:
    run = made(bench)
    log = "blake3:" + "a" * 64
    runs.finish(bench.services, run, msgspec.structs.replace(FINISHED, log=log, log_bytes=4))
    resumed = bench.by_hand(resume=run.id)
    assert resumed.run_id == run.id
    open_again = bench.services.store.get_run(run.id)
    assert (open_again.status, open_again.ended_at) == (RunStatus.RUNNING, None)
    failed = runs.finish(
        bench.services, open_again, StageReport(fence=0, status=RunStatus.FAILED, reason="x")
    )
    assert (failed.status, failed.reason, failed.log, failed.log_bytes) == (RunStatus.FAILED, "x", log, 4)


def test_a_run_of_another_cannot_be_resumed(bench: Bench) -> None:
    run = made(bench)
    stranger = Caller(name="local", scope=Scope.LOCAL)
    with pytest.raises(AccessDenied):
        runs.create(bench.services, CreateRun(project="digits", resume=run.id), stranger)


def test_a_run_from_elsewhere_keeps_its_times(bench: Bench) -> None:
    run = made(bench, started_at=1000.5)
    ended = runs.finish(bench.services, run, msgspec.structs.replace(FINISHED, ended_at=2000.25))
    assert (ended.started_at, ended.ended_at) == (1000.5, 2000.25)
