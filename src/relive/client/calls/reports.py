"""What a process says to the hub about the work it does: the same for a job and for a run by hand."""

from typing import Any

from relive.client.transport import MSGPACK, Transport, path_of
from relive.core.run import Metric, MetricBlock
from relive.wire.jobs import (
    Heartbeat,
    HeartbeatReply,
    LogChunk,
    LogReply,
    PlacedTrial,
    Progress,
    Records,
    Report,
    TrialRun,
    TrialWork,
    Work,
)


class ReportClient:
    """Speaks for one claim of a job, or for one run by hand.

    Each message carries the fence of its claim, and each may be sent twice. Every method raises
    `Superseded` once another claim took over, `HubUnreachable` if the hub does not answer within the
    transport's patience, and `HubRefused` otherwise.

    Args:
        noun: "jobs" or "runs".
        subject_id: Of the job or the run.
        fence: Of the claim; 0 for a run by hand.
    """

    def __init__(self, transport: Transport, noun: str, subject_id: str, fence: int = 0) -> None:
        self.subject_id = subject_id
        self.fence = fence
        self._transport = transport
        self._noun = noun

    def with_patience(self, retry_for_s: float) -> "ReportClient":
        """Give the same with another patience for a hub that does not answer."""
        return ReportClient(
            self._transport.with_retries(retry_for_s), self._noun, self.subject_id, self.fence
        )

    def work(self) -> Work:
        """Ask what is to be done."""
        return self._transport.get(self._path("spec"), Work)  # type: ignore[arg-type]  # a union of structs

    def heartbeat(self) -> HeartbeatReply:
        """Renew the lease."""
        reply: HeartbeatReply = self._post("heartbeat", Heartbeat(fence=self.fence), HeartbeatReply)
        return reply

    def progress(self, phase: str, message: str = "", **facts: Any) -> None:
        """Say that a phase began."""
        self._post("progress", Progress(fence=self.fence, phase=phase, message=message, facts=facts), None)

    def log(self, offset: int, data: bytes) -> int:
        """Send a piece of output, and learn how long the log is that the hub has."""
        reply: LogReply = self._post("log", LogChunk(fence=self.fence, offset=offset, data=data), LogReply)
        return reply.length

    def records(
        self,
        batch: str,
        metrics: tuple[Metric, ...] = (),
        params: dict[str, Any] | None = None,
        tags: dict[str, str] | None = None,
        blocks: tuple[MetricBlock, ...] = (),
    ) -> None:
        """Send metrics, params and tags; `batch` names them, so that a second sending adds nothing."""
        message = Records(
            fence=self.fence,
            batch=batch,
            metrics=metrics,
            blocks=blocks,
            params=params or {},
            tags=tags or {},
        )
        self._post("records", message, None)

    def place_trial(self, trial: TrialWork, name: str, replay_of: str = "") -> str:
        """Have a run tried on the pool, and learn which one it is; one that is tried already is that one."""
        asked = PlacedTrial(fence=self.fence, trial=trial, name=name, replay_of=replay_of)
        placed: TrialRun = self._post("trials", asked, TrialRun)
        return placed.run_id

    def finish(self, report: Report) -> None:
        """Hand in the report, which ends the work."""
        self._post("finish", report, None)

    def _post(self, what: str, message: Any, reply: Any) -> Any:
        path = self._path(what)
        return self._transport.post(path, message, reply or type(None), repeatable=True, encoding=MSGPACK)

    def _path(self, what: str) -> str:
        return path_of(self._noun, self.subject_id, what)
