"""A run by hand: the command as the person would have started it, recorded as a stage is.

It runs where it is, in the environment it finds, with the terminal's input and output; the code is snapshot
as it lies there, committed or not. What differs from a stage is only how the world came to be.
"""

import logging
import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import IO, Final

import msgspec

from relive import settings
from relive.capture.agent import agent_environment, install_agent
from relive.capture.code import CodeSnapshot, snapshot_code
from relive.client.blobs import BlobClient
from relive.client.hub import HubClient
from relive.core.determinism import Determinism, switches
from relive.core.digest import Digest
from relive.core.paths import ROOT, is_within, rooted
from relive.core.pipeline import EnvSpec, Hermetic
from relive.core.recipe import DataInput, Declared
from relive.core.run import Input
from relive.core.spots import checkpoint_variables
from relive.errors import HubRefused, HubUnreachable
from relive.formats.locks import lock_bytes
from relive.formats.manifest_io import HashCache, Snapshot, read_manifest
from relive.runner.commands import CommandPlan
from relive.runner.environment.build import build_environment, resolve_environment
from relive.runner.environment.projects import lay_projects
from relive.runner.environment.wheels import WheelStore
from relive.runner.execution import Desk, Execution, execute
from relive.runner.lease import Lease, Over
from relive.runner.main import deliver
from relive.runner.opened import record_file
from relive.runner.results import Expected
from relive.runner.scratch import Scratch
from relive.runner.variables import RunIdentity, fixed_variables, identity_variables, in_environment
from relive.wire.jobs import StageReport
from relive.wire.runs import CreatedRun, CreateRun

_log = logging.getLogger(__name__)

# A person waits for the end of this.
_PATIENCE_S: Final = 600.0


@dataclass(frozen=True)
class HandRun:
    """What a person asks for with `relive run -- CMD`.

    Attributes:
        command: With its arguments; there is no shell in between.
        folder: Where it runs.
        deps: Files and folders that it reads, relative to the folder.
        expected: What it should leave, relative to the folder.
        env: Environment to build for it; None for the one that is active.
        hermetic: Whether it gets nothing but what is declared.
        network: Whether a hermetic one may reach more than the hub.
        determinism: Where it is to come out the same.
        checkpoints: Steps between two states of its training that are kept; 0 for none.
    """

    command: tuple[str, ...]
    folder: Path
    project: str
    experiment: str = ""
    name: str = ""
    deps: tuple[str, ...] = ()
    expected: Expected = field(default_factory=Expected)
    env: EnvSpec | None = None
    timeout_s: float | None = None
    hermetic: bool = False
    network: bool = False
    determinism: Determinism = Determinism.MACHINE
    checkpoints: int = 0


@dataclass(frozen=True)
class HandResult:
    """The run that was made, and how it ended."""

    run: CreatedRun
    report: StageReport


@dataclass(frozen=True)
class _World:
    """What a run by hand found: its code and data, kept in the hub, and its environment."""

    snapshot: CodeSnapshot
    code: Digest
    data: tuple[DataInput, ...]
    inputs: dict[str, Digest]
    lock: Digest
    prefix: Path | None
    source: str


def run_here(asked: HandRun, hub: HubClient, *, echo: bool = True) -> HandResult:
    """Run a command by hand, and record it.

    Args:
        asked: What to run.
        hub: Takes the record.
        echo: Whether what it prints is shown on standard output.

    Raises:
        InvalidInput: The folder, a dep or an out cannot be used.
        NotFound: A dep does not exist.
        EnvironmentFailed: The environment that was asked for cannot be built.
        HubUnreachable, HubRefused: The run could not be made, or not be reported.
    """
    asked = replace(asked, folder=asked.folder.resolve())
    hashes = HashCache(Path(settings.cache()) / "hashes.msgpack")
    blobs = BlobClient(hub.transport.with_retries(_PATIENCE_S), hashes=hashes)
    world = _look(asked, blobs, hashes)
    hashes.save()
    run = hub.create_run(
        CreateRun(
            project=asked.project,
            experiment=asked.experiment,
            name=asked.name,
            command=shlex.join(asked.command),
            commit=world.snapshot.commit,
            branch=world.snapshot.branch,
            heartbeats=True,
        )
    )
    with _own_folder() as folder:
        lease = Lease(hub.run(run.run_id))
        shown = _show if echo else None
        desk = Desk.open(hub.run(run.run_id), blobs, lease, folder, [run.token], shown)
        lease.start()
        try:
            with _interrupts(lease):
                report = execute(_execution(asked, world, run, desk, hub.transport.base_url), desk)
                report = msgspec.structs.replace(report, inputs=_lineage(run, world))
                deliver(report, desk.reports, lease)
        finally:
            lease.end()
    return HandResult(run, report)


@contextmanager
def _own_folder() -> Iterator[Path]:
    """Give a folder for the run; it stays if what is in it did not reach the hub."""
    scratch = Scratch.make("relive-run-")
    try:
        yield scratch.path
    except (HubUnreachable, HubRefused, KeyboardInterrupt):
        scratch.leave()
        _log.warning("what was recorded is kept in %s", scratch.path)
        raise
    except BaseException:
        scratch.remove()
        raise
    scratch.remove()


def _look(asked: HandRun, blobs: BlobClient, hashes: HashCache) -> _World:
    """Keep the code and the data as they are now, and build the environment if one was asked for."""
    snapshot = snapshot_code(asked.folder)
    # What an earlier run left in the place of its results is not this one's code.
    results = [path for path in _rooted(asked.expected, snapshot.workdir).paths if path != ROOT]
    kept = tuple(file for file in snapshot.files if not any(is_within(file.path, path) for path in results))
    left = {
        path: why
        for path, why in snapshot.withheld.items()
        if not any(is_within(path, result) for result in results)
    }
    snapshot = replace(snapshot, files=kept, withheld=left)
    files = read_manifest(snapshot.root, [file.path for file in snapshot.files], hashes)
    code = blobs.put_tree(snapshot.root, files)
    data: list[DataInput] = []
    inputs: dict[str, Digest] = {}
    for dep in asked.deps:
        path = rooted(dep, snapshot.workdir)
        digest, manifest = blobs.upload_tree(snapshot.root, [path])
        data.append(DataInput(path=path, manifest=digest, size_bytes=manifest.size_bytes, origin="file"))
        inputs |= {entry.path: entry.digest for entry in manifest.entries if entry.link is None}
    lock, prefix = _environment(asked.env, asked.folder, blobs)
    source = asked.env.lock if asked.env else ""
    return _World(snapshot, code, tuple(data), inputs, lock, prefix, source)


def _environment(env: EnvSpec | None, folder: Path, blobs: BlobClient) -> tuple[Digest, Path | None]:
    if env is None:
        return "", None
    wheels = WheelStore(blobs)
    lock = resolve_environment(folder, env, wheels)
    return blobs.put_bytes(lock_bytes(lock)), build_environment(lock, wheels)


def _execution(asked: HandRun, world: _World, run: CreatedRun, desk: Desk, hub: str) -> Execution:
    snapshot = world.snapshot
    expected = _rooted(asked.expected, snapshot.workdir)
    env = _fixed(asked)
    identity = RunIdentity(
        run_id=run.run_id,
        hub=hub,
        token=run.token,
        project=asked.project,
        commit=snapshot.commit,
        branch=snapshot.branch,
    )
    told = _variables(asked, world, desk, {**os.environ, **env, **identity_variables(identity)})
    declared = Declared(
        command=shlex.join(asked.command),
        code=snapshot.code(world.code),
        workdir=snapshot.workdir,
        env=env,
        environment=world.lock,
        data=world.data,
        outs=expected.outs,
        metrics_files=expected.metrics_files,
    )
    return Execution(
        run_id=run.run_id,
        tree=snapshot.root,
        plan=_plan(asked, desk, told),
        expected=expected,
        inputs=Snapshot(snapshot.root, expected.without_written(world.inputs)),
        declared=declared,
        prefix=world.prefix,
        code_files=frozenset(file.path for file in snapshot.files),
        named=(ROOT, *(dep.path for dep in world.data)),
        held=Hermetic.ON if asked.hermetic else Hermetic.WARN,
        network=asked.network,
        by_hand=True,
        unpushed=bool(snapshot.remote) and not snapshot.pushed,
        uncommitted=snapshot.uncommitted,
    )


def _fixed(asked: HandRun) -> dict[str, str]:
    fixed = fixed_variables(len(os.sched_getaffinity(0))) | switches(asked.determinism)
    # What the person has set themselves is theirs, and is recorded like the rest.
    env = {name: os.environ.get(name, value) for name, value in fixed.items()}
    return env | checkpoint_variables(asked.checkpoints)


def _plan(asked: HandRun, desk: Desk, told: dict[str, str]) -> CommandPlan:
    agent = install_agent(Path(settings.cache()) / "agent")
    return CommandPlan(
        commands=(asked.command,),
        workdir=asked.folder,
        environment=agent_environment(agent, desk.spool, told),
        timeout_s=asked.timeout_s,
        opened=record_file(desk.folder),
        announce=False,
        stdin=_own_input(),
    )


def _variables(asked: HandRun, world: _World, desk: Desk, told: dict[str, str]) -> dict[str, str]:
    """Put the environment that was asked for before what is active."""
    if world.prefix is None:
        return told
    python = world.prefix / "bin/python"
    layer = lay_projects(asked.folder, world.source, desk.folder / "project", python=python)
    return in_environment(told, world.prefix, layer)


def _rooted(expected: Expected, workdir: str) -> Expected:
    """Give the paths relative to the root of the code, as a stage's are."""
    return replace(
        expected,
        outs=tuple(rooted(path, workdir) for path in expected.outs),
        plots=tuple(rooted(path, workdir) for path in expected.plots),
        metrics_files=tuple(rooted(path, workdir) for path in expected.metrics_files),
        junit=rooted(expected.junit, workdir) if expected.junit else "",
    )


def _lineage(run: CreatedRun, world: _World) -> tuple[Input, ...]:
    return tuple(
        Input(run_id=run.run_id, path=dep.path, manifest=dep.manifest, origin=dep.origin)
        for dep in world.data
    )


def _own_input() -> IO[bytes] | None:
    """Give this process's standard input if it is a real one: a notebook's is not."""
    try:
        sys.stdin.fileno()
    except (AttributeError, OSError, ValueError):
        return None
    return sys.stdin.buffer


def _show(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


@contextmanager
def _interrupts(lease: Lease) -> Iterator[None]:
    """Let Ctrl-C end the command, and the report of it be made all the same; a second one gives that up."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may say what a signal does
        return

    def cancel(number: int, frame: FrameType | None) -> None:
        if lease.over is not None:
            raise KeyboardInterrupt
        lease.lose(Over.CANCELLED)

    before = {number: signal.signal(number, cancel) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
