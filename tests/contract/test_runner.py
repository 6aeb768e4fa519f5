"""A stage's job from its line on standard input to its report: real processes, real HTTP, the real uv."""

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from relive.core.pipeline import EnvSpec
from relive.core.recipe import DataInput, Recipe
from relive.core.run import FailureReason, RunStatus
from relive.formats.hashing import document_digest
from relive.formats.locks import read_lock
from relive.formats.trajectory import decode_trajectory
from relive.wire.jobs import EnvironmentReport, EnvironmentWork, StageReport
from tests.support.fake_hub import FakeHub, running_hub, stage_work, wait_for
from tests.support.jobs import ENDS_WITHIN_S, Jobs, empty_environment
from tests.support.wheels import make_wheel

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """One cache of environments for the module, as on a real machine; each new environment costs 0.2 s."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def hub(tmp_path):
    with running_hub(tmp_path / "hub") as running:
        yield running


@pytest.fixture
def jobs(hub, tmp_path, cache):
    return Jobs(hub, tmp_path / "jobs", cache)


def log(hub: FakeHub, report: StageReport) -> str:
    return hub.read(report.log).decode()


def recipe(hub: FakeHub, report: StageReport) -> Recipe:
    return msgspec.json.decode(hub.read(report.recipe), type=Recipe)


def dep(hub: FakeHub, path: str, files: dict[str, str], origin: str = "stage:prepare") -> DataInput:
    return DataInput(path=path, manifest=hub.put_tree(files), size_bytes=1, origin=origin)


def stage(hub: FakeHub, files: Mapping[str, str | bytes], *commands: str, **fields):
    fields.setdefault("environment", empty_environment(hub))
    return stage_work(hub, files, *commands, **fields)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


TRAIN = """
import json, os, pathlib, relive
rows = pathlib.Path("data/rows.csv").read_text()
run = relive.init()
for step in range(3):
    run.log({"loss": 1 / (step + 1)}, step=step)
run.log({"odd": float("nan")})
pathlib.Path("model").mkdir()
pathlib.Path("model/weights.txt").write_text(rows * int(os.environ["FACTOR"]))
pathlib.Path("metrics.json").write_text(json.dumps({"acc": 0.5, "loss": 0.25}))
print("trained")
"""


def test_a_stage_runs_and_everything_is_reported(hub, jobs):
    work = stage(
        hub,
        {"train.py": TRAIN, "relive.yaml": "stages: {}"},
        "python train.py",
        deps=(
            dep(hub, "data/", {"data/rows.csv": "1,2\n"}),
            dep(hub, "train.py", {"train.py": TRAIN}, "code"),
        ),
        env={"FACTOR": "2"},
        outs=("model/",),
        metrics_files=("metrics.json",),
        params={"train.lr": 0.1},
        command_token="command-secret",
        commit="c0ffee",
        branch="main",
    )
    job_id = jobs.do(work)
    report, state = hub.stage_report(job_id), hub.jobs[job_id]
    assert (report.status, report.exit_code, report.failure, report.reason) == (
        RunStatus.FINISHED,
        0,
        None,
        "",
    )
    assert state.phases == ["checkout", "data", "environment", "command", "upload"]
    assert state.notes == [
        "checking its commit out",
        "getting its data",
        "making its environment",
        "python train.py",
        "storing its outs",
    ]
    assert log(hub, report) == "$ python train.py\ntrained\n" == state.log.decode()
    assert report.log_bytes == len(state.log)

    by_kind = {(it.kind, it.path): hub.tree(it.manifest) for it in report.artifacts}
    assert by_kind["out", "model/"] == {"model/weights.txt": b"1,2\n1,2\n"}
    assert by_kind["report", "metrics.json"].keys() == {"metrics.json"}
    assert {it.files for it in report.artifacts} == {1}

    assert [(it.key, it.step, it.value) for it in state.metrics[:3]] == [
        ("loss", 0, 1.0),
        ("loss", 1, 0.5),
        ("loss", 2, 1 / 3),
    ]
    assert math.isnan(state.metrics[3].value)
    assert {(it.key, it.value, it.step) for it in report.metrics} == {("acc", 0.5, 0), ("loss", 0.25, 2)}
    assert report.params == {"train.lr": 0.1}
    assert report.usage is not None
    assert report.usage.cpu_s > 0
    assert report.usage.max_rss_bytes > MIB

    kept = recipe(hub, report)
    assert report.recipe_digest == document_digest(kept.declared)
    assert kept.declared.code.manifest == work.code
    assert kept.declared.data == work.deps
    assert kept.declared.env["FACTOR"] == "2"
    assert kept.declared.env["PYTHONHASHSEED"] == "0"
    assert kept.observed is not None
    assert kept.observed.interpreter is not None
    assert kept.observed.interpreter.version == sys.version.split()[0]
    assert kept.observed.libraries, "the shared libraries of the command are known"
    assert "command-secret" not in hub.read(report.recipe).decode()
    assert jobs.left_over(job_id) == []


def test_the_command_finds_its_world_and_not_the_runners(hub, jobs):
    script = (
        "import json, os, sys; print(json.dumps({**os.environ, 'prefix': sys.prefix, 'cwd': os.getcwd(), "
        "'hash': hash('x'), 'stdin': sys.stdin.read()}))"
    )
    work = stage(
        hub,
        {"sub/show.py": script},
        "python show.py",
        workdir="sub",
        secrets={"API_KEY": "hush-hush"},
        command_token="command-token",
        cpus=2.5,
        commit="c0ffee",
        branch="main",
    )
    report = jobs.report(work)
    seen = json.loads(log(hub, report).splitlines()[1])
    assert seen["RELIVE_TOKEN"] == seen["MLFLOW_TRACKING_TOKEN"] == "***"
    assert seen["RELIVE_HUB"] == seen["MLFLOW_TRACKING_URI"] == hub.url
    assert seen["RELIVE_RUN_ID"] == seen["MLFLOW_RUN_ID"] == work.run_id
    assert (seen["RELIVE_COMMIT"], seen["RELIVE_BRANCH"], seen["RELIVE_STAGE"]) == ("c0ffee", "main", "train")
    assert seen["OMP_NUM_THREADS"] == seen["MKL_NUM_THREADS"] == "2"
    assert (seen["MKL_DYNAMIC"], seen["OMP_DYNAMIC"]) == ("FALSE", "FALSE")
    assert seen["VIRTUAL_ENV"] == seen["prefix"]
    assert seen["PATH"].startswith(f"{seen['prefix']}/bin:")
    assert seen["cwd"].endswith("/tree/sub")
    assert seen["stdin"] == ""
    assert seen["API_KEY"] == "***"
    assert "runner-token" not in log(hub, report)
    assert not {"RELIVE_HOME", "RELIVE_CACHE", "PIP_NO_INDEX"} & set(seen)
    assert recipe(hub, report).declared.secrets == ("API_KEY",)
    assert "hush" not in hub.read(report.recipe).decode()
    again = json.loads(log(hub, jobs.report(work)).splitlines()[1])
    assert again["hash"] == seen["hash"]


def test_the_repository_that_a_job_happens_to_lie_in_is_not_the_commands(hub, jobs, tmp_path):
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    work = stage(hub, {"x": "1"}, "pwd; git rev-parse --is-inside-work-tree || echo no repository")
    told = log(hub, hub.stage_report(jobs.do(work))).splitlines()
    assert told[1].startswith(str(tmp_path))
    assert "no repository" in told


def test_commands_run_in_their_order_until_one_fails(hub, jobs):
    work = stage(hub, {"a": ""}, "echo one > one", "cat one; false | true", "echo never")
    report = jobs.report(work)
    assert (report.status, report.failure, report.exit_code) == (RunStatus.FAILED, FailureReason.FAILURE, 1)
    assert log(hub, report) == "$ echo one > one\n$ cat one; false | true\none\n"
    assert report.reason == "cat one; false | true ended with exit code 1: one"


def test_a_script_that_exits_with_1_fails_with_its_last_words_and_no_outs(hub, jobs):
    script = "open('out.txt', 'w').write('half')\nraise SystemExit('no such column: age')"
    report = jobs.report(stage(hub, {"t.py": script}, "python t.py", outs=("out.txt",)))
    assert (report.status, report.failure, report.exit_code) == (RunStatus.FAILED, FailureReason.FAILURE, 1)
    assert report.reason == "python t.py ended with exit code 1: no such column: age"
    assert report.artifacts == ()
    assert report.recipe, "what is known of a failed run is kept"


def test_a_signal_is_named(hub, jobs):
    report = jobs.report(stage(hub, {"a": ""}, "kill -SEGV $$"))
    assert report.exit_code == 128 + signal.SIGSEGV
    assert "signal 11" in report.reason


def test_a_kill_from_outside_is_not_taken_for_want_of_memory(hub, jobs):
    report = jobs.report(stage(hub, {"a": ""}, "kill -KILL $$"))
    assert report.exit_code == 137
    assert "killed" in report.reason
    # Only where the kernel's own count cannot be read is it guessed.
    readable = "oom_kill " in Path("/proc/vmstat").read_text()
    assert report.failure is (FailureReason.FAILURE if readable else FailureReason.OOM)


def test_want_of_memory_is_named_with_its_figures(hub, jobs):
    script = "import time\nx = [bytearray(b'x') * 10_000_000 for _ in range(30)]\ntime.sleep(1000)"
    report = jobs.report(stage(hub, {"t.py": script}, "python t.py", memory_bytes=150 * MIB))
    assert (report.status, report.failure) == (RunStatus.FAILED, FailureReason.OOM)
    assert "MiB of memory, 150 allowed" in report.reason


def test_a_command_that_takes_too_long_is_ended_with_its_children(hub, jobs, tmp_path):
    script = f"echo $$ > {tmp_path}/parent; sleep 1000 & echo $! > {tmp_path}/child; wait"
    report = jobs.report(stage(hub, {"a": ""}, script, timeout_s=1.0))
    assert (report.status, report.failure) == (RunStatus.FAILED, FailureReason.TIMEOUT)
    assert "did not end within 1 s" in report.reason
    for name in ("parent", "child"):
        assert not is_alive(int((tmp_path / name).read_text()))


def test_an_out_that_was_not_written_is_named_beside_what_was(hub, jobs):
    work = stage(
        hub,
        {"a": "", "out/old": "from the commit"},
        "mkdir models; touch models/final.pkl",
        outs=("models/best.pkl", "out/"),
        metrics_files=("metrics.json",),
    )
    report = jobs.report(work)
    assert (report.status, report.failure) == (RunStatus.FAILED, FailureReason.MISSING_OUT)
    assert "out models/best.pkl was not written; models/ holds final.pkl" in report.reason
    assert "metrics.json was not written; the working folder holds a, models/" in report.reason
    assert "out out/ was not written" in report.reason, "what the commit has is not an out"
    assert report.artifacts == ()


def test_outs_over_their_quota_are_refused_before_they_are_sent(hub, jobs):
    work = stage(hub, {"a": ""}, "truncate -s 300M big", outs=("big",), out_limit_bytes=100 * MIB)
    report = jobs.report(work)
    assert (report.status, report.failure) == (RunStatus.FAILED, FailureReason.STORE_FULL)
    assert f"{300 * MIB} bytes" in report.reason
    assert "quota" in report.reason
    assert not [path for method, path in hub.requests if method == "PUT" and hub.path_of(path).exists()]


def test_a_large_out_streams_through_little_memory(hub, jobs):
    """The runner itself, whose memory is what `VmHWM` says at its end, holds no more than a few pieces."""
    work = stage(hub, {"a": ""}, "truncate -s 400M big; touch ready; sleep 0.5", outs=("big",))
    job_id = hub.add_job(work)
    highest = 0
    with jobs.running(job_id) as runner:
        while runner.poll() is None:
            highest = max(highest, peak_memory(runner.pid))
    report = hub.stage_report(job_id)
    assert report.artifacts[0].size_bytes == 400 * MIB
    assert highest < 150 * MIB, f"{highest // MIB} MiB"


def peak_memory(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    lines = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return int(lines["VmHWM"].split()[0]) * 1024 if "VmHWM" in lines else 0


def test_a_flood_of_output_is_kept_at_both_ends_and_counted(hub, jobs):
    flood = (
        "import sys\nline = b'x' * 1023 + b'\\n'\nfor _ in range(200 * 1024): sys.stdout.buffer.write(line)"
    )
    work = stage(hub, {"t.py": f"print('first')\n{flood}\nprint('last')"}, "python -u t.py")
    job_id = hub.add_job(work)
    highest = 0
    with jobs.running(job_id) as runner:
        while runner.poll() is None:
            highest = max(highest, peak_memory(runner.pid))
    report = hub.stage_report(job_id)
    kept = hub.read(report.log)
    assert report.status is RunStatus.FINISHED
    assert report.log_bytes > 200 * MIB
    assert len(kept) < 33 * MIB
    assert kept.startswith(b"$ python -u t.py\nfirst\n")
    assert kept.endswith(b"\nlast\n")
    assert b"bytes are left out here" in kept
    assert bytes(hub.jobs[job_id].log) == kept
    assert highest < 200 * MIB, f"{highest // MIB} MiB"


def test_data_changed_by_the_run_taints_it(hub, jobs):
    deps = (
        dep(hub, "data/", {"data/a.csv": "1", "data/b.csv": "2"}),
        dep(hub, ".", {"t.py": "x", "metrics.json": "{}"}, origin="code"),
    )
    work = stage(
        hub,
        {"t.py": "x", "metrics.json": "{}"},
        "echo changed > data/b.csv; echo '{}' > metrics.json",
        deps=deps,
        metrics_files=("metrics.json",),
    )
    report = jobs.report(work)
    assert report.status is RunStatus.FINISHED
    assert report.tainted
    assert report.reason == "declared inputs changed while it ran: data/b.csv"
    observed = recipe(hub, report).observed
    assert observed is not None
    assert observed.changed == ("data/b.csv",)


def test_untouched_data_does_not(hub, jobs):
    deps = (dep(hub, "data/", {"data/a.csv": "1"}),)
    report = jobs.report(stage(hub, {"t.py": ""}, "cat data/a.csv; touch new", deps=deps))
    assert not report.tainted


def test_a_test_report_is_read_and_its_failures_fail_the_stage(hub, jobs):
    junit = (
        '<testsuite><testcase classname="t" name="good" time="0.5"/>'
        '<testcase classname="t" name="bad"><failure message="1 != 2"/></testcase></testsuite>'
    )
    report = jobs.report(stage(hub, {"j.xml": junit}, "cp j.xml junit.xml", junit="junit.xml"))
    assert report.tests is not None
    assert (report.tests.tests, report.tests.passed, report.tests.failed) == (2, 1, 1)
    assert (report.status, report.failure) == (RunStatus.FAILED, FailureReason.FAILURE)
    assert report.reason == "1 of 2 tests failed: t::bad"
    assert [(it.kind, it.path) for it in report.artifacts] == [("report", "junit.xml")]


def test_a_metrics_file_that_cannot_be_read_fails_the_run(hub, jobs):
    report = jobs.report(stage(hub, {"a": ""}, "echo '{' > m.json", metrics_files=("m.json",)))
    assert report.failure is FailureReason.FAILURE
    assert "m.json" in report.reason


def test_what_a_script_logs_as_an_artifact_is_kept_under_its_name(hub, jobs, tmp_path):
    (tmp_path / "far.txt").write_text("far")
    script = f"""
import relive
relive.init()
open("plot.html", "w").write("<p>")
relive.log_artifact("plot.html", name="report/page.html")
relive.log_artifact({str(tmp_path / "far.txt")!r})
relive.log_artifact("not-there.txt")
"""
    report = jobs.report(stage(hub, {"t.py": script}, "python t.py"))
    kept = {it.path: hub.tree(it.manifest) for it in report.artifacts}
    assert kept["report/page.html"] == {"report/page.html": b"<p>"}
    assert {"far.txt": b"far"} in kept.values()
    assert report.status is RunStatus.FINISHED


def test_an_out_that_leads_out_of_the_checkout_is_refused(hub, jobs, tmp_path):
    (tmp_path / "secret").write_text("x")
    report = jobs.report(stage(hub, {"a": ""}, f"ln -s {tmp_path}/secret out", outs=("out",)))
    assert report.failure is FailureReason.FAILURE
    assert "link out of it" in report.reason


def test_steps_of_training_become_a_trajectory(hub, jobs):
    script = "import relive\nrelive.init()\nfor i in range(3): relive.step({'w': b'%d' % i}, loss=0.5)"
    report = jobs.report(stage(hub, {"t.py": script}, "python t.py"))
    assert report.trajectory, log(hub, report)
    assert len(decode_trajectory(hub.read(report.trajectory)).steps) == 3


def test_a_broken_environment_fails_the_stage_with_its_reason(hub, jobs):
    lock = json.loads(hub.read(empty_environment(hub)))
    lock["python"] = "3.98.1"
    report = jobs.report(stage(hub, {"a": ""}, "true", environment=hub.put(json.dumps(lock).encode())))
    assert (report.status, report.failure) == (RunStatus.FAILED, FailureReason.ENVIRONMENT)
    assert "3.98" in report.reason
    assert "3.98" in log(hub, report)


def test_a_blob_that_the_hub_has_lost_is_named(hub, jobs):
    work = stage(hub, {"a": "content"}, "true")
    for path in hub.folder.iterdir():
        if path.read_bytes() == b"content":
            path.unlink()
    report = jobs.report(work)
    assert report.status is RunStatus.FAILED
    assert "blob" in report.reason


class TestEnvironmentJob:
    """A lock is resolved, its wheels kept, and a stage runs in it."""

    def test_a_lock_is_resolved_and_then_used(self, hub, jobs, tmp_path):
        wheel = make_wheel(tmp_path / "links", "rlv-tool", "1.2")
        files: dict[str, str | bytes] = {
            "requirements.txt": f"./wheels/{wheel.name}\n",
            f"wheels/{wheel.name}": wheel.read_bytes(),
            "t.py": "import rlv_tool; print(rlv_tool.VERSION)",
        }
        code = hub.put_tree(files)
        env = EnvSpec(lock="requirements.txt")
        job_id = jobs.do(EnvironmentWork(project="demo", code=code, env=env))
        resolved = hub.jobs[job_id].report
        assert isinstance(resolved, EnvironmentReport)
        assert (resolved.error, resolved.packages) == ("", 1)
        lock = read_lock(hub.read(resolved.lock))
        assert hub.read(lock.packages[0].blob) == wheel.read_bytes()
        report = jobs.report(stage(hub, files, "python t.py", environment=resolved.lock))
        assert log(hub, report).endswith("\n1.2\n")
        observed = recipe(hub, report).observed
        assert observed is not None
        assert [(it.name, it.version, it.imported) for it in observed.distributions] == [
            ("rlv-tool", "1.2", True)
        ]

    def test_one_that_cannot_be_resolved_says_why(self, hub, jobs):
        code = hub.put_tree({"requirements.txt": "rlv-no-such-package==1\n"})
        env = EnvSpec(lock="requirements.txt")
        job_id = jobs.do(EnvironmentWork(project="demo", code=code, env=env))
        resolved = hub.jobs[job_id].report
        assert isinstance(resolved, EnvironmentReport)
        assert resolved.lock == ""
        assert "rlv-no-such-package" in resolved.error

    def test_the_checkouts_own_package_can_be_imported_and_started(self, hub, jobs):
        pyproject = (
            "[project]\nname = 'my-proj'\nversion = '0.7'\n[project.scripts]\nmy-tool = 'myproj:main'\n"
            "[build-system]\nrequires = []\nbuild-backend = 'x'\n"
        )
        lock = (
            'version = 1\nrevision = 3\nrequires-python = ">=3.11"\n[[package]]\nname = "my-proj"\n'
            'version = "0.7"\nsource = { editable = "." }\n'
        )
        files = {
            "pyproject.toml": pyproject,
            "uv.lock": lock,
            "src/myproj/__init__.py": "from importlib.metadata import version\n"
            "def main(): print('tool', version('my-proj'))",
            "scripts/t.py": "import myproj; myproj.main()",
        }
        env = EnvSpec(lock="uv.lock")
        job_id = jobs.do(EnvironmentWork(project="demo", code=hub.put_tree(files), env=env))
        resolved = hub.jobs[job_id].report
        assert resolved.error == ""
        report = jobs.report(stage(hub, files, "python scripts/t.py", "my-tool", environment=resolved.lock))
        assert log(hub, report).count("tool 0.7\n") == 2


class TestWhenThingsBreak:
    """The hub is away, full, or has given the job to another; the runner is killed."""

    def test_a_cancelled_job_ends_its_command_and_says_so(self, hub, jobs, tmp_path):
        work = stage(hub, {"a": ""}, f"echo $$ > {tmp_path}/pid; sleep 1000")
        job_id = hub.add_job(work, lease_s=0.6)
        with jobs.running(job_id) as runner:
            wait_for((tmp_path / "pid").exists, "the command runs")
            hub.jobs[job_id].cancel = True
            runner.wait(ENDS_WITHIN_S)
        report = hub.stage_report(job_id)
        assert (report.status, report.failure) == (RunStatus.KILLED, FailureReason.CANCELLED)
        assert not is_alive(int((tmp_path / "pid").read_text()))

    def test_a_runner_that_is_asked_to_end_reports_first(self, hub, jobs, tmp_path):
        work = stage(hub, {"a": ""}, f"echo $$ > {tmp_path}/pid; sleep 1000")
        job_id = hub.add_job(work)
        with jobs.running(job_id) as runner:
            wait_for((tmp_path / "pid").exists, "the command runs")
            os.killpg(runner.pid, signal.SIGTERM)
            runner.wait(ENDS_WITHIN_S)
        assert hub.stage_report(job_id).status is RunStatus.KILLED

    def test_a_superseded_runner_ends_its_command_and_reports_nothing(self, hub, jobs, tmp_path):
        work = stage(hub, {"a": ""}, f"trap '' TERM; echo $$ > {tmp_path}/pid; while :; do sleep 0.1; done")
        job_id = hub.add_job(work, lease_s=0.6)
        with jobs.running(job_id) as runner:
            wait_for((tmp_path / "pid").exists, "the command runs")
            hub.jobs[job_id].fence = 2
            runner.wait(ENDS_WITHIN_S)
            assert runner.returncode == 0
        assert hub.jobs[job_id].report is None
        assert not is_alive(int((tmp_path / "pid").read_text()))
        assert jobs.left_over(job_id) == []

    def test_a_runner_whose_token_died_with_its_claim_ends_too(self, hub, jobs, tmp_path):
        work = stage(hub, {"a": ""}, f"echo $$ > {tmp_path}/pid; sleep 1000")
        job_id = hub.add_job(work, lease_s=0.6)
        with jobs.running(job_id) as runner:
            wait_for((tmp_path / "pid").exists, "the command runs")
            hub.tokens = {"another"}
            runner.wait(ENDS_WITHIN_S)
        assert hub.jobs[job_id].report is None
        assert not is_alive(int((tmp_path / "pid").read_text()))

    def test_a_hub_that_is_away_in_the_middle_misses_nothing(self, hub, jobs, tmp_path):
        script = f"""
import pathlib, time, relive
here = pathlib.Path({str(tmp_path)!r})
run = relive.init()
run.log({{"loss": 1.0}}, step=0)
print("before", flush=True)
(here / "started").touch()
while not (here / "away").exists(): time.sleep(0.02)
run.log({{"loss": 0.5}}, step=1)
print("while away", flush=True)
pathlib.Path("out.txt").write_text("made while away")
(here / "done").touch()
"""
        work = stage(hub, {"t.py": script}, "python t.py", outs=("out.txt",))
        job_id = hub.add_job(work, lease_s=0.6)
        with jobs.running(job_id) as runner:
            wait_for((tmp_path / "started").exists, "the command runs")
            wait_for(lambda: hub.jobs[job_id].metrics, "the first record has arrived")
            hub.go_away()
            (tmp_path / "away").touch()
            wait_for((tmp_path / "done").exists, "the command ends")
            # Longer than the lease: whether it still holds is for the hub to say when it is back.
            with pytest.raises(subprocess.TimeoutExpired):
                runner.wait(1.5)
            hub.come_back()
            runner.wait(ENDS_WITHIN_S)
        report = hub.stage_report(job_id)
        assert report.status is RunStatus.FINISHED
        assert "before\nwhile away\n" in bytes(hub.jobs[job_id].log).decode()
        assert [it.value for it in hub.jobs[job_id].metrics] == [1.0, 0.5]
        assert hub.tree(report.artifacts[0].manifest) == {"out.txt": b"made while away"}

    def test_a_hub_that_gave_the_job_away_meanwhile_takes_nothing(self, hub, jobs, tmp_path):
        work = stage(hub, {"a": ""}, f"touch {tmp_path}/started; sleep 1000")
        job_id = hub.add_job(work, lease_s=0.6)
        with jobs.running(job_id) as runner:
            wait_for((tmp_path / "started").exists, "the command runs")
            hub.go_away()
            hub.jobs[job_id].fence = 2
            hub.come_back()
            runner.wait(ENDS_WITHIN_S)
        assert hub.jobs[job_id].report is None

    def test_outs_without_room_fail_the_run_and_its_record_is_kept(self, hub, jobs):
        hub.largest_blob = MIB
        report = jobs.report(stage(hub, {"a": ""}, "truncate -s 2M out", outs=("out",)))
        assert (report.status, report.failure) == (RunStatus.FAILED, FailureReason.STORE_FULL)
        assert "No room" in report.reason
        assert recipe(hub, report).declared.outs == ("out",)

    def test_a_full_hub_is_waited_for(self, hub, jobs, tmp_path):
        script = f"touch {tmp_path}/go; while [ ! -e {tmp_path}/full ]; do sleep 0.02; done; echo x > out"
        job_id = hub.add_job(stage(hub, {"a": ""}, script, outs=("out",)))
        with jobs.running(job_id) as runner:
            wait_for((tmp_path / "go").exists, "the command runs")
            hub.full = True
            (tmp_path / "full").touch()
            with pytest.raises(subprocess.TimeoutExpired):
                runner.wait(2.0)
            hub.full = False
            runner.wait(ENDS_WITHIN_S)
        report = hub.stage_report(job_id)
        assert report.status is RunStatus.FINISHED
        assert hub.tree(report.artifacts[0].manifest) == {"out": b"x\n"}

    def test_a_hub_that_stumbles_is_asked_again(self, hub, jobs):
        work = stage(hub, {"a": ""}, "echo fine")
        job_id = hub.add_job(work)
        hub.failures = [503, 502]
        with jobs.running(job_id) as runner:
            runner.wait(ENDS_WITHIN_S)
        assert hub.stage_report(job_id).status is RunStatus.FINISHED

    def test_a_runner_that_is_killed_takes_its_command_along(self, hub, jobs, tmp_path):
        script = (
            f"setsid bash -c 'echo $$ > {tmp_path}/child; sleep 1000' & echo $$ > {tmp_path}/parent; wait"
        )
        job_id = hub.add_job(stage(hub, {"a": ""}, script))
        with jobs.running(job_id) as runner:
            wait_for((tmp_path / "parent").exists, "the command runs")
            wait_for((tmp_path / "child").exists, "its child runs")
            runner.kill()
        pids = [int((tmp_path / name).read_text()) for name in ("parent", "child")]
        wait_for(lambda: not any(map(is_alive, pids)), "the command has ended")
        assert hub.jobs[job_id].report is None

    def test_a_line_that_is_no_order_is_refused(self, hub, jobs, tmp_path):
        done = subprocess.run(
            [sys.executable, "-m", "relive.runner"], input=b"{}\n", capture_output=True, cwd=tmp_path
        )
        assert done.returncode == 2
        assert b"hub, job, fence and token" in done.stderr
