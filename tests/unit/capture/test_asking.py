"""What the program's own code asks for is noted once: variables by name, and files with their line."""

import os
import subprocess
import sys

import pytest

from relive.capture.agent import agent_environment
from relive.capture.secrets import MASK, recorded_variables


def asked(record, script: str) -> set[str]:
    done = record(script)
    assert done.returncode == 0, done.stderr
    return set(done.spool.asked)


@pytest.mark.parametrize(
    "look",
    [
        "os.environ['A_NAME']",
        "os.environ.get('A_NAME')",
        "os.getenv('A_NAME', 'x')",
        "'A_NAME' in os.environ",
        "os.environ.setdefault('A_NAME', '1')",
        "os.environ.pop('A_NAME', None)",
        "next(v for k, v in os.environ.items() if 0) if 0 else os.environ.get('A_NAME')",
    ],
)
def test_a_variable_that_is_looked_up_is_noted_set_or_not(record, look):
    script = f"import os\ntry:\n    {look}\nexcept KeyError:\n    pass\n"
    assert asked(record, script) == {"A_NAME"}


@pytest.mark.parametrize(
    "copy",
    [
        "dict(os.environ)",
        "{**os.environ, 'B': '1'}",
        "os.environ.copy()",
        "{k: v for k, v in os.environ.items()}",
        "list(os.environ)",
        "import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', ''], env={**os.environ})",
        "import json, logging, tempfile, multiprocessing; tempfile.gettempdir()",
    ],
)
def test_to_copy_them_all_or_to_use_a_library_asks_for_none(record, copy):
    assert asked(record, f"import os\n{copy}\n") == set()


def test_what_a_program_sees_of_its_variables_stays_what_it_was(agent, spool_folder):
    code = (
        "import os, copy; e = os.environ; e['X'] = '1'; assert 'X' in e and e.get('X') == '1'; del e['X'];"
        "print(type(e), isinstance(e, os._Environ), len(e) == len(list(e)), repr(e)[:8],"
        "sorted(e.keys()) == sorted(dict(e)), copy.copy(e) == e, e | {} == dict(e))"
    )
    plain = dict(os.environ)
    command = [sys.executable, "-c", code]
    alone = subprocess.run(command, env=plain, capture_output=True, text=True, check=True)
    seen = subprocess.run(
        command,
        env=agent_environment(agent, spool_folder, plain),
        capture_output=True,
        text=True,
        check=True,
    )
    assert seen.stdout == alone.stdout


def test_a_file_is_noted_with_the_line_that_opens_it_first(record, tmp_path):
    (tmp_path / "rows.csv").write_text("1\n")
    done = record(
        "import csv\n\nrows = list(csv.reader(open('rows.csv')))\nopen('rows.csv').close()\nimport json\n"
    )
    assert done.returncode == 0, done.stderr
    (path,) = [path for path in done.spool.lines if path.endswith("rows.csv")]
    assert done.spool.lines[path].endswith("script.py:3")
    assert not [path for path in done.spool.lines if path.endswith((".py", ".pyc"))]


def test_a_file_that_a_library_opens_has_the_line_of_who_called_it(record, tmp_path):
    (tmp_path / "a.json").write_text("{}")
    done = record("import pathlib\ndef load():\n    return pathlib.Path('a.json').read_text()\nload()\n")
    (line,) = [line for path, line in done.spool.lines.items() if path.endswith("a.json")]
    assert line.endswith("script.py:3")


def test_odd_names_and_a_flood_of_them_break_nothing(record):
    script = """
import os
for name in ("", "x" * 5000, "with space", "\\u00e9"):
    os.environ.get(name)
for number in range(5000):
    os.environ.get(f"N{number}")
for path in (b"none", 3000, "no\\0", ""):
    try:
        open(path)
    except (OSError, ValueError):
        pass
print("done")
"""
    done = record(script)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    assert {"with space", "\u00e9", "N0"} <= done.spool.asked
    assert len(done.spool.asked) == 2000
    assert done.spool.damaged == 0


def test_the_value_of_what_is_asked_for_is_kept_if_it_is_plain():
    given = {
        "EPOCHS": "12",
        "LR": "1e-3",
        "OPTIMIZER": "adam",
        "DB": "hunter2!",
        "API_KEY": "abc",
        "EMPTY": "",
    }
    given |= {"PLACE": "/srv/data", "HOME": "x", "RELIVE_RUN_ID": "1", "OMP_NUM_THREADS": "2", "OTHER": "1"}
    names = set(given) - {"OTHER"}
    assert recorded_variables(given, names) == {
        "API_KEY": MASK,
        "DB": MASK,
        "EMPTY": "",
        "EPOCHS": "12",
        "LR": "1e-3",
        "OMP_NUM_THREADS": "2",
        "OPTIMIZER": "adam",
    }


@pytest.mark.parametrize(
    "change",
    [
        "os.environ = dict(os.environ)",
        "class Mine(dict): pass\nos.environ = Mine(os.environ)",
        "import copy; os.environ = copy.deepcopy(os.environ)",
        "class Mine(type(os.environ)): pass\nos.environ.__class__ = Mine",
        "os.environ.clear()",
        "del os.environ",
        "saved = dict(os.environ); os.environ.clear(); os.environ.update(saved)",
    ],
)
def test_a_program_that_changes_what_stands_for_its_variables_runs_as_ever(record, change):
    script = f"import os\n{change}\nos.environ = getattr(os, 'environ', {{}})\nos.environ['NEW'] = '1'\n"
    done = record(f"{script}assert os.environ['NEW'] == '1'\nprint('done')\n")
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    assert done.spool.damaged == 0
    assert not [note for note in done.spool.notes if "Error" in note]


@pytest.mark.parametrize(
    "copied",
    ["copy.copy(os.environ)", "copy.deepcopy(os.environ)", "pickle.loads(pickle.dumps(dict(os.environ)))"],
)
def test_copies_hold_the_same_and_what_cannot_be_pickled_cannot_be_still(agent, spool_folder, copied):
    code = (
        f"import copy, os, pickle; it = {copied}; print(type(it).__name__, dict(it) == dict(os.environ))\n"
        "try: pickle.dumps(os.environ); print('pickled')\n"
        "except Exception as error: print(type(error).__name__)"
    )
    command = [sys.executable, "-c", code]
    said = [
        subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
        for env in (dict(os.environ), agent_environment(agent, spool_folder, dict(os.environ)))
    ]
    assert said[0] == said[1]
    assert "True" in said[0]


def test_children_of_a_program_get_its_variables_however_they_are_started(record):
    script = """
import multiprocessing, os, subprocess, sys
def ask(_): return os.environ["SET_HERE"]
if __name__ == "__main__":
    os.environ["SET_HERE"] = "1"
    for kind in ("fork", "spawn"):
        with multiprocessing.get_context(kind).Pool(1) as pool:
            assert pool.map(ask, [0]) == ["1"]
    code = "import os; print(os.environ['SET_HERE'])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "1\\n"
    assert os.popen("echo $SET_HERE").read() == "1\\n"
"""
    done = record(script)
    assert done.returncode == 0, done.stderr
    assert "SET_HERE" in done.spool.asked


def test_a_copy_is_of_the_class_that_everybody_knows_and_is_not_watched(record):
    script = """
import copy, os
known = type(os.environ).__mro__[1]
for copied in (copy.copy(os.environ), copy.deepcopy(os.environ)):
    assert type(copied) is known
    copied.get("ONLY_IN_A_COPY")
os.environ.get("IN_ITSELF")
"""
    assert asked(record, script) == {"IN_ITSELF"}
