"""A real hub as its own process, a real repository, and what a person would type."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from relive.client.hub import HubClient, connect
from relive.client.transport import Transport
from relive.errors import HubUnreachable

PATIENCE_S = 120.0


def wait_for(what: Callable[[], Any], *, timeout_s: float = PATIENCE_S, every_s: float = 0.1) -> Any:
    """Give the first true value of `what`; fail if none comes in time."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        value = what()
        if value:
            return value
        time.sleep(every_s)
    raise AssertionError(f"nothing came within {timeout_s} s")


def free_port() -> int:
    """Give a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class RealHub:
    """One hub under test; may be killed and started again on the same data."""

    home: Path
    options: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Give its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def env(self) -> dict[str, str]:
        """Give the environment of everything that belongs to it."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("RELIVE_", "GIT_", "COV_"))}
        identity = {
            "GIT_AUTHOR_NAME": "Ada",
            "GIT_AUTHOR_EMAIL": "ada@example.org",
            "GIT_COMMITTER_NAME": "Ada",
            "GIT_COMMITTER_EMAIL": "ada@example.org",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_TERMINAL_PROMPT": "0",
        }
        return inherited | identity | {"RELIVE_HOME": str(self.home)} | self.variables

    def start(self, *program: str) -> None:
        """Start it and wait until it answers; `program` runs in the place of `-m relive.cli`."""
        self.home.mkdir(parents=True, exist_ok=True)
        with open(self.home / "hub.log", "ab") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    *(program or ("-m", "relive.cli")),
                    "up",
                    *("--port", str(self.port), *self.options),
                ],
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_for(self._answers)

    def kill(self) -> None:
        """Kill it as a power cut would: no handler runs. What it started lives on."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """End it in order."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def client(self, *, retry_for_s: float = 30.0) -> HubClient:
        """Give a client with the admin's token."""
        tokens = json.loads((self.home / "tokens.json").read_text())["tokens"]
        return connect(self.address, tokens[self.address], retry_for_s=retry_for_s)

    def relive(
        self, *args: str, folder: Path | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a relive command."""
        done = subprocess.run(
            [sys.executable, "-m", "relive.cli", *args],
            env=self.env,
            cwd=folder or self.home,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S * 2,
            check=False,
        )
        assert not check or done.returncode == 0, f"{args}: {done.stdout}{done.stderr}"
        return done

    def log(self) -> str:
        """Give what it wrote to its log."""
        return (self.home / "hub.log").read_text(errors="replace")

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the hub ended: {self.log()[-3000:]}"
        try:
            Transport(self.address).get("/health", dict[str, str])
        except HubUnreachable:
            return False
        return True


@dataclass
class Repository:
    """A person's repository."""

    hub: RealHub
    folder: Path

    def git(self, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run git in it."""
        done = subprocess.run(
            ["git", *args],
            cwd=self.folder,
            env=self.hub.env,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S * 3,
            check=False,
        )
        assert not check or done.returncode == 0, f"git {args}: {done.stdout}{done.stderr}"
        return done

    def commit(self, files: dict[str, str], message: str = "change") -> str:
        """Write files and commit them; gives the commit."""
        for path, text in files.items():
            target = self.folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD").stdout.strip()

    def push(self, *args: str, check: bool = True) -> str:
        """Push and give what the hub said."""
        return self.git("push", *args, "relive", "main", check=check).stderr

    def pipeline(self, number: int) -> Any:
        """Give a pipeline of it with its stages, once it was planned."""
        return self.hub.client().get_pipeline(f"{self.folder.name}:{number}")


def make_repository(hub: RealHub, folder: Path, files: dict[str, str]) -> Repository:
    """Make a repository with one commit that knows the hub."""
    folder.mkdir(parents=True)
    repository = Repository(hub, folder)
    repository.git("init", "--quiet", "--initial-branch=main")
    repository.commit(files, "first")
    hub.relive("init", str(folder))
    return repository


@contextmanager
def running_hub(
    home: Path, *options: str, program: tuple[str, ...] = (), **variables: str
) -> Iterator[RealHub]:
    """Run a hub in a folder, and leave no process of it behind; `program` as for `RealHub.start`."""
    # The runner's cache is this test's own: what one test built must not save another's work.
    hub = RealHub(home, options, {"RELIVE_CACHE": str(home / "cache"), **variables})
    try:
        hub.start(*program)
        yield hub
    finally:
        _end_jobs(home)
        hub.stop()
        _end_jobs(home)


def _end_jobs(home: Path) -> None:
    """End what outlives a hub: runners, serve jobs, the router; found by the folder they work in."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            environ = (entry / "environ").read_bytes().split(b"\0")
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue  # it ended, or is not ours
        ours = f"RELIVE_HOME={home}".encode() in environ
        if ours and b"relive.cli" not in command:
            try:
                os.kill(int(entry.name), signal.SIGTERM)
            except ProcessLookupError:
                continue
