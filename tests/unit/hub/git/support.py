"""A real git client and a real server, for tests of the git remote."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from relive.stores.git import layout

# Far above what anything here takes on a loaded machine.
PATIENCE_S = 90.0
ZERO = "0" * 40


def eventually(check: Callable[[], Any], what: str) -> Any:
    """Wait until `check` gives something true, and give it."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := check()):
        assert time.monotonic() < deadline, f"still not after {PATIENCE_S:.0f} s: {what}"
        time.sleep(0.02)
    return found


def clean_environment(home: Path, **more: str) -> dict[str, str]:
    """Give an environment for a git client that knows nobody's configuration."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
        **more,
    }


@dataclass
class Hub:
    """The server process of `tests.unit.hub.git.server`."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> "Hub":
        """Start it and wait until it listens."""
        (self.folder / "port").unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.unit.hub.git.server", str(self.folder)],
            cwd=Path(__file__).parents[4],
            env={**os.environ, **self.environment},
        )
        eventually((self.folder / "port").exists, "the server listens")
        return self

    def kill(self) -> None:
        """End the server as a power cut would, without its children."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End the server as Ctrl-C would."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(PATIENCE_S)
            self.process = None

    @property
    def port(self) -> int:
        return int((self.folder / "port").read_text())

    def url(self, project: str = "demo", token: str = "member-token") -> str:
        """Give a project's address."""
        return f"http://someone:{token}@127.0.0.1:{self.port}/git/{project}.git"

    def repository(self, project: str = "demo") -> Path:
        """Give a project's bare repository."""
        return self.folder / f"git/{project}.git"

    def git(self, *args: str, project: str = "demo") -> str:
        """Ask git about a project's repository, behind the server's back."""
        done = subprocess.run(
            ["git", f"--git-dir={self.repository(project)}", *args],
            env=clean_environment(self.folder),
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE_S,
        )
        return done.stdout.strip()

    def refs(self, project: str = "demo") -> dict[str, str]:
        """Give all refs with what they hold."""
        lines = self.git("for-each-ref", "--format=%(refname) %(objectname)", project=project).splitlines()
        return dict(line.split(" ") for line in lines)

    def pushes(self, event: str) -> list[dict[str, Any]]:
        """Give what the handler wrote down of this kind."""
        try:
            lines = (self.folder / "pushes").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [facts for facts in map(json.loads, lines) if facts["event"] == event]

    def is_at_rest(self, project: str = "demo") -> bool:
        """Tell whether no git process works on a project any more."""
        with layout.alone(self.repository(project)) as alone:
            return alone


@dataclass
class Client:
    """A repository of somebody who pushes."""

    folder: Path

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")
        self.git("config", "user.name", "Mia")
        self.git("config", "user.email", "mia@example.org")

    def start(self, *args: str) -> "subprocess.Popen[str]":
        """Start git and go on."""
        return subprocess.Popen(
            ["git", *args],
            cwd=self.folder,
            env=clean_environment(self.folder),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )

    def git(self, *args: str, code: int = 0) -> str:
        """Run git and give what it printed, both streams."""
        process = self.start(*args)
        out, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == code, f"git {args} ended with {process.returncode}:\n{out}"
        return out

    def commit(self, text: str = "", name: str = "train.py", data: bytes = b"") -> str:
        """Commit a file and give the commit's id."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data or text.encode())
        self.git("add", "--all")
        self.git("commit", "-q", "-m", text or name)
        return self.git("rev-parse", "HEAD").strip()


def printed(output: str) -> list[str]:
    """Give the lines that the server said, as a git client prints them."""
    return [
        line.removeprefix("remote: ").rstrip() for line in output.splitlines() if line.startswith("remote: ")
    ]


def half_a_push(hub: Hub, client: Client, *, chunked: bool = True) -> socket.socket:
    """Begin a push of the client's HEAD by hand: the ref that is to move, and half of the pack.

    Args:
        chunked: As git sends a pack over 1 MiB; smaller ones are sent with their length.
    """
    commit = client.git("rev-parse", "HEAD").strip()
    pack = subprocess.run(
        ["git", "pack-objects", "--quiet", "--stdout", "--revs"],
        cwd=client.folder,
        input=b"HEAD\n",
        capture_output=True,
        check=True,
        timeout=PATIENCE_S,
    ).stdout
    ref = f"{ZERO} {commit} refs/heads/main\0report-status side-band-64k"
    body = f"{len(ref) + 4:04x}{ref}0000".encode() + pack
    sent = body[: -len(pack) // 2]
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    token = base64.b64encode(b"someone:member-token").decode()
    head = (
        "POST /git/demo.git/git-receive-pack HTTP/1.1\r\nHost: hub\r\n"
        f"Authorization: Basic {token}\r\n{length}\r\n"
        "Content-Type: application/x-git-receive-pack-request\r\n\r\n"
    )
    connection = socket.create_connection(("127.0.0.1", hub.port), timeout=PATIENCE_S)
    connection.sendall(head.encode() + (f"{len(sent):x}\r\n".encode() + sent + b"\r\n" if chunked else sent))
    return connection
