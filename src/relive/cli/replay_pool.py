"""`relive replay --pool` and `--schedule`: replays that the hub places, once or now and then."""

import re
import sys
import time
from typing import Final

from relive.cli.output import err, escape, out, print_json
from relive.client.hub import HubClient
from relive.core.ids import short_id
from relive.core.trajectory import Verdict
from relive.errors import InvalidInput
from relive.replay.plan import resolve_run
from relive.wire.runs import PlacedReplay, ReplaySchedule

_POLL_S: Final = 0.5
_UNITS_S: Final = {"h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}


def set_schedule(hub: HubClient, project: str, every: str, pool: str, *, as_json: bool) -> None:
    """Set how often a project's champions are made again, and say it.

    Raises:
        InvalidInput: The time has another form than 12h, 7d, 2w or off.
    """
    found = re.fullmatch(r"([1-9][0-9]{0,4})([hdw])", every)
    if every != "off" and found is None:
        raise InvalidInput(field="--schedule", value=every, wanted="12h, 7d, 2w or off")
    every_s = float(found[1]) * _UNITS_S[found[2]] if found else 0.0
    kept = hub.set_replay_schedule(project, ReplaySchedule(every_s=every_s, pool=pool or "local"))
    if as_json:
        print_json(kept)
    elif kept.every_s:
        out.print(escape(f"The champions of {project} are made again every {every} on pool {kept.pool}."))
    else:
        out.print(escape(f"The champions of {project} are not made again by themselves."))


def replay_on_pool(hub: HubClient, target: str, request: PlacedReplay, *, quiet: bool) -> tuple[Verdict, str]:
    """Place a replay, wait for its verdict, and give it with its page; Ctrl-C leaves it to the pool."""
    original = hub.get_run(resolve_run(hub, target)[0]).run.id
    run = hub.place_replay(original, request)
    if not quiet:
        err.print(escape(f"run {short_id(run.id)} is placed on pool {request.pool}"))
    sent = 0
    while True:
        # Asked before its log is read, so that the end of it is not missed.
        verdicts = hub.get_run(original).verdicts
        if not quiet:
            sent = _show(hub, run.id, sent)
        for verdict in verdicts:
            if verdict.replay_run_id == run.id:
                return verdict, hub.get_run(run.id).url
        time.sleep(_POLL_S)


def _show(hub: HubClient, run_id: str, start: int) -> int:
    for piece in hub.read_log(run_id, start=start):
        sys.stdout.buffer.write(piece)
        start += len(piece)
    sys.stdout.buffer.flush()
    return start
