"""Scripts of their own that log to a real hub over HTTP: with it, without it, killed in the middle."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from relive.client.hub import HubClient
from relive.client.shipping import ship
from relive.client.transport import Transport
from relive.core.run import RunStatus
from relive.formats.spool import read_spool
from tests.support.fake_hub import wait_for
from tests.support.scripts import HEAD, only


def test_a_script_reaches_the_hub_with_all_it_logged(hub, script):
    done = script.run(
        HEAD
        + "for i in range(5): relive.log({'loss': 1 / (i + 1)})\n"
        + "relive.config.seed = 3\n"
        + "open('model.txt', 'w').write('weights')\nrelive.log_artifact('model.txt')\n"
        + "relive.step([1.0], loss=0.5)\nrelive.finish()\n"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    state = only(hub)
    assert state.created is not None
    assert (state.created.project, state.created.name) == ("digits", "first")
    assert "-c" in state.created.command
    assert [it.value for it in state.metrics] == [1 / (i + 1) for i in range(5)]
    assert state.params == {"lr": 0.1, "seed": 3}
    assert state.report.status == RunStatus.FINISHED
    assert state.report.trajectory
    (artifact,) = state.report.artifacts
    assert hub.tree(artifact.manifest) == {"model.txt": b"weights"}
    assert script.waiting() == []


@pytest.mark.parametrize(
    ("ending", "code", "status"),
    [
        ("", 0, RunStatus.FINISHED),
        ("1 / 0\n", 1, RunStatus.FAILED),
        ("import os; os._exit(3)\n", 3, None),
    ],
)
def test_a_script_that_does_not_finish_its_run_is_ended_as_it_ended(hub, script, ending, code, status):
    (script.folder / "a.txt").write_text("a")
    (script.folder / "b.txt").write_text("b")
    done = script.run(HEAD + "relive.log({'x': 1})\nrelive.log_artifact('.', name='all')\n" + ending)
    assert done.returncode == code
    if status is None:
        (waiting,) = script.waiting()
        ship(HubClient(Transport(hub.url)), waiting)
        status = RunStatus.KILLED
    state = next(state for state in hub.jobs.values() if state.report is not None)
    assert state.report.status == status
    assert [it.key for it in state.metrics] == ["x"]


def test_without_a_hub_nothing_waits_nothing_raises_and_nothing_is_lost(hub, script):
    hub.go_away()
    done = script.run(HEAD + "for i in range(100): relive.log({'i': i})\nrelive.finish()\nprint('trained')\n")
    assert (done.returncode, done.stdout) == (0, "trained\n")
    assert "does not answer" in done.stderr
    assert "`relive sync` sends them" in done.stderr
    (waiting,) = script.waiting()
    hub.come_back()
    assert ship(HubClient(Transport(hub.url)), waiting).finished
    assert [it.value for it in only(hub).metrics] == list(range(100))
    assert only(hub).report.status == RunStatus.FINISHED


def test_without_any_known_hub_it_is_the_same(script):
    del script.env["RELIVE_HUB"]
    done = script.run(HEAD + "relive.log({'x': 1})\nrelive.finish()\nprint('trained')\n")
    assert (done.returncode, done.stdout) == (0, "trained\n")
    assert "No hub is known on this machine" in done.stderr
    assert len(script.waiting()) == 1


def test_a_hub_that_comes_back_gets_what_was_logged_meanwhile(hub, script):
    hub.go_away()
    child = script.start(HEAD + "relive.log({'i': 0})\nprint('on', flush=True)\ninput()\nrelive.finish()\n")
    assert child.stdout is not None
    assert child.stdout.readline() == "on\n"
    hub.come_back()
    wait_for(lambda: hub.jobs and only(hub).metrics, "the record arrives", timeout_s=120)
    child.communicate("\n", timeout=120)
    assert child.returncode == 0
    assert only(hub).report.status == RunStatus.FINISHED
    assert script.waiting() == []


def test_kill_9_keeps_everything_that_was_logged_before(hub, script):
    hub.go_away()
    child = script.start(
        HEAD + "for i in range(1000): relive.log({'i': i}, step=i)\nprint('logged', flush=True)\ninput()\n"
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "logged\n"
    child.kill()
    child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL
    (waiting,) = script.waiting()
    hub.come_back()
    assert ship(HubClient(Transport(hub.url)), waiting).finished
    state = only(hub)
    assert [it.step for it in state.metrics] == list(range(1000))
    assert state.report.status == RunStatus.KILLED
    assert state.params == {"lr": 0.1}


def test_a_hub_that_refuses_is_named_once_and_the_script_goes_on(hub, script):
    hub.tokens = {"another"}
    done = script.run(HEAD + "for i in range(3): relive.log({'i': i})\nrelive.finish()\nprint('trained')\n")
    assert (done.returncode, done.stdout) == (0, "trained\n")
    assert done.stderr.count("cannot be sent") == 1
    assert len(script.waiting()) == 1


def test_a_forked_worker_that_ends_does_not_end_the_run(hub, script):
    done = script.run(
        HEAD + "import os, sys\npid = os.fork()\n"
        "if pid == 0:\n    relive.log({'child': 1}); sys.exit(0)\n"
        "os.waitpid(pid, 0)\nrelive.log({'parent': 1})\nrelive.finish()\n"
    )
    assert done.returncode == 0, done.stderr
    state = only(hub)
    assert sorted(it.key for it in state.metrics) == ["child", "parent"]
    assert state.report.status == RunStatus.FINISHED


def test_two_runs_one_after_the_other(hub, script):
    done = script.run(
        "import relive\n"
        "for name in ('a', 'b'):\n"
        "    with relive.init(project='p', config={'name': name}, name=name) as run: run.log({'x': 1})\n"
        "    relive.finish()\n"
    )
    assert done.returncode == 0, done.stderr
    assert [state.params for state in hub.jobs.values()] == [{"name": "a"}, {"name": "b"}]
    assert all(state.report.status == RunStatus.FINISHED for state in hub.jobs.values())


def test_a_project_that_has_no_name_gets_one_that_fits(hub, script):
    done = script.run("import relive\nrelive.init(project='my project!').log({'x': 1})\nrelive.finish()\n")
    assert "cannot be a project's name" in done.stderr
    created = only(hub).created
    assert created is not None
    assert created.project == "my-project-"


def test_logging_without_init_opens_a_run_named_by_the_folder(hub, script):
    script.run("import relive\nrelive.log({'x': 1})\n")
    created = only(hub).created
    assert created is not None
    assert created.project == "digits"


def test_a_place_that_cannot_be_written_is_said_and_the_script_goes_on(script):
    script.home.write_text("a file where the folder should be")
    done = script.run(HEAD + "relive.log({'x': 1})\nrelive.finish()\nprint('trained')\n")
    assert (done.returncode, done.stdout) == (0, "trained\n")
    assert "nothing is recorded" in done.stderr


def test_a_long_run_says_that_it_lives(hub, script):
    child = script.start(
        "import relive.client.sender as r\nr.HEARTBEAT_EVERY_S = 0.1\nr.SEND_EVERY_S = 0.1\n"
        + HEAD
        + "input()\nrelive.finish()\n"
    )
    wait_for(lambda: hub.jobs and only(hub).heartbeats >= 2, "heartbeats", timeout_s=120)
    child.communicate("\n", timeout=120)
    assert only(hub).report.status == RunStatus.FINISHED


def test_the_example_of_the_reference_page_does_what_it_says(hub, script):
    page = (Path(__file__).parents[3] / "docs/reference/python.md").read_text()
    example = page.split("```python\n")[1].split("```")[0]
    done = script.run(example)
    assert done.returncode == 0, done.stderr
    state = only(hub)
    assert [(it.key, it.step) for it in state.metrics] == [("loss", 0), ("loss", 1), ("loss", 2)]
    assert state.params == {"lr": 0.1}
    assert [it.path for it in state.report.artifacts] == ["model.txt"]
    assert script.waiting() == []


class TestFace:
    """`import relive`: what it offers and what it costs."""

    def python(self, code: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
        )
        return done.stdout

    def test_every_promised_name_can_be_had(self):
        said = self.python(
            "import relive, json\n"
            "print(json.dumps({name: type(getattr(relive, name)).__name__ for name in relive.__all__}))"
        )
        assert json.loads(said) == {
            **dict.fromkeys(["Audio", "File", "Histogram", "Image", "Plot", "Table", "Text"], "type"),
            **dict.fromkeys(["Client", "Run"], "type"),
            "__version__": "str",
            **dict.fromkeys(["config", "summary"], "Config"),
            **dict.fromkeys(
                ["connect", "dataset", "finish", "init", "log", "log_artifact", "step"], "function"
            ),
            "use_dataset": "function",
        }

    def test_names_are_imported_on_first_use_only(self):
        said = self.python(
            "import sys, relive\nbefore = 'relive.client.run' in sys.modules\n"
            "relive.log\nprint(before, 'relive.client.run' in sys.modules, 'urllib3' in sys.modules)"
        )
        assert said.split() == ["False", "True", "False"]

    def test_using_init_stays_light(self):
        said = self.python(
            "import sys; before = set(sys.modules)\nimport relive\nrelive.init\nrelive.config\n"
            "print(len(set(sys.modules) - before))"
        )
        assert int(said) < 200

    def test_what_does_not_exist_says_so(self):
        said = self.python(
            "import relive\ntry: relive.absent\nexcept AttributeError as error: print(error)\n"
            "print(callable(relive.dataset), callable(relive.use_dataset))"
        )
        assert said.splitlines() == ["module 'relive' has no attribute 'absent'", "True True"]

    def test_logging_writes_without_a_system_call_and_needs_no_hub(self, tmp_path):
        said = self.python(
            "import os, sys\n"
            f"os.environ['RELIVE_SPOOL_DIR'] = {str(tmp_path)!r}\n"
            "import relive\nrelive.log({'first': 0})\n"  # begins the file
            "writes = []\nreal = os.write\n"
            "os.write = lambda fd, data: writes.append(len(data)) or real(fd, data)\n"
            "for _ in range(100): relive.log({f'm{i}': i for i in range(20)})\n"
            "print(len(writes), 'urllib3' in sys.modules)"
        )
        assert said.split() == ["0", "False"]
        assert len(read_spool(tmp_path).metrics) == 2001
