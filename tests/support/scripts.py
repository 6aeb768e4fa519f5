"""Scripts of their own that log to a hub: started as a person would start them, in a folder with a home."""

import os
import subprocess
import sys
from pathlib import Path

from relive.client.spool import pending
from tests.support.fake_hub import FakeHub, JobState

HEAD = "import relive\nrelive.init(project='digits', config={'lr': 0.1}, name='first')\n"


class Script:
    """A folder in which scripts run, with a home of their own."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.folder.mkdir()
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("RELIVE_")}
        self.env = {**inherited, "RELIVE_HOME": str(self.home), "RELIVE_HUB": url}

    def start(self, code: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-c", code],
            env=self.env,
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, code: str) -> "subprocess.CompletedProcess[str]":
        child = self.start(code)
        out, err = child.communicate(timeout=200)
        return subprocess.CompletedProcess(child.args, child.returncode, out, err)

    def waiting(self) -> list[Path]:
        return pending(self.home / "spool")


def only(hub: FakeHub) -> JobState:
    (state,) = hub.jobs.values()
    return state
