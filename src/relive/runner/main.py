"""The runner's process: one job, from the line on standard input to the report that the hub took.

It outlives the hub: while the hub is away the command goes on, what it prints and records lies on disk, and
the report is handed in when the hub is back. It does not outlive its claim: once another has taken over, it
ends the command and itself, and says nothing more.
"""

import logging
import shutil
import signal
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from relive import settings
from relive.client.blobs import BlobClient
from relive.client.calls.reports import ReportClient
from relive.client.transport import Transport
from relive.core.run import FailureReason
from relive.errors import HubRefused, HubUnreachable, NotSupportedYet, ReliveError, Superseded
from relive.formats.locks import lock_bytes
from relive.runner.checkout import checkout
from relive.runner.environment.build import build_environment, resolve_environment
from relive.runner.environment.wheels import WheelStore
from relive.runner.execution import Desk, failed_report, room_patience_s
from relive.runner.lease import Lease, Over, is_passing
from relive.runner.order import Order, read_order
from relive.runner.stage import run_stage
from relive.wire.jobs import EnvironmentReport, EnvironmentWork, Report, StageWork, Work

_log = logging.getLogger(__name__)

# A hub that was away for longer will not want this report any more.
_AWAY_S: Final = 24 * 3600.0
_FIRST_ANSWER_S: Final = 300.0
_SILENCE_S: Final = 30.0
_RETRY_S: Final = 5.0


def main() -> int:
    """Do the job that standard input names; 0 if the hub took the report, or wants none."""
    level = settings.get("RELIVE_LOG_LEVEL").upper()
    logging.basicConfig(stream=sys.stderr, level=level, format="%(asctime)s %(levelname)s %(message)s")
    try:
        order = read_order()
    except msgspec.MsgspecError as error:
        _log.error("standard input should hold one line with hub, job, fence and token: %s", error)
        return 2
    except ReliveError as error:
        _log.error("%s", error.what())
        return 1
    return run_job(order, Path.cwd())


def run_job(order: Order, home: Path) -> int:
    """Do a job.

    Args:
        order: Which.
        home: A folder for this job alone; what is made in it is removed once the report has been taken.
    """
    transport = Transport(order.hub, order.token, timeout_s=_SILENCE_S)
    reports = ReportClient(transport, "jobs", order.job, order.fence)
    lease = Lease(reports)
    # Blobs wait for the hub; what is said in passing does not, for it would hold up the command.
    blobs = BlobClient(transport.with_retries(_AWAY_S, pause=lease.pause))
    folder = Path(tempfile.mkdtemp(prefix=f"{order.fence}.work-", dir=home))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: lease.lose(Over.CANCELLED))
    try:
        work = reports.with_patience(_FIRST_ANSWER_S).work()
        lease.start()
        deliver(_do(work, order, Desk.open(reports, blobs, lease, folder, _secrets(work))), reports, lease)
    except Superseded as error:
        _log.warning("%s", error.what())
    except (HubUnreachable, HubRefused) as error:
        _log.error("%s; what was recorded is kept in %s", error, folder)
        return 1
    finally:
        lease.end()
    shutil.rmtree(folder, ignore_errors=True)
    return 0


def deliver(report: Report, reports: ReportClient, lease: Lease, *, patience_s: float = _AWAY_S) -> None:
    """Hand the report in, waiting for a hub that is away, stumbles or has no room.

    Args:
        report: What became of the work.
        reports: The job's way to the hub.
        lease: Its claim; without it nobody wants the report.
        patience_s: Seconds to wait at most.

    Raises:
        Superseded: Another claim took over; the hub wants no report of this one.
        HubRefused: The hub understood it, and will not take it.
        HubUnreachable: The hub was away for longer than anyone waits.
    """
    give_up_at = time.monotonic() + patience_s
    while True:
        try:
            reports.finish(report)
            return
        except ReliveError as error:
            if not is_passing(error) or time.monotonic() > give_up_at:
                raise
            _log.warning("%s; the report waits", error.what())
        lease.pause(_RETRY_S)


def _do(work: Work, order: Order, desk: Desk) -> Report:
    """Do the work and give its report; a defect of our own is reported, too, so that nobody waits for it."""
    try:
        if isinstance(work, StageWork):
            return run_stage(work, desk, order.hub)
        if isinstance(work, EnvironmentWork):
            return _resolve(work, desk)
        raise NotSupportedYet(f"Work of kind {type(work).__name__} by relive.runner")
    except (Superseded, HubUnreachable, HubRefused, NotSupportedYet):
        raise
    except Exception as error:  # noqa: BLE001  # whatever it is, the hub must learn that the job is over
        _log.exception("the runner failed")
        reason = f"the runner failed: {type(error).__name__}: {error}"
        if isinstance(work, StageWork):
            return failed_report(desk, FailureReason.FAILURE, reason)
        return EnvironmentReport(fence=order.fence, error=reason)


def _resolve(work: EnvironmentWork, desk: Desk) -> EnvironmentReport:
    """Resolve an environment, keep its wheels, and build it once so that it is known to work."""
    fence = desk.reports.fence
    try:
        desk.say("checkout", "checking its commit out")
        tree = desk.folder / "tree"
        checkout(desk.blobs, work.code, tree)
        desk.say("environment", f"resolving {work.env.lock}")
        wheels = WheelStore(desk.blobs)
        resolve = partial(resolve_environment, tree, work.env, wheels)
        lock = desk.wait_for_room(resolve, patience_s=room_patience_s())
        build_environment(lock, wheels)
        digest = desk.store(lock_bytes(lock))
    except Superseded:
        raise
    except ReliveError as error:
        return EnvironmentReport(fence=fence, error=str(error))
    if desk.lease.over is Over.CANCELLED:
        return EnvironmentReport(fence=fence, error="cancelled")
    return EnvironmentReport(fence=fence, lock=digest, packages=len(lock.packages))


def _secrets(work: Work) -> tuple[str, ...]:
    return (*work.secrets.values(), work.command_token) if isinstance(work, StageWork) else ()
