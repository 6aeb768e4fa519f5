"""Processes of the serving agent, started for a test and ended with it."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from relive.core.endpoint import Address, parse_address
from relive.serving.probe import Answer, ask
from tests.unit.serving.models import Registered

# Far above what anything here takes on a loaded machine; only a hang runs into it.
DEADLINE_S = 120.0

T = TypeVar("T")


def eventually(what: str, condition: Callable[[], T]) -> T:
    """Ask again and again until the condition holds, and give its value."""
    deadline = time.monotonic() + DEADLINE_S
    while not (value := condition()):
        assert time.monotonic() < deadline, f"did not happen within {DEADLINE_S:g} s: {what}"
        time.sleep(0.02)
    return value


class Process:
    """A started process whose output is kept line by line."""

    def __init__(self, command: list[str], **more: Any) -> None:
        self.lines: list[str] = []
        self.popen = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.popen.stdout is not None
        with self.popen.stdout as pipe:
            for line in pipe:
                self.lines.append(line.rstrip("\n"))

    @property
    def output(self) -> str:
        """All it has printed so far."""
        return "\n".join(self.lines)

    def announced(self) -> Address:
        """Wait for the line that says where it listens."""

        def address() -> str:
            assert self.popen.poll() is None or not self._reader.is_alive(), "still reading"
            said = [line for line in list(self.lines) if line.startswith('{"listening"')]
            assert said or self.popen.poll() is None, f"ended with {self.popen.returncode}:\n{self.output}"
            return json.loads(said[0])["listening"] if said else ""

        return parse_address(eventually("the process says where it listens", address))

    def end(self) -> int:
        """Tell it to stop and wait for its end."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
        try:
            code = self.popen.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            raise
        self._reader.join(DEADLINE_S)
        return code


@contextmanager
def running(command: list[str], **more: Any) -> Iterator[Process]:
    """Run a command for the length of a block."""
    process = Process(command, **more)
    try:
        yield process
    finally:
        process.end()


def serve_command(registered: Registered, *listen: str, name: str = "iris", version: str = "1") -> list[str]:
    """Give the command line that serves a registered model."""
    return [
        *(sys.executable, "-m", "relive.serving", "serve"),
        *("--model", str(registered.model), "--signature", str(registered.contract / "signature.json")),
        *("--loader", registered.loader, "--code", registered.code),
        *("--name", name, "--version", version, *listen),
    ]


def router_command(table: Path, *more: str) -> list[str]:
    """Give the command line that routes by a table, on any free port."""
    return [sys.executable, "-m", "relive.serving.router", "--table", str(table), "--port", "0", *more]


def get(address: Address, path: str) -> Answer:
    """Send a GET request."""
    return ask(address, "GET", path, timeout_s=DEADLINE_S)


def post(address: Address, path: str, content: Any) -> Answer:
    """Send JSON, or bytes as they are, in a POST request."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return ask(address, "POST", path, body=body, timeout_s=DEADLINE_S)


def connect(address: Address) -> socket.socket:
    """Open a bare connection."""
    if address.path:
        plain = socket.socket(socket.AF_UNIX)
        plain.settimeout(DEADLINE_S)
        plain.connect(address.path)
        return plain
    return socket.create_connection((address.host, address.port), timeout=DEADLINE_S)


def read_all(plain: socket.socket) -> bytes:
    """Read until the other side closes."""
    received = b""
    while data := plain.recv(65536):
        received += data
    return received


def answer_on(plain: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Read one answer from a bare connection, leaving it open."""
    response = http.client.HTTPResponse(plain)
    try:
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return response.status, headers, response.read()
    finally:
        response.close()


def is_alive(pid: int) -> bool:
    """Tell whether a process exists and is no zombie."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
