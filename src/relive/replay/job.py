"""The process of a job that makes runs again: `python -m relive.replay.job`, started by an executor.

It does what `relive replay` does on a person's machine, or `relive why`, or one of its trials. The run that
it makes was made by the hub already, and is written with that run's own token; the job's token reads, and
brings the verdict.
"""

import logging
import os
import signal
import sys
from typing import Final

import msgspec

from relive import settings
from relive.client.calls.reports import ReportClient
from relive.client.hub import HubClient
from relive.client.transport import Transport
from relive.core.tolerance import parse_tolerance
from relive.core.trajectory import Verdict, VerdictLevel
from relive.errors import HubRefused, HubUnreachable, NotSupportedYet, ReliveError, Superseded
from relive.replay.execute import execute
from relive.replay.plan import make_plan
from relive.replay.report import Terms, judge_replay
from relive.replay.search import search
from relive.replay.substitutes import Substitutes
from relive.replay.trial import make_trial
from relive.runner.lease import Lease
from relive.runner.main import deliver
from relive.runner.order import Order, read_order
from relive.wire.jobs import EndReport, ReplayReport, ReplayWork, TrialWork, WhyWork
from relive.wire.runs import CreatedRun

_log = logging.getLogger(__name__)

_PATIENCE_S: Final = 300.0


def main() -> int:
    """Do the job that standard input names; 0 if the hub took the verdict, or wants none."""
    level = settings.get("RELIVE_LOG_LEVEL").upper()
    logging.basicConfig(stream=sys.stderr, level=level, format="%(asctime)s %(levelname)s %(message)s")
    try:
        return _work(read_order())
    except msgspec.MsgspecError as error:
        _log.error("standard input should hold one line with hub, job, fence and token: %s", error)
        return 2
    except Superseded as error:
        _log.warning("%s", error.what())
        return 0
    except ReliveError as error:
        _log.error("%s", error.what())
        return 1


def _work(order: Order) -> int:
    hub = HubClient(Transport(order.hub, order.token, retry_for_s=_PATIENCE_S))
    reports = ReportClient(Transport(order.hub, order.token), "jobs", order.job, order.fence)
    work = reports.with_patience(_PATIENCE_S).work()
    lease = Lease(reports)
    if isinstance(work, TrialWork):
        make_trial(work, hub, lease)
        deliver(EndReport(fence=order.fence), reports, lease)
        return 0
    if isinstance(work, WhyWork):
        deliver(EndReport(fence=order.fence, error=search(work, hub, reports, lease)), reports, lease)
        return 0
    if not isinstance(work, ReplayWork):
        raise NotSupportedYet(f"Work of kind {type(work).__name__} by relive.replay.job")
    # The replay ends its command on this signal, as it does for a person's Ctrl-C.
    lease.when_over(lambda: os.kill(os.getpid(), signal.SIGTERM))
    lease.start()
    try:
        verdict = replay(work, hub)
        deliver(ReplayReport(fence=order.fence, verdict=verdict), reports, lease)
    finally:
        lease.end()
    return 0


def replay(work: ReplayWork, hub: HubClient) -> Verdict:
    """Make the run again, and judge the copy; what cannot even be started is unresolved.

    Raises:
        HubUnreachable, HubRefused: The hub went away, or took something back.
    """
    terms = Terms(limits=dict(map(parse_tolerance, work.tolerances)))
    created = CreatedRun(run_id=work.replay_run_id, name="", token=work.token, url=work.url)
    try:
        plan = make_plan(hub, work.run_id, Substitutes.parse(work.substitutes), offline=work.offline)
        terms.check(plan)
        return judge_replay(plan, execute(plan, hub, created=created), hub, terms)
    except (HubUnreachable, HubRefused):
        raise
    except ReliveError as error:
        return Verdict(
            level=VerdictLevel.UNRESOLVED,
            reason=f"The replay itself failed: {error.what()}",
            substitutes=work.substitutes,
        )


if __name__ == "__main__":
    sys.exit(main())
