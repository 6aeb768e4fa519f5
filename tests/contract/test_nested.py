"""Runs within a recorded run: one listener a tree, and each run a record of its own tree."""

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from relive.capture.recorder import nested
from relive.capture.recorder.borders import Borders
from relive.capture.recorder.reads import Opened, read_opened
from tests.conftest import require
from tests.contract.test_recorder import Place, can_listen, is_alive, parent, recorders
from tests.support.fake_hub import wait_for

ROOT = Path(__file__).parents[2]
# Runs a command as a run of its own, with its record in the folder it is given.
INNER = """
import os, pathlib, sys
from relive.runner.masking import Mask
from relive.runner.output import OutputLog, Sink
from relive.runner.process import Process, Terms
kept = pathlib.Path(sys.argv[1])
kept.mkdir()
policy = kept.parent / "policy.json"
sink = Sink(OutputLog(kept / "log"), Mask(()), lambda data: print(data.decode(), end="", flush=True))
terms = Terms(opened=kept / "opened.jsonl", policy=policy if policy.exists() else None)
process = Process(sys.argv[2:], pathlib.Path.cwd(), dict(os.environ, RELIVE_SPOOL_DIR=str(kept)), sink, terms)
(kept / "pid").write_text(str(process.pid))
ended = process.wait(60)
sink.log.close()
print("ended", ended.exit_code, ended.is_recorder_lost, ended.is_known, flush=True)
"""


@pytest.fixture(scope="module", autouse=True)
def kernel():
    """Hold all of it to a kernel that lets calls be looked at."""
    require(can_listen(), "the kernel has no user notification of seccomp, or forbids it here (Linux 5.0)")


@pytest.fixture
def place(tmp_path):
    folder, kept = tmp_path / "folder", tmp_path / "kept"
    folder.mkdir(), kept.mkdir()
    for name in "abcd":
        (folder / f"{name}.txt").write_text(name)
    (folder / "inner.py").write_text(INNER)
    return Place(folder, kept)


def within(kept: Path, *argv: str) -> tuple[str, ...]:
    """Give the words that run a command as a run within the run that starts them."""
    return (sys.executable, "inner.py", str(kept), *argv)


def run(place: Place, *argv: str) -> Opened:
    ended, opened = place.run(*argv, PYTHONPATH=f"{ROOT}/src")
    assert ended.is_good, place.printed()
    return opened


def of_folder(place: Place, opened: Opened) -> set[str]:
    """Give the names of the text files that were read."""
    return {Path(path).name for path in opened.reads if path.startswith(str(place.folder)) and "txt" in path}


def test_each_run_has_what_its_own_tree_read(place):
    inside = place.kept / "inside"
    script = (
        'import subprocess as s, sys; open("a.txt"); s.run(sys.argv[1:], check=True); s.run(["cat", "d.txt"])'
    )
    inner = "cat b.txt; (sleep 0.3; cat c.txt) & wait"
    opened = run(place, sys.executable, "-c", script, *within(inside, "sh", "-c", inner))
    own = read_opened(inside / "opened.jsonl")
    assert of_folder(place, own) == {"b.txt", "c.txt"}
    assert of_folder(place, opened) == {"a.txt", "b.txt", "c.txt", "d.txt"}
    assert own.is_whole, "the record of a run within is as complete as any"
    assert opened.is_whole
    assert any(path.endswith("/cat") for path in own.programs)
    assert "ended 0 False True" in place.printed()


def test_what_a_run_reads_again_is_in_both_records(place):
    inside = place.kept / "inside"
    opened = run(place, "sh", "-c", f"cat a.txt; {' '.join(within(inside, 'cat', 'a.txt'))}")
    assert of_folder(place, read_opened(inside / "opened.jsonl")) == {"a.txt"} == of_folder(place, opened)


def test_a_process_that_leaves_its_parent_stays_its_runs_own(place):
    inside = place.kept / "inside"
    script = (
        "import os, time\n"
        "if os.fork(): os._exit(0)\n"
        "os.setsid(); time.sleep(0.3); open('b.txt'); open('made.txt', 'w')"
    )
    (place.folder / "leave.py").write_text(script)
    command = "sh -c '" + sys.executable + " leave.py; sleep 1'"
    run(place, "sh", "-c", f"{' '.join(within(inside))} {command}; cat c.txt")
    own = read_opened(inside / "opened.jsonl")
    assert of_folder(place, own) == {"b.txt"}
    assert {Path(path).name for path in own.made} >= {"made.txt"}


def test_runs_beside_one_another_and_within_one_another_are_told_apart(place):
    one, two, three = (place.kept / name for name in ("one", "two", "three"))
    deep = within(two, *within(three, "cat", "c.txt"))
    beside = " ".join(within(one, "cat", "a.txt"))
    opened = run(place, "sh", "-c", f"{beside} & {' '.join(deep)} & wait; cat b.txt")
    found = [read_opened(kept / "opened.jsonl") for kept in (one, two, three)]
    assert [of_folder(place, own) for own in found] == [{"a.txt"}, {"c.txt"}, {"c.txt"}]
    assert all(own.is_whole for own in found)
    assert of_folder(place, opened) == {"a.txt", "b.txt", "c.txt"}


def test_a_hermetic_run_within_one_that_is_not_is_refused_what_it_does_not_declare(place):
    inside = place.kept / "inside"
    borders = Borders(
        tree=place.folder,
        commit=frozenset({"a.txt", "b.txt", "run.sh"}),
        declared=("a.txt", "run.sh"),
        environment=(sys.base_prefix, sys.prefix, str(ROOT), str(inside)),
        began_at_ns=2**62,
    )
    folders = {"readable": ["/"], "writable": ["/"], "folders": [str(inside)]}
    policy = {"borders": borders.as_document(), "network": False, "addresses": [], **folders}
    (place.kept / "policy.json").write_text(json.dumps(policy))
    datagram = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM)"
    (place.folder / "run.sh").write_text(f"cat a.txt; cat b.txt; {sys.executable} -S -c '{datagram}'")
    opened = run(place, "sh", "-c", f"{' '.join(within(inside))} sh run.sh; cat b.txt")
    own = read_opened(inside / "opened.jsonl")
    assert str(place.folder / "b.txt") in own.refused
    assert str(place.folder / "a.txt") not in own.refused
    assert "a socket for datagrams" in own.refused
    assert own.is_whole
    assert not opened.refused, "the run around it is held to nothing"
    assert place.printed().rstrip().endswith("b"), "and reads what the one within was not given"


def test_a_killed_run_within_leaves_the_one_around_it_going(place):
    inside = place.kept / "inside"
    wait = f"import time; print('ready', flush=True); time.sleep(60); open({str(place.folder / 'b.txt')!r})"
    line = " ".join([*within(inside, sys.executable, "-c"), f'"{wait}"'])
    process = place.start("sh", "-c", f"{line}; cat c.txt", PYTHONPATH=f"{ROOT}/src")
    wait_for(lambda: (inside / "pid").exists() and "ready" in place.printed(), "the run within is ready")
    command = int((inside / "pid").read_text())
    os.kill(parent(command), signal.SIGKILL)
    ended = place.end(process)
    assert ended.is_good
    assert not is_alive(command)
    assert "ended None False False" in place.printed(), "its supervisor was killed, and it says so"
    assert not read_opened(inside / "opened.jsonl").is_whole, "nobody said that its tree had ended"
    opened = read_opened(place.record)
    assert opened.is_whole
    assert of_folder(place, opened) == {"c.txt"}


@pytest.mark.parametrize("what", ["recorder", "supervisor"])
def test_a_killed_run_around_takes_the_one_within_with_it(place, what):
    inside = place.kept / "inside"
    line = within(inside, sys.executable, "-c", "import time; print('ready', flush=True); time.sleep(60)")
    process = place.start(*line, PYTHONPATH=f"{ROOT}/src")
    wait_for(lambda: (inside / "pid").exists() and "ready" in place.printed(), "the run within is ready")
    command = int((inside / "pid").read_text())
    (recorder,) = recorders(place.kept)
    os.kill(recorder if what == "recorder" else parent(process.pid), signal.SIGKILL)
    ended = place.end(process)
    assert ended.is_recorder_lost == (what == "recorder")
    wait_for(lambda: not (is_alive(command) or recorders(place.kept)), "all of it is gone")
    assert not read_opened(inside / "opened.jsonl").is_whole


def test_without_a_run_around_nobody_hears(tmp_path):
    assert not nested.say("attach", 0, -1)
    assert not nested.say("end")


def test_nonsense_is_not_heard_and_no_harm(place):
    code = (
        "import os\nfrom relive.capture.recorder.nested import say\n"
        "for words in (('attach',), ('attach', 'x', 'y'), ('attach', 99, -1), ('attach', 1, 98), ('end',),\n"
        "              ('',), ('attach', 2**70, -1)):\n"
        "    print(words, say(*words), flush=True)\n"
        "    assert not say(*words), words\n"
        "open('a.txt')"
    )
    opened = run(place, sys.executable, "-c", code)
    assert opened.is_whole
    assert of_folder(place, opened) == {"a.txt"}


def test_a_run_within_writes_with_its_own_rights(place):
    """What it hands over is what it has open itself: a descriptor to read from takes no lines."""
    code = (
        "import os\nfrom relive.capture.recorder.nested import say\n"
        "print(say('attach', os.open('a.txt', os.O_RDONLY), -1)); open('b.txt')\n"
        "print(os.fork() or open('c.txt').read())"
    )
    run(place, sys.executable, "-c", code)
    assert (place.folder / "a.txt").read_text() == "a"
