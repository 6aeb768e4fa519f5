"""Jobs as processes of this machine: the contract, and what only local processes promise."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from relive.core.job import Pool
from relive.errors import InvalidInput, InvalidName, LaunchFailed
from relive.executors import local, processes
from relive.executors.local import LocalExecutor
from relive.executors.registry import open_executor
from relive.ports.executors import Executor
from relive.testing.executors import ExecutorContract, request, said

PATIENCE_S = 120.0


class TestLocalExecutor(ExecutorContract):
    """The suite for every executor."""

    @pytest.fixture
    def make_executor(self, tmp_path) -> Callable[[], Executor]:
        return lambda: open_executor(Pool(name="local", executor="local"), tmp_path)


@pytest.fixture
def executor(tmp_path):
    """An executor whose processes are ended after the test."""
    executor = LocalExecutor(tmp_path)
    yield executor
    for record in (tmp_path / "jobs").glob("*/*.pid"):
        executor.stop({"job_id": record.parent.name, "fence": int(record.stem)}, grace_s=0.0)


def eventually(check: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not (found := check()):
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
    return found


def wait_for(executor: LocalExecutor, handle: dict[str, Any], text: str) -> str:
    eventually(lambda: text in executor.output(handle), f"{text} in {executor.output(handle)}")
    return executor.output(handle)


def probes(folder: Path) -> set[int]:
    """Give the probes that run in a folder's jobs."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                where = os.readlink(entry / "cwd")
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if where.startswith(f"{folder}/jobs/") and b"executor_probe" in command:
                found.add(int(entry.name))
    return found


# --- the world of a process ------------------------------------------------------------------------------


def test_a_process_has_a_session_and_a_folder_of_its_own_and_nothing_open(executor, tmp_path):
    with open(tmp_path / "something", "w") as inherited:
        os.set_inheritable(inherited.fileno(), False)
        handle = executor.launch(request("facts", "a" * 32))
    facts = said(wait_for(executor, handle, "facts: "), "facts: ")
    assert facts["session"] == facts["pid"] == handle["pid"]
    assert facts["folder"] == str(tmp_path / "jobs" / ("a" * 32))
    assert facts["folder"] not in facts["path"]
    assert "" not in facts["path"]
    assert facts["open_files"] == 3


def test_only_named_variables_are_passed_on(executor, monkeypatch):
    passed = {
        "PATH": os.environ["PATH"],
        "RELIVE_CACHE": "cache",
        "UV_INDEX_URL": "index",
        "PIP_CERT": "cert",
        "SSL_CERT_FILE": "file",
        "LC_ALL": "C.UTF-8",
        "HTTPS_PROXY": "proxy",
    }
    for name, value in {**passed, "ANYTHING_ELSE": "1", "GITHUB_TOKEN": "2", "RELIVE_ANYTHING": "3"}.items():
        monkeypatch.setenv(name, value)
    handle = executor.launch(request("facts"))
    environment = said(wait_for(executor, handle, "facts: "), "facts: ")["environment"]
    assert environment.items() >= passed.items()
    assert {"ANYTHING_ELSE", "GITHUB_TOKEN", "RELIVE_ANYTHING"}.isdisjoint(environment)


def test_nothing_that_lies_in_a_jobs_folder_is_imported(executor, tmp_path):
    folder = tmp_path / "jobs" / ("a" * 32)
    folder.mkdir(parents=True)
    for name in ("json.py", "relive.py", "sitecustomize.py"):
        (folder / name).write_text("raise SystemExit('a trap')")
    handle = executor.launch(request("exit/5", "a" * 32))
    eventually(lambda: executor.poll(handle).state == "ended", "it ends")
    assert executor.poll(handle).exit_code == 5


def test_only_this_user_can_read_what_a_process_prints(executor, tmp_path):
    handle = executor.launch(request("work", "a" * 32))
    assert (tmp_path / "jobs" / ("a" * 32)).stat().st_mode & 0o077 == 0
    assert Path(handle["log"]).stat().st_mode & 0o077 == 0


def test_a_process_that_prints_without_end_does_not_fill_the_disk(executor, monkeypatch):
    monkeypatch.setattr(local, "_LOG_LIMIT_BYTES", 1_000_000)
    monkeypatch.setattr(local, "_LOG_KEPT_BYTES", 100_000)
    handle = executor.launch(request("print/5000000"))
    wait_for(executor, handle, "working")
    executor.poll(handle)
    assert Path(handle["log"]).stat().st_size < 200_000
    assert executor.output(handle, limit_bytes=200_000).startswith("[")
    assert "earlier bytes were dropped" in executor.output(handle, limit_bytes=200_000)
    assert "the end" in executor.output(handle)
    executor.stop(handle)
    assert executor.output(handle).endswith("stopped\n")


# --- finding it again ------------------------------------------------------------------------------------


def test_a_hub_that_could_store_nothing_finds_a_process_by_job_and_fence(executor, tmp_path):
    executor.launch(request("work", "a" * 32, 3))
    bare = {"job_id": "a" * 32, "fence": 3}
    later = LocalExecutor(tmp_path)
    wait_for(later, bare, "working")
    assert later.poll(bare).state == "alive"
    later.stop(bare)
    assert later.poll(bare).state == "ended"
    assert later.poll({"job_id": "a" * 32, "fence": 4}).state == "gone"


def test_killed_at_any_call_of_a_launch_there_is_one_process_and_it_is_found(tmp_path):
    """The launching hub dies before each of its calls of the system; the next hub launches the same claim."""
    script = Path(__file__).with_name("killed_in_launch.py")
    killed = survivors = 0
    for n_calls in range(0, 200, 2):
        folder = tmp_path / str(n_calls)
        done = subprocess.run(
            [sys.executable, str(script), str(folder), "a" * 32, str(n_calls)],
            capture_output=True,
            timeout=PATIENCE_S,
        )
        executor = LocalExecutor(folder)
        handle = executor.launch(request("work", "a" * 32, 1))
        try:
            wait_for(executor, handle, "working")
            assert executor.poll(handle).state == "alive"
            # The loser of two starts may need a moment to see that it is one.
            eventually(partial(runs_alone, handle, folder), f"one process, killed before call {n_calls}")
            assert executor.output(handle).count("line: ") == 1
            survivors += processes.identify(handle["pid"]) is not None and not is_our_child(handle["pid"])
        finally:
            executor.stop(handle)
        if done.returncode == 0:
            assert done.stdout == b"launched\n"
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        killed += 1
    assert killed > 10
    assert survivors > 1, "no kill came after the process was started"


def runs_alone(handle: dict[str, Any], folder: Path) -> bool:
    return probes(folder) == {handle["pid"]}


def is_our_child(pid: int) -> bool:
    return any(
        str(pid) in (task / "children").read_text().split() for task in Path("/proc/self/task").iterdir()
    )


def test_two_hubs_that_launch_one_claim_at_once_start_one_process(tmp_path):
    for number in range(5):
        job = f"{number:032x}"
        handles: list[dict[str, Any]] = []

        def work(job: str = job, handles: list[dict[str, Any]] = handles) -> None:
            handles.append(LocalExecutor(tmp_path).launch(request("work", job, 1)))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        executor = LocalExecutor(tmp_path)
        try:
            assert len(handles) == 4
            assert all(handle == handles[0] for handle in handles)
            wait_for(executor, handles[0], "working")
            assert probes(tmp_path) == {handles[0]["pid"]}
        finally:
            executor.stop(handles[0])


def test_a_process_outlives_the_hub_that_started_it_and_is_stopped_by_the_next(executor, tmp_path):
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from relive.executors.local import LocalExecutor\n"
        "from relive.testing.executors import request\n"
        "LocalExecutor(Path(sys.argv[1])).launch(request('work', 'a' * 32, 1))\n"
        "os.killpg(0, signal.SIGKILL)\n"
    )
    hub = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], start_new_session=True, timeout=PATIENCE_S
    )
    assert hub.returncode == -signal.SIGKILL
    handle = executor.launch(request("work", "a" * 32, 1))
    wait_for(executor, handle, "working")
    assert executor.poll(handle).state == "alive"
    os.kill(handle["pid"], signal.SIGKILL)
    eventually(lambda: executor.poll(handle).state == "ended", "its end is seen")
    assert executor.poll(handle).exit_code is None
    assert "not there to see its exit code" in executor.poll(handle).detail


def test_an_exit_code_that_one_hub_saw_the_next_one_knows(executor, tmp_path):
    handle = executor.launch(request("exit/7"))
    eventually(lambda: executor.poll(handle).state == "ended", "it ends")
    assert LocalExecutor(tmp_path).poll(handle).exit_code == 7


def test_another_process_with_the_same_id_is_not_taken_for_it_and_never_stopped(executor):
    """As after so many processes that ids come round again, after a restart, and on another machine."""
    handle = executor.launch(request("exit/0"))
    eventually(lambda: executor.poll(handle).state == "ended", "it ends")
    stranger = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    try:
        itself = processes.identify(stranger.pid)
        assert itself is not None
        reused = {**handle, "pid": stranger.pid}
        restarted = {**reused, "start_time": itself.start_time, "boot_id": "another"}
        elsewhere = {**reused, "start_time": itself.start_time, "host": "another"}
        assert executor.poll(reused).state == "ended"
        assert executor.poll(restarted).state == "gone"
        assert executor.poll(elsewhere).state == "unknown"
        for wrong in (reused, restarted, elsewhere):
            executor.stop(wrong, grace_s=0.0)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_other_children_of_the_hub_keep_their_exit_codes(executor):
    other = subprocess.Popen([sys.executable, "-c", "raise SystemExit(9)"])
    handle = executor.launch(request("exit/0"))
    eventually(lambda: executor.poll(handle).state == "ended", "it ends")
    assert other.wait(PATIENCE_S) == 9


def test_a_process_that_has_ended_is_waited_for(executor):
    handle = executor.launch(request("exit/0"))
    eventually(lambda: executor.poll(handle).state == "ended", "it ends")
    assert not processes.exists(
        processes.ProcessId(**{name: handle[name] for name in ("pid", "start_time", "boot_id", "host")})
    )


def test_threads_that_poll_at_once_all_learn_the_exit_code(executor):
    handle = executor.launch(request("exit/6"))
    codes: list[int | None] = []

    def poll() -> None:
        eventually(lambda: executor.poll(handle).state == "ended", "it ends")
        codes.append(executor.poll(handle).exit_code)

    threads = [threading.Thread(target=poll) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert codes == [6] * 4


def test_stopping_ends_children_too_wherever_they_hide(executor):
    handle = executor.launch(request("stubborn"))
    printed = wait_for(executor, handle, "working")
    (line,) = [line for line in printed.splitlines() if line.startswith("pids: ")]
    pids = json.loads(line.removeprefix("pids: "))
    identities = [processes.identify(pid) for pid in pids]
    assert None not in identities
    executor.stop(handle, grace_s=0.1)
    for identity in identities:
        assert identity is not None
        eventually(partial(has_ended, identity), f"{identity} ends")


def has_ended(process: processes.ProcessId) -> bool:
    return not processes.is_running(process)


# --- what cannot be launched -----------------------------------------------------------------------------


def test_a_module_that_does_not_exist_ends_with_pythons_words(executor):
    handle = executor.launch(msgspec.structs.replace(request("exit/0"), module="no_such_module"))
    eventually(lambda: executor.poll(handle).state == "ended", "it ends")
    assert executor.poll(handle).exit_code == 1
    assert "No module named no_such_module" in executor.output(handle)


def test_an_interpreter_that_is_gone_is_seen_by_its_exit_code(executor, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "deleted/python"))
    handle = executor.launch(request("exit/0"))
    eventually(lambda: executor.poll(handle).state == "ended", "it ends")
    assert executor.poll(handle).exit_code == 127
    assert "not found" in executor.output(handle)


def test_a_folder_that_cannot_be_made_fails_the_launch_and_leaves_nothing(tmp_path):
    (tmp_path / "jobs").write_text("in the way")
    with pytest.raises(LaunchFailed, match="Not a directory"):
        LocalExecutor(tmp_path).launch(request("work"))


def test_a_launch_waits_for_the_record_of_another_that_was_first(executor, tmp_path, monkeypatch):
    """The first has made its record and not filled it yet, when the second finds that it is too late."""
    monkeypatch.setattr(local, "_RECORD_TIMEOUT_S", PATIENCE_S)
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    try:
        itself = processes.identify(process.pid)
        assert itself is not None
        stat = Path(f"/proc/{process.pid}/stat").read_text()
        folder = tmp_path / "jobs" / ("a" * 32)
        folder.mkdir(parents=True)
        record = folder / "1.pid"
        record.touch()

        def fill() -> None:
            eventually(
                lambda: "File exists" in executor.output({"job_id": "a" * 32, "fence": 1}), "the second"
            )
            record.write_text(f"{itself.host} {itself.boot_id} {stat}")

        thread = threading.Thread(target=fill)
        thread.start()
        handle = executor.launch(request("work", "a" * 32, 1))
        thread.join(PATIENCE_S)
        assert handle["pid"] == process.pid
    finally:
        process.kill()
        process.wait()


def test_a_record_that_a_power_cut_emptied_fails_this_claim_and_not_the_next(executor, tmp_path, monkeypatch):
    monkeypatch.setattr(local, "_RECORD_TIMEOUT_S", 0.1)
    folder = tmp_path / "jobs" / ("a" * 32)
    folder.mkdir(parents=True)
    (folder / "1.pid").touch()
    with pytest.raises(LaunchFailed):
        executor.launch(request("work", "a" * 32, 1))
    assert probes(tmp_path) == set()
    handle = executor.launch(request("work", "a" * 32, 2))
    wait_for(executor, handle, "working")


@pytest.mark.parametrize("job", ["", "..", "../x", "a/b", "-x", "a\0"])
def test_a_job_whose_id_is_no_name_is_refused(executor, tmp_path, job):
    with pytest.raises(InvalidName):
        executor.poll({"job_id": job, "fence": 1})
    wanted = msgspec.structs.replace(request("work"), job_id=job)
    with pytest.raises(InvalidName):
        executor.launch(wanted)
    assert list(tmp_path.iterdir()) == []


# --- identities and names --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "record",
    [
        *(
            "",
            "\n",
            "host",
            "host boot",
            "host boot 12",
            "host boot 12 (sh) S 1",
            "host boot x (sh) " + "1 " * 30,
        ),
        "\0" * 100,
    ],
)
def test_a_record_that_is_not_whole_names_nobody(record):
    assert processes.parse_identity(record) is None


def test_a_process_whose_name_looks_like_its_record_is_read_right():
    fields = "S 1 2 3 " + " ".join(str(number) for number in range(4, 50))
    identity = processes.parse_identity(f"host boot 12 (a) S 9 (b) {fields}\n")
    assert identity == processes.ProcessId(
        pid=12, start_time=int(fields.split()[19]), boot_id="boot", host="host"
    )


def test_this_process_is_itself():
    itself = processes.identify(os.getpid())
    assert itself is not None
    assert processes.is_running(itself)
    assert processes.family(itself)[0] == itself


def test_an_unknown_executor_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(InvalidInput, match=r"one of: .*local"):
        open_executor(Pool(name="p", executor="nope"), tmp_path)


def test_a_config_that_does_not_fit_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="no keys"):
        open_executor(Pool(name="p", executor="local", config={"address": "x"}), tmp_path)
