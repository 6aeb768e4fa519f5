"""The observed part of a recipe, put together from a real recorded process."""

import sys
from pathlib import Path

import pytest

from relive.capture.hardware import read_hardware
from relive.capture.observed import Outside, observe
from relive.capture.threads import read_threads
from relive.core.digest import canonical_json
from relive.core.recipe import Uncommitted
from relive.formats.spool import SpoolContents, SpooledProcess
from relive.formats.spool_records import ProcessExit, ProcessStart

NUMPY = """
import numpy as np, random
random.seed(0); np.random.seed({seed})
np.ones((64, 64)) @ np.ones((64, 64))
"""


def test_a_recorded_process_makes_a_full_recipe_part(record):
    done = record(NUMPY.format(seed=0))
    observed = observe(done.spool, {"OMP_NUM_THREADS": "1", "HOME": "/x"}, hardware=read_hardware())
    assert observed.interpreter is not None
    assert observed.interpreter.version == sys.version.split()[0]
    imported = {it.name for it in observed.distributions if it.imported}
    assert "numpy" in imported
    assert "pytest" in {it.name for it in observed.distributions} - imported
    assert any("_multiarray_umath" in it.path and it.build_id for it in observed.libraries)
    assert all(it.build_id or it.sha256 for it in observed.libraries)
    pools = {pool["kind"]: pool for pool in observed.threads}
    assert pools["openblas"]["threads"] == 1
    assert pools["openblas"]["architecture"]
    assert observed.random.keys() == {"python", "numpy"}
    assert observed.variables == {"OMP_NUM_THREADS": "1"}
    assert (observed.completeness, observed.isolation, observed.notes) == ("python-only", "none", ())
    assert canonical_json(observed)


def test_another_seed_shows_in_the_random_state(record):
    one, other = (observe(record(NUMPY.format(seed=seed)).spool, {}) for seed in (0, 1))
    assert one.random["python"] == other.random["python"]
    assert one.random["numpy"] != other.random["numpy"]


def test_a_process_that_was_killed_is_said_to_be_missing(record):
    done = record("import os\nos._exit(0)")
    observed = observe(done.spool, {}, prefix=Path(sys.prefix), outside=Outside(changed=["data/b", "data/a"]))
    assert observed.libraries == ()
    assert len(observed.distributions) > 10
    assert observed.changed == ("data/a", "data/b")
    assert "1 of 1 Python processes ended without a report" in observed.notes[0]


def test_forked_workers_that_leave_without_a_word_are_no_gap(record):
    done = record(
        "import os\nfrom relive_hooks import facade\npid = os.fork()\n"
        "if pid == 0:\n    facade.log({'x': 1}); os._exit(0)\nos.waitpid(pid, 0)\n"
    )
    assert len(done.spool.processes) == 2
    assert observe(done.spool, {}).notes == ()


def test_a_command_that_starts_no_python_is_seen_in_part():
    observed = observe(
        SpoolContents(notes=("with ghp_" + "a1" * 18,), damaged=2),
        {},
        outside=Outside(isolation="bubblewrap"),
    )
    assert (observed.completeness, observed.isolation) == ("partial", "bubblewrap")
    assert observed.interpreter is None
    assert observed.notes == (
        "with ***",
        "No Python process recorded itself: libraries, threads and steps are unknown.",
        "2 records were damaged and are missing.",
    )


def test_thread_pools_are_named_once_and_only_by_known_facts():
    pool = {"library": "libgomp.so.1", "kind": "openmp", "threads": 4, "secret": "x", "architecture": ["y"]}
    start = ProcessStart(format=1, pid=1)
    processes = [
        SpooledProcess(start=start, exit=ProcessExit(threads=(pool, pool, {})), steps=()),
        SpooledProcess(start=start, exit=ProcessExit(threads=({**pool, "threads": 2},)), steps=()),
        SpooledProcess(start=start, exit=None, steps=()),
    ]
    assert read_threads(processes) == (
        {"library": "libgomp.so.1", "kind": "openmp", "threads": 2},
        {"library": "libgomp.so.1", "kind": "openmp", "threads": 4},
    )


def test_what_was_in_no_commit_is_handed_on():
    left = Uncommitted(staged=("a.py",))
    assert observe(SpoolContents(), {}, outside=Outside(uncommitted=left)).uncommitted == left


@pytest.mark.parametrize("unpushed", [True, False])
def test_whether_a_remote_has_the_commit_is_handed_on(unpushed):
    assert observe(SpoolContents(), {}, outside=Outside(unpushed=unpushed)).unpushed is unpushed
