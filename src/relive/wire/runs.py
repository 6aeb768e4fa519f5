"""What a run that no job places says to the hub: `relive run -- CMD`, and a script that logs.

    POST /api/v1/runs                  CreateRun → CreatedRun
    POST /api/v1/runs/{id}/heartbeat   as a job's, with fence 0
    POST /api/v1/runs/{id}/progress
    POST /api/v1/runs/{id}/log
    POST /api/v1/runs/{id}/records
    POST /api/v1/runs/{id}/finish      StageReport

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
    """

    project: str
    experiment: str = ""
    name: str = ""
    kind: RunKind = RunKind.MANUAL
    command: str = ""
    commit: str = ""
    branch: str = ""
    replay_of: str = ""


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
