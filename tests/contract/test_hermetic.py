"""Hermetic runs: a real command within its walls, and what is said when it reaches over them."""

import socket
import subprocess
import sys

import pytest
import yaml

from relive.capture.recorder import landlock
from relive.core.pipeline import Hermetic
from relive.core.recipe import UndeclaredRead
from relive.core.run import FailureReason, RunStatus
from relive.runner.opened import demand
from tests.conftest import require
from tests.contract.test_recorder import can_listen
from tests.contract.test_runner import dep, log, recipe, stage
from tests.support.fake_hub import running_hub
from tests.support.jobs import Jobs

TRAIN = "print(open('data/a.csv').read())"


@pytest.fixture(scope="module", autouse=True)
def kernel():
    """Hold all of it to a kernel that has both walls."""
    require(can_listen(), "the kernel has no user notification of seccomp, or forbids it here (Linux 5.0)")
    require(landlock.version() >= 6, "the kernel has no Landlock, or an old one (Linux 6.12)")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def hub(tmp_path):
    with running_hub(tmp_path / "hub") as running:
        yield running


@pytest.fixture
def jobs(hub, tmp_path, cache):
    return Jobs(hub, tmp_path / "jobs", cache)


@pytest.fixture
def run(hub, jobs):
    """Run a script as a stage that declares itself and data/, and has helper.py beside it."""

    def run_it(script: str, *, held: Hermetic = Hermetic.ON, **fields):
        files = {
            "train.py": script,
            "helper.py": "A = 1\n",
            "data/a.csv": "7\n",
            "go.sh": "#!/bin/sh\necho went\n",
        }
        declared = (
            dep(hub, "train.py", {"train.py": script}, "code"),
            dep(hub, "data", {"data/a.csv": "7\n"}, "code"),
        )
        fields.setdefault("deps", declared)
        work = stage(hub, files, "python train.py", hermetic=held, **fields)
        report = jobs.report(work)
        return report, recipe(hub, report).observed if report.recipe else None, log(hub, report)

    return run_it


def test_what_is_declared_is_read_and_the_recipe_says_that_nothing_else_was(run):
    report, observed, printed = run(TRAIN)
    assert report.status is RunStatus.FINISHED, printed
    assert "7" in printed
    assert (observed.hermetic, observed.isolation, observed.reads) == (True, "landlock+seccomp", ())


def test_without_walls_it_is_told_and_goes_well(run):
    report, observed, printed = run("import helper; print(helper.A)", held=Hermetic.WARN)
    assert report.status is RunStatus.FINISHED, printed
    assert report.undeclared == "read, but not declared: helper.py"
    assert (observed.hermetic, observed.isolation) == (False, "none")
    report, observed, _ = run("import helper", held=Hermetic.OFF)
    assert (report.undeclared, [read.path for read in observed.reads]) == ("", ["helper.py"])


@pytest.mark.parametrize(
    "code",
    [
        "import helper",
        "import subprocess; subprocess.run(['cat', 'helper.py'])",
        "import os; os.open('helper.py', os.O_RDWR)",
        "import os; os.symlink('helper.py', 'mine.py'); open('mine.py')",
        "import ctypes; ctypes.CDLL(None).fopen(b'helper.py', b'r')",
    ],
)
def test_a_file_of_the_commit_that_no_dep_names_is_refused_and_named(run, code):
    report, observed, printed = run(f"try:\n    {code}\nexcept OSError as error:\n    print(error)")
    assert (report.status, report.failure) == (RunStatus.FAILED, FailureReason.UNDECLARED_READ), printed
    assert report.reason.startswith("read, but not declared: ")
    assert "  - helper.py" in report.reason
    assert "A = 1" not in printed
    assert observed.hermetic  # it held


def test_a_script_of_the_commit_that_no_dep_names_is_not_started(run):
    report, _, printed = run(
        "import os; os.chmod('go.sh', 0o755); import subprocess; subprocess.run(['./go.sh'])"
    )
    assert report.failure is FailureReason.UNDECLARED_READ
    assert "go.sh" in report.reason
    assert "went" not in printed


def test_what_lies_outside_is_refused_also_to_be_written(run, tmp_path):
    secret, target = tmp_path / "rows.csv", tmp_path / "target.csv"
    secret.write_text("hidden")
    report, _, printed = run(f"print(open({str(secret)!r}).read())")
    assert report.failure is FailureReason.UNDECLARED_READ
    assert str(secret) in report.reason
    assert "hidden" not in printed
    report, observed, printed = run(f"open({str(target)!r}, 'w').write('x')")
    assert report.status is RunStatus.FAILED
    assert not target.exists()
    assert any(note.startswith(f"Refused to write: {target} (") for note in observed.notes)
    assert "$TMPDIR" in printed


@pytest.mark.parametrize(
    "move",
    [
        "os.rename('helper.py', 'x')",
        "os.link('helper.py', 'x')",
        "os.symlink('helper.py', 'x')",
        "os.rename('helper.py', os.environ['TMPDIR'] + '/x'); os.chdir(os.environ['TMPDIR'])",
        "os.chmod('helper.py', 0o600); os.utime('helper.py'); os.symlink('helper.py', 'x')",
        "os.symlink(os.path.abspath('helper.py'), os.environ['HOME'] + '/x'); os.chdir(os.environ['HOME'])",
    ],
)
def test_an_undeclared_file_is_read_under_no_other_name(run, move):
    report, _, printed = run(f"import os\n{move}\nprint(open('x').read())")
    assert report.failure is FailureReason.UNDECLARED_READ
    assert "A = 1" not in printed
    assert "PermissionError" in printed
    assert report.reason.count("\n") >= 1, "a hint follows"


def test_what_an_earlier_run_left_may_be_written_anew_and_read(run):
    write = "import os\nopen('helper.py', 'w').write('A = 2')\nos.rename('helper.py', 'x')\n"
    report, observed, printed = run(f"{write}print(open('x').read())")
    assert report.status is RunStatus.FINISHED, report.reason
    assert "A = 2" in printed
    assert observed.reads == ()


def test_what_it_made_itself_is_its_own(run):
    code = """
import os, pathlib, tempfile, multiprocessing
for folder in (".", "deep/er", str(pathlib.Path.home()), tempfile.gettempdir(), "/dev/shm"):
    os.makedirs(folder, exist_ok=True)
    file = pathlib.Path(folder, f"made-{os.getpid()}.txt")
    file.write_text("1"); assert file.read_text() == "1"
    file.rename(file.with_suffix(".moved")); assert file.with_suffix(".moved").read_text() == "1"
    file.with_suffix(".moved").unlink()
with multiprocessing.get_context("spawn").Pool(2) as pool:
    print(pool.map(abs, [-1, -2]))
""".replace("for folder", "import __main__\nfor folder")
    guarded = (
        "def main():\n"
        + "\n".join("    " + line for line in code.splitlines())
        + "\nif __name__ == '__main__': main()"
    )
    report, observed, printed = run(guarded)
    assert report.status is RunStatus.FINISHED, (report.reason, printed)
    assert "[1, 2]" in printed
    assert observed.reads == ()


def test_the_network_is_the_hub_and_what_it_listens_on_itself(run):
    with socket.create_server(("127.0.0.1", 0)) as foreign:
        port = foreign.getsockname()[1]
        code = f"""
import os, socket, urllib.parse
hub = urllib.parse.urlsplit(os.environ["RELIVE_HUB"])
socket.create_connection((hub.hostname, hub.port)).close()
with socket.create_server(("127.0.0.1", 0)) as own:
    socket.create_connection(own.getsockname()).close()
for address in (("127.0.0.1", {port}), ("192.0.2.1", 80)):
    try:
        socket.create_connection(address, timeout=2)
        print("REACHED", address)
    except OSError as error:
        print("refused", error)
try:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM); print("REACHED")
except OSError as error:
    print("refused", error)
"""
        report, observed, printed = run(code)
        assert report.status is RunStatus.FINISHED, printed
        assert "REACHED" not in printed
        assert printed.count("refused") == 3
        assert any(f"127.0.0.1:{port}" in note and note.startswith("Refused") for note in observed.notes)
        report, _, printed = run(
            f"import socket; socket.create_connection(('127.0.0.1', {port}))", network=True
        )
        assert report.status is RunStatus.FINISHED, printed


def test_a_socket_of_another_program_is_not_reached(run, tmp_path):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        report, _, printed = run(f"import socket; socket.socket(socket.AF_UNIX).connect({str(path)!r})")
    assert report.status is RunStatus.FAILED
    assert "PermissionError" in printed
    assert f"Refused: the socket {path} (`network: true`" in printed


def test_without_the_recorder_one_wall_is_left_and_it_is_said(hub, tmp_path, cache):
    jobs = Jobs(hub, tmp_path / "jobs", cache, {"RELIVE_RECORDER": "off"})
    report = jobs.report(stage(hub, {"train.py": "print(1)"}, "python train.py", hermetic=Hermetic.ON))
    assert report.status is RunStatus.FINISHED
    observed = recipe(hub, report).observed
    assert observed is not None
    assert (observed.hermetic, observed.isolation) == (False, "landlock")
    assert any("Not held to its declared inputs" in note for note in observed.notes)
    assert "Not held to its declared inputs" in log(hub, report)


def test_landlock_lets_be_read_and_written_what_it_was_told(tmp_path):
    (tmp_path / "read").mkdir()
    (tmp_path / "read/a").write_text("1")
    (tmp_path / "write").mkdir()
    (tmp_path / "other").write_text("2")
    code = f"""
import os
from relive.capture.recorder.landlock import restrict
restrict(["/usr", "/lib", "/no/such", {str(tmp_path / "read")!r}], [{str(tmp_path / "write")!r}])
assert open({str(tmp_path / "read/a")!r}).read() == "1"
open({str(tmp_path / "write/b")!r}, "w").write("3")
assert open({str(tmp_path / "write/b")!r}).read() == "3"
for path, mode in (({str(tmp_path / "other")!r}, "r"), ({str(tmp_path / "read/a")!r}, "w")):
    try:
        open(path, mode)
        raise SystemExit(f"opened {{path}}")
    except PermissionError:
        pass
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def read(path: str, belongs: str) -> UndeclaredRead:
    return UndeclaredRead(path=path, size_bytes=1, belongs=belongs)


@pytest.mark.parametrize(
    "path",
    [
        "a: b.csv",
        "- x",
        "#x",
        "[1].csv",
        "2024-01-01",
        "yes",
        "null",
        "1.5",
        "~",
        "ü b.csv",
        "a#b.csv",
        "x y",
        ".inf",
        "data/rows.csv",
        'q"q',
    ],
)
def test_a_path_is_what_yaml_reads_of_the_line_to_add(path):
    said = demand((read(path, "commit"),), option=False)
    assert yaml.safe_load(said.splitlines()[-1]) == [path]


def test_what_to_add_is_said_as_it_is_to_be_written():
    reads = (read("helper.py", "commit"), read("rows.csv", "ignored"), read("/srv/x y", "outside"))
    assert demand(reads, option=False).splitlines() == [
        "read, but not declared: helper.py, rows.csv, /srv/x y",
        "declare what it reads, in relive.yaml under the stage's `deps`:",
        "  - helper.py",
        "rows.csv: it is not in the commit: add it to deps, or have a stage make it",
        "/srv/x y: it lies outside the repository: bring it in, or make it a data set (relive data add)",
    ]
    assert demand((read("a b.csv", "ignored"), *reads[2:]), option=True).splitlines() == [
        "read, but not declared: a b.csv, /srv/x y",
        "declare what it reads: --dep 'a b.csv'",
        "/srv/x y: it lies outside the repository: bring it in, or make it a data set (relive data add)",
    ]
