"""`kill -9` of a command that works in a folder of its own: the next one removes what it left."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.hub import RealHub, running_hub, wait_for

TRAIN = """\
import json, os, time
if os.path.exists({flag!r}):
    time.sleep(100)
json.dump({{"a": 1}}, open("m.json", "w"))
"""


@pytest.mark.parametrize("what", ["run", "replay"])
def test_what_a_killed_command_left_goes_with_the_next(tmp_path: Path, what: str) -> None:
    flag, temporary, project = tmp_path / "slow", tmp_path / "tmp", tmp_path / "project"
    for folder in (temporary, project):
        folder.mkdir()
    (project / "train.py").write_text(TRAIN.format(flag=str(flag)))
    (project / "requirements.txt").write_text("")
    options = ("run", "--project", "p", "--metrics", "m.json", "--env", "requirements.txt", "--json")
    recording = (*options, "--", "python", "train.py")
    with running_hub(tmp_path / "home", PIP_NO_INDEX="1", TMPDIR=str(temporary)) as hub:
        run_id = json.loads(hub.relive(*recording, folder=project).stdout)["run_id"]
        command = recording if what == "run" else ("replay", run_id, "--quiet")
        assert folders(temporary) == []
        flag.touch()
        _kill(hub, command, project, temporary)
        flag.unlink()
        assert len(folders(temporary)) == 1
        hub.relive(*command, folder=project)
        assert folders(temporary) == []


def folders(temporary: Path) -> list[str]:
    return sorted(path.name for path in temporary.glob("relive-r*"))


def _kill(hub: RealHub, command: tuple[str, ...], project: Path, temporary: Path) -> None:
    words = [sys.executable, "-m", "relive.cli", *command]
    with subprocess.Popen(words, cwd=project, env=hub.env, stdout=subprocess.DEVNULL) as process:
        try:
            wait_for(lambda: list(temporary.glob("relive-r*/spool/*")))
        finally:
            process.send_signal(signal.SIGKILL)
