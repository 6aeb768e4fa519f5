"""Commands as processes: started, watched, counted, and ended with everything they started."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from relive.errors import CommandFailed
from relive.runner.masking import Mask
from relive.runner.output import OutputLog, Sink
from relive.runner.process import Ended, Process, Terms
from tests.support.fake_hub import wait_for

MIB = 1024 * 1024


@pytest.fixture
def sink(tmp_path):
    log = OutputLog(tmp_path / "log")
    yield Sink(log, Mask(()))
    log.close()


def environment(tmp_path: Path) -> dict[str, str]:
    spool = tmp_path / "spool"
    spool.mkdir(exist_ok=True)
    return {**os.environ, "RELIVE_SPOOL_DIR": str(spool)}


def start(tmp_path: Path, sink: Sink, *argv: str, **options) -> Process:
    return Process(argv, tmp_path, environment(tmp_path), sink, Terms(**options))


def shell(tmp_path: Path, sink: Sink, script: str, **options) -> Process:
    return start(tmp_path, sink, "/bin/bash", "-c", script, **options)


def python(tmp_path: Path, sink: Sink, script: str, **options) -> Process:
    return start(tmp_path, sink, sys.executable, "-c", script, **options)


def finished(process: Process) -> Ended:
    ended = process.wait(120)
    assert ended is not None, "it did not end"
    return ended


def printed(sink: Sink) -> str:
    return sink.log.close().read_text()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def pid_in(path: Path) -> int:
    """Wait for a file that a process writes its id to."""
    wait_for(lambda: path.exists() and path.read_text().endswith("\n"), f"{path.name} is written")
    return int(path.read_text())


def test_both_streams_are_taken_and_the_exit_code_told(tmp_path, sink):
    ended = finished(shell(tmp_path, sink, "echo out; echo err >&2; pwd; exit 3"))
    assert (ended.exit_code, ended.signal, ended.is_good) == (3, None, False)
    assert printed(sink) == f"out\nerr\n{tmp_path}\n"


def test_all_output_is_there_when_it_has_ended(tmp_path, sink):
    finished(shell(tmp_path, sink, "for i in $(seq 20000); do echo line $i; done"))
    assert printed(sink).splitlines()[-1] == "line 20000"


def test_a_signal_is_told(tmp_path, sink):
    ended = finished(shell(tmp_path, sink, "kill -SEGV $$"))
    assert (ended.exit_code, ended.signal) == (None, signal.SIGSEGV)


def test_use_is_counted_over_the_whole_tree_also_over_orphans(tmp_path, sink):
    burn = "import time\nwhile time.process_time() < 0.5: pass"
    hold = f"x = bytearray({80 * MIB})"
    orphan = f"{sys.executable} -c '{burn}'"
    script = f"(setsid {orphan} & ) ; {sys.executable} -c '{hold}'; {orphan}; sleep 0.2"
    ended = finished(shell(tmp_path, sink, script))
    assert ended.use.cpu_s > 0.9
    assert ended.use.max_rss_bytes > 80 * MIB
    assert ended.use.wall_s > 0.4


def test_input_is_empty_unless_given(tmp_path, sink):
    ended = finished(shell(tmp_path, sink, "cat; echo end"))
    assert ended.exit_code == 0
    assert printed(sink) == "end\n"


def test_given_input_is_read(tmp_path, sink):
    (tmp_path / "in").write_text("typed\n")
    with open(tmp_path / "in", "rb") as stdin:
        finished(shell(tmp_path, sink, "cat", stdin=stdin))
    assert printed(sink) == "typed\n"


def test_the_command_has_only_its_own_descriptors_and_variables(tmp_path, sink):
    process = Process(
        ["/bin/bash", "-c", "ls /proc/$$/fd | wc -l; env | sort"], tmp_path, {"PATH": "/usr/bin:/bin"}, sink
    )
    finished(process)
    lines = printed(sink).splitlines()
    assert int(lines[0]) <= 4  # three, and what the shell opens
    assert {line.partition("=")[0] for line in lines[1:]} <= {"PATH", "PWD", "SHLVL", "_", "OLDPWD"}


def test_variables_arrive_byte_by_byte(tmp_path, sink):
    odd = os.fsdecode(b"\xff \n'\"")
    finished(Process(["/bin/sh", "-c", 'printf %s "$ODD"'], tmp_path, {"ODD": odd}, sink))
    assert sink.log.close().read_bytes() == os.fsencode(odd)


def test_a_program_that_is_not_there_is_named(tmp_path, sink):
    with pytest.raises(CommandFailed) as caught:
        start(tmp_path, sink, "no-such-program", "--flag")
    assert "No such file" in caught.value.reason
    assert caught.value.command == "no-such-program --flag"


def test_a_folder_that_is_not_there_is_told(tmp_path, sink):
    with pytest.raises(CommandFailed):
        Process(["true"], tmp_path / "nowhere", environment(tmp_path), sink)


def test_waiting_can_end_before_the_command(tmp_path, sink):
    process = shell(tmp_path, sink, "sleep 1000")
    assert process.wait(0.1) is None
    process.stop(grace_s=60)
    assert finished(process).signal == signal.SIGTERM


def test_a_tree_that_does_not_hear_is_killed_after_the_grace(tmp_path, sink):
    script = "trap '' TERM; (trap '' TERM; echo $BASHPID > child; sleep 1000) & echo $$ > parent; wait; wait"
    process = shell(tmp_path, sink, script)
    pids = [pid_in(tmp_path / "child"), pid_in(tmp_path / "parent")]
    process.stop(grace_s=0.2)
    assert finished(process).signal == signal.SIGKILL
    assert not any(map(is_alive, pids))


def test_a_command_may_end_in_its_own_way_when_asked(tmp_path, sink):
    script = "trap 'echo bye; exit 7' TERM; echo ready > ready; while :; do sleep 0.05; done"
    process = shell(tmp_path, sink, script)
    wait_for((tmp_path / "ready").exists, "the trap is set")
    process.stop(grace_s=60)
    assert finished(process).exit_code == 7
    assert printed(sink).endswith("bye\n")


def test_a_stopped_process_is_ended_too(tmp_path, sink):
    process = shell(tmp_path, sink, "echo $$ > pid; kill -STOP $$")
    pid_in(tmp_path / "pid")
    process.stop(grace_s=60)
    assert finished(process).signal == signal.SIGTERM


def test_what_a_command_leaves_behind_is_ended_with_it(tmp_path, sink):
    daemon = "setsid nohup bash -c 'echo $$ > daemon; sleep 1000' &"
    process = shell(tmp_path, sink, f"{daemon} while [ ! -s daemon ]; do sleep 0.02; done; echo over")
    ended = finished(process)
    assert ended.exit_code == 0
    assert ended.left_behind >= 1
    assert not is_alive(pid_in(tmp_path / "daemon"))
    assert printed(sink) == "over\n"


def test_a_tree_over_its_memory_is_ended_and_says_so(tmp_path, sink):
    script = "import time\nx = [bytearray(b'x') * 10_000_000 for _ in range(40)]\ntime.sleep(1000)"
    ended = finished(python(tmp_path, sink, script, memory_bytes=200 * MIB))
    assert ended.over_memory_bytes > 200 * MIB
    assert not ended.is_good


def test_memory_counts_for_all_processes_together(tmp_path, sink):
    each = f"{sys.executable} -c \"import time; x = bytearray(b'x') * {70 * MIB}; time.sleep(1000)\" &"
    ended = finished(shell(tmp_path, sink, each * 3 + " wait", memory_bytes=160 * MIB))
    assert ended.over_memory_bytes > 160 * MIB


def test_shared_memory_counts_once(tmp_path, sink):
    script = f"""
import os, time
x = bytearray(b'x') * {120 * MIB}
for _ in range(3):
    if os.fork() == 0:
        break
time.sleep(0.8)
"""
    ended = finished(python(tmp_path, sink, script, memory_bytes=220 * MIB))
    assert ended.over_memory_bytes == 0
    assert ended.exit_code == 0


def test_a_supervisor_that_is_killed_takes_the_whole_tree_along(tmp_path, sink):
    script = "(setsid bash -c 'echo $$ > child; sleep 1000') & echo $$ > parent; sleep 1000"
    process = shell(tmp_path, sink, script)
    pids = [pid_in(tmp_path / "child"), pid_in(tmp_path / "parent")]
    process._supervisor.kill()
    ended = finished(process)
    assert not ended.is_known
    assert not ended.is_good
    wait_for(lambda: not any(map(is_alive, pids)), "the tree has ended")


RUNNER = """
import sys
from pathlib import Path
from relive.runner.masking import Mask
from relive.runner.output import OutputLog, Sink
from relive.runner.process import Process
here = Path(sys.argv[1])
script = "trap '' TERM; (trap '' TERM; setsid bash -c 'echo $$ > child; sleep 1000') & echo $$ > parent; wait"
sink = Sink(OutputLog(here / "log"), Mask(()))
Process(["bash", "-c", script], here, {"PATH": "/usr/bin:/bin"}, sink).wait()
"""


def test_a_runner_that_is_killed_leaves_nobody_behind(tmp_path):
    runner = subprocess.Popen([sys.executable, "-c", RUNNER, str(tmp_path)])
    try:
        pids = [pid_in(tmp_path / "child"), pid_in(tmp_path / "parent")]
        runner.kill()
    finally:
        runner.kill()
        runner.wait()
    wait_for(lambda: not any(map(is_alive, pids)), "the tree has ended")


def test_stopping_what_has_ended_is_no_error(tmp_path, sink):
    process = shell(tmp_path, sink, "true")
    deadline = time.monotonic() + 60
    while process.wait(1) is None:
        assert time.monotonic() < deadline
    process.stop()
