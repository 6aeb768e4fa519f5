"""What a person gets wrong: each push is accepted, and says in its own output what is wrong."""

from pathlib import Path

from relive.core.pipeline import PipelineStatus, StageStatus
from relive.core.run import FailureReason
from tests.e2e.hub import RealHub, make_repository

ONE_STAGE = "version: 1\nstages:\n  train:\n    cmd: {cmd}\n"


def test_an_unknown_key_is_named_with_its_path_and_the_nearest_known_one(hub: RealHub, place: Path) -> None:
    text = "version: 1\nstages:\n  train:\n    cmd: echo hi\n    output: [model/]\n"
    repository = make_repository(hub, place / "unknown-key", {"relive.yaml": text.replace("output", "outs")})
    repository.commit({"relive.yaml": text})
    said = repository.push()
    assert "stages.train.output" in said
    assert "outs" in said
    assert repository.pipeline(1).pipeline.status is PipelineStatus.FAILED


def test_a_cycle_is_shown_whole(hub: RealHub, place: Path) -> None:
    text = "version: 1\nstages:\n  a: {cmd: echo a, needs: [b]}\n  b: {cmd: echo b, needs: [a]}\n"
    repository = make_repository(hub, place / "cycle", {"relive.yaml": ONE_STAGE.format(cmd="echo")})
    repository.commit({"relive.yaml": text})
    said = repository.push()
    assert "a → b → a" in said or "b → a → b" in said


def test_a_missing_lock_is_named(hub: RealHub, place: Path) -> None:
    text = "version: 1\nenv: {lock: uv.lock}\n" + ONE_STAGE.format(cmd="echo hi").partition("\n")[2]
    repository = make_repository(hub, place / "no-lock", {"relive.yaml": text})
    said = repository.push()
    assert "uv.lock" in said
    assert "git add uv.lock" in said


def test_an_unresolvable_package_is_named(hub: RealHub, place: Path) -> None:
    text = "version: 1\nenv: {lock: requirements.txt}\n" + ONE_STAGE.format(cmd="echo hi").partition("\n")[2]
    files = {"relive.yaml": text, "requirements.txt": "no-such-package-here==1.2.3\n"}
    repository = make_repository(hub, place / "no-package", files)
    assert "no-such-package-here" in repository.push()


def test_no_relive_yaml_says_what_to_do(hub: RealHub, place: Path) -> None:
    repository = make_repository(hub, place / "nothing", {"README": "hello"})
    (repository.folder / "relive.yaml").unlink(missing_ok=True)
    assert "relive init" in repository.push()


def test_a_script_that_exits_1_fails_its_stage_and_shows_its_last_lines(hub: RealHub, place: Path) -> None:
    cmd = "echo before it broke; exit 1"
    repository = make_repository(hub, place / "exits", {"relive.yaml": ONE_STAGE.format(cmd=cmd)})
    said = repository.push()
    assert "before it broke" in said
    detail = repository.pipeline(1)
    assert detail.pipeline.status is PipelineStatus.FAILED
    run = hub.client().get_run(detail.stages[-1].run_id).run
    assert (run.exit_code, run.failure) == (1, FailureReason.FAILURE)


def test_a_stage_that_takes_too_long_is_ended(hub: RealHub, place: Path) -> None:
    text = ONE_STAGE.format(cmd="sleep 600") + "    timeout: 1s\n"
    repository = make_repository(hub, place / "slow", {"relive.yaml": text})
    repository.push()
    stage = repository.pipeline(1).stages[-1]
    assert hub.client().get_run(stage.run_id).run.failure is FailureReason.TIMEOUT


def test_a_stage_over_its_memory_is_named_so(hub: RealHub, place: Path) -> None:
    cmd = "python3 -c 'x = bytearray(900 << 20); import time; time.sleep(60)'"
    text = ONE_STAGE.format(cmd=cmd) + "    resources: {memory: 200MiB}\n"
    repository = make_repository(hub, place / "hungry", {"relive.yaml": text})
    repository.push()
    stage = repository.pipeline(1).stages[-1]
    assert hub.client().get_run(stage.run_id).run.failure is FailureReason.OOM
    assert "memory" in stage.reason


def test_an_out_that_was_not_written_fails_the_stage(hub: RealHub, place: Path) -> None:
    text = ONE_STAGE.format(cmd="echo hi > other.txt") + "    outs: [model.txt]\n"
    repository = make_repository(hub, place / "no-out", {"relive.yaml": text})
    assert "model.txt" in repository.push()
    stage = repository.pipeline(1).stages[-1]
    assert hub.client().get_run(stage.run_id).run.failure is FailureReason.MISSING_OUT


def test_an_out_over_its_quota_is_refused_before_it_is_stored(hub: RealHub, place: Path) -> None:
    text = (
        ONE_STAGE.format(cmd="truncate -s 5G big.bin") + "    outs: [big.bin]\n    resources: {disk: 10MiB}\n"
    )
    repository = make_repository(hub, place / "big-out", {"relive.yaml": text})
    repository.push()
    stage = repository.pipeline(1).stages[-1]
    assert stage.status is StageStatus.FAILED
    assert hub.client().get_run(stage.run_id).run.failure is FailureReason.STORE_FULL


def test_an_input_that_changes_while_it_is_read_taints_the_run(hub: RealHub, place: Path) -> None:
    text = ONE_STAGE.format(cmd="echo more >> data.txt") + "    deps: [data.txt]\n"
    repository = make_repository(hub, place / "changed", {"relive.yaml": text, "data.txt": "one\n"})
    repository.push()
    first = repository.pipeline(1).stages[-1]
    assert hub.client().get_run(first.run_id).run.tainted
    hub.relive("pipeline", "rerun", "changed:1")
    assert repository.pipeline(2).stages[-1].status is StageStatus.SUCCEEDED  # not taken from the cache


def test_a_flood_of_output_is_cut_and_counted_and_the_hub_stays_small(hub: RealHub, place: Path) -> None:
    before = _resident_bytes(hub)
    cmd = "head -c 200000000 /dev/zero | tr '\\\\0' x; echo; echo the last line"
    repository = make_repository(hub, place / "flood", {"relive.yaml": ONE_STAGE.format(cmd=f'"{cmd}"')})
    repository.push()
    run = hub.client().get_run(repository.pipeline(1).stages[-1].run_id).run
    assert run.log_bytes >= 200_000_000
    kept = b"".join(hub.client().read_log(run.id))
    assert len(kept) < 40 << 20
    assert kept.endswith(b"the last line\n")
    assert _resident_bytes(hub) - before < 150 << 20


def test_a_port_that_is_taken_is_said_with_another_to_try(hub: RealHub, tmp_path: Path) -> None:
    done = hub.relive("up", "--port", str(hub.port), "--data", str(tmp_path / "other"), check=False)
    assert done.returncode == 1
    assert f"--port {hub.port + 1}" in done.stderr


def _resident_bytes(hub: RealHub) -> int:
    assert hub.process is not None
    pages = Path(f"/proc/{hub.process.pid}/statm").read_text().split()[1]
    return int(pages) * 4096
