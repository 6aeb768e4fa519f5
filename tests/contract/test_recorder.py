"""The recorder on real processes: what is read shows, whoever reads it and however."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from relive.capture.recorder.reads import Opened, read_opened
from relive.core.run import FailureReason, RunStatus
from relive.runner.masking import Mask
from relive.runner.output import OutputLog, Sink
from relive.runner.process import Ended, Process, Terms
from tests.conftest import require
from tests.contract.test_runner import dep, log, recipe, stage
from tests.support.fake_hub import running_hub, wait_for
from tests.support.jobs import Jobs

PREPARE = """
import numpy, sqlite3, json
numpy.save("a.npy", numpy.arange(4.0)); numpy.savez("a.npz", x=numpy.arange(4.0))
open("a.bin", "wb").write(bytes(32)); open("a.txt", "w").write("1 2\\n")
open("a.csv", "w").write("1,2\\n"); open("m.py", "w").write("A = 1\\n")
open("a.libsvm", "w").write("1 0:1.0 1:2.0\\n0 0:3.0 1:1.0\\n")
base = sqlite3.connect("a.db"); base.execute("create table t (x)"); base.commit()
import joblib; joblib.dump({"a": 1}, "a.joblib")
import pickle; pickle.dump({"a": 1}, open("a.pkl", "wb"))
import xgboost; m = xgboost.train({"objective": "binary:logistic"},
    xgboost.DMatrix("a.libsvm?format=libsvm"), 1); m.save_model("a.ubj")
import gzip; gzip.open("a.gz", "wb").write(b"x"); import zipfile
zipfile.ZipFile("a.zip", "w").writestr("a", "x")
"""
# Each must be seen to read the file beside it, and nothing in the program says so.
WAYS = {
    "open": ("a.txt", "open('a.txt').read()"),
    "os.open": ("a.bin", "import os; os.read(os.open('a.bin', os.O_RDONLY), 9)"),
    "relative to a folder's descriptor": (
        "a.bin",
        "import os; os.open('a.bin', os.O_RDONLY, dir_fd=os.open('.', os.O_DIRECTORY))",
    ),
    "another working folder": ("a.bin", "import os; os.chdir('/'); os.chdir({here!r}); open('a.bin')"),
    "mmap": ("a.bin", "import mmap; f = open('a.bin', 'rb'); mmap.mmap(f.fileno(), 0, prot=1)[0]"),
    "io.FileIO": ("a.bin", "import io; io.FileIO('a.bin')"),
    "pathlib": ("a.txt", "import pathlib; pathlib.Path('a.txt').read_text()"),
    "C's fopen": ("a.txt", "import ctypes; ctypes.CDLL(None).fopen(b'a.txt', b'r')"),
    "C's open": ("a.bin", "import ctypes; ctypes.CDLL(None).open(b'a.bin', 0)"),
    "a raw system call": (
        "a.bin",
        (
            "import ctypes, platform; n = {{'x86_64': 257, 'aarch64': 56}}[platform.machine()];"
            "ctypes.CDLL(None).syscall(n, -100, b'a.bin', 0, 0)"
        ),
    ),
    "openat2": (
        "a.bin",
        (
            "import ctypes, struct; h = ctypes.create_string_buffer(struct.pack('QQQ', 0, 0, 0), 24);"
            "ctypes.CDLL(None).syscall(437, -100, b'a.bin', h, 24)"
        ),
    ),
    "numpy.load": ("a.npy", "import numpy; numpy.load('a.npy')"),
    "numpy.load mapped": ("a.npy", "import numpy; numpy.load('a.npy', mmap_mode='r')[0]"),
    "numpy.load npz": ("a.npz", "import numpy; numpy.load('a.npz')['x']"),
    "numpy.fromfile": ("a.bin", "import numpy; numpy.fromfile('a.bin')"),
    "numpy.memmap": ("a.bin", "import numpy; numpy.memmap('a.bin')[0]"),
    "numpy.loadtxt": ("a.csv", "import numpy; numpy.loadtxt('a.csv', delimiter=',')"),
    "numpy.genfromtxt": ("a.csv", "import numpy; numpy.genfromtxt('a.csv', delimiter=',')"),
    "csv": ("a.csv", "import csv; list(csv.reader(open('a.csv')))"),
    "pickle": ("a.pkl", "import pickle; pickle.load(open('a.pkl', 'rb'))"),
    "joblib": ("a.joblib", "import joblib; joblib.load('a.joblib')"),
    "sqlite3": ("a.db", "import sqlite3; sqlite3.connect('a.db').execute('select * from t').fetchall()"),
    "gzip": ("a.gz", "import gzip; gzip.open('a.gz').read()"),
    "zipfile": ("a.zip", "import zipfile; zipfile.ZipFile('a.zip').read('a')"),
    "xgboost's own reader": ("a.libsvm", "import xgboost; xgboost.DMatrix('a.libsvm?format=libsvm')"),
    "xgboost's model": ("a.ubj", "import xgboost; xgboost.Booster(model_file='a.ubj')"),
    "import": ("m.py", "import sys; sys.path.insert(0, '.'); sys.dont_write_bytecode = True; import m"),
    "runpy": ("m.py", "import runpy; runpy.run_path('m.py')"),
    "cat": ("a.txt", "import subprocess; subprocess.run(['cat', 'a.txt'])"),
    "a shell": ("a.txt", "import os; os.system('while read line; do :; done < a.txt')"),
    "a forked child": (
        "a.bin",
        "import os; p = os.fork(); p or (open('a.bin'), os._exit(0)); os.waitpid(p, 0)",
    ),
    "a pool": (
        "a.bin",
        "import multiprocessing as m, os; m.get_context('fork').Pool(1).apply(os.open, ('a.bin', 0))",
    ),
    "python -I -S": (
        "a.bin",
        "import subprocess, sys; subprocess.run([sys.executable, '-I', '-S', '-c', \"open('a.bin')\"])",
    ),
    "an empty environment": (
        "a.bin",
        "import subprocess, sys; subprocess.run([sys.executable, '-c', \"open('a.bin')\"], env={{}})",
    ),
    "cp": ("a.bin", "import subprocess; subprocess.run(['cp', 'a.bin', 'b.bin'])"),
    "tar": ("a.csv", "import subprocess; subprocess.run(['tar', '-cf', 't.tar', 'a.csv'])"),
    "sha256sum": ("a.bin", "import hashlib; hashlib.file_digest(open('a.bin', 'rb'), 'sha256')"),
    "a link": ("a.bin", "import os; os.symlink('a.bin', 'l.bin'); open('l.bin').read()"),
    "a thread": (
        "a.bin",
        "import threading as t; x = t.Thread(target=open, args=('a.bin',)); x.start(); x.join()",
    ),
    "asyncio": ("a.txt", "import asyncio; asyncio.run(asyncio.to_thread(open, 'a.txt'))"),
}


@pytest.fixture(scope="module", autouse=True)
def kernel():
    """Hold all of it to a kernel that lets calls be looked at."""
    require(can_listen(), "the kernel has no user notification of seccomp, or forbids it here (Linux 5.0)")


def can_listen() -> bool:
    """Tell whether a process of its own gets a listener."""
    install = "from relive.capture.recorder.seccomp import calls, install; install(calls())"
    return subprocess.run([sys.executable, "-c", install], capture_output=True).returncode == 0


@pytest.fixture
def hub(tmp_path):
    with running_hub(tmp_path / "hub") as running:
        yield running


@pytest.fixture
def jobs(hub, tmp_path):
    return Jobs(hub, tmp_path / "jobs", tmp_path / "cache")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """One folder with a file of each kind."""
    folder = tmp_path_factory.mktemp("files")
    subprocess.run([sys.executable, "-c", PREPARE], cwd=folder, check=True)
    return folder


@dataclass
class Place:
    """Runs commands under the recorder, in a folder, with what they print and open kept in another."""

    folder: Path
    kept: Path

    @property
    def record(self) -> Path:
        """The recorder's file."""
        return self.kept / "opened.jsonl"

    def start(self, *argv: str, **variables: str) -> Process:
        """Start a command; what it prints is closed with the sink."""
        environment = {**os.environ, "RELIVE_SPOOL_DIR": str(self.kept), **variables}
        self.sink = Sink(OutputLog(self.kept / "log"), Mask(()))
        return Process(argv, self.folder, environment, self.sink, Terms(opened=self.record))

    def end(self, process: Process) -> Ended:
        """Wait for the end of its tree."""
        ended = process.wait(120)
        assert ended is not None
        self.sink.log.close()
        return ended

    def run(self, *argv: str, **variables: str) -> tuple[Ended, Opened]:
        """Run a command to its end."""
        ended = self.end(self.start(*argv, **variables))
        return ended, read_opened(self.record)

    def printed(self) -> str:
        """Give what it printed so far."""
        return (self.kept / "log/output.log").read_text()


@pytest.fixture
def place(files, tmp_path):
    return Place(files, tmp_path)


def test_there_are_forty_ways():
    assert len(WAYS) == 40


@pytest.mark.parametrize("way", WAYS)
def test_a_file_is_seen_however_it_is_read(place, way):
    path, code = WAYS[way]
    ended, opened = place.run(sys.executable, "-c", code.format(here=str(place.folder)))
    assert ended.is_good, place.printed()
    assert opened.is_whole
    assert {os.path.realpath(name) for name in opened.reads} >= {os.path.realpath(place.folder / path)}


def test_what_only_looks_is_no_read(place):
    code = "import os; os.stat('a.bin'); os.listdir('.'); os.path.exists('a.csv'); open('b', 'w')"
    ended, opened = place.run(sys.executable, "-c", code)
    assert ended.is_good
    assert not {name for name in opened.reads if name.startswith(str(place.folder))}
    assert str(place.folder / "b") in opened.made


def test_connections_are_seen(place):
    code = "import socket; s = socket.socket(); s.settimeout(1); print(s.connect_ex(('127.0.0.1', 9)))"
    _, opened = place.run(sys.executable, "-c", code)
    assert opened.addresses == {"127.0.0.1:9"}


def test_a_command_that_cannot_start_says_so_and_leaves_no_recorder(place):
    with pytest.raises(Exception, match="cannot be started"):
        place.start("/nonexistent/program")
    place.sink.log.close()
    wait_for(lambda: not recorders(place.kept), "no recorder is left")


def test_a_dead_recorder_ends_the_run_as_lost_and_not_as_the_users_fault(place):
    code = "import time; print('ready', flush=True); time.sleep(60); open('a.bin')"
    process = place.start(sys.executable, "-c", code)
    wait_for(lambda: "ready" in place.printed(), "the command is ready")
    (pid,) = recorders(place.kept)
    os.kill(pid, signal.SIGKILL)
    ended = place.end(process)
    assert ended.is_recorder_lost
    assert not ended.is_good


def test_a_recorder_that_is_held_up_does_not_keep_the_run(place):
    process = place.start(sys.executable, "-c", "import time; print('ready', flush=True); time.sleep(1)")
    wait_for(lambda: "ready" in place.printed(), "the command is ready")
    (pid,) = recorders(place.kept)
    os.kill(pid, signal.SIGSTOP)
    time.sleep(0.5)
    process.stop(grace_s=0.2)
    ended = place.end(process)
    assert not ended.is_recorder_lost
    assert not recorders(place.kept)
    assert not read_opened(place.record).is_whole


def test_a_killed_supervisor_leaves_neither_tree_nor_recorder(place):
    process = place.start(sys.executable, "-c", "import time; print('ready', flush=True); time.sleep(60)")
    wait_for(lambda: "ready" in place.printed(), "the command is ready")
    os.kill(parent(process.pid), signal.SIGKILL)
    ended = place.end(process)
    assert not ended.is_known
    wait_for(lambda: not (is_alive(process.pid) or recorders(place.kept)), "all of it is gone")


def is_alive(pid: int) -> bool:
    """Tell whether a process has not ended, whoever has still to take note of that."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except OSError:
        return False


def parent(pid: int) -> int:
    """Give the process that a process is a child of."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_the_recorder_is_the_trees_ancestor_or_yama_would_not_let_it_look(place):
    process = place.start(sys.executable, "-c", "import time; print('ready', flush=True); time.sleep(60)")
    wait_for(lambda: "ready" in place.printed(), "the command is ready")
    above, parents = process.pid, []
    while above > 1:
        above = parent(above)
        parents.append(above)
    assert recorders(place.kept)[0] in parents
    process.stop(grace_s=1)
    place.end(process)


ODD = """
import ctypes, os, socket, struct
libc = ctypes.CDLL(None)
socket = socket.socket()
for address, size in ((struct.pack("=H", 2), 2), (struct.pack("=HH", 10, 5), 4), (ctypes.c_void_p(-1), 16)):
    libc.connect(socket.fileno(), address, size)
for path in (-1, 0, 1):
    libc.open(ctypes.c_void_p(path), 0)
    libc.execve(ctypes.c_void_p(path), None, None)
libc.open(b"/" + b"y" * 5000, 0)
open(b"n\\xff", "wb").close()
os.chdir("/")
open(f"/proc/self/fd/{os.open(HERE + '/a.txt', os.O_PATH)}").read()
"""


def test_a_path_is_seen_wherever_it_lies_in_memory(place):
    code = (
        "import ctypes, mmap; libc = ctypes.CDLL(None); libc.mmap.restype = ctypes.c_void_p\n"
        "pages = libc.mmap(None, 3 * 4096, 3, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)\n"
        "assert libc.munmap(ctypes.c_void_p(pages + 8192), 4096) == 0\n"
        "def at(place, path):\n"
        "    ctypes.memmove(pages + place, path + b'\\0', len(path) + 1)\n"
        "    assert libc.open(ctypes.c_void_p(pages + place), 0) > 0\n"
        "at(8192 - 6, b'a.bin'); at(4096 - 2, b'a.txt'); at(0, b'./' * 2000 + b'a.csv')\n"
    )
    ended, opened = place.run(sys.executable, "-c", code)
    assert ended.is_good, place.printed()
    assert opened.is_whole
    assert {str(place.folder / name) for name in ("a.bin", "a.txt", "a.csv")} <= set(opened.reads)


def test_what_makes_no_sense_is_no_harm(place):
    ended, opened = place.run(sys.executable, "-c", ODD.replace("HERE", repr(str(place.folder))))
    assert ended.is_good, place.printed()
    assert opened.is_whole
    assert str(place.folder / "a.txt") in opened.reads
    assert str(place.folder / "n\udcff") in opened.made


HELD_UP = """
import os, socket, time
from relive.capture.recorder import listening, looking, seccomp
listening._LOOK_S, listening._WATCH_MS = 0.2, 100
looking.Look.note = lambda *_: time.sleep(60)
ours, theirs = socket.socketpair()
child = os.fork()
if child == 0:
    seccomp.hand_over(theirs)
    for _ in range(12):
        os.close(os.open("/dev/null", os.O_RDONLY))
    os._exit(0)
_, (listener,), _, _ = socket.recv_fds(ours, 256, 1)
out = os.open("opened.jsonl", os.O_WRONLY | os.O_CREAT)
listening.Listener(listener, looking.Record(out), seccomp.calls()).run(ours)
os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_look_that_does_not_come_back_does_not_hold_up_the_tree(tmp_path):
    """As at a dead mount, or at files that are served by a process of the tree."""
    subprocess.run([sys.executable, "-c", HELD_UP], cwd=tmp_path, check=True, timeout=50)
    opened = read_opened(tmp_path / "opened.jsonl")
    assert opened.blind == {"looking at a path took more than 0.2 s"}
    assert (opened.begun, opened.ended, opened.is_whole) == (1, 1, False)


def test_stopping_ends_tree_and_recorder(place):
    process = place.start(sys.executable, "-c", "import time; print(1, flush=True); time.sleep(60)")
    wait_for(lambda: recorders(place.kept), "there is a recorder")
    process.stop(grace_s=5)
    ended = place.end(process)
    assert not ended.is_recorder_lost
    assert not recorders(place.kept)
    assert read_opened(place.record).is_whole


def recorders(kept: Path) -> list[int]:
    """Give the recorders that write into this folder."""
    found = []
    for name in os.listdir("/proc"):
        try:
            words = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0") if name.isdigit() else []
        except OSError:
            continue  # it ended meanwhile
        if any(b"recorder.listening" in word for word in words) and str(kept).encode() in b" ".join(words):
            found.append(int(name))
    return found


def test_a_stage_reports_what_it_read_without_saying_so(hub, jobs, tmp_path):
    outside = tmp_path / "outside.csv"
    outside.write_text("1,2\n")
    time.sleep(0.05)  # a file that is older than the run
    code = (
        f"open('train.py'); open('helper.py'); open('data/a.csv'); open({str(outside)!r}); open('out', 'w')"
    )
    files = {"train.py": code, "helper.py": "A = 1\n", "config.txt": "x"}
    declared = (dep(hub, "train.py", {"train.py": code}, "code"), dep(hub, "data", {"data/a.csv": "1\n"}))
    report = jobs.report(stage(hub, files, f"{sys.executable} train.py", deps=declared, outs=("out",)))
    assert report.status is RunStatus.FINISHED, log(hub, report)
    observed = recipe(hub, report).observed
    assert observed is not None
    assert {(read.path, read.belongs) for read in observed.reads} == {
        ("helper.py", "commit"),
        (str(outside), "outside"),
    }
    assert observed.completeness == "full"
    assert "a change of it would not run this stage again: add it to deps" in log(hub, report)


def test_a_stage_whose_recorder_dies_is_lost_and_may_be_tried_again(hub, jobs, tmp_path):
    files = {"train.py": "import time; print('ready', flush=True); time.sleep(60)"}
    job = hub.add_job(stage(hub, files, f"{sys.executable} train.py"))
    with jobs.running(job) as runner:
        wait_for(lambda: b"ready" in hub.jobs[job].log, "the command is ready")
        os.kill(recorders(tmp_path)[0], signal.SIGKILL)
        runner.wait(60)
    report = hub.stage_report(job)
    assert (report.status, report.failure) == (RunStatus.FAILED, FailureReason.WORKER_LOST)
    assert "the process that records its opens was killed" in report.reason


def test_without_the_recorder_a_run_says_that_opens_were_not_recorded(hub, jobs):
    jobs.settings["RELIVE_RECORDER"] = "off"
    report = jobs.report(stage(hub, {"t.py": "print(1)"}, f"{sys.executable} t.py"))
    observed = recipe(hub, report).observed
    assert observed is not None
    assert observed.completeness != "full"
    assert any("RELIVE_RECORDER is off" in note for note in observed.notes)
    assert observed.reads == ()
