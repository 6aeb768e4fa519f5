"""Runs by hand whose process says nothing any more: they count as lost, until they are heard of again.

Such a run has no job and no lease. Its process says every few seconds that it goes on, also while it logs
nothing, and a little of that is written down. What never says so (MLflow's clients, imports) is never missed.
"""

from dataclasses import dataclass
from typing import Final

from relive.core.event import Event
from relive.core.run import FailureReason, Run, RunStatus
from relive.services.context import Services
from relive.services.finishing import tell_end

# One write a run and minute, however often it says that it goes on.
_NOTE_EVERY_S: Final = 60.0
_LOOK_EVERY_S: Final = 10.0
# Whoever has not looked for so long was away or asleep, or its clock was set.
_AWAY_S: Final = 30.0
# So long one listens before silence counts: clients wait at most half a minute between two tries.
_LISTENS_S: Final = 300.0


def beat_within_s(services: Services) -> float:
    """Say how long the process of a run by hand may be silent; it speaks three times in that."""
    place = services.place
    return min(place.lease_s, place.silence_s) if place.silence_s else place.lease_s


def hear(services: Services, run: Run) -> Run:
    """Note that a run's process goes on, and give the run; one that counted as lost is running again."""
    if run.job_id:
        return run  # its job's lease says whether it lives
    now = services.store.now()
    if run.is_silent:
        return _found(services, run, now)
    every_s = min(_NOTE_EVERY_S, services.place.silence_s / 4) if services.place.silence_s else _NOTE_EVERY_S
    # Later than now: the clock was set back.
    is_noted = run.heard_at is not None and 0 <= now - run.heard_at < every_s
    if run.status.is_final or is_noted:
        return run
    return services.store.set_run(run.id, heard_at=now)


def _found(services: Services, run: Run, now: float) -> Run:
    store = services.store
    with store.transaction():
        run = store.get_run(run.id)
        if not run.is_silent:
            return run  # its report came first
        facts = {"reason": "its process was heard of again", "silent_s": round(now - (run.heard_at or now))}
        run = store.set_run(
            run.id, status=RunStatus.RUNNING, failure=None, reason="", ended_at=None, heard_at=now
        )
        project = store.get_project(run.project_id).name
        services.record(
            Event(kind="run.found", actor=run.actor, subject=f"run:{run.id}", project=project, facts=facts)
        )
    return run


@dataclass
class Listener:
    """Ends runs whose process fell silent; for one thread.

    Silence is judged only by one who could have heard: after every absence (killed, stopped, asleep) and
    every jump of the clock it listens for a while first.
    """

    services: Services
    _looked_at: float | None = None
    _since: float = 0.0

    def look(self) -> None:
        """End what was silent for too long, if it is time to look."""
        silence_s = self.services.place.silence_s
        if not silence_s:
            return
        now = self.services.store.now()
        looked_s = -1.0 if self._looked_at is None else now - self._looked_at
        if 0 <= looked_s < min(_LOOK_EVERY_S, silence_s / 4):
            return
        self._looked_at = now
        if not 0 <= looked_s <= _AWAY_S:
            self._since = now
        if now - self._since < min(_LISTENS_S, silence_s):
            return
        for run in self.services.store.list_silent_runs(before=now - silence_s, after=now + _AWAY_S):
            self._end(run, now - silence_s)

    def _end(self, run: Run, before: float) -> None:
        store = self.services.store
        with store.transaction():
            run = store.get_run(run.id)  # again: it may have ended, or spoken
            if run.status is not RunStatus.RUNNING or run.heard_at is None:
                return
            if run.heard_at >= before:
                # Heard of in the future, before the clock was set back: it is waited for from now on.
                store.set_run(run.id, heard_at=min(run.heard_at, store.now()))
                return
            reason = f"silent: nothing was heard of its process for {_period(self.services.place.silence_s)}"
            lost = store.set_run(
                run.id,
                status=RunStatus.LOST,
                failure=FailureReason.WORKER_LOST,
                reason=f"{reason}; it goes on if it is heard again",
                ended_at=run.heard_at,
            )
            tell_end(self.services, lost, by="hub")


def _period(seconds: float) -> str:
    for unit, length_s in (("h", 3600.0), ("min", 60.0)):
        if seconds >= length_s and seconds % length_s == 0:
            return f"{seconds / length_s:.0f} {unit}"
    return f"{seconds:.0f} s"
