"""The boot inside real interpreters: it records them, and no program can tell that it is there."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from relive.capture.agent import AgentPaths, agent_environment
from relive.formats.spool import read_spool
from relive.formats.spool_records import ProcessStart

SHOW = "import json, os, sys; print(json.dumps([sys.path, os.environ.get('PYTHONPATH')]))"


def python(code: str, env: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *options, "-c", code]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)


def start_of(spool_folder) -> ProcessStart:
    (process,) = read_spool(spool_folder).processes
    assert process.start is not None
    return process.start


def test_a_process_says_who_it_is_and_what_it_loaded(record):
    done = record("import json, decimal\nprint('done')")
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
    (process,) = done.spool.processes
    assert process.start is not None
    assert process.exit is not None
    assert process.start.argv[-1].endswith("script.py")
    assert process.start.python == sys.version
    assert process.start.prefix == sys.prefix
    assert any("libc.so" in path for path in process.exit.libraries)
    assert process.exit.random["python"]
    assert not any("relive_hooks" in name or "sitecustomize" in name for name in process.exit.modules)


def test_the_program_sees_its_own_path_and_the_agent_only_at_the_end(agent, spool_folder):
    environ = {**os.environ, "PYTHONPATH": "/somewhere/of/mine"}
    plain = eval(python(SHOW, environ).stdout.replace("null", "None"))
    seen = eval(python(SHOW, agent_environment(agent, spool_folder, environ)).stdout.replace("null", "None"))
    assert seen[0] == [*plain[0], str(agent.agent)]


def test_pythons_started_by_the_program_are_recorded_as_well(record):
    done = record("import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1)'], check=True)")
    assert done.returncode == 0
    first, second = [process.start for process in done.spool.processes]
    assert first is not None
    assert second is not None
    assert second.ppid == first.pid
    assert second.argv[-1] == "print(1)"


def test_without_a_spool_folder_nothing_is_recorded_and_nothing_breaks(agent, spool_folder):
    environ = agent_environment(agent, spool_folder, os.environ)
    del environ["RELIVE_SPOOL_DIR"]
    done = python("import sys; print('relive_hooks' in sys.modules)", environ)
    assert (done.stdout, done.stderr) == ("False\n", "")
    assert list(spool_folder.iterdir()) == []


def test_the_sitecustomize_behind_it_runs_as_if_it_were_alone(agent, spool_folder, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.mine = __name__, __file__")
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
    code = "import sys, sitecustomize; print(sys.mine, sitecustomize.__file__)"
    plain = python(code, environ)
    seen = python(code, agent_environment(agent, spool_folder, environ))
    assert plain.returncode == 0
    assert seen.stdout == plain.stdout
    assert start_of(spool_folder).pid


def test_an_error_in_the_sitecustomize_behind_it_is_reported_as_always(agent, spool_folder, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("1 / 0")
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
    seen = python("print('on')", agent_environment(agent, spool_folder, environ))
    assert seen.stdout == "on\n"
    assert "Error in sitecustomize" in seen.stderr
    assert "ZeroDivisionError" in seen.stderr


def test_a_broken_agent_leaves_the_program_alone_and_says_so_in_the_spool(agent, spool_folder, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(agent.boot.parent, broken)
    (broken / "agent/relive_hooks/recorder.py").write_text("this is no Python\n")
    paths = AgentPaths(boot=broken / "boot", agent=broken / "agent", digest="")
    done = python("print('on')", agent_environment(paths, spool_folder, os.environ))
    assert (done.returncode, done.stdout, done.stderr) == (0, "on\n", "")
    (note,) = read_spool(spool_folder).notes
    assert note.startswith("boot: SyntaxError")


def test_a_spool_that_is_gone_leaves_the_program_alone(agent, spool_folder):
    environ = agent_environment(agent, spool_folder / "absent", os.environ)
    done = python("import relive_hooks.recorder as r; print(r.current().spool.lost)", environ)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("options", [("-I",), ("-E",), ("-S",)])
def test_a_python_that_ignores_its_environment_is_not_recorded_and_works(agent, spool_folder, options):
    done = python("print('on')", agent_environment(agent, spool_folder, os.environ), *options)
    assert (done.returncode, done.stdout) == (0, "on\n")
    assert read_spool(spool_folder).processes == ()


def test_warnings_as_errors_do_not_hit_the_recorder(record):
    done = record("import relive\nrelive.log({'a': 1})", options=("-W", "error"))
    assert (done.returncode, done.stderr) == (0, "")
    assert [it.key for it in done.spool.metrics] == ["a"]


@pytest.mark.parametrize(
    ("script", "code"), [("raise SystemExit(3)", 3), ("1 / 0", 1), ("import os; os.abort()", -signal.SIGABRT)]
)
def test_the_exit_code_is_the_programs_own(record, script, code):
    assert record(script).returncode == code


def test_a_program_that_fails_still_reports_what_it_loaded(record):
    done = record("1 / 0")
    assert "ZeroDivisionError" in done.stderr
    assert done.spool.processes[0].exit is not None


def test_a_process_that_leaves_by_os_exit_has_no_report_and_keeps_its_records(record):
    done = record("import os, relive\nrelive.log({'a': 1})\nos._exit(0)")
    assert [process.exit for process in done.spool.processes] == [None] * len(done.spool.processes)
    assert [it.key for it in done.spool.metrics] == ["a"]


def test_kill_9_keeps_everything_that_was_logged_before(agent, spool_folder, tmp_path):
    script = (
        "from relive_hooks import facade\n"
        "for i in range(1000): facade.log({'i': i}, step=i)\n"
        "print('logged', flush=True)\n"
        "while True: facade.log({'more': 1})\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script],
        env=agent_environment(agent, spool_folder, os.environ),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "logged\n"
    child.kill()
    assert child.wait(timeout=60) == -signal.SIGKILL
    child.stdout.close()
    contents = read_spool(spool_folder)
    assert [it.step for it in contents.metrics if it.key == "i"] == list(range(1000))
    assert contents.damaged == 0
    assert contents.processes[0].exit is None


def test_a_forked_child_writes_a_file_of_its_own(record, spool_folder):
    done = record(
        "import os\nfrom relive_hooks import facade\n"
        "facade.log({'before': 1})\n"
        "pid = os.fork()\n"
        "facade.log({'child' if pid == 0 else 'parent': 1})\n"
        "if pid: os.waitpid(pid, 0)\n"
    )
    assert done.returncode == 0
    assert sorted(it.key for it in done.spool.metrics) == ["before", "child", "parent"]
    assert len(list(spool_folder.glob("*.jsonl"))) == 2
    parent, child = sorted((it.start for it in done.spool.processes), key=lambda it: bool(it and it.forked))
    assert parent is not None
    assert child is not None
    assert (parent.forked, child.forked) == (False, True)
    assert child.ppid == parent.pid


def test_a_thread_that_logs_while_the_program_forks_does_not_lock_the_child(record):
    done = record(
        "import os, threading\nfrom relive_hooks import facade\n"
        "stop = threading.Event()\n"
        "def busy():\n"
        "    while not stop.is_set(): facade.log({'busy': 1})\n"
        "thread = threading.Thread(target=busy); thread.start()\n"
        "for i in range(20):\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n"
        "        facade.log({'child': i}); os._exit(0)\n"
        "    os.waitpid(pid, 0)\n"
        "stop.set(); thread.join()\n"
    )
    assert done.returncode == 0
    assert sorted(it.value for it in done.spool.metrics if it.key == "child") == list(range(20))
    assert done.spool.damaged == 0


def test_a_program_that_closes_every_descriptor_keeps_its_files_to_itself(record, tmp_path):
    done = record(
        "import os\nfrom relive_hooks import facade\n"
        "facade.log({'before': 1})\n"
        "os.closerange(3, 200)\n"
        "mine = [open(f'mine-{i}', 'w') for i in range(5)]\n"
        "facade.log({'after': 1})\n"
        "for file in mine: file.close()\n"
    )
    assert done.returncode == 0
    assert [it.key for it in done.spool.metrics] == ["before", "after"]
    assert [path.read_text() for path in sorted(tmp_path.glob("mine-*"))] == [""] * 5
    assert len(done.spool.processes) == 1, "two files of one process are one process"


def test_records_that_cannot_be_written_are_counted_and_the_program_goes_on(record):
    done = record(
        "import resource, signal\nfrom relive_hooks import facade, recorder\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "facade.face.run().set_tags({'first': 1})\n"
        "soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))\n"
        "for i in range(200): facade.log({'full': i}, step=i)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))\n"
        "facade.log({'last': 1})\n"
        "print('on')\n"
    )
    assert (done.returncode, done.stdout) == (0, "on\n")
    kept = [it.key for it in done.spool.metrics]
    assert done.spool.tags == {"first": "1"}
    assert kept[-1] == "last"
    assert 0 < kept.count("full") < 200
    assert done.spool.damaged <= 1, "at most the one line that the full disk cut off"
    lost = 200 - kept.count("full")
    assert f"{lost} records could not be written" in done.spool.notes


def test_the_reader_follows_a_process_that_is_still_running(agent, spool_folder):
    script = (
        "import sys\nfrom relive_hooks import facade\nfor line in sys.stdin: facade.log({line.strip(): 1})"
    )
    child = subprocess.Popen(
        [sys.executable, "-u", "-c", script],
        env=agent_environment(agent, spool_folder, os.environ),
        stdin=subprocess.PIPE,
        text=True,
    )
    assert child.stdin is not None
    deadline = time.monotonic() + 120
    for name in ("one", "two"):
        child.stdin.write(f"{name}\n")
        child.stdin.flush()
        while name not in [it.key for it in read_spool(spool_folder).metrics]:
            assert time.monotonic() < deadline
            assert child.poll() is None
            time.sleep(0.02)
    child.stdin.close()
    assert child.wait(timeout=60) == 0
    assert [it.key for it in read_spool(spool_folder).metrics] == ["one", "two"]
