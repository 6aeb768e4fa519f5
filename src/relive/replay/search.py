"""The job of a search for causes: what `relive why` does, with its trials on a pool.

It runs nothing itself. It decides what is tried next, waits, and writes what it learns into the log of the
run that will hold the answer. Ended by anything but a cancellation, it is begun again by the hub and finds
every trial that was made.
"""

import threading
from collections.abc import Sequence
from typing import Final

from relive.client.calls.reports import ReportClient
from relive.client.hub import HubClient
from relive.client.transport import Transport
from relive.core.causes import Tried
from relive.errors import HubRefused, HubUnreachable, ReliveError
from relive.replay.answers import end_with_answer
from relive.replay.diff import load_side
from relive.replay.placed import PlacedVariants
from relive.replay.plan import make_plan
from relive.replay.trials import Question, line_of_end, line_of_start
from relive.replay.why import Why
from relive.runner.lease import Lease
from relive.wire.jobs import WhyWork

_PATIENCE_S: Final = 300.0


def search(work: WhyWork, hub: HubClient, jobs: ReportClient, lease: Lease) -> str:
    """Find the causes and keep the answer in the run that was made for it; give why not, if it cannot be.

    Args:
        work: What is asked.
        hub: With the job's token, which reads.
        jobs: Speaks for the job, and asks for trials.
        lease: The job's; a search that is cancelled says what is known so far.

    Raises:
        HubUnreachable, HubRefused: The hub went away, or took the claim back.
    """
    maker = PlacedVariants(hub, jobs.with_patience(_PATIENCE_S), work.asked.pool)
    lease.when_over(maker.stop)
    lease.start()
    try:
        return _answer(work, hub, maker)
    except (HubUnreachable, HubRefused):
        raise
    except ReliveError as error:
        return error.what()
    finally:
        lease.end()


def _answer(work: WhyWork, hub: HubClient, maker: PlacedVariants) -> str:
    asked = work.asked
    writer = HubClient(Transport(hub.transport.base_url, work.token, retry_for_s=_PATIENCE_S))
    told = Told(writer, work.run_id)
    plans = [make_plan(hub, run_id) for run_id in (work.before, asked.after)]
    one, other = (load_side(hub, plan.run_id, plan.instead) for plan in plans)
    question = Question(
        metric=asked.metric,
        max_runs=asked.max_runs,
        parallel=max(1, asked.parallel),
        ahead=asked.ahead,
        most_for_shares=asked.shares,
    )
    report = Why(hub, one, other, question, told, maker=maker).answer()
    told.note(report.reason)
    end_with_answer(
        report, work.run_id, writer, log=writer.blobs.put_bytes(told.text), log_bytes=len(told.text)
    )
    return ""


class Told:
    """Writes how the search goes on into the log of a run, behind what is there; may be called by threads."""

    def __init__(self, hub: HubClient, run_id: str) -> None:
        self.text = b"".join(hub.read_log(run_id))
        self._reports = hub.run(run_id)
        self._lock = threading.Lock()

    def note(self, sentence: str) -> None:
        """Say a sentence."""
        self._say(sentence)

    def trying(self, names: Sequence[str], number: int, at_most: int) -> None:
        """Say what is being run."""
        self._say(line_of_start(names, number, at_most))

    def tried(self, it: Tried) -> None:
        """Say what came out."""
        self._say(line_of_end(it))

    def _say(self, line: str) -> None:
        with self._lock:
            start = len(self.text)
            self.text += f"{line}\n".encode()
            self._reports.log(start, self.text[start:])
