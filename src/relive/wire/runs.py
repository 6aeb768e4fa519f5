"""What a run that no job places says to the hub: `relive run -- CMD`, and a script that logs.

    POST /api/v1/runs                  CreateRun → CreatedRun
    POST /api/v1/runs/{id}/heartbeat   as a job's, with fence 0
    POST /api/v1/runs/{id}/progress
    POST /api/v1/runs/{id}/log
    POST /api/v1/runs/{id}/records
    POST /api/v1/runs/{id}/finish      StageReport
    GET  /api/v1/runs/{id}/metrics/{key}  → SeriesPage

The messages after the first are those of `wire.jobs`: a run by hand is reported as a stage is.
"""

import msgspec

from relive.core.run import RunKind


class CreateRun(msgspec.Struct, frozen=True, kw_only=True):
    """Asks for a new run.

    Attributes:
        experiment: Its name; empty for the project's own.
        name: For people; empty to let the hub choose.
        replay_of: The run that this one repeats, if any.
        key: Names the run to whoever makes it: asked twice with the same, the hub gives the same run.
        resume: Id of a run of theirs that has ended and now goes on; nothing else is looked at then.
        started_at: When it began, if that was before now: a run that comes from elsewhere.
        heartbeats: Whether its process goes on to say that it lives; one that falls silent counts as lost.
    """

    project: str
    experiment: str = ""
    name: str = ""
    kind: RunKind = RunKind.MANUAL
    command: str = ""
    commit: str = ""
    branch: str = ""
    replay_of: str = ""
    key: str = ""
    resume: str = ""
    started_at: float | None = None
    heartbeats: bool = False


class CreatedRun(msgspec.Struct, frozen=True, kw_only=True):
    """The run that was made.

    Attributes:
        token: For the command's own process; may write this run only.
        url: The run's page.
    """

    run_id: str
    name: str = ""
    token: str = ""
    url: str = ""


class SeriesPage(msgspec.Struct, frozen=True, kw_only=True):
    """Points of one series as columns, in its order: step, time, value, with NaN before every number.

    Each column is so many 64-bit words, little-endian; in JSON it is base64.

    Attributes:
        key: The metric's name.
        points: How many these are.
        following: From which number on to ask for more of them; None if there are no more.
        steps: Signed whole numbers.
        times: IEEE doubles, seconds since the epoch, UTC.
        values: IEEE doubles; may be NaN or infinite.
    """

    key: str
    points: int
    following: int | None
    steps: bytes
    times: bytes
    values: bytes


class PlacedReplay(msgspec.Struct, frozen=True, kw_only=True):
    """Asks for a replay on a pool.

    Attributes:
        substitutes: What is accepted instead of the recorded: "python==3.12.1", "torch==2.3.1", "cpu", "gpu".
        tolerances: How far metrics may be off: "acc=0.01", "loss=2%".
        offline: Whether to ask no package index, and to let the command reach no network but the hub.
    """

    pool: str = "local"
    substitutes: tuple[str, ...] = ()
    tolerances: tuple[str, ...] = ()
    offline: bool = False


class PlacedWhy(msgspec.Struct, frozen=True, kw_only=True):
    """Asks on a pool why another run came out differently than this one.

    Attributes:
        after: The other run.
        pool: Where the trials run.
        metric: The only metric that counts; empty for the whole result.
        max_runs: Most runs to start; None for as many as it takes.
        parallel: Trials at a time; 0 for as many as the pool has slots, at most eight.
        ahead: Whether to make runs that may turn out not to be needed where fewer than `parallel` are.
        shares: Most runs that only sharing the effect out may take.
    """

    after: str
    pool: str = "local"
    metric: str = ""
    max_runs: int | None = None
    parallel: int = 0
    ahead: bool = False
    shares: int = 12


class ReplaySchedule(msgspec.Struct, frozen=True, kw_only=True):
    """How often a project's champions are made again.

    Attributes:
        every_s: Seconds from one time to the next; 0 for never.
        set_by: Who set it: the replays are in that name.
        last_at: When it was looked last, or set.
    """

    every_s: float = 0.0
    pool: str = "local"
    set_by: str = ""
    last_at: float = 0.0
