"""Variants on a pool: each a job of its own, wherever it is placed, asked for again if it is lost there."""

import threading
import time
from typing import Final

from relive.client.calls.reports import ReportClient
from relive.client.hub import HubClient
from relive.core.run import Run
from relive.errors import HubRefused
from relive.formats.hashing import document_digest
from relive.replay.early import Horizon
from relive.replay.variant import Result, Variants, passes
from relive.wire.jobs import StageWork, TrialWork

_POLL_S: Final = 0.5
_LONGEST_POLL_S: Final = 5.0
_TRIES: Final = 3
_CONFLICT: Final = 409


class PlacedVariants(Variants):
    """Has variants run on the pool of a search; may be used from several threads.

    What a trial comes out as may hang on the processor, and a pool may have several kinds. So a search keeps
    to the kind that its first result came from: what ran elsewhere says nothing about the others, and is
    tried again.

    Args:
        hub: Where runs are kept.
        jobs: Speaks for the job of the search.
        pool: Whose machines are asked; its name is part of every key.
    """

    def __init__(self, hub: HubClient, jobs: ReportClient, pool: str) -> None:
        super().__init__(hub)
        self._jobs = jobs
        self._pool = pool
        self._chosen = ""
        self._choosing = threading.Lock()

    def key(self, work: StageWork, repeat: int = 0) -> str:
        """Name the work by all that goes into it; a repeat is a run of its own."""
        return document_digest({"work": work, "pool": self._pool, "repeat": repeat})

    def find(self, project: str, key: str, until: Horizon | None = None) -> Result | None:
        """Give what a variant came out as, if it has been run on such a machine."""
        found = super().find(project, key, until)
        return None if found is None or self._is_elsewhere(found) else found

    def run(
        self, work: StageWork, key: str, *, name: str, replay_of: str = "", until: Horizon | None = None
    ) -> Result:
        """Have a variant run, again if it was lost with its machine; see `Variants.run`.

        One that is lost each time is no answer: it counts as failed.
        """
        trial = TrialWork(work=work, key=key)
        if until is not None:
            trial = TrialWork(work=work, key=key, until=until.step, followed=until.run_id)
        result = Result(run_id="", failure="stopped", is_cancelled=True)
        for _ in range(_TRIES):
            run = self._run_once(trial, name, replay_of)
            if run is None:
                return Result(run_id="", failure="stopped", is_cancelled=True)
            result = self.result(run.id)
            if passes(run) and not result.is_beginning:
                result = Result(
                    run_id=run.id, failure=f"lost {_TRIES} times, the last time: {result.failure}"
                )
            elif not result.failure and self._is_elsewhere(result):
                result = Result(run_id=run.id, failure="it ran on another kind of processor than the others")
            else:
                break
        return result

    def _run_once(self, trial: TrialWork, name: str, replay_of: str) -> Run | None:
        """Have a trial run, and give its run when it is over; None if the search was stopped."""
        if self.is_stopped:
            return None
        try:
            run_id = self._jobs.place_trial(trial, name, replay_of)
        except HubRefused as refused:
            if refused.status != _CONFLICT:
                raise
            self.is_stopped = True  # it was cancelled, and our lease has not heard of it yet
            return None
        pause_s = _POLL_S
        while not self.is_stopped:
            run = self._hub.get_run(run_id).run
            if run.status.is_final:
                return run
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.2, _LONGEST_POLL_S)
        return None

    def _is_elsewhere(self, result: Result) -> bool:
        """Tell whether a result is of another kind of machine; the first one chooses."""
        with self._choosing:
            self._chosen = self._chosen or result.processor
            return bool(result.processor) and result.processor != self._chosen
