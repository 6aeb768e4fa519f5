"""A trial's job: one variant that a search for causes asked for, run as the search itself would run it."""

import signal
from typing import Final

from relive.client.hub import HubClient
from relive.client.transport import Transport
from relive.replay.early import watch_until
from relive.replay.variant import PROCESSOR_TAG, Variants, beginning_key
from relive.runner.lease import Lease
from relive.wire.jobs import TrialWork

_PATIENCE_S: Final = 60.0


def make_trial(work: TrialWork, hub: HubClient, lease: Lease) -> None:
    """Run a variant; its run says all there is, so that nothing is left to report.

    Args:
        work: What to run.
        hub: With the job's token, which reads.
        lease: The job's; ends the command when it is over.

    Raises:
        HubUnreachable, HubRefused: The hub went away, or took the claim back.
    """
    variants = Variants(hub)
    lease.when_over(variants.stop)
    before = signal.signal(signal.SIGTERM, lambda *_: variants.stop())
    lease.start()
    try:
        run_id = work.work.run_id
        writer = HubClient(
            Transport(hub.transport.base_url, work.work.command_token, retry_for_s=_PATIENCE_S)
        )
        writer.set_tags(run_id, {PROCESSOR_TAG: variants.processor})
        watch, beginning = None, ""
        if work.until is not None:
            watch = watch_until(variants.trajectory(work.followed), work.until)
            beginning = beginning_key(work.key, work.until)
        variants.execute(work.work, writer, watch, beginning)
    finally:
        lease.end()
        signal.signal(signal.SIGTERM, before)
