"""Repeat a run in an empty place: environment, code, data and command from its recipe, as its own run."""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

import msgspec

from relive.client.blobs import BlobClient
from relive.client.hub import HubClient
from relive.client.transport import Transport
from relive.core.ids import short_id
from relive.core.run import RunKind
from relive.formats.trajectory import write_digest_steps
from relive.replay.plan import ReplayPlan, work_of
from relive.replay.watch import Seen
from relive.runner.execution import Desk
from relive.runner.lease import Lease, Over
from relive.runner.main import deliver
from relive.runner.scratch import Scratch
from relive.runner.stage import Rebuild, run_stage
from relive.wire.jobs import StageReport
from relive.wire.runs import CreatedRun, CreateRun

_PATIENCE_S: Final = 600.0


class Follows(Protocol):
    """Follows a run while it is made again.

    Attributes:
        purpose: What the run is made again for; the new one is called after it.
        variables: What the hooks are to be told.
    """

    purpose: str
    variables: Mapping[str, str]

    @property
    def seen(self) -> Seen:
        """What was found so far."""

    def start(self, spool: Path, lease: Lease) -> None:
        """Begin, before the command does."""

    def end(self) -> None:
        """Stop, once the command is over and its spool is still there."""


class Repeated(msgspec.Struct, frozen=True, kw_only=True):
    """The run that repeated another, and what was reported of it.

    Attributes:
        seen: What was found while it ran.
    """

    run_id: str
    url: str
    report: StageReport
    seen: Seen = Seen()


def execute(
    plan: ReplayPlan,
    hub: HubClient,
    *,
    echo: Callable[[bytes], None] | None = None,
    watch: Follows | None = None,
    created: CreatedRun | None = None,
) -> Repeated:
    """Repeat a run and report it to the hub.

    Args:
        plan: What to repeat; its recipe may be a changed one.
        hub: Takes the record, and gives code, data and wheels.
        echo: Called with what the command prints.
        watch: Follows it while it runs, and may end it early.
        created: The run that it will be, if that was made already; its own token writes it then.

    Raises:
        HubUnreachable, HubRefused: The hub went away, or did not take the record.
    """
    original = plan.detail.run
    if created is None:
        created = hub.create_run(_copy(plan, watch.purpose if watch is not None else "replay"))
        reports = hub.run(created.run_id)
    else:
        reports = HubClient(Transport(hub.transport.base_url, created.token)).run(created.run_id)
    scratch = Scratch.make(f"relive-replay-{short_id(original.id)}-")
    folder = scratch.path
    lease = Lease(reports)
    desk = Desk.open(
        reports, BlobClient(hub.transport.with_retries(_PATIENCE_S)), lease, folder, [created.token], echo
    )
    with _interruptible(lease):
        lease.start()
        try:
            work = work_of(plan, created.run_id, created.token)
            with _followed(watch, desk, lease):
                report = run_stage(work, desk, hub.transport.base_url, _rebuild(plan, folder, watch))
            deliver(report, reports, lease)
        finally:
            lease.end()
            scratch.remove()
    seen = watch.seen if watch is not None else Seen()
    return Repeated(run_id=created.run_id, url=created.url, report=report, seen=seen)


def _copy(plan: ReplayPlan, purpose: str) -> CreateRun:
    original = plan.detail.run
    return CreateRun(
        project=plan.detail.project,
        name=f"{purpose} of {original.name}",
        kind=RunKind.REPLAY,
        command=original.command,
        commit=original.commit,
        replay_of=original.id,
        heartbeats=True,
    )


@contextmanager
def _followed(watch: Follows | None, desk: Desk, lease: Lease) -> Iterator[None]:
    if watch is None:
        yield
        return
    watch.start(desk.spool, lease)
    try:
        yield
    finally:
        watch.end()


@contextmanager
def _interruptible(lease: Lease) -> Iterator[None]:
    """Let Ctrl-C end the command and not us; only the main thread may say what a signal does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda *_: lease.lose(Over.CANCELLED))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _rebuild(plan: ReplayPlan, folder: Path, watch: Follows | None) -> Rebuild:
    steps: Path | None = None
    if plan.trajectory is not None:
        steps = folder / "digest-steps.json"
        write_digest_steps(plan.trajectory, steps)
    variables = watch.variables if watch is not None else {}
    return Rebuild(
        environment=folder / "environment",
        digest_steps=steps,
        variables=variables,
        offline=plan.offline,
    )
