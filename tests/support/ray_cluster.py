"""A real Ray cluster for tests, in network and process namespaces of its own.

Ray listens on every address of its machine and its tools end every Ray of it. In a network namespace with
nothing but loopback all is on 127.0.0.1; in a process namespace all ends with the first process. The test
itself enters the network: what it starts there, a hub above all, is on the same 127.0.0.1.
"""

import ctypes
import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from relive.executors.ray_dashboard import Dashboard
from tests.conftest import require
from tests.e2e.hub import wait_for

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-ray/bin/python"

_CLONE_NEWNET = 0x40000000
# The shell stays, as the namespace's first process it waits for those whose parents have died.
_BEGIN = 'ip link set lo up && "$@"; exit $?'
_PORT = 8265
_LEAST = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # No worker before there is work for it: each costs a second of the processor.
    "RAY_enable_worker_prestart": "0",
    "RAY_prestart_worker_first_driver": "0",
    "RAY_DEDUP_LOGS": "0",
}


@dataclass
class RayCluster:
    """A running cluster; its nodes are processes of this machine.

    Attributes:
        address: Of its dashboard, from inside its network.
        token_file: Holds the token that it asks for.
        python: The interpreter that its jobs are to run on.
    """

    folder: Path
    process: "subprocess.Popen[str]"
    nodes: list[str] = field(default_factory=list)
    address: str = f"http://127.0.0.1:{_PORT}"
    python: str = str(PYTHON)

    @property
    def token_file(self) -> Path:
        """Where its token lies."""
        return self.folder / "token"

    @property
    def config(self) -> dict[str, str]:
        """Give the config of a pool on it."""
        return {"address": self.address, "token_file": str(self.token_file), "python": self.python}

    def ask(self, do: str, **options: Any) -> dict[str, Any]:
        """Tell the driver to do something, and wait for it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": do, **options}) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, f"Ray's driver ended: {self.log()[-3000:]}"
        found: dict[str, Any] = json.loads(answer)
        return found

    def add_node(self, cpus: int) -> str:
        """Add a node, and give its id."""
        self.nodes.append(self.ask("add", cpus=cpus)["node"])
        return self.nodes[-1]

    def kill_node(self, node: str) -> None:
        """Kill all processes of a node."""
        self.ask("kill", node=node)
        self.nodes.remove(node)

    def job(self, job_id: str, fence: int = 1) -> dict[str, Any]:
        """Ask the cluster about one of relive's jobs; empty if it does not know it."""
        dashboard = Dashboard(self.address, str(self.token_file))
        return dashboard.get(f"/api/jobs/relive-{job_id}-{fence}", dict[str, Any]) or {}

    def resources(self, job_id: str, fence: int = 1) -> dict[str, float]:
        """Give what one of relive's jobs asked the cluster for."""
        dashboard = Dashboard(self.address, str(self.token_file))
        found = dashboard.get("/api/v0/actors?detail=1&limit=1000", dict[str, Any])
        assert found is not None
        name = f"_ray_internal_job_actor_relive-{job_id}-{fence}"
        (actor,) = [it for it in found["data"]["result"]["result"] if it["name"] == name]
        asked: dict[str, float] = actor["required_resources"]
        return asked

    def log(self) -> str:
        """Give what the driver printed."""
        return (self.folder / "log").read_text(errors="replace")

    def processes(self, text: str, file: str = "cmdline") -> list[int]:
        """Give the cluster's processes with a text in a file of theirs in /proc, by their ids out here."""
        return [pid for pid in inside(self.process.pid) if text.encode() in _read(pid, file)]

    @contextmanager
    def frozen_dashboard(self) -> Iterator[None]:
        """Let the dashboard take connections and answer nothing, as a machine does that is overloaded."""
        found = self.processes("dashboard/dashboard.py")
        assert found
        for pid in found:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in found:
                os.kill(pid, signal.SIGCONT)


@contextmanager
def running_cluster(
    *, head_cpus: int, node_cpus: tuple[int, ...] = (), **variables: str
) -> Iterator[RayCluster]:
    """Run a cluster, and enter its network meanwhile.

    Args:
        head_cpus: What the head offers to jobs.
        node_cpus: What each further node offers.
        variables: Of the environment of every machine of the cluster.
    """
    require((ROOT / ".venv-ray/.relive-ready").exists(), "Ray is not installed: make ray-env")
    require(os.geteuid() == 0, "Ray's tests need root: they run it in namespaces of its own")
    # Short, because the paths of sockets are.
    folder = Path(tempfile.mkdtemp(prefix="r-"))
    (folder / "token").write_text(secrets.token_hex(32))
    for name in ("tmp", "home"):
        (folder / name).mkdir()
    try:
        with open(folder / "log", "w") as log:
            process = _start(folder, log.fileno(), variables)
        with process:
            cluster = RayCluster(folder, process)
            try:
                cluster.ask("start", cpus=head_cpus, port=_PORT)
                for cpus in node_cpus:
                    cluster.add_node(cpus)
                with network_of(process.pid):
                    yield cluster
            finally:
                process.kill()  # unshare ends the first process of the namespace, and the kernel the others
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start(folder: Path, log: int, variables: dict[str, str]) -> "subprocess.Popen[str]":
    own = {
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "RAY_TMPDIR": str(folder),
        "PATH": f"{PYTHON.parent}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "LANG": "C.UTF-8",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(folder / "token"),
    }
    driver = [str(PYTHON), str(Path(__file__).with_name("ray_driver.py"))]
    spaces = ["unshare", "--net", "--pid", "--mount", "--fork", "--mount-proc", "--kill-child"]
    return subprocess.Popen(
        [*spaces, "bash", "-c", _BEGIN, "ray", *driver],
        env=own | _LEAST | variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )


def inside(pid: int) -> list[int]:
    """Give all descendants of a process, by their ids out here."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _read(int(entry.name), "stat").rpartition(b")")[2].split()
            if len(fields) > 1:
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""  # it ended meanwhile


@contextmanager
def network_of(pid: int) -> Iterator[None]:
    """Bring this thread, and what it starts, into the network of a process's first child."""
    child = wait_for(lambda: inside(pid))[0]
    with open("/proc/self/ns/net") as outside, open(f"/proc/{child}/ns/net") as within:
        _enter(within.fileno())
        try:
            yield
        finally:
            _enter(outside.fileno())


def _enter(namespace: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
