"""Runner processes as an executor starts them, for tests."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from relive.core.recipe import EnvironmentLock
from relive.formats.locks import lock_bytes
from relive.runner.environment.interpreters import own_interpreter
from relive.wire.jobs import StageReport, Work
from tests.support.fake_hub import FakeHub

ENDS_WITHIN_S = 120.0


@dataclass
class Jobs:
    """Starts runners in folders of their own, with one cache for all of them.

    Attributes:
        settings: Of relive, for the runners.
    """

    hub: FakeHub
    folder: Path
    cache: Path
    settings: dict[str, str] = field(default_factory=dict)

    def start(self, job_id: str, *, fence: int = 1) -> "subprocess.Popen[bytes]":
        """Start a runner for a job; the caller waits for it."""
        home = self.folder / job_id
        home.mkdir(parents=True, exist_ok=True)
        variables = {name: value for name, value in os.environ.items() if not name.startswith("RELIVE_")}
        variables |= {
            "RELIVE_HOME": str(self.folder / "home"),
            "RELIVE_CACHE": str(self.cache),
            "RELIVE_ROOM_S": "5",
            "PIP_NO_INDEX": "1",
            "PIP_CONFIG_FILE": os.devnull,
        } | self.settings
        with open(home / "runner.log", "ab") as log:
            runner = subprocess.Popen(
                [sys.executable, "-P", "-m", "relive.runner"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=home,
                env=variables,
                start_new_session=True,
            )
        assert runner.stdin is not None
        line = {"hub": self.hub.url, "job": job_id, "fence": fence, "token": "runner-token"}
        with runner.stdin as stdin:
            stdin.write(json.dumps(line).encode() + b"\n")
        return runner

    @contextmanager
    def running(self, job_id: str, *, fence: int = 1) -> Iterator["subprocess.Popen[bytes]"]:
        """Give a runner that is killed, with its session, if it outlives the block."""
        runner = self.start(job_id, fence=fence)
        try:
            yield runner
        finally:
            if runner.poll() is None:
                os.killpg(runner.pid, signal.SIGKILL)
            runner.wait()

    def do(self, work: Work, **state: object) -> str:
        """Do work to its end, and give its job's id."""
        job_id = self.hub.add_job(work, **state)
        with self.running(job_id) as runner:
            runner.wait(ENDS_WITHIN_S)
        return job_id

    def report(self, work: Work, **state: object) -> StageReport:
        """Do a stage's work, and give its report."""
        job_id = self.do(work, **state)
        assert self.hub.jobs[job_id].report is not None, self.log_of(job_id)
        return self.hub.stage_report(job_id)

    def log_of(self, job_id: str) -> str:
        """Give what a runner itself said."""
        return (self.folder / job_id / "runner.log").read_text(errors="replace")

    def left_over(self, job_id: str) -> list[str]:
        """Name what a runner left in its folder."""
        return sorted(path.name for path in (self.folder / job_id).iterdir() if path.name != "runner.log")


def empty_environment(hub: FakeHub) -> str:
    """Store the lock of an environment that is the running interpreter alone."""
    own = own_interpreter()
    lock = EnvironmentLock(
        python=own.version,
        implementation=own.implementation,
        platform=own.platform,
        source="",
        packages=(),
    )
    return hub.put(lock_bytes(lock))
