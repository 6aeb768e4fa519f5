"""`relive why --pool`: a search that the hub makes, followed from here."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import msgspec

from relive.cli.output import err, escape
from relive.client.hub import HubClient
from relive.core.causes import WhyReport
from relive.core.ids import short_id
from relive.core.run import RunStatus
from relive.errors import CommandFailed, HubRefused
from relive.replay.answers import find_answer
from relive.replay.plan import resolve_run
from relive.wire.hub import RunDetail
from relive.wire.runs import PlacedWhy

_POLL_S: Final = 0.5
# A search that was cancelled still says what it knows, once its next heartbeat has told it.
_LAST_WORDS_S: Final = 60.0


def why_on_pool(hub: HubClient, before: str, request: PlacedWhy, *, is_quiet: bool) -> tuple[WhyReport, str]:
    """Have a pool search for causes, tell how it goes on, and give the answer with its page.

    Raises:
        CommandFailed: It ended without an answer.
    """
    after = resolve_run(hub, request.after)[0]
    run = hub.place_why(resolve_run(hub, before)[0], msgspec.structs.replace(request, after=after))
    if not is_quiet:
        err.print(escape(f"run {short_id(run.id)} searches, its runs are placed on pool {request.pool}"))
    sent, ended_at = 0, float("inf")
    with _interrupts(hub, run.id):
        while True:
            detail = hub.get_run(run.id)
            if not is_quiet:
                sent = _show(hub, run.id, sent)
            report = find_answer(detail, hub)
            if report is not None:
                return report, detail.url
            if detail.run.status.is_final:
                ended_at = min(ended_at, time.monotonic())
            if time.monotonic() - ended_at > _patience_s(detail):
                raise CommandFailed(command="relive why", exit_code=1, reason=detail.run.reason)
            time.sleep(_POLL_S)


def _patience_s(detail: RunDetail) -> float:
    return _LAST_WORDS_S if detail.run.status is RunStatus.KILLED else 0.0


def _show(hub: HubClient, run_id: str, start: int) -> int:
    for piece in hub.read_log(run_id, start=start):
        err.print(escape(piece.decode(errors="replace")), end="")
        start += len(piece)
    return start


@contextmanager
def _interrupts(hub: HubClient, run_id: str) -> Iterator[None]:
    """Let Ctrl-C cancel the search and its runs; a second one does not wait for what it still has to say."""
    asked: list[int] = []

    def stop(number: int, _: Any) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        with suppress(HubRefused):  # it has ended in between
            hub.cancel_run(run_id)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
