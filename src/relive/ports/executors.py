"""What services ask of an executor: place a job's process on a pool, find it again, end it."""

from typing import Any, Protocol

import msgspec

from relive.core.pipeline import Resources


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed to start one job's process.

    Attributes:
        job_id: The job.
        fence: The claim it belongs to.
        module: Python module to run with `-m` in relive's own environment.
        hub_url: Where the process reaches the hub.
        token: The runner's token, or a ticket that the process exchanges for one. It must never reach the
            command's environment; a token must not be visible to anybody else, a ticket may be, because it
            is good for one exchange only.
        name: For people, as in a cluster's dashboard.
    """

    job_id: str
    fence: int
    module: str
    hub_url: str
    token: str
    name: str
    resources: Resources = Resources()


class ProcessState(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a launched process.

    Attributes:
        state: "waiting" (placed, but there is no room for it yet), "alive", "ended", "gone" or "unknown"
            (cannot be asked now).
        detail: Why, for people; one line.
    """

    state: str
    exit_code: int | None = None
    detail: str = ""


class Executor(Protocol):
    """Places jobs on one pool.

    `launch` returns a JSON-able handle that is stored before anything else happens and from which any
    later hub process can `poll` and `stop`. A hub that was killed before it could store the handle knows only
    {"job_id", "fence"}, which is a handle, too: `poll` of a claim that was never launched says "gone". A
    process outlives the hub that launched it. Every method may be called from any thread and may block for
    seconds.
    """

    def check(self) -> None:
        """Do nothing if jobs can be placed now, else raise `PoolUnreachable` or `PoolUnfit`."""
        ...

    def launch(self, request: Launch) -> dict[str, Any]: ...
    def poll(self, handle: dict[str, Any]) -> ProcessState: ...
    def stop(self, handle: dict[str, Any], *, grace_s: float = 10.0) -> None: ...
    def output(self, handle: dict[str, Any], *, limit_bytes: int = 65536) -> str:
        """Give the end of what the process itself printed, to explain one that died early."""
        ...

    def close(self) -> None: ...
