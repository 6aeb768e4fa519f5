"""`relive demo`: the main job, from a push to a replay, on this machine and on real data."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from relive import settings
from relive.cli.output import escape, out
from relive.client.transport import Transport
from relive.errors import CommandFailed, Conflict, HubUnreachable, NotFound

_PATIENCE_S = 60.0


@dataclass(frozen=True)
class Stand:
    """Where the demonstration happens."""

    folder: Path
    address: str
    env: dict[str, str]

    def relive(self, *args: str, folder: Path | None = None) -> str:
        """Run a relive command, show it, and give what it printed."""
        out.print(f"[bold cyan]$ relive {escape(' '.join(args))}[/]")
        return _run([sys.executable, "-m", "relive.cli", *args], folder or self.folder, self.env)

    def ask(self, *args: str) -> Any:
        """Run a relive command for its JSON, without showing it."""
        command = [sys.executable, "-m", "relive.cli", *args, "--json"]
        done = subprocess.run(
            command, env=self.env, cwd=self.folder, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise CommandFailed(command=" ".join(args), exit_code=1, reason=done.stderr.strip())
        return json.loads(done.stdout)


@click.command()
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=None,
    help="Where everything of the demonstration lies; an earlier one is replaced. [default: ~/.relive/demo]",
)
@click.option("--port", type=int, default=0, help="Port of its hub; default: a free one.")
@click.option(
    "--keep/--no-keep", default=None, help="Leave the hub open at the end (default: on a terminal)."
)
def demo(folder: Path | None, port: int, keep: bool | None) -> None:
    """Do the main job on two real data sets: push, train, gate, register, serve, roll back, replay.

    It uses its own hub and its own folder, and touches nothing else. Without a terminal it ends by itself.

    \b
    Example:
      relive demo
    """
    began = time.monotonic()
    # Not in the folder one stands in: tools such as pytest look for their settings in every folder above.
    root = (folder or Path(settings.home()) / "demo").absolute()
    _clear(root)
    with _hub(root, port) as stand:
        _digits(stand)
        _cancer(stand)
        out.print(f"\n[bold green]✓ All of it worked[/] in {time.monotonic() - began:.0f} s.")
        if keep if keep is not None else sys.stdin.isatty() and sys.stdout.isatty():
            link = _run([sys.executable, "-m", "relive.cli", "open", "--print"], root, stand.env, show=False)
            out.print(
                f"The hub stays open until Ctrl-C. Look at it (this link works once):\n  {link.strip()}"
            )
            _wait_for_interrupt()


def _digits(stand: Stand) -> None:
    repository = _copy_example(stand, "digits")
    _heading("A push: build, test, prepare, train, gate, register, deploy")
    _push(stand, repository, "Digits: logistic regression")
    _heading("Real rows to the endpoint")
    _infer(stand, repository)
    _heading("A change that makes it worse: its gate stops it")
    _set_param(repository, "examples", "40")
    _push(stand, repository, "Train on 40 images only", expect="gated")
    _show_endpoint(stand)
    _heading("A change that makes it better: it is promoted")
    _set_param(repository, "examples", "1300")
    _set_param(repository, "model", "svc")
    _push(stand, repository, "Support vectors on all images")
    _infer(stand, repository)
    _heading("Back to the version before, which still runs")
    stand.relive("endpoint", "rollback", "digits")
    _infer(stand, repository)
    _heading("The champion again, from its recipe alone in an empty place")
    stand.relive("replay", "digits@champion")


def _cancer(stand: Stand) -> None:
    repository = _copy_example(stand, "cancer")
    _heading("A second project, trained in rounds")
    _push(stand, repository, "Boosted trees")
    _heading("Its champion again, compared round by round")
    stand.relive("replay", "cancer@champion")


def _copy_example(stand: Stand, name: str) -> Path:
    repository = stand.folder / name
    shutil.copytree(_examples() / name, repository)
    for args in (
        ("init", "--quiet", "--initial-branch=main"),
        ("config", "user.name", "relive demo"),
        ("config", "user.email", "demo@localhost"),
    ):
        _run(["git", *args], repository, stand.env, show=False)
    stand.relive("init", folder=repository)
    return repository


def _push(stand: Stand, repository: Path, message: str, *, expect: str = "succeeded") -> None:
    _run(["git", "add", "--all"], repository, stand.env, show=False)
    _run(["git", "commit", "--quiet", "--message", message], repository, stand.env, show=False)
    out.print(f"[bold cyan]$ git commit -m {escape(repr(message))} && git push relive main[/]")
    _run(["git", "push", "relive", "main"], repository, stand.env)
    newest = stand.ask("pipeline", "list", "--project", repository.name, "--limit", "1")[0]["pipeline"]
    if newest["status"] != expect:
        raise Conflict(
            subject=f"pipeline {repository.name} #{newest['number']}",
            reason=f"it ended as {newest['status']}, and the demonstration expects {expect}",
        )


def _infer(stand: Stand, repository: Path) -> None:
    path = "/v2/models/digits/infer"
    out.print(f"[bold cyan]$ curl -d @rows.json {stand.address}{path}[/]")
    body, headers = (repository / "rows.json").read_bytes(), {"content-type": "application/json"}
    with Transport(stand.address).open("POST", path, body, headers) as reply:
        revision = reply.headers.get("x-relive-revision")
        answer = json.loads(reply.read())
    digits = answer["outputs"][0]["data"]
    out.print(escape(f"the three images show {digits}   (revision {revision})"))
    if digits != [0, 8, 1]:
        raise Conflict(subject="endpoint digits", reason=f"it reads {digits} in images that show [0, 8, 1]")


def _show_endpoint(stand: Stand) -> None:
    stand.relive("endpoint", "show", "digits")


def _set_param(repository: Path, name: str, value: str) -> None:
    path = repository / "params.yaml"
    lines = path.read_text().splitlines()
    changed = [f"  {name}: {value}" if line.strip().startswith(f"{name}:") else line for line in lines]
    path.write_text("\n".join(changed) + "\n")


@contextmanager
def _hub(root: Path, port: int) -> Iterator[Stand]:
    port = port or _free_port()
    env = {
        k: v
        for k, v in os.environ.items()
        if k not in ("RELIVE_HUB", "RELIVE_TOKEN", "RELIVE_DB", "RELIVE_STORE")
    }
    env |= {"RELIVE_HOME": str(root / "home"), "PYTHONUNBUFFERED": "1"}
    # Wheels and environments are shared with the user's own runs: they are named by their content.
    env.setdefault("RELIVE_CACHE", os.path.expanduser("~/.relive/cache"))
    stand = Stand(folder=root, address=f"http://127.0.0.1:{port}", env=env)
    _heading("The hub: web pages, API, git remote, scheduler")
    out.print(f"[bold cyan]$ relive up --port {port}[/]")
    with open(root / "hub.log", "wb") as log:
        hub = subprocess.Popen(
            [sys.executable, "-m", "relive.cli", "up", "--port", str(port)],
            env=env,
            cwd=root,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for the demonstration, which then ends the hub in order
        )
    try:
        _wait_until_up(hub, stand.address, root / "hub.log")
        yield stand
    finally:
        _stop(hub, stand)


def _wait_until_up(hub: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline and hub.poll() is None:
        try:
            Transport(address).get("/health", dict[str, str])
        except HubUnreachable:
            time.sleep(0.05)
        else:
            out.print(f"up at {address}")
            return
    raise CommandFailed(command="relive up", exit_code=1, reason=log.read_text(errors="replace")[-2000:])


def _stop(hub: subprocess.Popen[bytes], stand: Stand) -> None:
    """End the endpoints, then the hub: a demonstration leaves no process behind."""
    if hub.poll() is None:
        for name in ("digits", "cancer"):
            command = [sys.executable, "-m", "relive.cli", "endpoint", "delete", name, "--yes"]
            subprocess.run(command, env=stand.env, cwd=stand.folder, capture_output=True, check=False)
        _wait_for_jobs(stand)
        _wait_for_router(stand)
        hub.terminate()
        try:
            hub.wait(timeout=30)
        except subprocess.TimeoutExpired:
            hub.kill()
            hub.wait()


def _wait_for_jobs(stand: Stand) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            running = [job for job in stand.ask("pool", "jobs") if job["state"] == "running"]
        except CommandFailed:
            return
        if not running:
            return
        time.sleep(0.2)


def _wait_for_router(stand: Stand) -> None:
    """Without endpoints the hub ends its router; it tells so by taking away the note about it."""
    mark = stand.folder / "home" / "hub" / "serving" / "router.pid"
    deadline = time.monotonic() + 10
    while mark.exists() and time.monotonic() < deadline:
        time.sleep(0.1)


def _run(command: list[str], folder: Path, env: dict[str, str], *, show: bool = True) -> str:
    lines: list[str] = []
    with subprocess.Popen(
        command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if show:
                out.print(escape(f"  {line.rstrip().removeprefix('remote: ')}"))
    if process.returncode != 0:
        raise CommandFailed(
            command=" ".join(command), exit_code=1, reason="".join(lines[-5:]).strip() or "it printed nothing"
        )
    return "".join(lines)


def _examples() -> Path:
    """Find the example projects: beside the sources in a checkout, inside the package once installed."""
    package = Path(__file__).parents[1]
    for folder in (package.parents[1] / "examples", package / "examples"):
        if (folder / "digits" / "relive.yaml").exists():
            return folder
    raise NotFound(kind="folder", name="examples", hint="run it in a clone of the repository")


def _clear(root: Path) -> None:
    marker = root / ".relive-demo"
    if root.exists() and any(root.iterdir()) and not marker.exists():
        raise Conflict(
            subject=str(root),
            reason="it holds something else than an earlier demonstration",
            hint="--folder OTHER",
        )
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    marker.touch()


def _heading(text: str) -> None:
    out.print(f"\n[bold]── {escape(text)}[/]")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for_interrupt() -> None:
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        out.print("\nStopping the demonstration's hub and endpoints.")
